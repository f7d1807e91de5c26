//! How long anybody waits for an array.

use bulkhead_capability::execute::Abandoned;
use tokio::time::Instant;

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Left {
    /// Nobody waits for the command any more.
    #[error("nobody waits for it any more")]
    Abandoned,
    /// Its time is over.
    #[error("the array did not answer in time")]
    TimedOut,
}

/// What `waited` comes to, unless it takes longer than `until` or nobody wants it any more. Once it has answered
/// [`Left::Abandoned`], `abandoned` must not be waited for again.
pub(super) async fn within<T>(
    waited: impl Future<Output = T>,
    until: Instant,
    abandoned: &mut Abandoned,
) -> Result<T, Left> {
    tokio::select! {
        biased;
        done = waited => Ok(done),
        () = abandoned.wait() => Err(Left::Abandoned),
        () = tokio::time::sleep_until(until) => Err(Left::TimedOut),
    }
}
