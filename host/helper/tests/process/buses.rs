//! Calls on the bus of a group that runs: through the helper, into the group's own view of the machine.

use crate::helper::{Helper, Request};
use crate::services::{Lab, label};
use bulkhead_helper::protocol::{DbusReply, DbusRequest, DbusValue, Ending, FromHelper, Refusal, ToHelper};
use bulkhead_model::error::CapabilityCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const BUS: &str = "org.freedesktop.DBus";

fn request(lab: &Lab, method: &str, args: &serde_json::Value) -> DbusRequest {
    DbusRequest {
        group: lab.group.clone(),
        group_template: Lab::group_template().to_string(),
        template: json!({
            "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "group": "nfs",
            "destination": BUS, "path": "/org/freedesktop/DBus", "interface": BUS, "method": method, "args": args,
        })
        .to_string(),
        roots: BTreeMap::new(),
        slots: BTreeMap::new(),
        timeout_ms: 30_000,
    }
}

fn code(answer: Result<DbusReply, Refusal>) -> CapabilityCode {
    answer.expect_err("it is refused").code
}

/// The bus daemon of the group: who was started with the bus's configuration, in the mounts of the keeper.
fn daemon_of(lab: &Lab) -> Pid {
    let mounts = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let wanted = mounts(&lab.keeper().expect("a keeper").to_string());
    let found = std::fs::read_dir("/proc").expect("processes").flatten().find_map(|entry| {
        let process = entry.file_name().to_str()?.to_owned();
        let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let here = line.contains("bus.conf") && mounts(&process) == wanted;
        here.then(|| process.parse().ok().and_then(Pid::from_raw)).flatten()
    });
    found.expect("the group's bus runs")
}

#[test]
fn a_call_reaches_the_bus_that_only_the_group_sees() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    let asked = request(&lab, "NameHasOwner", &json!([{ "type": "s", "value": BUS }]));
    assert_eq!(code(helper.call(asked.clone())), CapabilityCode::Unavailable, "the group does not run");
    helper.service(lab.start(&[Lab::bus()])).expect("the bus starts");
    assert!(!std::path::Path::new("/run/exports").exists(), "the group's directories are its own");
    let answer = helper.call(asked.clone()).expect("an answer");
    let DbusReply::Results(items) = answer else { panic!("{answer:?}") };
    assert_eq!((items.len(), &items[0].value), (1, &DbusValue::Boolean(true)));
    let fault = helper.call(request(&lab, "NoSuchMethod", &json!([]))).expect("an answer");
    assert!(matches!(fault, DbusReply::Fault { name, .. } if name.ends_with("UnknownMethod")));
    let mut hidden = Lab::group_template();
    (hidden["tmpfs"], hidden["bus"]) = (json!(["/srv"]), json!("/srv/bus"));
    let machine = DbusRequest { group_template: hidden.to_string(), ..asked.clone() };
    assert_eq!(
        code(helper.call(machine)),
        CapabilityCode::Unavailable,
        "the machine's own socket is out of reach"
    );
    let mut elsewhere = asked.clone();
    elsewhere.group.instance = Some("share-server-1".to_owned());
    assert_eq!(code(helper.call(elsewhere)), CapabilityCode::Unavailable, "another instance does not run");
    // The next helper finds the bus of the group that runs on.
    helper.close();
    let mut next = lab.helper();
    assert!(next.call(asked.clone()).is_ok());
    lab.stop_group(&mut next);
    assert_eq!(code(next.call(asked)), CapabilityCode::Unavailable, "the group was stopped");
}

#[test]
fn a_bus_that_says_nothing_holds_nobody_up() {
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    helper.service(lab.start(&[Lab::bus()])).expect("the bus starts");
    let daemon = daemon_of(&lab);
    kill_process(daemon, Signal::STOP).expect("it runs");
    let mut silent = request(&lab, "GetId", &json!([]));
    silent.timeout_ms = 1500;
    let begun = Instant::now();
    let call = helper.begin_call(silent.clone());
    let finished = helper.run(Request::victim(&["exit", "0"])).expect("it runs");
    assert_eq!(finished.ending, Ending::Exited(0));
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_answered(&mut helper, call);
    silent.timeout_ms = 60_000;
    let cancelled = helper.begin_call(silent);
    helper.send(&ToHelper::Cancel { id: cancelled });
    assert_answered(&mut helper, cancelled);
    kill_process(daemon, Signal::CONT).expect("it is there");
    assert!(helper.call(request(&lab, "GetId", &json!([]))).is_ok());
    lab.stop_group(&mut helper);
}

/// The call was not made, for the bus never let it in.
fn assert_answered(helper: &mut Helper, wanted: u64) {
    match helper.receive() {
        FromHelper::Dbus { id, answer } if id == wanted => {
            assert_eq!(code(answer), CapabilityCode::Unavailable);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_inside_a_group_sees_what_the_group_does_and_so_do_jobs() {
    use bulkhead_helper::protocol::{JobAnswer, JobCall, JobKey, JobState, StartJob};
    let Some(lab) = Lab::new() else { return };
    let mut helper = lab.helper();
    helper.service(lab.start(&[Lab::bus()])).expect("the bus starts");
    let mut inside = Request::victim(&["list", "/run"]).with("inside", json!("nfs"));
    inside.inside = Some(lab.group.clone());
    let outside = helper.run(Request::victim(&["list", "/run"])).expect("it runs").stdout;
    let seen = helper.run(inside.clone()).expect("it runs").stdout;
    assert_eq!(String::from_utf8_lossy(&seen), "dbus\n");
    assert_ne!(outside, seen);
    let key = JobKey {
        backend: lab.group.backend.clone(),
        subject: "s".to_owned(),
        job: label("list"),
        key: "k".to_owned(),
    };
    let start = StartJob { key: key.clone(), stages: vec![inside.build(0)], counts_bytes: false };
    helper.job(JobCall::Start(start)).expect("it begins");
    let until = Instant::now() + Duration::from_secs(30);
    let end = loop {
        match helper.job(JobCall::Poll(key.clone())) {
            Ok(JobAnswer::State(JobState::Ended(end))) => break end,
            Ok(JobAnswer::State(JobState::Running { .. })) => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < until, "the job does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!((end.success, end.finished.stdout), (true, seen));
    lab.stop_group(&mut helper);
}
