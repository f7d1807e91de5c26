//! Groups of services: what runs on when its helper ends, and what is left when it was stopped.

use crate::helper::Helper;
use bulkhead_helper::protocol::{
    BindRequest, GroupKey, Refusal, RootBinding, ServiceAnswer, ServiceCall, ServiceState, ServiceStatus,
    SlotArgument, StartService, StartServices, Unreviewed,
};
use bulkhead_model::error::CapabilityCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>
"#;

/// Why this machine cannot keep services; none if it can.
fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make mounts of its own");
    }
    (!Path::new("/usr/bin/dbus-daemon").exists()).then_some("dbus-daemon is not installed")
}

/// A runtime directory, a root of configuration, and a group of a backend of its own. Ends the group when dropped.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) group: GroupKey,
}

impl Lab {
    pub(crate) fn new() -> Option<Self> {
        if let Some(reason) = lacking() {
            eprintln!("SKIPPED: {reason}");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["runtime", "config", "pool"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o700))
                .expect("private");
        }
        fs::write(folder.path().join("config/bus.conf"), BUS).expect("a file");
        let backend = format!("nas-{}", std::process::id());
        let name = folder.path().file_name().expect("a name").to_string_lossy().replace('.', "");
        let group = GroupKey { backend: format!("{backend}-{name}"), group: label("nfs"), instance: None };
        Some(Self { folder, group })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn helper(&self) -> Helper {
        Helper::start(&["--runtime", self.path("runtime").to_str().expect("text")])
    }

    pub(crate) fn group_template() -> Value {
        json!({
            "name": "nfs", "reason": "a test", "instance": "backend", "tmpfs": ["/run"],
            "bus": "/run/dbus/system_bus_socket",
            "bind": [
                { "name": "share", "root": "pool", "pattern": ["{share}"], "at": "/run/exports/{share}" },
                { "name": "read", "root": "pool", "pattern": ["{share}"], "at": "/run/reads/{share}", "read-only": true },
            ],
        })
    }

    pub(crate) fn bus() -> Value {
        json!({
            "name": "bus", "group": "nfs", "reason": "a test", "program": "dbus-daemon",
            "args": ["--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"],
            "slots": { "config": { "type": "path", "kind": "text", "root": "config", "pattern": ["bus.conf"] } },
            "ready": { "socket": "/run/dbus/system_bus_socket" }, "restart": true,
        })
    }

    /// A service that this test's own program is.
    fn victim(words: &[&str], more: Value) -> Value {
        let mut template = json!({
            "name": "victim", "group": "nfs", "reason": "a test", "program": "victim", "args": words,
        });
        if let (Some(map), Value::Object(more)) = (template.as_object_mut(), more) {
            map.extend(more);
        }
        template
    }

    pub(crate) fn start(&self, templates: &[Value]) -> ServiceCall {
        let services = templates.iter().map(|template| self.service(template)).collect();
        ServiceCall::Start(StartServices {
            group: self.group.clone(),
            template: Self::group_template().to_string(),
            interfaces: Vec::new(),
            services,
        })
    }

    fn service(&self, template: &Value) -> StartService {
        let is_bus = template["name"] == "bus";
        let binding =
            RootBinding { path: self.path("config").display().to_string(), identity: None, tenure: None };
        let config = SlotArgument::Path("bus.conf".parse().expect("a path"));
        StartService {
            template: template.to_string(),
            program: if is_bus { "/usr/bin/dbus-daemon".to_owned() } else { crate::helper::victim() },
            unreviewed: if is_bus { Unreviewed::Refused } else { Unreviewed::Allowed },
            roots: if is_bus { BTreeMap::from([(label("config"), binding)]) } else { BTreeMap::new() },
            slots: if is_bus { BTreeMap::from([(label("config"), config)]) } else { BTreeMap::new() },
        }
    }

    fn status_of(&self, service: &str) -> ServiceCall {
        ServiceCall::Status { group: self.group.clone(), service: label(service) }
    }

    fn bind(&self, bind: &str, share: &str) -> BindRequest {
        let place = if bind == "read" { "reads" } else { "exports" };
        BindRequest {
            group: self.group.clone(),
            template: Self::group_template().to_string(),
            bind: label(bind),
            root: RootBinding { path: self.path("pool").display().to_string(), identity: None, tenure: None },
            source: share.parse().expect("a path"),
            at: format!("/run/{place}/{share}"),
        }
    }

    /// The process of the keeper.
    pub(crate) fn keeper(&self) -> Option<i32> {
        let record = fs::read_dir(self.path("runtime/groups"))
            .ok()?
            .flatten()
            .find(|entry| entry.path().extension().is_some_and(|extension| extension == "keeper"))?;
        fs::read_to_string(record.path()).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// The group's own view of a path.
    fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.keeper().expect("a keeper")))
    }

    pub(crate) fn stop_group(&self, helper: &mut Helper) {
        let stopped = helper.service(ServiceCall::StopGroup { group: self.group.clone() });
        assert_eq!(stopped, Ok(ServiceAnswer::Done));
        assert_eq!(self.keeper(), None);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper().and_then(rustix::process::Pid::from_raw) {
            let _ended = rustix::process::kill_process(keeper, rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn label(text: &str) -> bulkhead_model::id::Label {
    text.parse().expect("a label")
}

fn share() -> String {
    bulkhead_model::share::share_name(bulkhead_model::id::ShareInstanceId::random())
}

fn status(answer: Result<ServiceAnswer, Refusal>) -> ServiceStatus {
    match answer {
        Ok(ServiceAnswer::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

/// Ask until it holds; answers the last status.
fn until(
    helper: &mut Helper,
    lab: &Lab,
    service: &str,
    holds: impl Fn(&ServiceStatus) -> bool,
) -> ServiceStatus {
    let begun = Instant::now();
    loop {
        let found = status(helper.service(lab.status_of(service)));
        if holds(&found) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{found:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_service_is_started_once_runs_on_and_is_adopted() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    assert_eq!(status(helper.service(lab.status_of("bus"))).state, ServiceState::Stopped);
    let first = status(helper.service(lab.start(&[Lab::bus()])));
    assert_eq!((first.state, first.adopted), (ServiceState::Ready, false));
    let again = status(helper.service(lab.start(&[Lab::bus()])));
    assert_eq!(again, first);
    assert!(!Path::new("/run/dbus/system_bus_socket").exists() || lab.inside("/run/dbus").exists());
    drop(helper);
    let mut helper = lab.helper();
    let adopted = status(helper.service(lab.status_of("bus")));
    assert_eq!(adopted, ServiceStatus { adopted: true, ..first });
    let started = status(helper.service(lab.start(&[Lab::bus()])));
    assert_eq!(started, adopted);
    lab.stop_group(&mut helper);
    assert_eq!(status(helper.service(lab.status_of("bus"))).state, ServiceState::Stopped);
    let left: Vec<_> = fs::read_dir(lab.path("runtime/groups")).expect("there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn other_words_are_a_conflict_until_the_service_was_stopped() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    status(helper.service(lab.start(&[Lab::victim(&["sleep"], json!({}))])));
    let other = lab.start(&[Lab::victim(&["ignore-termination"], json!({ "stop-seconds": 1 }))]);
    let refused = helper.service(other.clone()).expect_err("it runs with other words");
    assert_eq!(refused.code, CapabilityCode::Conflict);
    let stop = ServiceCall::Stop { group: lab.group.clone(), service: label("victim") };
    assert_eq!(helper.service(stop), Ok(ServiceAnswer::Done));
    assert_eq!(status(helper.service(other)).state, ServiceState::Ready);
    lab.stop_group(&mut helper);
}

#[test]
fn a_directory_is_shown_to_the_group_and_to_nobody_else() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let (one, other) = (share(), share());
    for name in [&one, &other] {
        fs::create_dir(lab.path("pool").join(name)).expect("a folder");
        fs::write(lab.path("pool").join(name).join("letter"), name).expect("a file");
    }
    let early = helper.service(ServiceCall::Bind(lab.bind("share", &one))).expect_err("nothing runs");
    assert_eq!(early.code, CapabilityCode::NotFound);
    status(helper.service(lab.start(&[Lab::bus()])));
    for _ in 0..2 {
        assert_eq!(helper.service(ServiceCall::Bind(lab.bind("share", &one))), Ok(ServiceAnswer::Done));
    }
    let shown = lab.inside(&format!("/run/exports/{one}/letter"));
    assert_eq!(fs::read_to_string(&shown).expect("it is shown"), one);
    fs::write(&shown, "changed").expect("it can be written");
    assert!(!Path::new(&format!("/run/exports/{one}")).exists(), "the machine sees it");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(&one), "the machine has the mount");

    assert_eq!(helper.service(ServiceCall::Bind(lab.bind("read", &other))), Ok(ServiceAnswer::Done));
    let read = lab.inside(&format!("/run/reads/{other}/letter"));
    assert_eq!(fs::read_to_string(&read).expect("it is shown"), other);
    assert!(fs::write(&read, "changed").is_err(), "it can only be read");

    let foreign = BindRequest { at: format!("/run/exports/{other}"), ..lab.bind("share", &one) };
    assert_eq!(
        helper.service(ServiceCall::Bind(foreign)).expect_err("names differ").code,
        CapabilityCode::InvalidArgument
    );
    let moved = lab.path("pool").join(&one);
    fs::rename(&moved, lab.path("pool/moved")).expect("renamed");
    fs::create_dir(&moved).expect("another");
    let conflict = helper.service(ServiceCall::Bind(lab.bind("share", &one))).expect_err("another is shown");
    assert_eq!(conflict.code, CapabilityCode::Conflict);
    let held = fs::File::open(&shown).expect("it is there");
    for _ in 0..2 {
        assert_eq!(helper.service(ServiceCall::Unbind(lab.bind("share", &one))), Ok(ServiceAnswer::Done));
    }
    assert!(!lab.inside(&format!("/run/exports/{one}")).exists());
    assert!(held.metadata().is_ok(), "an open file stays usable");
    assert_eq!(helper.service(ServiceCall::Bind(lab.bind("share", &one))), Ok(ServiceAnswer::Done));
    lab.stop_group(&mut helper);
}

#[test]
fn a_service_that_ends_is_started_again_and_one_that_may_not_is_told() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let first = status(helper.service(lab.start(&[Lab::bus()])));
    let leader = |lab: &Lab| {
        let keeper = lab.keeper().expect("a keeper");
        let children =
            fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).expect("children");
        children.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a child")
    };
    let bus: i32 = leader(&lab);
    let bus = rustix::process::Pid::from_raw(bus).expect("a number");
    rustix::process::kill_process(bus, rustix::process::Signal::KILL).expect("it runs");
    let second = until(&mut helper, &lab, "bus", |status| {
        status.state == ServiceState::Ready && status.started_at_ms != first.started_at_ms
    });
    assert!(second.started_at_ms > first.started_at_ms);

    let ends = Lab::victim(&["exit", "7"], json!({ "ready": { "socket": "/run/never", "seconds": 20 } }));
    let refused = helper.service(lab.start(&[ends])).expect_err("it ended");
    assert_eq!(refused.code, CapabilityCode::CommandFailed);
    assert!(refused.message.contains("Some(7)"), "{refused}");
    let found = status(helper.service(lab.status_of("victim")));
    assert_eq!((found.state, found.exit.and_then(|exit| exit.code)), (ServiceState::Failed, Some(7)));
    lab.stop_group(&mut helper);
}

#[test]
fn one_whose_address_somebody_else_answers_is_not_taken_for_ready() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let somebody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = somebody.local_addr().expect("an address").port();
    let sleeper = Lab::victim(
        &["sleep"],
        json!({
            "ready": { "address": "address", "port": "port", "seconds": 20 }, "restart": true,
            "slots": { "address": { "type": "ip" }, "port": { "type": "port" } },
        }),
    );
    let ServiceCall::Start(mut start) = lab.start(&[sleeper]) else { panic!("it starts services") };
    start.services[0].slots = BTreeMap::from([
        (label("address"), SlotArgument::Text("127.0.0.1".to_owned())),
        (label("port"), SlotArgument::Unsigned(u64::from(port))),
    ]);
    let refused = helper.service(ServiceCall::Start(start)).expect_err("another one listens there");
    assert_eq!(refused.code, CapabilityCode::CommandFailed);
    assert!(refused.message.contains(&format!("something else listens at 127.0.0.1:{port}")), "{refused}");
    assert_eq!(status(helper.service(lab.status_of("victim"))).state, ServiceState::Stopped);
    lab.stop_group(&mut helper);
}

#[test]
fn one_that_is_never_ready_is_stopped_and_others_wait_for_nobody() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let never = Lab::victim(
        &["sleep"],
        json!({ "ready": { "socket": "/run/never", "seconds": 2 }, "stop-seconds": 1 }),
    );
    let slow = helper.begin_service(lab.start(&[never]));
    let quick = status(helper.service(lab.start(&[Lab::bus()])));
    assert_eq!(quick.state, ServiceState::Ready);
    match helper.receive() {
        bulkhead_helper::protocol::FromHelper::Service { id, answer: Err(refusal) } if id == slow => {
            assert_eq!(refusal.code, CapabilityCode::TimedOut, "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_ne!(status(helper.service(lab.status_of("victim"))).started_at_ms, Some(0));
    lab.stop_group(&mut helper);
}

#[test]
fn a_group_that_runs_is_taken_for_no_other_with_other_directories() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    status(helper.service(lab.start(&[Lab::bus()])));
    let name = share();
    fs::create_dir(lab.path("pool").join(&name)).expect("a folder");
    // In the group that runs, these are the machine's.
    let mut template = Lab::group_template();
    template["tmpfs"] = json!(["/run", lab.path("machine")]);
    template["bind"][0]["at"] = json!(lab.path("machine/{share}"));
    let ServiceCall::Start(start) = lab.start(&[Lab::bus()]) else { panic!("it is a start") };
    let bind =
        BindRequest { at: lab.path("machine").join(&name).display().to_string(), ..lab.bind("share", &name) };
    for call in [
        ServiceCall::Start(StartServices { template: template.to_string(), ..start.clone() }),
        ServiceCall::Bind(BindRequest { template: template.to_string(), ..bind }),
    ] {
        let refused = helper.service(call).expect_err("it has other directories");
        assert_eq!(refused.code, CapabilityCode::Conflict, "{refused}");
    }
    assert!(!lab.path("machine").exists(), "nothing was made on the machine");
    lab.stop_group(&mut helper);
    fs::create_dir(lab.path("machine")).expect("a place to mount at");
    let start = StartServices { template: template.to_string(), ..start };
    assert_eq!(status(helper.service(ServiceCall::Start(start))).state, ServiceState::Ready);
    lab.stop_group(&mut helper);
}

#[test]
fn a_keeper_sleeps_though_whoever_asked_it_hung_up() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let never = Lab::victim(&["sleep"], json!({ "ready": { "socket": "/run/never", "seconds": 60 } }));
    helper.begin_service(lab.start(&[never]));
    until(&mut helper, &lab, "victim", |status| status.state == ServiceState::Starting);
    drop(helper);
    let ticks = || {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", lab.keeper().expect("a keeper"))).expect("it runs");
        let behind = stat.rsplit_once(')').expect("a name").1;
        behind
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum::<u64>()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    let spent = ticks() - before;
    assert!(spent < 50, "{spent} hundredths of a second of one were spent");
    lab.stop_group(&mut lab.helper());
}

#[test]
fn a_keeper_that_takes_nobody_in_holds_nobody_up_and_its_group_is_ended_all_the_same() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    status(helper.service(lab.start(&[Lab::bus()])));
    let keeper = lab.keeper().and_then(rustix::process::Pid::from_raw).expect("a keeper");
    rustix::process::kill_process(keeper, rustix::process::Signal::STOP).expect("it runs");
    let sockets = fs::read_dir(lab.path("runtime/groups")).expect("there").flatten();
    let socket =
        sockets.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|kind| kind == "socket"));
    let (waiting, full) = std::sync::mpsc::channel();
    let socket = socket.expect("a socket");
    // Blocks once the queue is full, until the keeper is gone.
    let filling = std::thread::spawn(move || {
        while let Ok(stream) = std::os::unix::net::UnixStream::connect(&socket) {
            let _nobody_counts_any_more = waiting.send(stream).is_err();
        }
    });
    let mut held = Vec::new();
    while let Ok(stream) = full.recv_timeout(Duration::from_secs(1)) {
        held.push(stream);
    }
    let begun = Instant::now();
    let refused = helper.service(lab.status_of("bus")).expect_err("it answers nobody");
    assert_eq!(refused.code, CapabilityCode::TimedOut);
    lab.stop_group(&mut helper);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    filling.join().expect("it ended with the keeper");
}

#[test]
fn a_service_that_is_being_stopped_is_started_anew_once_it_has_ended() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let slow = lab.start(&[Lab::victim(&["ignore-termination"], json!({ "stop-seconds": 1 }))]);
    let first = status(helper.service(slow.clone()));
    let stop = helper.begin_service(ServiceCall::Stop { group: lab.group.clone(), service: label("victim") });
    let start = helper.begin_service(slow);
    let mut answers = BTreeMap::new();
    while answers.len() < 2 {
        match helper.receive() {
            bulkhead_helper::protocol::FromHelper::Service { id, answer } => answers.insert(id, answer),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(answers.remove(&stop), Some(Ok(ServiceAnswer::Done)));
    let second = status(answers.remove(&start).expect("an answer"));
    assert_eq!(second.state, ServiceState::Ready);
    assert!(second.started_at_ms > first.started_at_ms, "it is another one");
    lab.stop_group(&mut helper);
}

#[test]
fn whatever_a_service_left_behind_ends_with_its_group() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let token = crate::helper::Token::new();
    let daemons = Lab::victim(&["fork-bomb", "2"], json!({ "env": token.variable() }));
    status(helper.service(lab.start(&[daemons])));
    // Whoever has started another has a session of its own by then: none of them is in the service's.
    token.wait_for(7);
    let stop = ServiceCall::Stop { group: lab.group.clone(), service: label("victim") };
    assert_eq!(helper.service(stop), Ok(ServiceAnswer::Done));
    assert_eq!(token.carriers(), 6, "they left the service");
    lab.stop_group(&mut helper);
    assert_eq!(token.carriers(), 0);
}

#[test]
fn a_killed_keeper_takes_its_group_with_it_and_the_next_start_makes_a_new_one() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    status(helper.service(lab.start(&[Lab::bus()])));
    let keeper = lab.keeper().and_then(rustix::process::Pid::from_raw).expect("a keeper");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("it runs");
    let begun = Instant::now();
    loop {
        let answer = helper.service(lab.status_of("bus"));
        if matches!(&answer, Ok(ServiceAnswer::Status(status)) if status.state == ServiceState::Stopped) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(status(helper.service(lab.start(&[Lab::bus()]))).state, ServiceState::Ready);
    lab.stop_group(&mut helper);
}
