//! The command line: data on standard output, words on standard error, exit codes 0, 1 and 2.

use crate::directory_daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use serde_json::Value;
use std::process::{Command, Output};

fn bulkhead(words: &[&str]) -> Output {
    Command::new(programs::program("bulkhead").expect("built")).args(words).output().expect("started")
}

pub(crate) fn succeeded(lab: &Lab, words: &[&str]) -> String {
    let state = lab.state().display().to_string();
    let output = bulkhead(&[words, &["--state", &state]].concat());
    let (text, notes) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{words:?}: {text}{notes}");
    text
}

pub(crate) fn failed(lab: &Lab, words: &[&str]) -> String {
    let state = lab.state().display().to_string();
    let output = bulkhead(&[words, &["--state", &state]].concat());
    assert_eq!(output.status.code(), Some(1), "{words:?}");
    assert!(output.stdout.is_empty(), "{words:?} printed data");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn shares_live_and_die_by_command() {
    let (lab, _daemon) = directory_daemon().await;
    let made: Value =
        serde_json::from_str(&succeeded(&lab, &["share", "create", "NFS", "1", "--name", "one", "--json"]))
            .expect("JSON");
    assert_eq!(made["status"], "available");
    assert!(succeeded(&lab, &["share", "list"]).contains("one"));
    assert!(succeeded(&lab, &["share", "show", "one"]).contains("export location"));
    let rule: Value =
        serde_json::from_str(&succeeded(&lab, &["access", "allow", "one", "ip", "10.0.0.0/24", "--json"]))
            .expect("JSON");
    assert!(succeeded(&lab, &["access", "list", "one"]).contains("10.0.0.0/24"));
    succeeded(&lab, &["access", "deny", "one", rule["id"].as_str().expect("an id")]);
    succeeded(&lab, &["share", "extend", "one", "2"]);
    succeeded(&lab, &["snapshot", "create", "one", "--name", "before"]);
    assert!(succeeded(&lab, &["snapshot", "list", "--share", "one"]).contains("before"));
    succeeded(&lab, &["share", "revert", "one", "before"]);
    succeeded(&lab, &["share", "create", "NFS", "2", "--name", "two", "--snapshot", "before"]);
    succeeded(&lab, &["snapshot", "delete", "before"]);
    succeeded(&lab, &["share", "shrink", "two", "1"]);
    for name in ["one", "two"] {
        succeeded(&lab, &["share", "delete", name]);
    }
    assert_eq!(succeeded(&lab, &["share", "list", "--json"]).trim(), "[]");
    assert!(succeeded(&lab, &["operation", "list"]).contains("delete-share"));
    assert!(succeeded(&lab, &["audit", "tail", "--most", "500"]).contains("files.create-directory"));
    assert!(succeeded(&lab, &["backend", "list"]).contains("nas1"));
    assert!(succeeded(&lab, &["share", "why-not", "NFS", "1"]).contains("nas1"));
    let nowhere = succeeded(&lab, &["share", "why-not", "CIFS", "1", "--json"]);
    assert!(nowhere.contains("does not export over CIFS"), "{nowhere}");
    assert!(failed(&lab, &["share", "why-not", "NFS", "1", "--type", "none-such"]).contains("none-such"));
    assert!(succeeded(&lab, &["backend", "show", "nas1"]).contains("snapshots"));
}

#[tokio::test]
async fn mistakes_end_with_one_and_say_what_to_do() {
    let (lab, _daemon) = directory_daemon().await;
    assert!(failed(&lab, &["share", "show", "nobody"]).contains("hint:"));
    assert!(failed(&lab, &["share", "create", "FTP", "1"]).contains("FTP"));
    assert!(failed(&lab, &["operation", "show", "x"]).contains("bulkhead operation list"));
    for words in
        [["share", "create", "NFS", "-1"], ["share", "create", "NFS", "0"], ["share", "extend", "a", "1.5"]]
    {
        assert!(failed(&lab, &words).contains("whole number of GiB"), "{words:?}");
    }
    for words in [["backend", "show", "a b"], ["backend", "show", "../x"], ["operation", "show", "a/b?c"]] {
        assert!(failed(&lab, &words).contains("hint:"), "{words:?}");
    }
    assert!(failed(&lab, &["audit", "tail", "--backend", "nobody&most=1"]).contains("hint:"));
    assert!(failed(&lab, &["share", "list", "--project", "a\nb"]).contains("project id"));
}

#[tokio::test]
async fn operators_ensure_a_backend_and_let_shares_and_snapshots_go_by_command() {
    let (lab, _daemon) = directory_daemon().await;
    succeeded(&lab, &["share", "create", "NFS", "1", "--name", "one"]);
    succeeded(&lab, &["snapshot", "create", "one", "--name", "before"]);
    let report: Value =
        serde_json::from_str(&succeeded(&lab, &["backend", "ensure", "nas1", "--json"])).expect("JSON");
    assert_eq!((&report["occasion"], &report["state"]), (&Value::from("asked"), &Value::from("done")));
    assert!(report["report"]["failure"].is_null(), "{report}");
    assert!(succeeded(&lab, &["backend", "ensure", "nas1"]).contains("healthy"));
    assert_eq!(succeeded(&lab, &["backend", "usage", "nas1", "--json"]).trim(), "[]");
    let told: Value =
        serde_json::from_str(&succeeded(&lab, &["backend", "hook-data", "nas1", "--json"])).expect("JSON");
    assert_eq!((&told["told_at"], &told["shares"]), (&Value::Null, &serde_json::json!([])));
    // What this driver does not do is refused in words.
    let asked = ["share", "manage", "nas1", "NFS", "10.0.0.5:/exports/old"];
    assert!(failed(&lab, &asked).contains("taking over shares"));
    assert!(failed(&lab, &["share", "manage", "nobody", "NFS", "10.0.0.5:/old"]).contains("nobody"));
    assert!(failed(&lab, &["share", "manage", "nas1", "NFS", "10.0.0.5:/.."]).contains("last component"));
    assert!(failed(&lab, &["snapshot", "manage", "one", "nightly"]).contains("taking over snapshots"));
    assert!(failed(&lab, &["snapshot", "allow", "before", "ip", "10.0.0.1"]).contains("mounting snapshots"));
    assert!(failed(&lab, &["share", "unmanage", "one"]).contains("snapshots"));
    assert_eq!(succeeded(&lab, &["snapshot", "rules", "before", "--json"]).trim(), "[]");
    succeeded(&lab, &["snapshot", "unmanage", "before"]);
    succeeded(&lab, &["share", "unmanage", "one"]);
    assert_eq!(succeeded(&lab, &["share", "list", "--json"]).trim(), "[]");
    assert!(succeeded(&lab, &["audit", "tail", "--most", "500"]).contains("host.let-go"));
    assert!(failed(&lab, &["backend", "ensure", "nobody"]).contains("hint:"));
}

#[tokio::test]
async fn a_command_that_does_not_wait_does_not_judge() {
    let (lab, _daemon) = directory_daemon().await;
    succeeded(&lab, &["share", "create", "NFS", "2", "--name", "one"]);
    succeeded(&lab, &["share", "shrink", "one", "1", "--no-wait"]);
}

#[tokio::test]
async fn a_configuration_is_found_from_where_it_lies() {
    let lab = Lab::new().and_then(|lab| lab.with_backend("nas1", "directory", "")).expect("a lab");
    let file = lab.configuration().expect("a configuration");
    let mut daemon = Command::new(programs::program("bulkhead").expect("built"))
        .args(["serve", "--config", "bulkhead.toml"])
        .current_dir(file.parent().expect("a folder"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let began = std::time::Instant::now();
    let state = lab.state().display().to_string();
    let made = loop {
        // A snapshot is a command: without its helper the daemon takes none.
        let made = bulkhead(&["share", "create", "NFS", "1", "--name", "one", "--state", &state]);
        if made.status.success() || began.elapsed() > bulkhead_tests::daemon::SETTLE {
            break made;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let snapshot = bulkhead(&["snapshot", "create", "one", "--timeout", "30", "--state", &state]);
    daemon.kill().expect("killed");
    daemon.wait().expect("ended");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(snapshot.status.success(), "{}", String::from_utf8_lossy(&snapshot.stderr));
}

#[test]
fn what_a_daemon_would_refuse_of_options_and_targets_a_check_of_the_configuration_tells() {
    let lab = Lab::new().expect("a lab");
    let driver = programs::guest("rest-appliance").expect("built").display().to_string();
    let check = |main: &str, backend: &str| {
        let file = lab.path().join("checked.toml");
        std::fs::write(&file, format!("backend-directory = \"backends\"\n{main}")).expect("written");
        std::fs::write(lab.backend_file("nas1"), backend).expect("written");
        let output = bulkhead(&["config", "check", "--config", &file.display().to_string()]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let options =
        |lines: &str| format!("driver = {driver:?}\n[options]\nexport_address = \"10.0.0.5\"\n{lines}\n");
    let sound = options("array_password = \"secret://file/nobody/reads/this\"");
    let (code, said) = check("", &sound);
    assert!(
        code == Some(0) && said.contains("is sound, with 1 backend") && said.contains("doctor"),
        "{said}"
    );
    for (lines, words) in [
        ("array_password = \"hunter22\"", "option 'array_password': does not say where its secret is kept"),
        ("array_password = \"secret://vault/x\"", "option 'array_password'"),
        ("array_password = \"secret://env/A=B\"", "option 'array_password'"),
        ("", "option 'array_password': must be set"),
        ("array_password = \"secret://env/A\"\nmax_over_subscription_ratio = \"x\"", "is a number"),
        (
            "array_password = \"secret://env/A\"\ndriver_handles_share_servers = true",
            "only without share servers",
        ),
    ] {
        let (code, said) = check("", &options(lines));
        assert!(code == Some(1) && said.contains("backend nas1") && said.contains(words), "{lines}: {said}");
        assert!(!said.contains("hunter22"), "{said}");
    }
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let target = |lines: &str| format!("[ssh.a]\nhost = \"10.0.0.5\"\nuser = \"root\"\n{lines}\n");
    let pinned = format!("host-keys = [\"{key}\"]\n");
    let whole = format!("{pinned}key = \"secret://env/A\"\n");
    assert_eq!(check(&target(&whole), &sound).0, Some(0));
    for (lines, words) in [
        ("host-keys = []\nkey = \"secret://env/A\"".to_owned(), "pins no host key"),
        (pinned, "nothing to log in with"),
        (format!("{whole}max-connections = 0"), "min-connections is at most max-connections"),
        (format!("{whole}min-connections = 50"), "min-connections is at most max-connections"),
        (format!("{whole}prompt = \"\""), "[ssh.a]: '' is no text to wait for"),
        (format!("{whole}prompt = \"> \"\nerrors = [\"\"]"), "[ssh.a]: '' is no text to wait for"),
    ] {
        let (code, said) = check(&target(&lines), &sound);
        assert!(code == Some(1) && said.contains(words), "{lines}: {said}");
    }
    let (code, said) = check(&target(&whole), &format!("place = \"ssh:b\"\n{sound}"));
    assert!(code == Some(1) && said.contains("write [ssh.b]"), "{said}");
    let (code, said) = check("", "driver = \"not-here.wasm\"\n");
    assert!(code == Some(0) && said.contains("nas1: its options were not looked at"), "{said}");
}

#[test]
fn a_backends_file_is_only_written_where_the_daemon_reads_it() {
    let lab = Lab::new().expect("a lab");
    let driver = programs::guest("directory").expect("built").display().to_string();
    let init = |name: &str| {
        let output = lab.path().join("backends").join(name).display().to_string();
        bulkhead(&["backend", "init", &driver, "--output", &output])
    };
    assert!(init("nas1.toml").status.success());
    for (name, expected) in [
        ("nas1.toml", "left alone"),
        ("host.toml", "the host's own"),
        ("nas2.txt", "NAME.toml"),
        ("none/nas2.toml", "make it first"),
    ] {
        let output = init(name);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn without_a_daemon_the_command_says_where_it_looked() {
    let lab = Lab::new().expect("a lab");
    let said = failed(&lab, &["share", "list"]);
    assert!(said.contains("operator.sock") && said.contains("bulkhead serve"), "{said}");
}

#[tokio::test]
async fn data_that_cannot_be_written_are_not_passed_over() {
    let (lab, _daemon) = directory_daemon().await;
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let status = Command::new(programs::program("bulkhead").expect("built"))
        .args(["backend", "list", "--json", "--state"])
        .arg(lab.state())
        .stdout(full)
        .status()
        .expect("started");
    assert_eq!(status.code(), Some(2));
}
