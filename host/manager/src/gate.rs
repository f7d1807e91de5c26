//! Gates: at most one driver call that changes a share, and at most one that changes its access rules, at any time.
//!
//! The statuses keep requests apart; the gates keep driver calls apart even where people overrule the statuses. A call holds its gate
//! until it has really ended.
//!
//! A third lock lets transactions on one share come one after the other, in the order they were asked for, instead of racing for its
//! row: correct without it, but under many requests at once some would lose time and again. It is held for a commit, never for a call.

use bulkhead_model::id::{BackendName, ShareId, ShareInstanceId, ShareNetworkSubnetId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// The gates of one share. Who needs both takes `change` before `access`, and either before the turn of a commit.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) change: AsyncMutex<()>,
    pub(crate) access: AsyncMutex<()>,
}

/// The gates of all shares in use: one for all replicas of a share.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    calls: Mutex<HashMap<ShareId, Arc<Gate>>>,
    commits: Turns<ShareInstanceId>,
    subnets: Turns<(BackendName, ShareNetworkSubnetId)>,
}

/// Whose turn it is, for each of something.
type Turns<Key> = Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>;

impl Gates {
    /// The gates of a share's driver calls.
    pub(crate) fn of(&self, share: ShareId) -> Arc<Gate> {
        of(&self.calls, share)
    }

    /// The lock under which a share server for a subnet is chosen at a backend. Taken before any gate's calls are made, never held while
    /// a server is set up.
    pub(crate) fn of_subnet(
        &self,
        backend: &BackendName,
        subnet: ShareNetworkSubnetId,
    ) -> Arc<AsyncMutex<()>> {
        of(&self.subnets, (backend.clone(), subnet))
    }

    /// Whose turn it is to write the row of a share instance.
    pub(crate) fn turn(&self, instance: ShareInstanceId) -> Arc<AsyncMutex<()>> {
        of(&self.commits, instance)
    }
}

fn of<Key: Eq + Hash, Held: Default>(all: &Mutex<HashMap<Key, Arc<Held>>>, key: Key) -> Arc<Held> {
    let mut held = all.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that nobody holds are made anew when somebody asks: the map holds what is in use.
    if held.len() > 1024 {
        held.retain(|_, one| Arc::strong_count(one) > 1);
    }
    Arc::clone(held.entry(key).or_default())
}
