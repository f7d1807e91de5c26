//! Gates: at most one driver call that changes a share, and at most one that changes its access rules, at any time.
//!
//! The statuses keep requests apart; the gates keep driver calls apart even where people overrule the statuses. A call holds its gate
//! until it has really ended.

use bulkhead_model::id::ShareInstanceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// The gates of one share instance. Who needs both takes `change` first.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(crate) change: AsyncMutex<()>,
    pub(crate) access: AsyncMutex<()>,
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
