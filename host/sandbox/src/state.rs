//! What stands behind one instance: the call's rights, and what it has used. The imports are implemented on it, in `bindings/host`.

use crate::limits::Limiter;
use bulkhead_capability::call::Call;

/// The data of one store.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) call: Call,
    pub(crate) limiter: Limiter,
}
