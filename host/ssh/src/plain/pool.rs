//! Connections that are used by one command at a time and kept for the next.

use crate::session::Session;
use crate::target::{Pool, Target};
use bulkhead_capability::execute::RunError;
use bulkhead_helper::protocol::Refusal;
use bulkhead_model::error::CapabilityCode;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Connections {
    target: Arc<Target>,
    places: Arc<Semaphore>,
    shelf: Arc<Shelf>,
}

/// Where connections are that nobody uses.
#[derive(Debug)]
struct Shelf {
    pool: Pool,
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    /// Since when nobody uses them; the one that was used last at the end.
    kept: Vec<(Session, Instant)>,
    /// Whether a task waits to close what is not needed.
    watched: bool,
}

/// One connection, for one command. Dropped, it is closed with whatever still runs in it; after a clean end it is to be
/// [kept](Connection::keep).
#[derive(Debug)]
pub(super) struct Connection {
    session: Session,
    shelf: Arc<Shelf>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(target: Arc<Target>) -> Self {
        let places = Arc::new(Semaphore::new(target.pool.max));
        let shelf = Arc::new(Shelf { pool: target.pool, stock: Mutex::default() });
        Self { target, places, shelf }
    }

    /// A connection that nobody else uses. Fails with `busy` if none is free until `until`, with `unavailable` if there is no way or it is
    /// not open by then.
    pub(super) async fn take(&self, until: Instant) -> Result<Connection, RunError> {
        let place = tokio::time::timeout_at(until, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = format!(
                "all {} connections to ssh target '{}' are in use (max-connections); try again later",
                self.target.pool.max, self.target.name
            );
            return Err(Refusal::new(CapabilityCode::Busy, message).into());
        };
        let kept = self.shelf.take();
        let session = match kept {
            Some(session) => session,
            None => match tokio::time::timeout_at(until, Session::open(&self.target)).await {
                Ok(opened) => opened.map_err(|error| RunError::Unavailable { reason: chain(&error) })?,
                Err(_) => {
                    let name = &self.target.name;
                    let reason = format!(
                        "ssh target '{name}' did not let this host in before the command's time was over"
                    );
                    return Err(RunError::Unavailable { reason });
                }
            },
        };
        Ok(Connection { session, shelf: Arc::clone(&self.shelf), _place: place })
    }
}

impl Shelf {
    /// The connection that was used last.
    fn take(&self) -> Option<Session> {
        let mut stock = self.stock();
        stock.kept.retain(|(session, _)| !session.is_closed());
        stock.kept.pop().map(|(session, _)| session)
    }

    fn put(self: &Arc<Self>, session: Session) {
        if session.is_closed() {
            return;
        }
        let mut stock = self.stock();
        stock.kept.push((session, Instant::now()));
        if stock.kept.len() > self.pool.min && !std::mem::replace(&mut stock.watched, true) {
            let (shelf, first) = (Arc::downgrade(self), self.pool.idle);
            tokio::spawn(async move {
                let mut next = Some(Instant::now() + first);
                while let Some(due) = next {
                    tokio::time::sleep_until(due).await;
                    // It ends with the pool.
                    let Some(shelf) = shelf.upgrade() else { return };
                    next = shelf.let_go();
                }
            });
        }
    }

    /// Close what is beyond the fewest and was not used for long; when to look again, if more is kept than that.
    fn let_go(&self) -> Option<Instant> {
        let mut stock = self.stock();
        stock.kept.retain(|(session, _)| !session.is_closed());
        let surplus = stock.kept.len().saturating_sub(self.pool.min);
        let old = stock.kept.iter().take(surplus);
        let old = old.take_while(|(_, since)| since.elapsed() >= self.pool.idle).count();
        stock.kept.drain(..old);
        stock.watched = surplus > old;
        let oldest = stock.kept.first().filter(|_| surplus > old);
        oldest.map(|(_, since)| *since + self.pool.idle)
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Keep it for the next command: nothing runs in it any more, and nothing of an earlier one is left over.
    pub(super) fn keep(self) {
        self.shelf.put(self.session);
    }
}

impl Deref for Connection {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
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
