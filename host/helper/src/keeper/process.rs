//! The keeper: the first process of its group.
//!
//! `keep` is what the helper starts; it takes new namespaces, starts `keep_inside` as the first process in them, writes down which process
//! that is, and ends, so that nobody above the keeper has to stay.

use super::message::{Answer, Ask, Order, Request, VERSION};
use super::namespace::{self, BindError, Shown};
use super::place::{Identity, failure_beside};
use super::service::Service;
use super::wire::{Wire, WireError};
use crate::child;
use crate::network::{self, Pair};
use crate::protocol::Refusal;
use crate::tree::reap;
use bulkhead_model::error::CapabilityCode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::setsid;
use std::collections::BTreeMap;
use std::error::Error;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Children that nobody of the list waited for are looked for this often.
const REAP: Duration = Duration::from_secs(1);

/// Take new namespaces and start the keeper as the first process in them. Standard input is its listening socket.
///
/// `group` is the cgroup to enter; empty where there is none. `network` says what the network of its own is made of; none takes the machine's.
/// Why it failed is written beside `record`, for whoever asked: nobody reads what this process says.
pub fn keep(
    record: &Path,
    group: &Path,
    (network, tmpfs): (Option<&Path>, &[String]),
) -> Result<(), Box<dyn Error>> {
    let kept = try_to_keep(record, group, (network, tmpfs));
    if let Err(error) = &kept {
        std::fs::write(failure_beside(record), error.to_string())?;
    }
    kept
}

fn try_to_keep(
    record: &Path,
    group: &Path,
    (network, tmpfs): (Option<&Path>, &[String]),
) -> Result<(), Box<dyn Error>> {
    setsid()?;
    if !group.as_os_str().is_empty() {
        std::fs::write(group.join("cgroup.procs"), "0")?;
    }
    if let Some(network) = network {
        let pairs: Vec<Pair> = serde_json::from_slice(&std::fs::read(network)?)?;
        network::enter(&pairs)?;
    }
    child::leave_namespaces()?;
    let child =
        Command::new("/proc/self/exe").arg("--keep-inside").args(tmpfs).stdin(Stdio::inherit()).spawn()?;
    let identity = i32::try_from(child.id()).ok().and_then(Identity::of).ok_or("the keeper ended at once")?;
    let unfinished = record.with_extension("new");
    std::fs::write(&unfinished, identity.text())?;
    std::fs::rename(&unfinished, record)?;
    Ok(())
}

/// Be the keeper. Standard input is its listening socket. Returns when it was told to end.
pub fn keep_inside(tmpfs: &[String]) -> Result<(), Box<dyn Error>> {
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    namespace::enter(tmpfs)?;
    child::close_streams()?;
    listener.set_nonblocking(true)?;
    Keeper { services: BTreeMap::new(), shown: Shown::default(), asked: Vec::new(), ends: false }
        .run(&listener)
}

#[derive(Debug)]
struct Keeper {
    services: BTreeMap<String, Service>,
    shown: Shown,
    asked: Vec<Asked>,
    ends: bool,
}

/// Somebody who asked, and what has to happen before there is an answer.
#[derive(Debug)]
struct Asked {
    wire: Wire,
    waits: Waits,
}

#[derive(Debug)]
enum Waits {
    /// For the request.
    Request,
    /// Until these are ready, one after the other; a descriptor of each program.
    Ready(Vec<(Order, OwnedFd)>, Option<String>),
    /// Until these have ended, first to last.
    Ended(Vec<String>),
    /// Until the answer is sent.
    Sent,
}

impl Keeper {
    fn run(&mut self, listener: &UnixListener) -> Result<(), Box<dyn Error>> {
        while !(self.ends && self.asked.is_empty()) {
            self.wait(listener)?;
            while let Ok((stream, _)) = listener.accept() {
                // Only this user reaches the socket: its directory is private.
                self.asked.push(Asked { wire: Wire::new(stream)?, waits: Waits::Request });
            }
            let services = &mut self.services;
            reap(|child, status| services.values_mut().for_each(|service| service.has_ended(child, status)));
            self.services.values_mut().for_each(Service::advance);
            for mut asked in std::mem::take(&mut self.asked) {
                match self.serve(&mut asked) {
                    Ok(()) if matches!(asked.waits, Waits::Sent) && asked.wire.is_sent() => {}
                    Ok(()) => self.asked.push(asked),
                    // Whoever hung up learns nothing; what was begun goes on.
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn wait(&self, listener: &UnixListener) -> Result<(), Errno> {
        let mut watched = vec![PollFd::new(listener, PollFlags::IN)];
        // One that hung up while it waits is always ready: watched, it would keep this loop from sleeping.
        let listens = |asked: &&Asked| matches!(asked.waits, Waits::Request) || !asked.wire.is_sent();
        watched.extend(self.asked.iter().filter(listens).map(|asked| asked.wire.watch()));
        for service in self.services.values() {
            service.watch(&mut watched);
        }
        let now = Instant::now();
        let due =
            self.services.values().filter_map(Service::due).map(|due| due.saturating_duration_since(now));
        let due = due.chain([REAP]).min().unwrap_or(REAP);
        let timeout = Timespec::try_from(due).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn serve(&mut self, asked: &mut Asked) -> Result<(), WireError> {
        if matches!(asked.waits, Waits::Request)
            && let Some(Ask { version, request }) = asked.wire.receive()?
        {
            let descriptors = asked.wire.take_descriptors();
            asked.waits = if version == VERSION {
                self.begin(request, descriptors, &mut asked.wire)?
            } else {
                answer(&mut asked.wire, &Answer::Version(VERSION))?
            };
        }
        if let Some(found) = self.look(&mut asked.waits) {
            asked.waits = answer(&mut asked.wire, &found)?;
        }
        asked.wire.send()
    }

    fn begin(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
        wire: &mut Wire,
    ) -> Result<Waits, WireError> {
        let found = match request {
            Request::Start(_) | Request::Bind { .. } if self.ends => is_ending(),
            Request::Start(orders) if orders.len() == descriptors.len() => {
                return Ok(Waits::Ready(orders.into_iter().zip(descriptors).rev().collect(), None));
            }
            Request::Stop(name) => return Ok(Waits::Ended(self.dependents_first(&name))),
            Request::End => {
                self.ends = true;
                return Ok(Waits::Ended(self.all_in_order()));
            }
            Request::Status(name) => Answer::Status(self.status(&name)),
            Request::Bind { at, source, read_only } => match descriptors.first() {
                Some(mount) => self.bind(mount, &at, (source, read_only)),
                None => refused(CapabilityCode::InvalidArgument, "a bind without its directory"),
            },
            Request::Unbind { at } => match self.shown.unbind(&at) {
                Ok(()) => Answer::Done,
                Err(error) => refused(CapabilityCode::Io, &format!("{at} cannot be taken away: {error}")),
            },
            Request::Start(_) => refused(CapabilityCode::InvalidArgument, "a service without its program"),
        };
        answer(wire, &found)
    }

    fn bind(&mut self, mount: &OwnedFd, at: &str, what: ((u64, u64), bool)) -> Answer {
        match self.shown.bind(mount, at, what) {
            Ok(()) => Answer::Done,
            Err(BindError::Conflict) => refused(
                CapabilityCode::Conflict,
                &format!("another directory is shown at {at}; unbind it first"),
            ),
            Err(BindError::System(error)) => {
                refused(CapabilityCode::Io, &format!("a directory cannot be shown at {at}: {error}"))
            }
        }
    }

    /// The answer, if what was waited for has come.
    fn look(&mut self, waits: &mut Waits) -> Option<Answer> {
        match waits {
            Waits::Request | Waits::Sent => None,
            Waits::Ended(names) => {
                while let Some(name) = names.first() {
                    let service = self.services.get_mut(name);
                    if let Some(service) = service.filter(|service| service.is_running()) {
                        service.stop();
                        return None;
                    }
                    if let Some(service) = self.services.get_mut(name) {
                        service.stop();
                    }
                    names.remove(0);
                }
                Some(Answer::Done)
            }
            Waits::Ready(left, begun) => self.look_at_start(left, begun),
        }
    }

    fn look_at_start(
        &mut self,
        left: &mut Vec<(Order, OwnedFd)>,
        begun: &mut Option<String>,
    ) -> Option<Answer> {
        loop {
            if let Some(name) = begun.as_ref().and_then(|name| self.services.get(name)) {
                if !name.is_running() || name.was_too_slow() {
                    return name.failure();
                }
                if !name.is_ready() {
                    return None;
                }
                if left.is_empty() {
                    return Some(Answer::Status(name.status()));
                }
            }
            if self.ends {
                return Some(is_ending());
            }
            let next = left.last().and_then(|(order, _)| self.services.get(&order.name));
            if next.is_some_and(Service::is_ending) {
                return None;
            }
            let (order, program) = left.pop()?;
            let name = order.name.clone();
            if let Err(refusal) = self.start(order, program) {
                return Some(Answer::Refused(refusal));
            }
            *begun = Some(name);
        }
    }

    fn start(&mut self, order: Order, program: OwnedFd) -> Result<(), Refusal> {
        let name = order.name.clone();
        let same = self.services.get(&name).map(|service| (service.is_running(), service.order == order));
        if let Some((true, false)) = same {
            return Err(Refusal::new(
                CapabilityCode::Conflict,
                format!("service '{name}' runs with other words; stop it first"),
            ));
        }
        if same != Some((true, true)) {
            self.services.insert(name.clone(), Service::new(order, program));
        }
        let Some(service) = self.services.get_mut(&name) else { return Ok(()) };
        if let Some(address) = service.taken_address() {
            return Err(Refusal::new(
                CapabilityCode::CommandFailed,
                format!("service '{name}' cannot be started: something else listens at {address}"),
            ));
        }
        service.start().map_err(|why| Refusal::io(format!("service '{name}' cannot be started"), why))
    }

    fn status(&self, name: &str) -> crate::protocol::ServiceStatus {
        self.services.get(name).map_or_else(stopped, Service::status)
    }

    /// `name`, after all that come after it.
    fn dependents_first(&self, name: &str) -> Vec<String> {
        let mut names = Vec::new();
        for (other, service) in &self.services {
            if service.order.after.iter().any(|after| after == name) {
                names.extend(
                    self.dependents_first(other)
                        .into_iter()
                        .filter(|one| !names.contains(one))
                        .collect::<Vec<_>>(),
                );
            }
        }
        names.push(name.to_owned());
        names
    }

    fn all_in_order(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.services.keys() {
            for one in self.dependents_first(name) {
                if !names.contains(&one) {
                    names.push(one);
                }
            }
        }
        names
    }
}

impl Service {
    fn failure(&self) -> Option<Answer> {
        if self.was_too_slow() && self.is_running() {
            // It is told once it has ended.
            return None;
        }
        let name = &self.order.name;
        let status = self.status();
        let (code, what) = if self.was_too_slow() {
            let seconds = self.order.ready.seconds;
            (
                CapabilityCode::TimedOut,
                format!("service '{name}' was not ready within {seconds} s and was stopped"),
            )
        } else {
            (CapabilityCode::CommandFailed, format!("service '{name}' ended before it was ready"))
        };
        let said = status.exit.map(|exit| {
            let stderr = String::from_utf8_lossy(&exit.stderr).trim().to_owned();
            format!(" (code {:?}, signal {:?}): {stderr}", exit.code, exit.signal)
        });
        Some(refused(code, &format!("{what}{}", said.unwrap_or_default())))
    }
}

const fn stopped() -> crate::protocol::ServiceStatus {
    crate::protocol::ServiceStatus {
        state: crate::protocol::ServiceState::Stopped,
        started_at_ms: None,
        adopted: false,
        exit: None,
    }
}

fn refused(code: CapabilityCode, message: &str) -> Answer {
    Answer::Refused(Refusal::new(code, message))
}

fn is_ending() -> Answer {
    refused(CapabilityCode::Busy, "the group is being ended; start it again once it has")
}

fn answer(wire: &mut Wire, answer: &Answer) -> Result<Waits, WireError> {
    wire.put(answer, Vec::new())?;
    Ok(Waits::Sent)
}
