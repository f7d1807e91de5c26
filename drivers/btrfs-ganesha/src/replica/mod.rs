//! Replicas of a share in two pools (replication type `dr`): only the active one is exported; the other one pulls.
//!
//! ```text
//! pool of the active replica A                pool of the replica B
//! shares/share-A           its content
//! replication/share-B.a ── send | receive ──▶ replication/share-B.a     the last instant that both hold
//! replication/share-B.b    the next one       replication/share-B.b     in turn
//!                                             shares/share-B            once B is promoted: a snapshot of its last base
//! ```
//!
//! Whoever is behind pulls from the pool that its operator has bound as root `peer`. So after a promotion the roles are exchanged
//! without anything else to set up, and the way back is incremental as well: both pools hold B's last base.

mod base;
mod peer;
mod pull;
mod role;

use base::Turn;
use bulkhead_sdk::{Resource, Result, log};

/// Remove what replication has left of a share that is deleted. A peer that cannot be reached keeps its part: the data are gone there
/// with the other replica.
pub(crate) fn forget(resource: &Resource) -> Result<()> {
    if base::recorded(resource)?.is_none() {
        return Ok(());
    }
    for turn in Turn::BOTH {
        if let Err(error) = base::delete(resource, turn) {
            log::warning(&format!("a base of {resource:?} stays behind: {error}"));
        }
    }
    role::forget(resource)?;
    base::forget(resource)
}
