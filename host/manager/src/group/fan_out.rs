//! What Manila's base class does share by share where a driver has no interface for groups (contract 3.11): snapshots of a group over
//! `snapshots`, groups from group snapshots over `share-from-snapshot`.
//!
//! Each call is one of the operation's and may be repeated: what an earlier attempt made is found by its id. The snapshots are not of one
//! moment; the group says so with `consistent_snapshot_support` none.

use crate::journal::Attempt;
use crate::manager::Inner;
use crate::operation::Judgement;
use crate::runner::Progress;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::replica::{SnapshotProgress, SnapshotUpdate};
use bulkhead_model::share_group::{CreatedShare, GroupShareSource, ShareGroupForDriver};
use bulkhead_model::snapshot::SnapshotForDriver;

/// Why a fan-out did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The daemon is ending, or somebody ended the operation: nothing more is begun.
    NotWanted,
    /// A call failed, and this is what that means.
    Failed(CallError, Judgement),
}

/// Take the members one after the other.
///
/// A failure for good is followed by the clean-up of all that this attempt or an earlier one may have made, the failed one included: its
/// driver may have left something. Manila cleans up only after its own kind of exception, stops at the first clean-up that fails, and then
/// tells that failure instead of the first; here every one is tried, what cannot be cleaned up is logged and left to the deletion of the
/// group snapshot, and the operation tells what went wrong first. A failure that repeats keeps what was made.
///
/// A handle that a member has from an earlier attempt is not told to the driver (Manila's records carry none here either).
pub(super) async fn take(
    inner: &Inner,
    attempt: &Attempt,
    progress: &mut Progress,
    members: &[SnapshotForDriver],
) -> Result<Vec<SnapshotUpdate>, Stop> {
    let mut taken = Vec::with_capacity(members.len());
    for (made, member) in members.iter().enumerate() {
        go_on(inner, attempt)?;
        let asked = SnapshotForDriver { provider_location: None, ..member.clone() };
        match attempt.serving.driver.create_snapshot(&attempt.reason(), &asked).await {
            Ok(outcome) => taken.push(SnapshotUpdate {
                id: member.id,
                progress: SnapshotProgress::Available,
                provider_location: outcome.provider_location,
                export_locations: None,
            }),
            Err(error) => {
                let judgement = progress.judge(inner, &attempt.operation.verb, &error);
                if judgement != Judgement::Repeat {
                    let touched = members.iter().take(made.saturating_add(1));
                    clean_up(attempt, touched).await;
                }
                return Err(Stop::Failed(error, judgement));
            }
        }
    }
    Ok(taken)
}

/// Manila's `_cleanup_group_share_snapshot`, for all of them, in the order they were made.
async fn clean_up(attempt: &Attempt, members: impl Iterator<Item = &SnapshotForDriver>) {
    for member in members {
        match attempt.serving.driver.delete_snapshot(&attempt.reason(), member).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(DriverErrorCode::SnapshotNotFound) => {}
            Err(error) => tracing::warn!(
                snapshot_instance.id = %member.id, share.id = %member.share.share,
                "a snapshot of a group that failed was not cleaned up; deleting the group snapshot removes it: {error}"
            ),
        }
    }
}

/// Remove the members one after the other. One that is gone is a success; the first failure ends it, and the next deletion begins anew.
pub(super) async fn remove(
    inner: &Inner,
    attempt: &Attempt,
    progress: &mut Progress,
    members: &[SnapshotForDriver],
) -> Result<(), Stop> {
    for member in members {
        go_on(inner, attempt)?;
        match attempt.serving.driver.delete_snapshot(&attempt.reason(), member).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(DriverErrorCode::SnapshotNotFound) => {}
            Err(error) => {
                let judgement = progress.judge(inner, &attempt.operation.verb, &error);
                return Err(Stop::Failed(error, judgement));
            }
        }
    }
    Ok(())
}

/// Make the group, where the driver has groups, and its shares one after the other. As in Manila nothing is cleaned up after a failure: all
/// shares are in error then, and `delete-share` of each must cope with what is left.
pub(super) async fn make(
    inner: &Inner,
    attempt: &Attempt,
    progress: &mut Progress,
    (group, sources): (&ShareGroupForDriver, &[GroupShareSource]),
) -> Result<Vec<CreatedShare>, Stop> {
    let driver = &attempt.serving.driver;
    let verb = &attempt.operation.verb;
    let empty = ShareGroupForDriver { shares: Vec::new(), ..group.clone() };
    match driver.create_share_group(&attempt.reason(), &empty).await {
        Err(error) if !error.is_not_implemented() => {
            let judgement = progress.judge(inner, verb, &error);
            return Err(Stop::Failed(error, judgement));
        }
        Ok(()) | Err(_) => {}
    }
    let mut made = Vec::with_capacity(sources.len());
    for GroupShareSource { share, member } in sources {
        go_on(inner, attempt)?;
        match driver.create_share_from_snapshot(&attempt.reason(), share, member).await {
            Ok(creation) => made.push(CreatedShare { id: share.id, creation }),
            Err(error) => {
                let judgement = progress.judge(inner, verb, &error);
                return Err(Stop::Failed(error, judgement));
            }
        }
    }
    Ok(made)
}

/// Whether the next call is still wanted.
fn go_on(inner: &Inner, attempt: &Attempt) -> Result<(), Stop> {
    let is_ours = inner
        .unfinished(attempt.operation.id)
        .is_some_and(|operation| operation.fencing_token == attempt.operation.fencing_token);
    if is_ours && !inner.runners.is_draining() { Ok(()) } else { Err(Stop::NotWanted) }
}
