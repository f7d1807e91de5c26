//! Swaps: what becomes current, what changes nothing, and the calls that run meanwhile.

use super::{FILE, Room};
use crate::fake::{Act, answered};
use crate::house::{code, new_share, operator, ready, reviewer, settled, tenant, until};
use crate::shelf::{current, ended, generation, generations, nas, package, refusal, roll_back, swap};
use bulkhead_manager::GenerationState::{Current, Failed, Retired};
use bulkhead_manager::{BackendState, ChangeState, Detach, Force, Step};
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::GenerationNumber;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::statistics::Statistics;
use std::path::PathBuf;
use std::sync::Arc;

#[tokio::test]
async fn a_file_that_is_new_loads_a_backend_and_a_changed_one_swaps_it() {
    let room = Room::new().await;
    assert_eq!(current(&room.manager), Some(1));
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("the second is current", async || current(&room.manager) == Some(2)).await;
    assert_eq!(generations(&room.manager), [(1, Retired), (2, Current)]);
    assert_eq!(generation(&room.manager, 2).asked_by, "host");
}

#[tokio::test]
async fn a_swap_by_command_keeps_the_settings_and_wins_over_the_unchanged_file_after_a_restart() {
    let mut room = Room::new().await;
    room.shelf.write(FILE, "/1.wasm", "settings");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("the settings are current", async || current(&room.manager) == Some(2)).await;
    let change = swap(&room.manager, Some("/3.wasm")).await;
    assert_eq!((change.state, change.generation), (ChangeState::Done, Some(GenerationNumber(3))));
    assert_eq!((change.asked_by.as_str(), change.before), ("root", Some(GenerationNumber(2))));
    let third = generation(&room.manager, 3);
    assert_eq!((third.settings.as_str(), third.identity.package), ("settings", package(3)));
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(3));
    assert_eq!(generations(&room.manager).len(), 3, "the file has asked for nothing");
}

#[tokio::test]
async fn asking_for_what_is_current_changes_nothing() {
    let room = Room::new().await;
    let change = swap(&room.manager, None).await;
    assert_eq!((change.state, change.failure), (ChangeState::Unchanged, None));
    assert_eq!(swap(&room.manager, Some("/1.wasm")).await.state, ChangeState::Unchanged);
    assert_eq!(roll_back(&room.manager, Some(1)).await.state, ChangeState::Unchanged);
    assert_eq!(generations(&room.manager), [(1, Current)]);
}

#[tokio::test]
async fn whatever_fails_at_any_step_changes_nothing_and_says_where_and_why() {
    for (number, step) in [(2, Step::Verify), (3, Step::Prepare), (4, Step::Compile), (5, Step::Link)] {
        let room = Room::new().await;
        room.shelf.fail(number, step, refusal("as-told"));
        let change = swap(&room.manager, Some(&format!("/{number}.wasm"))).await;
        assert_eq!((change.state, change.step), (ChangeState::Failed, step));
        assert_eq!(change.failure, Some(refusal("as-told")));
        unharmed(&room, step).await;
    }
    let room = Room::new().await;
    assert_eq!(swap(&room.manager, Some("/nothing.wasm")).await.step, Step::Verify);
    unharmed(&room, Step::Verify).await;
}

/// The first generation serves, is what a restart serves, and the failure is shown and recorded.
async fn unharmed(room: &Room, step: Step) {
    assert_eq!(current(&room.manager), Some(1), "{step}");
    let view = room.manager.show_backend(&nas()).expect("the backend");
    assert_eq!(view.state, BackendState::Ready, "{step}");
    assert!(view.statistics.is_some_and(|statistics| !statistics.pools.is_empty()), "{step}");
    assert_eq!(view.last_change.map(|change| change.step), Some(step));
    room.manager.create_share(&tenant(), new_share(1)).await.expect("it serves");
    settled(&room.manager).await;
    let words = room.words().await;
    let (actor, failure) = words.iter().rev().find(|(_, words)| words.contains("failed")).expect("recorded");
    assert!(actor == "root" && failure.contains(&format!("{step} failed")), "{actor}: {failure}");
}

fn told(error: CallError) -> Act {
    Act::Fail(error)
}

#[tokio::test]
async fn a_driver_that_traps_hangs_or_lies_while_it_is_set_up_never_becomes_current() {
    let function = "lifecycle.setup";
    let trap = CallError::Trapped { function, reason: "unreachable".to_owned() };
    let hang = CallError::DeadlineExceeded { function, limit_ms: 1000 };
    let lie = CallError::InvalidAnswer { function: "lifecycle.stats", reason: "NaN".to_owned() };
    let refuses = answered(DriverErrorCode::BadConfiguration);
    let cases = [
        ("setup", trap, Step::Setup, "trapped"),
        ("setup", hang, Step::Setup, "deadline-exceeded"),
        ("setup", refuses, Step::Setup, "bad-configuration"),
        ("stats", lie, Step::Statistics, "invalid-answer"),
    ];
    for (call, error, step, expected) in cases {
        let room = Room::new().await;
        room.shelf.prepare(2, move |driver| driver.then(call, told(error.clone())));
        let change = swap(&room.manager, Some("/2.wasm")).await;
        assert_eq!((change.state, change.step), (ChangeState::Failed, step), "{change:?}");
        assert_eq!(change.failure.map(|failure| failure.code).as_deref(), Some(expected));
        assert_eq!(generation(&room.manager, 2).failed_step, Some(step));
        assert_eq!(generations(&room.manager), [(1, Current), (2, Failed)]);
        unharmed(&room, step).await;
    }
}

#[tokio::test]
async fn statistics_of_the_new_generation_are_there_as_soon_as_it_serves() {
    let room = Room::new().await;
    room.shelf.prepare(2, |driver| driver.free_gib = 77.0);
    swap(&room.manager, Some("/2.wasm")).await;
    let view = room.manager.show_backend(&nas()).expect("the backend");
    let free = |statistics: &Statistics| statistics.pools[0].free;
    let free = view.statistics.as_deref().map(free);
    assert_eq!(free, Some(bulkhead_model::statistics::Capacity::Gib(77.0)));
}

#[tokio::test]
async fn calls_end_on_the_generation_they_began_with_and_others_that_waited_begin_on_the_new_one() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("create-share", Act::Hold(held.clone())));
    swap(&room.manager, Some("/2.wasm")).await;
    room.manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    let running = || generation(&room.manager, 2).running_calls;
    until("the call runs", async || running() == 1).await;
    swap(&room.manager, Some("/3.wasm")).await;
    assert_eq!((current(&room.manager), running()), (Some(3), 1));
    hold.add_permits(1);
    settled(&room.manager).await;
    until("the old generation is empty", async || running() == 0).await;
    let operations = room.manager.list_operations(&Scope::Everything, 10);
    assert_eq!(operations[0].state, OperationState::Succeeded);
    assert_eq!(operations[0].generation, Some(GenerationNumber(2)));
}

#[tokio::test]
async fn no_call_fails_or_is_repeated_while_drivers_are_swapped_under_it() {
    let room = Room::new().await;
    let manager = room.manager.clone();
    let client = tokio::spawn(async move {
        for _ in 0..100 {
            let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
            settled(&manager).await;
            manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
            settled(&manager).await;
        }
    });
    let mut swaps = 0;
    while !client.is_finished() {
        let package = if swaps % 2 == 0 { "/2.wasm" } else { "/1.wasm" };
        assert_eq!(swap(&room.manager, Some(package)).await.state, ChangeState::Done);
        swaps += 1;
    }
    client.await.expect("no request was refused");
    assert!(swaps > 3, "only {swaps} swaps");
    let operations = room.manager.list_operations(&Scope::Everything, 1000);
    assert_eq!(operations.len(), 200);
    assert!(operations.iter().all(|one| one.state == OperationState::Succeeded && one.attempts == 1));
    let world = room.world.lock().expect("the world");
    assert!(world.shares.is_empty() && world.overlaps.is_empty(), "{:?}", world.overlaps);
}

#[tokio::test]
async fn only_one_change_of_a_backend_runs_at_a_time() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("setup", Act::Hold(held.clone())));
    let running = room.manager.swap_backend(&operator(), &nas(), Some(PathBuf::from("/2.wasm"))).await;
    until("it is at set-up", async || {
        room.manager
            .show_backend(&nas())
            .expect("shown")
            .last_change
            .is_some_and(|one| one.step == Step::Setup)
    })
    .await;
    let change = |package: &str| Some(PathBuf::from(package));
    assert_eq!(
        code(room.manager.swap_backend(&operator(), &nas(), change("/3.wasm")).await),
        "change-running"
    );
    assert_eq!(
        code(room.manager.roll_back_backend(&operator(), &nas(), Some(GenerationNumber(1))).await),
        "change-running"
    );
    assert_eq!(
        code(room.manager.unload_backend(&operator(), &nas(), Detach::Shares).await),
        "change-running"
    );
    hold.add_permits(1);
    assert_eq!(ended(&room.manager, running).await.state, ChangeState::Done);
}

#[tokio::test]
async fn every_step_is_in_the_ledger_with_who_asked() {
    let room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    let words = room.words().await;
    let of_operator: Vec<_> =
        words.iter().filter(|(actor, _)| actor == "root").map(|(_, words)| words.as_str()).collect();
    let [configure, verify, prepare, prepared, compile, link, setup, statistics, commit, current] =
        of_operator.as_slice()
    else {
        panic!("{of_operator:#?}")
    };
    assert_eq!((*configure, *verify, *prepare), ("swap: configure", "swap: verify", "swap: prepare"));
    assert!(prepared.starts_with(&format!("generation 2: fake 2.0.0 {}", package(2))), "{prepared}");
    assert_eq!((*compile, *link), ("swap: generation 2: compile", "swap: generation 2: link"));
    assert_eq!((*setup, *statistics), ("swap: generation 2: setup", "swap: generation 2: statistics"));
    assert_eq!(*commit, "swap: generation 2: commit");
    assert_eq!(*current, "generation 2 is current, generation 1 retires");
}

#[tokio::test]
async fn only_operators_change_backends() {
    let room = Room::new().await;
    for somebody in [tenant(), reviewer()] {
        assert_eq!(code(room.manager.swap_backend(&somebody, &nas(), None).await), "forbidden");
        assert_eq!(
            code(room.manager.roll_back_backend(&somebody, &nas(), Some(GenerationNumber(1))).await),
            "forbidden"
        );
        assert_eq!(code(room.manager.unload_backend(&somebody, &nas(), Detach::Shares).await), "forbidden");
        let file = PathBuf::from(FILE);
        assert_eq!(
            code(room.manager.load_backend(&somebody, &"new".parse().expect("a name"), file).await),
            "forbidden"
        );
    }
}
