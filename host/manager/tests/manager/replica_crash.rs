//! The daemon dies at every step of a replicated share's life, and the next one puts all of it right.

use crate::crash::{Death, MortalStore, at_every_point};
use crate::fake::{FakeDriver, World};
use crate::house::{new_rule, new_snapshot, open_with, operator, ready, settled, tenant, until};
use crate::replica::of_domain;
use crate::share_type::{new_type, of_type};
use bulkhead_manager::{Force, Manager, NewReplica};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{ReplicaState, ShareStatus, SnapshotStatus};
use bulkhead_store::{MemoryStore, Store};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAIR: [&str; 2] = ["east", "west"];

async fn open(store: Arc<dyn Store>, world: &Arc<Mutex<World>>, death: &Arc<Death>) -> Manager {
    let manager = open_with(store, |settings| settings.replica_period = Duration::from_millis(50)).await;
    for name in PAIR {
        let mut driver = FakeDriver::new(world);
        driver.death = Arc::clone(death);
        manager.attach(of_domain(name), Arc::new(driver));
    }
    manager.recover().await.expect("recovered");
    for name in PAIR {
        ready(&manager, name).await;
    }
    settled(&manager).await;
    manager
}

fn is_in_step(manager: &Manager) -> bool {
    let in_step = |replica: &bulkhead_manager::ShareReplicaView| {
        let state = replica.instance.replica_state;
        replica.instance.status == ShareStatus::Available
            && matches!(state, Some(ReplicaState::Active | ReplicaState::InSync))
    };
    manager.list_replicas(&Scope::Everything, None).iter().all(in_step)
}

async fn in_step(manager: &Manager) {
    settled(manager).await;
    until("all replicas are in step", async || is_in_step(manager)).await;
}

fn follower(manager: &Manager) -> Option<ShareInstanceId> {
    let all = manager.list_replicas(&Scope::Everything, None);
    let found = all.iter().find(|one| one.instance.replica_state != Some(ReplicaState::Active));
    found.map(|one| one.instance.id)
}

/// A share is replicated, promoted away and back, and loses its first replica.
async fn story(manager: &Manager) {
    let specs = [("replication_type", "dr"), ("snapshot_support", "True")];
    manager.create_share_type(&operator(), new_type("replicated", &specs)).await.expect("made");
    let share = manager.create_share(&tenant(), of_type("replicated")).await.expect("accepted").share.id;
    settled(manager).await;
    manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    settled(manager).await;
    manager.create_replica(&tenant(), NewReplica { share }).await.expect("accepted");
    in_step(manager).await;
    manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    settled(manager).await;
    until("the snapshot is available", async || {
        let snapshots = manager.list_snapshots(&Scope::Everything, None);
        snapshots.iter().all(|one| one.instance.status == SnapshotStatus::Available)
    })
    .await;
    let second = follower(manager).expect("a replica");
    manager.promote_replica(&operator(), second, None).await.expect("accepted");
    in_step(manager).await;
    let first = follower(manager).expect("the old one");
    manager.delete_replica(&tenant(), first, Force::No).await.expect("accepted");
    settled(manager).await;
}

/// One life of the daemon, which ends with the story or with `death`.
fn live(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, death: &Arc<Death>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mortal = Arc::new(MortalStore { store: Arc::clone(store), death: Arc::clone(death) });
    let told = async {
        let manager = open(mortal, world, death).await;
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
    let replicas = manager.list_replicas(&Scope::Everything, None);
    for replica in &replicas {
        let held = world.shares.get(&replica.instance.id).map(|held| held.rules.len());
        let is_active = replica.instance.replica_state == Some(ReplicaState::Active);
        let rules = manager.list_access_rules(&Scope::Everything, replica.share.id).expect("the rules");
        assert_eq!(held, Some(if is_active { rules.len() } else { 0 }), "{told}: {replica:#?}");
        assert_eq!(replica.instance.export_locations.is_empty(), !is_active, "{told}: {replica:#?}");
    }
    let active = replicas.iter().filter(|one| one.instance.replica_state == Some(ReplicaState::Active));
    let shares = manager.list_shares(&Scope::Everything);
    assert_eq!(active.count(), shares.len(), "{told}: one active replica for a share: {replicas:#?}");
    assert_eq!(replicas.len(), world.shares.len(), "{told}: a replica is orphaned: {world:#?}");
    let snapshots = manager.list_snapshots(&Scope::Everything, None).len() * replicas.len();
    assert_eq!(snapshots, world.snapshots.len(), "{told}: snapshots: {world:#?}");
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
    for operation in manager.list_operations(&Scope::Everything, 1000) {
        assert_eq!(operation.state, OperationState::Succeeded, "{told}: {operation:#?}");
    }
}

async fn clear(manager: &Manager, told: &str) {
    for view in manager.list_snapshots(&Scope::Everything, None) {
        manager.delete_snapshot(&operator(), view.snapshot.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
    until(&format!("{told}: the snapshots are gone"), async || {
        manager.list_snapshots(&Scope::Everything, None).is_empty()
    })
    .await;
    while let Some(replica) = follower(manager) {
        manager.delete_replica(&operator(), replica, Force::No).await.expect("accepted");
        settled(manager).await;
    }
    for view in manager.list_shares(&Scope::Everything) {
        manager.delete_share(&operator(), view.share.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
}

/// The next life: after recovery everything comes to rest, and records and backends agree.
fn put_right(store: &Arc<MemoryStore>, world: &Arc<Mutex<World>>, told: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never()).await;
        in_step(&manager).await;
        until(&format!("{told}: snapshots rest"), async || {
            let all = manager.list_snapshots(&Scope::Everything, None);
            all.iter().all(|one| one.instance.status == SnapshotStatus::Available)
        })
        .await;
        manager.drain(Duration::from_secs(5)).await;
        assert_agreement(&manager, &world.lock().expect("the world"), told);
        let manager = open(Arc::clone(store) as Arc<_>, world, &Death::never()).await;
        clear(&manager, told).await;
        let world = world.lock().expect("the world");
        assert!(
            world.shares.is_empty() && world.snapshots.is_empty(),
            "{told}: something is left: {world:#?}"
        );
    });
}

#[test]
fn a_crash_at_any_step_of_a_replicated_life_is_put_right() {
    at_every_point("a replicated life", 40, |death, told| {
        let (store, world) = (Arc::new(MemoryStore::new()), Arc::default());
        live(&store, &world, death);
        put_right(&store, &world, &told());
    });
}
