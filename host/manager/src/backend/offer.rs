//! What the daemon's configuration offers: a backend's file that is new or changed is taken in as by `swap`, without anybody asking.
//!
//! The record of a backend remembers which content of its file was taken last, or overruled by a command: the same content asks for
//! nothing, also after a restart. Content that cannot be taken is tried again with growing waits, because a root may be mounted or a
//! package put right later; only where another generation serves and the new driver is to blame it waits for somebody to act. Newer
//! content, and a command that succeeds, end the attempts.

use super::change::{Asked, ChangeState, ChangeView, Step};
use super::generation;
use super::steps::{self, Plan};
use super::{Backend, loader::Written};
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::records::{Cause, Origin};
use crate::view::{BackendFailure, BackendState};
use crate::wait::Waits;
use bulkhead_model::error::Blame;
use bulkhead_model::id::{BackendName, RequestId};
use bulkhead_model::time::Timestamp;
use std::sync::{Arc, PoisonError};
use tokio::task::AbortHandle;

/// The content of a backend's file.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which.
    pub origin: Origin,
    /// What it says, or why it says nothing.
    pub written: Result<Written, BackendFailure>,
}

/// Content that is being taken in, or could not be.
#[derive(Debug)]
pub(super) struct Offered {
    origin: Origin,
    task: Option<AbortHandle>,
}

impl Manager {
    /// Make of a backend what its file says now. Returns at once; the backend is listed from now on and shows what becomes of it. Content
    /// that was taken before, or was overruled by a command, changes nothing.
    pub fn offer_backend(&self, name: &BackendName, offer: Offer) {
        let Offer { origin, written } = offer;
        let is_known = {
            let tables = self.inner.records.read();
            tables.backend(name).and_then(|record| record.file.as_ref()).is_some_and(|file| *file == origin)
        };
        // Other content may be on its way: this one then comes after it.
        let is_alone = self.inner.backends.get(name).is_none_or(|backend| backend.offered().is_none());
        if is_known && is_alone {
            return;
        }
        let backend = self.inner.backends.enter(name);
        let task = match written {
            Ok(written) => {
                let (inner, taking) = (Arc::clone(&self.inner), Arc::clone(&backend));
                Some(tokio::spawn(take_in(inner, taking, written)).abort_handle())
            }
            Err(failure) => {
                self.inner.refuse_offer(&backend, failure);
                None
            }
        };
        backend.set_offered(Some(Offered { origin, task }));
    }

    /// The backend's file is gone: it goes on serving until it is unloaded, and a file that comes back is a new one.
    ///
    /// Fails if that cannot be recorded.
    pub async fn withdraw_offer(&self, name: &BackendName) -> Result<(), ManagerError> {
        if let Some(backend) = self.inner.backends.get(name) {
            backend.end_offer();
        }
        generation::remember_file(&self.inner, name, None).await
    }

    /// The file that each backend's current configuration was taken from, or that a command overruled.
    #[must_use]
    pub fn backend_files(&self) -> Vec<(BackendName, Origin)> {
        let tables = self.inner.records.read();
        tables.backends().filter_map(|record| Some((record.name.clone(), record.file.clone()?))).collect()
    }
}

impl Backend {
    /// The content of its file that is on offer, if that has not been taken.
    pub(super) fn offered(&self) -> Option<Origin> {
        let offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.as_ref().map(|offered| offered.origin.clone())
    }

    /// Nothing is on offer any more. An attempt that runs ends by itself.
    pub(super) fn end_offer(&self) {
        self.set_offered(None);
    }

    /// This content has been answered; newer content is still on offer.
    pub(super) fn settle_offer(&self, answered: Option<&Origin>) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if offered.as_ref().map(|offered| &offered.origin) == answered
            && let Some(task) = offered.take().and_then(|offered| offered.task)
        {
            task.abort();
        }
    }

    fn set_offered(&self, next: Option<Offered>) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = std::mem::replace(&mut *offered, next);
        if let Some(task) = earlier.and_then(|earlier| earlier.task) {
            task.abort();
        }
    }
}

impl Inner {
    fn refuse_offer(&self, backend: &Backend, failure: BackendFailure) {
        tracing::error!(
            backend.name = %backend.name, code = %failure.code,
            "the file of backend {} cannot be taken, nothing was changed: {}", backend.name, failure.message
        );
        let cause = Cause { request: RequestId::random(), ..Cause::host("configuration") };
        let begun = steps::begun(Asked::Configuration, &cause, backend);
        let refused = ChangeView { state: ChangeState::Failed, failure: Some(failure.clone()), ..begun };
        self.backends.with_history(&backend.name, |history| history.begin(refused));
        if self.stands_empty(backend) {
            let next_attempt_at = Timestamp::now();
            backend.set_state(BackendState::Unusable { failed_attempts: 1, failure, next_attempt_at });
        }
    }

    /// Whether nothing serves, and nothing will by itself.
    pub(super) fn stands_empty(&self, backend: &Backend) -> bool {
        backend.serving().is_none() && self.records.read().current_generation(&backend.name).is_none()
    }
}

/// Try until it is taken or waits for somebody to act.
async fn take_in(inner: Arc<Inner>, backend: Arc<Backend>, written: Written) {
    let mut waits = Waits::new(inner.settings.first_setup_repeat, inner.settings.longest_setup_repeat);
    let mut failed_attempts: u32 = 0;
    loop {
        let guard = inner.backends.turn_of(&backend.name).lock_owned().await;
        let cause = Cause { request: RequestId::random(), ..Cause::host("configuration") };
        let plan = Plan::Offer(written.clone());
        let ended = match inner.begin_change(&backend.name, guard, (Asked::Configuration, cause), plan) {
            Ok((_, ending)) => ending.await,
            Err(error) => return tracing::error!(backend.name = %backend.name, "{error}"),
        };
        // The task was dropped with the daemon.
        let Ok(ended) = ended else { return };
        let Some(failure) = ended.failure else { return };
        failed_attempts = failed_attempts.saturating_add(1);
        let pause = waits.next();
        if inner.stands_empty(&backend) {
            let next_attempt_at = Timestamp::after_now(pause);
            backend.set_state(waiting(ended.step, failed_attempts, failure, next_attempt_at));
        } else if failure.blame == Blame::Driver {
            tracing::warn!(
                backend.name = %backend.name,
                "the file of backend {} is not tried again before it changes; 'bulkhead backend swap {}' tries it again",
                backend.name, backend.name
            );
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

fn waiting(
    step: Step,
    failed_attempts: u32,
    failure: BackendFailure,
    next_attempt_at: Timestamp,
) -> BackendState {
    if step < Step::Setup {
        return BackendState::Unusable { failed_attempts, failure, next_attempt_at };
    }
    BackendState::Starting { failed_attempts, failure: Some(failure), next_attempt_at: Some(next_attempt_at) }
}
