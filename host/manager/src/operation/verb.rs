//! What each verb does to the statuses of its resources, which call it makes and what its driver must export.

use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallKind;
use bulkhead_model::id::SnapshotId;
use bulkhead_model::operation::Verb;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};

/// The status a share has while `verb` is at work on it; none if the verb leaves the share alone, as those about one replica do
/// ([`crate::replica::status_during`]).
pub(crate) const fn share_status_during(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateShare | Verb::CreateShareFromSnapshot { .. } => Some(ShareStatus::Creating),
        Verb::DeleteShare { .. } => Some(ShareStatus::Deleting),
        Verb::ExtendShare { .. } => Some(ShareStatus::Extending),
        Verb::ShrinkShare { .. } => Some(ShareStatus::Shrinking),
        Verb::RevertShare { .. } => Some(ShareStatus::Reverting),
        Verb::MigrateShare { .. } => Some(ShareStatus::Migrating),
        Verb::ManageShare { .. } => Some(ShareStatus::ManageStarting),
        Verb::UnmanageShare { .. } => Some(ShareStatus::UnmanageStarting),
        Verb::UpdateAccess
        | Verb::UpdateShareMetadata { .. }
        | Verb::UpdateSubnetMetadata { .. }
        | Verb::CreateSnapshot { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::CreateReplica { .. }
        | Verb::DeleteReplica { .. }
        | Verb::PromoteReplica { .. }
        | Verb::ManageSnapshot { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::UpdateSnapshotAccess { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. }
        | Verb::SetUpShareServer { .. }
        | Verb::TearDownShareServer { .. }
        | Verb::UpdateSecurityService { .. }
        | Verb::AddServerSubnet { .. }
        | Verb::ManageShareServer { .. }
        | Verb::UnmanageShareServer { .. } => None,
    }
}

/// The status of a share whose `verb` failed.
pub(crate) const fn share_status_after_failure(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateShare | Verb::CreateShareFromSnapshot { .. } => Some(ShareStatus::Error),
        Verb::DeleteShare { .. } => Some(ShareStatus::ErrorDeleting),
        Verb::ExtendShare { .. } => Some(ShareStatus::ExtendingError),
        Verb::ShrinkShare { .. } => Some(ShareStatus::ShrinkingError),
        Verb::RevertShare { .. } => Some(ShareStatus::RevertingError),
        Verb::MigrateShare { .. } => Some(ShareStatus::Error),
        Verb::ManageShare { .. } => Some(ShareStatus::ManageError),
        Verb::UnmanageShare { .. } => Some(ShareStatus::UnmanageError),
        Verb::UpdateAccess
        | Verb::UpdateShareMetadata { .. }
        | Verb::UpdateSubnetMetadata { .. }
        | Verb::CreateSnapshot { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::CreateReplica { .. }
        | Verb::DeleteReplica { .. }
        | Verb::PromoteReplica { .. }
        | Verb::ManageSnapshot { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::UpdateSnapshotAccess { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. }
        | Verb::SetUpShareServer { .. }
        | Verb::TearDownShareServer { .. }
        | Verb::UpdateSecurityService { .. }
        | Verb::AddServerSubnet { .. }
        | Verb::ManageShareServer { .. }
        | Verb::UnmanageShareServer { .. } => None,
    }
}

/// The status a snapshot has while `verb` is at work on it.
pub(crate) const fn snapshot_status_during(verb: &Verb) -> Option<SnapshotStatus> {
    match verb {
        Verb::CreateSnapshot { .. } => Some(SnapshotStatus::Creating),
        Verb::DeleteSnapshot { .. } => Some(SnapshotStatus::Deleting),
        Verb::RevertShare { .. } => Some(SnapshotStatus::Restoring),
        Verb::ManageSnapshot { .. } => Some(SnapshotStatus::ManageStarting),
        Verb::UnmanageSnapshot { .. } => Some(SnapshotStatus::UnmanageStarting),
        _ => None,
    }
}

/// The status of a snapshot whose `verb` failed.
pub(crate) const fn snapshot_status_after_failure(verb: &Verb) -> Option<SnapshotStatus> {
    match verb {
        Verb::CreateSnapshot { .. } => Some(SnapshotStatus::Error),
        Verb::DeleteSnapshot { .. } => Some(SnapshotStatus::ErrorDeleting),
        Verb::RevertShare { .. } => Some(SnapshotStatus::Available),
        Verb::ManageSnapshot { .. } => Some(SnapshotStatus::ManageError),
        Verb::UnmanageSnapshot { .. } => Some(SnapshotStatus::UnmanageError),
        _ => None,
    }
}

/// The snapshot that `verb` works on; not the one a share is made from, which stays as it is.
pub(crate) const fn snapshot_of(verb: &Verb) -> Option<SnapshotId> {
    match verb {
        Verb::CreateSnapshot { snapshot }
        | Verb::DeleteSnapshot { snapshot, .. }
        | Verb::RevertShare { snapshot }
        | Verb::ManageSnapshot { snapshot, .. }
        | Verb::UnmanageSnapshot { snapshot, .. } => Some(*snapshot),
        _ => None,
    }
}

/// What an attempt of `verb` does, for people who look at the operation.
pub(crate) const fn step_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::CreateShare => "calling shares.create-share",
        Verb::CreateShareFromSnapshot { .. } => "calling share-from-snapshot.create-share-from-snapshot",
        Verb::DeleteShare { .. } => "removing access rules, then calling shares.delete-share",
        Verb::ExtendShare { .. } => "calling extend.extend-share",
        Verb::ShrinkShare { .. } => "calling shrink.shrink-share",
        Verb::UpdateAccess => "calling access.update-access",
        Verb::UpdateShareMetadata { .. } => "calling metadata-updates.update-share-from-metadata",
        Verb::UpdateSubnetMetadata { .. } => "calling metadata-updates.update-subnet-from-metadata",
        Verb::CreateSnapshot { .. } => "calling snapshots.create-snapshot",
        Verb::DeleteSnapshot { .. } => "removing access rules, then calling snapshots.delete-snapshot",
        Verb::RevertShare { .. } => "calling revert.revert-to-snapshot",
        Verb::CreateReplica { .. } => "calling replication.create-replica",
        Verb::DeleteReplica { .. } => "calling replication.delete-replica",
        Verb::PromoteReplica { .. } => "calling replication.promote-replica",
        Verb::MigrateShare { .. } => "preparing the migration",
        Verb::ManageShare { .. } => "calling manage.manage-existing",
        Verb::UnmanageShare { .. } => "calling manage.unmanage, then forgetting what the share owned",
        Verb::ManageSnapshot { .. } => "calling manage-snapshots.manage-existing-snapshot",
        Verb::UnmanageSnapshot { .. } => {
            "calling manage-snapshots.unmanage-snapshot, then forgetting what the snapshot owned"
        }
        Verb::UpdateSnapshotAccess { .. } => "calling mountable-snapshots.snapshot-update-access",
        Verb::CreateShareGroup { .. } => "calling share-groups.create-share-group",
        Verb::CreateShareGroupFromSnapshot { .. } => {
            "calling share-groups.create-share-group-from-snapshot, or making its shares one by one"
        }
        Verb::DeleteShareGroup { .. } => "calling share-groups.delete-share-group",
        Verb::CreateShareGroupSnapshot { .. } => {
            "calling group-snapshots.create-share-group-snapshot, or taking the snapshots one by one"
        }
        Verb::DeleteShareGroupSnapshot { .. } => {
            "calling group-snapshots.delete-share-group-snapshot, or removing the snapshots one by one"
        }
        Verb::SetUpShareServer { .. } => "allocating addresses, then calling share-servers.setup-server",
        Verb::TearDownShareServer { .. } => {
            "calling share-servers.teardown-server, then giving back its addresses"
        }
        Verb::UpdateSecurityService { .. } => "calling server-updates.update-security-service",
        Verb::AddServerSubnet { .. } => {
            "allocating addresses, then calling server-updates.update-network-allocations"
        }
        Verb::ManageShareServer { .. } => "calling manage-servers.manage-server",
        Verb::UnmanageShareServer { .. } => "calling manage-servers.unmanage-server",
    }
}

/// The kind of the calls of `verb`: which deadline they have.
pub(crate) const fn call_kind(verb: &Verb) -> CallKind {
    match verb {
        Verb::UpdateAccess | Verb::UpdateSnapshotAccess { .. } => CallKind::Access,
        verb if verb.server().is_some() => CallKind::Server,
        _ => CallKind::Change,
    }
}

/// What the driver must export for `verb`, and the words for a refusal. Access rules and deletion every driver has, and letting go asks
/// nothing of one that has nothing to do.
pub(crate) const fn ability_of(verb: &Verb) -> Option<(Ability, &'static str)> {
    match verb {
        Verb::CreateShareFromSnapshot { .. } => Some((Ability::ShareFromSnapshot, "shares from snapshots")),
        Verb::ExtendShare { .. } => Some((Ability::Extend, "extending shares")),
        Verb::ShrinkShare { .. } => Some((Ability::Shrink, "shrinking shares")),
        Verb::CreateSnapshot { .. } => Some((Ability::Snapshots, "snapshots")),
        Verb::RevertShare { .. } => Some((Ability::Revert, "reverting to snapshots")),
        Verb::CreateReplica { .. } | Verb::DeleteReplica { .. } | Verb::PromoteReplica { .. } => {
            Some((Ability::Replication, "replicas"))
        }
        Verb::ManageShare { .. } => Some((Ability::Manage, "taking over shares")),
        Verb::ManageSnapshot { .. } => Some((Ability::ManageSnapshots, "taking over snapshots")),
        Verb::UpdateSnapshotAccess { .. } => Some((Ability::MountableSnapshots, "mounting snapshots")),
        Verb::CreateShare
        | Verb::DeleteShare { .. }
        | Verb::UpdateAccess
        | Verb::UpdateShareMetadata { .. }
        | Verb::UpdateSubnetMetadata { .. }
        | Verb::MigrateShare { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::UnmanageShare { .. }
        | Verb::UnmanageSnapshot { .. }
        | Verb::CreateShareGroup { .. }
        | Verb::CreateShareGroupFromSnapshot { .. }
        | Verb::DeleteShareGroup { .. }
        | Verb::CreateShareGroupSnapshot { .. }
        | Verb::DeleteShareGroupSnapshot { .. }
        | Verb::SetUpShareServer { .. }
        | Verb::TearDownShareServer { .. }
        | Verb::UpdateSecurityService { .. }
        | Verb::AddServerSubnet { .. }
        | Verb::ManageShareServer { .. }
        | Verb::UnmanageShareServer { .. } => None,
    }
}
