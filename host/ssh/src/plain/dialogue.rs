//! An array that only has a shell for people: a prompt that says that it waits, and a pager that wants to be told to go on.

use super::Line;
use super::exec::{Kept, Stream, unknown};
use super::pool::Connection;
use bulkhead_capability::execute::{Abandoned, RunError};
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished};
use russh::ChannelMsg;
use russh::client::Msg;
use tokio::time::Instant;

/// How large the terminal is said to be: no line is broken, and few arrays page.
const COLUMNS: u32 = 512;
const ROWS: u32 = 10_000;
/// The longest prompt or pager's text, in bytes.
const LONGEST: usize = 256;
/// How much may come before the first prompt, in bytes: arrays greet at length.
const LONGEST_GREETING: usize = 256 << 10;

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
        connection: &Connection,
        line: &Line,
        abandoned: &mut Abandoned,
    ) -> Result<Finished, RunError> {
        let begun = Instant::now();
        let nothing = |error: russh::Error| RunError::Unavailable { reason: error.to_string() };
        let mut channel = connection.channel().await.map_err(nothing)?;
        channel.request_pty(false, "dumb", COLUMNS, ROWS, 0, 0, &[]).await.map_err(nothing)?;
        channel.request_shell(false).await.map_err(nothing)?;
        let greeting = self.until_prompt(&mut channel, (line.until, LONGEST_GREETING), abandoned).await;
        greeting.map_err(|silent| RunError::Unavailable {
            reason: format!("the array's shell {silent} before its prompt '{}' came", self.prompt),
        })?;
        let said = format!("{}\n", line.text);
        // From here on the array may have heard of it.
        channel.data_bytes(said.into_bytes()).await.map_err(unknown)?;
        let most = usize::try_from(FLOOD_BYTES).unwrap_or(usize::MAX);
        let answer = self.until_prompt(&mut channel, (line.until, most), abandoned).await;
        let answer =
            answer.map_err(|silent| unknown(format!("the array's shell {silent} in mid-command")))?;
        // The next command has a shell of its own: nothing that is left over is taken for its answer.
        let _closed_anyway = channel.close().await.is_err();
        Ok(self.judge(&answer, line, begun))
    }

    /// What is said until the prompt stands at the end, with the pager answered and taken out.
    async fn until_prompt(
        &self,
        channel: &mut russh::Channel<Msg>,
        (until, most): (Instant, usize),
        abandoned: &mut Abandoned,
    ) -> Result<Vec<u8>, Silent> {
        let mut said: Vec<u8> = Vec::new();
        loop {
            let message = tokio::select! {
                message = channel.wait() => message,
                () = abandoned.wait() => return Err(Silent::Abandoned),
                () = tokio::time::sleep_until(until) => return Err(Silent::TimedOut),
            };
            match message {
                Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                    said.extend(data.iter())
                }
                None | Some(ChannelMsg::Close | ChannelMsg::Eof) => return Err(Silent::Closed),
                Some(ChannelMsg::Failure) => return Err(Silent::Refused),
                Some(_) => continue,
            }
            if said.len() > most {
                return Err(Silent::Flooded);
            }
            if let Some((pager, answer)) = &self.pager
                && said.ends_with(pager.as_bytes())
            {
                said.truncate(said.len().saturating_sub(pager.len()));
                channel.data_bytes(answer.clone().into_bytes()).await.map_err(|_| Silent::Closed)?;
            } else if said.ends_with(self.prompt.as_bytes()) {
                said.truncate(said.len().saturating_sub(self.prompt.len()));
                return Ok(said);
            }
        }
    }

    /// The answer without the echo of the command, and whether it tells of a failure.
    fn judge(&self, answer: &[u8], line: &Line, begun: Instant) -> Finished {
        let text = String::from_utf8_lossy(answer).replace('\r', "");
        let without_echo = match text.split_once('\n') {
            Some((first, rest)) if first.trim_end().ends_with(&line.text) => rest,
            _ => text.trim_start_matches(&line.text),
        };
        let failed = self.errors.iter().any(|error| without_echo.trim_start().starts_with(error));
        let mut kept = Kept::default();
        let (stream, ending) =
            if failed { (Stream::Error, Ending::Exited(1)) } else { (Stream::Output, Ending::Exited(0)) };
        let flooded = kept.add(without_echo.as_bytes(), (stream, line.capture)).is_err();
        kept.finished(if flooded { Ending::Flooded } else { ending }, begun)
    }
}

/// Why no prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Silent {
    #[error("was closed")]
    Closed,
    #[error("said nothing in time")]
    TimedOut,
    #[error("was left")]
    Abandoned,
    #[error("is refused to this user")]
    Refused,
    #[error("said more than anybody reads")]
    Flooded,
}

fn text(text: &str) -> Result<String, DialogueError> {
    let sound = (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
    if sound { Ok(text.to_owned()) } else { Err(DialogueError(text.chars().take(80).collect())) }
}
