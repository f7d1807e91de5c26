//! The double's secrets: a driver holds names, and is refused what the real host refuses.

#![expect(clippy::expect_used, reason = "test code: what is not as expected fails the test")]

use bulkhead_sdk::execute::{self, Output};
use bulkhead_sdk::http::{self, Response};
use bulkhead_sdk::secret::{self, Secret};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    CapabilityCode, CapabilityError, Driver, ExportLocation, Result, SecurityService, SecurityServiceType,
    ServerNetwork, ServerOutcome, ServerRequest, Share, ShareServer, ShareServers, Slots, Statistics,
};
use std::cell::RefCell;

const MANIFEST: &str = r#"
    [[option]]
    name = "password"
    type = "secret"
    help = "a secret"

    [[option]]
    name = "other"
    type = "secret"
    help = "a secret"

    [[secret]]
    name = "access-key"
    reason = "a test"
    keep = true

    [[secret]]
    name = "passing"
    reason = "a test"

    [[execute]]
    name = "print-key"
    program = "tool"
    args = ["print"]
    captures.access-key = { line = "key = " }

    [[request]]
    name = "make-key"
    endpoint = "array"
    method = "POST"
    path = "/keys"
    captures.access-key = { json = "/key" }

    [[execute]]
    name = "unlock"
    program = "tool"
    args = ["unlock"]
    stdin = "{key}"
    slots.key = { type = "secret", of = ["password", "access-key", "security-service"] }
"#;

thread_local! {
    static DO: RefCell<Option<fn()>> = const { RefCell::new(None) };
}

struct Any;

impl Driver for Any {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
        DO.with(|function| function.borrow().expect("a function")());
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }
}

impl ShareServers for Any {
    fn network_allocations_number() -> Result<u32> {
        Ok(0)
    }

    /// Joins every security service.
    fn setup_server(network: &ServerNetwork, _: &ServerRequest) -> Result<ServerOutcome> {
        for password in network.security_services.iter().filter_map(|service| service.password.as_deref()) {
            execute::run("unlock", Slots::new().secret("key", password))?;
        }
        Ok(ServerOutcome::default())
    }

    fn teardown_server(_: &ShareServer, _: &[SecurityService]) -> Result<()> {
        Ok(())
    }
}

/// Run `function` as one call about the share `number`.
fn in_call(lab: &Lab, number: u32, function: fn()) {
    DO.with(|known| known.replace(Some(function)));
    lab.create_share::<Any>(&sample::share(number, 1)).expect("created");
}

fn lab() -> Lab {
    let lab = Lab::new(MANIFEST);
    lab.set_secret("password", "correct horse");
    lab.answer("print-key", |_| Ok(Output::default()));
    lab.answer("unlock", |_| Ok(Output::default()));
    lab.print_secret("access-key", "AQD1");
    lab
}

fn unlock(secret: &Secret) -> std::result::Result<Output, CapabilityError> {
    execute::run("unlock", Slots::new().secret("key", secret.name()))
}

fn code<T: std::fmt::Debug>(result: std::result::Result<T, CapabilityError>) -> CapabilityCode {
    result.expect_err("refused").code()
}

#[test]
fn a_slot_takes_the_secrets_that_it_names() {
    in_call(&lab(), 1, || {
        unlock(&Secret::of_option("password")).expect("its own");
        assert_eq!(code(unlock(&Secret::of_option("other"))), CapabilityCode::NotFound, "not set");
        let passing = secret::generate("passing").expect("declared");
        assert_eq!(code(unlock(&passing)), CapabilityCode::Denied);
        assert_eq!(code(unlock(&Secret::of_option("made up"))), CapabilityCode::Denied);
        assert_eq!(code(secret::generate("password")), CapabilityCode::Denied);
        assert_eq!(secret::is_set(&Secret::of_option("other")), Ok(false));
    });
}

#[test]
fn a_security_services_password_is_good_in_the_calls_that_bring_the_service() {
    let lab = lab();
    let mut network = sample::server_network(1, &sample::share_server(1), 0, 0);
    network.security_services.push(SecurityService {
        id: "service".to_owned(),
        service_type: SecurityServiceType::Ldap,
        project_id: "blue".to_owned(),
        name: None,
        dns_ip: None,
        server: None,
        domain: None,
        user: None,
        password: Some("security-service/service/password".to_owned()),
        organizational_unit: None,
        default_ad_site: None,
    });
    lab.setup_server::<Any>(&network, &ServerRequest::default()).expect("joined");
    in_call(&lab, 1, || {
        let other = Secret::of_option("security-service/service/password");
        assert_eq!(code(unlock(&other)), CapabilityCode::Denied, "another call's");
    });
}

#[test]
fn what_a_request_was_answered_with_is_captured_if_it_succeeded() {
    let lab = lab();
    lab.answer_request("make-key", |_| Ok(Response::new(201, "")));
    in_call(&lab, 1, || {
        http::send("make-key", Slots::new()).expect("an answer");
        unlock(&secret::captured("access-key").expect("declared").expect("answered")).expect("named");
    });
    lab.answer_request("make-key", |_| Ok(Response::new(409, "")));
    in_call(&lab, 1, || {
        http::send("make-key", Slots::new()).expect("an answer");
        assert_eq!(secret::captured("access-key"), Ok(None));
    });
}

#[test]
fn what_a_command_printed_is_of_its_call_until_it_is_kept() {
    let lab = lab();
    in_call(&lab, 1, || {
        assert_eq!(secret::captured("access-key"), Ok(None), "nothing ran yet");
        execute::run("print-key", Slots::new()).expect("run");
        let key = secret::captured("access-key").expect("declared").expect("printed");
        unlock(&key).expect("named");
        assert_eq!(secret::captured("access-key"), Ok(None), "the last command printed none");
        let kept = secret::keep("key", &key).expect("it may be kept");
        assert_eq!(secret::is_same(&kept, &key), Ok(true));
        assert_eq!(code(secret::keep("x", &Secret::of_option("password"))), CapabilityCode::Denied);
    });
    assert_eq!(lab.kept_secret(&sample::share(1, 1), "key").as_deref(), Some("AQD1"));
    in_call(&lab, 1, || {
        assert_eq!(
            code(secret::is_set(&Secret::of_option("captured/1"))),
            CapabilityCode::Denied,
            "an earlier call's"
        );
        let kept = secret::kept("key").expect("read").expect("kept");
        unlock(&kept).expect("good in every call");
    });
    in_call(&lab, 2, || {
        assert_eq!(secret::kept("key"), Ok(None), "another share's");
    });
    in_call(&lab, 1, || {
        secret::forget("key").expect("forgotten");
        secret::forget("key").expect("once more");
        assert_eq!(secret::kept("key"), Ok(None));
    });
}
