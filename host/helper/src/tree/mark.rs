//! Marks: a limit that nobody uses (bytes in POSIX message queues) is set to a number that names the command. Children inherit it over
//! fork, exec and setsid, and without privileges it can only be lowered. Helpers carry a mark of their own, so that a command whose
//! helper is dead can be told from one whose helper lives; so do the keepers of jobs, and what they run, which the kernel gives to the
//! helper above when a keeper dies.

use super::Left;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getpid, pidfd_open, pidfd_send_signal, setrlimit,
};
use std::fs;

use crate::protocol::MOST_COMMANDS;

/// Below what systems allow by default (819,200), and a number that nobody sets.
const HELPER: u64 = 750_019;
const KEEPER: u64 = 750_018;
const JOB: u64 = 749_399;
const FIRST_COMMAND: u64 = 749_501;
/// How many rounds a sweep makes before it lets its caller reap.
const ROUNDS: usize = 4;

/// That this process carries the mark of a helper, or of a job's keeper.
#[derive(Debug)]
pub(super) struct Marks {
    own: Above,
}

impl Marks {
    /// Fails without privileges where `RLIMIT_MSGQUEUE` was lowered for this user.
    pub(super) fn take() -> Result<Self, Errno> {
        carry(HELPER)?;
        Ok(Self { own: Above::Helper(getpid()) })
    }

    /// The marks of a process that keeps a job.
    pub(super) fn take_as_keeper() -> Result<Self, Errno> {
        carry(KEEPER)?;
        Ok(Self { own: Above::Keeper(getpid()) })
    }

    /// The mark of this process's command at `place`.
    pub(super) fn of_command(&self, place: usize) -> u64 {
        match self.own {
            Above::Keeper(_) => JOB,
            _ => FIRST_COMMAND.saturating_add(u64::try_from(place.min(MOST_COMMANDS)).unwrap_or(0)),
        }
    }

    /// End every command above which there is no living helper, and every part of a job that no keeper is above.
    pub(super) fn end_strays(&self) -> Left {
        let mut left = Left::Nothing;
        // Twice, because a process that forks and leaves while the list is read is missed.
        for _ in 0..2 {
            if end_all(stray) == Left::Something {
                left = Left::Something;
            }
        }
        left
    }

    /// End every process below this helper that carries `mark`.
    ///
    /// Of a process that forks and leaves while the list is read nothing may be seen; but then this helper adopted and reaped it.
    pub(super) fn end(&self, mark: u64) -> Left {
        let meaning = |process: &Process| match process.above() {
            above @ (Above::Helper(_) | Above::Keeper(_)) => (above == self.own).then_some(Meaning::Meant),
            Above::Nobody => None,
            Above::Unknown => Some(Meaning::Perhaps),
        };
        match end_all(|process| if process.mark == Some(mark) { meaning(process) } else { None }) {
            Left::Nothing => Left::NothingSeen,
            left => left,
        }
    }
}

/// Set this process's mark.
fn carry(mark: u64) -> Result<(), Errno> {
    setrlimit(Resource::Msgqueue, Rlimit { current: Some(mark), maximum: Some(mark) })
}

/// The nearest helper or keeper above a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    /// This helper.
    Helper(Pid),
    /// This keeper.
    Keeper(Pid),
    /// None up to the first process.
    Nobody,
    /// The way up changed while it was walked.
    Unknown,
}

/// Whether a process is to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Meant,
    /// Look again.
    Perhaps,
}

fn stray(process: &Process) -> Option<Meaning> {
    let job = process.mark == Some(JOB);
    if !job && !is_command(process.mark) {
        return None;
    }
    match process.above() {
        Above::Keeper(_) => None,
        Above::Helper(_) => job.then_some(Meaning::Meant),
        Above::Nobody => Some(Meaning::Meant),
        Above::Unknown => Some(Meaning::Perhaps),
    }
}

fn is_command(mark: Option<u64>) -> bool {
    let last = FIRST_COMMAND.saturating_add(u64::try_from(MOST_COMMANDS).unwrap_or(0));
    mark.is_some_and(|mark| (FIRST_COMMAND..=last).contains(&mark))
}

/// Kill what is meant, in rounds: whoever forked while the list was read is met in the next one.
fn end_all(meaning: impl Fn(&Process) -> Option<Meaning>) -> Left {
    for _ in 0..ROUNDS {
        let mut met = false;
        for process in processes() {
            match meaning(&process) {
                None => continue,
                Some(Meaning::Perhaps) => met = true,
                Some(Meaning::Meant) => {
                    met = true;
                    // The number may belong to somebody else by now: hold the process first, then look again.
                    let Ok(held) = pidfd_open(process.number, PidfdFlags::empty()) else { continue };
                    if Process::read(process.number).and_then(|again| meaning(&again)) == Some(Meaning::Meant)
                    {
                        let _gone = pidfd_send_signal(&held, Signal::KILL).is_err();
                    }
                }
            }
        }
        if !met {
            return Left::Nothing;
        }
    }
    Left::Something
}

#[derive(Debug)]
struct Process {
    number: Pid,
    parent: Option<Pid>,
    mark: Option<u64>,
}

impl Process {
    /// None if it is gone, or dead and waits to be reaped.
    fn read(number: Pid) -> Option<Self> {
        if field(number, 0)? == "Z" {
            return None;
        }
        let limits = fs::read_to_string(format!("/proc/{}/limits", number.as_raw_pid())).ok()?;
        let parent = field(number, 1)?.parse().ok().and_then(Pid::from_raw);
        Some(Self { number, parent, mark: mark_in(&limits) })
    }

    fn above(&self) -> Above {
        let mut next = self.parent;
        // A chain is never longer than this; a loop could only come from numbers that were given out again while looking.
        for _ in 0..1024 {
            let Some(parent) = next else { return Above::Nobody };
            let Some(found) = Self::read(parent) else { return Above::Unknown };
            match found.mark {
                Some(HELPER) => return Above::Helper(parent),
                Some(KEEPER) => return Above::Keeper(parent),
                _ => {}
            }
            next = found.parent;
        }
        Above::Unknown
    }
}

/// Every process, the newest number first: who forks and leaves again and again is met while it is still there.
fn processes() -> impl Iterator<Item = Process> {
    let listing = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut numbers: Vec<i32> =
        listing.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    numbers.into_iter().filter_map(Pid::from_raw).filter_map(Process::read)
}

fn mark_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max msgqueue size"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A field of `/proc/N/stat`, counted from the state, which is 0.
fn field(process: Pid, number: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid())).ok()?;
    // The name before it is the process's own choice and may hold brackets and blanks.
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(number).map(str::to_owned)
}

/// When a process started, in ticks since the machine did: with its number, which process it is.
pub(super) fn start_of(process: Pid) -> Option<u64> {
    field(process, 19)?.parse().ok()
}

/// Whether this very process still runs; one that is dead and waits to be reaped does not.
pub(super) fn is_alive(process: Pid, start: u64) -> bool {
    start_of(process) == Some(start) && field(process, 0).is_some_and(|state| state != "Z" && state != "X")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_from_the_hard_limit() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax msgqueue size         1                749501               bytes     \n";
        assert_eq!(mark_in(limits), Some(749_501));
        assert!(is_command(mark_in(limits)));
        assert!(!is_command(Some(HELPER)) && !is_command(Some(819_200)) && !is_command(None));
    }

    #[test]
    fn this_process_is_found_with_its_parent_and_its_start() {
        let own = getpid();
        let found = Process::read(own).expect("it runs");
        assert_eq!(found.parent, rustix::process::getppid());
        assert!(is_alive(own, start_of(own).expect("it started")));
        assert!(!is_alive(own, 1));
    }
}
