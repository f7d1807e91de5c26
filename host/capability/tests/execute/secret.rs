//! Secrets of commands: where they go, what they leave behind, and who is refused.

use crate::lab::{Lab, code, denial, slot};
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::intercept::{Interceptor, TapedAnswer, Verdict};
use bulkhead_capability::record::Deed;
use bulkhead_capability::seal::SealingKey;
use bulkhead_capability::secret::{BackendSecrets, Redactor, Vault};
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_capability::testing::grant_everything;
use bulkhead_helper::protocol::{Ending, Finished, SlotArgument};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::grant::Grant;
use bulkhead_model::id::{ShareInstanceId, ShareServerId};
use bulkhead_model::manifest::{Manifest, OptionValue};
use bulkhead_model::target::CallTarget;
use bulkhead_store::{Key, Transaction};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const PASSWORD: &str = "correct horse battery";
const KEY: &str = "AQDzYW5kIGEga2V5==";

pub(crate) fn manifest() -> Manifest {
    let unlock = |name: &str, repeat: &str| {
        json!({
            "name": name, "reason": "a test", "effect": "change", "repeat": repeat, "program": "tool", "args": ["unlock"],
            "stdin": "{key}", "slots": { "key": { "type": "secret", "of": ["password", "access-key", "security-service"] } },
        })
    };
    let print = |name: &str, captures: serde_json::Value| {
        json!({
            "name": name, "reason": "a test", "effect": "read", "repeat": "safe", "program": "tool", "args": ["print"],
            "captures": captures,
        })
    };
    serde_json::from_value(json!({
        "driver": {
            "name": "lab", "vendor": "acme", "version": "0.1.0", "contract": "0.1", "dhss": [false], "protocols": ["NFS"],
        },
        "option": [
            { "name": "password", "type": "secret", "help": "a secret" },
            { "name": "unset", "type": "secret", "help": "a secret" },
            { "name": "other", "type": "secret", "help": "a secret" },
        ],
        "secret": [
            { "name": "access-key", "reason": "a test", "keep": true },
            { "name": "passing", "reason": "a test", "length": 40, "alphabet": "hexadecimal" },
        ],
        "execute": [
            unlock("unlock", "safe"), unlock("unlock-once", "once"),
            print("print-key", json!({ "access-key": { "line": "key = " } })), print("print", json!({})),
        ],
        "job": [
            { "name": "unlock-later", "reason": "a test", "runs": "unlock" },
            { "name": "print-later", "reason": "a test", "runs": "print-key" },
        ],
    }))
    .expect("a manifest")
}

async fn lab() -> Lab {
    Lab::with(fit_out).await
}

/// Put the manifest of these tests, with everything granted and two secrets, into a backend's parts.
pub(crate) fn fit_out(parts: &mut BackendParts) {
    let manifest = manifest();
    parts.grant = grant_everything(&manifest, &BTreeMap::new());
    parts.grant.programs = [("tool".to_owned(), PathBuf::from("/usr/bin/tool"))].into();
    parts.ceiling.unreviewed_programs = ["tool".to_owned()].into();
    parts.manifest = Arc::new(manifest);
    let redactor = Redactor::default();
    let secret = |text: &str| redactor.secret(text.as_bytes().to_vec()).expect("a secret");
    let options = BTreeMap::from([
        ("password".to_owned(), secret(PASSWORD)),
        ("other".to_owned(), secret("another password")),
    ]);
    for name in options.keys() {
        parts.options.insert(name.clone(), OptionValue::Text(format!("secret://env/{name}")));
    }
    let vault = Some(Arc::new(Vault::new(&[7; 32])));
    parts.secrets = BackendSecrets { redactor, options, vault };
}

pub(crate) fn key(reference: &str) -> [Slot; 1] {
    [slot("key", SlotValue::Secret(reference.to_owned()))]
}

pub(crate) fn printed(stdout: &str) -> Finished {
    Finished {
        ending: Ending::Exited(0),
        stdout: stdout.as_bytes().to_vec(),
        stderr: Vec::new(),
        truncated: false,
        duration_ms: 1,
    }
}

/// A reference to a key that a command printed in this call.
async fn captured(lab: &Lab, call: &Call) -> String {
    lab.fake.answer(Ok(printed(&format!("id = 7\nkey = {KEY}\n"))));
    let output = call.execute().run("print-key", &[]).await.expect("run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "id = 7\nkey = [secret]\n");
    call.secrets().captured("access-key").await.expect("granted").expect("captured")
}

/// The text that the last command was handed for the slot `key`.
fn handed(lab: &Lab) -> String {
    let request = lab.fake.requests().pop().expect("a request");
    assert!(!format!("{request:?}").contains("horse"), "a request prints no secret");
    match request.slots.values().next() {
        Some(SlotArgument::Secret(text)) => text.expose().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Keeps every answer that a guest gets.
#[derive(Debug, Default)]
struct Answers(Mutex<Vec<String>>);

impl Interceptor for Answers {
    fn decide(&self, _deed: &Deed) -> Verdict {
        Verdict::Proceed
    }

    fn left_unanswered(&self, _deed: &Deed) {}

    fn keeps_answers(&self) -> bool {
        true
    }

    fn keep(&self, _deed: &Deed, answer: TapedAnswer) {
        let told = match answer {
            Ok(value) => format!("{value} {}", bytes_in(&value)),
            Err(error) => {
                let printed = error.exit.as_ref().map_or_else(String::new, |exit| text(&exit.stdout));
                format!("{error:?} {printed}")
            }
        };
        self.0.lock().expect("no panic").push(told);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What lists of numbers in an answer say as text.
fn bytes_in(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            let bytes: Vec<u8> = items.iter().filter_map(|item| u8::try_from(item.as_u64()?).ok()).collect();
            text(&bytes)
        }
        serde_json::Value::Object(fields) => fields.values().map(bytes_in).collect(),
        _ => String::new(),
    }
}

async fn written_down(lab: &Lab) -> String {
    let stored = lab.host.store.scan(&Key::prefix(&[])).await.expect("everything");
    let stored =
        stored.into_iter().map(|(key, value)| format!("{key} {}", String::from_utf8_lossy(&value.value)));
    format!("{:?} {}", lab.effects().await, stored.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn a_secret_goes_to_standard_input_and_into_no_record() {
    let lab = lab().await;
    let call = lab.call();
    call.execute().run("unlock", &key("password")).await.expect("run");
    assert_eq!(handed(&lab), PASSWORD);
    call.execute().run("unlock-once", &key("password")).await.expect("run");
    let written = written_down(&lab).await;
    assert!(written.contains("key=the secret password") && written.contains("begun/"), "{written}");
    assert!(!lab.backend.redactor().finds_in(written.as_bytes()), "{written}");
}

#[tokio::test]
async fn a_security_services_password_is_good_in_the_calls_that_bring_the_service() {
    let lab = lab().await;
    let sealing = SealingKey::new(&[7; 32]).expect("a key");
    let seal = |name: &str, text: &str| (name.to_owned(), sealing.seal(name, text).expect("sealed"));
    let passwords = BTreeMap::from([seal("domain", "joins the domain"), seal("short", "abc"), {
        let (_, moved) = seal("another", "of another service");
        ("moved".to_owned(), moved)
    }]);
    let call = lab.call_about(CallTarget { passwords, ..CallTarget::server(ShareServerId::random()) });
    lab.fake.answer(Ok(printed("joined with 'joins the domain'")));
    let output = call.execute().run("unlock", &key("domain")).await.expect("run");
    assert_eq!(handed(&lab), "joins the domain");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "joined with '[secret]'");
    assert_eq!(code(call.secrets().keep("mine", "domain").await), CapabilityCode::Denied);
    let error = call.execute().run("unlock", &key("short")).await.expect_err("too short");
    assert_eq!(error.code, CapabilityCode::InvalidArgument);
    assert!(error.message.contains("fewer than 6 bytes") && !error.message.contains("abc"), "{error}");
    assert_eq!(code(call.execute().run("unlock", &key("moved")).await), CapabilityCode::Io);
    assert_eq!(code(lab.call().execute().run("unlock", &key("domain")).await), CapabilityCode::Denied);
}

/// Case T-S1.
#[tokio::test]
async fn what_a_command_prints_of_its_secret_reaches_neither_driver_nor_ledger() {
    let lab = lab().await;
    let call = lab.call();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, PASSWORD);
    lab.fake.answer(Ok(Finished {
        stderr: format!("tool: bad password '{PASSWORD}'\n").into_bytes(),
        stdout: encoded.clone().into_bytes(),
        ending: Ending::Exited(1),
        ..printed("")
    }));
    let error = call.execute().run("unlock", &key("password")).await.expect_err("failed");
    let told = format!("{error:?} {}", String::from_utf8_lossy(&error.exit.clone().expect("an exit").stdout));
    assert_eq!(error.code, CapabilityCode::CommandFailed);
    assert!(told.contains("[secret]") && !told.contains("horse") && !told.contains(&encoded), "{told}");
    lab.fake.answer(Ok(Finished { truncated: true, ..printed("the password is correct hor") }));
    let output = call.execute().run("unlock", &key("password")).await.expect("run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "the password is [secret]", "cut in the middle");
    assert!(!lab.backend.redactor().finds_in(written_down(&lab).await.as_bytes()));
}

/// Case T-S5.
#[tokio::test]
async fn a_secret_is_refused_where_its_name_does_not_stand() {
    let lab = lab().await;
    let call = lab.call();
    let run = async |reference: &str| call.execute().run("unlock", &key(reference)).await;
    assert!(denial(run("other").await).contains("slots.key.of"));
    let passing = call.secrets().generate("passing").await.expect("granted");
    assert!(denial(run(&passing).await).contains("the purpose 'passing'"));
    for made_up in ["", "root", "captured/1", "generated/99", "nas2/password", "../password", "password\0"] {
        let text = denial(run(made_up).await);
        assert!(!lab.backend.redactor().finds_in(text.as_bytes()), "{text}");
    }
    assert_eq!(code(run("unset").await), CapabilityCode::NotFound);
    assert_eq!(code(run("kept/nothing").await), CapabilityCode::NotFound);
    let text = SlotValue::Text(PASSWORD.to_owned());
    assert_eq!(
        code(call.execute().run("unlock", &[slot("key", text)]).await),
        CapabilityCode::InvalidArgument
    );
    assert!(lab.fake.requests().is_empty(), "nothing was started");
    assert!(denial(call.jobs().start("unlock-later", "k", &key("password")).await).contains("[[execute]]"));
    assert!(denial(call.jobs().start("print-later", "k", &[]).await).contains("output"));
}

#[tokio::test]
async fn what_a_command_made_secret_is_held_by_reference_for_its_call_alone() {
    let lab = lab().await;
    let call = lab.call();
    assert_eq!(call.secrets().captured("access-key").await, Ok(None), "nothing ran yet");
    let reference = captured(&lab, &call).await;
    call.execute().run("unlock", &key(&reference)).await.expect("run");
    assert_eq!(handed(&lab), KEY);
    assert_eq!(call.secrets().captured("access-key").await, Ok(None), "the last command captured nothing");
    assert_eq!(call.secrets().is_set(&reference).await, Ok(true), "the reference stays good");
    let other = lab.call();
    assert_eq!(code(other.secrets().is_set(&reference).await), CapabilityCode::Denied, "of another call");
    assert_eq!(code(call.secrets().captured("passing").await), CapabilityCode::Denied, "nothing captures it");
    assert_eq!(code(call.secrets().captured("nothing").await), CapabilityCode::Denied);
    lab.fake.answer(Ok(Finished { ending: Ending::Exited(1), ..printed(&format!("key = {KEY}\n")) }));
    let error = call.execute().run("print-key", &[]).await.expect_err("failed");
    let exit = error.exit.expect("an exit");
    assert_eq!(String::from_utf8_lossy(&exit.stdout), "key = [secret]\n", "nor where it failed");
    assert_eq!(call.secrets().captured("access-key").await, Ok(None), "a failed command captures nothing");
    lab.fake.answer(Ok(printed("key = abc\n")));
    let error = call.execute().run("print-key", &[]).await.expect_err("too short");
    assert!(error.message.contains("fewer than 6 bytes") && !error.message.contains("abc"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_kept_is_sealed_and_its_resource_s_alone() {
    let lab = lab().await;
    let call = lab.call();
    let reference = captured(&lab, &call).await;
    let kept = call.secrets().keep("administrator", &reference).await.expect("kept");
    call.secrets().keep("administrator", &kept).await.expect("kept once more");
    let later = lab.call();
    assert_eq!(later.secrets().kept("administrator").await, Ok(Some(kept.clone())));
    let fresh = lab.call();
    fresh.execute().run("unlock", &key(&kept)).await.expect("a kept reference is good in every call");
    assert_eq!(handed(&lab), KEY);
    assert_eq!(fresh.secrets().is_same(&kept, "password").await, Ok(false));
    assert_eq!(fresh.secrets().is_same(&kept, &kept).await, Ok(true));
    let stranger = lab.call_about(CallTarget::share(ShareInstanceId::random()));
    assert_eq!(stranger.secrets().kept("administrator").await, Ok(None), "another share's call");
    assert_eq!(code(stranger.execute().run("unlock", &key(&kept)).await), CapabilityCode::NotFound);
    let written = written_down(&lab).await;
    assert!(written.contains("kept/lab/share-") && !call.redactor().finds_in(written.as_bytes()));
    call.secrets().forget("administrator").await.expect("forgotten");
    call.secrets().forget("administrator").await.expect("once more");
    assert_eq!(lab.call().secrets().kept("administrator").await, Ok(None));
    assert_eq!(code(call.secrets().is_same(&kept, &kept).await), CapabilityCode::NotFound);
}

#[tokio::test]
async fn what_is_sealed_for_one_share_does_not_open_for_another() {
    let lab = lab().await;
    let call = lab.call();
    let reference = captured(&lab, &call).await;
    call.secrets().keep("administrator", &reference).await.expect("kept");
    let prefix = Key::prefix(&["kept"]);
    let (key, value) = lab.host.store.scan(&prefix).await.expect("read").pop().expect("kept");
    let other = ShareInstanceId::random();
    let moved = Key::new(&["kept", "lab", &format!("share-{other}"), "administrator"]);
    assert_ne!(key, moved);
    let transaction = Transaction::default().put(moved, value.value);
    lab.host.store.commit(transaction).await.expect("somebody who writes to the store");
    let stranger = lab.call_about(CallTarget::share(other));
    let error = stranger.secrets().kept("administrator").await.expect_err("it does not open");
    assert_eq!(error.code, CapabilityCode::Io);
}

/// Case T-T7: what a guest's memory can hold is its own, what it was called with, and what host calls answer.
#[tokio::test]
async fn no_answer_to_a_guest_holds_a_secret() {
    let mut lab = lab().await;
    let answers = Arc::new(Answers::default());
    let mut parts = lab.host.parts("lab", manifest(), Grant::default()).expect("parts");
    fit_out(&mut parts);
    lab.backend = Backend::reach(parts, Some(Arc::clone(&answers) as _)).await.expect("a backend");
    let call = lab.call();
    for stdout in [
        PASSWORD.to_owned(),
        format!("{PASSWORD:?}"),
        PASSWORD.replace(' ', "%20"),
        PASSWORD.replace(' ', "+"),
    ] {
        lab.fake.answer(Ok(printed(&stdout)));
        call.execute().run("unlock", &key("password")).await.expect("run");
        lab.fake.answer(Ok(Finished {
            ending: Ending::Exited(1),
            stderr: stdout.clone().into_bytes(),
            ..printed(&stdout)
        }));
        call.execute().run("unlock", &key("password")).await.expect_err("failed");
    }
    let reference = captured(&lab, &call).await;
    let kept = call.secrets().keep("administrator", &reference).await.expect("kept");
    call.secrets().generate("passing").await.expect("granted");
    call.secrets().is_same(&kept, "password").await.expect("both have a text");
    call.config().get("password").await.expect("declared");
    call.config().get(PASSWORD).await.expect_err("undeclared");
    let answers = answers.0.lock().expect("no panic").clone();
    assert_eq!(answers.len(), 15, "{answers:#?}");
    for answer in answers {
        assert!(!call.redactor().finds_in(answer.as_bytes()), "{answer}");
    }
}

#[tokio::test]
async fn what_is_made_has_the_declared_form_and_is_never_made_twice() {
    let lab = lab().await;
    let call = lab.call();
    let first = call.secrets().generate("passing").await.expect("granted");
    let second = call.secrets().generate("passing").await.expect("granted");
    assert_eq!(call.secrets().is_same(&first, &second).await, Ok(false));
    let text = call.held_secrets().get(&first).expect("held").secret;
    let text = text.expose_text().expect("text");
    assert_eq!(text.len(), 40);
    assert!(text.chars().all(|letter| letter.is_ascii_digit() || ('a'..='f').contains(&letter)), "{text}");
    assert_eq!(code(call.secrets().generate("password").await), CapabilityCode::Denied, "no purpose");
    assert_eq!(
        code(call.secrets().keep("x", &first).await),
        CapabilityCode::Denied,
        "its purpose is not kept"
    );
    assert_eq!(
        code(call.secrets().keep("x", "password").await),
        CapabilityCode::Denied,
        "the operator's own"
    );
}

#[tokio::test]
async fn names_and_numbers_of_kept_secrets_are_bounded() {
    let lab = lab().await;
    let call = lab.call();
    let key = call.secrets().generate("access-key").await.expect("granted");
    for name in ["", "a\nb", &"x".repeat(251)] {
        assert_eq!(code(call.secrets().keep(name, &key).await), CapabilityCode::InvalidArgument, "{name:?}");
        assert_eq!(code(call.secrets().kept(name).await), CapabilityCode::InvalidArgument, "{name:?}");
    }
    for number in 0..64 {
        call.secrets().keep(&format!("{number}/{}", "x".repeat(200)), &key).await.expect("room");
    }
    assert_eq!(code(call.secrets().keep("one more", &key).await), CapabilityCode::LimitExceeded);
    call.secrets().keep(&format!("0/{}", "x".repeat(200)), &key).await.expect("replaced");
    let nobody = lab.call_about(CallTarget::default());
    assert_eq!(code(nobody.secrets().kept("x").await), CapabilityCode::Denied, "a call about nothing");
}

#[tokio::test]
async fn without_the_capability_or_the_purposes_grant_nothing_is_given() {
    let mut lab = lab().await;
    let call = lab.call();
    drop(call);
    let with = |change: &dyn Fn(&mut BackendParts)| {
        let manifest = manifest();
        let grant = grant_everything(&manifest, &BTreeMap::new());
        let mut parts = lab.host.parts("lab", manifest, grant).expect("parts");
        change(&mut parts);
        Backend::new(parts).expect("a backend")
    };
    let unpinned = with(&|parts| {
        parts.grant.templates.remove(&"access-key".parse().expect("a label"));
    });
    let ungranted = with(&|parts| {
        parts.grant.capabilities.remove(&bulkhead_model::ability::Capability::Secret);
    });
    lab.backend = unpinned;
    let text = denial(lab.call().secrets().generate("access-key").await);
    assert!(text.contains("grant.templates.access-key"), "{text}");
    lab.backend = ungranted;
    for result in [
        lab.call().secrets().generate("access-key").await.map(|_| ()),
        lab.call().secrets().is_set("password").await.map(|_| ()),
        lab.call().secrets().kept("x").await.map(|_| ()),
    ] {
        assert!(denial(result).contains("grant.capabilities = [\"secret\"]"));
    }
}
