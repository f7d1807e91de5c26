//! The environment, for secrets that are kept in it.

use bulkhead_capability::secret::Environment;
use std::sync::Arc;

/// Looks up variables of this process. None of them is handed on: helper and commands get an environment of their own.
pub(crate) fn environment() -> Environment {
    Arc::new(|name| std::env::var_os(name))
}
