//! Shares that exist in private data alone: an array without disks. Nothing can be mounted; everything else a good array does, it does.
//!
//! ```text
//! private data of a share or snapshot           private data of the backend
//!   volume      pool, size, what it holds         pool/NAME               what is given out, and changes under way
//!   rule/ID     a client that may come in         left/NAME               a share that nobody manages
//!   own-address the server it has an address at   left-snapshot/NAME      a snapshot that nobody manages
//! private data of a group                         left-server/NAME        a share server that nobody manages
//!   group       that it is there                  taken/NAME              an object of an option that was taken over
//! private data of a share server
//!   server      its addresses
//! ```
//!
//! Three rules carry everything else. **One value tells whether an object is there**: its `volume`, which is written last when it is
//! made and removed last when it goes. **Every function may be repeated**: it looks for what an earlier attempt left. **Sums are moved,
//! never recounted**: see `pool`, which stays right whichever call dies where.
//!
//! A share's content is a word. It is the share's id when the share is made; snapshots, clones, reverts and replicas carry it along, so
//! that a test can tell whether the right content is there. A tenant writes by setting the metadata `content` and `used_gib`.

mod abilities;
mod access;
mod group;
mod manage;
mod metadata;
mod migration;
mod options;
mod own_address;
mod pending;
mod place;
mod pool;
mod record;
mod replica;
mod server;
mod server_update;
mod share;
mod shelf;
mod size;
mod snapshot;
mod statistics;
mod volume;

use bulkhead_sdk::{
    Access, AccessUpdate, Driver, EnsuredShare, ExportLocation, IpVersion, Result, RuleOutcome, Share,
    Statistics,
};

/// The driver. It has no state: everything stands in private data.
#[derive(Debug)]
pub struct Memory;

bulkhead_sdk::export_driver!(
    Memory: access, snapshots, share_from_snapshot, revert, mountable_snapshots, extend, shrink, manage, manage_snapshots,
    share_groups, group_snapshots, replication, replicated_snapshots, replicated_revert, usage, share_status,
    periodic_hook, metadata_updates, migration, share_servers, manage_servers,
    server_updates
);

impl Driver for Memory {
    fn setup() -> Result<()> {
        statistics::check()
    }

    fn stats() -> Result<Statistics> {
        statistics::collect()
    }

    fn backend_info() -> Result<Vec<(String, String)>> {
        statistics::fingerprint()
    }

    fn ip_versions() -> Result<Vec<IpVersion>> {
        place::ip_versions()
    }

    fn default_filter_function() -> Result<Option<String>> {
        Ok(Some(statistics::filter_function()))
    }

    fn default_goodness_function() -> Result<Option<String>> {
        Ok(Some(statistics::GOODNESS_FUNCTION.to_owned()))
    }

    fn pool_of(share: &Share) -> Result<Option<String>> {
        share::pool_of(share)
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

impl Access for Memory {
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        access::update_share(share, update)
    }
}
