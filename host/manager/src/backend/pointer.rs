//! The pointer to the generation that serves a backend, and the one task that looks after it: how the pointer moves, and who may move it.

use super::{Backend, Serving};
use crate::view::BackendState;
use bulkhead_model::id::GenerationNumber;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use tokio::task::AbortHandle;

/// Who looks after a backend.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    task: Option<AbortHandle>,
    term: Term,
}

/// Which supervisor: one that has been replaced moves no pointer any more, even if it has not noticed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Term(u64);

impl Backend {
    /// Run a task for this backend instead of the one that ran for it before.
    pub(super) fn supervise_with<Task>(&self, task: impl FnOnce(Term) -> Task)
    where
        Task: Future<Output = ()> + Send + 'static,
    {
        let mut supervision = self.supervision.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = supervision.task.take() {
            earlier.abort();
        }
        supervision.term = Term(supervision.term.0.wrapping_add(1));
        supervision.task = Some(tokio::spawn(task(supervision.term)).abort_handle());
    }

    /// Nobody looks after this backend any more.
    pub(super) fn end_supervision(&self) {
        let mut supervision = self.supervision.lock().unwrap_or_else(PoisonError::into_inner);
        supervision.term = Term(supervision.term.0.wrapping_add(1));
        if let Some(task) = supervision.task.take() {
            task.abort();
        }
    }

    /// Move the pointer, unless the supervisor of `term` has been replaced.
    pub(super) fn publish(&self, term: Term, serving: &Arc<Serving>) {
        let supervision = self.supervision.lock().unwrap_or_else(PoisonError::into_inner);
        if supervision.term == term {
            self.point_to(Some(serving));
            self.set_state(BackendState::Ready);
        }
    }

    /// Move the pointer. Only for who holds `supervision`.
    pub(super) fn point_to(&self, serving: Option<&Arc<Serving>>) {
        let before = self.serving.send_replace(serving.cloned());
        let mut draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        draining.retain(|earlier| earlier.strong_count() > 0);
        draining.extend(before.iter().map(Arc::downgrade));
    }

    /// Nothing serves any more.
    pub(super) fn withdraw(&self) {
        self.end_supervision();
        let _supervision = self.supervision.lock().unwrap_or_else(PoisonError::into_inner);
        self.point_to(None);
        self.set_state(BackendState::Starting { failed_attempts: 0, failure: None, next_attempt_at: None });
    }

    /// How many calls for shares run on which generation.
    pub(super) fn running_calls(&self) -> BTreeMap<GenerationNumber, usize> {
        let earlier: Vec<_> = {
            let draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
            draining.iter().filter_map(Weak::upgrade).collect()
        };
        let mut calls = BTreeMap::new();
        for serving in earlier.iter().chain(self.serving().iter()) {
            let running: &mut usize = calls.entry(serving.description.generation).or_default();
            *running = running.saturating_add(serving.running_calls());
        }
        calls
    }
}
