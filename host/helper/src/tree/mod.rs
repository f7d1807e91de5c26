//! The whole tree of a command's processes, and how it is ended for certain, whatever its members did to get away.
//!
//! With a writable cgroup of version 2 each command has its own, and the kernel ends all of it at once. Elsewhere the helper adopts
//! orphans and ends whoever carries the command's mark, again and again until nobody does.

mod group;
mod mark;

pub(crate) use group::{end_service_group, make_service_group};

use crate::protocol::EndingMethod;
use group::{Group, Groups};
use mark::Marks;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper};

/// Whether anything is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Nothing was seen. Nothing was there if no child is reaped until the next look.
    NothingSeen,
    /// Something that was told to end; look again soon.
    Something,
}

/// Whether a command could leave its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Somebody has reviewed that its program does not.
    StaysInItsGroup,
    /// As root's it could write itself into another one.
    MayLeaveIt,
}

/// How this helper ends trees. One for the process.
#[derive(Debug)]
pub struct Trees {
    groups: Option<Groups>,
    marks: Marks,
}

impl Trees {
    /// Mark this process as a helper, adopt orphans, and find out whether cgroups can be made.
    ///
    /// Fails where the system lacks what both methods need.
    pub fn prepare() -> Result<Self, Errno> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { marks: Marks::take()?, groups: Groups::make() })
    }

    /// As [`Trees::prepare`], without cgroups though they could be made.
    pub fn prepare_without_groups() -> Result<Self, Errno> {
        set_child_subreaper(Some(getpid()))?;
        Ok(Self { marks: Marks::take()?, groups: None })
    }

    /// The same for the process that keeps a job: what it runs is told from what helpers run.
    pub fn into_keeper(self) -> Result<Self, Errno> {
        Ok(Self { marks: Marks::take_as_keeper()?, ..self })
    }

    /// Which method it is.
    #[must_use]
    pub const fn method(&self) -> EndingMethod {
        match self.groups {
            Some(_) => EndingMethod::ControlGroup,
            None => EndingMethod::MarkAndSweep,
        }
    }

    /// A tree for the command at `place`: a number below [`MOST_COMMANDS`](crate::protocol::MOST_COMMANDS) that no other running one has.
    pub(crate) fn plant(&self, place: usize, trust: Trust) -> Tree {
        let group = self.groups.as_ref().and_then(|groups| groups.make_one(place));
        Tree { group, mark: self.marks.of_command(place), trust }
    }

    /// End whatever is left of a command. Call it again until nothing is, reaping children in between.
    pub(crate) fn end(&self, tree: &Tree, children: Children) -> Left {
        let left = tree.group.as_ref().map(Group::end);
        match (left, tree.trust) {
            (Some(Left::Something | Left::NothingSeen), _) => Left::Something,
            (Some(Left::Nothing), Trust::StaysInItsGroup) => Left::Nothing,
            _ if !children.any => Left::Nothing,
            _ => self.marks.end(tree.mark),
        }
    }

    /// End what commands of dead helpers left behind.
    pub(crate) fn end_strays(&self) -> Left {
        let groups = self.groups.as_ref().map_or(Left::Nothing, Groups::end_strays);
        match (groups, self.marks.end_strays()) {
            (Left::Nothing, Left::Nothing) => Left::Nothing,
            _ => Left::Something,
        }
    }
}

/// Which method a helper of this user would use here: for people who ask what this machine lacks. Makes a cgroup and removes it.
#[must_use]
pub fn ending_method() -> EndingMethod {
    if Groups::are_possible() { EndingMethod::ControlGroup } else { EndingMethod::MarkAndSweep }
}

/// One command's processes.
#[derive(Debug)]
pub(crate) struct Tree {
    group: Option<Group>,
    mark: u64,
    trust: Trust,
}

impl Tree {
    /// The mark that the command is started with.
    pub(crate) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Where the command enters its cgroup.
    pub(crate) fn entrance(&self) -> Result<Option<OwnedFd>, Errno> {
        self.group.as_ref().map(Group::entrance).transpose()
    }
}

/// When a process started, in ticks since the machine did: with its number, which process it is.
pub(crate) fn start_of(process: Pid) -> Option<u64> {
    mark::start_of(process)
}

/// Whether the process that started then still runs.
pub(crate) fn is_running(process: Pid, start: u64) -> bool {
    mark::is_alive(process, start)
}

/// What this process's children have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Children {
    /// Whether there are any.
    pub(crate) any: bool,
    /// Whether one was reaped just now.
    pub(crate) reaped: bool,
}

/// Reap every child that has ended, adopted ones too, and hand over how each did.
pub(crate) fn reap(mut ended: impl FnMut(rustix::process::Pid, rustix::process::WaitStatus)) -> Children {
    let mut children = Children { any: true, reaped: false };
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((child, status))) => {
                children.reaped = true;
                ended(child, status);
            }
            Ok(None) => return children,
            Err(Errno::INTR) => {}
            Err(_) => return Children { any: false, ..children },
        }
    }
}
