//! Connections that are used by one command at a time and kept for the next.

use crate::session::Session;
use crate::target::Target;
use bulkhead_capability::execute::RunError;
use bulkhead_helper::protocol::Refusal;
use bulkhead_model::error::CapabilityCode;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a connection beyond the fewest is kept while nothing is asked.
const IDLE: Duration = Duration::from_secs(60);

/// A kept connection, and since when nobody uses it.
type Kept = (Arc<Session>, Instant);

#[derive(Debug)]
pub(super) struct Connections {
    target: Arc<Target>,
    places: Arc<Semaphore>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

/// One connection, for one command. Dropped, it is kept for the next unless it is over.
#[derive(Debug)]
pub(super) struct Connection {
    session: Arc<Session>,
    kept: Arc<Mutex<Vec<Kept>>>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(target: Arc<Target>) -> Self {
        let places = Arc::new(Semaphore::new(target.pool.max));
        Self { target, places, kept: Arc::default() }
    }

    /// A connection that nobody else uses. Fails with `busy` if none is free until `until`, with `unavailable` if there is no way.
    pub(super) async fn take(&self, until: Instant) -> Result<Connection, RunError> {
        let place = tokio::time::timeout_at(until, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = format!(
                "all {} connections to ssh target '{}' are in use (max-connections); try again later",
                self.target.pool.max, self.target.name
            );
            return Err(Refusal::new(CapabilityCode::Busy, message).into());
        };
        let session = match self.take_kept() {
            Some(session) => session,
            None => {
                let opened = Session::open(&self.target).await;
                Arc::new(opened.map_err(|error| RunError::Unavailable { reason: chain(&error) })?)
            }
        };
        Ok(Connection { session, kept: Arc::clone(&self.kept), _place: place })
    }

    /// The connection that was used last; those that nobody needs are let go.
    fn take_kept(&self) -> Option<Arc<Session>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(session, _)| !session.is_closed());
        let taken = kept.pop().map(|(session, _)| session);
        let surplus = kept.len().saturating_sub(self.target.pool.min);
        let old = kept.iter().take(surplus).take_while(|(_, since)| since.elapsed() >= IDLE).count();
        kept.drain(..old);
        taken
    }
}

impl Deref for Connection {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.session.is_closed() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((Arc::clone(&self.session), Instant::now()));
        }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
