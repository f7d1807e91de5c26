//! Shares as directories beneath a root: the driver to read first.
//!
//! ```text
//! shares/                             exports/
//!   share-A/            a share         share-A.exports    who may mount it; not there while nobody may
//!   share-A@snapshot-B/ a snapshot
//!   .share-A.new/       a copy in the making, for a new share or a revert
//!   .share-A@snapshot-B.new/   the same for a snapshot
//! ```
//!
//! Two rules carry everything else. **A final name appears in one step**: copies are made under a name that begins with a dot and then
//! renamed or exchanged, so after a crash at any point a share and a snapshot are whole or not there. **Every function may be
//! repeated**: it looks for what an earlier attempt left, removes what is half and keeps what is whole.
//!
//! Nothing here spells a path. `{share}` and `{snapshot}` are filled in by the host with names of this call, so one tenant's call
//! cannot reach another tenant's directory. `driver.toml` beside this file is the whole of what the driver may do.

mod access;
mod copy;
mod place;
mod share;
mod size;
mod snapshot;
mod statistics;

use bulkhead_sdk::{
    Access, AccessRule, AccessUpdate, Creation, Driver, EnsuredShare, ExportLocation, Extend, IpVersion,
    Pool, Result, Reversion, Revert, RuleOutcome, Share, ShareFromSnapshot, Shrink, Snapshot,
    SnapshotAccessRule, SnapshotOutcome, Snapshots, Statistics,
};

/// The driver. It has no state: what must be remembered is a directory, or stands in private data.
#[derive(Debug)]
pub struct Directory;

bulkhead_sdk::export_driver!(Directory: access, snapshots, share_from_snapshot, revert, extend, shrink);

impl Driver for Directory {
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
        Ok(vec![place::ip_version()?])
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        share::create(share)
    }

    fn delete_share(_share: &Share) -> Result<()> {
        share::delete()
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        shares.iter().map(share::ensure).collect()
    }
}

impl Access for Directory {
    fn update_access(_share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(update)
    }
}

impl Snapshots for Directory {
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        snapshot::create(snapshot)
    }

    fn delete_snapshot(_snapshot: &Snapshot) -> Result<()> {
        snapshot::delete()
    }
}

impl ShareFromSnapshot for Directory {
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation> {
        share::create_from_snapshot(share, source)
    }
}

impl Revert for Directory {
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        _share_rules: &[AccessRule],
        _snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        snapshot::revert(snapshot)
    }
}

impl Extend for Directory {
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::extend(share, new_size_gib)
    }
}

impl Shrink for Directory {
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()> {
        size::shrink(share, new_size_gib)
    }
}
