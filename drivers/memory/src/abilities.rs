//! What the driver can do beyond the required: each ability in a line, the work in the module of its noun.

use crate::{
    Memory, access, group, manage, metadata, migration, options, pending, replica, server, server_update,
    share, size, snapshot,
};
use bulkhead_sdk::{
    AccessRule, AllocationOutcome, AllocationUpdate, Connection, Consistency, CreatedShare, Creation, Extend,
    FirstPhase, GroupShareSource, GroupSnapshots, HookData, Manage, ManageServers, ManageSnapshots,
    ManagedShare, ManagedSnapshot, MetadataUpdates, Migration, MigrationCompatibility, MigrationOutcome,
    MountableSnapshots, NetworkAllocation, PeriodicHook, Promotion, Replica, ReplicaOutcome, ReplicaSnapshot,
    ReplicaState, ReplicaView, ReplicatedReversion, ReplicatedRevert, ReplicatedSnapshots, Replication,
    Result, Reversion, Revert, SecurityService, SecurityServiceUpdate, ServerChoiceForGroup,
    ServerChoiceForShare, ServerNetwork, ServerOutcome, ServerRequest, ServerUpdates, Share,
    ShareFromSnapshot, ShareGroup, ShareGroupSnapshot, ShareGroups, ShareMigration, ShareNetwork,
    ShareNetworkSubnet, ShareProgress, ShareRuleOutcomes, ShareServer, ShareServers, ShareStatus, ShareUsage,
    Shrink, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate, SnapshotOutcome, SnapshotUpdate, Snapshots,
    SubnetAddition, Usage,
};

impl Snapshots for Memory {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for Memory {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for Memory {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl MountableSnapshots for Memory {
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
        access::update_snapshot(snapshot, &update.rules)
    }
}

impl Extend for Memory {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for Memory {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}

impl Usage for Memory {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        size::usage(shares)
    }
}

impl Manage for Memory {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        manage::take_share(share)
    }

    fn unmanage(share: &Share) -> Result<()> {
        manage::let_share_go(share)
    }
}

impl ManageSnapshots for Memory {
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        _driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        manage::take_snapshot(snapshot)
    }

    fn unmanage_snapshot(snapshot: &Snapshot) -> Result<()> {
        manage::let_snapshot_go(snapshot)
    }
}

impl ShareGroups for Memory {
    fn create_share_group(group: &ShareGroup) -> Result<()> {
        group::create(group)
    }

    fn delete_share_group(group: &ShareGroup) -> Result<()> {
        group::delete(group)
    }

    fn create_share_group_from_snapshot(
        group: &ShareGroup,
        _snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>> {
        group::create_from_snapshot(group, sources)
    }
}

impl GroupSnapshots for Memory {
    fn consistency_unit() -> Result<Consistency> {
        Ok(Consistency::Host)
    }

    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
        group::create_snapshot(snapshot)
    }

    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
        group::delete_snapshot(snapshot)
    }
}

impl ShareServers for Memory {
    fn network_allocations_number() -> Result<u32> {
        options::server_addresses()
    }

    fn admin_network_allocations_number() -> Result<u32> {
        options::server_admin_addresses()
    }

    fn setup_server(network: &ServerNetwork, _request: &ServerRequest) -> Result<ServerOutcome> {
        server::set_up(network)
    }

    fn teardown_server(server: &ShareServer, _security_services: &[SecurityService]) -> Result<()> {
        server::tear_down(server)
    }

    fn choose_share_server_for_share(choice: &ServerChoiceForShare) -> Result<Option<String>> {
        Ok(server::choose_for_share(choice))
    }

    fn choose_share_server_for_group(choice: &ServerChoiceForGroup) -> Result<Option<String>> {
        Ok(server::choose_for_group(choice))
    }

    fn share_server_pools(_server: &ShareServer) -> Result<Vec<String>> {
        // Every server reaches every pool.
        Ok(Vec::new())
    }

    fn after_allocation(server: &ShareServer, allocations: &[NetworkAllocation]) -> Result<()> {
        server::check_addresses(server, allocations)
    }

    fn before_release(_server: &ShareServer, _allocations: &[NetworkAllocation]) -> Result<()> {
        // Nothing at the array knows of them any more.
        Ok(())
    }
}

impl ServerUpdates for Memory {
    fn check_security_service_update(update: &SecurityServiceUpdate) -> Result<bool> {
        server_update::check_service(update)
    }

    fn update_security_service(update: &SecurityServiceUpdate) -> Result<Vec<ShareRuleOutcomes>> {
        server_update::update_service(update)
    }

    fn check_network_allocations_update(addition: &SubnetAddition) -> Result<bool> {
        Ok(server_update::check_subnet(addition))
    }

    fn update_network_allocations(update: &AllocationUpdate) -> Result<AllocationOutcome> {
        server_update::update_addresses(update)
    }
}

impl ManageServers for Memory {
    fn share_server_network_info(
        server: &ShareServer,
        identifier: &str,
        _driver_options: &[(String, String)],
    ) -> Result<Vec<String>> {
        server::addresses_of(server, identifier)
    }

    fn manage_server(
        server: &ShareServer,
        identifier: &str,
        _driver_options: &[(String, String)],
    ) -> Result<ServerOutcome> {
        server::take(server, identifier)
    }

    fn unmanage_server(server: &ShareServer, _security_services: &[SecurityService]) -> Result<()> {
        server::let_go(server)
    }
}

impl Replication for Memory {
    fn create_replica(view: &ReplicaView) -> Result<ReplicaOutcome> {
        replica::create(view)
    }

    fn delete_replica(_replicas: &[Replica], replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
        replica::delete(replica, snapshots)
    }

    fn promote_replica(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
        replica::promote(promotion)
    }

    fn update_replica_state(view: &ReplicaView) -> Result<Option<ReplicaState>> {
        replica::update_state(view).map(Some)
    }
}

impl ReplicatedSnapshots for Memory {
    fn create_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::create_snapshot(replicas, snapshots)
    }

    fn delete_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        replica::delete_snapshot(replicas, snapshots)
    }

    fn update_replicated_snapshot(
        replicas: &[Replica],
        _replica: &Replica,
        snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>> {
        replica::update_snapshot(replicas, snapshots, snapshot)
    }
}

impl ReplicatedRevert for Memory {
    fn revert_to_replicated_snapshot(reversion: &ReplicatedReversion) -> Result<()> {
        // The others follow at their next update.
        snapshot::revert_now(&reversion.active_snapshot.snapshot)
    }
}

impl ShareStatus for Memory {
    fn share_status(share: &Share) -> Result<ShareProgress> {
        pending::progress(share)
    }
}

impl PeriodicHook for Memory {
    fn periodic_hook_data(shares: &[Share]) -> Result<Vec<HookData>> {
        metadata::for_hooks(shares)
    }
}

impl MetadataUpdates for Memory {
    fn share_creation_metadata(share: &Share) -> Result<Vec<(String, String)>> {
        metadata::of_new(share)
    }

    fn update_share_from_metadata(share: &Share, metadata: &[(String, String)]) -> Result<()> {
        metadata::follow(share, metadata)
    }

    fn update_subnet_from_metadata(
        _network: &ShareNetwork,
        _subnet: &ShareNetworkSubnet,
        server: &ShareServer,
        metadata: &[(String, String)],
    ) -> Result<()> {
        server::follow(&server.id, metadata)
    }
}

impl Migration for Memory {
    fn migration_check_compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility> {
        migration::compatibility(migration)
    }

    fn migration_start(migration: &ShareMigration) -> Result<()> {
        migration::start(migration)
    }

    fn migration_continue(migration: &ShareMigration) -> Result<FirstPhase> {
        migration::first_phase(migration)
    }

    fn migration_complete(migration: &ShareMigration) -> Result<MigrationOutcome> {
        migration::complete(migration)
    }

    fn migration_cancel(migration: &ShareMigration) -> Result<()> {
        migration::cancel(migration)
    }

    fn migration_progress(migration: &ShareMigration) -> Result<u32> {
        migration::percent(migration)
    }

    fn connection_info(share: &Share) -> Result<Connection> {
        migration::connection(share)
    }
}
