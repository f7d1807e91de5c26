//! The double of the host denies what the real one denies.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use bulkhead_sdk::config::Value;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::testing::{Fault, Lab, sample};
use bulkhead_sdk::{
    Access, AccessLevel, AccessRule, AccessType, AccessUpdate, CapabilityCode, CapabilityError, Driver,
    Error, ErrorCode, ExportLocation, Resource, Result, RuleOutcome, Share, Slots, Statistics, config,
    execute, lock,
};
use std::cell::RefCell;
use std::time::Duration;

const MANIFEST: &str = r#"
[[option]]
name = "mode"
type = "enum"
choices = ["fast", "safe"]
default = "safe"
help = "how"

[[root]]
name = "shares"
use = "data"
reason = "shares"
paths = ["{share}", "{share}@{snapshot}"]

[[root]]
name = "state"
use = "state"
reason = "notes"
paths = ["{share}.note"]

[[root]]
name = "exports"
use = "config"
reason = "read by a server"
paths = ["{share}.conf"]

[[execute]]
name = "limit"
reason = "a size"
effect = "change"
repeat = "once"
program = "true"
args = ["{size}", "{mode}", "{path}"]
slots.size = { type = "bytes" }
slots.mode = { type = "enum", values = ["hard", "soft"] }
slots.path = { type = "path", kind = "existing", root = "shares", pattern = ["{share}"] }

[[file]]
name = "clients"
root = "exports"
path = "{share}.clients"
format = "lines"
text = "{clients}"
slots.clients = { type = "access-rules", of = "call", style = "exports5" }

[private-data]
counters = ["export-id"]
"#;

thread_local! {
    static BODY: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A driver whose `create_share` is whatever the test wants to do inside a call.
struct Anything;

impl Driver for Anything {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
        if let Some(body) = BODY.take() {
            body();
        }
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }
}

/// Writes whatever rules the call carries.
impl Access for Anything {
    fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        files::write_template("clients", Slots::new())?;
        Ok(Vec::new())
    }
}

fn lab() -> Lab {
    Lab::new(MANIFEST)
}

/// Run `body` in a call about share 1.
fn in_call(lab: &Lab, body: impl FnOnce() + 'static) {
    BODY.set(Some(Box::new(body)));
    lab.create_share::<Anything>(&sample::share(1, 1)).expect("the body has no failure");
}

fn code<T: std::fmt::Debug>(outcome: std::result::Result<T, CapabilityError>) -> CapabilityCode {
    outcome.expect_err("it must be refused").code()
}

#[test]
fn nothing_works_outside_a_call() {
    let _lab = lab();
    assert_eq!(code(files::root_space("shares")), CapabilityCode::Unavailable);
}

#[test]
fn an_undeclared_root_or_pattern_is_denied_with_the_line_that_would_allow_it() {
    in_call(&lab(), || {
        let error = files::status(&Path::new("shares", "{share}.old")).expect_err("undeclared");
        assert_eq!(error.code(), CapabilityCode::Denied);
        assert!(error.to_string().contains("paths = [\"{share}.old\"]"), "{error}");
        let error = files::status(&Path::new("nowhere", "{share}")).expect_err("undeclared");
        assert!(error.to_string().contains("name = \"nowhere\""), "{error}");
    });
}

#[test]
fn another_share_cannot_be_named() {
    in_call(&lab(), || {
        let other = Resource::from(&sample::share(2, 1));
        let path = Path::new("shares", "{share}").of(other.clone());
        assert_eq!(code(files::create_directory(&path)), CapabilityCode::Denied);
        assert_eq!(code(private_data::get(&Owner::Of(other.clone()), "key")), CapabilityCode::Denied);
        let slots = Slots::new().unsigned("size", 1).text("mode", "hard").path_of("path", "{share}", other);
        assert_eq!(code(execute::run("limit", slots)), CapabilityCode::Denied);
    });
}

#[test]
fn the_use_of_a_root_decides_what_may_be_done_in_it() {
    in_call(&lab(), || {
        let (share, note, conf) = (
            Path::new("shares", "{share}"),
            Path::new("state", "{share}.note"),
            Path::new("exports", "{share}.conf"),
        );
        assert_eq!(code(files::write(&share, b"x")), CapabilityCode::Denied);
        assert_eq!(code(files::write(&conf, b"x")), CapabilityCode::Denied);
        assert_eq!(code(files::read(&share)), CapabilityCode::Denied);
        files::write(&note, b"x").expect("a state root");
        assert_eq!(files::read(&note), Ok(b"x".to_vec()));
    });
}

#[test]
fn slots_are_checked_for_their_types() {
    let lab = lab();
    lab.run_for_real("limit");
    in_call(&lab, || {
        files::create_directory(&Path::new("shares", "{share}")).expect("declared");
        let good = || Slots::new().text("mode", "hard").path("path", "{share}");
        execute::run("limit", good().unsigned("size", 1)).expect("all slots are right");
        assert_eq!(code(execute::run("limit", good())), CapabilityCode::InvalidArgument);
        assert_eq!(code(execute::run("limit", good().text("size", "1"))), CapabilityCode::InvalidArgument);
        let extra = good().unsigned("size", 1).unsigned("more", 1);
        assert_eq!(code(execute::run("limit", extra)), CapabilityCode::InvalidArgument);
        let word = Slots::new().text("mode", "no").path("path", "{share}").unsigned("size", 1);
        assert_eq!(code(execute::run("limit", word)), CapabilityCode::InvalidArgument);
        let again = execute::run_with_retries("limit", good().unsigned("size", 1));
        assert_eq!(code(again), CapabilityCode::Denied, "repeat = once");
    });
    let words = lab.commands()[0].words().to_vec();
    assert_eq!(words[..3], ["true", "1", "hard"]);
    assert!(words[3].ends_with(&sample::share(1, 1).name));
}

#[test]
fn a_list_of_access_rules_without_any_client_names_one_that_nobody_is() {
    let (lab, share) = (lab(), sample::share(1, 1));
    let written = |rules: Vec<AccessRule>| {
        let update = AccessUpdate { rules, ..AccessUpdate::default() };
        lab.update_access::<Anything>(&share, &update).expect("written");
        std::fs::read_to_string(lab.root("exports").join(format!("{}.clients", share.name))).expect("a file")
    };
    let user = sample::access_rule(1, AccessType::User, "alice", AccessLevel::Rw);
    let address = sample::access_rule(2, AccessType::Ip, "10.0.0.9", AccessLevel::Ro);
    assert_eq!(written(vec![user, address]), "10.0.0.9(ro)");
    assert_eq!(written(Vec::new()), "0.0.0.0/32(ro)");
}

#[test]
fn a_command_the_test_says_nothing_about_fails_with_the_way_out() {
    in_call(&lab(), || {
        files::create_directory(&Path::new("shares", "{share}")).expect("declared");
        let slots = Slots::new().text("mode", "hard").path("path", "{share}").unsigned("size", 1);
        let error = execute::run("limit", slots).expect_err("no answer");
        assert!(error.to_string().contains("Lab::answer"), "{error}");
    });
}

#[test]
fn options_have_their_defaults_and_unknown_ones_are_refused() {
    let lab = lab();
    in_call(&lab, || {
        assert_eq!(config::text("mode"), Ok(Some("safe".to_owned())));
        assert_eq!(config::integer("num_shell_tries"), Ok(Some(3)));
        assert_eq!(code(config::get("speed")), CapabilityCode::InvalidArgument);
        assert_eq!(code(config::integer("mode")), CapabilityCode::InvalidArgument);
    });
    lab.set_option("mode", Value::Text("fast".to_owned()));
    in_call(&lab, || assert_eq!(config::text("mode"), Ok(Some("fast".to_owned()))));
}

#[test]
fn private_data_is_compared_before_it_is_set() {
    let lab = lab();
    in_call(&lab, || {
        let first = private_data::set(&Owner::Subject, "key", "1", Expected::Absent).expect("it is absent");
        assert_eq!(
            code(private_data::set(&Owner::Subject, "key", "2", Expected::Absent)),
            CapabilityCode::Conflict
        );
        let second =
            private_data::set(&Owner::Subject, "key", "2", Expected::Revision(first)).expect("it is first");
        assert!(second > first);
        assert_eq!(code(private_data::get(&Owner::Backend, "key")), CapabilityCode::Denied);
        assert_eq!(private_data::next_number("export-id"), Ok(1));
        assert_eq!(private_data::next_number("export-id"), Ok(2));
        assert_eq!(code(private_data::next_number("other")), CapabilityCode::Denied);
    });
    in_call(&lab, || {
        let entry =
            private_data::get(&Owner::Subject, "key").expect("declared").expect("it survives the call");
        assert_eq!(entry.value, "2");
    });
}

#[test]
fn a_lock_ends_with_its_guard_or_its_call() {
    let lab = lab();
    in_call(&lab, || {
        let guard = lock::acquire("name", Duration::from_secs(1)).expect("it is free");
        assert_eq!(code(lock::acquire("name", Duration::ZERO)), CapabilityCode::InvalidArgument);
        drop(guard);
        std::mem::forget(lock::acquire("name", Duration::ZERO).expect("it is free again"));
    });
    in_call(&lab, || {
        drop(lock::acquire("name", Duration::ZERO).expect("the call that held it has ended"));
    });
    lab.hold_lock("name");
    in_call(&lab, || assert_eq!(code(lock::acquire("name", Duration::ZERO)), CapabilityCode::TimedOut));
}

#[test]
fn a_fault_strikes_where_it_is_told() {
    let lab = lab();
    let set = || private_data::set(&Owner::Subject, "key", "x", Expected::Anything);
    let is_set = || private_data::get(&Owner::Subject, "key").expect("no fault").is_some();
    lab.inject(1, Fault::Refused(CapabilityCode::NoSpace));
    in_call(&lab, move || {
        assert_eq!(Error::from(set().expect_err("refused")).code(), ErrorCode::NoSpace);
        assert!(!is_set(), "it did nothing");
    });
    lab.inject(1, Fault::AnswerLost);
    in_call(&lab, move || {
        assert_eq!(code(set()), CapabilityCode::OutcomeUnknown);
        assert!(is_set(), "it did its work");
    });
    lab.inject(2, Fault::Killed);
    in_call(&lab, move || {
        set().expect("before");
        assert_eq!(code(set()), CapabilityCode::Unavailable);
        assert_eq!(code(set()), CapabilityCode::Unavailable);
    });
    assert_eq!(lab.host_calls(), 3);
    lab.heal();
    in_call(&lab, move || assert!(is_set()));
}
