use crate::lab::{Lab, at, code, snapshot_slots};
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::manifest::OptionValue;
use bulkhead_model::target::CallTarget;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_failed_command_brings_its_exit_and_its_words() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(Finished {
        ending: Ending::Exited(3),
        stdout: b"half".to_vec(),
        stderr: b"cp: \x1b[31mno space\n".to_vec(),
        truncated: false,
        duration_ms: 5,
    }));
    let error = lab.call().execute().run("measure", &[at("at", "{share}")]).await.expect_err("it fails");
    assert_eq!(error.code, CapabilityCode::CommandFailed);
    let exit = error.exit.expect("an exit");
    assert_eq!((exit.exit_code, exit.signal, exit.stdout.as_slice()), (Some(3), None, b"half".as_slice()));
    assert_eq!(exit.stderr, "cp: \\u{1b}[31mno space\n");
}

#[tokio::test]
async fn the_ledger_has_a_begin_and_an_end_with_the_slots() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    call.execute().run("copy-tree", &snapshot_slots()).await.expect("it runs");
    lab.fake.end(Ending::TimedOut);
    let again = [at("from", "{share}"), at("to", ".{share}.new")];
    assert_eq!(code(call.execute().run("copy-tree", &again).await), CapabilityCode::TimedOut);
    let effects = lab.effects().await;
    let outcomes: Vec<_> = effects.iter().map(|effect| effect.outcome).collect();
    let begun = EffectOutcome::Begun;
    assert_eq!(outcomes, [begun, EffectOutcome::Done, begun, EffectOutcome::Failed]);
    assert!(effects.iter().all(|effect| effect.subject == "copy-tree"));
    assert!(
        effects[0].detail.starts_with("from=shares/share-")
            && effects[0].detail.contains(" to=shares/share-")
    );
}

#[tokio::test]
async fn a_command_may_take_no_longer_than_its_template_and_what_is_left_of_the_call() {
    let lab = Lab::new().await;
    let measure = [at("at", "{share}")];
    let call = |seconds| {
        lab.call_of(origin("shares.create-share"), CallTarget::share(lab.share), Duration::from_secs(seconds))
    };
    call(10).execute().run("measure", &measure).await.expect("it runs");
    call(10_000).execute().run("measure", &measure).await.expect("it runs");
    let requests = lab.fake.requests();
    assert!(requests[0].timeout <= Duration::from_secs(10));
    assert_eq!(requests[1].timeout, Duration::from_secs(600));
    assert_eq!(code(call(0).execute().run("measure", &measure).await), CapabilityCode::TimedOut);
    assert_eq!(lab.fake.requests().len(), 2);
}

#[tokio::test]
async fn a_dropped_call_ends_its_command_and_holds_its_path_until_it_has() {
    let lab = Lab::new().await;
    lab.fake.hang_on();
    let call = lab.snapshot_call();
    let slots = snapshot_slots();
    let execute = call.execute();
    let running = execute.run("copy-tree", &slots);
    assert!(tokio::time::timeout(Duration::from_millis(100), running).await.is_err());
    tokio::time::timeout(Duration::from_secs(10), lab.fake.wait_for_abandoned()).await.expect("it was ended");
    let target = || CallTarget::snapshot(lab.snapshot, lab.share);
    let next = lab.call_of(origin("snapshots.create-snapshot"), target(), Duration::from_millis(200));
    assert_eq!(code(next.execute().run("copy-tree", &slots).await), CapabilityCode::TimedOut);
    assert_eq!(lab.fake.requests().len(), 1);
    lab.fake.release();
    let last = lab.call_of(origin("snapshots.create-snapshot"), target(), Duration::from_secs(10));
    last.execute().run("copy-tree", &slots).await.expect("the path is free again");
}

#[tokio::test]
async fn commands_above_the_limit_wait_and_are_refused_as_busy_at_the_deadline() {
    let lab = Lab::with(|parts| parts.limits.concurrent_commands = 2).await;
    lab.fake.hang();
    let measure = [at("at", "{share}")];
    let calls = [lab.call(), lab.call()];
    let running: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let measure = measure.clone();
            tokio::spawn(async move { call.execute().run("measure", &measure).await })
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(10);
    while lab.fake.requests().len() < 2 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let target = CallTarget::share(lab.share);
    let third = lab.call_of(origin("shares.create-share"), target, Duration::from_millis(200));
    let error = third.execute().run("measure", &measure).await.expect_err("it is refused");
    assert_eq!(error.code, CapabilityCode::Busy);
    assert!(error.message.contains("limits.concurrent-commands"), "{error}");
    assert_eq!(lab.fake.requests().len(), 2);
    for task in running {
        task.abort();
    }
}

/// Contract D-01.
#[tokio::test]
async fn a_failed_command_is_tried_as_often_as_the_option_says() {
    let lab = Lab::with(|parts| {
        parts.options.insert("num_shell_tries".to_owned(), OptionValue::Integer(2));
    })
    .await;
    let call = lab.call();
    let measure = [at("at", "{share}")];
    lab.fake.end(Ending::Exited(1));
    let begun = Instant::now();
    call.execute().run_with_retries("measure", &measure).await.expect("the second try succeeds");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(lab.fake.requests().len(), 2);
    for _ in 0..2 {
        lab.fake.end(Ending::Exited(1));
    }
    let failed = call.execute().run_with_retries("measure", &measure).await;
    assert_eq!(code(failed), CapabilityCode::CommandFailed, "both tries have failed");
    assert_eq!(lab.fake.requests().len(), 4);
    lab.fake.end(Ending::TimedOut);
    assert_eq!(code(call.execute().run_with_retries("measure", &measure).await), CapabilityCode::TimedOut);
    assert_eq!(lab.fake.requests().len(), 5, "what is not a failure of the command is not tried again");
    let target = CallTarget::share(lab.share);
    let short = lab.call_of(origin("shares.create-share"), target, Duration::from_millis(500));
    lab.fake.end(Ending::Exited(1));
    assert_eq!(
        code(short.execute().run_with_retries("measure", &measure).await),
        CapabilityCode::CommandFailed
    );
    assert_eq!(lab.fake.requests().len(), 6);
}

#[tokio::test]
async fn what_must_not_be_repeated_is_not_retried() {
    let lab = Lab::new().await;
    let found = crate::lab::denial(
        lab.snapshot_call().execute().run_with_retries("copy-once", &snapshot_slots()).await,
    );
    assert!(found.contains("repeat = \"safe\""), "{found}");
}
