//! A command as an exec: its streams apart, its end told by an exit code.

use super::Line;
use super::limit::within;
use super::pool::Connection;
use bulkhead_capability::execute::{Abandoned, RunError};
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished, STANDARD_ERROR_BYTES};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::time::Duration;
use tokio::time::Instant;

/// How long an array may take to end a command that it was told to.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// How long an array that said how a command ended may stay quiet before it is taken to have nothing more to say: some leave it to the
/// client to close the channel.
const QUIET: Duration = Duration::from_secs(2);
/// The same for one that also said that no more output comes.
const QUIET_AFTER_LAST: Duration = Duration::from_millis(200);

/// What is kept of what a command writes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) truncated: bool,
    total: u64,
}

impl Kept {
    /// Keep `bytes` as far as there are no more than `most` of that stream.
    pub(super) fn add(&mut self, bytes: &[u8], (to, most): (Stream, usize)) {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let kept = match to {
            Stream::Output => &mut self.stdout,
            Stream::Error => &mut self.stderr,
        };
        let room = most.saturating_sub(kept.len());
        self.truncated |= bytes.len() > room;
        kept.extend(bytes.iter().take(room));
    }

    /// Whether the command has written more than anybody reads.
    const fn is_flooded(&self) -> bool {
        self.total > FLOOD_BYTES
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

/// How much is kept of what a command says as standard error.
pub(super) fn error_bytes() -> usize {
    usize::try_from(STANDARD_ERROR_BYTES).unwrap_or(usize::MAX)
}

/// Nobody saw the command end.
pub(super) fn unknown(reason: impl std::fmt::Display) -> RunError {
    RunError::OutcomeUnknown { reason: format!("{reason}; the array may have done what it was told") }
}

pub(super) async fn run(
    connection: Connection,
    line: &Line,
    abandoned: &mut Abandoned,
) -> Result<Finished, RunError> {
    let begun = Instant::now();
    let channel = open(&connection, line.until, abandoned).await?;
    let (mut heard, told) = channel.split();
    let asking = within(told.exec(true, line.text.as_str()), line.until, abandoned).await;
    // From here on the array may have heard of it.
    asking.map_err(nothing)?.map_err(unknown)?;
    let mut kept = Kept::default();
    let stopped = follow((&mut heard, &told), line, abandoned, &mut kept).await?;
    match stopped {
        Stopped::Closed(ending) => {
            connection.keep();
            Ok(kept.finished(ending, begun))
        }
        Stopped::LeftOpen(ending) => {
            // Whether the array heard it is not to be seen: what else it had to say is over.
            if matches!(tokio::time::timeout(GRACE, told.close()).await, Ok(Ok(()))) {
                connection.keep();
            }
            Ok(kept.finished(ending, begun))
        }
        Stopped::Early(ending) if end((&mut heard, &told)).await => Ok(kept.finished(ending, begun)),
        Stopped::Early(_) => {
            Err(unknown("the command was told to end, and the array does not say that it has"))
        }
    }
}

/// A channel for a command; nothing was asked of the array before.
pub(super) async fn open(
    connection: &Connection,
    until: Instant,
    abandoned: &mut Abandoned,
) -> Result<Channel<Msg>, RunError> {
    let opened = within(connection.channel(), until, abandoned).await;
    opened.map_err(|left| nothing(format!("no channel was opened: {left}")))?.map_err(nothing)
}

/// The array was asked for nothing.
pub(super) fn nothing(reason: impl std::fmt::Display) -> RunError {
    RunError::Unavailable { reason: reason.to_string() }
}

/// How it came that nothing more is read.
enum Stopped {
    /// The command ended and the array closed its channel.
    Closed(Ending),
    /// The command ended and the array said no more, but leaves the channel to this host.
    LeftOpen(Ending),
    /// This host reads no further, and nobody said that the command ended.
    Early(Ending),
}

/// Hear what the command writes, while it is told its input, until it has ended or is not waited for any more.
async fn follow(
    (heard, told): (&mut ChannelReadHalf, &ChannelWriteHalf<Msg>),
    line: &Line,
    abandoned: &mut Abandoned,
    kept: &mut Kept,
) -> Result<Stopped, RunError> {
    let telling = async {
        if let Some(input) = &line.input {
            told.data_bytes(input.clone()).await?;
        }
        told.eof().await
    };
    tokio::pin!(telling);
    let (mut all_told, mut ending, mut quiet) = (false, None, QUIET);
    let mut until = line.until;
    let stopped = |ended: Option<Ending>, early| ended.map_or(Stopped::Early(early), Stopped::LeftOpen);
    loop {
        tokio::select! {
            // What cannot be told any more has an end that is heard.
            _ = &mut telling, if !all_told => all_told = true,
            message = heard.wait() => {
                match take(message, kept, line.capture) {
                    Heard::More => {}
                    Heard::Last => quiet = QUIET_AFTER_LAST,
                    Heard::Ended(found) => ending = Some(found),
                    Heard::Refused => {
                        return Err(nothing("the array runs no commands by exec; declare its shell's prompt"));
                    }
                    Heard::Over => {
                        let lost = || unknown("the connection ended before the command did");
                        return ending.map(Stopped::Closed).ok_or_else(lost);
                    }
                    Heard::Flooded => return Ok(stopped(ending.map(|_| Ending::Flooded), Ending::Flooded)),
                }
                if ending.is_some() {
                    until = line.until.min(Instant::now() + quiet);
                }
            }
            () = abandoned.wait() => return Ok(stopped(ending, Ending::Cancelled)),
            () = tokio::time::sleep_until(until) => {
                // It may have been in the middle of what it had to say.
                kept.truncated |= until == line.until;
                return Ok(stopped(ending, Ending::TimedOut));
            }
        }
    }
}

enum Heard {
    More,
    /// It writes no more.
    Last,
    Ended(Ending),
    Refused,
    Over,
    Flooded,
}

fn take(message: Option<ChannelMsg>, kept: &mut Kept, capture: usize) -> Heard {
    match message {
        None | Some(ChannelMsg::Close) => return Heard::Over,
        Some(ChannelMsg::Eof) => return Heard::Last,
        Some(ChannelMsg::Failure) => return Heard::Refused,
        Some(ChannelMsg::ExitStatus { exit_status }) => {
            return Heard::Ended(Ending::Exited(i32::try_from(exit_status).unwrap_or(i32::MAX)));
        }
        Some(ChannelMsg::ExitSignal { .. }) => return Heard::Ended(Ending::Signalled(0)),
        Some(ChannelMsg::Data { data }) => kept.add(&data, (Stream::Output, capture)),
        Some(ChannelMsg::ExtendedData { data, .. }) => kept.add(&data, (Stream::Error, error_bytes())),
        Some(_) => return Heard::More,
    }
    if kept.is_flooded() { Heard::Flooded } else { Heard::More }
}

/// Tell the command to end; whether the array said that it has. What it writes meanwhile is not kept.
async fn end((heard, told): (&mut ChannelReadHalf, &ChannelWriteHalf<Msg>)) -> bool {
    let seen = async {
        if told.signal(Sig::TERM).await.is_err() {
            return false;
        }
        while let Some(message) = heard.wait().await {
            if matches!(message, ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(GRACE, seen).await.unwrap_or(false)
}
