//! An array that only has a shell for people: a prompt that says that it waits, and a pager that wants to be told to go on.

use super::Line;
use super::exec::{self, GRACE, Kept, Stream, error_bytes, nothing, unknown};
use super::limit::{Left, within};
use super::pool::Connection;
use super::said::Said;
use bulkhead_capability::execute::{Abandoned, RunError};
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished};
use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::time::Instant;

/// How large the terminal is said to be: no line is broken, and few arrays page.
const COLUMNS: u32 = 512;
const ROWS: u32 = 10_000;
/// The longest prompt or pager's text, in bytes.
pub(super) const LONGEST: usize = 256;
/// How much may come before the first prompt, in bytes: arrays greet at length.
const LONGEST_GREETING: u64 = 256 << 10;
/// What a person types to end a command.
const INTERRUPT: &[u8] = b"\x03";

/// Why a dialogue cannot be led.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no text to wait for: 1 to 256 printable letters")]
pub struct DialogueError(String);

/// What the array's shell says, and what is answered. All texts are compared letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    prompt: String,
    pager: Option<(String, String)>,
    errors: Vec<String>,
}

impl Dialogue {
    /// With the `prompt` that stands at the end of all output while the shell waits.
    pub fn new(prompt: &str) -> Result<Self, DialogueError> {
        Ok(Self { prompt: text(prompt)?, pager: None, errors: Vec::new() })
    }

    /// With a `pager` that stops output until it is answered.
    pub fn with_pager(mut self, pager: &str, answer: &str) -> Result<Self, DialogueError> {
        self.pager = Some((text(pager)?, answer.to_owned()));
        Ok(self)
    }

    /// With what the first line of a command that failed begins with: it counts as left with 1, and what it said as standard error. Without,
    /// every command counts as left with 0.
    pub fn with_errors(mut self, errors: &[String]) -> Result<Self, DialogueError> {
        self.errors = errors.iter().map(|error| text(error)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    pub(super) async fn run(
        &self,
        connection: Connection,
        line: &Line,
        abandoned: &mut Abandoned,
    ) -> Result<Finished, RunError> {
        let begun = Instant::now();
        let mut channel = exec::open(&connection, line.until, abandoned).await?;
        let asking = async {
            channel.request_pty(false, "dumb", COLUMNS, ROWS, 0, 0, &[]).await?;
            channel.request_shell(false).await
        };
        within(asking, line.until, abandoned).await.map_err(nothing)?.map_err(nothing)?;
        let mut greeting = Said::with_room(0);
        let greeted =
            self.until_prompt(&mut channel, &mut greeting, (line.until, LONGEST_GREETING), abandoned);
        greeted.await.map_err(|silent| {
            nothing(format!("the array's shell {silent} before its prompt '{}' came", self.prompt))
        })?;
        let told = channel.data_bytes(format!("{}\n", line.text).into_bytes());
        let told = within(told, line.until, abandoned).await;
        // From here on the array may have heard of it.
        told.map_err(unknown)?.map_err(unknown)?;
        let mut said = Said::with_room(room(line));
        match self.until_prompt(&mut channel, &mut said, (line.until, FLOOD_BYTES), abandoned).await {
            Ok(()) => {}
            Err(Silent::Flooded) if self.interrupt(&mut channel, abandoned).await => {
                return Ok(self.judge(said, line).0.finished(Ending::Flooded, begun));
            }
            Err(silent) => return Err(unknown(format!("the array's shell {silent} in mid-command"))),
        }
        // The next command has a shell of its own: nothing that is left over is taken for its answer.
        if matches!(within(channel.close(), line.until, abandoned).await, Ok(Ok(()))) {
            connection.keep();
        }
        let (kept, ending) = self.judge(said, line);
        Ok(kept.finished(ending, begun))
    }

    /// Read what is `said` until the prompt stands at the end, with the pager answered; both are taken out.
    async fn until_prompt(
        &self,
        channel: &mut Channel<Msg>,
        said: &mut Said,
        (until, most): (Instant, u64),
        abandoned: &mut Abandoned,
    ) -> Result<(), Silent> {
        loop {
            match within(channel.wait(), until, abandoned).await? {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => said.add(&data),
                None | Some(ChannelMsg::Close | ChannelMsg::Eof) => return Err(Silent::Closed),
                Some(ChannelMsg::Failure) => return Err(Silent::Refused),
                Some(_) => continue,
            }
            if said.total() > most {
                return Err(Silent::Flooded);
            }
            if let Some((pager, answer)) = &self.pager
                && said.take_end(pager)
            {
                let answering = channel.data_bytes(answer.clone().into_bytes());
                within(answering, until, abandoned).await?.map_err(|_| Silent::Closed)?;
            } else if said.take_end(&self.prompt) {
                return Ok(());
            }
        }
    }

    /// Interrupt the command as a person would; whether the shell waits again.
    async fn interrupt(&self, channel: &mut Channel<Msg>, abandoned: &mut Abandoned) -> bool {
        let until = Instant::now() + GRACE;
        let told = within(channel.data_bytes(INTERRUPT), until, abandoned).await;
        matches!(told, Ok(Ok(())))
            && self.until_prompt(channel, &mut Said::with_room(0), (until, u64::MAX), abandoned).await.is_ok()
    }

    /// The answer without the echo of the command: as standard error, with 1, if it tells of a failure.
    fn judge(&self, said: Said, line: &Line) -> (Kept, Ending) {
        let (text, cut) = said.into_text();
        let without_echo = match text.split_once('\n') {
            Some((first, rest)) if first.trim_end().ends_with(&line.text) => rest,
            _ => text.trim_start_matches(&line.text),
        };
        let failed = self.errors.iter().any(|error| without_echo.trim_start().starts_with(error));
        let to = if failed { (Stream::Error, error_bytes()) } else { (Stream::Output, line.capture) };
        let mut kept = Kept::default();
        kept.add(without_echo.as_bytes(), to);
        kept.truncated |= cut;
        (kept, Ending::Exited(i32::from(failed)))
    }
}

/// How much of the beginning of an answer is kept, in bytes: what anybody reads of it, the echo of the command, and the ends of lines
/// around it.
fn room(line: &Line) -> usize {
    line.capture.max(error_bytes()).saturating_add(line.text.len()).saturating_add(LONGEST)
}

/// Why no prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Silent {
    #[error("was closed")]
    Closed,
    #[error("did not come to an end in time")]
    TimedOut,
    #[error("was left, for nobody waits any more,")]
    Abandoned,
    #[error("is refused to this user")]
    Refused,
    #[error("said more than anybody reads")]
    Flooded,
}

impl From<Left> for Silent {
    fn from(left: Left) -> Self {
        match left {
            Left::Abandoned => Self::Abandoned,
            Left::TimedOut => Self::TimedOut,
        }
    }
}

fn text(text: &str) -> Result<String, DialogueError> {
    let sound = (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
    if sound { Ok(text.to_owned()) } else { Err(DialogueError(text.chars().take(80).collect())) }
}
