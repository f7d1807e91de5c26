//! Commands, pipelines, calls on a bus and requests: recorded, and answered by the test.

use super::denial::{Answer, fail, io};
use super::manifest::Template;
use super::slots::Filled;
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::execute::Output;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

/// A command, pipeline, D-Bus call or request as the host would make it: the template with its slots filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    template: String,
    stages: Vec<Vec<String>>,
    values: BTreeMap<String, String>,
    paths: BTreeMap<String, PathBuf>,
}

impl Command {
    pub(super) fn new(template: &str, declared: &Template, filled: Filled) -> Self {
        let fill = |word: &String| {
            filled
                .values
                .iter()
                .fold(word.clone(), |text, (slot, value)| text.replace(&format!("{{{slot}}}"), &value.text))
        };
        let stages = declared.stages.iter().map(|words| words.iter().map(fill).collect()).collect();
        let values = filled.values.into_iter().map(|(slot, value)| (slot, value.text)).collect();
        Self { template: template.to_owned(), stages, values, paths: filled.paths }
    }

    /// One whose words stand as they are.
    pub(super) fn made(template: &str, words: Vec<String>, filled: Filled) -> Self {
        let values = filled.values.into_iter().map(|(slot, value)| (slot, value.text)).collect();
        Self { template: template.to_owned(), stages: vec![words], values, paths: filled.paths }
    }

    /// The template's name.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The program and its words, filled; of a pipeline those of its first stage; of a D-Bus call its arguments; of a
    /// request its method, its path with the query, and its body.
    #[must_use]
    pub fn words(&self) -> &[String] {
        self.stages.first().map_or(&[], Vec::as_slice)
    }

    /// The program and its words, filled, of each stage of a pipeline; a command has one.
    #[must_use]
    pub fn stages(&self) -> &[Vec<String>] {
        &self.stages
    }

    /// The text that stands in a slot; empty if there is no such slot.
    #[must_use]
    pub fn value(&self, slot: &str) -> &str {
        self.values.get(slot).map_or("", String::as_str)
    }

    /// The absolute path that a path slot names, of every kind: of `new-inside` too it is the path itself.
    #[must_use]
    pub fn path(&self, slot: &str) -> PathBuf {
        self.paths.get(slot).cloned().unwrap_or_else(|| Path::new(self.value(slot)).to_owned())
    }

    /// Run it: the programs are looked up in `PATH`, and each stage of a pipeline reads what the one before it writes.
    pub fn run(&self) -> Result<Output, CapabilityError> {
        let mut running = Vec::new();
        let mut input = Stdio::null();
        for (number, stage) in self.stages.iter().enumerate() {
            let Some((program, words)) = stage.split_first() else {
                return fail(
                    CapabilityCode::InvalidArgument,
                    format!("template {} has no program", self.template),
                );
            };
            let mut command = std::process::Command::new(program);
            command.args(words).env("LC_ALL", "C").stdin(input);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(io)?;
            let is_last = number + 1 == self.stages.len();
            input = child.stdout.take_if(|_| !is_last).map_or_else(Stdio::null, Stdio::from);
            running.push(child);
        }
        let mut last = Output::default();
        let mut failure = None;
        for child in running {
            let ended = child.wait_with_output().map_err(io)?;
            let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
            if !ended.status.success() && failure.is_none() {
                let message = format!("{} ended with {}", self.template, ended.status);
                let exit = CommandExit {
                    exit_code: ended.status.code(),
                    stdout: ended.stdout.clone(),
                    stderr: stderr.clone(),
                    signal: None,
                };
                failure = Some(CapabilityError::command_failed(message, exit));
            }
            last = Output { stdout: ended.stdout, stderr, ..Output::default() };
        }
        failure.map_or(Ok(last), Err)
    }
}

type Answering<T> = dyn Fn(&Command) -> Answer<T>;

/// What answers a command.
pub(super) struct Answerer<T>(pub(super) Rc<Answering<T>>);

impl<T> Clone for Answerer<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Answerer<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Answerer")
    }
}
