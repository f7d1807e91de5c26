//! Waiting for what the array does to a volume.

use crate::array::{self, JobState};
use bulkhead_sdk::http::Response;
use bulkhead_sdk::{Error, ErrorCode, Result, Share, clock};
use std::time::Duration;

/// The first pause between two questions; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How much of the call's time is kept for what comes after.
const RESERVE: Duration = Duration::from_secs(10);

/// Wait until the array has ended what it does to the volume of a share; a volume that is gone is one that nothing is done to.
///
/// Fails with what the array says of its failure; with `busy` when the time of the call is up: the repeated call finds the volume and
/// goes on waiting.
pub(crate) fn wait(share: &Share) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        match array::job(share)? {
            None => return Ok(()),
            Some(job) => match job.state {
                JobState::Done => return Ok(()),
                JobState::Failed => {
                    let message = format!("the array's work on {} failed: {}", share.name, job.error);
                    return Err(array::failure(&job.error, message));
                }
                JobState::Running => {}
            },
        }
        if clock::time_left() < pause.saturating_add(RESERVE) {
            return Err(Error::busy(format!("the array is not done with {} yet", share.name)));
        }
        clock::sleep(pause);
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// As [`wait`], whatever came of it: what is asked next does not depend on that.
pub(crate) fn settle(share: &Share) -> Result<()> {
    match wait(share) {
        Err(error) if error.code() != ErrorCode::Busy => match array::job(share)? {
            Some(job) if job.state == JobState::Failed => Ok(()),
            _ => Err(error),
        },
        ended => ended,
    }
}

/// The array has taken on work, or refused it: wait for its end.
pub(crate) fn wait_for(request: &str, answer: &Response, share: &Share) -> Result<()> {
    if answer.is_success() { wait(share) } else { Err(array::refused(request, answer)) }
}
