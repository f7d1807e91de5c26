//! Commands: recorded, and answered by the test.

use super::denial::{Answer, fail, io};
use super::manifest::Template;
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::execute::Output;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A command as the host would run it: the template with its slots filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    template: String,
    words: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Command {
    pub(super) fn new(template: &str, declared: &Template, values: BTreeMap<String, String>) -> Self {
        let fill = |word: &String| {
            values
                .iter()
                .fold(word.clone(), |filled, (slot, value)| filled.replace(&format!("{{{slot}}}"), value))
        };
        let words = declared.words.iter().map(fill).collect();
        Self { template: template.to_owned(), words, values }
    }

    /// The template's name.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The program and its words, filled.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The text that stands in a slot; empty if there is no such slot.
    #[must_use]
    pub fn value(&self, slot: &str) -> &str {
        self.values.get(slot).map_or("", String::as_str)
    }

    /// The absolute path that stands in a path slot.
    #[must_use]
    pub fn path(&self, slot: &str) -> PathBuf {
        Path::new(self.value(slot)).to_owned()
    }

    /// Run it: the program is looked up in `PATH`.
    pub fn run(&self) -> Result<Output, CapabilityError> {
        let Some((program, words)) = self.words.split_first() else {
            return fail(
                CapabilityCode::InvalidArgument,
                format!("template {} has no program", self.template),
            );
        };
        let ended =
            std::process::Command::new(program).args(words).env("LC_ALL", "C").output().map_err(io)?;
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.success() {
            return Ok(Output { stdout: ended.stdout, stderr, ..Output::default() });
        }
        Err(CapabilityError::command_failed(
            format!("{} ended with {}", self.template, ended.status),
            CommandExit { exit_code: ended.status.code(), stdout: ended.stdout, stderr, signal: None },
        ))
    }
}

type Answering = dyn Fn(&Command) -> Answer<Output>;

/// What answers a command.
#[derive(Clone)]
pub(super) struct Answerer(pub(super) Rc<Answering>);

impl fmt::Debug for Answerer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Answerer")
    }
}
