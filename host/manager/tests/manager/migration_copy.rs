//! Shares whose driver cannot move them, and which the host copies between two backends whose directories it reaches.

use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{House, description, new_rule, operator, ready, tenant, until};
use crate::migration::{open_moving, reaches, to};
use bulkhead_manager::{ShareView, StartMigration};
use bulkhead_model::access::AccessLevel;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::ShareId;
use bulkhead_model::migration::{Compatibility, MigrationOptions};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, TaskState};
use bulkhead_store::MemoryStore;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Which sides the host reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reached {
    Both,
    SourceAlone,
}

/// Two backends with a directory each, and a share on `east` that has a file and a rule.
struct Pair {
    house: House,
    west: Arc<FakeDriver>,
    share: ShareId,
    folder: TempDir,
}

impl Pair {
    async fn new() -> Self {
        Self::reached(Reached::Both).await
    }

    async fn reached(reached: Reached) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let world: Arc<Mutex<World>> = Arc::default();
        let store = Arc::new(MemoryStore::new());
        let driver = |name: &str, reached: Reached| {
            let mut driver = FakeDriver::new(&world);
            driver.compatibility = Compatibility::default();
            driver.folder = (reached == Reached::Both).then(|| folder.path().join(name));
            Arc::new(driver)
        };
        let (east, west) = (driver("east", Reached::Both), driver("west", reached));
        let manager = open_moving(store.clone()).await;
        let house = House { manager, driver: Arc::clone(&east), world, store };
        house.manager.attach(description("east", 1), east);
        ready(&house.manager, "east").await;
        let share = house.share().await.share.id;
        house.manager.attach(description("west", 1), Arc::clone(&west) as Arc<_>);
        ready(&house.manager, "west").await;
        house.manager.recover().await.expect("recovered");
        house.rule(share, "10.0.0.1").await;
        let pair = Self { house, west, share, folder };
        std::fs::write(pair.folder_of(&pair.show()).join("file"), "content").expect("written");
        pair
    }

    fn show(&self) -> ShareView {
        self.house.show(self.share)
    }

    fn folder_of(&self, view: &ShareView) -> PathBuf {
        let backend = view.instance.placement.backend.as_str();
        self.folder.path().join(backend).join(view.instance.id.to_string())
    }

    async fn start(&self, wanted: StartMigration) {
        self.house.manager.start_migration(&operator(), self.share, wanted).await.expect("accepted");
    }

    async fn copied(&self) {
        self.start(to("west")).await;
        reaches(&self.house.manager, self.share, TaskState::DataCopyingCompleted).await;
    }

    fn levels(&self) -> Vec<AccessLevel> {
        let world = self.house.world.lock().expect("the world");
        let held = world.shares.get(&self.show().instance.id);
        held.map(|held| held.rules.values().map(|rule| rule.1).collect()).unwrap_or_default()
    }

    fn assert_put_back(&self, word: TaskState) {
        let found = self.show();
        assert_eq!((found.share.task_state, found.instance.status), (Some(word), ShareStatus::Available));
        assert_eq!(found.instance.placement.backend.as_str(), "east");
        assert_eq!(std::fs::read_to_string(self.folder_of(&found).join("file")).expect("kept"), "content");
        assert_eq!(self.levels(), [AccessLevel::Rw]);
        assert_eq!(self.house.world.lock().expect("the world").shares.len(), 1);
    }

    fn failure(&self) -> String {
        let operations = self.house.manager.list_operations(&Scope::Everything, 1);
        let failure = operations.first().and_then(|operation| operation.failure.clone());
        failure.map(|failure| failure.message).unwrap_or_default()
    }
}

#[tokio::test]
async fn what_the_driver_cannot_move_the_host_copies_and_the_source_goes_at_the_cut_over() {
    let pair = Pair::new().await;
    let before = pair.show();
    pair.copied().await;
    assert_eq!(pair.levels(), [AccessLevel::Ro], "nobody writes while it is copied");
    assert_eq!(pair.show().instance.id, before.instance.id);
    let operation = pair.show().operation.expect("the owner");
    assert_eq!(operation.state, OperationState::Waiting);
    let progress = pair.house.manager.migration_progress(&operator(), pair.share).await.expect("known");
    assert_eq!(progress.total_percent, 100);
    pair.house.manager.complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    let after = pair.show();
    assert_eq!(after.share.task_state, Some(TaskState::MigrationSuccess));
    assert_eq!(
        (after.instance.status, after.instance.placement.backend.as_str()),
        (ShareStatus::Available, "west")
    );
    assert_eq!(std::fs::read_to_string(pair.folder_of(&after).join("file")).expect("copied"), "content");
    assert!(!pair.folder_of(&before).exists() && pair.failure().is_empty());
    assert_eq!(pair.levels(), [AccessLevel::Rw]);
    pair.house.manager.allow_access(&tenant(), pair.share, new_rule("10.0.0.2")).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.levels().len(), 2);
}

#[tokio::test]
async fn an_operator_lets_the_host_copy_though_the_driver_could() {
    let pair = Pair::new().await;
    let options = MigrationOptions { force_host_assisted: true, ..MigrationOptions::default() };
    pair.start(StartMigration { options, ..to("west") }).await;
    reaches(&pair.house.manager, pair.share, TaskState::DataCopyingCompleted).await;
    assert!(!pair.house.calls().contains(&"check"));
}

#[tokio::test]
async fn a_copy_is_cancelled_and_nothing_of_it_is_left() {
    let pair = Pair::new().await;
    pair.copied().await;
    pair.house.manager.cancel_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationCancelled);
    let west = std::fs::read_dir(pair.folder.path().join("west")).expect("a directory");
    assert_eq!(west.count(), 0);
}

#[tokio::test]
async fn a_destination_that_the_host_does_not_reach_is_refused_with_what_would_allow_it() {
    let pair = Pair::reached(Reached::SourceAlone).await;
    pair.start(to("west")).await;
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationError);
    assert!(pair.failure().contains("grant.migration-copy = true"), "{}", pair.failure());
    assert!(!pair.house.calls().contains(&"update-access") || pair.levels() == [AccessLevel::Rw]);
}

#[tokio::test]
async fn a_destination_that_cannot_be_made_leaves_the_share_as_it_was() {
    let pair = Pair::new().await;
    pair.west.then("create-share", Act::FailAfterEffect(answered(DriverErrorCode::NoSpace)));
    pair.start(to("west")).await;
    pair.house.settled().await;
    pair.assert_put_back(TaskState::MigrationError);
}

#[tokio::test]
async fn a_destination_that_cannot_be_removed_is_left_and_named() {
    let pair = Pair::new().await;
    pair.west.then("delete-share", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.copied().await;
    pair.house.manager.cancel_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.show().instance.status, ShareStatus::Available);
    assert!(pair.failure().contains("is left at its backend"), "{}", pair.failure());
}

#[tokio::test]
async fn rules_that_cannot_be_exported_at_the_destination_change_nothing() {
    let pair = Pair::new().await;
    pair.west.then("update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.copied().await;
    pair.house.manager.complete_migration(&operator(), pair.share).await.expect("accepted");
    until("the operation says why", async || !pair.failure().is_empty()).await;
    reaches(&pair.house.manager, pair.share, TaskState::DataCopyingCompleted).await;
    assert_eq!(pair.show().instance.placement.backend.as_str(), "east");
    pair.house.manager.complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.show().instance.placement.backend.as_str(), "west");
}

#[tokio::test]
async fn a_source_that_cannot_be_removed_is_removed_once_an_operator_says_complete_again() {
    let pair = Pair::new().await;
    let source = pair.folder_of(&pair.show());
    pair.house.driver.then("delete-share", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    pair.copied().await;
    pair.house.manager.complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    let found = pair.show();
    assert_eq!(
        (found.instance.status, found.instance.placement.backend.as_str()),
        (ShareStatus::Available, "west")
    );
    assert_eq!(found.share.task_state, Some(TaskState::MigrationError));
    assert!(source.exists());
    pair.house.manager.complete_migration(&operator(), pair.share).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.show().share.task_state, Some(TaskState::MigrationSuccess));
    assert!(!source.exists());
}
