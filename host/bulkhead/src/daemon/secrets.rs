//! What the daemon does about secrets as a whole: the key that seals them, who is told access keys, and no dump of its memory.

use super::state::StateDirectory;
use anyhow::Context;
use bulkhead_api::AccessKeyReader;
use bulkhead_capability::secret::{Redactor, Vault};
use bulkhead_model::secret::access_key_place;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::error::Error;
use std::sync::Arc;

/// What seals the secrets of this state, under a key that is made the first time.
pub(super) fn vault(state: &StateDirectory) -> anyhow::Result<Arc<Vault>> {
    Ok(Arc::new(Vault::new(&state.key("secrets")?)))
}

/// Tells tenants the credentials of their access rules. The answer alone has them, so nothing else is cleaned of what a backend took for
/// one.
pub(super) fn access_keys(vault: Arc<Vault>) -> AccessKeyReader {
    let open = move |rule, sealed: &_| vault.open(&access_key_place(rule), sealed, &Redactor::default());
    AccessKeyReader::new(move |rule, sealed| match open(rule, sealed) {
        Ok(secret) => secret.expose_text().map(str::to_owned),
        Err(error) => {
            tracing::error!(access_rule.id = %rule, error = &error as &dyn Error, "an access key does not open");
            None
        }
    })
}

/// Leave no dump of this process, which holds secrets, should it crash; nor of the helper, which it starts.
pub(super) fn forbid_dumps() -> anyhow::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .context("this process cannot be kept from leaving a dump of its memory")
}
