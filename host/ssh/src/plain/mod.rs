//! An array's own command line as a place: commands only, of words without paths, over a pool of connections.
//!
//! Each command has a channel of its own. An array that runs what an exec asks for answers with an exit code; one that only has a shell
//! for people is driven by its declared [`Dialogue`]. Either way a command whose end was not seen has an unknown outcome: it may have been
//! done, and whoever asked has to look.

mod dialogue;
mod exec;
mod limit;
mod pool;
mod said;

pub use dialogue::{Dialogue, DialogueError};

use crate::quote;
use crate::target::Target;
use async_trait::async_trait;
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use bulkhead_helper::protocol::{Finished, Refusal, Unreviewed};
use bulkhead_helper::text_words;
use pool::Connections;
use std::sync::Arc;
use tokio::time::Instant;

/// How the array takes a line apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// As a POSIX shell: every word stands in single quotes.
    Posix,
    /// At spaces, and nothing else: words are of `A-Z a-z 0-9 . _ : / = , @ % + -` alone.
    #[default]
    Plain,
}

/// A [`CommandRunner`] that is an array's command line.
#[derive(Debug)]
pub struct PlainPlace {
    connections: Connections,
    quoting: Quoting,
    dialogue: Option<Dialogue>,
}

/// A command as it goes to the array.
#[derive(Debug)]
struct Line {
    text: String,
    input: Option<Vec<u8>>,
    /// How much of its standard output is kept, in bytes.
    capture: usize,
    until: Instant,
}

impl PlainPlace {
    /// An array that runs what an exec asks for; with a `dialogue`, one that only has a shell. Connects when it is first asked.
    #[must_use]
    pub fn new(target: Arc<Target>, quoting: Quoting, dialogue: Option<Dialogue>) -> Self {
        Self { connections: Connections::new(target), quoting, dialogue }
    }

    fn line(&self, request: &CommandRequest) -> Result<Line, Refusal> {
        let template = &request.template;
        if request.unreviewed == Unreviewed::Refused {
            return Err(Refusal::denied(
                format!("program '{}', whose words on an array nobody has reviewed,", template.program),
                format!("ceiling.unreviewed-programs = [\"{}\"]", template.program),
            ));
        }
        if request.inside.is_some() {
            return Err(Refusal::denied(
                "a command inside a group of services on an array's own command line".to_owned(),
                "no line; an array runs no services of a driver",
            ));
        }
        let words = text_words(template, &request.slots)?;
        // The operator binds programs to absolute files; on an array the last part is the command's name.
        let program = request.program.rsplit('/').next().unwrap_or_default().to_owned();
        let quoted: Option<Vec<String>> = std::iter::once(&program)
            .chain(&words.arguments)
            .map(|word| match self.quoting {
                Quoting::Posix => quote::posix(word),
                Quoting::Plain => quote::plain(word),
            })
            .collect();
        let text = quoted.map(|words| words.join(" ")).ok_or_else(|| {
            Refusal::invalid(format!(
                "a word of '{}' holds a letter that this array's command line could take apart",
                template.name
            ))
        })?;
        if self.dialogue.is_some() && words.input.is_some() {
            return Err(Refusal::invalid(format!(
                "'{}' reads standard input, which a command in an array's shell has not",
                template.name
            )));
        }
        let until = Instant::now().checked_add(request.timeout).unwrap_or_else(Instant::now);
        let capture = usize::try_from(template.capture).unwrap_or(usize::MAX);
        Ok(Line { text, input: words.input, capture, until })
    }
}

#[async_trait]
impl CommandRunner for PlainPlace {
    async fn run(&self, request: CommandRequest, mut abandoned: Abandoned) -> Result<Finished, RunError> {
        let line = self.line(&request)?;
        let connection = tokio::select! {
            connection = self.connections.take(line.until) => connection?,
            () = abandoned.wait() => {
                return Err(RunError::Unavailable { reason: "nobody waits for it any more".to_owned() });
            }
        };
        match &self.dialogue {
            None => exec::run(connection, &line, &mut abandoned).await,
            Some(dialogue) => dialogue.run(connection, &line, &mut abandoned).await,
        }
    }

    fn directories(&self) -> Directories {
        Directories::Nowhere
    }

    /// What an earlier daemon asked for may still run on the array, and no one can say: whoever recovers looks.
    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}
