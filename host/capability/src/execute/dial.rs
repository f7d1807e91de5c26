//! A way to a helper on another machine: something that carries bytes both ways. `host/ssh` has one over SSH.

use async_trait::async_trait;
use std::fmt::Debug;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to a helper, however it is carried. Dropped, it is closed.
pub trait Carried: AsyncRead + AsyncWrite + Send + Unpin + Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + Debug> Carried for T {}

/// Why there is no way. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DialError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl DialError {
    /// Of what failed.
    #[must_use]
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// Opens connections to the helper of one place.
#[async_trait]
pub trait Dial: Send + Sync + Debug {
    /// Start the helper there, and answer the connection to it. Called again whenever one is lost, never twice at once; gives up by itself.
    async fn dial(&self) -> Result<Box<dyn Carried>, DialError>;
}
