//! What this host shows to a server. Read anew for each connection, so that a changed secret is taken up by the next one.

use bulkhead_capability::secret::Secret;
use std::fmt::Debug;
use std::sync::Arc;

/// Why a credential cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CredentialError(String);

impl CredentialError {
    /// With what to do about it; never with the secret.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A secret somewhere: its `Debug` text says where, never what.
pub trait Credential: Send + Sync + Debug {
    /// Read it: it is held for as long as the connection that it opened, so that nothing an array prints of it leaves the host. May block
    /// for the time of a file's reading. Fails if it is not there or no text.
    fn reveal(&self) -> Result<Secret, CredentialError>;
}

/// How this host logs in.
#[derive(Debug, Clone)]
pub enum Login {
    /// With a private key in OpenSSH's form, without a passphrase.
    Key(Arc<dyn Credential>),
    /// With a password, also where the server asks for it interactively.
    Password(Arc<dyn Credential>),
}
