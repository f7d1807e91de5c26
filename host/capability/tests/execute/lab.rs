//! A backend with command templates, a fake runner, and calls on it.

use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::execute::CommandRunner;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::slot::{PathChoice, Slot, SlotValue};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::Effect;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::{CallTarget, Resource, TargetSnapshot};
use serde_json::{Value, json};
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

fn path(kind: &str, root: &str, patterns: &[&str]) -> Value {
    json!({ "type": "path", "kind": kind, "root": root, "pattern": patterns })
}

fn template(name: &str, effect: &str, program: &str, args: &[&str], slots: Value) -> Value {
    json!({
        "name": name, "reason": "a test", "effect": effect, "repeat": "safe", "program": program, "args": args,
        "slots": slots,
    })
}

fn with(mut template: Value, key: &str, value: &str) -> Value {
    template[key] = json!(value);
    template
}

fn copy() -> Value {
    let slots = json!({
        "from": path("existing", "shares", &["{share}", "{share}@{snapshot}", "{source-share}@{source-snapshot}"]),
        "to": path("new", "shares", &["{share}@{snapshot}", ".{share}.new", "{share}"]),
    });
    let words = ["--archive", "--no-target-directory", "--", "{from}", "{to}"];
    with(template("copy-tree", "change", "cp", &words, slots), "creates", "to")
}

fn remove() -> Value {
    let slots = json!({ "old": path("remove", "shares", &["{share}", ".{share}.new"]) });
    let words = ["--recursive", "--force", "--", "{old}"];
    with(template("remove-tree", "destroy", "rm", &words, slots), "destroys", "old")
}

fn limit() -> Value {
    let slots = json!({
        "size": { "type": "bytes" },
        "at": path("existing", "shares", &["{share}", "{source-share}@{source-snapshot}"]),
    });
    template("limit-size", "change", "btrfs", &["qgroup", "limit", "{size}", "{at}"], slots)
}

fn measure() -> Value {
    let slots = json!({ "at": path("existing", "shares", &["{share}"]) });
    template("measure", "read", "du", &["--summarize", "--bytes", "--", "{at}"], slots)
}

fn expose() -> Value {
    template("expose", "change", "tool", &["{text}"], json!({ "text": { "type": "opaque", "max": 100 } }))
}

fn rewrite_export() -> Value {
    let slots = json!({ "at": path("existing", "exports", &["{share}.exports"]) });
    template("rewrite-export", "change", "sync", &["--", "{at}"], slots)
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_value(json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "root": [
            { "name": "shares", "use": "data", "reason": "shares" },
            { "name": "exports", "use": "config", "reason": "exports" },
        ],
        "execute": [
            copy(),
            with(with(copy(), "name", "copy-once"), "repeat", "once"),
            remove(),
            limit(),
            measure(),
            with(measure(), "name", "not-granted"),
            template("shell", "read", "sh", &["-c", "id"], json!({})),
            expose(),
            rewrite_export(),
            template("wait", "read", "sleep", &["60"], json!({})),
        ],
        "pipeline": [
            { "name": "measure-twice", "reason": "a test", "stages": ["measure", "measure"] },
            { "name": "measure-behind", "reason": "a test", "stages": ["wait", "measure"] },
        ],
        "job": [
            { "name": "measure-job", "reason": "a test", "runs": "measure-twice" },
            { "name": "wait-job", "reason": "a test", "runs": "wait" },
        ],
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
        for root in ["shares", "exports"] {
            std::fs::create_dir(directory.path().join(root)).expect("a root");
        }
        let host = TestHost::new(runner).await.expect("a host");
        let roots = ["shares", "exports"].map(|root| (root, directory.path().join(root)));
        let manifest = manifest();
        let mut grant = grant_everything(&manifest, &BTreeMap::from(roots));
        grant.templates.remove(&"not-granted".parse().expect("a label"));
        grant.programs = ["cp", "rm", "du", "btrfs", "sh", "tool", "sync", "sleep"]
            .map(|program| (program.to_owned(), PathBuf::from(format!("/usr/bin/{program}"))))
            .into();
        let mut parts = host.parts("lab", manifest, grant).expect("parts");
        change(&mut parts);
        let backend = Backend::new(parts).expect("a backend");
        let (share, snapshot) = (ShareInstanceId::random(), SnapshotInstanceId::random());
        Self { directory, host, fake, backend, share, snapshot }
    }

    /// A call about the lab's share.
    pub(crate) fn call(&self) -> Call {
        self.call_about(CallTarget::share(self.share))
    }

    /// A call about the lab's snapshot.
    pub(crate) fn snapshot_call(&self) -> Call {
        self.call_about(CallTarget::snapshot(self.snapshot, self.share))
    }

    /// A call that makes a new share from the lab's snapshot.
    pub(crate) fn call_from_snapshot(&self) -> Call {
        let source = TargetSnapshot { snapshot: self.snapshot, share: self.share };
        self.call_about(CallTarget { source: Some(source), ..CallTarget::share(ShareInstanceId::random()) })
    }

    pub(crate) fn call_about(&self, target: CallTarget) -> Call {
        self.call_of(origin("shares.create-share"), target, Duration::from_secs(600))
    }

    pub(crate) fn call_of(&self, origin: CallOrigin, target: CallTarget, time: Duration) -> Call {
        self.backend.begin(origin, target, Instant::now() + time, 0)
    }

    /// A path below the root `shares`, `{share}` and `{snapshot}` filled.
    pub(crate) fn on_disk(&self, pattern: &str) -> PathBuf {
        let names = pattern.replace("{share}", &share_name(self.share));
        self.directory.path().join("shares").join(names.replace("{snapshot}", &snapshot_name(self.snapshot)))
    }

    /// What the ledger holds of effects, oldest first.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        self.host.effects(self.backend.name()).await.expect("effects")
    }
}

pub(crate) fn at(name: &str, pattern: &str) -> Slot {
    at_of(name, pattern, None)
}

pub(crate) fn at_of(name: &str, pattern: &str, of: Option<Resource>) -> Slot {
    Slot { name: name.to_owned(), value: SlotValue::Path(PathChoice { pattern: pattern.to_owned(), of }) }
}

pub(crate) fn slot(name: &str, value: SlotValue) -> Slot {
    Slot { name: name.to_owned(), value }
}

/// The slots of `copy-tree` that make a snapshot of the lab's share.
pub(crate) fn snapshot_slots() -> [Slot; 2] {
    [at("from", "{share}"), at("to", "{share}@{snapshot}")]
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
