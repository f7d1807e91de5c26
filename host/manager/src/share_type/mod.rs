//! Share types: what an operator promises tenants, as extra specs that choose backends and are copied to shares (contract 2.13).
//!
//! One is built in: `default`, for backends that handle no share servers; a share of it offers whatever its backend's driver can do. Every
//! other type is made by an operator, and a share of it offers what the type asks for and no more. A change of a type is for shares made
//! afterwards: each share keeps what was promised when it was made.

mod requirement;
pub(crate) mod specs;

pub(crate) use specs::{Needs, may_be_thin, needs, replication_type, support};

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Expect, Row, RowKey, ShareType, Stored, Tables};
use crate::request::check_text;
use crate::view::ShareTypeView;
use bulkhead_model::id::{BackendName, ShareTypeId};
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;
use uuid::Uuid;

/// The id of the type `default`: the same on every host and for ever, since clients keep it.
const DEFAULT_ID: ShareTypeId =
    ShareTypeId::from_uuid(Uuid::from_u128(0x8d2c_1a5e_6b3f_4c7d_9e10_b01c_4ead_0001));
const DEFAULT_NAME: &str = "default";
/// The most share types.
const MOST_TYPES: usize = 1000;
/// The ledger's chain for what belongs to no backend.
const CHAIN: &str = "share-types";

/// A share type to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShareType {
    /// Its name, 1 to 255 letters, which no other type has.
    pub name: String,
    /// Words about it, at most 255 letters.
    pub description: Option<String>,
    /// Its extra specs; `driver_handles_share_servers` must be among them.
    pub extra_specs: BTreeMap<String, String>,
}

/// The built-in type.
pub(crate) fn built_in() -> ShareTypeView {
    ShareTypeView {
        id: DEFAULT_ID,
        name: DEFAULT_NAME.to_owned(),
        description: Some(
            "Any backend that needs no share servers; the share offers what its driver can do.".to_owned(),
        ),
        extra_specs: BTreeMap::from([(specs::SHARE_SERVERS.to_owned(), "False".to_owned())]),
        is_default: true,
    }
}

fn view_of(stored: &ShareType) -> ShareTypeView {
    ShareTypeView {
        id: stored.id,
        name: stored.name.clone(),
        description: stored.description.clone(),
        extra_specs: stored.extra_specs.clone(),
        is_default: false,
    }
}

fn stored<'a>(tables: &'a Tables, name_or_id: &str) -> Option<&'a Stored<ShareType>> {
    let by_id = name_or_id.parse().ok().and_then(|id| tables.share_type(id));
    by_id.or_else(|| tables.share_types().find(|stored| stored.name == name_or_id))
}

fn missing(name_or_id: &str) -> ManagerError {
    ManagerError::not_found("share type", name_or_id.chars().take(64).collect::<String>())
}

/// The type with this name or id; without either the built-in one.
pub(crate) fn find(tables: &Tables, name_or_id: Option<&str>) -> Result<ShareTypeView, ManagerError> {
    let built_in = built_in();
    match name_or_id {
        None => Ok(built_in),
        Some(wanted) if wanted == built_in.name || wanted == built_in.id.to_string() => Ok(built_in),
        Some(wanted) => stored(tables, wanted).map(|stored| view_of(stored)).ok_or_else(|| missing(wanted)),
    }
}

/// The name of a type, for display.
pub(crate) fn name_of(tables: &Tables, id: ShareTypeId) -> String {
    if id == DEFAULT_ID {
        return DEFAULT_NAME.to_owned();
    }
    tables.share_type(id).map_or_else(|| id.to_string(), |stored| stored.name.clone())
}

/// The extra specs that a share of this type keeps; none for the built-in type, which asks nothing.
pub(crate) fn kept_specs(share_type: &ShareTypeView) -> BTreeMap<String, String> {
    if share_type.is_default { BTreeMap::new() } else { share_type.extra_specs.clone() }
}

/// All share types, the built-in one first.
pub(crate) fn list(tables: &Tables) -> Vec<ShareTypeView> {
    let mut made: Vec<_> = tables.share_types().collect();
    made.sort_by_key(|stored| (stored.created_at, stored.id));
    std::iter::once(built_in()).chain(made.into_iter().map(|stored| view_of(stored))).collect()
}

impl Manager {
    /// All share types, the built-in one first.
    #[must_use]
    pub fn list_share_types(&self) -> Vec<ShareTypeView> {
        list(&self.inner.records.read())
    }

    /// A share type by name or id. Fails with [`ManagerError::NotFound`].
    pub fn show_share_type(&self, name_or_id: &str) -> Result<ShareTypeView, ManagerError> {
        find(&self.inner.records.read(), Some(name_or_id))
    }

    /// Make a share type. For operators.
    ///
    /// Fails with [`Denial::TypeExists`], and with [`ManagerError::Invalid`] for an extra spec that cannot be honoured.
    pub async fn create_share_type(
        &self,
        context: &RequestContext,
        new: NewShareType,
    ) -> Result<ShareTypeView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// Remove a share type. For operators. Fails with [`Denial::TypeInUse`] and [`Denial::BuiltInType`].
    pub async fn delete_share_type(
        &self,
        context: &RequestContext,
        name_or_id: &str,
    ) -> Result<(), ManagerError> {
        let (context, name) = (context.clone(), name_or_id.to_owned());
        self.detached(async move |inner| delete(&inner, &context, &name).await).await
    }

    /// Set extra specs of a type, for shares made from now on. For operators.
    pub async fn set_extra_specs(
        &self,
        context: &RequestContext,
        name_or_id: &str,
        given: BTreeMap<String, String>,
    ) -> Result<ShareTypeView, ManagerError> {
        let (context, name) = (context.clone(), name_or_id.to_owned());
        self.detached(async move |inner| {
            change_specs(&inner, &context, &name, |specs| {
                specs.extend(given.clone());
                Ok(())
            })
            .await
        })
        .await
    }

    /// Take an extra spec from a type, for shares made from now on. For operators. Fails with [`ManagerError::NotFound`] if the type does
    /// not have it.
    pub async fn remove_extra_spec(
        &self,
        context: &RequestContext,
        name_or_id: &str,
        key: &str,
    ) -> Result<ShareTypeView, ManagerError> {
        let (context, name, key) = (context.clone(), name_or_id.to_owned(), key.to_owned());
        self.detached(async move |inner| {
            change_specs(&inner, &context, &name, |specs| {
                let missing =
                    || ManagerError::not_found("extra spec", key.chars().take(64).collect::<String>());
                specs.remove(&key).map(drop).ok_or_else(missing)
            })
            .await
        })
        .await
    }
}

fn chain() -> Result<BackendName, ManagerError> {
    CHAIN.parse().map_err(|error| ManagerError::invalid("share type", error))
}

fn cause_of(context: &RequestContext) -> Cause {
    Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None }
}

#[instrument(name = "share_type.create", skip_all, fields(request.id = %context.request))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShareType,
) -> Result<ShareTypeView, ManagerError> {
    context.require_operator()?;
    check_text("name", Some(&new.name))?;
    check_text("description", new.description.as_deref())?;
    if new.name.trim().is_empty() {
        return Err(ManagerError::invalid("name", "a share type has a name"));
    }
    specs::check(&new.extra_specs)?;
    let (cause, chain) = (cause_of(context), chain()?);
    let now = Timestamp::now();
    let made = ShareType {
        id: ShareTypeId::random(),
        name: new.name,
        description: new.description,
        extra_specs: new.extra_specs,
        created_at: now,
        updated_at: now,
    };
    let view = view_of(&made);
    // One at a time, so that no two get the same name.
    let _turn = inner.share_types.lock().await;
    inner
        .transact(|tables| {
            if find(tables, Some(&made.name)).is_ok() {
                return Err(Denial::TypeExists.into());
            }
            if tables.share_types().count() >= MOST_TYPES {
                return Err(ManagerError::LimitExceeded { what: "share types", limit: MOST_TYPES });
            }
            let mut change = Change::default();
            change.note(&cause, format_args!("share-type/{}", made.id), format_args!("made: {}", made.name));
            change.insert(Row::ShareType(made.clone()));
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await?;
    Ok(view)
}

#[instrument(name = "share_type.delete", skip_all, fields(request.id = %context.request))]
async fn delete(inner: &Arc<Inner>, context: &RequestContext, name: &str) -> Result<(), ManagerError> {
    context.require_operator()?;
    let (cause, chain) = (cause_of(context), chain()?);
    // No type of groups names it meanwhile.
    let _turn = inner.share_types.lock().await;
    let _alone = inner.ties.write().await;
    inner
        .transact(|tables| {
            let found = changeable(tables, name)?;
            match tables.count_uses_of_type(found.id) {
                0 => {}
                count => return Err(Denial::TypeInUse { count }.into()),
            }
            let mut change = Change::default();
            change.note(&cause, format_args!("share-type/{}", found.id), "removed");
            change.delete(RowKey::ShareType(found.id), found.revision);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await
}

fn changeable<'a>(tables: &'a Tables, name: &str) -> Result<&'a Stored<ShareType>, ManagerError> {
    if find(tables, Some(name))?.is_default {
        return Err(Denial::BuiltInType.into());
    }
    stored(tables, name).ok_or_else(|| missing(name))
}

#[instrument(name = "share_type.change", skip_all, fields(request.id = %context.request))]
async fn change_specs(
    inner: &Arc<Inner>,
    context: &RequestContext,
    name: &str,
    alter: impl Fn(&mut BTreeMap<String, String>) -> Result<(), ManagerError>,
) -> Result<ShareTypeView, ManagerError> {
    context.require_operator()?;
    let (cause, chain) = (cause_of(context), chain()?);
    inner
        .transact(|tables| {
            let found = changeable(tables, name)?;
            let mut changed = (*found.value).clone();
            alter(&mut changed.extra_specs)?;
            specs::check(&changed.extra_specs)?;
            changed.updated_at = Timestamp::now();
            let view = view_of(&changed);
            let mut change = Change::default();
            change.note(&cause, format_args!("share-type/{}", found.id), "extra specs changed");
            change.put(Expect::Unchanged(found.revision), Row::ShareType(changed));
            Ok(Proposal::Commit(chain.clone(), change, view))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_type_is_found_by_name_by_id_and_by_silence() {
        let tables = Tables::default();
        let by_name = find(&tables, Some("default")).expect("the name");
        assert_eq!(find(&tables, Some(&by_name.id.to_string())).expect("the id"), by_name);
        assert_eq!(find(&tables, None).expect("silence"), by_name);
        assert!(find(&tables, Some("gold")).is_err());
    }
}
