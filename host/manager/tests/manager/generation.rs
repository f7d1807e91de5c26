//! Generations: what becomes current, what changes nothing, the way back, and the same number after every start.

use crate::fake::{Act, World, answered};
use crate::house::{code, new_share, open, open_with, operator, ready, reviewer, settled, tenant, until};
use crate::shelf::{Shelf, current, ended, generation, generations, nas, package, refusal, roll_back, swap};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::{
    BackendFailure, BackendState, ChangeState, Detach, Force, GenerationState, Manager, ManagerSettings,
    Offer, Origin, Step,
};
use bulkhead_model::effect::LedgerEntry;
use bulkhead_model::error::{Blame, CallError, DriverErrorCode};
use bulkhead_model::id::{Digest, GenerationNumber};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::statistics::Statistics;
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use GenerationState::{Current, Failed, Retired};

const FILE: &str = "/backends/nas.toml";

/// A shelf with packages 1 to 9, a file that names the first, and a daemon that has taken it.
struct Room {
    store: Arc<MemoryStore>,
    world: Arc<Mutex<World>>,
    shelf: Shelf,
    manager: Manager,
}

impl Room {
    async fn new() -> Self {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        let shelf = Shelf::new(&world);
        for number in 1..10 {
            shelf.put(&format!("/{number}.wasm"), number);
        }
        shelf.write(FILE, "/1.wasm", "");
        let manager = start(&store, &shelf).await;
        manager.offer_backend(&nas(), shelf.offer(FILE));
        ready(&manager, "nas").await;
        Self { store, world, shelf, manager }
    }

    /// End the daemon and start another one on the same store.
    async fn restart(&mut self) {
        self.manager.drain(Duration::from_secs(5)).await;
        self.manager = start(&self.store, &self.shelf).await;
        self.manager.recover().await.expect("recovered");
    }

    async fn words(&self) -> Vec<(String, String)> {
        let ledger = Ledger::open(self.store.clone(), LedgerKey::new([7; 32])).await.expect("the ledger");
        let records = ledger.tail(Some(&nas()), 1000).await.expect("records");
        let changes = records.into_iter().filter_map(|record| match record.entry {
            LedgerEntry::StateChange(change) if change.resource == "backend/nas" => {
                Some((change.actor, change.change))
            }
            _ => None,
        });
        changes.collect()
    }
}

async fn start(store: &Arc<MemoryStore>, shelf: &Shelf) -> Manager {
    let manager = open(store.clone()).await;
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.resume_backends().await.expect("resumed");
    manager
}

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
async fn a_file_that_changed_while_the_daemon_was_down_makes_a_new_generation_at_the_start() {
    let mut room = Room::new().await;
    room.shelf.write(FILE, "/2.wasm", "");
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("the new one is current", async || current(&room.manager) == Some(2)).await;
}

#[tokio::test]
async fn what_the_vendor_does_to_its_file_changes_nothing_before_somebody_asks() {
    let mut room = Room::new().await;
    room.shelf.put("/1.wasm", 5);
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
    assert_eq!(
        (current(&room.manager), generation(&room.manager, 1).identity.package),
        (Some(1), package(1))
    );
    assert_eq!(swap(&room.manager, None).await.state, ChangeState::Done);
    assert_eq!(
        (current(&room.manager), generation(&room.manager, 2).identity.package),
        (Some(2), package(5))
    );
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
async fn the_way_back_keeps_the_number_and_needs_no_file() {
    let room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    swap(&room.manager, Some("/3.wasm")).await;
    room.shelf.put("/1.wasm", 9);
    room.shelf.put("/2.wasm", 9);
    assert_eq!(roll_back(&room.manager, None).await.generation, Some(GenerationNumber(2)));
    assert_eq!(current(&room.manager), Some(2));
    assert_eq!(roll_back(&room.manager, None).await.generation, Some(GenerationNumber(3)));
    assert_eq!(roll_back(&room.manager, Some(1)).await.generation, Some(GenerationNumber(1)));
    assert_eq!(generations(&room.manager), [(1, Current), (2, Retired), (3, Retired)]);
    assert_eq!(room.shelf.linked().last(), Some(&(1, GenerationNumber(1))));
    let change = swap(&room.manager, Some("/4.wasm")).await;
    assert_eq!(change.generation, Some(GenerationNumber(4)), "no number is given twice");
}

#[tokio::test]
async fn the_last_generations_stay_for_the_way_back_and_older_ones_are_forgotten_with_their_packages() {
    let room = Room::new().await;
    for number in 2..10 {
        assert_eq!(swap(&room.manager, Some(&format!("/{number}.wasm"))).await.state, ChangeState::Done);
    }
    let kept: Vec<_> = generations(&room.manager).into_iter().map(|(number, _)| number).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8, 9]);
    assert_eq!(room.shelf.kept(), 6);
    let refused = room.manager.roll_back_backend(&operator(), &nas(), Some(GenerationNumber(3))).await;
    assert_eq!(code(refused), "not-found");
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
async fn a_way_back_that_fails_leaves_both_generations_as_they_were() {
    let room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    room.shelf.fail(1, Step::Link, refusal("root-unusable"));
    let change = roll_back(&room.manager, None).await;
    assert_eq!((change.state, change.step), (ChangeState::Failed, Step::Link));
    assert_eq!(generations(&room.manager), [(1, Retired), (2, Current)]);
    assert_eq!(generation(&room.manager, 1).failure, Some(refusal("root-unusable")));
    room.shelf.heal(1);
    assert_eq!(roll_back(&room.manager, None).await.state, ChangeState::Done);
    assert_eq!(generation(&room.manager, 1).failure, None);
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
async fn a_backend_is_not_loaded_again_before_all_that_the_unloaded_one_keeps_running_has_ended() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("end-services", Act::Hold(held.clone())));
    let swap = room.manager.swap_backend(&operator(), &nas(), Some(PathBuf::from("/2.wasm"))).await;
    assert_eq!(ended(&room.manager, swap).await.state, ChangeState::Done);
    room.shelf.write("/again.toml", "/3.wasm", "");
    let load = async || room.manager.load_backend(&operator(), &nas(), PathBuf::from("/again.toml")).await;
    let early = async {
        until("it is off the list", async || room.manager.list_backends().is_empty()).await;
        let refused = code(load().await);
        // Killed now, the next daemon finds the backend, and its services with it.
        let generations = room.manager.list_generations(&nas()).expect("its generations");
        assert!(generations.iter().any(|one| one.state == GenerationState::Current));
        hold.add_permits(1);
        refused
    };
    let unload = async { room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await };
    let (unloaded, refused) = tokio::join!(unload, early);
    unloaded.expect("it is empty");
    assert_eq!(refused, "change-running");
    assert!(room.manager.list_backends().is_empty(), "what was refused is not listed");
    assert_eq!(ended(&room.manager, load().await).await.state, ChangeState::Done);
}

#[tokio::test]
async fn a_backend_that_cannot_be_set_up_takes_what_it_keeps_running_with_it_when_it_is_unloaded() {
    let mut room = Room::new().await;
    let broken = || CallError::Host { reason: "the pool is not mounted".to_owned() };
    room.shelf.prepare(1, move |driver| (0..100).for_each(|_| driver.then("setup", Act::Fail(broken()))));
    room.restart().await;
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    let calls = room.world.lock().expect("the world").calls.clone();
    assert!(calls.iter().any(|(function, _)| *function == "end-services"), "{calls:?}");
    assert!(room.manager.list_backends().is_empty());
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
async fn a_file_that_cannot_be_taken_is_shown_and_taken_as_soon_as_it_can_be() {
    let room = Room::new().await;
    room.shelf.fail(2, Step::Link, refusal("root-unusable"));
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it has failed twice", async || {
        room.words().await.iter().filter(|(_, words)| words.contains("root-unusable")).count() >= 2
    })
    .await;
    assert_eq!(generations(&room.manager), [(1, Current), (2, Failed)], "the number is kept for its repeats");
    room.shelf.heal(2);
    until("it is current", async || current(&room.manager) == Some(2)).await;
}

#[tokio::test]
async fn a_driver_that_is_to_blame_is_not_tried_again_beside_one_that_serves() {
    let room = Room::new().await;
    let failure = BackendFailure { blame: Blame::Driver, ..refusal("driver-invalid") };
    room.shelf.fail(2, Step::Verify, failure);
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    let failures =
        async || room.words().await.iter().filter(|(_, words)| words.contains("verify failed")).count();
    until("it has failed", async || failures().await == 1).await;
    // A repeat would have come after a millisecond.
    swap(&room.manager, Some("/3.wasm")).await;
    assert_eq!(failures().await, 1);
    assert_eq!(current(&room.manager), Some(2));
}

#[tokio::test]
async fn a_command_overrules_a_file_that_could_not_be_taken_also_after_a_restart() {
    let mut room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    room.shelf.fail(3, Step::Link, refusal("root-unusable"));
    room.shelf.write(FILE, "/3.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it has failed", async || generations(&room.manager).len() == 3).await;
    // The file's own attempts come in between.
    until("there is a gap between two attempts", async || {
        let to = Some(GenerationNumber(1));
        room.manager.roll_back_backend(&operator(), &nas(), to).await.is_ok()
    })
    .await;
    until("the first is current", async || current(&room.manager) == Some(1)).await;
    room.shelf.heal(3);
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(1));
}

#[tokio::test]
async fn content_that_comes_while_other_content_is_on_its_way_is_taken_after_it() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("setup", Act::Hold(held.clone())));
    let first = room.shelf.offer(FILE);
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it is at set-up", async || {
        room.manager
            .show_backend(&nas())
            .expect("shown")
            .last_change
            .is_some_and(|one| one.step == Step::Setup)
    })
    .await;
    room.manager.offer_backend(&nas(), first);
    hold.add_permits(1);
    until("the content that came last is current", async || current(&room.manager) == Some(3)).await;
    assert_eq!(generation(&room.manager, 3).identity.package, package(1));
}

#[tokio::test]
async fn a_recorded_generation_that_cannot_be_set_up_is_brought_up_again_by_a_swap_to_itself() {
    let mut room = Room::new().await;
    room.shelf.fail(1, Step::Link, refusal("root-unusable"));
    room.manager.drain(Duration::from_secs(5)).await;
    // It is not tried again by itself before the test is over.
    let patient = |settings: &mut ManagerSettings| settings.first_setup_repeat = Duration::from_secs(600);
    room.manager = open_with(room.store.clone(), patient).await;
    room.manager.load_drivers_with(Arc::new(room.shelf.clone()));
    room.manager.resume_backends().await.expect("resumed");
    until("it is unusable", async || {
        let state = room.manager.show_backend(&nas()).expect("listed").state;
        matches!(state, BackendState::Unusable { .. })
    })
    .await;
    assert_eq!(swap(&room.manager, None).await.step, Step::Link);
    room.shelf.heal(1);
    assert_eq!(swap(&room.manager, None).await.generation, Some(GenerationNumber(1)));
    assert_eq!(generations(&room.manager), [(1, Current)]);
}

#[tokio::test]
async fn an_unreadable_file_is_shown_and_changes_nothing() {
    let room = Room::new().await;
    let origin = Origin { file: PathBuf::from(FILE), content: Digest::from_bytes([99; 32]) };
    room.manager.offer_backend(&nas(), Offer { origin, written: Err(refusal("configuration-invalid")) });
    let view = room.manager.show_backend(&nas()).expect("the backend");
    assert_eq!(view.state, BackendState::Ready);
    assert_eq!(view.last_change.and_then(|change| change.failure), Some(refusal("configuration-invalid")));
    assert_eq!(current(&room.manager), Some(1));
}

#[tokio::test]
async fn a_backend_is_loaded_by_command_and_serves_after_a_restart_without_any_file() {
    let mut room = Room::new().await;
    room.shelf.write("/elsewhere.toml", "/4.wasm", "");
    let refused = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/elsewhere.toml")).await;
    assert_eq!(code(refused), "backend-exists");
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    let begun = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/elsewhere.toml")).await;
    assert_eq!(ended(&room.manager, begun).await.state, ChangeState::Done);
    room.restart().await;
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(2));
}

#[tokio::test]
async fn a_load_that_fails_leaves_no_backend_behind_but_its_reason() {
    let manager = start(&Arc::new(MemoryStore::new()), &Shelf::new(&Arc::default())).await;
    let change =
        ended(&manager, manager.load_backend(&operator(), &nas(), PathBuf::from("/no.toml")).await).await;
    assert_eq!((change.state, change.step), (ChangeState::Failed, Step::Configure));
    until("it is gone", async || manager.list_backends().is_empty()).await;
}

#[tokio::test]
async fn a_backend_in_use_is_not_unloaded_unless_its_shares_are_detached_and_they_come_back_with_it() {
    let mut room = Room::new().await;
    let share = room.manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&room.manager).await;
    let refused = room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await;
    assert_eq!(code(refused), "backend-in-use");
    assert_eq!(current(&room.manager), Some(1));
    room.manager.unload_backend(&operator(), &nas(), Detach::Shares).await.expect("detached");
    assert!(room.manager.list_backends().is_empty());
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    assert!(room.manager.list_backends().is_empty(), "its unchanged file does not load it again");
    room.shelf.write("/again.toml", "/2.wasm", "");
    let begun = room.manager.load_backend(&operator(), &nas(), PathBuf::from("/again.toml")).await;
    assert_eq!(ended(&room.manager, begun).await.state, ChangeState::Done);
    room.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    settled(&room.manager).await;
    assert!(room.manager.list_shares(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_file_that_comes_back_after_it_was_gone_is_a_new_one() {
    let room = Room::new().await;
    room.manager.withdraw_offer(&nas()).await.expect("recorded");
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
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

#[tokio::test]
async fn a_kept_package_that_is_lost_is_told_and_a_swap_heals_it() {
    let mut room = Room::new().await;
    room.manager.drain(Duration::from_secs(5)).await;
    bulkhead_manager::DriverLoader::keep_only(&room.shelf, Box::new(std::collections::BTreeSet::new)).await;
    room.manager = start(&room.store, &room.shelf).await;
    until("it is unusable", async || {
        let state = room.manager.show_backend(&nas()).expect("listed").state;
        matches!(state, BackendState::Unusable { failure, .. } if failure.code == "package-lost")
    })
    .await;
    room.shelf.put("/1.wasm", 2);
    assert_eq!(swap(&room.manager, None).await.state, ChangeState::Done);
    ready(&room.manager, "nas").await;
}

#[tokio::test]
async fn a_record_of_a_version_that_did_not_count_is_read_and_its_number_not_used_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let key = Key::new(&["record", "backend", "nas"]);
    let value = br#"{"name":"nas","fingerprint":null,"generation":1}"#.to_vec();
    store.commit(Transaction::default().put(key, value)).await.expect("written");
    let shelf = Shelf::new(&Arc::default());
    shelf.put("/1.wasm", 1);
    shelf.write(FILE, "/1.wasm", "");
    let manager = start(&store, &shelf).await;
    manager.offer_backend(&nas(), shelf.offer(FILE));
    ready(&manager, "nas").await;
    assert_eq!(current(&manager), Some(2));
}

#[tokio::test]
async fn the_number_of_kept_generations_is_a_setting() {
    let shelf = Shelf::new(&Arc::default());
    for number in 1..5 {
        shelf.put(&format!("/{number}.wasm"), number);
    }
    shelf.write(FILE, "/1.wasm", "");
    let manager = open_with(Arc::new(MemoryStore::new()), |settings| settings.kept_generations = 1).await;
    manager.load_drivers_with(Arc::new(shelf.clone()));
    manager.offer_backend(&nas(), shelf.offer(FILE));
    ready(&manager, "nas").await;
    for number in 2..5 {
        swap(&manager, Some(&format!("/{number}.wasm"))).await;
    }
    assert_eq!(generations(&manager), [(3, Retired), (4, Current)]);
}
