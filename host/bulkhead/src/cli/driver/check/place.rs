//! A place and an array that are none: no command runs, but to the directories is done what the command's template declares, and nothing is
//! sent.
//!
//! A template that creates a path makes a directory there, or a copy where it has a source; one that destroys a path removes it. What a
//! command writes is known only where the lab's file says so: an empty answer to one that only reads is a guess, and told as such.

use super::login::logged_in;
use crate::cli::driver::lab::LabAnswer;
use async_trait::async_trait;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, RunError};
use bulkhead_capability::http::{Controller, ExchangeError, Transport, WireRequest, WireResponse, fake};
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, Ending, Finished, JobAnswer, JobCall, PipeFinished, Refusal, ServiceAnswer,
    ServiceCall, SlotArgument,
};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandEffect, PathKind, SessionTemplate, SlotType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The place.
#[derive(Debug)]
pub(super) struct FakePlace {
    answers: Vec<LabAnswer>,
    guesses: Mutex<Vec<String>>,
    /// Services, jobs and buses: what starts is ready, and nothing is known of the rest.
    rest: FakeRunner,
    /// Sessions that are begun with whatever tokens they declare.
    sessions: Vec<SessionTemplate>,
}

impl FakePlace {
    pub(super) fn new(answers: Vec<LabAnswer>, sessions: Vec<SessionTemplate>) -> Self {
        Self { answers, guesses: Mutex::default(), rest: FakeRunner::default(), sessions }
    }

    /// What was guessed since this was last asked.
    pub(super) fn guesses(&self) -> Vec<String> {
        std::mem::take(&mut *self.guesses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn guess(&self, what: String) {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn answer(&self, request: &CommandRequest) -> Finished {
        let name = &request.template.name;
        let known = self.answers.iter().find(|answer| answer.command.as_ref() == Some(name));
        if known.is_none() && request.template.effect == CommandEffect::Read {
            self.guess(format!(
                "the fake knows no answer of the command '{name}'; [[answer]] command = \"{name}\" in a file for --config gives it one"
            ));
        }
        let stdout = known.map(|answer| answer.stdout.clone().into_bytes()).unwrap_or_default();
        let exit = known.map_or(0, |answer| answer.exit);
        Finished {
            ending: Ending::Exited(exit),
            stdout,
            stderr: Vec::new(),
            truncated: false,
            duration_ms: 1,
        }
    }
}

#[async_trait]
impl CommandRunner for FakePlace {
    async fn run(&self, request: CommandRequest, _abandoned: Abandoned) -> Result<Finished, RunError> {
        let finished = self.answer(&request);
        if finished.ending == Ending::Exited(0) {
            perform(&request).inspect_err(|error| {
                if matches!(error, RunError::OutcomeUnknown { .. }) {
                    self.guess(format!(
                        "the fake cannot do what '{}' declares: {error}",
                        request.template.name
                    ));
                }
            })?;
        }
        Ok(finished)
    }

    async fn pipe(
        &self,
        stages: Vec<CommandRequest>,
        _abandoned: Abandoned,
    ) -> Result<PipeFinished, RunError> {
        let mut ended = Vec::new();
        for stage in stages {
            let (_waiting, abandoned) = Abandoned::pair();
            ended.push(self.run(stage, abandoned).await?);
        }
        Ok(PipeFinished { stages: ended })
    }

    async fn service(&self, call: ServiceCall) -> Result<ServiceAnswer, RunError> {
        self.rest.service(call).await
    }

    async fn job(&self, call: JobCall) -> Result<JobAnswer, RunError> {
        self.guess("the fake runs no background work".to_owned());
        self.rest.job(call).await
    }

    async fn dbus(&self, call: DbusRequest) -> Result<DbusReply, RunError> {
        self.guess("the fake has nobody on its buses".to_owned());
        self.rest.dbus(call).await
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}

#[async_trait]
impl Transport for FakePlace {
    async fn exchange(
        &self,
        _controller: &Controller,
        request: WireRequest,
    ) -> Result<WireResponse, ExchangeError> {
        let name = &request.name;
        if let Some(session) = self.sessions.iter().find(|session| session.name == *name) {
            return Ok(logged_in(session));
        }
        let known = self.answers.iter().find(|answer| answer.request.as_ref() == Some(name));
        if known.is_none() {
            self.guess(format!(
                "the fake knows no answer to the request '{name}'; [[answer]] request = \"{name}\" in a file for --config gives it one, and \
                 --against tries a real array"
            ));
        }
        let body = known.map_or_else(|| b"{}".to_vec(), |answer| answer.body.clone().into_bytes());
        let mut answer = fake::answer(known.map_or(200, |answer| answer.status), body);
        if let Some(sink) = request.sink.filter(|_| answer.is_success()) {
            answer.streamed = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
            // Whoever takes no more says why.
            let _taken = sink.send(std::mem::take(&mut answer.body).into()).await.is_ok();
        }
        Ok(answer)
    }
}

/// Do to the directories what the template declares. Refuses what the helper would refuse before it starts a command.
fn perform(request: &CommandRequest) -> Result<(), RunError> {
    for (_, kind, path) in paths(request) {
        let is_there = path.symlink_metadata().is_ok();
        match kind {
            PathKind::Existing | PathKind::Remove if !is_there => {
                return refused(CapabilityCode::NotFound, &path);
            }
            PathKind::New | PathKind::NewInside if is_there => {
                return refused(CapabilityCode::AlreadyExists, &path);
            }
            _ => {}
        }
    }
    let template = &request.template;
    let at = |slot: &Option<Label>| {
        let slot = slot.as_ref()?;
        paths(request).find(|(name, ..)| *name == slot).map(|(_, _, path)| path)
    };
    if let Some(path) = at(&template.destroys) {
        done(remove(&path))?;
    }
    if let Some(path) = at(&template.creates) {
        let source = paths(request)
            .find(|(name, kind, _)| *kind == PathKind::Existing && Some(*name) != template.creates.as_ref());
        match source {
            Some((_, _, source)) => done(copy(&source, &path))?,
            None => done(std::fs::create_dir(&path))?,
        }
    }
    Ok(())
}

/// The path slots of a command, and where each points.
fn paths(request: &CommandRequest) -> impl Iterator<Item = (&Label, PathKind, PathBuf)> {
    request.slots.iter().filter_map(|(name, argument)| {
        let SlotType::Path { kind, root, .. } = request.template.slots.get(name)? else { return None };
        let SlotArgument::Path(below) = argument else { return None };
        let root = request.roots.get(root)?;
        Some((name, *kind, Path::new(&root.path).join(below.as_str())))
    })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.symlink_metadata()?.is_dir() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

fn refused(code: CapabilityCode, path: &Path) -> Result<(), RunError> {
    let what = if code == CapabilityCode::NotFound { "is not there" } else { "is there already" };
    Err(Refusal::new(code, format!("{} {what}", path.display())).into())
}

fn done(result: io::Result<()>) -> Result<(), RunError> {
    result.map_err(|error| RunError::OutcomeUnknown { reason: format!("the fake failed: {error}") })
}
