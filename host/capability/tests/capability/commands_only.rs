//! A backend whose place is an array's own command line: what such a place cannot serve is refused when the backend is loaded.

use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, GrantError};
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories, RunError};
use bulkhead_capability::testing::{TestHost, grant_everything};
use bulkhead_helper::protocol::Finished;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::grant::Grant;
use bulkhead_model::manifest::Manifest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// An array that is never asked anything here.
#[derive(Debug)]
struct CommandLine;

#[async_trait]
impl CommandRunner for CommandLine {
    async fn run(&self, _request: CommandRequest, _abandoned: Abandoned) -> Result<Finished, RunError> {
        Err(RunError::Unavailable { reason: "nobody is there".to_owned() })
    }

    fn directories(&self) -> Directories {
        Directories::Nowhere
    }

    async fn wait_until_swept(&self) -> Result<(), RunError> {
        Ok(())
    }
}

/// A command that an array can run, changed by `more`.
fn command(name: &str, more: &Value) -> Value {
    let mut command = json!({
        "name": name, "reason": "a volume", "effect": "change", "repeat": "safe", "program": "volume", "args": ["show", "{name}"],
        "slots": { "name": { "type": "name" } },
    });
    if let (Some(command), Some(more)) = (command.as_object_mut(), more.as_object()) {
        command.extend(more.clone());
    }
    command
}

fn manifest(commands: &[Value]) -> Manifest {
    serde_json::from_value(json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "root": [{ "name": "shares", "use": "data", "reason": "shares", "paths": ["{share}"] }],
        "execute": commands,
        "pipeline": [{ "name": "join", "reason": "two in one", "stages": ["show", "show"] }],
    }))
    .expect("a manifest")
}

/// A grant of the named templates and of what an array's command line serves.
fn grant(manifest: &Manifest, templates: &[&str]) -> Grant {
    let mut grant = grant_everything(manifest, &BTreeMap::new());
    grant.templates.retain(|name, _| templates.contains(&name.as_str()));
    grant.capabilities =
        BTreeSet::from([Capability::Execute, Capability::Config, Capability::PrivateData, Capability::Http]);
    grant
}

async fn load(manifest: Manifest, grant: Grant) -> Result<Arc<Backend>, GrantError> {
    let host = TestHost::new(Arc::new(CommandLine)).await.expect("a host");
    Backend::reach(host.parts("lab", manifest, grant).expect("parts"), None).await
}

async fn refused(manifest: Manifest, grant: Grant) -> String {
    load(manifest, grant).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn commands_without_paths_are_served_though_the_driver_declares_more() {
    let manifest = manifest(&[command("show", &json!({}))]);
    let granted = grant(&manifest, &["show"]);
    load(manifest, granted).await.expect("a backend");
}

#[tokio::test]
async fn what_an_arrays_command_line_cannot_serve_is_refused_in_plain_words() {
    let path = json!({ "type": "path", "kind": "text", "root": "shares", "pattern": ["{share}"] });
    let manifest = manifest(&[
        command("show", &json!({})),
        command("look", &json!({ "slots": { "name": path } })),
        command("enter", &json!({ "inside": "nfs" })),
        command("tune", &json!({ "env": { "LEVEL": "1" } })),
    ]);
    for (template, expected) in [
        ("look", "template 'look', which has a path slot"),
        ("enter", "template 'enter', which runs inside a group of services"),
        ("tune", "template 'tune', which sets environment variables"),
        ("join", "template 'join', which is a pipeline"),
    ] {
        let error = refused(manifest.clone(), grant(&manifest, &["show", template])).await;
        assert!(error.contains(expected) && error.contains("use a place 'ssh:TARGET'"), "{error}");
    }
    for capability in [Capability::Files, Capability::Service, Capability::Dbus, Capability::Job] {
        let mut granted = grant(&manifest, &["show"]);
        granted.capabilities.insert(capability);
        let error = refused(manifest.clone(), granted).await;
        assert!(error.contains(&format!("capability '{capability}'")), "{error}");
    }
    let roots = BTreeMap::from([("shares", PathBuf::from("/srv/shares"))]);
    let granted = Grant { roots: grant_everything(&manifest, &roots).roots, ..grant(&manifest, &["show"]) };
    let error = refused(manifest, granted).await;
    assert!(error.contains("root 'shares'"), "{error}");
}

#[tokio::test]
async fn the_host_copies_no_share_of_another_machine_whatever_is_granted() {
    let manifest = manifest(&[command("show", &json!({}))]);
    let granted = Grant { migration_copy: true, ..grant(&manifest, &["show"]) };
    let backend = load(manifest, granted).await.expect("a backend");
    let error = backend.may_copy_shares().expect_err("it is not here");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("on another machine") && error.message.contains("no line"), "{error}");
}
