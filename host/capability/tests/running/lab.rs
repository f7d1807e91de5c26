//! A backend whose driver declares a group with services and a bus, a pipeline and jobs; its place is a fake.

use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::execute::CommandRunner;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::slot::{Path, PathChoice, Slot, SlotValue};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::ability::Capability;
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::Effect;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Label, ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::{CallTarget, Resource};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) struct Lab {
    pub(crate) directory: TempDir,
    pub(crate) host: TestHost,
    pub(crate) fake: Arc<FakeRunner>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) share: ShareInstanceId,
    pub(crate) snapshot: SnapshotInstanceId,
}

fn services() -> serde_json::Value {
    json!([
        {
            "name": "bus", "group": "nfs", "reason": "a bus", "program": "dbus-daemon", "restart": true,
            "args": ["--config-file={bus-config}", "--nofork", "--nopidfile", "--nosyslog"],
            "ready": { "socket": "/run/dbus/system_bus_socket" },
            "slots": { "bus-config": { "type": "path", "kind": "text", "root": "config", "pattern": ["bus.conf"] } },
        },
        {
            "name": "server", "group": "nfs", "reason": "a server", "program": "ganesha.nfsd", "restart": true,
            "args": ["-F", "-f", "{config}", "-L", "STDERR", "-p", "/run/ganesha.pid", "-N", "EVENT"],
            "after": ["bus"],
            "ready": { "bus-name": "org.ganesha.nfsd", "address": "address", "port": "port" },
            "slots": {
                "config": { "type": "path", "kind": "text", "root": "config", "pattern": ["ganesha.conf"] },
                "address": { "type": "ip" }, "port": { "type": "port" },
            },
        },
    ])
}

fn commands() -> serde_json::Value {
    let path = |kind: &str, root: &str, patterns: &[&str]| json!({ "type": "path", "kind": kind, "root": root, "pattern": patterns });
    json!([
        {
            "name": "send", "reason": "a stream", "effect": "read", "repeat": "safe", "program": "btrfs",
            "args": ["send", "-q", "{source}"],
            "slots": { "source": path("existing", "pool", &["snapshots/{snapshot}"]) },
        },
        {
            "name": "receive", "reason": "a stream", "effect": "change", "repeat": "safe", "program": "btrfs",
            "args": ["receive", "-q", "{into}"], "creates": "into",
            "slots": { "into": path("new-inside", "pool", &["replication/{share}.a", "replication/{snapshot}"]) },
        },
        {
            "name": "receive-once", "reason": "a stream", "effect": "change", "repeat": "once", "program": "btrfs",
            "args": ["receive", "-q", "{into}"], "creates": "into",
            "slots": { "into": path("new-inside", "pool", &["replication/{share}.a", "replication/{snapshot}"]) },
        },
        {
            "name": "look", "reason": "a look from inside", "effect": "read", "repeat": "safe", "program": "stat",
            "args": ["--dereference", "--file-system", "--format=%T", "--", "{at}"], "inside": "nfs",
            "slots": { "at": path("existing", "pool", &["shares/{share}"]) },
        },
    ])
}

fn dbus() -> serde_json::Value {
    let exports = |name: &str,
                   method: &str,
                   effect: &str,
                   repeat: &str,
                   args: serde_json::Value,
                   slots: serde_json::Value| {
        json!({
            "name": name, "reason": "an export", "effect": effect, "repeat": repeat, "group": "nfs",
            "destination": "org.ganesha.nfsd", "path": "/org/ganesha/nfsd/ExportMgr",
            "interface": "org.ganesha.nfsd.exportmgr", "method": method, "args": args, "slots": slots,
        })
    };
    let id = json!({ "type": "integer", "min": 1, "max": 65_535 });
    let file =
        json!({ "type": "path", "kind": "text", "root": "config", "pattern": ["exports/{share}.conf"] });
    let export =
        json!([{ "type": "s", "value": "{file}" }, { "type": "s", "value": "EXPORT(Export_Id={id})" }]);
    json!([
        exports("add-export", "AddExport", "change", "once", export, json!({ "id": id, "file": file })),
        exports(
            "remove-export",
            "RemoveExport",
            "change",
            "safe",
            json!([{ "type": "q", "value": "{id}" }]),
            json!({ "id": id })
        ),
        exports(
            "note",
            "Note",
            "change",
            "safe",
            json!([{ "type": "s", "value": "{text}" }]),
            json!({ "text": { "type": "opaque", "max": 100 } }),
        ),
        exports(
            "note-inside",
            "Note",
            "change",
            "safe",
            json!([{ "type": "s", "value": "note={text}" }]),
            json!({ "text": { "type": "opaque", "max": 100 } }),
        ),
        exports(
            "every-type",
            "Note",
            "change",
            "safe",
            json!([{ "type": "s", "value": "EXPORT(a={word},b={name},c={address},d={network},e={uuid},f={size})" }]),
            json!({
                "word": { "type": "enum", "values": ["on"] }, "name": { "type": "name" }, "address": { "type": "ip" },
                "network": { "type": "cidr" }, "uuid": { "type": "uuid" }, "size": { "type": "bytes" },
            }),
        ),
    ])
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_value(json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "root": [
            { "name": "pool", "use": "data", "reason": "shares", "paths": ["shares/{share}", "snapshots/{snapshot}", "replication/{share}.a"] },
            { "name": "config", "use": "config", "reason": "files of the server" },
        ],
        "execute": commands(),
        "pipeline": [
            { "name": "stream", "reason": "pool to pool", "stages": ["send", "receive"] },
            { "name": "stream-once", "reason": "pool to pool", "stages": ["send", "receive-once"] },
        ],
        "job": [
            { "name": "pull", "reason": "hours", "runs": "stream", "counts-bytes": true },
            { "name": "pull-once", "reason": "hours", "runs": "stream-once" },
            { "name": "peek", "reason": "one command", "runs": "look" },
        ],
        "group": [
            {
                "name": "nfs", "reason": "a namespace", "instance": "backend", "tmpfs": ["/run"],
                "bus": "/run/dbus/system_bus_socket",
                "bind": [
                    { "name": "share", "root": "pool", "pattern": ["shares/{share}"], "at": "/run/exports/{share}" },
                    { "name": "snapshot", "root": "pool", "pattern": ["snapshots/{snapshot}"], "at": "/run/exports/{snapshot}", "read-only": true },
                    { "name": "source", "root": "pool", "pattern": ["snapshots/{source-snapshot}"], "at": "/run/exports/{source-snapshot}" },
                ],
            },
            { "name": "quiet", "reason": "no bus", "instance": "backend", "tmpfs": ["/run"] },
        ],
        "service": services(),
        "dbus": dbus(),
    }))
    .expect("a manifest")
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A lab whose backend is made of changed parts.
    pub(crate) async fn with(change: impl FnOnce(&mut BackendParts)) -> Self {
        let fake = Arc::new(FakeRunner::default());
        let runner: Arc<dyn CommandRunner> = Arc::<FakeRunner>::clone(&fake);
        Self::run_by(runner, fake, change).await
    }

    pub(crate) async fn run_by(
        runner: Arc<dyn CommandRunner>,
        fake: Arc<FakeRunner>,
        change: impl FnOnce(&mut BackendParts),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for path in ["pool/shares", "pool/snapshots", "pool/replication", "config/exports"] {
            std::fs::create_dir_all(directory.path().join(path)).expect("a directory");
        }
        let host = TestHost::new(runner).await.expect("a host");
        let roots = ["pool", "config"].map(|root| (root, directory.path().join(root)));
        let manifest = manifest();
        let mut grant = grant_everything(&manifest, &BTreeMap::from(roots));
        grant.programs = ["btrfs", "stat", "dbus-daemon", "ganesha.nfsd"]
            .map(|program| (program.to_owned(), PathBuf::from(format!("/usr/bin/{program}"))))
            .into();
        let mut parts = host.parts("nas1", manifest, grant).expect("parts");
        change(&mut parts);
        let backend = Backend::new(parts).expect("a backend");
        let (share, snapshot) = (ShareInstanceId::random(), SnapshotInstanceId::random());
        Self { directory, host, fake, backend, share, snapshot }
    }

    /// A lab whose grant lacks a template.
    pub(crate) async fn without_template(name: &str) -> Self {
        Self::with(|parts| parts.grant.templates.retain(|template, _| template.as_str() != name)).await
    }

    /// A lab whose grant lacks a program.
    pub(crate) async fn without_program(name: &str) -> Self {
        Self::with(|parts| drop(parts.grant.programs.remove(name))).await
    }

    /// A lab whose grant lacks a root.
    pub(crate) async fn without_root(name: &str) -> Self {
        Self::with(|parts| drop(parts.grant.roots.remove(&label(name)))).await
    }

    /// A lab whose grant lacks a capability.
    pub(crate) async fn without(capability: Capability) -> Self {
        Self::with(|parts| parts.grant.capabilities.retain(|granted| *granted != capability)).await
    }

    /// A call about the lab's share.
    pub(crate) fn call(&self) -> Call {
        self.call_of(origin("shares.create-share"), CallTarget::share(self.share))
    }

    /// A call about the lab's snapshot.
    pub(crate) fn snapshot_call(&self) -> Call {
        self.call_of(origin("snapshots.create-snapshot"), CallTarget::snapshot(self.snapshot, self.share))
    }

    pub(crate) fn call_of(&self, origin: CallOrigin, target: CallTarget) -> Call {
        self.backend.begin(origin, target, Instant::now() + Duration::from_secs(600), 0)
    }

    /// A path below the root `pool`, `{share}` and `{snapshot}` filled.
    pub(crate) fn on_disk(&self, pattern: &str) -> PathBuf {
        let names = pattern.replace("{share}", &share_name(self.share));
        self.directory.path().join("pool").join(names.replace("{snapshot}", &snapshot_name(self.snapshot)))
    }

    /// What the ledger holds of effects, oldest first.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        self.host.effects(self.backend.name()).await.expect("effects")
    }

    /// Nothing was asked of the place.
    pub(crate) fn assert_untouched(&self) {
        assert!(self.fake.requests().is_empty(), "{:?}", self.fake.requests());
        assert!(self.fake.pipelines().is_empty(), "{:?}", self.fake.pipelines());
        assert!(self.fake.service_calls().is_empty(), "{:?}", self.fake.service_calls());
        assert!(self.fake.dbus_calls().is_empty(), "{:?}", self.fake.dbus_calls());
        assert!(self.fake.job_calls().is_empty(), "{:?}", self.fake.job_calls());
    }
}

pub(crate) fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

pub(crate) fn pool(pattern: &str) -> Path {
    pool_of(pattern, None)
}

pub(crate) fn pool_of(pattern: &str, of: Option<Resource>) -> Path {
    Path { root: "pool".to_owned(), pattern: pattern.to_owned(), of }
}

pub(crate) fn at(name: &str, pattern: &str) -> Slot {
    at_of(name, pattern, None)
}

pub(crate) fn at_of(name: &str, pattern: &str, of: Option<Resource>) -> Slot {
    slot(name, SlotValue::Path(PathChoice { pattern: pattern.to_owned(), of }))
}

pub(crate) fn text(name: &str, text: &str) -> Slot {
    slot(name, SlotValue::Text(text.to_owned()))
}

pub(crate) fn slot(name: &str, value: SlotValue) -> Slot {
    Slot { name: name.to_owned(), value }
}

/// The slots that start the server and its bus.
pub(crate) fn server_slots() -> Vec<Slot> {
    vec![
        at("bus-config", "bus.conf"),
        at("config", "ganesha.conf"),
        text("address", "127.0.0.1"),
        slot("port", SlotValue::Unsigned(2049)),
    ]
}

/// The code of a failure.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, CapabilityError>) -> CapabilityCode {
    result.expect_err("a failure").code
}

/// The text of a denial.
pub(crate) fn denial<T: std::fmt::Debug>(result: Result<T, CapabilityError>) -> String {
    let error = result.expect_err("a denial");
    assert_eq!(error.code, CapabilityCode::Denied, "{error}");
    error.message
}
