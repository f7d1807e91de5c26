//! A backend with an endpoint of two controllers, a session and some requests, and calls on it.

use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::http::fake::{FakeTransport, answer};
use bulkhead_capability::http::{Network, Transport, WireResponse};
use bulkhead_capability::secret::{BackendSecrets, Vault};
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::Effect;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::grant::{EndpointGrant, Verification};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::manifest::Manifest;
use bulkhead_model::target::{CallTarget, Resource};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// The password that the session logs in with.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// The controllers of the fake endpoint.
pub(crate) const CONTROLLERS: [&str; 2] = ["http://10.0.0.5", "http://10.0.0.6"];

pub(crate) struct Lab {
    pub(crate) directory: TempDir,
    pub(crate) host: TestHost,
    pub(crate) fake: Arc<FakeTransport>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) share: ShareInstanceId,
}

fn request(name: &str, effect: &str, line: &str, more: Value) -> Value {
    let (method, path) = line.split_once(' ').expect("a line");
    let mut request = json!({
        "name": name, "reason": "a test", "effect": effect, "repeat": "safe", "endpoint": "array", "method": method,
        "path": path, "timeout": 5, "slots": { "volume": { "type": "name" } },
    });
    for (key, value) in more.as_object().expect("an object") {
        request[key] = value.clone();
    }
    request
}

pub(crate) fn manifest() -> Manifest {
    let scope = json!({ "scope": "backend", "slots": {} });
    serde_json::from_value(json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "option": [
            { "name": "user", "type": "string", "default": "bulkhead", "help": "who" },
            { "name": "password", "type": "secret", "help": "a secret" },
            { "name": "other", "type": "secret", "help": "a secret" },
            { "name": "unset", "type": "secret", "help": "a secret" },
        ],
        "secret": [{ "name": "access-key", "reason": "a test", "keep": true }],
        "root": [{ "name": "images", "use": "data", "reason": "images", "paths": ["{share}.img"] }],
        "endpoint": [{ "name": "array", "reason": "a test" }],
        "session": [{
            "name": "session", "reason": "a test", "endpoint": "array",
            "credentials": { "user": "user", "password": "password" },
            "login": {
                "method": "POST", "path": "/session", "body": "json", "text": "{\"user\":{user},\"password\":{password}}",
            },
            "token": [{ "from": "cookie", "key": "sid", "to": "cookie", "name": "sid" }],
            "logout": { "method": "DELETE", "path": "/session" },
        }],
        "request": [
            request("read", "read", "GET /volumes/{volume}", json!({ "returns": ["etag"] })),
            request("create", "change", "POST /volumes", json!({
                "body": "json", "text": "{\"name\":{volume},\"size\":{size}}",
                "slots": { "volume": { "type": "name" }, "size": { "type": "gib" } },
            })),
            request("create-once", "change", "POST /volumes/{volume}", json!({ "repeat": "once" })),
            request("create-in-session", "change", "POST /volumes/{volume}", json!({ "session": "session" })),
            request("remove", "destroy", "DELETE /volumes/{volume}", json!({})),
            request("clone", "change", "POST /volumes/{volume}/{source}", json!({
                "slots": { "volume": { "type": "name" }, "source": { "type": "name" } },
            })),
            request("list", "read", "GET /volumes", scope.clone()),
            request("in-session", "read", "GET /system", json!({ "session": "session", "scope": "backend", "slots": {} })),
            request("small", "read", "GET /small", json!({ "capture": 8, "scope": "backend", "slots": {} })),
            request("tell", "change", "POST /users", json!({
                "scope": "backend", "body": "json", "text": "{\"password\":{secret}}", "headers": { "x-password": "Bearer {secret}" },
                "returns": ["x-echo"], "slots": { "secret": { "type": "secret", "of": ["password", "unset", "access-key"] } },
            })),
            request("tell-briefly", "change", "POST /users", json!({
                "scope": "backend", "body": "form", "text": "password={secret}", "capture": 16,
                "slots": { "secret": { "type": "secret", "of": ["password"] } },
            })),
            request("make-key", "change", "POST /keys", json!({
                "scope": "backend", "slots": {}, "captures": { "access-key": { "json": "/key" } }, "capture": 64,
            })),
            request("not-granted", "read", "GET /volumes", scope),
            request("send-image", "change", "PUT /images/{volume}", json!({ "body": "file", "largest": 1_000_000 })),
            request("fetch-image", "read", "GET /images/{volume}", json!({ "answer": "file", "largest": 1_000_000 })),
        ],
    }))
    .expect("a manifest")
}

impl Lab {
    /// Over a transport that sends nothing.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut BackendParts)) -> Self {
        let fake = Arc::new(FakeTransport::default());
        let transport: Arc<dyn Transport> = Arc::<FakeTransport>::clone(&fake);
        let grant =
            EndpointGrant { verify: Verification::Off, ..EndpointGrant::at(CONTROLLERS.map(str::to_owned)) };
        Self::over(transport, fake, grant, change).await
    }

    /// Over the real transport, to one controller.
    pub(crate) async fn real(url: String) -> Self {
        let grant = EndpointGrant { verify: Verification::Off, ..EndpointGrant::at([url]) };
        Self::bound(grant).await
    }

    /// Over the real transport, as bound.
    pub(crate) async fn bound(grant: EndpointGrant) -> Self {
        Self::over(Arc::new(Network), Arc::default(), grant, |_| {}).await
    }

    async fn over(
        transport: Arc<dyn Transport>,
        fake: Arc<FakeTransport>,
        endpoint: EndpointGrant,
        change: impl FnOnce(&mut BackendParts),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("images")).expect("a root");
        let mut host = TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host");
        host.http = transport;
        let manifest = manifest();
        let roots = BTreeMap::from([("images", directory.path().join("images"))]);
        let mut grant = grant_everything(&manifest, &roots);
        grant.templates.retain(|name, _| name.as_str() != "not-granted");
        grant.endpoints.insert("array".parse().expect("a label"), endpoint);
        let mut parts = host.parts("lab", manifest, grant).expect("parts");
        let mut secrets = BackendSecrets::default();
        let password = secrets.redactor.secret(PASSWORD.as_bytes().to_vec()).expect("a secret");
        secrets.options.insert("password".to_owned(), password);
        let other = secrets.redactor.secret(b"unlike the first".to_vec()).expect("a secret");
        secrets.options.insert("other".to_owned(), other);
        secrets.vault = Some(Arc::new(Vault::new(&[7; 32])));
        parts.secrets = secrets;
        change(&mut parts);
        let backend = Backend::new(parts).expect("a backend");
        Self { directory, host, fake, backend, share: ShareInstanceId::random() }
    }

    pub(crate) fn call(&self) -> Call {
        self.call_of(origin("shares.create-share"))
    }

    pub(crate) fn call_of(&self, origin: CallOrigin) -> Call {
        self.call_until(origin, Instant::now() + Duration::from_secs(60))
    }

    pub(crate) fn call_until(&self, origin: CallOrigin, deadline: Instant) -> Call {
        self.backend.begin(origin, CallTarget::share(self.share), deadline, 0)
    }

    /// The slot that names the lab's share.
    pub(crate) fn volume(&self) -> Vec<Slot> {
        vec![named("volume", Resource::Share(self.share))]
    }

    /// What the ledger holds of effects, oldest first.
    pub(crate) async fn effects(&self) -> Vec<Effect> {
        self.host.effects(self.backend.name()).await.expect("effects")
    }
}

pub(crate) fn named(name: &str, resource: Resource) -> Slot {
    Slot { name: name.to_owned(), value: SlotValue::NameOf(resource) }
}

pub(crate) fn unsigned(name: &str, number: u64) -> Slot {
    Slot { name: name.to_owned(), value: SlotValue::Unsigned(number) }
}

/// An answer with one header.
pub(crate) fn with_header(status: u16, name: &str, value: &str) -> WireResponse {
    let mut answer = answer(status, "");
    answer.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    answer
}

/// The code of a failure.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, CapabilityError>) -> CapabilityCode {
    result.expect_err("a failure").code
}
