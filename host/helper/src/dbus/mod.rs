//! Calls on a group's private bus: typed, from a template, each on a connection of its own.
//!
//! ```text
//! Greeting --OK--> Naming --name given--> Calling --answer--> over
//! ```
//!
//! A connection is one more descriptor in the server's `poll`, so that a bus that does not answer holds nobody up. Until the last byte of
//! the call is written a failure is `unavailable`, for nothing was called; behind it `outcome-unknown`, or `timed-out`.
//!
//! No library: those there are wait while they authenticate, or bring a runtime; this process has one thread and must not wait.

mod arguments;
mod bus;
mod wire;

use crate::protocol::{DbusItem, DbusReply, DbusRequest, DbusValue, LARGEST_REPLY, MOST_ITEMS, Refusal};
use arguments::Argument;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::{DbusTemplate, GroupTemplate};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use wire::{Bad, Message, Method};

/// How many calls one helper makes at once; more are refused as `busy`.
pub(crate) const MOST_CALLS: usize = 32;
/// The longest a call may take, whatever is asked.
const LONGEST: Duration = Duration::from_secs(3600);
/// Read in one go, in bytes.
const BLOCK: usize = 64 << 10;
/// Blocks read before others have their turn.
const TURN: usize = 8;
/// The longest line of the greeting, in bytes.
const LONGEST_LINE: usize = 1024;
const BUS: &str = "org.freedesktop.DBus";
const HELLO: Method<'_> =
    Method { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, name: "Hello" };
/// How long a look at who is on a bus may take, in milliseconds.
const LOOK_MS: u64 = 1000;
const HELLO_SERIAL: u32 = 1;
const CALL_SERIAL: u32 = 2;
/// The bus says that the call reached nobody.
const NOBODY: [&str; 2] =
    ["org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"];
/// The bus says that whoever was called is gone, or silent.
const NO_REPLY: [&str; 4] = [
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Disconnected",
    "org.freedesktop.DBus.Error.Timeout",
    "org.freedesktop.DBus.Error.TimedOut",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    Naming,
    Calling,
}

/// A call that is under way.
#[derive(Debug)]
struct Call {
    id: u64,
    stream: UnixStream,
    deadline: Instant,
    step: Step,
    destination: String,
    call: Vec<u8>,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

/// Whether `name` has an owner on the bus that listens at `bus`, an absolute path as this process sees it. Waits for at most a second.
pub(crate) fn has_owner(bus: &str, name: &str) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = openat(CWD, "/", flags, Mode::empty()) else { return false };
    let Ok(stream) = bus::connect_below(&root, bus) else { return false };
    let method = Method { name: "NameHasOwner", ..HELLO };
    let mut call = Call::begin((0, LOOK_MS), method, &[Argument::Text(name.to_owned())], stream);
    loop {
        if let Some(answer) = call.advance() {
            let is_true = |item: &DbusItem| item.value == DbusValue::Boolean(true);
            return matches!(answer, Ok(DbusReply::Results(items)) if items.first().is_some_and(is_true));
        }
        let mut watched = Vec::new();
        call.watch(&mut watched);
        let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let _looked_at_again = poll(&mut watched, Some(&pause)).is_err();
    }
}

/// The outcome of a call.
pub(crate) type Answer = Result<DbusReply, Refusal>;

/// The calls of a connection to a daemon that are under way.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Call>);

impl Calls {
    /// Begin the call `id` on the bus of a group whose root directory `root` opens. Its answer comes from [`Calls::advance`].
    ///
    /// Refused with `busy` above [`MOST_CALLS`], with `denied` if the group has no bus, with `unavailable` if it does not run; nothing was
    /// called.
    pub(crate) fn begin(
        &mut self,
        id: u64,
        request: &DbusRequest,
        root: impl FnOnce(&GroupTemplate) -> Result<OwnedFd, Refusal>,
    ) -> Result<(), Refusal> {
        if self.0.len() >= MOST_CALLS {
            let message = format!("{MOST_CALLS} calls on buses are made already; try again later");
            return Err(Refusal::new(CapabilityCode::Busy, message));
        }
        let group: GroupTemplate = serde_json::from_str(&request.group_template)
            .map_err(|error| Refusal::invalid(format!("the group's template cannot be read: {error}")))?;
        let template: DbusTemplate = serde_json::from_str(&request.template)
            .map_err(|error| Refusal::invalid(format!("the template cannot be read: {error}")))?;
        if group.name != request.group.group || group.name != template.group {
            return Err(Refusal::invalid(format!(
                "'{}' is not a call on group '{}'",
                template.name, group.name
            )));
        }
        let bus = group.bus.as_ref().ok_or_else(|| {
            Refusal::denied(
                format!("a call on a bus of group '{}'", group.name),
                "bus = \"/run/…\" in its [[group]] in the driver's manifest",
            )
        })?;
        let arguments = arguments::build(&template, request)?;
        let method = Method {
            destination: &template.destination,
            path: &template.path,
            interface: &template.interface,
            name: &template.method,
        };
        let root = root(&group).map_err(|refusal| bus::unavailable(&refusal.message))?;
        let stream = bus::connect_below(&root, bus)?;
        self.0.push(Call::begin((id, request.timeout_ms), method, &arguments, stream));
        Ok(())
    }

    /// Give a call up. What is answered then.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<Answer> {
        let place = self.0.iter().position(|call| call.id == id)?;
        Some(self.0.swap_remove(place).cancel())
    }

    /// Add what the calls wait for.
    pub(crate) fn watch<'calls>(&'calls self, list: &mut Vec<PollFd<'calls>>) {
        self.0.iter().for_each(|call| call.watch(list));
    }

    /// When one must be looked at though nothing happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|call| call.deadline).min()
    }

    /// Go on with each. The answers that have come, by id.
    pub(crate) fn advance(&mut self) -> Vec<(u64, Answer)> {
        let mut answers = Vec::new();
        self.0.retain_mut(|call| match call.advance() {
            Some(answer) => {
                answers.push((call.id, answer));
                false
            }
            None => true,
        });
        answers
    }
}

impl Call {
    fn begin(
        (id, timeout_ms): (u64, u64),
        method: Method<'_>,
        arguments: &[Argument],
        stream: UnixStream,
    ) -> Self {
        let now = Instant::now();
        let user: String =
            geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        Self {
            id,
            stream,
            deadline: now.checked_add(Duration::from_millis(timeout_ms).min(LONGEST)).unwrap_or(now),
            step: Step::Greeting,
            destination: method.destination.to_owned(),
            call: wire::method_call(CALL_SERIAL, method, arguments),
            unsent: format!("\0AUTH EXTERNAL {user}\r\n").into_bytes(),
            received: Vec::new(),
        }
    }

    fn watch<'call>(&'call self, list: &mut Vec<PollFd<'call>>) {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !self.unsent.is_empty());
        list.push(PollFd::new(&self.stream, flags));
    }

    fn cancel(self) -> Answer {
        Err(self.broken("the call was cancelled"))
    }

    /// Write and read what can be; the answer, once it is known.
    fn advance(&mut self) -> Option<Answer> {
        match self.exchange() {
            Ok(answer) if answer.is_some() => answer.map(Ok),
            Err(refusal) => Some(Err(refusal)),
            _ if Instant::now() >= self.deadline && self.is_sent() => Some(Err(Refusal::new(
                CapabilityCode::TimedOut,
                format!("{} did not answer in time; it may still do what it was asked", self.destination),
            ))),
            _ if Instant::now() >= self.deadline => Some(Err(bus::unavailable("it did not answer in time"))),
            _ => None,
        }
    }

    fn exchange(&mut self) -> Result<Option<DbusReply>, Refusal> {
        self.write()?;
        let open = self.read()?;
        while self.step == Step::Greeting && self.greet()? {}
        while self.step != Step::Greeting {
            let Some(message) = self.message()? else { break };
            if let Some(reply) = self.take(&message)? {
                return Ok(Some(reply));
            }
        }
        self.write()?;
        if open { Ok(None) } else { Err(self.broken("it closed the connection")) }
    }

    fn write(&mut self) -> Result<(), Refusal> {
        while !self.unsent.is_empty() {
            match rustix::net::send(&self.stream, &self.unsent, rustix::net::SendFlags::NOSIGNAL) {
                Ok(written) => {
                    self.unsent.drain(..written);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(self.broken(&error.to_string())),
            }
        }
        Ok(())
    }

    /// Whether there may be more.
    fn read(&mut self) -> Result<bool, Refusal> {
        let mut block = Vec::with_capacity(BLOCK);
        for _ in 0..TURN {
            block.clear();
            match rustix::io::read(&self.stream, spare_capacity(&mut block)) {
                Ok(0) | Err(Errno::CONNRESET) => return Ok(false),
                Ok(_) => self.received.extend_from_slice(&block),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(self.broken(&error.to_string())),
            }
        }
        Ok(true)
    }

    /// Take a line of the greeting. Whether there was one.
    fn greet(&mut self) -> Result<bool, Refusal> {
        let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") else {
            if self.received.len() > LONGEST_LINE {
                return Err(bus::unavailable("it does not speak D-Bus"));
            }
            return Ok(false);
        };
        let line: Vec<u8> = self.received.drain(..end.saturating_add(2)).collect();
        if !line.starts_with(b"OK ") {
            let said = String::from_utf8_lossy(line.trim_ascii_end()).chars().take(80).collect::<String>();
            return Err(bus::unavailable(&format!("it does not let this user in: {said}")));
        }
        self.unsent.extend_from_slice(b"BEGIN\r\n");
        self.unsent.extend(wire::method_call(HELLO_SERIAL, HELLO, &[]));
        self.step = Step::Naming;
        Ok(true)
    }

    fn message(&mut self) -> Result<Option<Message>, Refusal> {
        let length = wire::length_of(&self.received).map_err(|bad| self.bad(bad))?;
        let Some(length) = length.filter(|length| *length <= self.received.len()) else { return Ok(None) };
        let bytes: Vec<u8> = self.received.drain(..length).collect();
        Message::read(&bytes).map(Some).map_err(|bad| self.bad(bad))
    }

    /// Take a message: one that answers what was asked last, or one that nobody asked for.
    fn take(&mut self, message: &Message) -> Result<Option<DbusReply>, Refusal> {
        let asked = if self.step == Step::Naming { HELLO_SERIAL } else { CALL_SERIAL };
        if message.answers != Some(u64::from(asked)) {
            return Ok(None);
        }
        match (self.step, message.kind) {
            (Step::Naming, wire::METHOD_RETURN) => {
                self.unsent.append(&mut self.call);
                self.step = Step::Calling;
                Ok(None)
            }
            (Step::Naming, _) => Err(bus::unavailable(&format!("it gives no name: {}", message.error))),
            (_, wire::METHOD_RETURN) => {
                message.items().map(|items| Some(DbusReply::Results(items))).map_err(|bad| self.bad(bad))
            }
            (_, wire::ERROR) => self.fault(message).map(Some),
            _ => Ok(None),
        }
    }

    fn fault(&self, message: &Message) -> Result<DbusReply, Refusal> {
        let name = message.error.as_str();
        // The bus answers for whom it carries messages for; called itself, its errors are answers.
        if message.sender == BUS && self.destination != BUS {
            if NOBODY.contains(&name) {
                return Err(bus::unavailable(&format!("{} is not on it", self.destination)));
            }
            if NO_REPLY.contains(&name) {
                return Err(self.broken(&format!("{} left it without an answer", self.destination)));
            }
        }
        // Errors may have no text, or other values.
        let text = message.items().ok().and_then(|items| match items.into_iter().next()?.value {
            crate::protocol::DbusValue::Text(text) => Some(text),
            _ => None,
        });
        Ok(DbusReply::Fault { name: name.to_owned(), message: text.unwrap_or_default() })
    }

    /// Whether the whole call was written: only then may it have its effect.
    fn is_sent(&self) -> bool {
        self.step == Step::Calling && self.unsent.is_empty()
    }

    fn broken(&self, why: &str) -> Refusal {
        if self.is_sent() {
            let message =
                format!("the group's bus broke off before an answer came, ask what came of it: {why}");
            Refusal::new(CapabilityCode::OutcomeUnknown, message)
        } else {
            bus::unavailable(why)
        }
    }

    fn bad(&self, bad: Bad) -> Refusal {
        match bad {
            Bad::Malformed(what) => self.broken(&format!("a message that is none: {what}")),
            Bad::TooLarge => Refusal::new(
                CapabilityCode::LimitExceeded,
                format!("the answer is larger than {MOST_ITEMS} values or {LARGEST_REPLY} bytes of text"),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
