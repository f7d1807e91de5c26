//! Fork and exec, and the descriptors around it: the only module with unsafe code.
//!
//! The process has one thread, so that the child of a fork may do what a signal handler may not; it still does nothing but system calls,
//! in the order of the list in [`Preparation::apply`].
#![expect(
    unsafe_code,
    reason = "the code between fork and exec runs in the child, and descriptors are placed by number"
)]

use crate::connection::Channel;
use crate::program::Privilege;
use crate::protocol::{MOST_PATHS, Refusal};
use crate::words::FIRST_DESCRIPTOR;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{DupFlags, Errno, FdFlags, dup2, dup3, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
    setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, UnshareFlags, capabilities,
    clear_ambient_capability_set, move_into_link_name_space, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, unshare_unsafe,
};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};

/// The numbers that commands find their descriptors at, kept free of everything else: nothing of the helper, and nothing that the
/// standard library opens between fork and exec, ever stands there.
#[derive(Debug)]
pub struct Reserved {
    _places: Vec<OwnedFd>,
}

impl Reserved {
    /// Take the numbers. What stands there is closed, everything else that this process inherited is closed by exec from now on.
    ///
    /// Call it once, before anything else is opened.
    pub fn take() -> Result<Self, Errno> {
        let first_free = FIRST_DESCRIPTOR.saturating_add(i32::try_from(MOST_PATHS).unwrap_or(i32::MAX));
        // Opened in the way of its own copy, and closed before its number is taken.
        let nothing = fcntl_dupfd_cloexec(open_nothing()?, first_free)?;
        let mut places = Vec::new();
        for number in FIRST_DESCRIPTOR..first_free {
            // SAFETY: nothing in this process owns the number: it runs before anything is opened, and what was inherited has no owner.
            let mut place = unsafe { OwnedFd::from_raw_fd(number) };
            dup3(&nothing, &mut place, DupFlags::CLOEXEC)?;
            places.push(place);
        }
        close_on_exec(first_free)?;
        Ok(Self { _places: places })
    }

    /// The connection that this process was started with on standard input, moved away from it.
    pub fn connection(&self) -> Result<Channel, Errno> {
        let input = moved_away(&std::io::stdin())?;
        Channel::socket(input.into()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// The channel that this process was started with on standard input and output, moved away from both.
    pub fn channel(&self) -> Result<Channel, Errno> {
        Ok(Channel::carried(moved_away(&std::io::stdin())?, moved_away(&std::io::stdout())?))
    }
}

/// What a standard stream stands for; it stands for nothing afterwards.
fn moved_away(stream: &(impl AsFd + AsRawFd)) -> Result<OwnedFd, Errno> {
    let nothing = open_nothing()?;
    let moved = fcntl_dupfd_cloexec(stream, 0)?;
    // SAFETY: the standard stream stays open and keeps its number: only what it stands for is exchanged.
    let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(stream.as_raw_fd()) });
    dup2(&nothing, &mut place)?;
    Ok(moved)
}

fn open_nothing() -> Result<OwnedFd, Errno> {
    openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

fn close_on_exec(first: RawFd) -> Result<(), Errno> {
    let listing = std::fs::read_dir("/proc/self/fd")
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let open: Vec<RawFd> = listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number >= first)
        .collect();
    for number in open {
        // SAFETY: the descriptor is only marked; if it was the listing's own and is closed by now, the call says so.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        match fcntl_setfd(descriptor, FdFlags::CLOEXEC) {
            Ok(()) | Err(Errno::BADF) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What bounds a command, as the kernel enforces it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Address space, in bytes.
    pub(crate) address_space: u64,
    /// Processor time, in seconds.
    pub(crate) processor_seconds: u64,
    /// The largest file it may write, in bytes; none: as large as the filesystem holds.
    pub(crate) file_size: Option<u64>,
}

/// Open files of a command.
const OPEN_FILES: u64 = 1024;
/// Processes of the helper's user, if that is not root.
const PROCESSES: u64 = 4096;

/// What a standard stream of a command is.
#[derive(Debug)]
pub(crate) enum Stream {
    /// The null device.
    Nothing,
    /// A pipe to this process.
    Piped,
    /// What is given.
    Given(OwnedFd),
}

impl From<Stream> for Stdio {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Nothing => Self::null(),
            Stream::Piped => Self::piped(),
            Stream::Given(descriptor) => descriptor.into(),
        }
    }
}

/// What is started.
#[derive(Debug)]
pub(crate) struct Start<'request> {
    /// The program, opened and checked.
    pub(crate) program: &'request OwnedFd,
    /// What it is called as.
    pub(crate) name: &'request str,
    /// Its arguments behind the name.
    pub(crate) arguments: &'request [String],
    /// Its whole environment.
    pub(crate) environment: &'request BTreeMap<String, String>,
    /// What it reads on standard input.
    pub(crate) stdin: Stream,
    /// Where its standard output goes.
    pub(crate) stdout: Stream,
    /// What it finds from [`FIRST_DESCRIPTOR`] on.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Where it writes `0` to enter its cgroup.
    pub(crate) group: Option<OwnedFd>,
    /// The mark that all it starts inherits.
    pub(crate) mark: u64,
    /// What bounds it.
    pub(crate) limits: Limits,
    /// What it keeps of root's rights.
    pub(crate) privilege: Privilege,
    /// The mounts that it sees; none: this process's.
    pub(crate) mounts: Option<OwnedFd>,
}

/// A service to start: what it may do is bounded, how long and how much is not.
#[derive(Debug)]
pub(crate) struct ServiceStart<'order> {
    /// The program, opened and checked.
    pub(crate) program: &'order OwnedFd,
    /// What it is called as.
    pub(crate) name: &'order str,
    /// Its arguments behind the name.
    pub(crate) arguments: &'order [String],
    /// Its whole environment.
    pub(crate) environment: &'order BTreeMap<String, String>,
    /// What it keeps of root's rights.
    pub(crate) privilege: Privilege,
}

/// A service that runs.
#[derive(Debug)]
pub(crate) struct StartedService {
    pub(crate) leader: Pid,
    /// What it writes on both streams; reading does not wait.
    pub(crate) output: Option<OwnedFd>,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) leader: Pid,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

/// Start a command. On failure nothing runs.
///
/// `pre_exec` makes the standard library fork: cheap here, because this process is small, and nowhere else allowed for that reason.
pub(crate) fn start(start: Start<'_>) -> Result<Started, Refusal> {
    let preparation = Preparation::new(&start);
    let failed =
        |error: std::io::Error| Refusal::io(format!("program '{}' could not be started", start.name), error);
    let mut command = std::process::Command::new(format!("/proc/self/fd/{}", start.program.as_raw_fd()));
    command
        .arg0(start.name)
        .args(start.arguments)
        .env_clear()
        .envs(start.environment)
        .current_dir("/")
        .stdin(Stdio::from(start.stdin))
        .stdout(Stdio::from(start.stdout))
        .stderr(Stdio::piped());
    let (descriptors, group, mounts) = (start.descriptors, start.group, start.mounts);
    // SAFETY: the closure makes system calls only: it neither allocates nor locks, and it owns every descriptor it uses.
    unsafe {
        command.pre_exec(move || {
            preparation.apply(&descriptors, group.as_ref(), mounts.as_ref()).map_err(std::io::Error::from)
        });
    }
    let mut child = command.spawn().map_err(failed)?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let leader = leader.ok_or_else(|| Refusal::invalid("the command's process has no number"))?;
    Ok(Started {
        leader,
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
    })
}

/// Whether groups of services can be given namespaces here: a thread of its own tries, and takes what it got with it when it ends.
///
/// Fails with what the kernel says to it.
pub fn try_namespaces() -> Result<(), std::io::Error> {
    let tried = std::thread::spawn(leave_namespaces).join();
    Ok(tried.unwrap_or(Err(Errno::AGAIN))?)
}

/// Give this process mounts, and its children process numbers, of their own. It has one thread.
pub(crate) fn leave_namespaces() -> Result<(), Errno> {
    // SAFETY: neither flag touches the table of descriptors, which is what makes the call unsafe.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::NEWPID) }
}

/// Give this process a network of its own, without any device that is up. It has one thread.
pub(crate) fn leave_network() -> Result<(), Errno> {
    // SAFETY: the flag does not touch the table of descriptors, which is what makes the call unsafe.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Let go of the streams that this process was started with: it outlives whoever reads them.
pub(crate) fn close_streams() -> Result<(), Errno> {
    let nothing = open_nothing()?;
    for number in [std::io::stdin().as_raw_fd(), std::io::stderr().as_raw_fd()] {
        // SAFETY: the standard streams stay open and keep their numbers: only what they stand for is exchanged.
        let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
        dup2(&nothing, &mut place)?;
    }
    Ok(())
}

/// Start a service of this keeper. It outlives whoever asked; only this process's end ends it.
pub(crate) fn start_service(start: ServiceStart<'_>) -> Result<StartedService, Refusal> {
    let failed =
        |error: std::io::Error| Refusal::io(format!("program '{}' could not be started", start.name), error);
    let (output, theirs) = std::io::pipe().map_err(failed)?;
    let keep =
        capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective) & kept(start.privilege);
    let mut command = std::process::Command::new(format!("/proc/self/fd/{}", start.program.as_raw_fd()));
    command
        .arg0(start.name)
        .args(start.arguments)
        .env_clear()
        .envs(start.environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(theirs.try_clone().map_err(failed)?)
        .stderr(theirs);
    // SAFETY: the closure makes system calls only: it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || {
            let prepare = || {
                setsid()?;
                umask(Mode::from_raw_mode(0o022));
                setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
                drop_privileges(keep)?;
                set_no_new_privs(true)
            };
            prepare().map_err(std::io::Error::from)
        });
    }
    let child = command.spawn().map_err(failed)?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let leader = leader.ok_or_else(|| Refusal::invalid("the service's process has no number"))?;
    let output = OwnedFd::from(output);
    rustix::io::ioctl_fionbio(&output, true)
        .map_err(|error| Refusal::io("a stream of the service", error))?;
    Ok(StartedService { leader, output: Some(output) })
}

/// What is done to the child between fork and exec, computed before the fork.
#[derive(Debug, Clone, Copy)]
struct Preparation {
    helper: Pid,
    limits: [(Resource, u64); 7],
    limited: usize,
    keep: CapabilitySet,
}

impl Preparation {
    fn new(start: &Start<'_>) -> Self {
        let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        let unlimited = u64::MAX;
        Self {
            helper: getpid(),
            limits: [
                (Resource::Core, 0),
                (Resource::As, start.limits.address_space),
                (Resource::Cpu, start.limits.processor_seconds),
                (Resource::Nofile, OPEN_FILES),
                (Resource::Nproc, PROCESSES),
                (Resource::Msgqueue, start.mark),
                (Resource::Fsize, start.limits.file_size.unwrap_or(unlimited)),
            ],
            limited: if start.limits.file_size.is_some() { 7 } else { 6 },
            keep: held & kept(start.privilege),
        }
    }

    fn apply(
        &self,
        descriptors: &[OwnedFd],
        group: Option<&OwnedFd>,
        mounts: Option<&OwnedFd>,
    ) -> Result<(), Errno> {
        setsid()?;
        if let Some(group) = group {
            rustix::io::write(group, b"0")?;
        }
        if let Some(mounts) = mounts {
            move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        }
        for (number, descriptor) in (FIRST_DESCRIPTOR..).zip(descriptors) {
            // SAFETY: the number is reserved, and whoever owns it in this copy of the process never runs again.
            let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
            dup2(descriptor, &mut place)?;
        }
        umask(Mode::from_raw_mode(0o077));
        for (resource, most) in self.limits.into_iter().take(self.limited) {
            let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        drop_privileges(self.keep)?;
        set_no_new_privs(true)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The helper may have died before the line above: then nobody sends the signal.
        if getppid() == Some(self.helper) { Ok(()) } else { Err(Errno::OWNERDEAD) }
    }
}

/// Let go of every right but `keep`, for ever where this process may.
fn drop_privileges(keep: CapabilitySet) -> Result<(), Errno> {
    if capabilities(None)?.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if keep.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                Ok(()) => {}
                // The kernel knows no more.
                Err(Errno::INVAL) => break,
                Err(error) => return Err(error),
            }
        }
    }
    clear_ambient_capability_set()?;
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)
}

const fn kept(privilege: Privilege) -> CapabilitySet {
    let files = CapabilitySet::CHOWN
        .union(CapabilitySet::DAC_OVERRIDE)
        .union(CapabilitySet::DAC_READ_SEARCH)
        .union(CapabilitySet::FOWNER)
        .union(CapabilitySet::FSETID)
        .union(CapabilitySet::SETFCAP);
    match privilege {
        Privilege::None => CapabilitySet::empty(),
        Privilege::Files => files,
        Privilege::Filesystems => files.union(CapabilitySet::SYS_ADMIN),
        Privilege::Replicas => files.union(CapabilitySet::SYS_ADMIN).union(CapabilitySet::MKNOD),
        Privilege::Server => files
            .union(CapabilitySet::SETUID)
            .union(CapabilitySet::SETGID)
            .union(CapabilitySet::NET_BIND_SERVICE)
            .union(CapabilitySet::SYS_RESOURCE)
            .union(CapabilitySet::MKNOD),
    }
}
