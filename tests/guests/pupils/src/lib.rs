//! A small driver that keeps the contract, or breaks the one sentence that the option `flaw` tells it to break. See README.md.

mod access;
mod beside;
mod flaw;
mod group;
mod migration;
mod pending;
mod place;
mod replica;
mod server;
mod share;
mod snapshot;

use bulkhead_sdk::private_data::Owner;
use bulkhead_sdk::{
    Access, AccessRule, AccessUpdate, AllocationOutcome, AllocationUpdate, Capacity, Connection, Consistency,
    CreatedShare, Creation, Driver, EnsuredShare, Error, ExportLocation, Extend, FirstPhase,
    GroupShareSource, GroupSnapshots, HookData, IpVersion, Manage, ManageSnapshots, ManagedShare,
    ManagedSnapshot, MetadataUpdates, Migration, MigrationCompatibility, MigrationOutcome,
    MountableSnapshots, NetworkAllocation, PeriodicHook, Pool, Promotion, ReexportedShare, Replica,
    ReplicaOutcome, ReplicaSnapshot, ReplicaState, ReplicaView, ReplicatedReversion, ReplicatedRevert,
    ReplicatedSnapshots, Replication, Resource, Result, Reversion, Revert, RuleOutcome, SecurityService,
    SecurityServiceUpdate, ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork, ServerOutcome,
    ServerRequest, ServerUpdates, Share, ShareFromSnapshot, ShareGroup, ShareGroupSnapshot, ShareGroups,
    ShareMigration, ShareProgress, ShareRuleOutcomes, ShareServer, ShareServers, ShareStatus, ShareUsage,
    Shrink, Snapshot, SnapshotAccessRule, SnapshotAccessUpdate, SnapshotOutcome, SnapshotUpdate, Snapshots,
    Statistics, SubnetAddition, Usage, clock,
};
use flaw::{fail_if, has, held};
use place::of;

/// The driver.
#[derive(Debug)]
pub struct Pupil;

bulkhead_sdk::export_driver!(
    Pupil: access,
    snapshots,
    share_from_snapshot,
    revert,
    extend,
    shrink,
    manage,
    manage_snapshots,
    mountable_snapshots,
    migration,
    usage,
    periodic_hook,
    share_status,
    metadata_updates,
    share_groups,
    group_snapshots,
    replication,
    replicated_snapshots,
    replicated_revert,
    share_servers,
    server_updates
);

impl Driver for Pupil {
    fn setup() -> Result<()> {
        if has("set-up-once")? {
            flaw::once_per_backend("set-up")?;
        }
        held("setup", &Owner::Backend, flaw::begin_anew)
    }

    fn stats() -> Result<Statistics> {
        let (mut total, mut free) = (100.0, 60.0);
        if has("stats-nan")? {
            total = f64::NAN;
        }
        if has("stats-free-above-total")? {
            free = 101.0;
        }
        if has("stats-writes")? {
            flaw::note_for_backend(&clock::new_id())?;
        }
        let (total, free) = (Capacity::Gib(total), Capacity::Gib(free));
        let pools = migration::POOLS.map(|name| Pool { total, free, ..Pool::new(name) });
        Ok(Statistics { pools: pools.into(), ..Statistics::default() })
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        let version = if has("fingerprint-of-time")? { clock::new_id() } else { "1".to_owned() };
        Ok(vec![("version".to_owned(), version)])
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        let mut versions = vec![IpVersion::V4];
        if has("promises-ipv6")? {
            versions.push(IpVersion::V6);
        }
        Ok(versions)
    }

    fn default_filter_function() -> Result<Option<String>> {
        fail_if("no-filter-function")?;
        Ok(None)
    }

    fn default_goodness_function() -> Result<Option<String>> {
        fail_if("no-goodness-function")?;
        Ok(None)
    }

    fn pool_of(share: &Share) -> Result<Option<String>> {
        Ok(if has("pool-of-nowhere")? { Some("nowhere".to_owned()) } else { share.pool.clone() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        held("create-share", &of(share), || share::create(share))
    }

    fn delete_share(share: &Share) -> Result<()> {
        held("delete-share", &of(share), || share::delete(share))
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        match shares.first() {
            Some(first) => held("ensure-shares", &of(first), || share::ensure(shares)),
            None => Ok(Vec::new()),
        }
    }
}

impl Access for Pupil {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(share, update)
    }
}

impl Snapshots for Pupil {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        held("create-snapshot", &of(snapshot), || snapshot::create(snapshot))
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        held("delete-snapshot", &of(snapshot), || snapshot::delete(snapshot))
    }
}

impl ShareFromSnapshot for Pupil {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        held("create-share-from-snapshot", &of(share), || share::create_from_snapshot(share, source))
    }
}

impl Revert for Pupil {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        held("revert-to-snapshot", &of(&snapshot.share), || snapshot::revert(snapshot))
    }
}

impl Extend for Pupil {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        held("extend-share", &of(share), || share::extend(share, new_size_gib))
    }
}

impl Shrink for Pupil {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        held("shrink-share", &of(share), || share::shrink(share, new_size_gib))
    }
}

impl Manage for Pupil {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        held("manage-existing", &of(share), || share::manage(share))
    }

    fn unmanage(share: &Share) -> Result<()> {
        held("unmanage", &of(share), || share::unmanage(share))
    }
}

impl ManageSnapshots for Pupil {
    fn manage_existing_snapshot(
        snapshot: &Snapshot,
        _driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        held("manage-existing-snapshot", &of(snapshot), || snapshot::manage(snapshot))
    }

    fn unmanage_snapshot(snapshot: &Snapshot) -> Result<()> {
        held("unmanage-snapshot", &of(snapshot), || snapshot::unmanage(snapshot))
    }
}

impl MountableSnapshots for Pupil {
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()> {
        held("snapshot-update-access", &of(snapshot), || snapshot::update_access(snapshot, update))
    }
}

impl Migration for Pupil {
    fn migration_check_compatibility(migration: &ShareMigration) -> Result<MigrationCompatibility> {
        migration::compatibility(migration)
    }

    fn migration_start(migration: &ShareMigration) -> Result<()> {
        held("migration-start", &of(&migration.destination_share), || migration::start(migration))
    }

    fn migration_continue(migration: &ShareMigration) -> Result<FirstPhase> {
        held("migration-continue", &of(&migration.destination_share), || migration::go_on(migration))
    }

    fn migration_complete(migration: &ShareMigration) -> Result<MigrationOutcome> {
        held("migration-complete", &of(&migration.destination_share), || migration::complete(migration))
    }

    fn migration_cancel(migration: &ShareMigration) -> Result<()> {
        held("migration-cancel", &of(&migration.source_share), || migration::cancel(migration))
    }

    fn migration_progress(migration: &ShareMigration) -> Result<u32> {
        migration::percent(migration)
    }

    fn connection_info(share: &Share) -> Result<Connection> {
        migration::connection(share)
    }
}

impl ShareStatus for Pupil {
    fn share_status(share: &Share) -> Result<ShareProgress> {
        held("share-status", &of(share), || pending::progress(share))
    }
}

impl PeriodicHook for Pupil {
    fn periodic_hook_data(shares: &[Share]) -> Result<Vec<HookData>> {
        beside::for_hooks(shares)
    }
}

impl MetadataUpdates for Pupil {
    fn share_creation_metadata(share: &Share) -> Result<Vec<(String, String)>> {
        beside::of_new(share)
    }

    fn update_share_from_metadata(share: &Share, metadata: &[(String, String)]) -> Result<()> {
        held("update-share-from-metadata", &of(share), || beside::follow(share, metadata))
    }
}

impl Usage for Pupil {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        share::usage(shares)
    }
}

impl ShareGroups for Pupil {
    fn create_share_group(group: &ShareGroup) -> Result<()> {
        held("create-share-group", &of(group), || group::create(group))
    }

    fn delete_share_group(group: &ShareGroup) -> Result<()> {
        held("delete-share-group", &of(group), || group::delete(group))
    }

    fn create_share_group_from_snapshot(
        group: &ShareGroup,
        _snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>> {
        held("create-share-group-from-snapshot", &of(group), || group::create_from_snapshot(group, sources))
    }
}

impl GroupSnapshots for Pupil {
    fn consistency_unit() -> Result<Consistency> {
        if has("no-unit")? {
            return Err(Error::internal("nobody knows"));
        }
        Ok(Consistency::Pool)
    }

    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
        held("create-share-group-snapshot", &of(&snapshot.share_group), || group::take(snapshot))
    }

    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
        held("delete-share-group-snapshot", &of(&snapshot.share_group), || group::remove(snapshot))
    }
}

impl Replication for Pupil {
    fn create_replica(view: &ReplicaView) -> Result<ReplicaOutcome> {
        held("create-replica", &of(&view.replica.share), || replica::create(view))
    }

    fn delete_replica(_replicas: &[Replica], replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
        held("delete-replica", &of(&replica.share), || replica::delete(replica, snapshots))
    }

    fn promote_replica(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
        held("promote-replica", &of(&promotion.replica.share), || replica::promote(promotion))
    }

    fn update_replica_state(view: &ReplicaView) -> Result<Option<ReplicaState>> {
        held("update-replica-state", &of(&view.replica.share), || replica::update_state().map(Some))
    }
}

impl ReplicatedSnapshots for Pupil {
    fn create_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        let owner = replica::owner_of_all(snapshots);
        held("create-replicated-snapshot", &owner, || replica::take_snapshot(replicas, snapshots))
    }

    fn delete_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>> {
        let owner = replica::owner_of_all(snapshots);
        held("delete-replicated-snapshot", &owner, || replica::delete_snapshot(replicas, snapshots))
    }

    fn update_replicated_snapshot(
        _replicas: &[Replica],
        _replica: &Replica,
        _snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>> {
        let owner = of(&snapshot.snapshot);
        held("update-replicated-snapshot", &owner, || replica::update_snapshot(snapshot).map(Some))
    }
}

impl ReplicatedRevert for Pupil {
    fn revert_to_replicated_snapshot(reversion: &ReplicatedReversion) -> Result<()> {
        held("revert-to-replicated-snapshot", &of(&reversion.active_replica.share), || {
            replica::revert(reversion)
        })
    }
}

impl ShareServers for Pupil {
    fn network_allocations_number() -> Result<u32> {
        server::count()
    }

    fn setup_server(network: &ServerNetwork, _: &ServerRequest) -> Result<ServerOutcome> {
        let owner = Owner::Of(Resource::ShareServer(network.server_id.clone()));
        held("setup-server", &owner, || server::set_up(network))
    }

    fn teardown_server(server: &ShareServer, _: &[SecurityService]) -> Result<()> {
        held("teardown-server", &of(server), || server::tear_down(server))
    }

    fn choose_share_server_for_share(choice: &ServerChoiceForShare) -> Result<Option<String>> {
        server::choose(&choice.candidates, ["chooses-a-stranger", "chooses-and-writes"])
    }

    fn choose_share_server_for_group(choice: &ServerChoiceForGroup) -> Result<Option<String>> {
        let flaws = ["chooses-a-stranger-for-groups", "chooses-for-groups-and-writes"];
        server::choose(&choice.candidates, flaws)
    }

    fn share_server_pools(_: &ShareServer) -> Result<Vec<String>> {
        server::pools()
    }

    fn after_allocation(server: &ShareServer, allocations: &[NetworkAllocation]) -> Result<()> {
        server::hear(server, allocations)
    }

    fn before_release(server: &ShareServer, allocations: &[NetworkAllocation]) -> Result<()> {
        server::hear_of_release(server, allocations)
    }
}

impl ServerUpdates for Pupil {
    fn check_security_service_update(_: &SecurityServiceUpdate) -> Result<bool> {
        server::could("checks-services-and-writes")
    }

    fn update_security_service(update: &SecurityServiceUpdate) -> Result<Vec<ShareRuleOutcomes>> {
        server::update(&update.server, "joins-once")?;
        Ok(Vec::new())
    }

    fn check_network_allocations_update(_: &SubnetAddition) -> Result<bool> {
        server::could("checks-subnets-and-writes")
    }

    fn update_network_allocations(update: &AllocationUpdate) -> Result<AllocationOutcome> {
        server::update(&update.server, "grows-once")?;
        let mut outcome = AllocationOutcome::default();
        for share in &update.shares {
            let export_locations = place::locations(share)?;
            outcome.shares.push(ReexportedShare { share_id: share.id.clone(), export_locations });
        }
        Ok(outcome)
    }
}
