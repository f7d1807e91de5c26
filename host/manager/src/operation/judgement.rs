//! What a driver's failure means for an operation.

use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::operation::Verb;

/// What a failed call means for its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing is known to be lost: the operation waits and repeats the call.
    Repeat,
    /// What was to be reached is reached all the same.
    Reached,
    /// The driver refused and changed nothing: the share is `available` as before, the operation has failed.
    PutBack,
    /// The operation has failed; the resource gets its error status.
    Failed,
}

/// Judge a failed call; `deadlines` counts the calls of this operation in a row that ran into their deadline, this one included.
///
/// * `busy`, `outcome-unknown`, `backend-unreachable`, and whatever the host itself could not do, repeat without end: the clock turns
///   nothing into an error, people can (`operation abandon`).
/// * A deadline leaves the outcome open too, so the call repeats; but a driver that has to be stopped time and again is broken, and
///   after `most_deadlines` the operation fails with blame on the driver. A driver that knows its backend is slow answers `busy`.
/// * A trap, a limit or an answer against the contract is the driver's fault and fails at once: it would happen again.
pub(crate) fn judge(verb: &Verb, error: &CallError, deadlines: u32, most_deadlines: u32) -> Judgement {
    match error {
        CallError::Host { .. } => return Judgement::Repeat,
        CallError::DeadlineExceeded { .. } if deadlines < most_deadlines => return Judgement::Repeat,
        _ => {}
    }
    let Some(code) = error.code() else { return Judgement::Failed };
    if code.is_repeated() {
        return Judgement::Repeat;
    }
    match (verb, code) {
        (Verb::DeleteShare { .. } | Verb::DeleteReplica { .. }, DriverErrorCode::ShareNotFound)
        | (Verb::DeleteSnapshot { .. }, DriverErrorCode::SnapshotNotFound) => Judgement::Reached,
        // What is not there need not be let go; a driver without a function for it has nothing to do (contract 3.7).
        (Verb::UnmanageShare { .. }, DriverErrorCode::ShareNotFound | DriverErrorCode::NotImplemented)
        | (
            Verb::UnmanageSnapshot { .. },
            DriverErrorCode::SnapshotNotFound | DriverErrorCode::NotImplemented,
        ) => Judgement::Reached,
        // With force the host goes on where the driver has no function for it (contract 4.5).
        (Verb::UnmanageShareServer { force: true, .. }, DriverErrorCode::NotImplemented) => {
            Judgement::Reached
        }
        (Verb::ShrinkShare { .. }, DriverErrorCode::PossibleDataLoss | DriverErrorCode::NotImplemented) => {
            Judgement::PutBack
        }
        _ => Judgement::Failed,
    }
}
