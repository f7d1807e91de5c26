//! Guests that are slow, greedy, broken or lying, each stopped with its own error; and the next call works.

use crate::Driver as _;
use crate::fixture::{self, Guest, ZEROS, reason, share};
use bulkhead_capability::backend::Backend;
use bulkhead_capability::testing::grant_everything;
use bulkhead_model::access::AccessUpdate;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::effect::{EffectOutcome, LedgerEntry};
use bulkhead_model::error::{Blame, CallError, DriverErrorCode};
use bulkhead_model::manifest::{Manifest, PrivateDataDeclaration};
use bulkhead_model::status::AccessRuleState;
use std::collections::BTreeMap;
use std::sync::Arc;

fn one_second() -> DriverLimits {
    DriverLimits { change_seconds: 1, ..DriverLimits::default() }
}

/// An answer `err({code})` in a module's data at 4096.
fn error_answer(code: u8) -> String {
    format!(r#"(data (i32.const 4096) "\01\00\00\00\{code:02x}")"#)
}

const ERROR_ANSWER: &str = "(i32.const 4096)";
const NOT_IMPLEMENTED: u8 = 0;
const NO_SPACE: u8 = 33;

#[tokio::test]
async fn a_driver_that_answers_is_believed() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    assert_eq!(generation.setup(&reason()).await, Ok(()));
    assert!(generation.stats(&reason()).await.is_ok_and(|statistics| statistics.pools.is_empty()));
    assert_eq!(generation.create_share(&reason(), &share()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline_and_the_next_call_works() {
    let guest = Guest::default().body("shares.create-share", "(loop (br 0)) (unreachable)");
    let (_host, generation) = guest.generation(one_second()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("never ends");
    assert_eq!(error, CallError::DeadlineExceeded { function: "shares.create-share", limit_ms: 1000 });
    assert_eq!(error.blame(), Blame::Driver);
    assert_eq!(generation.delete_share(&reason(), &share()).await, Ok(()));
}

#[tokio::test]
async fn an_endless_loop_of_host_calls_ends_at_its_deadline() {
    let guest = Guest::default()
        .import("clock", "now-ms")
        .body("shares.create-share", "(loop (drop (call $now-ms)) (br 0)) (unreachable)");
    let (_host, generation) = guest.generation(one_second()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("never ends");
    assert!(matches!(error, CallError::DeadlineExceeded { .. }), "{error}");
}

#[tokio::test]
async fn a_start_function_has_the_deadline_too() {
    let guest = Guest::default().with("(func $spin (loop (br 0))) (start $spin)");
    let (_host, generation) = guest.generation(one_second()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("never ends");
    assert!(matches!(error, CallError::DeadlineExceeded { .. }), "{error}");
}

#[tokio::test]
async fn a_trap_names_the_guests_function_and_costs_nothing_but_its_call() {
    let guest = Guest::default().body("shares.create-share", "(unreachable)");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("traps");
    let CallError::Trapped { function, reason: text } = error else { panic!("{error}") };
    assert_eq!(function, "shares.create-share");
    assert!(text.contains("unreachable") && text.contains("at guest::shares::create-share"), "{text}");
    assert_eq!(generation.setup(&reason()).await, Ok(()));
}

#[tokio::test]
async fn a_stack_without_end_is_a_trap_of_the_guest() {
    let guest = Guest::default()
        .with("(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))")
        .body("shares.create-share", "(call $deeper)");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("overflows");
    assert!(matches!(&error, CallError::Trapped { reason, .. } if reason.contains("stack")), "{error}");
}

#[tokio::test]
async fn nothing_of_a_call_is_left_for_the_next() {
    let guest = Guest::default().with("(global $calls (mut i32) (i32.const 0))").body(
        "lifecycle.setup",
        "(if (global.get $calls) (then (unreachable))) (global.set $calls (i32.const 1)) (i32.const 64)",
    );
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    assert_eq!(generation.setup(&reason()).await, Ok(()));
    assert_eq!(generation.setup(&reason()).await, Ok(()));
}

#[tokio::test]
async fn memory_beyond_the_limit_is_not_given_and_named_with_its_value() {
    let grow = "(memory.grow (i32.const 65000))";
    let copes = format!("(if (i32.ne {grow} (i32.const -1)) (then (unreachable))) {ZEROS}");
    let breaks = format!("(if (i32.eq {grow} (i32.const -1)) (then (unreachable))) {ZEROS}");
    let guest = Guest::default().body("shares.create-share", copes).body("shares.delete-share", breaks);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    assert_eq!(generation.create_share(&reason(), &share()).await, Ok(Vec::new()));
    let error = generation.delete_share(&reason(), &share()).await.expect_err("traps");
    let expected =
        CallError::LimitExceeded { function: "shares.delete-share", limit: "memory-mib", value: 64 };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn tables_beyond_the_limit_are_not_given() {
    let grow = "(table.grow $table (ref.null func) (i32.const 1000000))";
    let guest = Guest::default().with("(table $table 1 funcref)").body(
        "shares.create-share",
        format!("(if (i32.eq {grow} (i32.const -1)) (then (unreachable))) {ZEROS}"),
    );
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("traps");
    assert!(
        matches!(error, CallError::LimitExceeded { limit: "table-elements", value: 100_000, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_of_too_many_bytes_is_never_taken_over() {
    // ok(list) of 200,000 export locations that all lie in zeroed memory.
    let guest = Guest::default()
        .pages(200)
        .with(r#"(data (i32.const 4096) "\00\00\00\00\00\20\00\00\40\0d\03\00")"#)
        .body("shares.create-share", "(i32.const 4096)");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("too much");
    let expected =
        CallError::LimitExceeded { function: "shares.create-share", limit: "host-call-kib", value: 4096 };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn an_answer_outside_the_guests_memory_is_the_drivers_fault() {
    let guest = Guest::default()
        .with(r#"(data (i32.const 4096) "\00\00\00\00\00\20\00\00\ff\ff\ff\0f")"#)
        .body("shares.create-share", "(i32.const 4096)");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("out of bounds");
    assert!(matches!(error, CallError::Trapped { .. }) && error.blame() == Blame::Driver, "{error}");
}

#[tokio::test]
async fn an_answer_against_the_contract_is_refused_with_the_sentence() {
    // ok([{path: "evil:/a", ..}]): the list at 4112, the path at 4200.
    let guest = Guest::default()
        .with(r#"(data (i32.const 4096) "\00\00\00\00\10\10\00\00\01\00\00\00") (data (i32.const 4112) "\68\10\00\00\07\00\00\00") (data (i32.const 4200) "evil:/a")"#)
        .body("shares.create-share", "(i32.const 4096)");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("a foreign address");
    let CallError::InvalidAnswer { function, reason } = error else { panic!("{error}") };
    assert_eq!(function, "shares.create-share");
    assert!(reason.contains("evil:/a") && reason.contains("grant.export_addresses"), "{reason}");
}

#[tokio::test]
async fn the_drivers_own_error_arrives_with_its_code() {
    let guest = Guest::default().with(&error_answer(NO_SPACE)).body("shares.create-share", ERROR_ANSWER);
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("no space");
    assert_eq!((error.code(), error.blame()), (Some(DriverErrorCode::NoSpace), Blame::Backend));
}

#[tokio::test]
async fn what_is_not_exported_is_not_called() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let error = generation.create_snapshot(&reason(), &fixture::snapshot()).await.expect_err("not exported");
    assert_eq!(error, CallError::NotExported { interface: "snapshots" });
    assert!(error.is_not_implemented());
}

#[tokio::test]
async fn a_denial_is_a_value_and_recorded_even_if_the_guest_traps_afterwards() {
    let call = r#"(call $root-space (i32.const 4096) (i32.const 4) (i32.const 8192))"#;
    let denied = "(i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1))";
    let guest = Guest::default()
        .import("files", "root-space")
        .with(r#"(data (i32.const 4096) "pool")"#)
        .body("shares.create-share", format!("{call} (if {denied} (then (loop (br 0)))) (unreachable)"));
    let (host, generation) = guest.generation(one_second()).await;
    let error = generation.create_share(&reason(), &share()).await.expect_err("traps");
    assert!(matches!(error, CallError::Trapped { .. }), "{error}");
    host.ledger.flush_all().await.expect("a flush");
    let records = host.ledger.tail(None, 10).await.expect("the ledger");
    let denials = records.iter().filter(|record| match &record.entry {
        LedgerEntry::Effect(effect) => {
            effect.outcome == EffectOutcome::Denied
                && effect.capability == "files.root-space"
                && effect.origin.function == "shares.create-share"
        }
        LedgerEntry::StateChange(_) => false,
    });
    assert_eq!(denials.count(), 1, "{records:?}");
}

#[tokio::test]
async fn what_runs_beside_and_beyond_a_call_is_denied_as_a_value_too() {
    let name = "(i32.const 4096) (i32.const 4)";
    let backends = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)";
    let nothing = "(i32.const 0) (i32.const 0)";
    for (interface, function, call) in [
        ("service", "start", format!("(call $start {name} {backends} {nothing} (i32.const 8192))")),
        ("service", "stop-group", format!("(call $stop-group {name} {backends} (i32.const 8192))")),
        ("dbus", "call", format!("(call $call {name} {backends} {nothing} (i32.const 8192))")),
        ("job", "poll", format!("(call $poll {name} {name} (i32.const 8192))")),
        ("job", "entries", "(call $entries (i32.const 8192))".to_owned()),
        ("files", "read-kernel", format!("(call $read-kernel {name} {name} {nothing} (i32.const 8192))")),
    ] {
        let is_error = "(i32.ne (i32.load8_u (i32.const 8192)) (i32.const 1))";
        let guest = Guest::default()
            .import(interface, function)
            .with(r#"(data (i32.const 4096) "pool")"#)
            .body("shares.create-share", format!("{call} (if {is_error} (then (unreachable))) {ZEROS}"));
        let (host, generation) = guest.generation(DriverLimits::default()).await;
        assert_eq!(generation.create_share(&reason(), &share()).await, Ok(Vec::new()), "{function}");
        host.ledger.flush_all().await.expect("a flush");
        let records = host.ledger.tail(None, 10).await.expect("the ledger");
        let recorded = records.iter().any(|record| match &record.entry {
            LedgerEntry::Effect(effect) => {
                effect.outcome == EffectOutcome::Denied
                    && effect.capability == format!("{interface}.{function}")
                    && effect.detail.contains("grant.capabilities")
            }
            LedgerEntry::StateChange(_) => false,
        });
        assert!(recorded, "{interface}.{function}: {records:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_host_costs_one_call_and_is_the_hosts_fault() {
    let guest = Guest::default()
        .import("private-data", "next-number")
        .with(r#"(data (i32.const 4096) "exports")"#)
        .body(
            "shares.create-share",
            format!("(call $next-number (i32.const 4096) (i32.const 7) (i32.const 8192)) {ZEROS}"),
        );
    let counters = vec!["exports".parse().expect("a label")];
    let private_data = Some(PrivateDataDeclaration { backend_scope: None, counters });
    let manifest = Manifest { private_data, ..fixture::manifest() };
    let grant = grant_everything(&manifest, &BTreeMap::new());
    let mut parts = fixture::host().await.parts("nas", manifest, grant).expect("the parts");
    parts.store = Arc::new(fixture::PanickingStore);
    let engine = fixture::engine();
    let (digest, bytes) = guest.build();
    let component = engine.load(digest, &bytes).expect("the guest loads");
    let backend = Backend::new(parts).expect("a backend");
    let generation = crate::Generation::new(&engine, component, backend).expect("within its limits");
    let error = generation.create_share(&reason(), &share()).await.expect_err("panics");
    assert!(error.to_string().contains("the store has a fault"), "{error}");
    assert_eq!(error.blame(), Blame::Host);
    assert_eq!(generation.setup(&reason()).await, Ok(()));
}

#[tokio::test]
async fn calls_of_one_generation_run_side_by_side() {
    let guest = Guest::default().body("shares.create-share", "(loop (br 0)) (unreachable)");
    let (_host, generation) = guest.generation(one_second()).await;
    let generation = Arc::new(generation);
    let spinning = tokio::spawn({
        let generation = Arc::clone(&generation);
        async move { generation.create_share(&reason(), &share()).await }
    });
    while generation.stats(&reason()).await.is_err() {}
    assert!(!spinning.is_finished());
    assert!(spinning.await.expect("no panic").is_err());
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_the_hosts_fault() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let shares = vec![share(); crate::ENSURE_BATCH + 1];
    let error = generation.ensure_shares(&reason(), &shares).await.expect_err("too many");
    assert_eq!(error.blame(), Blame::Host);
}

fn one_of_each() -> AccessUpdate {
    let (new, changed, gone) = (fixture::rule(), fixture::rule(), fixture::rule());
    AccessUpdate {
        rules: vec![new.clone(), changed.clone()],
        add: vec![new],
        remove: vec![gone],
        update: vec![changed],
    }
}

#[tokio::test]
async fn a_driver_of_single_rules_is_asked_rule_by_rule() {
    let guest = Guest::default().without("access").export("access-by-rule");
    let (_host, generation) = guest.generation(DriverLimits::default()).await;
    let update = one_of_each();
    let outcomes = generation.update_access(&reason(), &share(), &update).await.expect("all in force");
    let expected = [update.add[0].id, update.update[0].id];
    assert_eq!(outcomes.iter().map(|outcome| outcome.rule).collect::<Vec<_>>(), expected);
    assert!(outcomes.iter().all(|outcome| outcome.state == AccessRuleState::Active));
}

/// Contract A-16.
#[tokio::test]
async fn rules_are_allowed_before_any_is_denied() {
    let guest = Guest::default()
        .without("access")
        .export("access-by-rule")
        .body("access-by-rule.allow-access", "(unreachable)")
        .body("access-by-rule.deny-access", "(loop (br 0)) (unreachable)");
    let (_host, generation) =
        guest.generation(DriverLimits { access_seconds: 1, ..DriverLimits::default() }).await;
    let error = generation.update_access(&reason(), &share(), &one_of_each()).await.expect_err("traps");
    assert!(matches!(error, CallError::Trapped { function: "access-by-rule.allow-access", .. }), "{error}");
    let removal = AccessUpdate { remove: vec![fixture::rule()], ..AccessUpdate::default() };
    let error = generation.update_access(&reason(), &share(), &removal).await.expect_err("never ends");
    assert!(
        matches!(error, CallError::DeadlineExceeded { function: "access-by-rule.deny-access", .. }),
        "{error}"
    );
}

/// Contract A-16.
#[tokio::test]
async fn the_older_way_is_taken_where_the_newer_is_not_implemented() {
    let guest = |older: bool| {
        let guest =
            Guest::default().with(&error_answer(NOT_IMPLEMENTED)).body("access.update-access", ERROR_ANSWER);
        if older { guest.export("access-by-rule") } else { guest }
    };
    let (_host, generation) = guest(true).generation(DriverLimits::default()).await;
    assert!(generation.update_access(&reason(), &share(), &one_of_each()).await.is_ok());
    let (_host, generation) = guest(false).generation(DriverLimits::default()).await;
    let error = generation.update_access(&reason(), &share(), &one_of_each()).await.expect_err("neither way");
    assert!(error.is_not_implemented(), "{error}");
}
