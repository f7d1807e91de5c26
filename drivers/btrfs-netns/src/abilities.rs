//! What the driver can do beyond the required: each ability in a line, the work in the module of its noun.

use crate::{BtrfsNetns, share_server};
use bulkhead_btrfs_pool::{access, manage, share, size, snapshot};
use bulkhead_sdk::{
    AccessRule, Creation, Extend, Manage, ManageSnapshots, ManagedShare, ManagedSnapshot, MountableSnapshots,
    Result, Reversion, Revert, SecurityService, ServerNetwork, ServerOutcome, ServerRequest, Share,
    ShareFromSnapshot, ShareServer, ShareServers, ShareUsage, Shrink, Snapshot, SnapshotAccessRule,
    SnapshotAccessUpdate, SnapshotOutcome, Snapshots, Usage,
};

impl Snapshots for BtrfsNetns {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for BtrfsNetns {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share_server::check(share)?;
        share::create_from_snapshot(share, source)
    }
}

impl Revert for BtrfsNetns {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl Extend for BtrfsNetns {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for BtrfsNetns {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}

impl MountableSnapshots for BtrfsNetns {
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
        access::update_snapshot(snapshot, &update.rules)
    }
}

impl Manage for BtrfsNetns {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        manage::take_share(share)
    }
}

impl ManageSnapshots for BtrfsNetns {
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        _driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        manage::take_snapshot(snapshot)
    }
}

impl ShareServers for BtrfsNetns {
    fn network_allocations_number() -> Result<u32> {
        Ok(1)
    }

    fn admin_network_allocations_number() -> Result<u32> {
        share_server::admin_addresses_number()
    }

    fn setup_server(network: &ServerNetwork, _request: &ServerRequest) -> Result<ServerOutcome> {
        share_server::set_up(network)
    }

    fn teardown_server(server: &ShareServer, _security_services: &[SecurityService]) -> Result<()> {
        share_server::tear_down(server)
    }
}

impl Usage for BtrfsNetns {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        Ok(size::usage(shares))
    }
}
