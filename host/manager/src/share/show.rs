//! Shares as drivers see them, and as callers do.

use crate::error::ManagerError;
use crate::operation;
use crate::records::{Stored, Tables};
use crate::share_type;
use crate::view::ShareView;
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareForDriver, ShareInstance};
use bulkhead_model::status::ShareStatus;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A share instance as drivers see it.
pub(crate) fn for_driver(tables: &Tables, share: &Share, instance: &ShareInstance) -> ShareForDriver {
    let server = instance.share_server.and_then(|id| tables.server(&Scope::Everything, id));
    ShareForDriver {
        id: instance.id,
        share: share.id,
        project: share.project.clone(),
        size: share.size,
        protocol: share.protocol,
        pool: instance.placement.pool.clone(),
        source_snapshot: share.source_snapshot,
        server: server.map(|server| server.for_driver()),
        group: share.group,
        replica_state: instance.replica_state,
        mount_snapshot_support: share.support.mount_snapshot,
        export_locations: instance.export_locations.iter().map(|stored| stored.location.clone()).collect(),
        extra_specs: match share.extra_specs.is_empty() {
            true => share_type::built_in().extra_specs,
            false => share.extra_specs.clone(),
        },
        metadata: BTreeMap::new(),
    }
}

/// A share inside `scope`, put together for reading.
pub(crate) fn view(tables: &Tables, scope: &Scope, id: ShareId) -> Result<ShareView, ManagerError> {
    let missing = || ManagerError::not_found("share", id);
    let share = tables.share(scope, id).ok_or_else(missing)?;
    view_of(tables, share).ok_or_else(missing)
}

/// The instance that serves clients, as the share shows it: with the status of a promotion that runs, and the worst of all replicas' rules.
fn as_one(tables: &Tables, instance: &Stored<ShareInstance>) -> Arc<ShareInstance> {
    let all = tables.instances_of(instance.share);
    let is_promoting = all.iter().any(|one| one.status == ShareStatus::ReplicationChange);
    let worst = all.iter().map(|one| one.access_rules_status).max().unwrap_or(instance.access_rules_status);
    if all.len() < 2 || (!is_promoting && worst == instance.access_rules_status) {
        return Arc::clone(&instance.value);
    }
    let status = if is_promoting { ShareStatus::ReplicationChange } else { instance.status };
    Arc::new(ShareInstance { status, access_rules_status: worst, ..(*instance.value).clone() })
}

pub(super) fn view_of(tables: &Tables, share: &Stored<Share>) -> Option<ShareView> {
    let instance = tables.instance_of(share.id)?;
    let unfinished = |wanted: fn(&Operation) -> bool| {
        let mut operations = tables.unfinished_of_share(share.id);
        operations.find(|operation| wanted(operation)).map(|operation| Arc::clone(&operation.value))
    };
    Some(ShareView {
        share: Arc::clone(&share.value),
        instance: as_one(tables, instance),
        has_replicas: tables.has_replicas(share.id),
        share_type_name: share_type::name_of(tables, share.share_type),
        operation: unfinished(|operation| operation::share_status_during(&operation.verb).is_some()),
        access_operation: unfinished(|operation| operation.verb == Verb::UpdateAccess),
    })
}
