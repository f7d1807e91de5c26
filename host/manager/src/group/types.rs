//! Types of share groups: which share types their shares may have, and what they ask of backends (contract 4.9).
//!
//! One is built in: `default`, which takes shares of every share type and asks nothing. Every other is made by an operator. A change is for
//! groups made afterwards: each keeps the specs of its type as they were.
//!
//! One group spec means something to this host, as in Manila: `consistent_snapshot_support`, `pool` or `host`, the unit in which snapshots
//! must be consistent. Where we differ on purpose: who takes them of all shares of the backend takes them of all shares of a pool too. Keys of
//! a scope (`vendor:key`) are the drivers' to read. Any other is refused: nothing here would keep it.

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Cause, Change, Expect, Row, RowKey, ShareGroupType, Stored, Tables};
use crate::request::check_text;
use crate::share_type;
use bulkhead_model::id::{BackendName, ShareGroupTypeId, ShareTypeId};
use bulkhead_model::share_group::Consistency;
use bulkhead_model::text::is_harmless;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;
use uuid::Uuid;

/// The id of the type `default`: the same on every host and for ever, since clients keep it.
const DEFAULT_ID: ShareGroupTypeId =
    ShareGroupTypeId::from_uuid(Uuid::from_u128(0x8d2c_1a5e_6b3f_4c7d_9e10_b01c_4ead_0002));
const DEFAULT_NAME: &str = "default";
/// The group spec that this host keeps.
const CONSISTENCY: &str = "consistent_snapshot_support";
/// The most types of groups.
const MOST_TYPES: usize = 1000;
/// The most group specs of a type.
const MOST_SPECS: usize = 64;
/// The longest key or value, in bytes.
const LONGEST: usize = 255;
/// The ledger's chain for what belongs to no backend.
const CHAIN: &str = "share-types";

type Specs = BTreeMap<String, String>;

/// A type of share groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupTypeView {
    /// Its id.
    pub id: ShareGroupTypeId,
    /// Its name.
    pub name: String,
    /// What it asks of backends.
    pub group_specs: BTreeMap<String, String>,
    /// The share types that shares of its groups may have.
    pub share_types: Vec<ShareTypeId>,
    /// Whether groups made without naming a type have it.
    pub is_default: bool,
}

/// A type of share groups to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShareGroupType {
    /// Its name, 1 to 255 letters, which no other type of groups has.
    pub name: String,
    /// The share types that shares of its groups may have, by name or id; at least one.
    pub share_types: Vec<String>,
    /// What it asks of backends.
    pub group_specs: BTreeMap<String, String>,
}

fn built_in(tables: &Tables) -> ShareGroupTypeView {
    ShareGroupTypeView {
        id: DEFAULT_ID,
        name: DEFAULT_NAME.to_owned(),
        group_specs: Specs::new(),
        share_types: share_type::list(tables).into_iter().map(|share_type| share_type.id).collect(),
        is_default: true,
    }
}

fn view_of(stored: &ShareGroupType) -> ShareGroupTypeView {
    ShareGroupTypeView {
        id: stored.id,
        name: stored.name.clone(),
        group_specs: stored.group_specs.clone(),
        share_types: stored.share_types.clone(),
        is_default: false,
    }
}

fn stored<'a>(tables: &'a Tables, name_or_id: &str) -> Option<&'a Stored<ShareGroupType>> {
    let by_id = name_or_id.parse().ok().and_then(|id| tables.group_type(id));
    by_id.or_else(|| tables.group_types().find(|stored| stored.name == name_or_id))
}

fn missing(name_or_id: &str) -> ManagerError {
    ManagerError::not_found("share group type", name_or_id.chars().take(64).collect::<String>())
}

/// The type with this name or id; without either the built-in one.
pub(super) fn find(tables: &Tables, name_or_id: Option<&str>) -> Result<ShareGroupTypeView, ManagerError> {
    let built_in = built_in(tables);
    match name_or_id {
        None => Ok(built_in),
        Some(wanted) if wanted == built_in.name || wanted == built_in.id.to_string() => Ok(built_in),
        Some(wanted) => stored(tables, wanted).map(|stored| view_of(stored)).ok_or_else(|| missing(wanted)),
    }
}

/// The unit in which group specs ask snapshots to be consistent.
pub(super) fn asked_consistency(specs: &Specs) -> Option<Consistency> {
    specs.get(CONSISTENCY).and_then(|unit| unit.parse().ok())
}

/// What a pool has to report for groups with these specs, in the words of extra specs.
pub(super) fn asked_capability(specs: &Specs) -> Option<(String, String)> {
    let enough = match asked_consistency(specs)? {
        Consistency::Pool => "<or> pool <or> host",
        Consistency::Host => "host",
    };
    Some((format!("sg_{CONSISTENCY}"), enough.to_owned()))
}

fn check_specs(specs: &Specs) -> Result<(), ManagerError> {
    let refuse = |reason: String| Err(ManagerError::invalid("group_specs", reason));
    if specs.len() > MOST_SPECS {
        return refuse(format!("at most {MOST_SPECS} of them"));
    }
    for (key, value) in specs {
        let is_text = |text: &str| text.len() <= LONGEST && text.chars().all(is_harmless);
        if key.is_empty() || !is_text(key) || !is_text(value) {
            return refuse(format!(
                "a key is 1 to {LONGEST} bytes, a value at most that, without control characters"
            ));
        }
        match key.as_str() {
            CONSISTENCY if value.parse::<Consistency>().is_err() => {
                return refuse(format!("'{CONSISTENCY}' is pool or host"));
            }
            CONSISTENCY => {}
            vendors if vendors.contains(':') => {}
            unknown => {
                return refuse(format!(
                    "'{unknown}' means nothing here; there is '{CONSISTENCY}', and 'vendor:key' for drivers"
                ));
            }
        }
    }
    Ok(())
}

impl Manager {
    /// All types of share groups, the built-in one first.
    #[must_use]
    pub fn list_share_group_types(&self) -> Vec<ShareGroupTypeView> {
        let tables = self.inner.records.read();
        let mut made: Vec<_> = tables.group_types().collect();
        made.sort_by_key(|stored| (stored.created_at, stored.id));
        std::iter::once(built_in(&tables)).chain(made.into_iter().map(|stored| view_of(stored))).collect()
    }

    /// A type of share groups by name or id. Fails with [`ManagerError::NotFound`].
    pub fn show_share_group_type(&self, name_or_id: &str) -> Result<ShareGroupTypeView, ManagerError> {
        find(&self.inner.records.read(), Some(name_or_id))
    }

    /// Make a type of share groups. For operators.
    ///
    /// Fails with [`Denial::GroupTypeExists`], and with [`ManagerError::Invalid`] for a share type that is not there and a group spec that
    /// means nothing.
    pub async fn create_share_group_type(
        &self,
        context: &RequestContext,
        new: NewShareGroupType,
    ) -> Result<ShareGroupTypeView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// Remove a type of share groups. For operators. Fails with [`Denial::GroupTypeInUse`] and [`Denial::BuiltInGroupType`].
    pub async fn delete_share_group_type(
        &self,
        context: &RequestContext,
        name_or_id: &str,
    ) -> Result<(), ManagerError> {
        let (context, name) = (context.clone(), name_or_id.to_owned());
        self.detached(async move |inner| delete(&inner, &context, &name).await).await
    }

    /// Set group specs of a type, for groups made from now on. For operators.
    pub async fn set_group_specs(
        &self,
        context: &RequestContext,
        name_or_id: &str,
        given: BTreeMap<String, String>,
    ) -> Result<ShareGroupTypeView, ManagerError> {
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

    /// Take a group spec from a type, for groups made from now on. For operators. Fails with [`ManagerError::NotFound`] if the type does not
    /// have it.
    pub async fn remove_group_spec(
        &self,
        context: &RequestContext,
        name_or_id: &str,
        key: &str,
    ) -> Result<ShareGroupTypeView, ManagerError> {
        let (context, name, key) = (context.clone(), name_or_id.to_owned(), key.to_owned());
        self.detached(async move |inner| {
            change_specs(&inner, &context, &name, |specs| {
                let missing =
                    || ManagerError::not_found("group spec", key.chars().take(64).collect::<String>());
                specs.remove(&key).map(drop).ok_or_else(missing)
            })
            .await
        })
        .await
    }
}

fn chain() -> Result<BackendName, ManagerError> {
    CHAIN.parse().map_err(|error| ManagerError::invalid("share group type", error))
}

fn cause_of(context: &RequestContext) -> Cause {
    Cause { actor: context.actor.user.to_string(), request: context.request.clone(), operation: None }
}

/// The share types with these names or ids, each once.
fn share_types(tables: &Tables, wanted: &[String]) -> Result<Vec<ShareTypeId>, ManagerError> {
    let mut found = Vec::new();
    for one in wanted {
        let id = share_type::find(tables, Some(one))?.id;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    if found.is_empty() {
        return Err(ManagerError::invalid("share_types", "name at least one share type"));
    }
    Ok(found)
}

#[instrument(name = "share_group_type.create", skip_all, fields(request.id = %context.request))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShareGroupType,
) -> Result<ShareGroupTypeView, ManagerError> {
    context.require_operator()?;
    check_text("name", Some(&new.name))?;
    if new.name.trim().is_empty() {
        return Err(ManagerError::invalid("name", "a share group type has a name"));
    }
    check_specs(&new.group_specs)?;
    let (cause, chain) = (cause_of(context), chain()?);
    let (id, now) = (ShareGroupTypeId::random(), Timestamp::now());
    // One at a time, so that no two get the same name, and no share type goes meanwhile.
    let _turn = inner.share_types.lock().await;
    inner
        .transact(|tables| {
            if find(tables, Some(&new.name)).is_ok() {
                return Err(Denial::GroupTypeExists.into());
            }
            if tables.group_types().count() >= MOST_TYPES {
                return Err(ManagerError::LimitExceeded { what: "share group types", limit: MOST_TYPES });
            }
            let made = ShareGroupType {
                id,
                name: new.name.clone(),
                group_specs: new.group_specs.clone(),
                share_types: share_types(tables, &new.share_types)?,
                created_at: now,
                updated_at: now,
            };
            let view = view_of(&made);
            let mut change = Change::default();
            let words = format_args!("made: {}", made.name);
            change.note(&cause, format_args!("share-group-type/{id}"), words);
            change.insert(Row::GroupType(made));
            Ok(Proposal::Commit(chain.clone(), change, view))
        })
        .await
}

#[instrument(name = "share_group_type.delete", skip_all, fields(request.id = %context.request))]
async fn delete(inner: &Arc<Inner>, context: &RequestContext, name: &str) -> Result<(), ManagerError> {
    context.require_operator()?;
    let (cause, chain) = (cause_of(context), chain()?);
    let _alone = inner.ties.write().await;
    inner
        .transact(|tables| {
            let found = changeable(tables, name)?;
            match tables.count_uses_of_group_type(found.id) {
                0 => {}
                count => return Err(Denial::GroupTypeInUse { count }.into()),
            }
            let mut change = Change::default();
            change.note(&cause, format_args!("share-group-type/{}", found.id), "removed");
            change.delete(RowKey::GroupType(found.id), found.revision);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await
}

fn changeable<'a>(tables: &'a Tables, name: &str) -> Result<&'a Stored<ShareGroupType>, ManagerError> {
    if find(tables, Some(name))?.is_default {
        return Err(Denial::BuiltInGroupType.into());
    }
    stored(tables, name).ok_or_else(|| missing(name))
}

#[instrument(name = "share_group_type.change", skip_all, fields(request.id = %context.request))]
async fn change_specs(
    inner: &Arc<Inner>,
    context: &RequestContext,
    name: &str,
    alter: impl Fn(&mut Specs) -> Result<(), ManagerError>,
) -> Result<ShareGroupTypeView, ManagerError> {
    context.require_operator()?;
    let (cause, chain) = (cause_of(context), chain()?);
    inner
        .transact(|tables| {
            let found = changeable(tables, name)?;
            let mut changed = (*found.value).clone();
            alter(&mut changed.group_specs)?;
            check_specs(&changed.group_specs)?;
            changed.updated_at = Timestamp::now();
            let view = view_of(&changed);
            let mut change = Change::default();
            change.note(&cause, format_args!("share-group-type/{}", found.id), "group specs changed");
            change.put(Expect::Unchanged(found.revision), Row::GroupType(changed));
            Ok(Proposal::Commit(chain.clone(), change, view))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(pairs: &[(&str, &str)]) -> Specs {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn who_takes_consistent_snapshots_of_all_shares_takes_them_of_a_pool_too() {
        let asked = |unit| asked_capability(&specs(&[(CONSISTENCY, unit)])).map(|(_, enough)| enough);
        assert_eq!(asked("pool").as_deref(), Some("<or> pool <or> host"));
        assert_eq!(asked("host").as_deref(), Some("host"));
        assert_eq!(asked_capability(&specs(&[("acme:tier", "gold")])), None);
    }

    #[test]
    fn a_group_spec_is_kept_or_the_drivers_or_refused() {
        assert!(check_specs(&specs(&[(CONSISTENCY, "host"), ("acme:tier", "gold")])).is_ok());
        for (key, value) in [(CONSISTENCY, "True"), ("tier", "gold"), ("", "x"), ("acme:tier", "\u{7}")] {
            assert!(check_specs(&specs(&[(key, value)])).is_err(), "{key}={value}");
        }
    }
}
