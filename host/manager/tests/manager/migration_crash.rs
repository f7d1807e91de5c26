//! The daemon dies at every step of a share's way to another backend, and the next one goes on with it.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{FakeDriver, World};
use crate::house::{description, new_rule, new_share, new_snapshot, operator, ready, settled, tenant, until};
use crate::migration::{open_moving, to};
use bulkhead_manager::{Force, Manager, ShareView};
use bulkhead_model::access::AccessLevel;
use bulkhead_model::migration::Compatibility;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, SnapshotStatus, TaskState};
use bulkhead_store::{MemoryStore, Store};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tempfile::TempDir;

/// How the migration ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Completed,
    Cancelled,
}

/// What outlives the daemon: the backends, and where they keep their shares if the host copies.
#[derive(Default)]
struct Outside {
    world: Arc<Mutex<World>>,
    folder: Option<TempDir>,
}

impl Outside {
    fn copying() -> Self {
        Self { folder: Some(tempfile::tempdir().expect("a folder")), ..Self::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the world")
    }

    fn folder_of(&self, view: &ShareView) -> Option<PathBuf> {
        let instance = &view.instance;
        let folder = self.folder.as_ref()?.path().join(instance.placement.backend.as_str());
        Some(folder.join(instance.id.to_string()))
    }

    /// How many directories of shares there are.
    fn count_folders(&self) -> usize {
        let Some(folder) = &self.folder else { return 0 };
        let backends =
            std::fs::read_dir(folder.path()).expect("readable").map(|one| one.expect("one").path());
        backends.map(|backend| std::fs::read_dir(backend).expect("readable").count()).sum()
    }
}

async fn attach(manager: &Manager, name: &str, outside: &Outside, death: &Arc<Death>) {
    let mut driver = FakeDriver::new(&outside.world);
    driver.death = Arc::clone(death);
    if let Some(folder) = &outside.folder {
        driver.folder = Some(folder.path().join(name));
        driver.compatibility = Compatibility::default();
    }
    manager.attach(description(name, 1), Arc::new(driver));
    ready(manager, name).await;
}

async fn open(store: Arc<dyn Store>, outside: &Outside, death: &Arc<Death>) -> Manager {
    let manager = open_moving(store).await;
    attach(&manager, "east", outside, death).await;
    attach(&manager, "west", outside, death).await;
    manager.recover().await.expect("recovered");
    manager
}

/// Every operation has ended, or is a migration that waits for a word.
async fn at_rest(manager: &Manager) {
    until("everything rests", async || {
        manager.list_operations(&Scope::Everything, 1000).iter().all(|operation| {
            operation.state.is_final() || operation.step.contains("waiting for migration_complete")
        })
    })
    .await;
}

/// What is left of the story, wherever the daemon died.
async fn go_on(manager: &Manager, ending: Ending) {
    at_rest(manager).await;
    for view in manager.list_shares(&Scope::Everything) {
        let id = view.share.id;
        if view.share.task_state.is_none() {
            let elsewhere = if view.instance.placement.backend.as_str() == "east" { "west" } else { "east" };
            manager.start_migration(&operator(), id, to(elsewhere)).await.expect("accepted");
            at_rest(manager).await;
        }
        let word = manager.show_share(&Scope::Everything, id).expect("the share").share.task_state;
        if matches!(word, Some(TaskState::MigrationDriverPhase1Done | TaskState::DataCopyingCompleted)) {
            match ending {
                Ending::Completed => manager.complete_migration(&operator(), id).await.expect("accepted"),
                Ending::Cancelled => manager.cancel_migration(&operator(), id).await.expect("accepted"),
            }
        }
    }
    settled(manager).await;
}

/// A share with a rule, and a snapshot or some data, moves.
async fn story(manager: &Manager, outside: &Outside, ending: Ending) {
    let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(manager).await;
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    match outside.folder_of(&manager.show_share(&Scope::Everything, share).expect("the share")) {
        Some(folder) => std::fs::write(folder.join("file"), "content").expect("written"),
        None => drop(manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted")),
    }
    settled(manager).await;
    go_on(manager, ending).await;
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(store: &Arc<MemoryStore>, outside: &Outside, death: &Arc<Death>, ending: Ending) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) });
    let told = async {
        let manager = open(mortal, outside, death).await;
        story(&manager, outside, ending).await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = told => {}
            () = death.happened() => {}
        }
    });
    runtime.shutdown_background();
}

fn assert_agreement(manager: &Manager, outside: &Outside, ending: Ending, told: &str) {
    let world = outside.world();
    let shares = manager.list_shares(&Scope::Everything);
    for view in &shares {
        assert_eq!(view.instance.status, ShareStatus::Available, "{told}: {view:#?}");
        assert!(view.share.migration.is_none(), "{told}: {view:#?}");
        let held = world.shares.get(&view.instance.id).expect(told);
        assert!(held.rules.values().all(|rule| rule.1 == AccessLevel::Rw), "{told}: {held:#?}");
        let rules = manager.list_access_rules(&Scope::Everything, view.share.id).expect("the rules");
        assert_eq!(rules.len(), held.rules.len(), "{told}: {held:#?}");
        let word = match ending {
            Ending::Completed => TaskState::MigrationSuccess,
            Ending::Cancelled => TaskState::MigrationCancelled,
        };
        assert_eq!(view.share.task_state, Some(word), "{told}");
        if let Some(folder) = outside.folder_of(view) {
            // Dead before anything was written: nothing was written.
            let content = std::fs::read_to_string(folder.join("file")).unwrap_or_default();
            assert!(content == "content" || content.is_empty(), "{told}: {content}");
        }
    }
    if outside.folder.is_some() {
        assert_eq!(outside.count_folders(), shares.len(), "{told}: a directory is orphaned");
    }
    assert_eq!(shares.len(), world.shares.len(), "{told}: a side is orphaned: {world:#?}");
    let snapshots = manager.list_snapshots(&Scope::Everything, None);
    assert!(snapshots.iter().all(|one| one.instance.status == SnapshotStatus::Available), "{told}");
    assert_eq!(snapshots.len(), world.snapshots.len(), "{told}: {world:#?}");
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
}

async fn clear(manager: &Manager) {
    for view in manager.list_snapshots(&Scope::Everything, None) {
        manager.delete_snapshot(&operator(), view.snapshot.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
    for view in manager.list_shares(&Scope::Everything) {
        manager.delete_share(&operator(), view.share.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
}

/// The next life goes on with the story, and records and backends agree.
fn put_right(store: &Arc<MemoryStore>, outside: &Outside, ending: Ending, told: &str) {
    outside.world().end_of_life();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = open(Arc::clone(store) as Arc<_>, outside, &Death::never()).await;
        go_on(&manager, ending).await;
        manager.drain(Duration::from_secs(5)).await;
        assert_agreement(&manager, outside, ending, told);
        let manager = open(Arc::clone(store) as Arc<_>, outside, &Death::never()).await;
        clear(&manager).await;
        let world = outside.world();
        let is_empty = world.shares.is_empty() && world.snapshots.is_empty() && outside.count_folders() == 0;
        assert!(is_empty, "{told}: something is left: {world:#?}");
    });
}

fn tell(story: &str, outside: fn() -> Outside, ending: Ending) {
    at_every_point(&format!("{story}, {ending:?}"), 30, |death, told| {
        let (store, outside) = (Arc::new(MemoryStore::new()), outside());
        live(&store, &outside, death, ending);
        put_right(&store, &outside, ending, &told());
    });
}

#[test]
fn a_crash_at_any_step_of_a_migration_is_put_right() {
    tell("a migration", Outside::default, Ending::Completed);
}

#[test]
fn a_crash_at_any_step_of_a_migration_that_is_cancelled_is_put_right() {
    tell("a migration", Outside::default, Ending::Cancelled);
}

#[test]
fn a_crash_at_any_step_of_a_copy_by_the_host_is_put_right() {
    tell("a copy by the host", Outside::copying, Ending::Completed);
}

#[test]
fn a_crash_at_any_step_of_a_copy_by_the_host_that_is_cancelled_is_put_right() {
    tell("a copy by the host", Outside::copying, Ending::Cancelled);
}
