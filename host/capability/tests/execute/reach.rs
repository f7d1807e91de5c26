//! Whose texts a secret is taken out of: of those of the call that knows it, and of its backend's if it is the operator's.

use crate::lab::{Lab, slot};
use crate::secret::{fit_out, key, printed};
use bulkhead_capability::backend::Backend;
use bulkhead_capability::call::Call;
use bulkhead_capability::seal::SealingKey;
use bulkhead_capability::secret::Redactor;
use bulkhead_capability::slot::SlotValue;
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::grant::Grant;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An ordinary word, which a tenant has for a password.
const WORD: &str = "available";

/// A daemon's redactor, and a lab whose backend is one of its.
async fn lab() -> (Redactor, Lab) {
    let daemon = Redactor::default();
    let lab = Lab::with(|parts| {
        fit_out(parts);
        parts.secrets.redactor = daemon.narrowed();
    })
    .await;
    (daemon, lab)
}

/// Another backend on the same host, of the same daemon.
fn neighbour(lab: &Lab, daemon: &Redactor) -> Arc<Backend> {
    let mut parts = lab.host.parts("nas2", crate::secret::manifest(), Grant::default()).expect("parts");
    fit_out(&mut parts);
    parts.secrets.redactor = daemon.narrowed();
    Backend::new(parts).expect("a backend")
}

/// A call that brings a security service with this password.
fn call_with_password(backend: &Arc<Backend>, password: &str) -> Call {
    let sealed = SealingKey::new(&[7; 32]).and_then(|key| key.seal("domain", password)).expect("sealed");
    let passwords = [("domain".to_owned(), sealed)].into();
    let target = CallTarget { passwords, ..CallTarget::server(ShareServerId::random()) };
    backend.begin(origin("servers.setup-server"), target, Instant::now() + Duration::from_secs(600), 0)
}

async fn output(lab: &Lab, call: &Call) -> String {
    lab.fake.answer(Ok(printed("the pool is available")));
    let output = call.execute().run("print", &[]).await.expect("run");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_tenants_password_is_taken_out_of_what_its_own_call_is_told_and_of_nothing_else() {
    let (daemon, lab) = lab().await;
    let other = neighbour(&lab, &daemon);
    let call = call_with_password(&lab.backend, WORD);
    assert_eq!(output(&lab, &call).await, "the pool is [secret]", "also before the driver has used it");
    call.execute().run("unlock", &key("domain")).await.expect("run");
    for call in [&lab.call(), &call_with_password(&other, "joins the domain")] {
        assert_eq!(output(&lab, call).await, "the pool is available");
        let error = call.config().get(WORD).await.expect_err("undeclared");
        assert!(error.message.contains(WORD), "{error}");
    }
    let error = call.config().get(WORD).await.expect_err("undeclared");
    assert!(error.message.contains("[secret]") && !error.message.contains(WORD), "{error}");
    assert!(!daemon.finds_in(WORD.as_bytes()), "log, ledger and API leave others' texts as they are");
    assert!(daemon.and_all_calls().finds_in(WORD.as_bytes()));
}

#[tokio::test]
async fn the_ledger_holds_a_tenants_password_in_no_effect_of_its_call_and_the_word_in_others() {
    let (_daemon, lab) = lab().await;
    let call = call_with_password(&lab.backend, WORD);
    lab.fake.answer(Ok(Finished { ending: Ending::Exited(1), stderr: WORD.into(), ..printed(WORD) }));
    let error = call.execute().run("unlock", &key("domain")).await.expect_err("failed");
    let exit = error.exit.clone().expect("an exit");
    assert_eq!((&*exit.stdout, &*exit.stderr), (b"[secret]".as_slice(), "[secret]"));
    call.execute()
        .run("unlock", &[slot("key", SlotValue::Text(WORD.to_owned()))])
        .await
        .expect_err("no secret");
    call.config().get(WORD).await.expect_err("undeclared");
    let told = format!("{error:?} {:?}", lab.effects().await);
    assert!(!told.contains(WORD), "{told}");
    lab.call().config().get(WORD).await.expect_err("undeclared");
    assert!(format!("{:?}", lab.effects().await).contains(WORD));
}

#[tokio::test]
async fn what_is_captured_or_made_in_a_call_is_taken_out_of_no_other_calls_texts() {
    let (daemon, lab) = lab().await;
    let call = lab.call();
    lab.fake.answer(Ok(printed("key = available\n")));
    call.execute().run("print-key", &[]).await.expect("run");
    let reference = call.secrets().captured("access-key").await.expect("granted").expect("captured");
    assert_eq!(output(&lab, &call).await, "the pool is [secret]");
    call.secrets().keep("key", &reference).await.expect("kept");
    assert_eq!(output(&lab, &lab.call()).await, "the pool is available");
    let later = lab.call();
    later.secrets().kept("key").await.expect("read").expect("kept");
    assert_eq!(output(&lab, &later).await, "the pool is [secret]");
    assert!(!daemon.finds_in(WORD.as_bytes()));
}

#[tokio::test]
async fn the_password_of_a_command_that_outlives_its_call_stays_known_until_the_command_has_ended() {
    let (daemon, lab) = lab().await;
    // What finds secrets is made anew for each that is added.
    let knows = || {
        let _added = lab.backend.redactor().for_call().secret(b"another one".to_vec()).expect("a secret");
        daemon.and_all_calls().finds_in(WORD.as_bytes())
    };
    lab.fake.hang_on();
    let call = call_with_password(&lab.backend, WORD);
    let running = tokio::spawn(async move { call.execute().run("unlock", &key("domain")).await });
    let until = Instant::now() + Duration::from_secs(10);
    while lab.fake.requests().is_empty() && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    running.abort();
    lab.fake.wait_for_abandoned().await;
    assert!(running.await.is_err_and(|error| error.is_cancelled()) && knows());
    lab.fake.release();
    let until = Instant::now() + Duration::from_secs(10);
    while knows() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!knows());
}
