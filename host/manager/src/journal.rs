//! The journal: how operations begin, wait and end. Each step is one transaction with the change of state it stands for.

use crate::backend::Serving;
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::operation::{call_kind, step_of};
use crate::pending;
use crate::records::{Cause, Change, Expect, Row, RowKey, Tables};
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{BackendName, OperationId, ProjectId, RequestId, ShareId};
use bulkhead_model::operation::{Operation, OperationFailure, OperationState, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::time::Timestamp;
use std::sync::Arc;

/// How many old operations each one that ends takes away.
const PRUNED: usize = 2;

/// Whose doing an operation is.
#[derive(Debug, Clone)]
pub(crate) struct Initiator {
    pub(crate) actor: String,
    pub(crate) request: RequestId,
    is_host: bool,
}

impl Initiator {
    pub(crate) fn of(context: &RequestContext) -> Self {
        Self { actor: context.actor.user.to_string(), request: context.request.clone(), is_host: false }
    }

    /// The host itself.
    pub(crate) fn host(task: &str) -> Self {
        Self { actor: "host".to_owned(), request: RequestId::internal(task), is_host: true }
    }

    /// Whether somebody hears it if the wish is refused.
    pub(crate) fn is_refusable(&self) -> bool {
        !self.is_host
    }

    /// The cause of what `operation` changes.
    pub(crate) fn cause(&self, operation: OperationId) -> Cause {
        Cause { actor: self.actor.clone(), request: self.request.clone(), operation: Some(operation) }
    }
}

/// The cause of what an operation changes by itself.
pub(crate) fn cause_of(operation: &Operation) -> Cause {
    Cause { actor: "host".to_owned(), request: operation.request.clone(), operation: Some(operation.id) }
}

/// One attempt of an operation: a driver call that has been journalled.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) operation: Operation,
    pub(crate) serving: Arc<Serving>,
}

impl Attempt {
    /// What the driver call is told of itself.
    pub(crate) fn reason(&self) -> CallReason {
        CallReason {
            request: self.operation.request.clone(),
            operation: Some(self.operation.id),
            earlier_attempts: self.operation.attempts.saturating_sub(1),
        }
    }
}

/// How an operation ends.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) state: OperationState,
    pub(crate) failure: Option<OperationFailure>,
}

impl End {
    pub(crate) const fn well() -> Self {
        Self { state: OperationState::Succeeded, failure: None }
    }

    pub(crate) const fn badly(failure: OperationFailure) -> Self {
        Self { state: OperationState::Failed, failure: Some(failure) }
    }
}

/// Whether what a driver said was still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// It ended the operation.
    Taken,
    /// The operation had ended already, or somebody else has taken it over: nothing was changed.
    TooLate,
}

/// What an operation is about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) share: ShareId,
    pub(crate) project: ProjectId,
    pub(crate) backend: BackendName,
}

impl Inner {
    /// A new operation, to be committed with the status it brings.
    ///
    /// If the backend serves now the first attempt is journalled with it, which saves a transaction; the runner begins it at once.
    pub(crate) fn new_operation(&self, verb: Verb, about: About, request: &RequestId) -> Operation {
        let serving = match verb {
            // Rules become a batch in a transaction of its own.
            Verb::UpdateAccess => None,
            _ => self.backends.get(&about.backend).and_then(|backend| backend.serving()),
        };
        let step = if serving.is_some() { step_of(&verb) } else { "waiting for its turn" };
        let now = Timestamp::now();
        Operation {
            id: OperationId::next(),
            share: about.share,
            project: about.project,
            backend: about.backend,
            request: request.clone(),
            state: OperationState::Running,
            step: step.to_owned(),
            attempts: u32::from(serving.is_some()),
            generation: serving.as_ref().map(|serving| serving.description.generation),
            fencing_token: 1,
            deadline_at: serving.as_ref().map(|serving| serving.deadline_at(call_kind(&verb))),
            failure: None,
            created_at: now,
            updated_at: now,
            verb,
        }
    }

    /// Refuse when the backend has too many unfinished operations already.
    pub(crate) fn admit(&self, tables: &Tables, backend: &BackendName) -> Result<(), ManagerError> {
        let unfinished = tables.count_unfinished_of_backend(backend);
        if unfinished < self.settings.unfinished_operations {
            return Ok(());
        }
        // A driver that serves may still have said that its array does not answer.
        let is_out_of_reach = |operation: &Operation| {
            operation.failure.as_ref().is_some_and(|failure| failure.code == "backend-unreachable")
        };
        let is_ready = self.backends.get(backend).is_some_and(|backend| backend.serving().is_some())
            && !tables.unfinished_of_backend(backend).any(|operation| is_out_of_reach(operation));
        let backend = backend.clone();
        Err(if is_ready {
            ManagerError::Busy { backend, unfinished }
        } else {
            ManagerError::BackendUnreachable { backend, waiting: unfinished }
        })
    }

    /// The operation, unless it has ended.
    pub(crate) fn unfinished(&self, id: OperationId) -> Option<Arc<Operation>> {
        let tables = self.records.read();
        let operation = tables.operation(&Scope::Everything, id)?;
        (!operation.state.is_final()).then(|| Arc::clone(&operation.value))
    }

    /// Journal that a driver call of the operation begins, with what `also` changes. None if the operation has ended.
    ///
    /// With `is_fresh` the attempt that was journalled with the operation itself is taken; for another generation if that serves by now.
    pub(crate) async fn begin_attempt(
        &self,
        id: OperationId,
        serving: &Arc<Serving>,
        is_fresh: Freshness,
    ) -> Result<Option<Attempt>, ManagerError> {
        self.transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(None)) };
            let generation = Some(serving.description.generation);
            let attempt = |operation: Operation| Some(Attempt { operation, serving: Arc::clone(serving) });
            let is_journalled = is_fresh == Freshness::Journalled
                && stored.state == OperationState::Running
                && stored.attempts == 1;
            if is_journalled && stored.generation == generation {
                return Ok(Proposal::Settled(attempt((*stored.value).clone())));
            }
            let mut operation = next_attempt(&stored, serving);
            pending::show(tables, &mut operation, serving);
            if is_journalled {
                // Its call never began.
                operation.attempts = stored.attempts;
            }
            let mut change = Change::default();
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation.clone()));
            Ok(Proposal::Commit(operation.backend.clone(), change, attempt(operation)))
        })
        .await
    }

    /// Journal that the operation waits, and why: after a failure, or for what `step` says.
    pub(crate) async fn wait(
        &self,
        id: OperationId,
        step: &str,
        failure: impl Into<Option<OperationFailure>>,
    ) -> Result<(), ManagerError> {
        let failure = failure.into();
        self.transact(|tables| {
            let Some(stored) = unfinished(tables, id) else { return Ok(Proposal::Settled(())) };
            let mut operation = (*stored.value).clone();
            operation.state = OperationState::Waiting;
            step.clone_into(&mut operation.step);
            operation.failure.clone_from(&failure);
            operation.deadline_at = None;
            let is_news = operation.state != stored.state
                || operation.failure != stored.failure
                || (failure.is_none() && operation.step != stored.step);
            if !is_news {
                return Ok(Proposal::Settled(()));
            }
            operation.updated_at = Timestamp::now();
            let backend = operation.backend.clone();
            let mut change = Change::default();
            change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
            Ok(Proposal::Commit(backend, change, ()))
        })
        .await
    }

    /// End the operation of `attempt` together with what `settle` changes.
    pub(crate) async fn conclude(
        &self,
        attempt: &Attempt,
        settle: impl Fn(&Tables, &Cause, &mut Change) -> End,
    ) -> Result<Conclusion, ManagerError> {
        self.transact(|tables| {
            let Some(stored) = unfinished(tables, attempt.operation.id) else {
                return Ok(Proposal::Settled(Conclusion::TooLate));
            };
            if stored.fencing_token != attempt.operation.fencing_token {
                return Ok(Proposal::Settled(Conclusion::TooLate));
            }
            let mut change = Change::default();
            let end = settle(tables, &cause_of(&stored.value), &mut change);
            self.end(tables, &mut change, &stored.value, end);
            Ok(Proposal::Commit(stored.backend.clone(), change, Conclusion::Taken))
        })
        .await
    }

    /// Write the end of an operation into `change`, and forget the oldest ones beyond what is kept.
    pub(crate) fn end(&self, tables: &Tables, change: &mut Change, operation: &Operation, end: End) {
        let Some(stored) = tables.operation(&Scope::Everything, operation.id) else { return };
        let mut ended = (*stored.value).clone();
        ended.state = end.state;
        end.state.to_string().clone_into(&mut ended.step);
        ended.failure = end.failure;
        ended.deadline_at = None;
        ended.updated_at = Timestamp::now();
        change.put(Expect::Unchanged(stored.revision), Row::Operation(ended));
        for old in tables.surplus_operations(self.settings.finished_operations).take(PRUNED) {
            change.delete(RowKey::Operation(old.id), old.revision);
        }
    }
}

/// Whether the first attempt stands in the journal already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It does.
    Journalled,
    /// Every attempt is journalled anew.
    Repeat,
}

/// The operation with one more attempt.
pub(crate) fn next_attempt(stored: &Operation, serving: &Serving) -> Operation {
    let mut operation = stored.clone();
    if operation.state == OperationState::Waiting {
        // Why it waited is over.
        operation.failure = None;
    }
    operation.state = OperationState::Running;
    step_of(&operation.verb).clone_into(&mut operation.step);
    operation.attempts = operation.attempts.saturating_add(1);
    operation.generation = Some(serving.description.generation);
    operation.deadline_at = Some(serving.deadline_at(call_kind(&operation.verb)));
    operation.updated_at = Timestamp::now();
    operation
}

/// The operation as stored, unless it has ended.
pub(crate) fn unfinished(tables: &Tables, id: OperationId) -> Option<crate::records::Stored<Operation>> {
    tables.operation(&Scope::Everything, id).filter(|operation| !operation.state.is_final()).cloned()
}
