//! The daemon dies at every step of a share's way to another backend, and the next one goes on with it.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{FakeDriver, World};
use crate::house::{description, new_rule, new_share, new_snapshot, operator, ready, settled, tenant, until};
use crate::migration::{open_moving, to};
use bulkhead_manager::{Force, Manager};
use bulkhead_model::access::AccessLevel;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareStatus, SnapshotStatus, TaskState};
use bulkhead_store::{MemoryStore, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the migration ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Completed,
    Cancelled,
}

async fn attach(manager: &Manager, name: &str, world: &Arc<Mutex<World>>, death: &Arc<Death>) {
    let mut driver = FakeDriver::new(world);
    driver.death = Arc::clone(death);
    manager.attach(description(name, 1), Arc::new(driver));
    ready(manager, name).await;
}

async fn open(store: Arc<dyn Store>, world: &Arc<Mutex<World>>, death: &Arc<Death>) -> Manager {
    let manager = open_moving(store).await;
    attach(&manager, "east", world, death).await;
    attach(&manager, "west", world, death).await;
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
        if word == Some(TaskState::MigrationDriverPhase1Done) {
            match ending {
                Ending::Completed => manager.complete_migration(&operator(), id).await.expect("accepted"),
                Ending::Cancelled => manager.cancel_migration(&operator(), id).await.expect("accepted"),
            }
        }
    }
    settled(manager).await;
}

/// A share with a rule and a snapshot moves.
async fn story(manager: &Manager, ending: Ending) {
    let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(manager).await;
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    settled(manager).await;
    go_on(manager, ending).await;
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, death: &Arc<Death>, ending: Ending) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) });
    let told = async {
        let manager = open(mortal, world, death).await;
        story(&manager, ending).await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = told => {}
            () = death.happened() => {}
        }
    });
    runtime.shutdown_background();
}

fn assert_agreement(manager: &Manager, world: &World, ending: Ending, told: &str) {
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
fn put_right(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, ending: Ending, told: &str) {
    world.lock().expect("the world").end_of_life();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never()).await;
        go_on(&manager, ending).await;
        manager.drain(Duration::from_secs(5)).await;
        assert_agreement(&manager, &world.lock().expect("the world"), ending, told);
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never()).await;
        clear(&manager).await;
        let world = world.lock().expect("the world");
        let is_empty = world.shares.is_empty() && world.snapshots.is_empty();
        assert!(is_empty, "{told}: something is left: {world:#?}");
    });
}

fn tell(ending: Ending) {
    at_every_point(&format!("a migration, {ending:?}"), 30, |death, told| {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        live(&store, &world, death, ending);
        put_right(&store, &world, ending, &told());
    });
}

#[test]
fn a_crash_at_any_step_of_a_migration_is_put_right() {
    tell(Ending::Completed);
}

#[test]
fn a_crash_at_any_step_of_a_migration_that_is_cancelled_is_put_right() {
    tell(Ending::Cancelled);
}
