//! Shares as volumes of an array that is managed over HTTPS: the pattern most vendors need.
//!
//! Three rules carry everything. **The array's names are ours**: a volume is called as the host calls the share, so a repeated attempt
//! finds what an earlier one made, and nobody's call names another tenant's volume. **The array is asked before it is told**, and what it
//! refuses because it is there already is looked at again. **The array works on after it has answered**: its last work on a volume is
//! asked for by the volume's name until it has ended, so that nothing has to be remembered here, whoever asks and whichever controller
//! answers.
//!
//! Logging in, tokens, controllers that fail over and certificates are the host's. `driver.toml` beside this file is every request there is.

mod access;
mod array;
mod share;
mod size;
mod snapshot;
mod statistics;
mod work;

use bulkhead_sdk::{
    Access, AccessRule, AccessUpdate, Creation, Driver, EnsuredShare, ExportLocation, Extend, IpVersion,
    Pool, Result, Reversion, Revert, RuleOutcome, Share, ShareFromSnapshot, Shrink, Snapshot,
    SnapshotAccessRule, SnapshotOutcome, Snapshots, Statistics,
};

/// The driver. It remembers nothing: what there is, the array knows.
#[derive(Debug)]
pub struct RestAppliance;

bulkhead_sdk::export_driver!(RestAppliance: access, snapshots, share_from_snapshot, revert, extend, shrink);

impl Driver for RestAppliance {
    fn setup() -> Result<()> {
        statistics::check()
    }

    fn stats() -> Result<Statistics> {
        let pools: Vec<Pool> = vec![statistics::pool()?];
        Ok(Statistics { pools, ..Statistics::default() })
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        statistics::fingerprint()
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        Ok(vec![share::ip_version()?])
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        share::create(share)
    }

    fn delete_share(share: &Share) -> Result<()> {
        share::delete(share)
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        shares.iter().map(share::ensure).collect()
    }
}

impl Access for RestAppliance {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(share, update)
    }
}

impl Snapshots for RestAppliance {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(snapshot: &Snapshot) -> Result<()> {
        snapshot::delete(snapshot)
    }
}

impl ShareFromSnapshot for RestAppliance {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for RestAppliance {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl Extend for RestAppliance {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for RestAppliance {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}
