//! Resources as the OpenStack API shows them, in the form of the client's microversion.
//!
//! Field sets per microversion are those of real Manila. A tenant never sees a host, a share server or a provider location.

use crate::microversion::Microversion;
use crate::request::Caller;
use bulkhead_manager::ShareView;
use bulkhead_model::export::StoredExportLocation;
use bulkhead_model::scope::Role;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::status::{AccessRulesStatus, ShareStatus};
use serde_json::{Map, Value, json};

/// The host part of Manila's host strings `HOST@BACKEND#POOL`.
pub(crate) const HOST: &str = "bulkhead";

/// A share, in full.
pub(crate) fn share(caller: &Caller, found: &ShareView) -> Value {
    let (share, instance, share_type_name) = (&*found.share, &*found.instance, &found.share_type_name);
    let version = caller.version;
    let mut fields = share_core(share, instance, share_type_name);
    let mut add = |minor: u16, name: &str, value: Value| {
        if version.at_least(minor) {
            fields.insert(name.to_owned(), value);
        }
    };
    add(2, "snapshot_support", json!(share.support.snapshot));
    add(5, "task_state", json!(share.task_state));
    add(6, "share_type_name", json!(share_type_name));
    add(6, "share_type", json!(share.share_type));
    add(10, "access_rules_status", json!(rules_status(instance.access_rules_status, version)));
    add(11, "replication_type", json!(share.replication_type));
    add(11, "has_replicas", json!(found.has_replicas));
    add(16, "user_id", json!(share.user));
    add(24, "create_share_from_snapshot_support", json!(share.support.create_share_from_snapshot));
    add(27, "revert_to_snapshot_support", json!(share.support.revert_to_snapshot));
    add(31, "share_group_id", json!(share.group));
    add(31, "source_share_group_snapshot_member_id", json!(share.source_member));
    add(32, "mount_snapshot_support", json!(share.support.mount_snapshot));
    add(54, "progress", json!(progress(instance)));
    add(69, "is_soft_deleted", json!(false));
    add(69, "scheduled_to_be_deleted_at", Value::Null);
    if !version.at_least(9) {
        let paths: Vec<_> =
            visible(caller, &instance.export_locations).map(|stored| &stored.location.path).collect();
        fields.insert("export_location".to_owned(), json!(paths.first()));
        fields.insert("export_locations".to_owned(), json!(paths));
    }
    if !version.at_least(54) && instance.status == ShareStatus::CreatingFromSnapshot {
        fields.insert("status".to_owned(), json!(ShareStatus::Creating));
    }
    if caller.actor.role != Role::Tenant {
        fields.insert("host".to_owned(), json!(host_string(&instance.placement)));
        fields.insert("share_server_id".to_owned(), json!(instance.share_server));
    }
    Value::Object(fields)
}

fn share_core(share: &Share, instance: &ShareInstance, share_type_name: &str) -> Map<String, Value> {
    let core = json!({
        "id": share.id,
        "size": share.size.get(),
        "availability_zone": Value::Null,
        "created_at": share.created_at.openstack(),
        "status": instance.status,
        "name": share.display_name,
        "description": share.display_description,
        "project_id": share.project,
        "snapshot_id": share.source_snapshot,
        "share_network_id": instance.share_network,
        "share_proto": share.protocol,
        "metadata": share.metadata,
        "share_type": share_type_name,
        "volume_type": share_type_name,
        "links": links("shares", &share.id.to_string()),
        "is_public": share.is_public,
    });
    into_map(core)
}

/// A share, in short.
pub(crate) fn share_summary(share: &Share) -> Value {
    json!({ "id": share.id, "name": share.display_name, "links": links("shares", &share.id.to_string()) })
}

/// A snapshot, in full.
pub(crate) fn snapshot(caller: &Caller, snapshot: &Snapshot, instance: &SnapshotInstance) -> Value {
    let mut fields = into_map(json!({
        "id": snapshot.id,
        "share_id": snapshot.share,
        "share_size": snapshot.size.get(),
        "created_at": snapshot.created_at.openstack(),
        "status": instance.status,
        "name": snapshot.display_name,
        "description": snapshot.display_description,
        "size": snapshot.size.get(),
        "share_proto": snapshot.protocol,
        "links": links("snapshots", &snapshot.id.to_string()),
    }));
    if caller.version.at_least(12) && caller.actor.role != Role::Tenant {
        fields.insert("provider_location".to_owned(), json!(instance.provider_location));
    }
    if caller.version.at_least(17) {
        fields.insert("user_id".to_owned(), json!(snapshot.user));
        fields.insert("project_id".to_owned(), json!(snapshot.project));
    }
    if caller.version.at_least(73) {
        fields.insert("metadata".to_owned(), json!(snapshot.metadata));
    }
    Value::Object(fields)
}

/// A snapshot, in short.
pub(crate) fn snapshot_summary(snapshot: &Snapshot) -> Value {
    json!({ "id": snapshot.id, "name": snapshot.display_name, "links": links("snapshots", &snapshot.id.to_string()) })
}

/// The export locations this caller may see.
pub(crate) fn export_locations(caller: &Caller, instance: &ShareInstance, detail: Detail) -> Vec<Value> {
    visible(caller, &instance.export_locations)
        .map(|stored| export_location(caller, instance, stored, detail))
        .collect()
}

/// Whether a view has all fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What lists show.
    Summary,
    /// Everything.
    Full,
}

/// One export location.
pub(crate) fn export_location(
    caller: &Caller,
    instance: &ShareInstance,
    stored: &StoredExportLocation,
    detail: Detail,
) -> Value {
    let mut fields = into_map(json!({ "id": stored.id, "path": stored.location.path }));
    if caller.version.at_least(14) {
        fields.insert("preferred".to_owned(), json!(stored.location.preferred));
    }
    if caller.actor.role != Role::Tenant {
        fields.insert("share_instance_id".to_owned(), json!(instance.id));
        fields.insert("is_admin_only".to_owned(), json!(stored.location.admin_only));
    }
    if detail == Detail::Full {
        fields.insert("created_at".to_owned(), json!(stored.created_at.openstack()));
        fields.insert("updated_at".to_owned(), json!(stored.updated_at.openstack()));
    }
    Value::Object(fields)
}

/// The locations that are not for administrators only, or all of them for an administrator.
pub(crate) fn visible<'a>(
    caller: &Caller,
    locations: &'a [StoredExportLocation],
) -> impl Iterator<Item = &'a StoredExportLocation> {
    let everything = caller.actor.role != Role::Tenant;
    locations.iter().filter(move |stored| everything || !stored.location.admin_only)
}

/// `HOST@BACKEND#POOL`.
pub(crate) fn host_string(placement: &Placement) -> String {
    let backend = &placement.backend;
    match &placement.pool {
        Some(pool) => format!("{HOST}@{backend}#{pool}"),
        None => format!("{HOST}@{backend}"),
    }
}

/// Links relative to the server: it does not know by which name a client reached it.
pub(crate) fn links(collection: &str, id: &str) -> Value {
    json!([
        { "rel": "self", "href": format!("/v2/{collection}/{id}") },
        { "rel": "bookmark", "href": format!("/{collection}/{id}") },
    ])
}

/// Before 2.28 the API said `out_of_sync` for `syncing`.
const fn rules_status(status: AccessRulesStatus, version: Microversion) -> &'static str {
    match status {
        AccessRulesStatus::Syncing if !version.at_least(28) => "out_of_sync",
        other => other.as_str(),
    }
}

fn progress(instance: &ShareInstance) -> Option<String> {
    let percent = match (instance.progress_percent, instance.status) {
        (Some(percent), _) => Some(percent),
        (None, ShareStatus::Available) => Some(100),
        (None, _) => None,
    };
    percent.map(|percent| format!("{percent}%"))
}

pub(crate) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
