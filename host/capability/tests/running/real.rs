//! Through a real helper: a group with a message bus of its own, which outlives the helper that started it.

use crate::lab::{Lab, at, code, pool};
use bulkhead_capability::dbus::{DbusReply, DbusValue};
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::execute::{CommandRunner, HelperClient, HelperPlace};
use bulkhead_capability::service::{ServiceInstance, ServiceState, ServiceStatus};
use bulkhead_helper::protocol::{GroupKey, ServiceCall};
use bulkhead_model::error::CapabilityCode;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const BACKEND: ServiceInstance = ServiceInstance::Backend;
const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The helper that was built beside these tests, where groups can be had.
fn built_helper() -> Option<PathBuf> {
    let own = std::env::current_exe().expect("this program");
    let helper = own.parent()?.parent()?.join("bulkhead-helper");
    let lacks = if !helper.exists() {
        format!("{} is not built; run `cargo build -p bulkhead-helper` first", helper.display())
    } else if !rustix::process::geteuid().is_root() {
        "namespaces and mounts need root".to_owned()
    } else if !std::path::Path::new("/usr/bin/dbus-daemon").exists() {
        "there is no /usr/bin/dbus-daemon; install the package dbus-daemon".to_owned()
    } else {
        return Some(helper);
    };
    eprintln!("PASSED OVER: {lacks}");
    None
}

struct Real {
    lab: Lab,
    client: Arc<HelperClient>,
    runtime: tokio::runtime::Handle,
    _state: TempDir,
}

impl Real {
    async fn new() -> Option<Self> {
        let program = built_helper()?;
        let state = tempfile::tempdir().expect("a directory");
        let (lock, runtime) = (state.path().join("helper.lock"), state.path().join("helper"));
        let client = Arc::new(HelperClient::start(HelperPlace::Beside { program, lock, runtime }));
        client.wait_until_swept().await.expect("the helper is there");
        let runner: Arc<dyn CommandRunner> = Arc::<HelperClient>::clone(&client);
        let lab = Lab::run_by(runner, Arc::new(FakeRunner::default()), |parts| {
            let mut manifest = (*parts.manifest).clone();
            let list_names = json!({
                "name": "list-names", "reason": "a test", "effect": "read", "repeat": "safe", "group": "nfs",
                "destination": "org.freedesktop.DBus", "path": "/org/freedesktop/DBus",
                "interface": "org.freedesktop.DBus", "method": "ListNames",
            });
            let name_owner = json!({
                "name": "name-owner", "reason": "a test", "effect": "read", "repeat": "safe", "group": "nfs",
                "destination": "org.freedesktop.DBus", "path": "/org/freedesktop/DBus",
                "interface": "org.freedesktop.DBus", "method": "GetNameOwner",
                "args": [{ "type": "s", "value": "org.acme.{name}" }],
                "slots": { "name": { "type": "enum", "values": ["nobody"] } },
            });
            for call in [list_names, name_owner] {
                let call: bulkhead_model::manifest::DbusTemplate =
                    serde_json::from_value(call).expect("a call");
                parts.grant.templates.insert(call.name.clone(), call.digest());
                manifest.dbus_calls.push(call);
            }
            parts.manifest = Arc::new(manifest);
            // Groups of one name are one group of the machine.
            parts.name = format!("nas-{}", std::process::id()).parse().expect("a name");
        })
        .await;
        std::fs::write(lab.directory.path().join("config/bus.conf"), BUS).expect("a configuration");
        Some(Self { lab, client, runtime: tokio::runtime::Handle::current(), _state: state })
    }

    async fn start(&self) -> ServiceStatus {
        let slots = [at("bus-config", "bus.conf")];
        self.lab.call().services().start("bus", &BACKEND, &slots).await.expect("it starts")
    }

    /// End the helper, and ask until the next one answers.
    async fn replace_helper(&self) -> ServiceStatus {
        let process = self.client.process().and_then(|process| i32::try_from(process).ok());
        let process = process.and_then(rustix::process::Pid::from_raw).expect("a helper");
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it is killed");
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match self.lab.call().services().status("bus", &BACKEND).await {
                Err(error)
                    if Instant::now() < until
                        && matches!(
                            error.code,
                            CapabilityCode::OutcomeUnknown | CapabilityCode::Unavailable
                        ) => {}
                answer => return answer.expect("it answers"),
            }
        }
    }
}

/// Nothing of the group is left, however the test ended.
impl Drop for Real {
    fn drop(&mut self) {
        let key = GroupKey {
            backend: self.lab.backend.name().as_str().to_owned(),
            group: crate::lab::label("nfs"),
            instance: None,
        };
        let (client, runtime) = (Arc::clone(&self.client), self.runtime.clone());
        let stop = ServiceCall::StopGroup { group: key };
        let ending = std::thread::spawn(move || runtime.block_on(client.service(stop)));
        let ended = ending.join();
        if !std::thread::panicking() {
            ended.expect("a thread").expect("the group is ended");
        }
    }
}

/// What a driver of before the swap started under another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_no_manifest_names_any_more_is_taken_down_with_its_backend() {
    let Some(real) = Real::new().await else { return };
    assert_eq!(real.start().await.state, ServiceState::Ready);
    let named = serde_json::to_value(real.lab.backend.manifest()).expect("a value");
    let bare = json!({ "driver": named["driver"], "root": named["root"] });
    let bare = serde_json::from_value(bare).expect("a manifest");
    let mut grant = real.lab.backend.grant().clone();
    grant.templates.clear();
    grant.programs.clear();
    let later = real.lab.host.backend(real.lab.backend.name().as_str(), bare, grant).expect("a backend");
    later.end_groups().await.expect("ended");
    let status = real.lab.call().services().status("bus", &BACKEND).await.expect("a status");
    assert_eq!(status.state, ServiceState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_of_its_own_is_started_called_and_adopted_by_the_next_helper() {
    let Some(real) = Real::new().await else { return };
    let call = real.lab.call();
    let unavailable = call.dbus().call("list-names", &BACKEND, &[]).await;
    assert_eq!(code(unavailable), CapabilityCode::Unavailable, "no group, no bus");
    let status = real.start().await;
    assert_eq!((status.state, status.adopted), (ServiceState::Ready, false));
    let again = real.start().await;
    assert_eq!(again.started_at_ms, status.started_at_ms, "it is left alone");
    let DbusReply::Results(names) = call.dbus().call("list-names", &BACKEND, &[]).await.expect("an answer")
    else {
        panic!("a refusal")
    };
    assert!(
        names.iter().any(|item| item.value == DbusValue::Text("org.freedesktop.DBus".to_owned())),
        "{names:?}"
    );
    let slots = [crate::lab::text("name", "nobody")];
    let fault = call.dbus().call("name-owner", &BACKEND, &slots).await.expect("an answer");
    assert!(matches!(&fault, DbusReply::Fault { name, .. } if name.ends_with("NameHasNoOwner")), "{fault:?}");
    let adopted = real.replace_helper().await;
    assert_eq!((adopted.state, adopted.adopted), (ServiceState::Ready, true));
    assert_eq!(adopted.started_at_ms, status.started_at_ms, "the same process");
    assert!(call.dbus().call("list-names", &BACKEND, &[]).await.is_ok(), "its bus is found again");
    call.services().stop("bus", &BACKEND).await.expect("stopped");
    let stopped = call.services().status("bus", &BACKEND).await.expect("a status");
    assert_eq!(stopped.state, ServiceState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_is_shown_inside_the_group_and_nowhere_else() {
    let Some(real) = Real::new().await else { return };
    let call = real.lab.call();
    let share = pool("shares/{share}");
    call.files().create_directory(&share).await.expect("made");
    let bind = ("nfs", "share");
    assert_eq!(code(call.services().bind(bind, &BACKEND, &share).await), CapabilityCode::NotFound);
    real.start().await;
    for _ in 0..2 {
        call.services().bind(bind, &BACKEND, &share).await.expect("shown");
    }
    assert!(!std::path::Path::new("/run/exports").exists(), "not on the machine");
    for _ in 0..2 {
        call.services().unbind(bind, &BACKEND, &share).await.expect("taken away");
    }
    call.services().stop_group("nfs", &BACKEND).await.expect("ended");
    call.services().unbind(bind, &BACKEND, &share).await.expect("nothing is shown any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_cannot_run_says_why() {
    let Some(real) = Real::new().await else { return };
    std::fs::write(real.lab.directory.path().join("config/bus.conf"), "no bus").expect("a configuration");
    let slots = [at("bus-config", "bus.conf")];
    let error = real.lab.call().services().start("bus", &BACKEND, &slots).await.expect_err("it ends");
    assert!(matches!(error.code, CapabilityCode::CommandFailed | CapabilityCode::TimedOut), "{error}");
}
