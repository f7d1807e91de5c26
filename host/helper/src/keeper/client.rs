//! The helper's side: what is asked about groups is checked here, programs and directories are opened here, keepers are found or started.

use super::message::{Answer, Ask, Request, VERSION};
use super::order;
use super::place::Runtime;
use super::wire::{Wire, WireError};
use crate::network::{self, Pair};
use crate::path::{PathSlot, Roots};
use crate::policy::Policy;
use crate::protocol::{
    BindRequest, GroupKey, Refusal, ServiceAnswer, ServiceCall, ServiceState, ServiceStatus, StartServices,
};
use crate::tree;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::{GroupTemplate, PathKind};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many questions about services one helper has at once.
pub(crate) const MOST_CALLS: usize = 64;
/// The longest a keeper may take to answer, beyond what its services may.
const ANSWER: Duration = Duration::from_secs(15);
/// The longest a service may take to be ready or to stop: a manifest may not ask for more.
const LONGEST_SERVICE: u64 = 600;
/// Between two looks whether a keeper that was told to end has.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The keepers of this helper's groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    runtime: Option<Runtime>,
    /// The groups whose keeper this helper started: what runs in the others was adopted.
    started: BTreeSet<GroupKey>,
}

/// A question to a keeper whose answer has not come.
#[derive(Debug)]
pub(crate) struct Call {
    id: u64,
    group: GroupKey,
    until: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asking {
        wire: Wire,
        ends: bool,
    },
    /// The keeper said that it ends, or did not answer in time and is killed.
    Ending {
        keeper: Option<OwnedFd>,
        killed: bool,
    },
}

/// What a question came to at once.
#[derive(Debug)]
pub(crate) enum Begun {
    Answered(ServiceAnswer),
    Waits(Call),
}

impl Groups {
    /// Keepers are found in `runtime`.
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { runtime: Some(runtime), started: BTreeSet::new() }
    }

    fn runtime(&self) -> Result<&Runtime, Refusal> {
        self.runtime.as_ref().ok_or_else(|| {
            Refusal::new(
                CapabilityCode::Unavailable,
                "this helper has no runtime directory, so it keeps no services; start it with --runtime DIRECTORY",
            )
        })
    }

    /// Begin what is asked, or refuse it: then nothing was begun.
    pub(crate) fn begin(&mut self, id: u64, call: &ServiceCall, policy: &Policy) -> Result<Begun, Refusal> {
        match call {
            ServiceCall::Start(start) => self.start(id, start, policy),
            ServiceCall::Status { group, service } => {
                self.ask(id, group, Request::Status(service.to_string()), stopped)
            }
            ServiceCall::Stop { group, service } => {
                self.ask(id, group, Request::Stop(service.to_string()), || ServiceAnswer::Done)
            }
            ServiceCall::StopGroup { group } => {
                let begun = match self.ask(id, group, Request::End, || ServiceAnswer::Done) {
                    // It takes nobody in: it is not asked, but killed.
                    Err(refusal) if refusal.code == CapabilityCode::TimedOut => {
                        Begun::Answered(ServiceAnswer::Done)
                    }
                    begun => begun?,
                };
                if matches!(begun, Begun::Answered(_)) {
                    self.clear(group);
                }
                Ok(begun)
            }
            ServiceCall::Bind(bind) => self.bind(id, bind, policy),
            ServiceCall::Unbind(bind) => {
                order::check_bind(bind)?;
                self.ask(id, &bind.group, Request::Unbind { at: bind.at.clone() }, || ServiceAnswer::Done)
            }
        }
    }

    fn start(&mut self, id: u64, start: &StartServices, policy: &Policy) -> Result<Begun, Refusal> {
        let template = order::group(&start.template)?;
        let name = self.runtime()?.control_group(&start.group);
        let pairs = network::pairs(&template, &start.interfaces, (&name, policy))?;
        let (orders, programs) = order::make(start, &template, policy)?;
        let seconds = |order: &super::message::Order| order.ready.seconds.saturating_add(order.stop_seconds);
        let needed = orders.iter().fold(0, |sum: u64, order| sum.saturating_add(seconds(order)));
        let wire = match self.connect(&start.group)? {
            Some(wire) => {
                self.check_directories(&start.group, &template)?;
                self.check_network(&start.group, &pairs)?;
                self.mend_network(&start.group, pairs)?;
                wire
            }
            None => self.make(&start.group, &template, &pairs)?,
        };
        let until = Duration::from_secs(needed.min(LONGEST_SERVICE.saturating_mul(4)));
        put(id, &start.group, (wire, Request::Start(orders), programs), until)
    }

    fn bind(&self, id: u64, bind: &BindRequest, policy: &Policy) -> Result<Begun, Refusal> {
        let read_only = order::check_bind(bind)?;
        let template = order::group(&bind.template)?;
        let Some(wire) = self.connect(&bind.group)? else { return Err(not_running(&bind.group)) };
        self.check_directories(&bind.group, &template)?;
        let root = order::root_of(&template, bind)?;
        let roots = std::collections::BTreeMap::from([(root.clone(), bind.root.clone())]);
        policy.check_roots(&roots)?;
        let slot = PathSlot { kind: PathKind::Existing, root: &root, path: &bind.source };
        let source = Roots::default().open_directory(&roots, &slot)?;
        let status = fstat(&source).map_err(|error| Refusal::io("the source", error))?;
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let mount =
            open_tree(&source, "", flags).map_err(|error| Refusal::io("a mount of the source", error))?;
        let request =
            Request::Bind { at: bind.at.clone(), source: (status.st_dev, status.st_ino), read_only };
        put(id, &bind.group, (wire, request, vec![mount]), Duration::ZERO)
    }

    /// Ask the keeper of a group; without one `otherwise` is the answer.
    fn ask(
        &self,
        id: u64,
        group: &GroupKey,
        request: Request,
        otherwise: impl FnOnce() -> ServiceAnswer,
    ) -> Result<Begun, Refusal> {
        let stops = matches!(request, Request::Stop(_) | Request::End);
        let longest = if stops { LONGEST_SERVICE } else { 0 };
        match self.connect(group)? {
            Some(wire) => put(id, group, (wire, request, Vec::new()), Duration::from_secs(longest)),
            None => Ok(Begun::Answered(otherwise())),
        }
    }

    fn connect(&self, group: &GroupKey) -> Result<Option<Wire>, Refusal> {
        let failed = |error: Errno| match error {
            Errno::AGAIN => Refusal::new(
                CapabilityCode::TimedOut,
                format!("the keeper of group '{}' does not answer; stop the group", group.group),
            ),
            error => Refusal::io("the keeper of the group", error),
        };
        let Some(stream) = self.runtime()?.connect(group).map_err(failed)? else { return Ok(None) };
        Wire::new(stream).map(Some).map_err(failed)
    }

    /// Start a keeper. What a dead one left goes first.
    fn make(&mut self, group: &GroupKey, template: &GroupTemplate, pairs: &[Pair]) -> Result<Wire, Refusal> {
        self.clear(group);
        let failed = |error: Errno| Refusal::io("a keeper for the group", error);
        let listener = self.runtime()?.listen(group).map_err(failed)?;
        let tmpfs = template.tmpfs.iter().cloned().collect();
        let noted = self.runtime()?.note_directories(group, &tmpfs);
        noted.map_err(|error| Refusal::io("the group's directories cannot be written down", error))?;
        let mut network = PathBuf::new();
        if !pairs.is_empty() {
            let noted = self.runtime()?.note_network(group, pairs);
            noted.map_err(|error| Refusal::io("the group's network cannot be written down", error))?;
            network = self.runtime()?.network(group);
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg("--keep-group").arg(self.runtime()?.record(group));
        command.arg(tree::make_service_group(&self.runtime()?.control_group(group)).unwrap_or_default());
        command.arg(network).args(&template.tmpfs).env_clear().current_dir("/");
        command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.spawn().map_err(|error| Refusal::io("a keeper for the group cannot be started", error))?;
        // Dropping the command closes this process's copy of the socket: if the keeper fails, the connection ends.
        drop(command);
        self.started.insert(group.clone());
        self.connect(group)?.ok_or_else(|| self.not_begun(group).unwrap_or_else(|| not_running(group)))
    }

    /// Why a keeper that was just started is gone, in its own words.
    fn not_begun(&self, group: &GroupKey) -> Option<Refusal> {
        let why = self.runtime.as_ref()?.failure_of(group)?;
        let message = format!("group '{}' cannot be made: {why}", group.group);
        Some(Refusal::new(CapabilityCode::CommandFailed, message))
    }

    /// End what is left of a group whose keeper does not answer, and remove its files.
    fn clear(&mut self, group: &GroupKey) {
        let Some(runtime) = &self.runtime else { return };
        if let Some(held) = self.keeper(group) {
            let _has_ended = pidfd_send_signal(&held, Signal::KILL).is_err();
        }
        tree::end_service_group(&runtime.control_group(group));
        let pairs = runtime.network_of(group);
        if !pairs.is_empty() {
            network::unplug(pairs);
        }
        runtime.forget(group);
        self.started.remove(group);
    }

    /// Refused with `conflict` unless the directories that the template calls the group's own are those that it was made with: in any other
    /// a path of the template would be one of the machine.
    fn check_directories(&self, group: &GroupKey, template: &GroupTemplate) -> Result<(), Refusal> {
        let said: BTreeSet<String> = template.tmpfs.iter().cloned().collect();
        if self.runtime()?.directories_of(group) == Some(said) {
            return Ok(());
        }
        Err(Refusal::new(
            CapabilityCode::Conflict,
            format!("group '{}' runs with other directories of its own; stop the group first", group.group),
        ))
    }

    /// Refused with `conflict` unless the group has the network that it was made with.
    fn check_network(&self, group: &GroupKey, pairs: &[Pair]) -> Result<(), Refusal> {
        if self.runtime()?.network_of(group) == pairs {
            return Ok(());
        }
        Err(Refusal::new(
            CapabilityCode::Conflict,
            format!("group '{}' runs with other addresses or bridges; stop the group first", group.group),
        ))
    }

    /// Put back what the network of a running group has lost.
    ///
    /// Refused with `command-failed` where that cannot be, as the start of the group would be.
    fn mend_network(&self, group: &GroupKey, pairs: Vec<Pair>) -> Result<(), Refusal> {
        // One that is not written down yet is just making it.
        if pairs.is_empty() || self.runtime()?.keeper_of(group).is_none() {
            return Ok(());
        }
        let own = self.open_of_keeper(group, "ns/net", OFlags::RDONLY)?;
        network::mend(pairs, own).map_err(|error| {
            let message = format!("group '{}' has lost its network: {error}", group.group);
            Refusal::new(CapabilityCode::CommandFailed, message)
        })
    }

    /// The group's own view of the file system: its root directory. The template's bus is a socket of the group in it, not of the machine.
    pub(crate) fn root_of(&self, group: &GroupKey, template: &GroupTemplate) -> Result<OwnedFd, Refusal> {
        order::check(template)?;
        let root = self.open_of_keeper(group, "root", OFlags::PATH | OFlags::DIRECTORY)?;
        self.check_directories(group, template)?;
        Ok(root)
    }

    /// The group's mounts, for a command that runs inside.
    pub(crate) fn mounts_of(&self, group: &GroupKey) -> Result<OwnedFd, Refusal> {
        self.open_of_keeper(group, "ns/mnt", OFlags::RDONLY)
    }

    /// Open what /proc shows of the keeper: not of whoever has its number by now.
    fn open_of_keeper(&self, group: &GroupKey, what: &str, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let runtime = self.runtime()?;
        let keeper = runtime.keeper_of(group).ok_or_else(|| not_running(group))?;
        let way = format!("/proc/{}/{what}", keeper.as_raw_pid());
        let opened = openat(CWD, way, flags | OFlags::CLOEXEC, Mode::empty());
        if runtime.keeper_of(group) != Some(keeper) {
            return Err(not_running(group));
        }
        opened.map_err(|error| Refusal::io(format!("the group's {what}"), error))
    }

    /// Go on with a question; its answer, once it has come.
    pub(crate) fn advance(&mut self, call: &mut Call) -> Option<Result<ServiceAnswer, Refusal>> {
        let is_late = Instant::now() >= call.until;
        match &mut call.stage {
            Stage::Asking { wire, ends } => {
                let ends = *ends;
                match exchange(wire) {
                    Ok(Some(Answer::Done)) if ends => {
                        call.stage = Stage::Ending { keeper: self.keeper(&call.group), killed: false };
                        self.advance(call)
                    }
                    Ok(Some(answer)) => Some(self.told(&call.group, answer)),
                    Ok(None) if is_late && ends => {
                        call.stage = Stage::Ending { keeper: self.keeper(&call.group), killed: false };
                        self.advance(call)
                    }
                    Ok(None) if is_late => Some(Err(Refusal::new(
                        CapabilityCode::TimedOut,
                        format!("the keeper of group '{}' does not answer", call.group.group),
                    ))),
                    Ok(None) => None,
                    // A keeper that ends hangs up, perhaps before its answer is read.
                    Err(_) if ends => {
                        call.stage = Stage::Ending { keeper: self.keeper(&call.group), killed: false };
                        self.advance(call)
                    }
                    Err(error) => Some(Err(self.not_begun(&call.group).unwrap_or_else(|| {
                        Refusal::new(
                            CapabilityCode::Unavailable,
                            format!("the keeper of group '{}' is gone: {error}", call.group.group),
                        )
                    }))),
                }
            }
            Stage::Ending { keeper, killed } => match keeper.as_ref().filter(|keeper| !has_ended(keeper)) {
                None => {
                    self.clear(&call.group);
                    Some(Ok(ServiceAnswer::Done))
                }
                Some(_) if !is_late => None,
                Some(keeper) if !*killed => {
                    let _has_ended = pidfd_send_signal(keeper, Signal::KILL).is_err();
                    *killed = true;
                    call.until = super::service::later(Instant::now(), ANSWER);
                    None
                }
                Some(_) => Some(Err(Refusal::new(
                    CapabilityCode::TimedOut,
                    format!("group '{}' was killed, but the kernel has not let go of it", call.group.group),
                ))),
            },
        }
    }

    /// Hold the keeper: not whoever has its number by now.
    fn keeper(&self, group: &GroupKey) -> Option<OwnedFd> {
        let runtime = self.runtime.as_ref()?;
        let keeper = runtime.keeper_of(group)?;
        let held = pidfd_open(keeper, PidfdFlags::empty()).ok()?;
        (runtime.keeper_of(group) == Some(keeper)).then_some(held)
    }

    fn told(&self, group: &GroupKey, answer: Answer) -> Result<ServiceAnswer, Refusal> {
        match answer {
            Answer::Status(status) => {
                let adopted = status.started_at_ms.is_some() && !self.started.contains(group);
                Ok(ServiceAnswer::Status(ServiceStatus { adopted, ..status }))
            }
            Answer::Done => Ok(ServiceAnswer::Done),
            Answer::Refused(refusal) => Err(refusal),
            Answer::Version(theirs) => Err(Refusal::new(
                CapabilityCode::Unavailable,
                format!(
                    "the keeper of group '{}' speaks version {theirs}, this helper {VERSION}; stop the group with the older helper, \
                     then start it again",
                    group.group
                ),
            )),
        }
    }
}

impl Call {
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn watch<'call>(&'call self, list: &mut Vec<PollFd<'call>>) {
        match &self.stage {
            Stage::Asking { wire, .. } => list.push(wire.watch()),
            Stage::Ending { keeper, .. } => {
                list.extend(keeper.as_ref().map(|keeper| PollFd::new(keeper, PollFlags::IN)));
            }
        }
    }

    /// When it must be looked at though nothing happens.
    pub(crate) fn due(&self) -> Instant {
        match self.stage {
            Stage::Asking { .. } => self.until,
            Stage::Ending { .. } => super::service::later(Instant::now(), LOOK_AGAIN),
        }
    }
}

fn put(
    id: u64,
    group: &GroupKey,
    (mut wire, request, beside): (Wire, Request, Vec<OwnedFd>),
    longest: Duration,
) -> Result<Begun, Refusal> {
    let ends = matches!(request, Request::End);
    wire.put(&Ask { version: VERSION, request }, beside)
        .map_err(|error| Refusal::invalid(format!("the request is too large: {error}")))?;
    let until = super::service::later(Instant::now(), longest.saturating_add(ANSWER));
    Ok(Begun::Waits(Call { id, group: group.clone(), until, stage: Stage::Asking { wire, ends } }))
}

fn exchange(wire: &mut Wire) -> Result<Option<Answer>, WireError> {
    wire.send()?;
    wire.receive()
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut watched = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut watched, Some(&now)).is_ok_and(|ready| ready > 0)
}

fn stopped() -> ServiceAnswer {
    ServiceAnswer::Status(ServiceStatus {
        state: ServiceState::Stopped,
        started_at_ms: None,
        adopted: false,
        exit: None,
    })
}

fn not_running(group: &GroupKey) -> Refusal {
    Refusal::new(
        CapabilityCode::NotFound,
        format!(
            "group '{}' of backend '{}' does not run; start a service of it first",
            group.group, group.backend
        ),
    )
}
