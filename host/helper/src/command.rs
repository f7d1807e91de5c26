//! One command from its start to the end of everything it started.
//!
//! ```text
//! Running --leader exits--> Draining --both streams end, or 1 s--> Ending --nothing left--> Over
//!    |                                                                ^
//!    +--cancelled, timed out, connection closed--> Terminating -------+   (leader exits, or its grace is over)
//!    +--flooded-------------------------------------------------------+
//! ```
//!
//! `Ending` kills whatever is left. If the kernel does not let go of it within 5 s the command is reported as
//! [`Ending::KillPending`] and stays until it is gone.

use crate::child::{self, Limits, Start};
use crate::output::Output;
use crate::program::Review;
use crate::protocol::{
    Ending, FLOOD_BYTES, Finished, LARGEST_CAPTURE, Refusal, RunRequest, STANDARD_ERROR_BYTES,
};
use crate::tree::{Children, Left, Tree, Trees, Trust};
use crate::words::{self, Files, Words};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::{CommandEffect, CommandTemplate};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus, kill_process_group, pidfd_open};
use std::process::ChildStdin;
use std::time::{Duration, Instant};

/// How long a command that is to end may take to do so by itself.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// The same when nobody is left who waits for it.
pub(crate) const CLOSING_GRACE: Duration = Duration::from_secs(1);
/// How long streams are read after the leader has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the kernel may take to end what was killed.
const KILL: Duration = Duration::from_secs(5);
/// How soon to look again whether what was killed has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Address space of a command, in bytes.
const ADDRESS_SPACE: u64 = 4 << 30;
/// The longest a command may take, whatever is asked.
const LONGEST: Duration = Duration::from_secs(86_400);
const SIGXCPU: i32 = Signal::XCPU.as_raw();
const SIGXFSZ: i32 = Signal::XFSZ.as_raw();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Terminating { until: Instant },
    Draining { until: Instant },
    Ending { since: Instant },
}

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Command {
    id: u64,
    place: usize,
    leader: Pid,
    held: OwnedFd,
    tree: Tree,
    input: Input,
    stdout: Output,
    stderr: Output,
    begun: Instant,
    deadline: Instant,
    phase: Phase,
    stopped: Option<Ending>,
    status: Option<WaitStatus>,
    seen: Left,
    reported: bool,
}

#[derive(Debug)]
struct Input {
    stream: Option<ChildStdin>,
    left: Vec<u8>,
}

/// What a command has come to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It goes on.
    Going,
    /// It can be reported, but something of it is still there.
    Pending(Finished),
    /// Nothing of it is left; the report, unless it was given before.
    Over(Option<Finished>),
}

impl Command {
    /// Check, open and start. On failure nothing runs.
    pub(crate) fn start(
        request: &RunRequest,
        template: &CommandTemplate,
        (place, trees): (usize, &Trees),
    ) -> Result<Self, Refusal> {
        let review = crate::program::check(template, request.unreviewed)?;
        let program = crate::executable::open(&request.program)?;
        let environment = words::environment(template)?;
        let Words { arguments, input, descriptors, files } = words::build(template, request)?;
        if let (Files::Some, Review::Reviewed(program)) = (files, review) {
            program.check_files(template)?;
        }
        let timeout = Duration::from_millis(request.timeout_ms).min(LONGEST);
        let trust = match review {
            Review::Reviewed(_) => Trust::StaysInItsGroup,
            Review::Unreviewed => Trust::MayLeaveIt,
        };
        let tree = trees.plant(place, trust);
        let begun = Instant::now();
        let failed = |error: Errno| Refusal::io("the command could not be started", error);
        let started = child::start(Start {
            program: &program,
            name: &template.program,
            arguments: &arguments,
            environment: &environment,
            input: input.is_some(),
            descriptors,
            group: tree.entrance().map_err(failed)?,
            mark: tree.mark(),
            limits: limits(template, review, timeout),
            privilege: review.privilege(),
        })?;
        let held = pidfd_open(started.leader, PidfdFlags::empty()).map_err(failed)?;
        let capture = template.capture.min(LARGEST_CAPTURE);
        Ok(Self {
            id: request.id,
            place,
            leader: started.leader,
            held,
            tree,
            input: Input { stream: nonblocking(started.stdin)?, left: input.unwrap_or_default() },
            stdout: Output::new(nonblocking(started.stdout)?.map(OwnedFd::from), capture),
            stderr: Output::new(nonblocking(started.stderr)?.map(OwnedFd::from), STANDARD_ERROR_BYTES),
            begun,
            deadline: begun.checked_add(timeout).unwrap_or(begun),
            phase: Phase::Running,
            stopped: None,
            status: None,
            seen: Left::Something,
            reported: false,
        })
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    pub(crate) const fn leader(&self) -> Pid {
        self.leader
    }

    /// The leader was reaped.
    pub(crate) const fn has_ended(&mut self, status: WaitStatus) {
        self.status = Some(status);
    }

    /// Ask it to end, and end it after `grace` if it does not.
    pub(crate) fn stop(&mut self, why: Ending, grace: Duration) {
        let now = Instant::now();
        let end = now.checked_add(grace).unwrap_or(now);
        if let Phase::Terminating { until } = &mut self.phase {
            *until = end.min(*until);
        }
        if self.phase != Phase::Running || self.status.is_some() {
            return;
        }
        self.stopped = Some(why);
        self.phase = Phase::Terminating { until: end };
        // The leader is not reaped yet, so that the number still names its group. A stopped process takes a signal once it goes on.
        for signal in [Signal::TERM, Signal::CONT] {
            let _has_ended = kill_process_group(self.leader, signal).is_err();
        }
    }

    /// Add what this command waits for.
    pub(crate) fn watch<'command>(&'command self, list: &mut Vec<PollFd<'command>>) {
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

    /// When it must be looked at though nothing happens.
    pub(crate) fn due(&self) -> Instant {
        match self.phase {
            Phase::Running => self.deadline,
            Phase::Terminating { until } | Phase::Draining { until } => until,
            Phase::Ending { .. } => {
                let now = Instant::now();
                now.checked_add(LOOK_AGAIN).unwrap_or(now)
            }
        }
    }

    /// Move bytes, and go on to the next phase where it is time. Call it after reaping.
    pub(crate) fn advance(&mut self, trees: &Trees, children: Children) -> Progress {
        self.input.write();
        self.stdout.read();
        self.stderr.read();
        let now = Instant::now();
        if self.stdout.total().saturating_add(self.stderr.total()) > FLOOD_BYTES && self.stopped.is_none() {
            self.stopped = Some(Ending::Flooded);
            self.phase = Phase::Ending { since: now };
        }
        if self.phase == Phase::Running && now >= self.deadline && self.status.is_none() {
            self.stop(Ending::TimedOut, GRACE);
        }
        match (self.phase, self.status) {
            (Phase::Running, Some(_)) => {
                self.phase = Phase::Draining { until: now.checked_add(DRAIN).unwrap_or(now) }
            }
            (Phase::Terminating { .. }, Some(_)) => self.phase = Phase::Ending { since: now },
            (Phase::Terminating { until }, None) if now >= until => self.phase = Phase::Ending { since: now },
            _ => {}
        }
        if let Phase::Draining { until } = self.phase {
            let drained = self.stdout.stream().is_none() && self.stderr.stream().is_none();
            if drained || now >= until {
                self.phase = Phase::Ending { since: now };
            }
        }
        match self.phase {
            Phase::Ending { since } => self.end(since, trees, children),
            _ => Progress::Going,
        }
    }

    fn end(&mut self, since: Instant, trees: &Trees, children: Children) -> Progress {
        self.stdout.close();
        self.stderr.close();
        self.input.stream = None;
        let left = match self.seen {
            Left::NothingSeen if !children.reaped => Left::Nothing,
            _ => trees.end(&self.tree, children),
        };
        self.seen = left;
        if left == Left::Nothing && self.status.is_some() {
            let report = (!self.reported).then(|| self.report(self.ending()));
            return Progress::Over(report);
        }
        if !self.reported && since.elapsed() >= KILL {
            self.reported = true;
            return Progress::Pending(self.report(Ending::KillPending));
        }
        Progress::Going
    }

    fn ending(&self) -> Ending {
        if let Some(why) = self.stopped {
            return why;
        }
        let status = self.status;
        match status.and_then(WaitStatus::exit_status) {
            Some(code) => Ending::Exited(code),
            None => match status.and_then(WaitStatus::terminating_signal) {
                Some(SIGXCPU | SIGXFSZ) => Ending::LimitExceeded,
                signal => Ending::Signalled(signal.unwrap_or_default()),
            },
        }
    }

    fn report(&mut self, ending: Ending) -> Finished {
        Finished {
            ending,
            truncated: self.stdout.is_cut() || self.stderr.is_cut(),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            duration_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
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

fn nonblocking<T: AsFd>(stream: Option<T>) -> Result<Option<T>, Refusal> {
    if let Some(stream) = &stream {
        rustix::io::ioctl_fionbio(stream, true)
            .map_err(|error| Refusal::new(CapabilityCode::Io, format!("a stream of the command: {error}")))?;
    }
    Ok(stream)
}
