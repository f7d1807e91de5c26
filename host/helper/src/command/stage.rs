//! One process of a command: what it is started with, its streams, and how it ended.

use crate::child::{self, Limits, Start, Stream};
use crate::keeper::Groups;
use crate::output::Output;
use crate::program::Review;
use crate::protocol::{
    Ending, Finished, LARGEST_CAPTURE, Refusal, RunRequest, STANDARD_ERROR_BYTES, SlotArgument,
};
use crate::tree::Tree;
use crate::words::{self, Files, Words};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::{CommandEffect, CommandTemplate};
use bulkhead_model::pattern::{Part, parts};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus, kill_process_group, pidfd_open};
use std::collections::BTreeMap;
use std::process::ChildStdin;
use std::time::Duration;

/// Address space of a command, in bytes.
const ADDRESS_SPACE: u64 = 4 << 30;
const SIGXCPU: i32 = Signal::XCPU.as_raw();
const SIGXFSZ: i32 = Signal::XFSZ.as_raw();

/// A stage that was checked and opened, and was not started yet.
#[derive(Debug)]
pub(super) struct Plan<'request> {
    template: &'request CommandTemplate,
    review: Review,
    program: OwnedFd,
    environment: BTreeMap<String, String>,
    words: Words,
    /// The last component of the path that its last word names, if that is one.
    name: Option<&'request str>,
    timeout: Duration,
    /// The mounts of the group it runs inside.
    mounts: Option<OwnedFd>,
}

impl<'request> Plan<'request> {
    /// Check the words and open what they name.
    pub(super) fn make(
        request: &'request RunRequest,
        template: &'request CommandTemplate,
        (review, timeout): (Review, Duration),
        groups: &Groups,
    ) -> Result<Self, Refusal> {
        let program = crate::executable::open(&request.program)?;
        let environment = words::environment(template)?;
        let words = words::build(template, request)?;
        if let (Files::Some, Review::Reviewed(reviewed)) = (words.files, review) {
            reviewed.program.check_files(template)?;
        }
        let name = last_name(template, request);
        let mounts = mounts(template, request, groups)?;
        Ok(Self { template, review, program, environment, words, name, timeout, mounts })
    }

    /// What is made by a program under the name that it is sent is made under the name that was claimed.
    pub(super) fn check_joint(&self, before: Option<&Self>) -> Result<(), Refusal> {
        if before.is_some() && self.words.input.is_some() {
            return Err(Refusal::invalid(format!(
                "template '{}' has a standard input of its own; in a pipeline it reads the one before",
                self.template.name
            )));
        }
        if self.review.receives() && before.and_then(|before| before.name) != self.name {
            return Err(Refusal::invalid(format!(
                "template '{}' receives under another name than is sent to it",
                self.template.name
            )));
        }
        Ok(())
    }

    /// Start it. On failure something of it may run in its tree.
    pub(super) fn start(self, tree: &Tree, stdin: Stream, stdout: Stream) -> Result<Stage, Refusal> {
        let failed = |error: Errno| Refusal::io("the command could not be started", error);
        let Words { arguments, input, descriptors, .. } = self.words;
        let started = child::start(Start {
            program: &self.program,
            name: &self.template.program,
            arguments: &arguments,
            environment: &self.environment,
            stdin: if input.is_some() { Stream::Piped } else { stdin },
            stdout,
            descriptors,
            group: tree.entrance().map_err(failed)?,
            mark: tree.mark(),
            limits: limits(self.template, self.review, self.timeout),
            privilege: self.review.privilege(),
            mounts: self.mounts,
        })?;
        let capture = self.template.capture.min(LARGEST_CAPTURE);
        Ok(Stage {
            held: pidfd_open(started.leader, PidfdFlags::empty()).map_err(failed)?,
            leader: started.leader,
            input: Input { stream: nonblocking(started.stdin)?, left: input.unwrap_or_default() },
            stdout: Output::new(nonblocking(started.stdout)?.map(OwnedFd::from), capture),
            stderr: Output::new(nonblocking(started.stderr)?.map(OwnedFd::from), STANDARD_ERROR_BYTES),
            stopped: None,
            status: None,
        })
    }
}

/// One process of a command with its streams.
#[derive(Debug)]
pub(super) struct Stage {
    leader: Pid,
    held: OwnedFd,
    input: Input,
    stdout: Output,
    stderr: Output,
    stopped: Option<Ending>,
    status: Option<WaitStatus>,
}

#[derive(Debug)]
struct Input {
    stream: Option<ChildStdin>,
    left: Vec<u8>,
}

impl Stage {
    /// Whether `child` is its leader, which was reaped.
    pub(super) fn has_ended(&mut self, child: Pid, status: WaitStatus) {
        if self.status.is_none() && self.leader == child {
            self.status = Some(status);
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.status.is_some()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.status.is_some() && !self.has_succeeded()
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.exit_status() == Some(0))
    }

    /// Ask it to end, unless it has.
    pub(super) fn stop(&mut self, why: Ending) {
        if self.status.is_some() {
            return;
        }
        self.stopped = Some(why);
        // The leader is not reaped yet, so that the number still names its group. A stopped process takes a signal once it goes on.
        for signal in [Signal::TERM, Signal::CONT] {
            let _has_ended = kill_process_group(self.leader, signal).is_err();
        }
    }

    /// End it without asking, unless it has ended: another stage failed.
    pub(super) fn drop_out(&mut self) {
        if self.status.is_none() {
            self.stopped = Some(Ending::Cancelled);
            let _has_ended = kill_process_group(self.leader, Signal::KILL).is_err();
        }
    }

    /// Report it as ended for this reason, however it did.
    pub(super) const fn overrule(&mut self, why: Ending) {
        self.stopped = Some(why);
    }

    pub(super) fn watch<'stage>(&'stage self, list: &mut Vec<PollFd<'stage>>) {
        if self.status.is_none() {
            list.push(PollFd::new(&self.held, PollFlags::IN));
        }
        for stream in [self.stdout.stream(), self.stderr.stream()].into_iter().flatten() {
            list.push(PollFd::from_borrowed_fd(stream, PollFlags::IN));
        }
        if let Some(stream) = &self.input.stream {
            list.push(PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::OUT));
        }
    }

    /// Move bytes; answers how many it has written so far.
    pub(super) fn advance(&mut self) -> u64 {
        self.input.write();
        self.stdout.read();
        self.stderr.read();
        self.stdout.total().saturating_add(self.stderr.total())
    }

    pub(super) fn is_drained(&self) -> bool {
        self.stdout.stream().is_none() && self.stderr.stream().is_none()
    }

    pub(super) fn close(&mut self) {
        self.stdout.close();
        self.stderr.close();
        self.input.stream = None;
    }

    fn ending(&self) -> Ending {
        if let Some(why) = self.stopped {
            return why;
        }
        match self.status.and_then(WaitStatus::exit_status) {
            Some(code) => Ending::Exited(code),
            None => match self.status.and_then(WaitStatus::terminating_signal) {
                Some(SIGXCPU | SIGXFSZ) => Ending::LimitExceeded,
                signal => Ending::Signalled(signal.unwrap_or_default()),
            },
        }
    }

    /// How it ended; `ending` if something of it is still there.
    pub(super) fn report(&mut self, ending: Option<Ending>, duration_ms: u64) -> Finished {
        Finished {
            ending: ending.unwrap_or_else(|| self.ending()),
            truncated: self.stdout.is_cut() || self.stderr.is_cut(),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            duration_ms,
        }
    }
}

impl Input {
    /// Write what the command takes now. One that does not read is not waited for.
    fn write(&mut self) {
        let Some(stream) = &self.stream else { return };
        while !self.left.is_empty() {
            match rustix::io::write(stream, &self.left) {
                Ok(written) => {
                    self.left.drain(..written);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => break,
            }
        }
        self.stream = None;
    }
}

/// A command that only reads may not write files at all; for others the filesystem's own limits hold, because a share may be of any size.
fn limits(template: &CommandTemplate, review: Review, timeout: Duration) -> Limits {
    let reads = template.effect == CommandEffect::Read && matches!(review, Review::Reviewed(_));
    Limits {
        address_space: ADDRESS_SPACE,
        processor_seconds: timeout.as_secs().saturating_add(1),
        file_size: reads.then_some(0),
    }
}

/// The mounts of the group that the template names and the request says the instance of.
fn mounts(
    template: &CommandTemplate,
    request: &RunRequest,
    groups: &Groups,
) -> Result<Option<OwnedFd>, Refusal> {
    match (&template.inside, &request.inside) {
        (None, None) => Ok(None),
        (Some(name), Some(group)) if *name == group.group => groups.mounts_of(group).map(Some),
        _ => Err(Refusal::invalid(format!("template '{}' runs inside another group", template.name))),
    }
}

fn last_name<'request>(template: &CommandTemplate, request: &'request RunRequest) -> Option<&'request str> {
    let found = parts(template.args.last()?);
    let [Part::Place(label)] = found.as_slice() else { return None };
    match request.slots.get(label)? {
        SlotArgument::Path(path) => path.as_str().rsplit('/').next(),
        _ => None,
    }
}

fn nonblocking<T: AsFd>(stream: Option<T>) -> Result<Option<T>, Refusal> {
    if let Some(stream) = &stream {
        rustix::io::ioctl_fionbio(stream, true)
            .map_err(|error| Refusal::new(CapabilityCode::Io, format!("a stream of the command: {error}")))?;
    }
    Ok(stream)
}
