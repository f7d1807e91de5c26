//! Whose answers a secret makes invalid: those of its own backend and call that tell it, and no others.

use crate::fixture::{Guest, backend_of, engine, host, reason};
use crate::{Driver as _, Generation};
use bulkhead_capability::call::Call;
use bulkhead_capability::seal::SealingKey;
use bulkhead_capability::secret::{Redactor, Vault};
use bulkhead_capability::testing::{TestHost, origin};
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the guest answers as its filter function.
const FILTER: &str = "available and sound";

/// A guest that answers [`FILTER`] and statistics without pools.
fn guest() -> Guest {
    Guest::default()
        .with(r#"(data (i32.const 4096) "\00\00\00\00\01\00\00\00\68\10\00\00\13\00\00\00")"#)
        .with(&format!(r#"(data (i32.const 4200) "{FILTER}")"#))
        .body("lifecycle.default-filter-function", "(i32.const 4096)")
}

/// A generation of the backend `name` in a daemon whose redactor is `daemon`.
fn generation(host: &TestHost, name: &str, daemon: &Redactor) -> Generation {
    let (digest, bytes) = guest().build();
    let engine = engine();
    let component = engine.load(digest, &bytes).expect("the guest loads");
    let backend = backend_of(host, name, |parts| {
        parts.secrets.redactor = daemon.narrowed();
        parts.secrets.vault = Some(Arc::new(Vault::new(&[7; 32])));
    });
    Generation::new(&engine, component, backend).expect("within its limits")
}

/// A call of that backend that brings a security service with this password.
fn call_with_password(generation: &Generation, password: &str) -> Call {
    let sealed = SealingKey::new(&[7; 32]).and_then(|key| key.seal("domain", password)).expect("sealed");
    let passwords = [("domain".to_owned(), sealed)].into();
    let target = CallTarget { passwords, ..CallTarget::server(ShareServerId::random()) };
    let deadline = Instant::now() + Duration::from_secs(60);
    generation.caller().backend.begin(origin("servers.setup-server"), target, deadline, 0)
}

#[tokio::test]
async fn a_tenants_password_that_is_an_ordinary_word_makes_nobody_elses_answer_invalid() {
    let (host, daemon) = (host().await, Redactor::default());
    let (one, other) = (generation(&host, "one", &daemon), generation(&host, "other", &daemon));
    let calls = ["available", "Statistics", "replication_types"].map(|word| call_with_password(&one, word));
    assert_eq!(calls[0].redactor().redact(FILTER), "[secret] and sound");
    for generation in [&one, &other] {
        assert!(generation.stats(&reason()).await.is_ok());
        let filter = generation.default_filter_function(&reason()).await;
        assert_eq!(filter, Ok(Some(FILTER.to_owned())));
    }
}

#[tokio::test]
async fn an_operators_secret_makes_an_answer_of_its_own_backend_invalid_that_tells_it() {
    let (host, daemon) = (host().await, Redactor::default());
    let (one, other) = (generation(&host, "one", &daemon), generation(&host, "other", &daemon));
    let redactor = one.caller().backend.redactor();
    let _secrets = ["available", "Statistics"].map(|text| redactor.secret(text.as_bytes().to_vec()));
    let told = one.default_filter_function(&reason()).await.expect_err("it tells a secret");
    assert!(matches!(&told, CallError::InvalidAnswer { reason, .. } if reason.contains("secret")), "{told}");
    assert!(one.stats(&reason()).await.is_ok(), "what a record is called tells nothing");
    assert_eq!(other.default_filter_function(&reason()).await, Ok(Some(FILTER.to_owned())));
    assert!(daemon.finds_in(FILTER.as_bytes()), "but log, ledger and API do not tell it");
}
