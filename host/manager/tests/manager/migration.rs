//! Shares that move between two backends that see the same world, with the driver's help.

use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{
    House, code, description, new_rule, new_snapshot, open_with, operator, ready, tenant, until,
};
use crate::share_type::{made, of_type};
use bulkhead_manager::{Force, Manager, ShareView, StartMigration, Started};
use bulkhead_model::ability::Ability;
use bulkhead_model::access::AccessLevel;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::migration::{Compatibility, MigrationOptions};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Placement;
use bulkhead_model::status::{AccessRuleState, ShareStatus, SnapshotStatus, TaskState};
use bulkhead_store::{MemoryStore, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub async fn open_moving(store: Arc<dyn Store>) -> Manager {
    open_with(store, |settings| settings.migration_period = Duration::from_millis(5)).await
}

pub fn to(backend: &str) -> StartMigration {
    StartMigration {
        to: Placement { backend: backend.parse().expect("a name"), pool: None },
        options: MigrationOptions::default(),
        new_type: None,
    }
}

fn asking(backend: &str, options: MigrationOptions) -> StartMigration {
    StartMigration { options, ..to(backend) }
}

pub fn task_state(manager: &Manager, share: ShareId) -> Option<TaskState> {
    manager.show_share(&Scope::Everything, share).expect("the share").share.task_state
}

pub async fn reaches(manager: &Manager, share: ShareId, wanted: TaskState) {
    until(wanted.as_str(), async || task_state(manager, share) == Some(wanted)).await;
}

/// A share on `east`, and `west` to move it to.
struct Pair {
    house: House,
    west: Arc<FakeDriver>,
    share: ShareId,
}

impl Pair {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(prepare: impl FnOnce(&mut FakeDriver)) -> Self {
        let world: Arc<Mutex<World>> = Arc::default();
        let store = Arc::new(MemoryStore::new());
        let mut east = FakeDriver::new(&world);
        prepare(&mut east);
        let east = Arc::new(east);
        let manager = open_moving(store.clone()).await;
        let house = House { manager, driver: Arc::clone(&east), world, store };
        house.manager.attach(description("east", 1), east);
        ready(&house.manager, "east").await;
        let share = house.share().await.share.id;
        let west = Arc::new(FakeDriver::new(&house.world));
        house.manager.attach(description("west", 1), Arc::clone(&west) as Arc<_>);
        ready(&house.manager, "west").await;
        house.manager.recover().await.expect("recovered");
        Self { house, west, share }
    }

    fn manager(&self) -> &Manager {
        &self.house.manager
    }

    fn show(&self) -> ShareView {
        self.house.show(self.share)
    }

    async fn start(&self, wanted: StartMigration) {
        let started = self.manager().start_migration(&operator(), self.share, wanted).await;
        assert_eq!(started.expect("accepted"), Started::Begun);
    }

    async fn reaches(&self, wanted: TaskState) {
        reaches(self.manager(), self.share, wanted).await;
    }

    /// At the end of the first phase.
    async fn moved(&self) {
        self.start(to("west")).await;
        self.reaches(TaskState::MigrationDriverPhase1Done).await;
    }

    fn levels_at(&self, instance: ShareInstanceId) -> Vec<AccessLevel> {
        let world = self.house.world.lock().expect("the world");
        world
            .shares
            .get(&instance)
            .map(|held| held.rules.values().map(|rule| rule.1).collect())
            .unwrap_or_default()
    }

    /// As before the migration: at its old place, usable, and nothing of the destination left.
    fn assert_put_back(&self, word: TaskState) {
        let found = self.show();
        assert_eq!(found.share.task_state, Some(word));
        assert_eq!(found.instance.status, ShareStatus::Available);
        assert_eq!(found.instance.placement.backend.as_str(), "east");
        assert!(found.share.migration.is_none() && !found.has_replicas);
        let world = self.house.world.lock().expect("the world");
        assert_eq!(world.shares.keys().collect::<Vec<_>>(), [&found.instance.id], "{world:#?}");
    }

    fn failure(&self) -> String {
        let operations = self.manager().list_operations(&Scope::Everything, 1);
        let failure = operations.first().and_then(|operation| operation.failure.clone());
        failure.map(|failure| failure.message).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_share_moves_in_two_phases_with_its_rules_and_snapshots() {
    let pair = Pair::new().await;
    let rule = pair.house.rule(pair.share, "10.0.0.1").await;
    let snapshot = pair.house.snapshot(pair.share).await.snapshot.id;
    let before = pair.show();
    pair.moved().await;
    let moving = pair.show();
    assert_eq!((moving.instance.id, moving.instance.status), (before.instance.id, ShareStatus::Migrating));
    assert_eq!(pair.levels_at(before.instance.id), [AccessLevel::Ro], "nobody writes while it moves");
    assert_eq!(pair.house.show_snapshot(snapshot).instance.status, SnapshotStatus::Migrating);
    let operation = moving.operation.expect("the operation that owns it");
    assert_eq!(operation.state, OperationState::Waiting);
    assert!(operation.step.contains("migration_complete"), "{}", operation.step);
    pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    let after = pair.show();
    assert_eq!(after.share.task_state, Some(TaskState::MigrationSuccess));
    assert_eq!(after.instance.status, ShareStatus::Available);
    assert_eq!(after.instance.placement.backend.as_str(), "west");
    assert_ne!(after.instance.id, before.instance.id);
    assert!(after.instance.export_locations[0].location.path.contains(&after.instance.id.to_string()));
    assert_eq!(pair.levels_at(after.instance.id), [AccessLevel::Rw]);
    let kept = pair.house.show_snapshot(snapshot);
    assert_eq!(kept.instance.status, SnapshotStatus::Available);
    assert_eq!(kept.instance.share_instance, after.instance.id);
    let rules = pair.manager().list_access_rules(&House::scope(), pair.share).expect("the rules");
    assert_eq!((rules[0].rule.id, rules[0].state), (rule.rule.id, AccessRuleState::Active));
    {
        let world = pair.house.world.lock().expect("the world");
        assert_eq!((world.shares.len(), world.snapshots.len()), (1, 1), "{world:#?}");
        assert!(world.overlaps.is_empty(), "{:?}", world.overlaps);
    }
    pair.manager().delete_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    pair.house.settled().await;
    pair.manager().delete_share(&tenant(), pair.share, Force::No).await.expect("accepted");
    pair.house.settled().await;
    assert!(pair.house.world.lock().expect("the world").shares.is_empty());
}

/// Contract M-13.
#[tokio::test]
async fn what_was_asked_for_is_granted_or_nothing_moves() {
    for options in [
        MigrationOptions { writable: true, ..MigrationOptions::default() },
        MigrationOptions { writable: true, preserve_snapshots: true, ..MigrationOptions::default() },
    ] {
        let pair = Pair::new().await;
        pair.start(asking("west", options)).await;
        pair.house.settled().await;
        pair.assert_put_back(TaskState::MigrationError);
        assert!(pair.failure().contains("writable"), "{}", pair.failure());
        assert!(!pair.house.calls().contains(&"migration-start"));
    }
}

#[tokio::test]
async fn a_driver_that_lets_clients_write_meanwhile_leaves_the_rules_alone() {
    let pair = Pair::with(|east| east.compatibility.writable = true).await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    let source = pair.show().instance.id;
    pair.start(asking("west", MigrationOptions { writable: true, ..MigrationOptions::default() })).await;
    pair.reaches(TaskState::MigrationDriverPhase1Done).await;
    assert_eq!(pair.levels_at(source), [AccessLevel::Rw]);
}

/// Contract D-30, M-13.
#[tokio::test]
async fn a_driver_without_migration_is_not_asked_and_is_compatible_with_nothing() {
    let pair = Pair::with(|east| assert!(east.abilities.0.remove(&Ability::Migration))).await;
    pair.start(to("west")).await;
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationError);
    assert!(pair.failure().contains("the driver cannot move the share there"), "{}", pair.failure());
    assert!(
        !pair.house.calls().iter().any(|call| call.starts_with("migration-")),
        "{:?}",
        pair.house.calls()
    );
}

/// Contract M-13.
#[tokio::test]
async fn where_the_driver_cannot_and_the_host_cannot_reach_both_sides_the_share_stays() {
    let incompatible = |east: &mut FakeDriver| east.compatibility = Compatibility::default();
    let pair = Pair::with(incompatible).await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    pair.start(to("west")).await;
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationError);
    assert!(pair.failure().contains("the driver cannot move the share there"), "{}", pair.failure());
    assert_eq!(pair.levels_at(pair.show().instance.id), [AccessLevel::Rw]);
    let again = pair.manager().start_migration(&operator(), pair.share, to("west")).await;
    assert_eq!(again.expect("it may be tried anew"), Started::Begun);
}

/// Contract M-13.
#[tokio::test]
async fn snapshots_that_cannot_move_along_keep_the_share_where_it_is() {
    let pair = Pair::with(|east| east.compatibility.preserve_snapshots = false).await;
    let snapshot = pair.house.snapshot(pair.share).await.snapshot.id;
    pair.start(to("west")).await;
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationError);
    assert!(pair.failure().contains("the share has snapshots"), "{}", pair.failure());
    assert_eq!(pair.house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available);
}

#[tokio::test]
async fn a_failure_of_the_first_phase_gives_the_source_its_rules_and_snapshots_back() {
    for function in ["migration-start", "migration-continue"] {
        let pair = Pair::new().await;
        pair.house.rule(pair.share, "10.0.0.1").await;
        let snapshot = pair.house.snapshot(pair.share).await.snapshot.id;
        pair.house.driver.then(function, Act::Fail(answered(DriverErrorCode::BackendFailed)));
        pair.start(to("west")).await;
        pair.house.settled().await;
        let found = pair.show();
        assert_eq!(found.share.task_state, Some(TaskState::MigrationError), "{function}");
        assert_eq!(found.instance.status, ShareStatus::Available, "{function}");
        assert_eq!(pair.levels_at(found.instance.id), [AccessLevel::Rw], "{function}");
        let kept = pair.house.show_snapshot(snapshot).instance.clone();
        assert_eq!((kept.status, kept.share_instance), (SnapshotStatus::Available, found.instance.id));
    }
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_is_waited_for_in_every_phase() {
    let pair = Pair::new().await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    let unreachable = || Act::FailAfterEffect(answered(DriverErrorCode::BackendUnreachable));
    for function in ["check", "migration-start", "migration-continue", "migration-complete", "update-access"]
    {
        pair.house.driver.then(function, unreachable());
    }
    pair.west.then("update-access", unreachable());
    pair.moved().await;
    pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(task_state(pair.manager(), pair.share), Some(TaskState::MigrationSuccess));
    assert!(pair.house.world.lock().expect("the world").made.values().all(|times| *times == 1));
}

#[tokio::test]
async fn an_operator_stops_a_migration_and_everything_is_as_before() {
    let pair = Pair::new().await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    let snapshot = pair.house.snapshot(pair.share).await.snapshot.id;
    pair.moved().await;
    pair.manager().cancel_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationCancelled);
    assert_eq!(pair.levels_at(pair.show().instance.id), [AccessLevel::Rw]);
    assert_eq!(pair.house.show_snapshot(snapshot).instance.status, SnapshotStatus::Available);
    let operation = &pair.manager().list_operations(&Scope::Everything, 1)[0];
    assert_eq!(operation.state, OperationState::Abandoned);
}

#[tokio::test]
async fn a_stop_that_fails_leaves_the_migration_as_it_was_and_says_why() {
    let pair = Pair::new().await;
    pair.house.driver.then("migration-cancel", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.moved().await;
    pair.manager().cancel_migration(&operator(), pair.share).await.expect("accepted");
    until("the operation says why", async || !pair.failure().is_empty()).await;
    assert_eq!(task_state(pair.manager(), pair.share), Some(TaskState::MigrationDriverPhase1Done));
    pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(task_state(pair.manager(), pair.share), Some(TaskState::MigrationSuccess));
}

#[tokio::test]
async fn a_cut_over_that_failed_is_completed_or_cancelled_once_more() {
    for is_completed in [true, false] {
        let pair = Pair::new().await;
        pair.house.rule(pair.share, "10.0.0.1").await;
        pair.house.snapshot(pair.share).await;
        pair.house.driver.then("migration-complete", Act::Fail(answered(DriverErrorCode::BackendFailed)));
        pair.moved().await;
        pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
        pair.house.settled().await;
        let broken = pair.show();
        assert_eq!(broken.share.task_state, Some(TaskState::MigrationError));
        assert_eq!(broken.instance.status, ShareStatus::Error);
        let deleted = pair.manager().delete_share(&tenant(), pair.share, Force::No).await;
        assert_eq!(code(deleted), "open-migration");
        if is_completed {
            pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
            pair.house.settled().await;
            assert_eq!(task_state(pair.manager(), pair.share), Some(TaskState::MigrationSuccess));
            assert_eq!(pair.show().instance.placement.backend.as_str(), "west");
        } else {
            pair.manager().cancel_migration(&operator(), pair.share).await.expect("accepted");
            pair.house.settled().await;
            pair.assert_put_back(TaskState::MigrationCancelled);
        }
        assert_eq!(pair.levels_at(pair.show().instance.id), [AccessLevel::Rw]);
        let snapshots = pair.manager().list_snapshots(&House::scope(), None);
        assert!(snapshots.iter().all(|one| one.instance.status == SnapshotStatus::Available));
    }
}

#[tokio::test]
async fn a_migration_that_was_given_up_can_only_be_cancelled() {
    let pair = Pair::new().await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    let held = Arc::new(tokio::sync::Semaphore::new(0));
    pair.house.driver.then("migration-continue", Act::Hold(Arc::clone(&held)));
    pair.start(to("west")).await;
    pair.reaches(TaskState::MigrationDriverInProgress).await;
    let operation = pair.manager().list_operations(&Scope::Everything, 1)[0].id;
    pair.manager().abandon_operation(&operator(), operation).await.expect("abandoned");
    held.add_permits(1);
    assert_eq!(pair.show().instance.status, ShareStatus::Error);
    let completed = pair.manager().complete_migration(&operator(), pair.share).await;
    assert_eq!(code(completed), "migration-state");
    pair.manager().cancel_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationCancelled);
    assert_eq!(pair.levels_at(pair.show().instance.id), [AccessLevel::Rw]);
}

#[tokio::test]
async fn rules_that_the_destination_cannot_apply_are_in_error_there_and_the_share_has_moved() {
    let pair = Pair::new().await;
    pair.house.rule(pair.share, "10.0.0.1").await;
    pair.west.then("update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.moved().await;
    pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(task_state(pair.manager(), pair.share), Some(TaskState::MigrationSuccess));
    let rules = pair.manager().list_access_rules(&House::scope(), pair.share).expect("the rules");
    assert_eq!(rules[0].state, AccessRuleState::Error);
}

#[tokio::test]
async fn nothing_else_happens_to_a_share_that_moves() {
    let pair = Pair::new().await;
    let snapshot = pair.house.snapshot(pair.share).await.snapshot.id;
    pair.moved().await;
    let manager = pair.manager();
    assert_eq!(code(manager.delete_share(&operator(), pair.share, Force::Yes).await), "operation-in-flight");
    assert_eq!(
        code(manager.create_snapshot(&tenant(), new_snapshot(pair.share)).await),
        "operation-in-flight"
    );
    assert_eq!(code(manager.delete_snapshot(&tenant(), snapshot, Force::No).await), "operation-in-flight");
    assert_eq!(code(manager.allow_access(&tenant(), pair.share, new_rule("10.0.0.9")).await), "share-status");
    assert_eq!(
        code(manager.start_migration(&operator(), pair.share, to("west")).await),
        "operation-in-flight"
    );
    let reset = manager.reset_task_state(&operator(), pair.share, None).await;
    assert_eq!(code(reset), "operation-in-flight");
}

#[tokio::test]
async fn only_operators_move_shares_and_only_what_stands_alone() {
    let pair = Pair::new().await;
    let manager = pair.manager();
    let root = operator();
    let start = |wanted| manager.start_migration(&root, pair.share, wanted);
    let foreign = manager.start_migration(&tenant(), pair.share, to("west")).await;
    assert_eq!(code(foreign), "forbidden");
    assert_eq!(code(manager.complete_migration(&tenant(), pair.share).await), "forbidden");
    assert_eq!(code(manager.cancel_migration(&operator(), pair.share).await), "migration-state");
    assert_eq!(code(manager.migration_progress(&operator(), pair.share).await), "migration-state");
    assert_eq!(code(start(to("nowhere")).await), "not-found");
    let forced =
        MigrationOptions { force_host_assisted: true, writable: true, ..MigrationOptions::default() };
    assert_eq!(code(start(asking("west", forced)).await), "invalid");
    pair.house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.house.rule(pair.share, "10.0.0.7").await;
    assert_eq!(code(start(to("west")).await), "rules-not-active");
    assert_eq!(task_state(manager, pair.share), None);
}

#[tokio::test]
async fn a_share_that_is_there_already_has_moved() {
    let pair = Pair::new().await;
    let started = pair.manager().start_migration(&operator(), pair.share, to("east")).await;
    assert_eq!(started.expect("accepted"), Started::Already);
    pair.assert_put_back(TaskState::MigrationSuccess);
}

#[tokio::test]
async fn the_destination_is_chosen_by_the_filters_that_choose_for_new_shares() {
    let pair = Pair::new().await;
    made(&pair.house, "elsewhere", &[("share_backend_name", "north")]).await;
    let retyped = StartMigration { new_type: Some("elsewhere".to_owned()), ..to("west") };
    let refused = pair.manager().start_migration(&operator(), pair.share, retyped).await;
    let refused = refused.expect_err("west is not north");
    assert_eq!(refused.code(), "no-backend");
    assert!(refused.to_string().contains("west") && !refused.to_string().contains("east:"), "{refused}");
}

#[tokio::test]
async fn a_share_takes_the_promises_of_its_new_type_when_it_has_moved() {
    let pair = Pair::new().await;
    made(&pair.house, "plain", &[("snapshot_support", "True")]).await;
    let retyped = StartMigration { new_type: Some("plain".to_owned()), ..to("west") };
    pair.start(retyped).await;
    pair.reaches(TaskState::MigrationDriverPhase1Done).await;
    assert_eq!(pair.show().share_type_name, "default");
    pair.manager().complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    let found = pair.show();
    assert_eq!(found.share_type_name, "plain");
    assert!(found.share.support.snapshot && !found.share.support.revert_to_snapshot);
    let other = pair.manager().create_share(&tenant(), of_type("plain")).await.expect("accepted");
    assert_eq!(other.share.support, found.share.support);
}

#[tokio::test]
async fn the_progress_is_the_drivers_while_it_moves_and_the_whole_afterwards() {
    let pair = Pair::new().await;
    let held = Arc::new(tokio::sync::Semaphore::new(0));
    pair.house.driver.then("migration-continue", Act::Hold(Arc::clone(&held)));
    pair.start(to("west")).await;
    pair.reaches(TaskState::MigrationDriverInProgress).await;
    let unknown = pair.manager().migration_progress(&operator(), pair.share).await;
    assert_eq!(code(unknown), "progress-unknown");
    let source = pair.show().instance.id;
    pair.house.world.lock().expect("the world").polls.insert(source, 0);
    let progress = pair.manager().migration_progress(&operator(), pair.share).await.expect("known");
    assert_eq!(progress.total_percent, 50);
    held.add_permits(1);
    pair.reaches(TaskState::MigrationDriverPhase1Done).await;
    let progress = pair.manager().migration_progress(&operator(), pair.share).await.expect("known");
    assert_eq!(progress.total_percent, 100);
}

#[tokio::test]
async fn an_operator_sets_the_word_by_hand_where_no_operation_is_at_work() {
    let pair = Pair::new().await;
    let word = Some(TaskState::MigrationError);
    let set = pair.manager().reset_task_state(&operator(), pair.share, word).await.expect("set");
    assert_eq!(set.share.task_state, word);
    let set = pair.manager().reset_task_state(&operator(), pair.share, None).await.expect("set");
    assert_eq!(set.share.task_state, None);
    assert_eq!(code(pair.manager().reset_task_state(&tenant(), pair.share, None).await), "forbidden");
}
