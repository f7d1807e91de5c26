//! Runners: one task for each unfinished operation, from its commit to its end.
//!
//! ```text
//!   running --driver returned--> succeeded | failed          (one transaction with the resource's status)
//!      |  ^
//!      |  +-- wait over, backend ready, or an operator said retry
//!      v  |
//!    waiting   (busy, unreachable, outcome unknown, deadline, host trouble; backend not set up)
//! ```
//!
//! The failure path of the runner itself: when a result cannot be committed the operation stays as it is and the whole attempt is
//! repeated after a wait; names at the backend derive from ids, so the repeat finds what the first attempt did.

use crate::access;
use crate::backend::Serving;
use crate::error::ManagerError;
use crate::failure::describe;
use crate::journal::{Attempt, Freshness};
use crate::manager::Inner;
use crate::operation::{Judgement, judge, snapshot_of};
use crate::wait::{Waits, jittered};
use crate::{
    group, metadata, migration, mountable, pending, replica, settle, share, share_server, snapshot_removal,
};
use bulkhead_model::error::{Blame, CallError};
use bulkhead_model::id::{BackendName, OperationId};
use bulkhead_model::operation::{Operation, OperationFailure, Verb};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tracing::Instrument as _;

/// The tasks that drive operations.
#[derive(Debug)]
pub(crate) struct Runners {
    at_work: Mutex<HashMap<OperationId, Arc<Notify>>>,
    draining: watch::Sender<bool>,
    ended: Notify,
}

impl Default for Runners {
    fn default() -> Self {
        Self { at_work: Mutex::default(), draining: watch::Sender::new(false), ended: Notify::new() }
    }
}

impl Runners {
    /// Whether nothing new is begun any more.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Cut the wait of an operation short.
    pub(crate) fn wake(&self, id: OperationId) {
        if let Some(wake) = self.lock().get(&id) {
            wake.notify_one();
        }
    }

    /// Let no runner begin another attempt, and wait until all have ended. Returns how many have not within `within`.
    pub(crate) async fn drain(&self, within: Duration) -> usize {
        self.draining.send_replace(true);
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                if self.lock().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        match tokio::time::timeout(within, all_ended).await {
            Ok(()) => 0,
            Err(_) => self.lock().len(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Arc<Notify>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, id: OperationId) -> Option<Arc<Notify>> {
        let mut at_work = self.lock();
        if let Some(wake) = at_work.get(&id) {
            wake.notify_one();
            return None;
        }
        let wake = Arc::new(Notify::new());
        at_work.insert(id, Arc::clone(&wake));
        Some(wake)
    }
}

/// Leaves the list of runners however the task ends.
struct Presence<'a> {
    inner: &'a Inner,
    id: OperationId,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.inner.runners.lock().remove(&self.id);
        self.inner.runners.ended.notify_waiters();
    }
}

/// Drive an operation in a task of its own. If it has a runner already, that one is woken. If its share waits for recovery, nothing
/// happens: recovery launches it.
pub(crate) fn launch(inner: &Arc<Inner>, id: OperationId, freshness: Freshness) {
    let Some(operation) = inner.unfinished(id) else { return };
    if inner.inherited.holds_back(operation.share) {
        return;
    }
    let Some(wake) = inner.runners.enter(id) else { return };
    let inner = Arc::clone(inner);
    let span = tracing::info_span!(parent: None, "operation", operation.id = %id);
    tokio::spawn(
        async move {
            let attempts = {
                let inner = Arc::clone(&inner);
                async move {
                    let _presence = Presence { inner: &inner, id };
                    run(&inner, id, &wake, freshness).await;
                }
            };
            // In a task of its own, so that a panic on the way costs one attempt and not the operation its runner.
            if tokio::spawn(attempts.in_current_span()).await.is_err() {
                tracing::error!("an attempt ended in the middle; the operation goes on after a wait");
                tokio::time::sleep(inner.settings.longest_repeat).await;
            }
            // Or reopened between the last look and the leaving: somebody has to drive it.
            if !inner.runners.is_draining() && inner.unfinished(id).is_some() {
                launch(&inner, id, Freshness::Repeat);
            }
        }
        .instrument(span),
    );
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The operation has ended.
    Ended,
    /// There is more to do at once.
    Again,
    /// Try again after a wait.
    Wait,
    /// Ask about pending work after a while.
    Ask,
    /// A migration is carried on by its backend, or waits for an operator's word: look again after its period.
    WaitForMigration,
    /// The backend does not serve.
    WaitForBackend,
}

/// What a runner remembers between attempts.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) freshness: Freshness,
    /// Calls in a row that ran into their deadline.
    deadlines: u32,
    waits: Waits,
}

async fn run(inner: &Arc<Inner>, id: OperationId, wake: &Notify, freshness: Freshness) {
    let waits = Waits::new(inner.settings.first_repeat, inner.settings.longest_repeat);
    let mut progress = Progress { freshness, deadlines: 0, waits };
    let mut migration_waits = Waits::new(inner.settings.migration_period, inner.settings.migration_period);
    let mut draining = inner.runners.draining.subscribe();
    let mut backends = inner.backends.changes();
    while !inner.runners.is_draining() {
        backends.mark_unchanged();
        let Some(operation) = inner.unfinished(id) else { return };
        let step = match attempt(inner, &operation, &mut progress).await {
            Ok(step) => step,
            Err(error) => {
                tracing::error!(
                    operation.verb = operation.verb.name(),
                    "an attempt was not recorded: {error}"
                );
                Step::Wait
            }
        };
        progress.freshness = Freshness::Repeat;
        let pause = match step {
            Step::Ended => return,
            Step::Again => {
                progress.waits.reset();
                continue;
            }
            Step::Wait => progress.waits.next(),
            Step::Ask => {
                progress.answered();
                jittered(inner.settings.share_status_period)
            }
            Step::WaitForMigration => migration_waits.next(),
            // Until something changes; looked at again now and then all the same.
            Step::WaitForBackend => inner.settings.longest_repeat,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => progress.waits.reset(),
            _ = backends.changed(), if step == Step::WaitForBackend => {}
            _ = draining.changed() => {}
        }
    }
}

async fn attempt(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.serving(&operation.backend).is_none() {
        inner.wait(operation.id, "waiting for the backend", unreachable_backend()).await?;
        return Ok(Step::WaitForBackend);
    }
    if operation.verb.group().is_some() {
        return group::attempt(inner, operation, progress).await;
    }
    if operation.verb.server().is_some() {
        return share_server::attempt(inner, operation, progress).await;
    }
    if inner.records.read().instance_of(operation.share).is_none() {
        return settle::without_share(inner, operation).await;
    }
    if let Verb::MigrateShare { .. } = operation.verb {
        return migration::attempt::attempt(inner, operation, progress).await;
    }
    if replica::is_concerned(&inner.records.read(), operation) {
        return replica::attempt::attempt(inner, operation, progress).await;
    }
    if operation.verb.runs_beside_others() {
        return attempt_beside_others(inner, operation, progress).await;
    }
    let gate = inner.gates.of(operation.share);
    match operation.verb {
        Verb::DeleteShare { .. }
        | Verb::UnmanageShare { .. }
        | Verb::DeleteSnapshot { .. }
        | Verb::UnmanageSnapshot { .. } => {
            let _changing = gate.change.lock().await;
            let _accessing = gate.access.lock().await;
            let Some((serving, _slot)) = enter(inner, &operation.backend).await? else {
                return Ok(Step::Again);
            };
            if snapshot_of(&operation.verb).is_some() {
                return snapshot_removal::attempt(inner, operation.id, &serving, progress).await;
            }
            share::removal::attempt(inner, operation.id, &serving, progress).await
        }
        _ => {
            let _passed = gate.change.lock().await;
            if let Some(step) = share_server::provide::provide(inner, operation, progress).await? {
                return Ok(step);
            }
            if let Some(serving) = pending::asked(inner, operation) {
                return call_once(inner, operation.id, &serving, progress).await;
            }
            let Some((serving, _slot)) = enter(inner, &operation.backend).await? else {
                return Ok(Step::Again);
            };
            call_once(inner, operation.id, &serving, progress).await
        }
    }
}

/// One attempt of an operation that runs beside others and keeps apart from their calls alone.
async fn attempt_beside_others(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    let gate = inner.gates.of(operation.share);
    let call = if operation.verb.updates_rules() { &gate.access } else { &gate.change };
    let _passed = call.lock().await;
    let Some((serving, _slot)) = enter(inner, &operation.backend).await? else { return Ok(Step::Again) };
    match operation.verb {
        Verb::UpdateAccess => access::update::attempt(inner, operation.id, &serving, progress).await,
        Verb::UpdateSnapshotAccess { .. } => {
            mountable::update::attempt(inner, operation.id, &serving, progress).await
        }
        _ => metadata::attempt(inner, operation.id, &serving, progress).await,
    }
}

/// A slot on the generation that serves when the call begins, however long it waited for its turn. None if none serves any more.
pub(crate) async fn enter(
    inner: &Inner,
    backend: &BackendName,
) -> Result<Option<(Arc<Serving>, OwnedSemaphorePermit)>, ManagerError> {
    while let Some(serving) = inner.serving(backend) {
        // The semaphore is never closed.
        let slot =
            Arc::clone(&serving.slots).acquire_owned().await.map_err(|_| ManagerError::ShuttingDown)?;
        if inner.serving(backend).is_some_and(|now| Arc::ptr_eq(&now, &serving)) {
            return Ok(Some((serving, slot)));
        }
    }
    Ok(None)
}

/// One call, one answer, one transaction: every verb but those with steps of their own.
async fn call_once(
    inner: &Arc<Inner>,
    id: OperationId,
    serving: &Arc<Serving>,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(id, serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    match pending::call(inner, &attempt).await {
        Ok(answer) => {
            let answer = metadata::complete(inner, &attempt, answer).await;
            settle::answered(inner, &attempt, answer).await
        }
        Err(error) => failed(inner, &attempt, progress, error).await,
    }
}

/// Judge a failed call, and wait or end.
pub(crate) async fn failed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    error: CallError,
) -> Result<Step, ManagerError> {
    let judgement = progress.judge(inner, &attempt.operation.verb, &error);
    judged(inner, attempt, judgement, error).await
}

/// Wait or end after a failed call that was judged.
pub(crate) async fn judged(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    judgement: Judgement,
    error: CallError,
) -> Result<Step, ManagerError> {
    let failure = describe(&error);
    tracing::warn!(
        operation.verb = attempt.operation.verb.name(), operation.attempts = attempt.operation.attempts,
        operation.subject = attempt.operation.subject(), backend.name = %attempt.operation.backend,
        error.code = %failure.code, error.blame = %failure.blame, judgement = ?judgement,
        "the driver call failed: {}", failure.message
    );
    if judgement == Judgement::Repeat {
        inner.wait(attempt.operation.id, "waiting to repeat the call", failure).await?;
        return Ok(Step::Wait);
    }
    settle::failed(inner, attempt, judgement, &error, failure).await
}

impl Progress {
    /// The driver has answered: whatever failed before was not for good.
    fn answered(&mut self) {
        self.waits.reset();
        self.deadlines = 0;
    }

    /// Judge a failed call and count deadlines.
    pub(crate) fn judge(&mut self, inner: &Inner, verb: &Verb, error: &CallError) -> Judgement {
        if matches!(error, CallError::DeadlineExceeded { .. }) {
            self.deadlines = self.deadlines.saturating_add(1);
        } else {
            self.deadlines = 0;
        }
        judge(verb, error, self.deadlines, inner.settings.deadline_attempts)
    }
}

fn unreachable_backend() -> OperationFailure {
    OperationFailure {
        code: "backend-unreachable".to_owned(),
        blame: Blame::Backend,
        message: "the backend is not configured or not set up yet; `backend show` says why".to_owned(),
    }
}
