//! A hostile build of the directory driver: the same source files, and beside each call what `behaviour` says. See README.md.

mod attack;
mod behaviour;
mod harm;
mod lie;
mod victim;

// The driver itself, file by file: its crate exports it already, and two drivers do not fit into one component.
#[path = "../../../../drivers/directory/src/access.rs"]
mod access;
#[path = "../../../../drivers/directory/src/copy.rs"]
mod copy;
#[path = "../../../../drivers/directory/src/place.rs"]
mod place;
#[path = "../../../../drivers/directory/src/share.rs"]
mod share;
#[path = "../../../../drivers/directory/src/size.rs"]
mod size;
#[path = "../../../../drivers/directory/src/snapshot.rs"]
mod snapshot;
#[path = "../../../../drivers/directory/src/statistics.rs"]
mod statistics;

use behaviour::Told;
use bulkhead_sdk::{
    Access, AccessRule, AccessUpdate, Creation, Driver, EnsuredShare, ExportLocation, Extend, IpVersion,
    Result, Reversion, Revert, RuleOutcome, Share, ShareFromSnapshot, Shrink, Snapshot, SnapshotAccessRule,
    SnapshotOutcome, Snapshots, Statistics,
};

/// The driver.
#[derive(Debug)]
pub struct Hostile;

bulkhead_sdk::export_driver!(Hostile: access, snapshots, share_from_snapshot, revert, extend, shrink);

impl Driver for Hostile {
    fn setup() -> Result<()> {
        Told::in_function("setup")?.act()?;
        statistics::check()
    }

    fn stats() -> Result<Statistics> {
        let told = Told::in_function("stats")?;
        told.act()?;
        Ok(lie::statistics(&told, Statistics { pools: vec![statistics::pool()?], ..Statistics::default() }))
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        let told = Told::in_function("backend-info")?;
        told.act()?;
        Ok(lie::fingerprint(&told, statistics::fingerprint()?))
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        let told = Told::in_function("ip-versions")?;
        told.act()?;
        Ok(lie::ip_versions(&told, vec![place::ip_version()?]))
    }

    fn default_filter_function() -> Result<Option<String>> {
        let told = Told::in_function("default-filter-function")?;
        told.act()?;
        Ok(lie::function(&told))
    }

    fn default_goodness_function() -> Result<Option<String>> {
        let told = Told::in_function("default-goodness-function")?;
        told.act()?;
        Ok(lie::function(&told))
    }

    fn pool_of(share: &Share) -> Result<Option<String>> {
        let told = Told::about_share("pool-of", share)?;
        told.act()?;
        Ok(lie::pool(&told))
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        let told = Told::about_share("create-share", share)?;
        told.act()?;
        Ok(lie::locations(&told, share::create(share)?))
    }

    fn delete_share(share: &Share) -> Result<()> {
        Told::about_share("delete-share", share)?.act()?;
        share::delete()?;
        victim::forget_share(share)
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        let told = Told::about_shares("ensure-shares", shares)?;
        told.act()?;
        let ensured: Result<Vec<EnsuredShare>> = shares.iter().map(share::ensure).collect();
        Ok(lie::ensured(&told, ensured?))
    }
}

impl Access for Hostile {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        let told = Told::about_share("update-access", share)?;
        told.act()?;
        Ok(lie::outcomes(&told, access::update(update)?))
    }
}

impl Snapshots for Hostile {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        let told = Told::about_snapshot("create-snapshot", snapshot)?;
        told.act()?;
        Ok(lie::snapshot(&told, snapshot::create(snapshot)?))
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        Told::about_snapshot("delete-snapshot", snapshot)?.act()?;
        snapshot::delete()?;
        victim::forget_snapshot(snapshot)
    }
}

impl ShareFromSnapshot for Hostile {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        // The source may be read under its own patterns, never named otherwise: it is a victim like any other.
        let told = Told::about_share("create-share-from-snapshot", share)?;
        told.act()?;
        Ok(lie::creation(&told, share::create_from_snapshot(share, source)?))
    }
}

impl Revert for Hostile {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        let told = Told::about_snapshot("revert-to-snapshot", snapshot)?;
        told.act()?;
        Ok(lie::reversion(&told, snapshot::revert(snapshot)?))
    }
}

impl Extend for Hostile {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        Told::about_share("extend-share", share)?.act()?;
        size::extend(share, new_size_gib)
    }
}

impl Shrink for Hostile {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        Told::about_share("shrink-share", share)?.act()?;
        size::shrink(share, new_size_gib)
    }
}
