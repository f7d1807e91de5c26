//! A command as an exec: its streams apart, its end told by an exit code.

use super::Line;
use super::pool::Connection;
use bulkhead_capability::execute::{Abandoned, RunError};
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished, STANDARD_ERROR_BYTES};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, Sig};
use std::time::Duration;
use tokio::time::Instant;

/// How long an array may take to end a command that it was told to.
const GRACE: Duration = Duration::from_secs(5);

/// What is kept of what a command writes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    truncated: bool,
    total: u64,
}

impl Kept {
    /// Fails once the command has written more than anybody reads.
    pub(super) fn add(&mut self, bytes: &[u8], (to, most): (Stream, usize)) -> Result<(), Flooded> {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let kept = match to {
            Stream::Output => &mut self.stdout,
            Stream::Error => &mut self.stderr,
        };
        let room = most.saturating_sub(kept.len());
        self.truncated |= bytes.len() > room;
        kept.extend(bytes.iter().take(room));
        if self.total > FLOOD_BYTES { Err(Flooded) } else { Ok(()) }
    }

    pub(super) fn finished(self, ending: Ending, begun: Instant) -> Finished {
        Finished {
            ending,
            stdout: self.stdout,
            stderr: self.stderr,
            truncated: self.truncated,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Error,
}

/// More was written than anybody reads.
#[derive(Debug)]
pub(super) struct Flooded;

/// Nobody saw the command end.
pub(super) fn unknown(reason: impl std::fmt::Display) -> RunError {
    RunError::OutcomeUnknown { reason: format!("{reason}; the array may have done what it was told") }
}

pub(super) async fn run(
    connection: &Connection,
    line: &Line,
    abandoned: &mut Abandoned,
) -> Result<Finished, RunError> {
    let begun = Instant::now();
    let nothing = |error: russh::Error| RunError::Unavailable { reason: error.to_string() };
    let opening = tokio::time::timeout_at(line.until, connection.channel()).await;
    let Ok(opened) = opening else {
        return Err(RunError::Unavailable { reason: "the array opens no channel in time".to_owned() });
    };
    let mut channel = opened.map_err(nothing)?;
    // From here on the array may have heard of it.
    channel.exec(true, line.text.as_str()).await.map_err(unknown)?;
    if let Some(input) = &line.input {
        channel.data_bytes(input.clone()).await.map_err(unknown)?;
    }
    channel.eof().await.map_err(unknown)?;
    let mut kept = Kept::default();
    let mut ending = None;
    let stopped = loop {
        tokio::select! {
            message = channel.wait() => match take(message, &mut kept, line.capture) {
                Heard::More => {}
                Heard::Ended(found) => ending = Some(found),
                Heard::Refused => {
                    return Err(RunError::Unavailable { reason: "the array runs no commands by exec; declare its shell's prompt".to_owned() });
                }
                Heard::Over => break None,
                Heard::Flooded => break Some(Ending::Flooded),
            },
            () = abandoned.wait() => break Some(Ending::Cancelled),
            () = tokio::time::sleep_until(line.until) => break Some(Ending::TimedOut),
        }
    };
    match (stopped, ending) {
        (None, Some(ending)) => Ok(kept.finished(ending, begun)),
        (None, None) => Err(unknown("the connection ended before the command did")),
        (Some(stopped), _) if end(&mut channel).await => Ok(kept.finished(stopped, begun)),
        (Some(_), _) => Err(unknown("the command was told to end, and the array does not say that it has")),
    }
}

enum Heard {
    More,
    Ended(Ending),
    Refused,
    Over,
    Flooded,
}

fn take(message: Option<ChannelMsg>, kept: &mut Kept, capture: usize) -> Heard {
    let most = usize::try_from(STANDARD_ERROR_BYTES).unwrap_or(usize::MAX);
    let added = match message {
        None | Some(ChannelMsg::Close) => return Heard::Over,
        Some(ChannelMsg::Failure) => return Heard::Refused,
        Some(ChannelMsg::ExitStatus { exit_status }) => {
            return Heard::Ended(Ending::Exited(i32::try_from(exit_status).unwrap_or(i32::MAX)));
        }
        Some(ChannelMsg::ExitSignal { .. }) => return Heard::Ended(Ending::Signalled(0)),
        Some(ChannelMsg::Data { data }) => kept.add(&data, (Stream::Output, capture)),
        Some(ChannelMsg::ExtendedData { data, .. }) => kept.add(&data, (Stream::Error, most)),
        Some(_) => return Heard::More,
    };
    if added.is_err() { Heard::Flooded } else { Heard::More }
}

/// Tell the command to end; whether the array said that it has.
async fn end(channel: &mut Channel<Msg>) -> bool {
    if channel.signal(Sig::TERM).await.is_err() || channel.close().await.is_err() {
        return false;
    }
    let seen = async {
        while let Some(message) = channel.wait().await {
            if matches!(message, ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(GRACE, seen).await.unwrap_or(false)
}
