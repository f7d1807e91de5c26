//! Twenty secrets, one that the host makes, and a driver that tells each in every way it has (case T-T7): none is found afterwards, in any
//! spelling, anywhere.

mod canary;
mod echo;
mod refused;
mod sinks;

use crate::make_small_share;
use bulkhead_tests::daemon::{Daemon, settle};
use bulkhead_tests::http::Client;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use canary::canary;
use serde_json::{Value, json};
use sinks::{Search, Sink, Sinks, Watcher};
use std::fs::Permissions;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many options of the driver `leaky` hold secrets.
const CANARIES: u32 = 20;
/// Everything that this daemon's own code and its driver have to say.
const MAIN: &str = "log-filter = \"info,bulkhead=trace,driver=trace,wit_bindgen=trace\"\n\
                    ceiling.unreviewed-programs = [\"cat\", \"base64\", \"date\", \"echo\"]\n";

fn canaries() -> Vec<String> {
    (1..=CANARIES).map(canary).collect()
}

/// A lab whose backend `nas1` runs `leaky`, with a third of the secrets in files, in the environment, and among credentials.
fn leaky_lab(canaries: &[String], marker: &str, array: &str) -> Lab {
    let mut lab = Lab::new().expect("a lab").with_main(MAIN);
    let mut options = format!("marker = {}\n", json!(marker));
    for place in ["files", "credentials", "temporary"] {
        std::fs::create_dir(lab.path().join(place)).expect("a directory");
    }
    for (number, canary) in (1..).zip(canaries) {
        let reference = match number % 3 {
            0 => {
                let file = canary_file(&lab, number);
                keep(&file, canary);
                format!("secret://file{}", file.display())
            }
            1 => {
                lab = lab.with_variable(&format!("CANARY_{number}"), canary);
                format!("secret://env/CANARY_{number}")
            }
            _ => {
                keep(&lab.path().join("credentials").join(format!("canary-{number}")), canary);
                format!("secret://credential/canary-{number}")
            }
        };
        options.push_str(&format!("canary-{number:02} = \"{reference}\"\n"));
    }
    let driver = programs::guest("leaky").expect("a guest");
    let text = lab.backend_text("nas1", &driver, &options, &[]).expect("a text");
    let endpoint = format!("array = {{ controllers = [{array:?}], verify = \"off\" }}");
    std::fs::write(lab.backend_file("nas1"), format!("{text}[grant.endpoints]\n{endpoint}\n"))
        .expect("written");
    let credentials = lab.path().join("credentials").display().to_string();
    let temporary = lab.path().join("temporary").display().to_string();
    lab.with_variable("CREDENTIALS_DIRECTORY", &credentials).with_variable("TMPDIR", &temporary)
}

fn canary_file(lab: &Lab, number: u32) -> PathBuf {
    lab.path().join("files").join(format!("canary-{number}"))
}

fn keep(file: &Path, text: &str) {
    std::fs::write(file, format!("{text}\n")).expect("a secret");
    std::fs::set_permissions(file, Permissions::from_mode(0o600)).expect("its mode");
}

/// Let the driver tell what it has: creating, giving keys and failing. In set-up it did already.
async fn provoke(tenant: &Client) -> (String, Vec<Value>) {
    let share = make_small_share(tenant).await;
    let (path, action) = (format!("/v2/shares/{share}"), format!("/v2/shares/{share}/action"));
    let mut rules = Vec::new();
    for address in ["10.0.0.1", "10.0.0.2"] {
        let rule =
            json!({ "allow_access": { "access_type": "ip", "access_to": address, "access_level": "rw" } });
        let made = tenant.post(&action, &rule).await.expect("taken");
        let at = format!("/v2/share-access-rules/{}", made["access"]["id"].as_str().expect("an id"));
        rules.push(settle(tenant, &at, "access", &["active"]).await.expect("in force"));
    }
    tenant.post(&action, &json!({ "extend": { "new_size": 2 } })).await.expect("taken");
    settle(tenant, &path, "share", &["extending_error"]).await.expect("it fails, telling all it has");
    (share, rules)
}

/// The secret that the host made for the share: it stands in the file that a program would read, and nobody else.
fn made_secret(lab: &Lab) -> String {
    let keys = lab.root("nas1", "keys");
    let files: Vec<PathBuf> =
        std::fs::read_dir(keys).expect("a root").flatten().map(|entry| entry.path()).collect();
    let [file] = files.as_slice() else { panic!("one file: {files:?}") };
    let mode = std::fs::metadata(file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text: Value = serde_json::from_slice(&std::fs::read(file).expect("read")).expect("JSON");
    text["key"].as_str().expect("a key").to_owned()
}

/// Put `secret` where none should be, in every place that the search covers and the driver cannot reach.
fn plant(lab: &Lab, secret: &str, sinks: &mut Sinks, daemon: u32) {
    for place in ["state", "temporary", "roots/nas1/memory", "roots/nas1/notes", "backends"] {
        std::fs::write(lab.path().join(place).join("planted"), secret).expect("written");
    }
    let mut child = Command::new("sh")
        .args(["-c", "echo there; read line", secret])
        .env("PLANTED", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    // Before it says something its arguments may not be there to be read.
    let mut word = [0; 6];
    child.stdout.take().expect("its output").read_exact(&mut word).expect("a word");
    sinks.add_processes(daemon);
    drop(child.stdin.take());
    child.wait().expect("an end");
    sinks.add_files(lab);
}

/// Cases T-T7, T-S1, T-S3, T-S6.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_secrets_leave_no_trace_whatever_a_driver_does_with_them() {
    let (canaries, marker) = (canaries(), canary(99));
    let lab = leaky_lab(&canaries, &marker, &echo::start().await);
    let mut daemon = Daemon::start(&lab).await.expect("a daemon");
    let (watcher, mut sinks) = (Watcher::of(daemon.id()), Sinks::default());
    daemon.ready().await.expect("ready");
    let (share, rules) = provoke(&daemon.tenant()).await;
    // The tenant whose rule it is reads its key; the operator does not.
    let keys: Vec<&str> = rules.iter().filter_map(|rule| rule["access_key"].as_str()).collect();
    assert_eq!(keys, [canaries[19].as_str(), canaries[19].as_str()]);
    sinks.add_answers(&daemon, &share).await;
    watcher.end(&mut sinks);
    daemon.kill().expect("killed");
    drop(daemon);
    let daemon = Daemon::start(&lab).await.expect("the daemon again");
    daemon.ready().await.expect("ready again");
    let shown =
        daemon.tenant().get(&format!("/v2/share-access-rules?share_id={share}")).await.expect("rules");
    assert_eq!(shown["access_list"][0]["access_key"], canaries[19], "its key outlives a crash");
    sinks.add_answers(&daemon, &share).await;
    sinks.add_processes(daemon.id());
    sinks.add_files(&lab);

    let made = made_secret(&lab);
    let search = Search::of(canaries.iter().chain([&made]));
    let hits = search.hits(&sinks);
    eprintln!(
        "{} spellings of {} secrets in {:?} bytes",
        search.patterns(),
        canaries.len() + 1,
        sinks.sizes()
    );
    assert!(hits.is_empty(), "{hits:#?}");

    // The control: what is told like a secret and is none is found wherever the driver reached.
    let found = Search::of([&marker]).hits(&sinks);
    for sink in [
        Sink::Log,
        Sink::Ledger,
        Sink::Api,
        Sink::Store,
        Sink::GuestMemory,
        Sink::GuestFiles,
        Sink::Configuration,
    ] {
        assert!(found.contains_key(&sink), "the driver does not reach {sink:?}: {:?}", found.keys());
    }
    // And a secret that is planted is found wherever it is.
    let mut planted = Sinks::default();
    plant(&lab, &canaries[2], &mut planted, daemon.id());
    let found = search.hits(&planted);
    for sink in [
        Sink::Store,
        Sink::Arguments,
        Sink::Environments,
        Sink::Temporary,
        Sink::GuestMemory,
        Sink::GuestFiles,
        Sink::Configuration,
    ] {
        assert!(found.contains_key(&sink), "the search does not cover {sink:?}: {:?}", found.keys());
    }
}
