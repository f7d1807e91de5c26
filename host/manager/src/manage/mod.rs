//! Taking over shares that somebody made at a backend, and letting shares go without deleting them (contract 3.7). For operators.
//!
//! ```text
//!   manage ----> manage_starting ----> available (size and locations as the driver found them) | manage_error
//!   unmanage --> unmanage_starting --> gone from the records, there at the backend             | unmanage_error
//! ```
//!
//! Where we differ from Manila on purpose: a share whose size is not known yet counts as 1 GiB instead of 0, so that no size is ever none;
//! every failure of `unmanage` ends in `unmanage_error` (Manila leaves most of them in `unmanage_starting` for ever); and a driver that
//! does not export `manage` has nothing to do when a share is let go.
//!
//! What the operator typed stands as the share's one export location until the driver has answered; the last component of it is what
//! `{managed}` names in the driver's patterns, so nothing is taken over that is no safe component.

pub(crate) mod settle;
mod snapshot;

pub use snapshot::ManageSnapshot;

use crate::context::RequestContext;
use crate::denial::Denial;
use crate::error::ManagerError;
use crate::export;
use crate::first_result::Identity;
use crate::journal::{About, Freshness, Initiator};
use crate::manager::{Inner, Manager, Proposal};
use crate::operation::{self, ability_of};
use crate::records::{Change, Expect, Row, Stored, Tables};
use crate::request::{check_metadata, check_text};
use crate::runner::launch;
use crate::share::{self, facts, find, removal, require_ability, view};
use crate::share_type;
use crate::view::{ShareTypeView, ShareView};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{BackendName, OperationId, ShareId, ShareInstanceId, ShareServerId};
use bulkhead_model::operation::Verb;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Protocol, Share, ShareInstance};
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ShareStatus};
use bulkhead_model::target::ManagedName;
use bulkhead_model::text::is_harmless;
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The most driver options of one request.
const DRIVER_OPTIONS_BYTES: usize = 16 * 1024;
/// The longest value of a driver option, in bytes: the contract's.
const DRIVER_OPTION_BYTES: usize = 1023;

/// A share to be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManageShare {
    /// The backend that holds it.
    pub backend: BackendName,
    /// The pool it is in; with none the only pool of the backend, or the one its driver finds it in.
    pub pool: Option<String>,
    /// How it is exported.
    pub protocol: Protocol,
    /// Where it is exported now, for example `10.0.0.5:/exports/old`; the last component is its name at the backend.
    pub export_path: String,
    /// The name it shall have for people, at most 255 letters.
    pub display_name: Option<String>,
    /// Words about it, at most 255 letters.
    pub display_description: Option<String>,
    /// The share type by name or id; none takes the built-in `default`.
    pub share_type: Option<String>,
    /// Words for the driver, as the operator wrote them.
    pub driver_options: BTreeMap<String, String>,
    /// The share server it is on, on a backend that makes them; none elsewhere. Left out of the words of a repeated request if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_server: Option<ShareServerId>,
}

impl Manager {
    /// Take a share over into the caller's project: committed as `manage_starting` with its operation, which goes on in the background.
    /// For operators.
    ///
    /// Fails with [`ManagerError::NotFound`] for an unknown backend, with [`ManagerError::Unsupported`] if its driver takes no shares
    /// over, with [`Denial::AlreadyManaged`] if a share of that backend is exported at this path already, and with
    /// [`ManagerError::Invalid`] for a path whose last component is no safe name, a pool that is not there, or a protocol not offered.
    pub async fn manage_share(
        &self,
        context: &RequestContext,
        new: ManageShare,
    ) -> Result<ShareView, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| manage(&inner, &context, new).await).await
    }

    /// Let a share go: the host forgets it, its data and exports stay at the backend, and it can be taken over again. Its access rules are
    /// taken away before if the settings say so. For operators.
    ///
    /// Fails with [`ManagerError::Conflict`] while an operation is at work on it or it has snapshots.
    pub async fn unmanage_share(&self, context: &RequestContext, id: ShareId) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| unmanage(&inner, &context, id).await).await
    }
}

/// The name that `{managed}` stands for: the last component of what the operator typed.
pub(super) fn managed_name(field: &'static str, typed: &str) -> Result<ManagedName, ManagerError> {
    if typed.len() > ExportLocation::PATH_BYTES || !typed.chars().all(is_harmless) {
        return Err(ManagerError::invalid(
            field,
            format_args!("at most {} bytes without control characters", ExportLocation::PATH_BYTES),
        ));
    }
    let last = typed.rsplit('/').next().unwrap_or(typed);
    last.parse().map_err(|_| {
        ManagerError::invalid(
            field,
            "its last component names the object to take over: letters, digits, '.', '_', '@' and '-', at most 255, not beginning with '.'",
        )
    })
}

/// Check what the operator says to the driver.
pub(super) fn check_driver_options(options: &BTreeMap<String, String>) -> Result<(), ManagerError> {
    check_metadata(options, DRIVER_OPTIONS_BYTES)?;
    if options.iter().any(|(key, value)| key.len() > 255 || value.len() > DRIVER_OPTION_BYTES) {
        let reason = format_args!("a key is at most 255 bytes, a value at most {DRIVER_OPTION_BYTES}");
        return Err(ManagerError::invalid("driver_options", reason));
    }
    Ok(())
}

#[instrument(name = "share.manage", skip_all, fields(request.id = %context.request, backend.name = %new.backend))]
async fn manage(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: ManageShare,
) -> Result<ShareView, ManagerError> {
    context.require_operator()?;
    check_text("name", new.display_name.as_deref())?;
    check_text("description", new.display_description.as_deref())?;
    check_driver_options(&new.driver_options)?;
    let managed = managed_name("export_path", &new.export_path)?;
    let identity = Identity::of(context, "manage-share", &new)?;
    let _tie = inner.ties.read().await;
    let placement = place(inner, &new)?;
    let asked = Asked { context, new: &new, placement, managed, identity: &identity };
    let (id, operation) = inner
        .transact(|tables| match identity.first::<ShareId>(tables)? {
            Some(first) => Ok(Proposal::Settled((first, None))),
            None => propose(inner, &asked, tables),
        })
        .await?;
    if let Some(operation) = operation {
        launch(inner, operation, Freshness::Journalled);
    }
    view(&inner.records.read(), &Scope::Everything, id)
}

/// Where the operator says that the share is, checked against what the backend reports.
fn place(inner: &Inner, new: &ManageShare) -> Result<Placement, ManagerError> {
    let name = &new.backend;
    let backend = inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
    let offered = inner.loaded(&inner.records.read(), name)?.description.protocols;
    if !offered.contains(&new.protocol) {
        let offered: Vec<_> = offered.iter().map(|protocol| protocol.as_str()).collect();
        let reason = format_args!("backend '{name}' exports with {}", offered.join(", "));
        return Err(ManagerError::invalid("protocol", reason));
    }
    let pools = backend.pool_names();
    let pool = match (&new.pool, pools.as_slice()) {
        (None, [only]) => Some(only.clone()),
        // Its driver is asked once it has taken the share over.
        (None, _) => None,
        (Some(wanted), known) if known.is_empty() || known.contains(wanted) => Some(wanted.clone()),
        (Some(_), known) => {
            let reason = format_args!("name a pool of backend '{name}': {}", known.join(", "));
            return Err(ManagerError::invalid("pool", reason));
        }
    };
    Ok(Placement { backend: name.clone(), pool })
}

/// A request to take a share over, checked as far as it can be without the records.
struct Asked<'a> {
    context: &'a RequestContext,
    new: &'a ManageShare,
    placement: Placement,
    managed: ManagedName,
    identity: &'a Identity,
}

type Started = (ShareId, Option<OperationId>);

fn propose(inner: &Inner, asked: &Asked<'_>, tables: &Tables) -> Result<Proposal<Started>, ManagerError> {
    let Asked { context, new, placement, managed, identity } = asked;
    refuse_if_known(tables, new, managed)?;
    let verb = Verb::ManageShare { managed: managed.clone(), driver_options: new.driver_options.clone() };
    require_ability(inner, tables, placement, ability_of(&verb))?;
    inner.admit(tables, &placement.backend)?;
    let share_type = share_type::find(tables, new.share_type.as_deref())?;
    let server = server_of(inner, tables, new, &share_type)?;
    // What is on a server belongs to the project of its network, whoever takes it over.
    let project = server.map_or(&context.actor.project, |server| &server.project);
    let share = Share { project: project.clone(), ..new_share(inner, tables, asked, &share_type)? };
    let instance = ShareInstance {
        share_network: server.map(|server| server.share_network),
        share_server: server.map(|server| server.id),
        ..new_instance(&share, asked)
    };
    let about = About { share: share.id, project: share.project.clone(), backend: placement.backend.clone() };
    let operation = inner.new_operation(verb, about, &context.request);
    let cause = Initiator::of(context).cause(operation.id);
    let started = (share.id, Some(operation.id));
    let mut change = Change::default();
    let words = format_args!("none -> manage_starting, '{managed}' at {}", placement.backend);
    change.note(&cause, format_args!("share/{}", share.id), words);
    if let Some(backend) = tables.backend(&placement.backend) {
        // The turnstile of what is taken over on one backend: two requests never both find a path free.
        change.put(Expect::Unchanged(backend.revision), Row::Backend((*backend.value).clone()));
    }
    if let Some(server) = server {
        // The server's turnstile: it is not torn down between this look and the commit.
        change.edit_server(tables, server.id, &cause, |_| {});
    }
    identity.remember(tables, &mut change, share.id);
    change.insert(Row::Share(share));
    change.insert(Row::Instance(instance));
    change.insert(Row::Operation(operation));
    Ok(Proposal::Commit(placement.backend.clone(), change, started))
}

/// The server that a share to be taken over is on: one that serves at this backend, where the backend and the share's type are for servers.
fn server_of<'a>(
    inner: &Inner,
    tables: &'a Tables,
    new: &ManageShare,
    share_type: &ShareTypeView,
) -> Result<Option<&'a Stored<ShareServer>>, ManagerError> {
    let makes_servers = inner.loaded(tables, &new.backend)?.description.handles_share_servers;
    let asks = share_type::specs::wants_share_servers(&share_type.extra_specs);
    if asks != makes_servers {
        let word = if makes_servers { "True" } else { "False" };
        let reason = format_args!(
            "shares of backend '{}' are of types with driver_handles_share_servers={word}",
            new.backend
        );
        return Err(ManagerError::invalid("share_type", reason));
    }
    let Some(id) = new.share_server else {
        return match makes_servers {
            true => {
                Err(ManagerError::invalid("share_server_id", "name the share server that the share is on"))
            }
            false => Ok(None),
        };
    };
    let missing = || ManagerError::not_found("share server", id);
    let server = tables.server(&Scope::Everything, id).ok_or_else(missing)?;
    if server.backend != new.backend {
        return Err(missing());
    }
    if server.status != ShareServerStatus::Active {
        return Err(Denial::ServerStatus { what: "taking over a share on it", status: server.status }.into());
    }
    Ok(Some(server))
}

/// Refuse what is a share here already, or is just being taken over under another path.
fn refuse_if_known(tables: &Tables, new: &ManageShare, managed: &ManagedName) -> Result<(), ManagerError> {
    let is_there = |instance: &&crate::records::Stored<ShareInstance>| {
        instance.export_locations.iter().any(|stored| stored.location.path == new.export_path)
    };
    if let Some(known) = tables.instances_on(&new.backend).find(is_there) {
        return Err(Denial::AlreadyManaged { share: known.share }.into());
    }
    let takes_it = |verb: &Verb| matches!(verb, Verb::ManageShare { managed: other, .. } if other == managed);
    match tables.unfinished_of_backend(&new.backend).find(|operation| takes_it(&operation.verb)) {
        Some(operation) => Err(Denial::AlreadyManaged { share: operation.share }.into()),
        None => Ok(()),
    }
}

fn new_share(
    inner: &Inner,
    tables: &Tables,
    asked: &Asked<'_>,
    share_type: &ShareTypeView,
) -> Result<Share, ManagerError> {
    let Asked { context, new, placement, .. } = asked;
    let now = Timestamp::now();
    let specs = share_type::kept_specs(share_type);
    Ok(Share {
        id: ShareId::random(),
        project: context.actor.project.clone(),
        user: context.actor.user.clone(),
        size: Gibibytes::SMALLEST,
        display_name: new.display_name.clone(),
        display_description: new.display_description.clone(),
        metadata: BTreeMap::new(),
        protocol: new.protocol,
        share_type: share_type.id,
        source_snapshot: None,
        is_public: false,
        support: share_type::support(&specs, share::support_on(inner, tables, placement)?),
        replication_type: share_type::replication_type(&specs),
        extra_specs: specs,
        rules_home: None,
        group: None,
        source_member: None,
        task_state: None,
        migration: None,
        created_at: now,
        updated_at: now,
    })
}

fn new_instance(share: &Share, asked: &Asked<'_>) -> ShareInstance {
    let typed = ExportLocation {
        path: asked.new.export_path.clone(),
        admin_only: false,
        preferred: false,
        metadata: BTreeMap::new(),
    };
    ShareInstance {
        id: ShareInstanceId::random(),
        share: share.id,
        placement: asked.placement.clone(),
        share_network: None,
        share_server: None,
        status: ShareStatus::ManageStarting,
        progress_percent: None,
        access_rules_status: AccessRulesStatus::Active,
        replica_state: share.replication_type.map(|_| ReplicaState::Active),
        export_locations: export::replace(&[], vec![typed]),
        launched_at: None,
        unsound_since: None,
        created_at: share.created_at,
        updated_at: share.updated_at,
    }
}

#[instrument(name = "share.unmanage", skip_all, fields(request.id = %context.request, share.id = %id))]
async fn unmanage(inner: &Arc<Inner>, context: &RequestContext, id: ShareId) -> Result<(), ManagerError> {
    context.require_operator()?;
    let identity = Identity::of(context, "unmanage-share", &id)?;
    let started = inner
        .transact(|tables| {
            if identity.first::<ShareId>(tables)?.is_some() {
                return Ok(Proposal::Settled(None));
            }
            let (share, instance) = find(tables, &Scope::Everything, id)?;
            operation::unmanage_share(&facts(tables, share, instance))?;
            let backend = &instance.placement.backend;
            inner.admit(tables, backend)?;
            let about = About { share: id, project: share.project.clone(), backend: backend.clone() };
            let verb =
                Verb::UnmanageShare { remove_access_rules: inner.settings.unmanage_removes_access_rules };
            let operation = inner.new_operation(verb, about, &context.request);
            let cause = Initiator::of(context).cause(operation.id);
            let mut change = Change::default();
            change.edit_instance(tables, id, &cause, |instance| {
                instance.status = ShareStatus::UnmanageStarting
            });
            removal::supersede(inner, tables, id, &mut change);
            identity.remember(tables, &mut change, id);
            let started = operation.id;
            change.insert(Row::Operation(operation));
            Ok(Proposal::Commit(backend.clone(), change, Some(started)))
        })
        .await?;
    if let Some(operation) = started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_over_is_named_by_the_last_component_and_nothing_else() {
        let name = |typed: &str| managed_name("export_path", typed).map(|name| name.to_string()).ok();
        assert_eq!(name("10.0.0.5:/exports/old").as_deref(), Some("old"));
        assert_eq!(name("old").as_deref(), Some("old"));
        assert_eq!(name("a/b@nightly-1.0_x").as_deref(), Some("b@nightly-1.0_x"));
        for bad in
            ["", "/", "a/", "a/..", "a/.hidden", "10.0.0.5:old", "a/b c", "a/b\n", "a/b;rm", "a/\u{202e}x"]
        {
            assert_eq!(name(bad), None, "{bad:?}");
        }
        assert_eq!(name(&format!("/{}", "a".repeat(256))), None);
        assert_eq!(name(&format!("{}/a", "a".repeat(2000))), None);
    }

    #[test]
    fn words_for_the_driver_have_the_contracts_bounds() {
        let options = |key: &str, value: &str| {
            check_driver_options(&BTreeMap::from([(key.to_owned(), value.to_owned())])).is_ok()
        };
        assert!(options("volume", "a"));
        assert!(!options("volume", &"ä".repeat(600)));
        assert!(!options("volume", "a\0b"));
        assert!(!options("", "a"));
    }
}
