//! Where a call's work on files is done: in this process, on a thread for blocking work, or at the backend's place, which is asked.
//! Until it is done, the call's time is up or the call is dropped.

use crate::call::Call;
use crate::execute::{Abandoned, CommandRunner, RunError};
use crate::resolve::ResolvedPath;
use crate::root::{Root, Worksite, mistaken};
use bulkhead_helper::files::{Watch, perform};
use bulkhead_helper::protocol::{FileFacts, FilePath, FileReply, FileWork, FilesCall, RootBinding};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinError;
use tokio::time::Instant;

/// The paths that one function changes: nobody else changes them until every clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Alone(#[expect(dead_code, reason = "held, never read")] Arc<Vec<OwnedMutexGuard<()>>>);

impl Alone {
    /// Wait until nobody else changes any of `subjects`. Taken in one order everywhere, so that two never wait for each other.
    ///
    /// Fails with `timed-out` at the call's deadline.
    pub(super) async fn with(call: &Call, mut subjects: Vec<String>) -> Result<Self, CapabilityError> {
        subjects.sort();
        subjects.dedup();
        let mut guards = Vec::with_capacity(subjects.len());
        for subject in subjects {
            guards.push(call.backend().shared().path(&subject, call.deadline()).await?);
        }
        Ok(Self(Arc::new(guards)))
    }
}

/// A path as places know it.
pub(super) fn path_of(at: &ResolvedPath) -> FilePath {
    FilePath { root: at.root.name().clone(), path: at.path.clone() }
}

/// Do `work` below `roots`. What it holds of `alone` it holds to its end, even if the call is dropped before.
///
/// Fails as [`FileWork`] says, with `timed-out`, with `unavailable` if the place cannot be reached, and with `outcome-unknown` if it was
/// lost while it changed something.
pub(super) async fn work(
    call: &Call,
    alone: Option<&Alone>,
    (roots, work): (&[&Root], FileWork),
) -> Result<FileReply, CapabilityError> {
    call.check_time()?;
    let alone = alone.cloned();
    match Worksite::of(roots)? {
        Worksite::Here(opened) => {
            let stopped = Arc::new(AtomicBool::new(false));
            let watch = Watch::new(call.deadline().into_std(), Arc::clone(&stopped));
            let _stop_when_dropped = StopWhenDropped(stopped);
            let done = tokio::task::spawn_blocking(move || {
                let result = perform(&opened, &work, &watch);
                drop(alone);
                result
            });
            done.await.map_err(|error| ended_abruptly(&error))?
        }
        Worksite::There(place, bindings) => {
            let left = call.deadline().saturating_duration_since(Instant::now());
            let (waiting, abandoned) = Abandoned::pair();
            // A task of its own: what is asked goes on when the call is dropped, and holds its paths until it has ended.
            let asked = tokio::spawn(async move {
                let result = ask(&*place, (bindings, work), left, abandoned).await;
                drop(alone);
                result
            });
            let answer = asked.await.map_err(|error| ended_abruptly(&error))?;
            drop(waiting);
            answer
        }
    }
}

async fn ask(
    place: &dyn CommandRunner,
    (roots, work): (BTreeMap<Label, RootBinding>, FileWork),
    left: Duration,
    abandoned: Abandoned,
) -> Result<FileReply, CapabilityError> {
    let only_looks = work.only_looks();
    let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    place.files(FilesCall { roots, work, timeout_ms }, abandoned).await.map_err(|error| match error {
        // Nothing has changed: it may be looked at again.
        RunError::OutcomeUnknown { reason } if only_looks => RunError::Unavailable { reason }.into(),
        error => error.into(),
    })
}

/// As [`work`] where the only answer is that it is done.
pub(super) async fn change(
    call: &Call,
    alone: &Alone,
    (roots, change): (&[&Root], FileWork),
) -> Result<(), CapabilityError> {
    match work(call, Some(alone), (roots, change)).await? {
        FileReply::Done => Ok(()),
        _ => Err(mistaken()),
    }
}

/// What stands at a path. A missing directory above it means that nothing does.
pub(super) async fn look(call: &Call, at: &ResolvedPath) -> Result<Option<FileFacts>, CapabilityError> {
    match work(call, None, (&[&*at.root], FileWork::Look(path_of(at)))).await? {
        FileReply::Found(found) => Ok(found),
        _ => Err(mistaken()),
    }
}

fn ended_abruptly(error: &JoinError) -> CapabilityError {
    tracing::error!(error = error as &dyn std::error::Error, "work of a call on files ended abruptly");
    CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
}

struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
