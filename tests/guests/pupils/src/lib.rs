//! A small driver that keeps the contract, or breaks the one sentence that the option `flaw` tells it to break. See README.md.

mod access;
mod flaw;
mod group;
mod place;
mod replica;
mod share;
mod snapshot;

use bulkhead_sdk::{
    Access, AccessRule, AccessUpdate, Capacity, Consistency, CreatedShare, Creation, Driver, EnsuredShare,
    Error, ExportLocation, Extend, GroupShareSource, GroupSnapshots, IpVersion, Manage, ManagedShare, Pool,
    Promotion, Replica, ReplicaOutcome, ReplicaState, ReplicaView, Replication, Result, Reversion, Revert,
    RuleOutcome, Share, ShareFromSnapshot, ShareGroup, ShareGroupSnapshot, ShareGroups, ShareUsage, Shrink,
    Snapshot, SnapshotAccessRule, SnapshotOutcome, SnapshotUpdate, Snapshots, Statistics, Usage, clock,
};
use flaw::has;

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
    usage,
    share_groups,
    group_snapshots,
    replication
);

impl Driver for Pupil {
    fn setup() -> Result<()> {
        if has("set-up-once")? {
            flaw::once_per_backend("set-up")?;
        }
        Ok(())
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
        Ok(Statistics { pools: vec![Pool { total, free, ..Pool::new("pupils") }], ..Statistics::default() })
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

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        share::create(share)
    }

    fn delete_share(share: &Share) -> Result<()> {
        share::delete(share)
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        share::ensure(shares)
    }
}

impl Access for Pupil {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(share, update)
    }
}

impl Snapshots for Pupil {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for Pupil {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for Pupil {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl Extend for Pupil {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        share::extend(share, new_size_gib)
    }
}

impl Shrink for Pupil {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        share::shrink(share, new_size_gib)
    }
}

impl Manage for Pupil {
    fn manage_existing(share: &Share, _driver_options: &[(String, String)]) -> Result<ManagedShare> {
        share::manage(share)
    }

    fn unmanage(share: &Share) -> Result<()> {
        share::unmanage(share)
    }
}

impl Usage for Pupil {
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>> {
        share::usage(shares)
    }
}

impl ShareGroups for Pupil {
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

impl GroupSnapshots for Pupil {
    fn consistency_unit() -> Result<Consistency> {
        if has("no-unit")? {
            return Err(Error::internal("nobody knows"));
        }
        Ok(Consistency::Pool)
    }

    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>> {
        group::take(snapshot)
    }

    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()> {
        group::remove(snapshot)
    }
}

impl Replication for Pupil {
    fn create_replica(view: &ReplicaView) -> Result<ReplicaOutcome> {
        replica::create(view)
    }

    fn delete_replica(_replicas: &[Replica], replica: &Replica, _snapshots: &[Snapshot]) -> Result<()> {
        replica::delete(replica)
    }

    fn promote_replica(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
        replica::promote(promotion)
    }

    fn update_replica_state(_view: &ReplicaView) -> Result<Option<ReplicaState>> {
        Ok(Some(ReplicaState::InSync))
    }
}
