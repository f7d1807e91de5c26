//! Shares as btrfs subvolumes, exported by an NFS-Ganesha of the backend's own: the reference driver.
//!
//! ```text
//! pool/                                    config/
//!   shares/share-A        a share            bus.conf, ganesha.conf
//!   shares/.share-A.new   one in the making  exports/share-A.conf            who may mount it
//!   snapshots/share-snapshot-B               exports/share-snapshot-B.conf   where snapshots can be mounted
//!   replication/…         see `replica`
//! ```
//!
//! Three rules carry everything else. **A final name appears in one step**: a share gets its limit under a name that begins with a dot
//! and is then renamed or exchanged, so that after a crash at any point it is whole or not there. **Every function may be repeated**:
//! it looks for what an earlier attempt left, removes what is half and keeps what is whole. **The server is told, never trusted**: what
//! it says of an export is remembered, and put right where it has changed.
//!
//! Nothing here spells a path or an argument. `driver.toml` beside this file is the whole of what the driver may do. What shares, snapshots
//! and exports are stands in the crate `bulkhead-btrfs-pool`, which this driver has in common with `btrfs-netns`.

mod abilities;
mod backend;
mod place;
mod replica;

use bulkhead_btrfs_pool::server::Server;
use bulkhead_btrfs_pool::{access, share};
use bulkhead_sdk::{
    Access, AccessUpdate, Driver, EnsuredShare, ExportLocation, IpVersion, Result, RuleOutcome, Share,
    Statistics,
};

/// The driver. It has no state: what must be remembered stands in the pool, in the exports' files or in private data.
#[derive(Debug)]
pub struct BtrfsGanesha;

bulkhead_sdk::export_driver!(
    BtrfsGanesha: access, snapshots, share_from_snapshot, revert, mountable_snapshots, extend, shrink, manage, manage_snapshots,
    replication, replicated_snapshots, replicated_revert, usage
);

impl Driver for BtrfsGanesha {
    fn setup() -> Result<()> {
        backend::check()
    }

    fn stats() -> Result<Statistics> {
        backend::statistics()
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        backend::fingerprint()
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        Ok(Server::of_backend()?.options().ip_versions())
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        share::create(share)
    }

    fn delete_share(share: &Share) -> Result<()> {
        share::delete(share)?;
        replica::forget(&share.into())
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        // It is the only one: where it does not run, nothing can be ensured.
        Server::of_backend()?.start()?;
        share::ensure_all(shares)
    }
}

impl Access for BtrfsGanesha {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(share, update)
    }
}
