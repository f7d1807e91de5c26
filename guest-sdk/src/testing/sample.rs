//! Records as the host would hand them over. Equal numbers make equal ids.

use crate::access::{AccessLevel, AccessRule, AccessType};
use crate::group::{ShareGroup, ShareGroupSnapshot};
use crate::migration::{ShareMigration, SnapshotMapping};
use crate::replication::{AccessRulesStatus, InstanceStatus, Replica, ReplicationType};
use crate::share::{Protocol, ReplicaState, Share};
use crate::snapshot::Snapshot;

fn id(kind: u8, number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-{kind:012x}")
}

/// An NFS share of project `project` without export locations, extra specs or metadata.
#[must_use]
pub fn share(number: u32, size_gib: u64) -> Share {
    let instance = id(1, number);
    Share {
        name: format!("share-{instance}"),
        id: instance,
        share_id: id(2, number),
        project_id: "project".to_owned(),
        size_gib,
        protocol: Protocol::Nfs,
        pool: None,
        source_snapshot_id: None,
        share_group_id: None,
        replica_state: None,
        mount_snapshot_support: false,
        export_locations: Vec::new(),
        extra_specs: Vec::new(),
        metadata: Vec::new(),
        server: None,
    }
}

/// A snapshot of `share`, of its size.
#[must_use]
pub fn snapshot(number: u32, share: &Share) -> Snapshot {
    let instance = id(3, number);
    Snapshot {
        name: format!("share-snapshot-{instance}"),
        id: instance,
        snapshot_id: id(4, number),
        size_gib: share.size_gib,
        provider_location: None,
        share: share.clone(),
    }
}

/// A group of these shares, which then carry its id.
#[must_use]
pub fn share_group(number: u32, shares: &[Share]) -> ShareGroup {
    let group = id(7, number);
    let member = |share: &Share| Share { share_group_id: Some(group.clone()), ..share.clone() };
    ShareGroup {
        shares: shares.iter().map(member).collect(),
        name: None,
        project_id: "project".to_owned(),
        host: "bulkhead@nas#pool".to_owned(),
        share_group_type_id: id(8, 1),
        group_specs: Vec::new(),
        share_type_ids: vec![id(9, 1)],
        source_group_snapshot_id: None,
        consistent_snapshot_support: None,
        id: group,
    }
}

/// A snapshot of a group, with a member for each of its shares: snapshots with the numbers from `number` on.
#[must_use]
pub fn share_group_snapshot(number: u32, group: &ShareGroup) -> ShareGroupSnapshot {
    let snapshot_id = id(10, number);
    let members = (number..).zip(&group.shares);
    let member = |(number, share)| Snapshot { snapshot_id: snapshot_id.clone(), ..snapshot(number, share) };
    ShareGroupSnapshot {
        members: members.map(member).collect(),
        name: None,
        project_id: group.project_id.clone(),
        share_group: group.clone(),
        id: snapshot_id.clone(),
    }
}

/// An access rule.
#[must_use]
pub fn access_rule(
    number: u32,
    access_type: AccessType,
    access_to: &str,
    access_level: AccessLevel,
) -> AccessRule {
    AccessRule {
        id: id(5, number),
        mapping_id: id(6, number),
        access_type,
        access_to: access_to.to_owned(),
        access_level,
    }
}

/// An available replica of type `dr` on `host`; `share` is its instance.
#[must_use]
pub fn replica(share: &Share, host: &str, state: ReplicaState) -> Replica {
    Replica {
        share: Share { replica_state: Some(state), ..share.clone() },
        host: host.to_owned(),
        availability_zone: None,
        replication_type: ReplicationType::Dr,
        status: InstanceStatus::Available,
        access_rules_status: AccessRulesStatus::Active,
    }
}

/// The migration of `share` to `host`, with these snapshots of it: the destination's instances have the numbers of `number` and on.
#[must_use]
pub fn migration(number: u32, share: &Share, host: &str, snapshots: &[Snapshot]) -> ShareMigration {
    let pool = host.split_once('#').map(|(_, pool)| pool.to_owned());
    let destination_share =
        Share { share_id: share.share_id.clone(), pool, ..self::share(number, share.size_gib) };
    let mapping = |(number, source): (u32, &Snapshot)| SnapshotMapping {
        source: source.clone(),
        destination: Snapshot {
            snapshot_id: source.snapshot_id.clone(),
            size_gib: source.size_gib,
            ..snapshot(number, &destination_share)
        },
    };
    ShareMigration {
        snapshots: (number..).zip(snapshots).map(mapping).collect(),
        source_share: share.clone(),
        destination_host: host.to_owned(),
        destination_share,
    }
}
