//! Gates: at most one driver call that changes a share, and at most one that changes its access rules, at any time.
//!
//! The statuses keep requests apart; the gates keep driver calls apart even where people overrule the statuses. A call holds its gate
//! until it has really ended.
//!
//! A third lock lets transactions on one share come one after the other, in the order they were asked for, instead of racing for its
//! row: correct without it, but under many requests at once some would lose time and again. It is held for a commit, never for a call.

use bulkhead_model::id::ShareInstanceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// The gates of one share instance. Who needs several takes `change` before `access` before `commit`.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) change: AsyncMutex<()>,
    pub(crate) access: AsyncMutex<()>,
    pub(crate) commit: Arc<AsyncMutex<()>>,
}

/// The gates of all share instances in use.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<ShareInstanceId, Arc<Gate>>>);

impl Gates {
    /// The gates of an instance.
    pub(crate) fn of(&self, instance: ShareInstanceId) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are made anew when somebody asks: the map holds what is in use.
        if gates.len() > 1024 {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        Arc::clone(gates.entry(instance).or_default())
    }
}
