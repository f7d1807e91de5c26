//! A backend with three roots in a temporary directory, and calls on it.

use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::slot::{Path, PathChoice, Slot, SlotValue};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::{Effect, EffectOutcome};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::{CallTarget, Resource, TargetSnapshot};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) struct Lab {
    pub(crate) directory: TempDir,
    pub(crate) host: TestHost,
    pub(crate) backend: Arc<Backend>,
    pub(crate) share: ShareInstanceId,
    pub(crate) snapshot: SnapshotInstanceId,
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_value(serde_json::json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "option": [
            { "name": "greeting", "type": "string", "default": "hello", "help": "a text" },
            { "name": "ratio", "type": "float", "help": "a number" },
            { "name": "password", "type": "secret", "help": "a secret" },
            { "name": "reserved_share_percentage", "type": "integer", "default": 7, "help": "another default" },
        ],
        "root": [
            { "name": "shares", "use": "data", "reason": "shares", "paths": [
                "{share}", "{share}@{snapshot}", ".{share}.new", "{source-share}@{source-snapshot}", "{share}/inner",
                "{share}/inner/deep", "common",
            ] },
            { "name": "exports", "use": "config", "reason": "exports", "paths": ["{share}.exports"] },
            { "name": "state", "use": "state", "reason": "state", "paths": ["{share}.json", "{share}", "{share}.copy"] },
        ],
        "file": [
            {
                "name": "export", "reason": "an export", "root": "exports", "path": "{share}.exports", "format": "lines",
                "text": "{path} {clients}",
                "slots": {
                    "path": { "type": "path", "kind": "text", "root": "shares", "pattern": ["{share}"] },
                    "clients": { "type": "access-rules", "of": "call", "style": "exports5" },
                },
            },
            {
                "name": "facts", "reason": "facts", "root": "state", "path": "{share}.json", "format": "json",
                "text": "{ \"size\": {size}, \"address\": {address}, \"name\": {name} }",
                "slots": { "size": { "type": "bytes" }, "address": { "type": "ip" }, "name": { "type": "name" } },
            },
            {
                "name": "both", "reason": "a path and a name", "root": "exports", "path": "{share}.both",
                "format": "lines", "text": "{path} {name}",
                "slots": {
                    "path": { "type": "path", "kind": "text", "root": "shares", "pattern": ["{share}"] },
                    "name": { "type": "name" },
                },
            },
            {
                "name": "redirect", "reason": "a path inside a share", "root": "exports", "path": "{share}.redirect",
                "format": "lines", "text": "{path}",
                "slots": { "path": { "type": "path", "kind": "text", "root": "shares", "pattern": ["{share}/inner"] } },
            },
        ],
        "private-data": { "backend-scope": "an index", "counters": ["export-id"] },
    }))
    .expect("a manifest")
}

impl Lab {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A lab whose backend is made of `changed` parts.
    pub(crate) async fn with(change: impl FnOnce(&mut BackendParts)) -> Self {
        Self::within(&std::env::temp_dir(), change).await
    }

    /// A lab whose roots lie in a directory of their own in `place`.
    pub(crate) async fn within(place: &std::path::Path, change: impl FnOnce(&mut BackendParts)) -> Self {
        let directory = tempfile::tempdir_in(place).expect("a directory");
        for root in ["shares", "exports", "state"] {
            std::fs::create_dir(directory.path().join(root)).expect("a root");
        }
        let host = TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host");
        let roots = ["shares", "exports", "state"].map(|root| (root, directory.path().join(root)));
        let manifest = manifest();
        let grant = grant_everything(&manifest, &BTreeMap::from(roots));
        let mut parts = host.parts("lab", manifest, grant).expect("parts");
        change(&mut parts);
        let backend = Backend::new(parts).expect("a backend");
        Self {
            directory,
            host,
            backend,
            share: ShareInstanceId::random(),
            snapshot: SnapshotInstanceId::random(),
        }
    }

    /// A call about the lab's share.
    pub(crate) fn call(&self) -> Call {
        self.call_about(CallTarget::share(self.share))
    }

    /// A call about the lab's snapshot.
    pub(crate) fn snapshot_call(&self) -> Call {
        self.call_about(CallTarget::snapshot(self.snapshot, self.share))
    }

    /// A call that makes `share` from the lab's snapshot.
    pub(crate) fn call_from_snapshot(&self, share: ShareInstanceId) -> Call {
        let source = TargetSnapshot { snapshot: self.snapshot, share: self.share };
        self.call_about(CallTarget { source: Some(source), ..CallTarget::share(share) })
    }

    pub(crate) fn call_about(&self, target: CallTarget) -> Call {
        self.call_of(origin("shares.create-share"), target)
    }

    pub(crate) fn call_of(&self, origin: CallOrigin, target: CallTarget) -> Call {
        self.backend.begin(origin, target, Instant::now() + Duration::from_secs(600), 0)
    }

    /// A call whose time is up.
    pub(crate) fn late_call(&self) -> Call {
        self.backend.begin(origin("shares.delete-share"), CallTarget::share(self.share), Instant::now(), 0)
    }

    /// A path below the root `shares` on this machine, `{share}` and `{snapshot}` filled.
    pub(crate) fn on_disk(&self, pattern: &str) -> PathBuf {
        self.in_root("shares", pattern)
    }

    pub(crate) fn in_root(&self, root: &str, pattern: &str) -> PathBuf {
        let filled = pattern
            .replace("{share}", &share_name(self.share))
            .replace("{snapshot}", &snapshot_name(self.snapshot));
        self.directory.path().join(root).join(filled)
    }

    /// What the ledger holds of effects, oldest first.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        self.host.effects(self.backend.name()).await.expect("effects")
    }

    /// The last `most` effects, oldest first.
    pub(crate) async fn last_effects(&self, most: usize) -> Vec<Effect> {
        let mut effects = self.effects().await;
        effects.split_off(effects.len().saturating_sub(most))
    }

    /// The outcome that the last effect has.
    pub(crate) async fn last_effect(&self) -> (String, EffectOutcome) {
        let effects = self.effects().await;
        let last = effects.last().expect("an effect");
        (last.capability.clone(), last.outcome)
    }

    /// Every path below the lab's directory, with the contents of files: to see that nothing has changed.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut to_read = vec![self.directory.path().to_owned()];
        while let Some(directory) = to_read.pop() {
            for entry in std::fs::read_dir(&directory).expect("a directory") {
                let entry = entry.expect("an entry");
                let kind = entry.file_type().expect("a type");
                let content =
                    if kind.is_file() { std::fs::read(entry.path()).expect("content") } else { Vec::new() };
                found.insert(entry.path(), content);
                if kind.is_dir() {
                    to_read.push(entry.path());
                }
            }
        }
        found
    }
}

/// What `work` answers if it does at once; none if it waits, and is dropped while it does.
pub(crate) async fn abandoned<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = work => Some(answer),
        () = tokio::task::yield_now() => None,
    }
}

/// A path in the root `shares`.
pub(crate) fn data(pattern: &str) -> Path {
    at("shares", pattern, None)
}

/// A path in the root `state`.
pub(crate) fn state(pattern: &str) -> Path {
    at("state", pattern, None)
}

pub(crate) fn at(root: &str, pattern: &str, of: Option<Resource>) -> Path {
    Path { root: root.to_owned(), pattern: pattern.to_owned(), of }
}

pub(crate) fn slot(name: &str, value: SlotValue) -> Slot {
    Slot { name: name.to_owned(), value }
}

pub(crate) fn path_slot(pattern: &str, of: Option<Resource>) -> Slot {
    slot("path", SlotValue::Path(PathChoice { pattern: pattern.to_owned(), of }))
}

/// The code of a failure.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, CapabilityError>) -> CapabilityCode {
    result.expect_err("a failure").code
}
