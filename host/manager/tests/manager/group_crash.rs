//! The daemon dies at every step of a group's life, and the next one puts all of it right.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{FakeDriver, World};
use crate::group::in_group;
use crate::house::{description, open_with, operator, ready, settled, tenant};
use bulkhead_manager::{Force, Manager, NewShareGroup, NewShareGroupSnapshot};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ShareGroupStatus, ShareStatus};
use bulkhead_store::{MemoryStore, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Whether the driver has interfaces for groups.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Native,
    FannedOut,
}

async fn open(store: Arc<dyn Store>, world: &Arc<Mutex<World>>, death: &Arc<Death>, kind: Kind) -> Manager {
    let manager = open_with(store, |_| {}).await;
    let mut driver = FakeDriver::new(world);
    if kind == Kind::FannedOut {
        driver.without_groups();
    }
    driver.death = Arc::clone(death);
    manager.attach(description("nas", 1), Arc::new(driver));
    manager.recover().await.expect("recovered");
    ready(&manager, "nas").await;
    settled(&manager).await;
    manager
}

/// A group gets two shares, a snapshot of both, another group made from that, and the snapshot goes.
async fn story(manager: &Manager) {
    let group = manager.create_share_group(&tenant(), NewShareGroup::default()).await.expect("accepted");
    let group = group.group.id;
    settled(manager).await;
    for _ in 0..2 {
        manager.create_share(&tenant(), in_group(group)).await.expect("accepted");
        settled(manager).await;
    }
    let asked = NewShareGroupSnapshot { group, display_name: None, display_description: None };
    let snapshot = manager.create_share_group_snapshot(&tenant(), asked).await.expect("accepted");
    let snapshot = snapshot.snapshot.id;
    settled(manager).await;
    let asked = NewShareGroup { source_snapshot: Some(snapshot), ..NewShareGroup::default() };
    manager.create_share_group(&tenant(), asked).await.expect("accepted");
    settled(manager).await;
    manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    settled(manager).await;
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, death: &Arc<Death>, kind: Kind) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) });
    let told = async {
        let manager = open(mortal, world, death, kind).await;
        story(&manager).await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = told => {}
            () = death.happened() => {}
        }
    });
    runtime.shutdown_background();
}

fn assert_agreement(manager: &Manager, world: &World, told: &str) {
    for view in manager.list_share_groups(&Scope::Everything) {
        assert_eq!(view.group.status, ShareGroupStatus::Available, "{told}: {view:#?}");
    }
    for view in manager.list_shares(&Scope::Everything) {
        assert_eq!(view.instance.status, ShareStatus::Available, "{told}: {view:#?}");
        assert!(world.shares.contains_key(&view.instance.id), "{told}: it is not there: {view:#?}");
    }
    let snapshots = manager.list_share_group_snapshots(&Scope::Everything);
    let members = snapshots.iter().flat_map(|view| &view.snapshot.members);
    assert_eq!(members.count(), world.snapshots.len(), "{told}: {snapshots:#?}");
    assert!(snapshots.iter().all(|view| view.snapshot.status == ShareGroupStatus::Available), "{told}");
    assert_eq!(manager.list_shares(&Scope::Everything).len(), world.shares.len(), "{told}: {world:#?}");
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
    for operation in manager.list_operations(&Scope::Everything, 1000) {
        assert_eq!(operation.state, OperationState::Succeeded, "{told}: {operation:#?}");
    }
}

async fn clear(manager: &Manager) {
    for view in manager.list_share_group_snapshots(&Scope::Everything) {
        let gone = manager.delete_share_group_snapshot(&operator(), view.snapshot.id, Force::No).await;
        gone.expect("accepted");
    }
    settled(manager).await;
    for view in manager.list_shares(&Scope::Everything) {
        manager.delete_share(&operator(), view.share.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
    for view in manager.list_share_groups(&Scope::Everything) {
        manager.delete_share_group(&operator(), view.group.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
}

/// The next life: after recovery everything comes to rest, and records and backend agree.
fn put_right(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, kind: Kind, told: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never(), kind).await;
        manager.drain(Duration::from_secs(5)).await;
        assert_agreement(&manager, &world.lock().expect("the world"), told);
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never(), kind).await;
        clear(&manager).await;
        let world = world.lock().expect("the world");
        let is_empty = world.shares.is_empty() && world.snapshots.is_empty() && world.groups.is_empty();
        assert!(is_empty, "{told}: something is left: {world:#?}");
    });
}

fn tell(kind: Kind) {
    at_every_point(&format!("a life in groups, {kind:?}"), 30, |death, told| {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        live(&store, &world, death, kind);
        put_right(&store, &world, kind, &told());
    });
}

#[test]
fn a_crash_at_any_step_of_a_life_in_groups_is_put_right() {
    tell(Kind::Native);
}

#[test]
fn a_crash_at_any_step_of_a_fan_out_is_put_right() {
    tell(Kind::FannedOut);
}
