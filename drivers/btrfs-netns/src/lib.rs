//! Shares as btrfs subvolumes, each tenant's exported by an NFS-Ganesha of its own: the reference driver with share servers.
//!
//! ```text
//! pool/                        config/                            a share server
//!   shares/share-A               bus.conf                           network namespace: the addresses that the host allocated
//!   snapshots/share-snapshot-B   share-server-S/ganesha.conf        mounts: /run/exports/share-A
//!                                share-server-S/exports/share-A.conf  bus, portmapper, NFS-Ganesha
//! ```
//!
//! A share server is one instance of the group `ganesha` of `driver.toml`, with a directory of configuration. The host makes its network
//! namespace and gives it the addresses it allocated; the driver says which programs run in it and what they read. Who serves a share, and
//! everything about pools, exports and snapshots, stands in the crate `bulkhead-btrfs-pool`, which this driver has in common with
//! `btrfs-ganesha`. **Every function may be repeated**: a server that was killed is started again by the next call that meets it, and by
//! ensuring, with the same addresses.
//!
//! Nothing here spells a path, an argument or an address. `driver.toml` beside this file is the whole of what the driver may do.

mod abilities;
mod share_server;

use bulkhead_btrfs_pool::{access, share, statistics};
use bulkhead_sdk::{
    Access, AccessUpdate, Driver, EnsuredShare, ExportLocation, IpVersion, Result, RuleOutcome, Share,
    Statistics,
};

/// The driver. It has no state: what must be remembered stands in the pool, in files or in private data.
#[derive(Debug)]
pub struct BtrfsNetns;

bulkhead_sdk::export_driver!(
    BtrfsNetns: access, snapshots, share_from_snapshot, revert, mountable_snapshots, extend, shrink, manage, manage_snapshots,
    share_servers, usage
);

impl Driver for BtrfsNetns {
    fn setup() -> Result<()> {
        share_server::check_options()?;
        statistics::check_pool(&["shares", "snapshots"])
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics { pools: vec![statistics::pool()?], ..Statistics::default() })
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        // Servers are the tenants', which no call about the backend reaches: those that died are found by ensuring.
        Ok(vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        Ok(vec![IpVersion::V4, IpVersion::V6])
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        share_server::check(share)?;
        share::create(share)
    }

    fn delete_share(share: &Share) -> Result<()> {
        share::delete(share)
    }

    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        share::ensure_all(shares)
    }
}

impl Access for BtrfsNetns {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update(share, update)
    }
}
