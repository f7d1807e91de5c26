//! One command, or a few that feed each other, from the start to the end of everything they started.
//!
//! ```text
//! Running --leaders exit--> Draining --all streams end, or 1 s--> Ending --nothing left--> Over
//!    |                                                               ^
//!    +--cancelled, timed out, connection closed, one failed--> Terminating   (leaders exit, or their grace is over)
//!    +--flooded------------------------------------------------------+
//! ```
//!
//! `Ending` kills whatever is left. If the kernel does not let go of it within 5 s the command is reported as
//! [`Ending::KillPending`] and stays until it is gone.

mod link;
mod stage;

pub(crate) use link::Counting;

use crate::child::Stream;
use crate::keeper::Groups;
use crate::protocol::{Ending, FLOOD_BYTES, Finished, MOST_STAGES, Refusal, RunRequest};
use crate::tree::{Children, Left, Tree, Trees, Trust};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::CommandTemplate;
use link::{Ends, Link};
use rustix::event::PollFd;
use rustix::process::{Pid, WaitStatus};
use stage::{Plan, Stage};
use std::time::{Duration, Instant};

/// How long a command that is to end may take to do so by itself.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// The same when nobody is left who waits for it, or when it was killed.
pub(crate) const CLOSING_GRACE: Duration = Duration::from_secs(1);
/// How long streams are read after the leaders have ended.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the kernel may take to end what was killed.
const KILL: Duration = Duration::from_secs(5);
/// How soon to look again whether what was killed has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// The longest a command may take, whatever is asked.
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Terminating { until: Instant },
    Draining { until: Instant },
    Ending { since: Instant },
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Line<'request> {
    /// First to last, each with its template as read from it.
    pub(crate) stages: &'request [(RunRequest, CommandTemplate)],
    /// Whether what passes from the first to the second is counted.
    pub(crate) counting: Counting,
    /// The groups that a command may run inside.
    pub(crate) groups: &'request Groups,
}

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Command {
    place: usize,
    tree: Tree,
    stages: Vec<Stage>,
    links: Vec<Link>,
    begun: Instant,
    deadline: Instant,
    phase: Phase,
    seen: Left,
    reported: bool,
}

/// What a command has come to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It goes on.
    Going,
    /// It can be reported, stage by stage, but something of it is still there.
    Pending(Vec<Finished>),
    /// Nothing of it is left; the report, unless it was given before.
    Over(Option<Vec<Finished>>),
}

impl Command {
    /// Check, open and start. Refused with `outcome-unknown` if a stage could not be started and earlier ones had been; else nothing ran.
    pub(crate) fn start(line: &Line<'_>, (place, trees): (usize, &Trees)) -> Result<Self, Refusal> {
        if line.stages.is_empty() || line.stages.len() > MOST_STAGES {
            return Err(Refusal::invalid(format!("a pipeline has 1 to {MOST_STAGES} stages")));
        }
        let reviewed: Vec<_> =
            line.stages.iter().map(|(request, template)| (template, request.unreviewed)).collect();
        let reviews = crate::program::check_stages(&reviewed)?;
        let shortest = line.stages.iter().map(|(request, _)| request.timeout_ms).min().unwrap_or(0);
        let timeout = Duration::from_millis(shortest).min(LONGEST);
        let mut plans: Vec<Plan<'_>> = Vec::new();
        for ((request, template), review) in line.stages.iter().zip(&reviews) {
            let plan = Plan::make(request, template, (*review, timeout), line.groups)?;
            plan.check_joint(plans.last())?;
            plans.push(plan);
        }
        let stays = reviews.iter().all(|review| matches!(review, crate::program::Review::Reviewed(_)));
        let trust = if stays { Trust::StaysInItsGroup } else { Trust::MayLeaveIt };
        let begun = Instant::now();
        let mut command = Self {
            place,
            tree: trees.plant(place, trust),
            stages: Vec::new(),
            links: Vec::new(),
            begun,
            deadline: begun.checked_add(timeout).unwrap_or(begun),
            phase: Phase::Running,
            seen: Left::Something,
            reported: false,
        };
        match command.start_stages(plans, line.counting) {
            Ok(()) => Ok(command),
            Err(refusal) => Err(command.give_up(trees, refusal)),
        }
    }

    fn start_stages(&mut self, plans: Vec<Plan<'_>>, counting: Counting) -> Result<(), Refusal> {
        let mut counting = counting;
        let mut stdin = Stream::Nothing;
        let mut plans = plans.into_iter().peekable();
        while let Some(plan) = plans.next() {
            let (stdout, next) = if plans.peek().is_some() {
                let made = Link::make(std::mem::replace(&mut counting, Counting::No));
                let (link, Ends { output, input }) =
                    made.map_err(|error| Refusal::io("a pipe between two stages", error))?;
                self.links.push(link);
                (output, input)
            } else {
                (Stream::Piped, Stream::Nothing)
            };
            self.stages.push(plan.start(&self.tree, stdin, stdout)?);
            stdin = next;
        }
        Ok(())
    }

    /// One stage could not be started: what there is of the command must not run on.
    fn give_up(mut self, trees: &Trees, refusal: Refusal) -> Refusal {
        self.stages.iter_mut().for_each(Stage::drop_out);
        let _goes_soon = trees.end(&self.tree, Children { any: true, reaped: false });
        if self.stages.is_empty() {
            return refusal;
        }
        Refusal::new(
            CapabilityCode::OutcomeUnknown,
            format!(
                "a later stage could not be started, and the earlier ones were ended: {}",
                refusal.message
            ),
        )
    }

    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    /// A child was reaped; perhaps it is a leader of this one.
    pub(crate) fn has_ended(&mut self, child: Pid, status: WaitStatus) {
        for stage in &mut self.stages {
            stage.has_ended(child, status);
        }
    }

    /// Bytes that have passed from the first stage to the second, where they are counted.
    pub(crate) fn moved(&self) -> u64 {
        self.links.first().map_or(0, Link::moved)
    }

    /// Ask it to end, and end it after `grace` if it does not.
    pub(crate) fn stop(&mut self, why: Ending, grace: Duration) {
        let now = Instant::now();
        let end = now.checked_add(grace).unwrap_or(now);
        if let Phase::Terminating { until } = &mut self.phase {
            *until = end.min(*until);
        }
        if self.phase != Phase::Running || self.stages.iter().all(Stage::is_over) {
            return;
        }
        self.phase = Phase::Terminating { until: end };
        for stage in &mut self.stages {
            stage.stop(why);
        }
    }

    /// Add what this command waits for.
    pub(crate) fn watch<'command>(&'command self, list: &mut Vec<PollFd<'command>>) {
        for stage in &self.stages {
            stage.watch(list);
        }
        for link in &self.links {
            link.watch(list);
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
        let mut written: u64 = 0;
        for stage in &mut self.stages {
            written = written.saturating_add(stage.advance());
        }
        for link in &self.links {
            written = written.saturating_add(link.thrown_away());
        }
        let now = Instant::now();
        if written > FLOOD_BYTES && !matches!(self.phase, Phase::Terminating { .. } | Phase::Ending { .. }) {
            for stage in &mut self.stages {
                stage.overrule(Ending::Flooded);
            }
            self.phase = Phase::Ending { since: now };
        }
        self.pass_on(now);
        let over = self.stages.iter().all(Stage::is_over);
        if self.phase == Phase::Running && now >= self.deadline && !over {
            self.stop(Ending::TimedOut, GRACE);
        }
        match self.phase {
            Phase::Running if over => {
                self.phase = Phase::Draining { until: now.checked_add(DRAIN).unwrap_or(now) }
            }
            Phase::Terminating { until } if over || now >= until => {
                self.phase = Phase::Ending { since: now };
            }
            _ => {}
        }
        if let Phase::Draining { until } = self.phase
            && (self.stages.iter().all(Stage::is_drained) || now >= until)
        {
            self.phase = Phase::Ending { since: now };
        }
        match self.phase {
            Phase::Ending { since } => self.end(since, trees, children),
            _ => Progress::Going,
        }
    }

    /// Tell a stage of its neighbour's good end, and end all when one has failed.
    fn pass_on(&mut self, now: Instant) {
        for (place, link) in self.links.iter_mut().enumerate() {
            link.advance();
            if self.stages.get(place).is_some_and(Stage::has_succeeded) {
                link.writer_ended();
            }
            if self.stages.get(place.saturating_add(1)).is_some_and(Stage::has_succeeded) {
                link.reader_ended();
            }
        }
        let failed = self.stages.iter().any(Stage::has_failed) || self.links.iter().any(Link::is_broken);
        if self.phase == Phase::Running && failed && !self.stages.iter().all(Stage::is_over) {
            for stage in &mut self.stages {
                stage.drop_out();
            }
            self.phase = Phase::Terminating { until: now.checked_add(CLOSING_GRACE).unwrap_or(now) };
        }
    }

    fn end(&mut self, since: Instant, trees: &Trees, children: Children) -> Progress {
        self.stages.iter_mut().for_each(Stage::close);
        self.links.iter_mut().for_each(Link::close);
        let left = match self.seen {
            Left::NothingSeen if !children.reaped => Left::Nothing,
            _ => trees.end(&self.tree, children),
        };
        self.seen = left;
        if left == Left::Nothing && self.stages.iter().all(Stage::is_over) {
            let report = (!self.reported).then(|| self.report(None));
            return Progress::Over(report);
        }
        if !self.reported && since.elapsed() >= KILL {
            self.reported = true;
            return Progress::Pending(self.report(Some(Ending::KillPending)));
        }
        Progress::Going
    }

    fn report(&mut self, ending: Option<Ending>) -> Vec<Finished> {
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.stages.iter_mut().map(|stage| stage.report(ending, duration_ms)).collect()
    }
}
