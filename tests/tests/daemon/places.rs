//! Backends at places over SSH that cannot be reached, or should not be: what is told, to whom, and what the backend is meanwhile.

use crate::refusal;
use bulkhead_tests::array::Array;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::ssh_server::make_key;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Something at a port that is no SSH server.
fn listening(answer: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Says nothing for as long as somebody listens.
fn silent(mut stream: TcpStream) {
    let mut bytes = [0; 256];
    while stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
}

/// Greets without end.
fn flood(mut stream: TcpStream) {
    while stream.write_all(&[b'x'; 4096]).is_ok() {}
}

/// A target on this machine that is logged into with the key in `file`.
fn table(name: &str, port: u16, (host_key, file): (&str, &str)) -> String {
    format!(
        "[ssh.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"root\"\nhost-keys = [\"{host_key}\"]\n\
         key = \"secret://file{file}\"\nconnect-timeout-seconds = 2\n"
    )
}

/// A lab with a backend at each target, named like it.
fn lab_at(targets: &[&str], tables: &str) -> Lab {
    let lab = Lab::new().expect("a lab").with_main(tables);
    let driver = programs::guest("directory").expect("built");
    for target in targets {
        let text = lab.backend_text(target, &driver, "", &[]).expect("a backend");
        let text = format!("place = \"ssh:{target}\"\n{text}");
        std::fs::write(lab.backend_file(target), text).expect("written");
    }
    lab
}

/// The failure of a backend once `is_told` of its message.
async fn failure_when(daemon: &Daemon, backend: &str, is_told: impl Fn(&str) -> bool) -> Value {
    let mut shown = Value::Null;
    for _ in 0..1200 {
        shown = daemon.operator().get(&format!("/v1/backends/{backend}")).await.expect("shown");
        let failure = &shown["backend"]["status"]["failure"];
        if failure["message"].as_str().is_some_and(&is_told) {
            return failure.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not told: {shown}")
}

#[tokio::test]
async fn whoever_does_not_answer_as_ssh_leaves_the_backend_unreachable_and_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    let key = make_key(&file).expect("a key");
    let file = file.display().to_string();
    let nobody =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
    let targets = [("closed", nobody), ("silent", listening(silent)), ("flood", listening(flood))];
    let tables: String = targets.iter().map(|(name, port)| table(name, *port, (&key, &file))).collect();
    let lab = lab_at(&["closed", "silent", "flood", "undeclared"], &tables);
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    for (target, expected) in [
        ("closed", "cannot be reached"),
        ("silent", "within 2 s; see that it runs"),
        ("flood", "ssh target 'flood'"),
    ] {
        let failure = failure_when(&daemon, target, |message| message.contains(expected)).await;
        assert_eq!((&failure["code"], &failure["blame"]), (&"backend-unreachable".into(), &"backend".into()));
    }
    let failure = failure_when(&daemon, "undeclared", |message| message.contains("[ssh.undeclared]")).await;
    assert_eq!((&failure["code"], &failure["blame"]), (&"place-unusable".into(), &"caller".into()));
}

#[tokio::test]
async fn while_backends_are_only_being_started_a_tenant_is_told_to_come_back_in_a_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    let key = make_key(&file).expect("a key");
    let text = table("silent", listening(silent), (&key, &file.display().to_string()));
    let lab =
        lab_at(&["silent"], &text.replace("connect-timeout-seconds = 2", "connect-timeout-seconds = 8"));
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    let share = json!({ "share": { "share_proto": "NFS", "size": 1 } });
    let asked = daemon.tenant().send("POST", "/v2/shares", Some(&share)).await.expect("an answer");
    let words = asked.body.to_string();
    assert_eq!(asked.status, 503, "{words}");
    assert!(words.contains("still being started; try again in a moment"), "{words}");
    assert!(!words.contains("silent") && !words.contains("smaller"), "{words}");
    assert_eq!(asked.headers.get("retry-after").and_then(|value| value.to_str().ok()), Some("5"));
    let told = refusal(&daemon.operator(), "POST", "/v2/shares", Some(&share)).await.1;
    assert!(told.contains("silent") && told.contains("try again in a moment"), "{told}");
    failure_when(&daemon, "silent", |message| message.contains("within 8 s")).await;
    let asked = daemon.tenant().send("POST", "/v2/shares", Some(&share)).await.expect("an answer");
    assert!(asked.status == 503 && asked.headers.get("retry-after").is_none(), "{}", asked.body);
}

#[tokio::test]
async fn a_changed_host_key_and_a_key_that_opens_nothing_are_told_with_what_to_write() {
    let Some(array) = Array::start().expect("an array") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let another = make_key(&at("another")).expect("a key");
    make_key(&at("stranger")).expect("a key");
    let own = array.server().host_key();
    let port = array.server().port();
    let tables = [
        table("changed", port, (&another, &at("another").display().to_string())),
        table("stranger", port, (own, &at("stranger").display().to_string())),
        table("keyless", port, (own, &at("nothing").display().to_string())),
    ];
    let lab = lab_at(&["changed", "stranger", "keyless"], &tables.concat());
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    let line = format!("host-keys = [\"{own}\"]");
    for (target, expected) in
        [("changed", line.as_str()), ("stranger", "authorized_keys"), ("keyless", "secret")]
    {
        let failure = failure_when(&daemon, target, |message| message.contains(expected)).await;
        assert_eq!(failure["code"], "backend-unreachable", "{failure}");
    }
}
