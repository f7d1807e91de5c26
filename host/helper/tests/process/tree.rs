use crate::helper::{Helper, METHODS, Request, Token, is_as_asked, passed_over};
use bulkhead_helper::protocol::{Ending, EndingMethod, FromHelper, ToHelper};
use std::time::{Duration, Instant};

fn for_each_method(test: impl Fn(&[&str], Helper)) {
    for arguments in METHODS {
        let helper = Helper::start(arguments);
        if is_as_asked(&helper, arguments) {
            test(arguments, helper);
        }
    }
}

#[test]
fn daemons_of_a_command_are_gone_before_it_is_reported() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        let begun = Instant::now();
        let finished =
            helper.run(Request::victim(&["daemons", "3"]).with("env", token.variable())).expect("it runs");
        assert_eq!(finished.ending, Ending::Exited(0));
        assert_eq!(token.carriers(), 0);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    });
}

#[test]
fn another_command_goes_on_while_one_is_ended() {
    for_each_method(|_, mut helper| {
        let (bystander, ended) = (Token::new(), Token::new());
        let going = helper.begin_and_wait(Request::victim(&["sleep"]).with("env", bystander.variable()));
        bystander.wait_for(1);
        let finished =
            helper.run(Request::victim(&["daemons", "2"]).with("env", ended.variable())).expect("it runs");
        assert_eq!(finished.ending, Ending::Exited(0));
        assert_eq!((bystander.carriers(), ended.carriers()), (1, 0));
        helper.send(&ToHelper::Cancel { id: going });
        assert_eq!(helper.finish(going).ending, Ending::Cancelled);
        assert_eq!(bystander.carriers(), 0);
    });
}

#[test]
fn a_process_that_hops_from_fork_to_fork_is_caught() {
    for_each_method(|_, mut helper| {
        let (bystander, hopper) = (Token::new(), Token::new());
        helper.begin_and_wait(Request::victim(&["sleep"]).with("env", bystander.variable()));
        let request = Request::victim(&["hop", "100000"]).with("env", hopper.variable());
        let finished = helper.run(request).expect("it runs");
        assert_eq!(finished.ending, Ending::Exited(0));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!((bystander.carriers(), hopper.carriers()), (1, 0));
    });
}

#[test]
fn a_command_that_leaves_its_cgroup_is_ended_all_the_same() {
    let mut helper = Helper::start(&[]);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let mount =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let (EndingMethod::ControlGroup, Some(mount), true) =
        (helper.method, mount, rustix::process::geteuid().is_root())
    else {
        return passed_over("needs root and a writable cgroup of version 2");
    };
    let elsewhere = format!("{mount}/cgroup.procs");
    if std::fs::write(&elsewhere, std::process::id().to_string()).is_err() {
        return passed_over("no process may move into the topmost cgroup here");
    }
    let token = Token::new();
    let bystander = helper.begin_and_wait(Request::victim(&["sleep"]));
    let finished = helper.run(Request::victim(&["leave-group", &elsewhere]).with("env", token.variable()));
    assert_eq!(finished.expect("it runs").ending, Ending::Exited(0));
    assert_eq!(token.carriers(), 0);
    helper.send(&ToHelper::Cancel { id: bystander });
    assert_eq!(helper.finish(bystander).ending, Ending::Cancelled);
}

#[test]
fn a_daemon_that_holds_the_output_open_is_waited_for_a_second_and_ended() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        let begun = Instant::now();
        let request = Request::victim(&["daemon-that-writes"]).with("env", token.variable());
        let finished = helper.run(request).expect("it runs");
        assert_eq!(finished.ending, Ending::Exited(0));
        assert!(finished.stdout.starts_with(b"still here\n"));
        assert_eq!(token.carriers(), 0);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_fork_bomb_that_leaves_its_session_is_ended_to_the_last_process() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        let id = helper.begin_and_wait(Request::victim(&["fork-bomb", "5"]).with("env", token.variable()));
        token.wait_for(63);
        helper.send(&ToHelper::Cancel { id });
        assert_eq!(helper.finish(id).ending, Ending::Cancelled);
        assert_eq!(token.carriers(), 0);
    });
}

#[test]
fn a_command_that_ignores_termination_is_killed_after_its_grace() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        let request = Request::victim(&["ignore-termination"]).with("env", token.variable());
        let begun = Instant::now();
        let finished = helper.run(request.timeout(Duration::from_millis(500))).expect("it runs");
        assert_eq!((finished.ending, finished.stdout.as_slice()), (Ending::TimedOut, b"ready\n".as_slice()));
        assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(token.carriers(), 0);
    });
}

#[test]
fn a_command_that_has_stopped_itself_is_ended_at_once() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        let request = Request::victim(&["stop-itself"]).with("env", token.variable());
        let begun = Instant::now();
        let finished = helper.run(request.timeout(Duration::from_millis(300))).expect("it runs");
        assert_eq!(finished.ending, Ending::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(token.carriers(), 0);
    });
}

#[test]
fn a_closed_connection_ends_every_command_and_then_the_helper() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        helper.begin_and_wait(Request::victim(&["fork-bomb", "2"]).with("env", token.variable()));
        helper.begin_and_wait(Request::victim(&["ignore-termination"]).with("env", token.variable()));
        token.wait_for(8);
        let took = helper.close();
        assert_eq!(token.carriers(), 0);
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

#[test]
fn what_a_killed_helper_leaves_is_ended_by_the_next_one() {
    for_each_method(|arguments, mut helper| {
        let token = Token::new();
        helper.begin_and_wait(Request::victim(&["fork-bomb", "3"]).with("env", token.variable()));
        token.wait_for(15);
        helper.process.kill().expect("it is killed");
        helper.process.wait().expect("it is gone");
        let next = Helper::start(arguments);
        assert_eq!(token.carriers(), 0);
        drop(next);
    });
}

#[test]
fn a_killed_helper_takes_its_commands_with_it() {
    for_each_method(|_, mut helper| {
        let token = Token::new();
        helper.begin_and_wait(Request::victim(&["sleep"]).with("env", token.variable()));
        token.wait_for(1);
        helper.process.kill().expect("it is killed");
        token.wait_for(0);
    });
}

#[test]
fn a_helper_runs_nothing_while_an_earlier_one_of_the_same_daemon_lives() {
    let directory = tempfile::tempdir().expect("a directory");
    let lock = directory.path().join("helper.lock");
    let arguments = ["--lock", lock.to_str().expect("a text")];
    let token = Token::new();
    let mut first = Helper::start(&arguments);
    first.begin_and_wait(Request::victim(&["sleep"]).with("env", token.variable()));
    let mut second = Helper::start_silent(&arguments);
    second.greet();
    second.send(&ToHelper::Sweep);
    let refused = second.run(Request::victim(&["exit", "0"])).expect_err("it is refused");
    assert_eq!(refused.code, bulkhead_model::error::CapabilityCode::Busy);
    drop(first);
    assert_eq!(second.receive(), FromHelper::Swept);
    assert_eq!(token.carriers(), 0);
    assert_eq!(second.run(Request::victim(&["exit", "0"])).expect("it runs").ending, Ending::Exited(0));
}

#[test]
fn no_zombies_and_no_cgroups_stay_behind() {
    for_each_method(|_, mut helper| {
        for _ in 0..5 {
            helper.run(Request::victim(&["daemons", "2"])).expect("it runs");
        }
        let number = helper.process.id();
        crate::helper::wait_until("an end of all children", || {
            std::fs::read_dir("/proc").expect("processes").flatten().all(|entry| {
                let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
                !status.lines().any(|line| line == format!("PPid:\t{number}"))
            })
        });
        helper.close();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        for mount in mounts.lines().filter(|line| line.contains(" - cgroup2 ")) {
            let place = mount.split(' ').nth(4).expect("a mount point");
            for entry in std::fs::read_dir(place).expect("cgroups").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!name.starts_with(&format!("bulkhead-{number}-")), "{name}");
            }
        }
    });
}
