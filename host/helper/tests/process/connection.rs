use crate::helper::{HELPER, Helper, Request, passed_over, wait_until};
use bulkhead_helper::protocol::{Ending, FromHelper, ToHelper, VERSION};
use bulkhead_model::error::CapabilityCode;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

#[test]
fn a_ping_is_answered_and_a_hello_names_the_process() {
    let mut helper = Helper::start_silent(&[]);
    helper.send(&ToHelper::Hello { version: VERSION });
    match helper.receive() {
        FromHelper::Hello { version, process, .. } => {
            assert_eq!((version, process), (VERSION, helper.process.id()))
        }
        other => panic!("{other:?}"),
    }
    helper.send(&ToHelper::Ping { token: 42 });
    assert_eq!(helper.receive(), FromHelper::Pong { token: 42 });
}

#[test]
fn another_version_is_told_and_turned_away() {
    let mut helper = Helper::start_silent(&[]);
    helper.send(&ToHelper::Hello { version: VERSION + 1 });
    assert!(matches!(helper.receive(), FromHelper::Hello { version: VERSION, .. }));
    assert_eq!(helper.try_receive(), None);
    assert_eq!(helper.process.wait().expect("it ends").code(), Some(2));
}

#[test]
fn garbage_and_silence_end_the_helper_with_a_reason() {
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 64], &[1, 0, 0, 0, 99]] {
        let mut helper = Helper::start_silent(&[]);
        helper.connection.write_all(bytes).expect("it is written");
        assert_eq!(helper.try_receive(), None);
        assert_eq!(helper.process.wait().expect("it ends").code(), Some(2));
    }
    let mut silent = Helper::start_silent(&[]);
    silent.send(&ToHelper::Sweep);
    assert_eq!(silent.try_receive(), None);
}

#[test]
fn a_request_is_taken_once() {
    let mut helper = Helper::start(&[]);
    let request = Request::victim(&["exit", "0"]);
    assert_eq!(helper.run(request.clone()).expect("it runs").ending, Ending::Exited(0));
    let mut replaying = |id: u64| {
        let mut request = request.clone();
        request.timeout = std::time::Duration::from_secs(5);
        helper.replay(request, id)
    };
    assert_eq!(replaying(1).expect_err("a replay").code, CapabilityCode::Denied);
    assert_eq!(replaying(0).expect_err("a replay").code, CapabilityCode::Denied);
    assert!(replaying(2).is_ok());
}

#[test]
fn nothing_runs_before_a_sweep() {
    let mut helper = Helper::start_silent(&[]);
    helper.greet();
    assert_eq!(
        helper.run(Request::victim(&["exit", "0"])).expect_err("too early").code,
        CapabilityCode::Busy
    );
}

#[test]
fn a_listening_helper_lets_in_its_user_and_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("policy.json"), r#"{"programs": {"true": "/usr/bin/true"}, "roots": []}"#)
        .expect("a policy");
    let own = rustix::process::geteuid().as_raw();
    for (socket, user) in [("own", own), ("other", own + 1)] {
        let process = Command::new(HELPER)
            .arg("--policy")
            .arg(at("policy.json"))
            .arg("--listen")
            .arg(at(socket))
            .args(["--user", &user.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_until("a socket", || UnixStream::connect(at(socket)).is_ok());
        let connection = UnixStream::connect(at(socket)).expect("it listens");
        let mut helper = Helper::at(process, connection);
        if user == own {
            helper.greet();
            helper.send(&ToHelper::Sweep);
            assert_eq!(helper.receive(), FromHelper::Swept);
            let allowed = helper.run(Request::reviewed("true", "read", &[])).expect("the policy names it");
            assert_eq!(allowed.ending, Ending::Exited(0));
            let refused =
                helper.run(Request::victim(&["exit", "0"])).expect_err("the policy does not name it");
            assert!(refused.message.contains("policy file"), "{refused}");
        } else {
            let _turned_away = helper.connection.write_all(&[0; 64]);
            assert_eq!(helper.try_receive(), None);
        }
        helper.process.kill().expect("it is killed");
    }
    if !rustix::process::geteuid().is_root() {
        passed_over("not root: a real other user was not tried, only a helper of another one");
    }
}

#[test]
fn a_helper_that_listens_without_a_policy_does_not_start() {
    let status = Command::new(HELPER)
        .args(["--listen", "/nonexistent/socket", "--user", "0"])
        .status()
        .expect("it starts");
    assert_eq!(status.code(), Some(1));
}
