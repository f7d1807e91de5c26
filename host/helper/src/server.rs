//! The loop: one thread, one connection, a list of commands, and `poll` over all of them.

use crate::command::{CLOSING_GRACE, Command, Counting, GRACE, Line, Progress};
use crate::connection::{Channel, Connection, Peer, ServeError};
use crate::dbus::Calls;
use crate::files::Worker;
use crate::job::{Jobs, Means};
use crate::keeper::{self, Begun, Groups, Runtime};
use crate::lock::Lock;
use crate::policy::Policy;
use crate::protocol::{
    DbusRequest, Ending, FilesCall, Finished, FromHelper, JobAnswer, JobCall, MOST_COMMANDS, PipeFinished,
    Refusal, RunRequest, ServiceCall, ToHelper, VERSION,
};
use crate::tree::{Left, Trees, reap};
use bulkhead_model::error::CapabilityCode;
use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpid;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How soon to look again while a sweep waits, or while adopted children of a command that is over may still have to be reaped.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long after a command is over its adopted children are reaped: they are dead by then, and only become zombies a moment later.
const AFTERMATH: Duration = Duration::from_millis(200);

/// What a helper serves connections with.
#[derive(Debug)]
pub struct Server {
    trees: Trees,
    lock: Lock,
    policy: Policy,
    runtime: Option<PathBuf>,
    groups: Groups,
}

impl Server {
    /// A server that ends commands by `trees`, runs none until it holds `lock`, and none that `policy` does not allow.
    #[must_use]
    pub fn new(trees: Trees, lock: Lock, policy: Policy) -> Self {
        Self { trees, lock, policy, runtime: None, groups: Groups::default() }
    }

    /// Keep in `directory` what outlives this process: jobs, and in `groups` the keepers of services. It is there, and nobody else may write
    /// to it.
    #[must_use]
    pub fn with_runtime(mut self, directory: PathBuf, groups: Runtime) -> Self {
        self.runtime = Some(directory);
        self.groups = Groups::new(groups);
        self
    }

    /// Serve one connection until it closes, then end every command it started. Returns once nothing of them is left.
    pub fn serve(&mut self, connection: Channel) -> Result<(), ServeError> {
        let mut session = Session::new(self, Connection::new(connection)?);
        let served = session.run();
        session.close();
        served
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was said yet.
    Silent,
    /// Hello was said; nothing may be run.
    Greeted,
    /// A sweep was asked for and goes on.
    Sweeping,
    /// Commands may be run.
    Swept,
}

/// A command that runs, and how its end is told.
#[derive(Debug)]
struct Running {
    id: u64,
    asked: Asked,
    command: Command,
}

/// What a command was asked for as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Command,
    Pipeline,
}

impl Running {
    fn told(&self, mut stages: Vec<Finished>) -> Option<FromHelper> {
        let id = self.id;
        match self.asked {
            Asked::Command => stages.pop().map(|finished| FromHelper::Finished { id, finished }),
            Asked::Pipeline => Some(FromHelper::Piped { id, finished: PipeFinished { stages } }),
        }
    }
}

#[derive(Debug)]
struct Session<'server> {
    server: &'server mut Server,
    connection: Connection,
    stage: Stage,
    last_id: u64,
    commands: Vec<Running>,
    calls: Calls,
    jobs: Jobs,
    files: Worker,
    questions: Vec<keeper::Call>,
    aftermath: Option<Instant>,
}

impl<'server> Session<'server> {
    fn new(server: &'server mut Server, connection: Connection) -> Self {
        Self {
            server,
            connection,
            stage: Stage::Silent,
            last_id: 0,
            commands: Vec::new(),
            calls: Calls::default(),
            jobs: Jobs::default(),
            files: Worker::default(),
            questions: Vec::new(),
            aftermath: None,
        }
    }

    fn run(&mut self) -> Result<(), ServeError> {
        loop {
            self.wait(Peer::There)?;
            if self.connection.receive()? == Peer::Gone {
                return Ok(());
            }
            while let Some(message) = self.connection.message()? {
                self.answer(message)?;
            }
            self.advance()?;
            for (id, answer) in self.calls.advance() {
                self.connection.tell(&FromHelper::Dbus { id, answer })?;
            }
            for (id, answer) in self.jobs.advance(&self.server.trees) {
                self.connection.tell(&FromHelper::Job { id, answer })?;
            }
            for (id, answer) in self.files.advance() {
                self.connection.tell(&FromHelper::Files { id, answer })?;
            }
            self.advance_questions()?;
            self.sweep()?;
            if self.connection.send()? == Peer::Gone {
                return Ok(());
            }
        }
    }

    /// Nobody listens any more: end everything.
    fn close(&mut self) {
        (self.calls, self.jobs) = (Calls::default(), Jobs::default());
        // What was begun goes on: services belong to nobody's connection.
        self.questions.clear();
        self.files.end();
        while !self.commands.is_empty() {
            for running in &mut self.commands {
                running.command.stop(Ending::Cancelled, CLOSING_GRACE);
            }
            let _nobody_is_told = self.advance().is_err();
            self.connection.forget();
            let _goes_on = self.wait(Peer::Gone).is_err();
        }
    }

    fn wait(&self, peer: Peer) -> Result<(), ServeError> {
        let mut watched = Vec::new();
        if peer == Peer::There {
            self.connection.watch(&mut watched);
        }
        for running in &self.commands {
            running.command.watch(&mut watched);
        }
        self.calls.watch(&mut watched);
        self.jobs.watch(&mut watched);
        self.files.watch(&mut watched);
        for question in &self.questions {
            question.watch(&mut watched);
        }
        let now = Instant::now();
        let due = self
            .commands
            .iter()
            .map(|running| running.command.due())
            .chain(self.calls.due())
            .chain(self.jobs.due())
            .chain(self.questions.iter().map(keeper::Call::due))
            .chain(self.connection.due().filter(|_| peer == Peer::There))
            .min();
        let due = due.map(|due| due.saturating_duration_since(now));
        let looks_again = self.stage == Stage::Sweeping || self.aftermath.is_some();
        let due = if looks_again { Some(LOOK_AGAIN.min(due.unwrap_or(LOOK_AGAIN))) } else { due };
        let timeout = due.map(|due| Timespec::try_from(due).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(ServeError::Connection(error)),
        }
    }

    fn answer(&mut self, message: ToHelper) -> Result<(), ServeError> {
        match message {
            ToHelper::Hello { version } => self.greet(version),
            _ if self.stage == Stage::Silent => Err(ServeError::NoHello),
            ToHelper::Ping { token } => self.connection.tell(&FromHelper::Pong { token }),
            ToHelper::Sweep => {
                if self.stage == Stage::Swept {
                    return self.connection.tell(&FromHelper::Swept);
                }
                self.stage = Stage::Sweeping;
                Ok(())
            }
            ToHelper::Cancel { id } => {
                for running in self.commands.iter_mut().filter(|running| running.id == id) {
                    running.command.stop(Ending::Cancelled, GRACE);
                }
                self.files.stop(id);
                match self.calls.cancel(id) {
                    Some(answer) => self.connection.tell(&FromHelper::Dbus { id, answer }),
                    None => Ok(()),
                }
            }
            ToHelper::Pipe(request) => self.start(request.id, Asked::Pipeline, request.stages),
            ToHelper::Run(request) => self.start(request.id, Asked::Command, vec![*request]),
            ToHelper::Service { id, call } => match self.ask(id, &call) {
                Ok(Begun::Waits(question)) => {
                    self.questions.push(question);
                    Ok(())
                }
                Ok(Begun::Answered(answer)) => {
                    self.connection.tell(&FromHelper::Service { id, answer: Ok(answer) })
                }
                Err(refusal) => self.connection.tell(&FromHelper::Service { id, answer: Err(refusal) }),
            },
            ToHelper::Job { id, call } => match self.job(id, *call) {
                Some(answer) => self.connection.tell(&FromHelper::Job { id, answer }),
                None => Ok(()),
            },
            ToHelper::Files { id, call } => match self.ask_about_files(id, call) {
                Ok(()) => Ok(()),
                Err(refusal) => self.connection.tell(&FromHelper::Files { id, answer: Err(refusal) }),
            },
            ToHelper::Dbus { id, call } => match self.call(id, &call) {
                Ok(()) => Ok(()),
                Err(refusal) => self.connection.tell(&FromHelper::Dbus { id, answer: Err(refusal) }),
            },
        }
    }

    fn greet(&mut self, version: u32) -> Result<(), ServeError> {
        let process = u32::try_from(getpid().as_raw_pid()).unwrap_or(0);
        let ending = self.server.trees.method();
        self.connection.tell(&FromHelper::Hello { version: VERSION, process, ending })?;
        if version != VERSION {
            let _gone = self.connection.send()?;
            return Err(ServeError::Version { daemon: version });
        }
        if self.stage == Stage::Silent {
            self.stage = Stage::Greeted;
        }
        Ok(())
    }

    fn start(&mut self, id: u64, asked: Asked, stages: Vec<RunRequest>) -> Result<(), ServeError> {
        match self.try_to_start(id, asked, stages) {
            Ok(command) => {
                self.commands.push(Running { id, asked, command });
                self.connection.tell(&FromHelper::Started { id })
            }
            Err(refusal) => self.connection.tell(&FromHelper::Refused { id, refusal }),
        }
    }

    /// Whether a request with this id may be served now.
    fn admit(&mut self, id: u64) -> Result<(), Refusal> {
        if id <= self.last_id {
            let what = format!("request {id}, which was made before,");
            return Err(Refusal::denied(what, "no line; ids grow"));
        }
        self.last_id = id;
        if self.stage != Stage::Swept {
            return Err(Refusal::new(
                CapabilityCode::Busy,
                "commands of an earlier daemon are still being ended",
            ));
        }
        Ok(())
    }

    fn job(&mut self, id: u64, call: JobCall) -> Option<Result<JobAnswer, Refusal>> {
        if let Err(refusal) = self.admit(id) {
            return Some(Err(refusal));
        }
        let Server { trees, policy, runtime, .. } = &*self.server;
        self.jobs.call(id, call, Means { runtime: runtime.as_deref(), policy, trees })
    }

    fn call(&mut self, id: u64, request: &DbusRequest) -> Result<(), Refusal> {
        self.admit(id)?;
        self.server.policy.check_roots(&request.roots)?;
        let groups = &self.server.groups;
        self.calls.begin(id, request, |group| groups.root_of(&request.group, group))
    }

    fn ask_about_files(&mut self, id: u64, call: Box<FilesCall>) -> Result<(), Refusal> {
        self.admit(id)?;
        self.server.policy.check_roots(&call.roots)?;
        self.files.ask(id, call)
    }

    fn ask(&mut self, id: u64, call: &ServiceCall) -> Result<Begun, Refusal> {
        self.admit(id)?;
        if self.questions.len() >= keeper::MOST_CALLS {
            let message =
                format!("{} questions about services wait already; try again later", keeper::MOST_CALLS);
            return Err(Refusal::new(CapabilityCode::Busy, message));
        }
        let Server { groups, policy, .. } = &mut *self.server;
        groups.begin(id, call, policy)
    }

    fn advance_questions(&mut self) -> Result<(), ServeError> {
        let mut answers = Vec::new();
        let groups = &mut self.server.groups;
        self.questions.retain_mut(|question| match groups.advance(question) {
            Some(answer) => {
                answers.push((question.id(), answer));
                false
            }
            None => true,
        });
        for (id, answer) in answers {
            self.connection.tell(&FromHelper::Service { id, answer })?;
        }
        Ok(())
    }

    fn try_to_start(&mut self, id: u64, asked: Asked, stages: Vec<RunRequest>) -> Result<Command, Refusal> {
        self.admit(id)?;
        if asked == Asked::Pipeline && stages.len() < 2 {
            return Err(Refusal::invalid("a pipeline has at least two stages"));
        }
        let taken = |place: &usize| self.commands.iter().any(|running| running.command.place() == *place);
        let Some(place) = (0..MOST_COMMANDS).find(|place| !taken(place)) else {
            let message = format!("{MOST_COMMANDS} commands run already; try again later");
            return Err(Refusal::new(CapabilityCode::Busy, message));
        };
        let stages = self.server.policy.read_stages(stages)?;
        let line = Line { stages: &stages, counting: Counting::No, groups: &self.server.groups };
        Command::start(&line, (place, &self.server.trees))
    }

    fn advance(&mut self) -> Result<(), ServeError> {
        let now = Instant::now();
        self.aftermath = self.aftermath.filter(|until| now < *until);
        let commands = &mut self.commands;
        let children = reap(|child, status| {
            for running in commands.iter_mut() {
                running.command.has_ended(child, status);
            }
        });
        let mut reports = Vec::new();
        let before = self.commands.len();
        let trees = &self.server.trees;
        self.commands.retain_mut(|running| match running.command.advance(trees, children) {
            Progress::Going => true,
            Progress::Pending(stages) => {
                reports.extend(running.told(stages));
                true
            }
            Progress::Over(stages) => {
                reports.extend(stages.and_then(|stages| running.told(stages)));
                false
            }
        });
        if self.commands.len() < before {
            self.aftermath = now.checked_add(AFTERMATH);
        }
        for report in reports {
            self.connection.tell(&report)?;
        }
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), ServeError> {
        if self.stage != Stage::Sweeping || !self.server.lock.is_held() {
            return Ok(());
        }
        if self.server.trees.end_strays() == Left::Something {
            return Ok(());
        }
        self.stage = Stage::Swept;
        self.connection.tell(&FromHelper::Swept)
    }
}
