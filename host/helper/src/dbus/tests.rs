//! Calls on a real bus, answered by the bus itself or by an object of these tests.

use super::wire::tests::{answer_to, texts};
use super::*;
use crate::protocol::{DbusItem, DbusValue, GroupKey, SlotArgument};
use rustix::event::{Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

const PATIENCE: Duration = Duration::from_secs(20);
const OBJECT: &str = "org.example.Echo";

/// A bus of this test alone, ended with it.
struct Bus {
    directory: tempfile::TempDir,
    process: Child,
}

impl Bus {
    /// None, said loudly, where there is no bus daemon.
    fn start() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("bus");
        let policy = "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy>";
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\
             <busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>{policy}</busconfig>",
            socket.display()
        );
        std::fs::write(directory.path().join("bus.conf"), config).expect("a configuration");
        let process = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", directory.path().join("bus.conf").display()))
            .args(["--nofork", "--nopidfile"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("PASSED OVER: no dbus-daemon on this machine");
            return None;
        };
        let until = Instant::now() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < until, "the bus does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        Some(Self { directory, process })
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn call_at(socket: &Path, template: serde_json::Value, timeout: Duration) -> Result<Calls, Refusal> {
    let mut whole = serde_json::json!({
        "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "group": "nfs",
        "destination": BUS, "path": "/org/freedesktop/DBus", "interface": BUS, "method": "GetId",
    });
    for (key, value) in template.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    let request = DbusRequest {
        group: GroupKey { backend: "b".to_owned(), group: "nfs".parse().expect("a label"), instance: None },
        group_template: serde_json::json!({
            "name": "nfs", "reason": "a test", "instance": "backend", "bus": socket.to_str().expect("a text"),
        })
        .to_string(),
        template: whole.to_string(),
        roots: BTreeMap::new(),
        slots: match whole.get("slots") {
            Some(_) => BTreeMap::from([("id".parse().expect("a label"), SlotArgument::Unsigned(7))]),
            None => BTreeMap::new(),
        },
        timeout_ms: u64::try_from(timeout.as_millis()).expect("a short time"),
    };
    let mut calls = Calls::default();
    let root = |_: &GroupTemplate| {
        Ok(openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("the root"))
    };
    calls.begin(1, &request, root)?;
    Ok(calls)
}

fn finish(mut calls: Calls) -> Answer {
    loop {
        if let Some((id, answer)) = calls.advance().pop() {
            assert_eq!((id, calls.due()), (1, None));
            return answer;
        }
        let mut watched = Vec::new();
        calls.watch(&mut watched);
        let left = calls.due().expect("a call").saturating_duration_since(Instant::now());
        poll(&mut watched, Some(&Timespec::try_from(left).expect("a short time"))).expect("a poll");
    }
}

fn call(socket: &Path, template: serde_json::Value) -> Answer {
    finish(call_at(socket, template, PATIENCE)?)
}

/// What the object does with a call.
enum Behaviour {
    Answers(&'static str, Vec<u8>),
    Refuses,
    Leaves,
    Waits,
}

/// An object of the bus that takes one call. It says through the channel that it is there, and again that it was called.
fn object(socket: &Path, behaviour: Behaviour) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (said, heard) = std::sync::mpsc::channel();
    let mut stream = UnixStream::connect(socket).expect("the bus listens");
    thread::spawn(move || {
        let user: String =
            geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).expect("it takes");
        let mut line = [0; 256];
        assert!(stream.read(&mut line).expect("an answer") > 3 && line.starts_with(b"OK "));
        stream.write_all(b"BEGIN\r\n").expect("it takes");
        stream.write_all(&wire::method_call(1, HELLO, &[])).expect("it takes");
        let name = Method { name: "RequestName", ..HELLO };
        let arguments = [arguments::Argument::Text(OBJECT.to_owned()), arguments::Argument::Unsigned32(0)];
        stream.write_all(&wire::method_call(2, name, &arguments)).expect("it takes");
        let mut received = Vec::new();
        loop {
            let Some(bytes) = next(&mut stream, &mut received) else { return };
            let message = Message::read(&bytes).expect("a message");
            if message.answers == Some(2) {
                said.send(Vec::new()).expect("somebody waits");
            }
            if message.kind != wire::METHOD_CALL {
                continue;
            }
            said.send(bytes.clone()).expect("somebody waits");
            let serial = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
            let to = (serial, message.sender.as_str());
            let answer = match &behaviour {
                Behaviour::Answers(signature, body) => answer_to(to, None, (signature, body)),
                Behaviour::Refuses => answer_to(to, Some("org.example.Refused"), ("as", &texts(0))),
                Behaviour::Leaves => return,
                Behaviour::Waits => continue,
            };
            stream.write_all(&answer).expect("it takes");
        }
    });
    assert_eq!(heard.recv_timeout(PATIENCE).expect("the object is there"), b"");
    heard
}

fn next(stream: &mut UnixStream, received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut block = [0; 4096];
    loop {
        if let Some(length) =
            wire::length_of(received).expect("a message").filter(|length| *length <= received.len())
        {
            return Some(received.drain(..length).collect());
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(read) => received.extend_from_slice(&block[..read]),
        }
    }
}

fn to_object() -> serde_json::Value {
    serde_json::json!({ "destination": OBJECT, "path": "/", "interface": "org.example.Echo", "method": "Do" })
}

fn code(answer: Answer) -> CapabilityCode {
    answer.expect_err("no answer").code
}

#[test]
fn a_bus_answers_for_itself() {
    let Some(bus) = Bus::start() else { return };
    let args = serde_json::json!({ "method": "NameHasOwner", "args": [{ "type": "s", "value": BUS }] });
    let owned = call(&bus.socket(), args).expect("an answer");
    assert_eq!(
        owned,
        DbusReply::Results(vec![DbusItem { position: vec![0], value: DbusValue::Boolean(true) }])
    );
    let unknown = call(&bus.socket(), serde_json::json!({ "method": "NoSuchMethod" })).expect("an answer");
    let DbusReply::Fault { name, message } = unknown else { panic!("{unknown:?}") };
    assert!(name.ends_with("UnknownMethod") && message.contains("NoSuchMethod"), "{name} {message}");
    let nobody = serde_json::json!({ "method": "GetNameOwner", "args": [{ "type": "s", "value": "org.example.Nobody" }] });
    let nobody = call(&bus.socket(), nobody).expect("an answer");
    assert!(matches!(nobody, DbusReply::Fault { name, .. } if name.ends_with("NameHasNoOwner")));
}

#[test]
fn arguments_arrive_as_they_were_declared_and_a_large_answer_comes_back_whole() {
    let Some(bus) = Bus::start() else { return };
    let heard = object(&bus.socket(), Behaviour::Answers("as", texts(10_000)));
    let mut template = to_object();
    template["slots"] = serde_json::json!({ "id": { "type": "port" } });
    template["args"] = serde_json::json!([{ "type": "s", "value": "EXPORT(Export_Id={id})" }, { "type": "q", "value": "{id}" }]);
    let answer = call(&bus.socket(), template).expect("an answer");
    let DbusReply::Results(items) = answer else { panic!("{answer:?}") };
    assert_eq!(items.len(), 10_000);
    let last = DbusItem { position: vec![0, 9_999], value: DbusValue::Text("text 9999".to_owned()) };
    assert_eq!(items.last(), Some(&last));
    let asked = Message::read(&heard.recv().expect("it was called")).expect("a message");
    let values: Vec<_> = asked.items().expect("values").into_iter().map(|item| item.value).collect();
    assert_eq!(values, [DbusValue::Text("EXPORT(Export_Id=7)".to_owned()), DbusValue::Unsigned(7)]);
}

#[test]
fn an_answer_with_too_many_values_is_not_passed_on() {
    let Some(bus) = Bus::start() else { return };
    let _heard = object(&bus.socket(), Behaviour::Answers("as", texts(MOST_ITEMS + 1)));
    assert_eq!(code(call(&bus.socket(), to_object())), CapabilityCode::LimitExceeded);
}

#[test]
fn a_refusal_of_the_object_is_an_answer() {
    let Some(bus) = Bus::start() else { return };
    let _heard = object(&bus.socket(), Behaviour::Refuses);
    let answer = call(&bus.socket(), to_object()).expect("an answer");
    assert_eq!(answer, DbusReply::Fault { name: "org.example.Refused".to_owned(), message: String::new() });
}

#[test]
fn who_is_not_on_the_bus_was_not_called() {
    let Some(bus) = Bus::start() else { return };
    assert_eq!(code(call(&bus.socket(), to_object())), CapabilityCode::Unavailable);
}

#[test]
fn what_an_object_did_that_leaves_without_an_answer_is_unknown() {
    let Some(bus) = Bus::start() else { return };
    let _heard = object(&bus.socket(), Behaviour::Leaves);
    assert_eq!(code(call(&bus.socket(), to_object())), CapabilityCode::OutcomeUnknown);
}

#[test]
fn a_bus_that_dies_in_the_middle_leaves_the_outcome_unknown() {
    let Some(mut bus) = Bus::start() else { return };
    let heard = object(&bus.socket(), Behaviour::Waits);
    let socket = bus.socket();
    let caller = thread::spawn(move || call(&socket, to_object()));
    heard.recv_timeout(PATIENCE).expect("it was called");
    bus.kill();
    assert_eq!(code(caller.join().expect("an end")), CapabilityCode::OutcomeUnknown);
}

#[test]
fn an_object_that_says_nothing_is_not_waited_for_longer_than_allowed() {
    let Some(bus) = Bus::start() else { return };
    let _heard = object(&bus.socket(), Behaviour::Waits);
    let call = call_at(&bus.socket(), to_object(), Duration::from_millis(300)).expect("it begins");
    assert_eq!(code(finish(call)), CapabilityCode::TimedOut);
}

#[test]
fn a_call_that_is_cancelled_says_whether_it_was_made() {
    let Some(bus) = Bus::start() else { return };
    let heard = object(&bus.socket(), Behaviour::Waits);
    let mut early = call_at(&bus.socket(), to_object(), PATIENCE).expect("it begins");
    assert_eq!(early.cancel(1).map(code), Some(CapabilityCode::Unavailable));
    assert!(early.cancel(1).is_none() && early.due().is_none());
    let mut late = call_at(&bus.socket(), to_object(), PATIENCE).expect("it begins");
    while heard.try_recv().is_err() {
        assert!(late.advance().is_empty());
    }
    assert_eq!(late.cancel(1).map(code), Some(CapabilityCode::OutcomeUnknown));
}

#[test]
fn where_no_bus_listens_nothing_was_called() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("file"), "").expect("a file");
    drop(UnixListener::bind(at("deaf")).expect("a socket"));
    let listener = UnixListener::bind(at("real")).expect("a socket");
    std::os::unix::fs::symlink(at("real"), at("link")).expect("a link");
    std::os::unix::fs::symlink(directory.path(), at("way")).expect("a link");
    for name in ["missing", "file", "deaf", "link", "way/real"] {
        let refused = call_at(&at(name), serde_json::json!({}), PATIENCE).map(|_| ());
        assert_eq!(refused.expect_err(name).code, CapabilityCode::Unavailable, "{name}");
    }
    listener.set_nonblocking(true).expect("it does not wait");
    assert!(listener.accept().is_err(), "nobody came through a link");
    let silent = call_at(&at("real"), serde_json::json!({}), Duration::from_millis(200)).expect("it begins");
    assert_eq!(code(finish(silent)), CapabilityCode::Unavailable);
}

#[test]
fn a_peer_that_is_no_bus_is_left_at_once() {
    for (said, wanted) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], CapabilityCode::Unavailable),
        (b"REJECTED EXTERNAL\r\n", CapabilityCode::Unavailable),
        (&[b'x'; 5000], CapabilityCode::Unavailable),
        (b"OK 0\r\ngarbage that is no message at all", CapabilityCode::Unavailable),
        (b"OK 0\r\nl\x02\x00\x01\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", CapabilityCode::LimitExceeded),
        (b"", CapabilityCode::Unavailable),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("bus")).expect("a socket");
        let call =
            call_at(&directory.path().join("bus"), serde_json::json!({}), PATIENCE).expect("it begins");
        let (mut peer, _) = listener.accept().expect("somebody calls");
        peer.write_all(said).expect("it takes");
        let kept = (!said.is_empty()).then_some(peer);
        assert_eq!(code(finish(call)), wanted, "{said:?}");
        drop(kept);
    }
}

#[test]
fn a_group_without_a_bus_and_a_call_of_another_group_are_refused() {
    let request = |group: &str, bus: serde_json::Value| DbusRequest {
        group: GroupKey { backend: "b".to_owned(), group: group.parse().expect("a label"), instance: None },
        group_template:
            serde_json::json!({ "name": "nfs", "reason": "a test", "instance": "backend", "bus": bus })
                .to_string(),
        template: serde_json::json!({
            "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "group": "nfs",
            "destination": BUS, "path": "/", "interface": BUS, "method": "GetId",
        })
        .to_string(),
        roots: BTreeMap::new(),
        slots: BTreeMap::new(),
        timeout_ms: 1,
    };
    let root = |_: &GroupTemplate| panic!("nobody may look for it");
    let refused = Calls::default().begin(1, &request("nfs", serde_json::Value::Null), root);
    let refused = refused.expect_err("it has no bus");
    assert_eq!(refused.code, CapabilityCode::Denied);
    assert!(refused.message.contains("bus = "), "{refused}");
    let refused = Calls::default().begin(1, &request("other", serde_json::json!("/run/bus")), root);
    assert_eq!(refused.expect_err("another group").code, CapabilityCode::InvalidArgument);
}
