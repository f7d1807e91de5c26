//! A helper on another machine: what it does there, what becomes of it when the way is cut, and who is not let near it.

use crate::keys;
use crate::machine::Machine;
use crate::proxy::Proxy;
use bulkhead_capability::execute::{
    Abandoned, CommandRequest, CommandRunner, Directories, HelperClient, RunError,
};
use bulkhead_helper::protocol::{
    Ending, FileKind, FilePath, FileReply, FileWork, FilesCall, RootBinding, Unreviewed,
};
use bulkhead_ssh::FarHelper;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Those that sleep 77 seconds: a program that is started through a descriptor is not called by its name.
const SLEEPERS: &str = "pgrep -f '[ ]77$' || true";

fn command(program: &str, args: &[&str]) -> CommandRequest {
    let template = json!({
        "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "program": "tried", "args": args,
    });
    CommandRequest {
        template: serde_json::from_value(template).expect("a template"),
        program: program.to_owned(),
        unreviewed: Unreviewed::Allowed,
        roots: BTreeMap::new(),
        slots: BTreeMap::new(),
        inside: None,
        timeout: Duration::from_secs(30),
    }
}

async fn run(client: &HelperClient, request: CommandRequest) -> Result<String, RunError> {
    let (_waiting, abandoned) = Abandoned::pair();
    let finished = client.run(request, abandoned).await?;
    assert_eq!(finished.ending, Ending::Exited(0), "{finished:?}");
    Ok(String::from_utf8(finished.stdout).expect("a text"))
}

fn at(path: &str) -> FilePath {
    FilePath { root: "shares".parse().expect("a label"), path: path.parse().expect("a path") }
}

async fn files(machine: &Machine, client: &HelperClient, work: FileWork) -> Result<FileReply, RunError> {
    let binding = RootBinding { path: machine.place("shares"), identity: None, tenure: None };
    let roots = BTreeMap::from([("shares".parse().expect("a label"), binding)]);
    let (_waiting, abandoned) = Abandoned::pair();
    client.files(FilesCall { roots, work, timeout_ms: 30_000 }, abandoned).await
}

fn told(error: RunError) -> String {
    let RunError::Unavailable { reason } = error else { panic!("{error:?}") };
    reason
}

#[tokio::test]
async fn commands_and_files_are_the_other_machines() {
    let Some(machine) = Machine::new().await else { return };
    let client = machine.client(machine.target());
    client.wait_until_swept().await.expect("the helper is there");
    assert_eq!(client.directories(), Directories::There);
    assert_eq!(run(&client, command("/bin/cat", &["/proc/1/comm"])).await.expect("it runs").trim(), "sshd");
    let made = files(&machine, &client, FileWork::MakeDirectory { at: at("made"), mode: 0o755 }).await;
    assert_eq!(made.expect("made"), FileReply::Done);
    assert_eq!(machine.shell("ls $AT/shares").await.trim(), "made");
    assert!(!std::path::Path::new(&machine.place("shares")).exists(), "it is not here");
    let Ok(FileReply::Found(Some(found))) = files(&machine, &client, FileWork::Look(at("made"))).await else {
        panic!("it is there")
    };
    assert_eq!(found.kind, FileKind::Directory);
}

#[tokio::test]
async fn a_link_lost_in_mid_command_leaves_the_outcome_unknown_and_no_command_running() {
    let Some(machine) = Machine::new().await else { return };
    let proxy = Proxy::to(machine.port).await;
    let client = machine.client(bulkhead_ssh::Target { port: proxy.port, ..machine.target() });
    client.wait_until_swept().await.expect("the helper is there");
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(machine.shell(SLEEPERS).await.lines().count() == 1, "it runs");
        proxy.cut();
    };
    let (lost, ()) = tokio::join!(run(&client, command("/bin/sleep", &["77"])), cutting);
    assert!(matches!(lost, Err(RunError::OutcomeUnknown { .. })), "{lost:?}");
    // The next helper serves only once everything that the last one ran has ended.
    run(&client, command("/bin/true", &[])).await.expect("the next helper");
    assert_eq!(machine.shell(SLEEPERS).await, "");
}

/// X18, and the issue's: whatever the moment, a repeat finds what is there and ends where it would have ended.
#[tokio::test]
async fn a_way_that_is_cut_a_hundred_times_in_the_middle_converges() {
    let Some(machine) = Machine::new().await else { return };
    let proxy = Proxy::to(machine.port).await;
    let client = machine.client(bulkhead_ssh::Target { port: proxy.port, ..machine.target() });
    client.wait_until_swept().await.expect("the helper is there");
    machine.shell("mkdir $AT/shares/source && cd $AT/shares/source && seq 1 4000 | xargs touch").await;
    let mut cuts = 0_u32;
    let mut unknown = 0_u32;
    while cuts < 100 {
        let steps = [
            FileWork::Remove(at("copy")),
            FileWork::Copy { from: at("source"), to: at("copy") },
            FileWork::Remove(at("copy")),
        ];
        for step in steps {
            let cutting = async {
                tokio::time::sleep(Duration::from_millis(u64::from(cuts * 7 % 45))).await;
                proxy.cut();
                cuts += 1;
            };
            let (done, ()) = tokio::join!(files(&machine, &client, step), cutting);
            match done {
                Ok(_) | Err(RunError::Unavailable { .. }) => {}
                Err(RunError::OutcomeUnknown { .. }) => unknown += 1,
                Err(RunError::Refused(refusal)) => assert!(refusal.message.contains("already"), "{refusal}"),
            }
        }
    }
    assert!(unknown > 20, "{unknown} of {cuts} cuts met something");
    for step in [FileWork::Remove(at("copy")), FileWork::Copy { from: at("source"), to: at("copy") }] {
        let mut tries = 0;
        while let Err(error) = files(&machine, &client, step.clone()).await {
            tries += 1;
            assert!(tries < 10, "{error}");
        }
    }
    let counted = machine.shell("ls $AT/shares/copy | wc -l; pgrep -c bulkhead-helpe").await;
    assert_eq!(counted.split_whitespace().collect::<Vec<_>>(), ["4000", "1"], "and one helper");
}

#[tokio::test]
async fn a_changed_host_key_is_refused_with_the_line_to_write() {
    let Some(machine) = Machine::new().await else { return };
    let (_, other) = keys::make(machine.folder(), "other");
    let target = keys::target(machine.port, &other, vec![machine.login.clone()]);
    let reason = told(machine.client(target).wait_until_swept().await.expect_err("another key"));
    let line = format!("write in [ssh.array]: host-keys = [\"{}\"]", machine.host_key);
    assert!(reason.contains(&line), "{reason}");
}

#[tokio::test]
async fn a_wrong_key_and_no_key_are_told_with_what_to_do() {
    let Some(machine) = Machine::new().await else { return };
    let (wrong, _) = keys::make(machine.folder(), "wrong");
    for (login, expected) in [
        (keys::key(&wrong), "authorized_keys"),
        (keys::key("no key at all"), "no private key in OpenSSH's form"),
        (keys::password("secret"), "does not let 'root' in"),
    ] {
        let target = keys::target(machine.port, &machine.host_key, vec![login]);
        let reason = told(machine.client(target).wait_until_swept().await.expect_err("not let in"));
        assert!(reason.contains(expected) && !reason.contains("secret\u{22}"), "{reason}");
    }
}

#[tokio::test]
async fn a_helper_that_is_not_installed_over_there_is_told_in_the_shells_own_words_and_with_what_to_do() {
    let Some(machine) = Machine::new().await else { return };
    let helper = FarHelper { program: "/nowhere/bulkhead-helper".to_owned(), ..machine.far_helper() };
    let way = bulkhead_ssh::Way::new(std::sync::Arc::new(machine.target()), helper);
    let place = bulkhead_capability::execute::HelperPlace::Far(std::sync::Arc::new(way));
    let reason = told(HelperClient::start(place).wait_until_swept().await.expect_err("it is not there"));
    assert!(reason.contains("/nowhere/bulkhead-helper") && reason.contains("left with 127"), "{reason}");
    assert!(reason.contains("copy bulkhead-helper to") && reason.contains("helper = "), "{reason}");
}
