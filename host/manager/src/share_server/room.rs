//! How much a share server may hold: Manila's `max_shares_per_share_server` and `max_share_server_size`.
//!
//! A server that is full is no candidate for a new share. What has to live on one server (a share from a snapshot, a share of a group) and
//! finds it full is refused, with the reason: the limits stand for what the backend holds at all, so nothing goes beyond them. Groups and
//! growing shares are not counted against them, as in Manila.

use crate::records::Tables;
use crate::view::ServerLimits;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::scope::Scope;

/// Why a server takes no share of `gib` more; none if it does.
pub(super) fn shortage(
    tables: &Tables,
    limits: ServerLimits,
    server: ShareServerId,
    gib: u64,
) -> Option<String> {
    if limits == ServerLimits::default() {
        return None;
    }
    let (mut shares, mut used) = (0_u64, 0_u64);
    for instance in tables.instances_on_server(server) {
        shares = shares.saturating_add(1);
        let size = tables.share(&Scope::Everything, instance.share).map_or(0, |share| share.size.get());
        used = used.saturating_add(size);
        for snapshot in tables.snapshots_of(instance.share) {
            let is_here =
                tables.snapshot_instances_of(snapshot.id).any(|one| one.share_instance == instance.id);
            if is_here {
                used = used.saturating_add(snapshot.size.get());
            }
        }
    }
    if let Some(limit) = limits.shares.filter(|limit| shares >= *limit) {
        return Some(format!("share server {server} holds {shares} shares of {limit}"));
    }
    let limit = limits.gib.filter(|limit| used.saturating_add(gib) > *limit)?;
    Some(format!("share server {server} holds {used} GiB of {limit}, and the share asks for {gib}"))
}
