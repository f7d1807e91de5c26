//! Replicas: made, followed, promoted and removed on a pair of backends that see the same world.

use crate::fake::{Act, FakeDriver, World, answered};
use crate::house::{
    House, code, description, gib, new_rule, new_snapshot, open_with, operator, other_tenant, ready, settled,
    tenant, until,
};
use crate::share_type::{made, of_type};
use bulkhead_manager::{BackendDescription, Force, Manager, NewReplica, ShareReplicaView};
use bulkhead_model::access::{AccessLevel, AccessUpdate};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareId, ShareInstanceId};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{
    AccessRuleState, AccessRulesStatus, ReplicaState, ReplicationType, ShareStatus, SnapshotStatus,
};
use bulkhead_store::MemoryStore;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn of_domain(name: &str) -> BackendDescription {
    BackendDescription { replication_domain: Some("pair".to_owned()), ..description(name, 1) }
}

/// Two backends of one domain; the drivers of `east` and `west`.
pub struct Pair {
    pub house: House,
    pub west: Arc<FakeDriver>,
}

impl Pair {
    pub async fn new(replication_type: ReplicationType) -> Self {
        Self::with(replication_type, |_| {}).await
    }

    /// With drivers that were prepared.
    async fn with(replication_type: ReplicationType, prepare: impl Fn(&mut FakeDriver)) -> Self {
        let driver = |world: &Arc<Mutex<World>>| {
            let mut driver = FakeDriver::new(world);
            prepare(&mut driver);
            Arc::new(driver)
        };
        let world: Arc<Mutex<World>> = Arc::default();
        let store = Arc::new(MemoryStore::new());
        let manager =
            open_with(store.clone(), |settings| settings.replica_period = Duration::from_secs(3600));
        let east = driver(&world);
        let house = House { manager: manager.await, driver: Arc::clone(&east), world, store };
        let west = driver(&house.world);
        for (name, driver) in [("east", &east), ("west", &west)] {
            house.manager.attach(of_domain(name), Arc::clone(driver) as Arc<_>);
            ready(&house.manager, name).await;
        }
        house.manager.recover().await.expect("recovered");
        let specs = [
            ("snapshot_support", "True"),
            ("revert_to_snapshot_support", "True"),
            ("replication_type", replication_type.as_str()),
        ];
        made(&house, "replicated", &specs).await;
        Self { house, west }
    }

    /// A share of the replicated type.
    pub async fn share(&self) -> ShareId {
        let share =
            self.house.manager.create_share(&tenant(), of_type("replicated")).await.expect("accepted");
        self.house.settled().await;
        share.share.id
    }

    pub fn replicas(&self, share: ShareId) -> Vec<ShareReplicaView> {
        self.house.manager.list_replicas(&House::scope(), Some(share))
    }

    /// A replica, asked for and in step.
    pub async fn replica(&self, share: ShareId) -> ShareInstanceId {
        let new = NewReplica { share };
        let replica = self.house.manager.create_replica(&tenant(), new).await.expect("accepted").instance.id;
        self.in_step(replica).await;
        replica
    }

    pub async fn in_step(&self, replica: ShareInstanceId) {
        self.house.settled().await;
        until("the replica is in step", async || {
            let found = self.show(replica);
            found.instance.replica_state == Some(ReplicaState::InSync)
                && found.instance.status == ShareStatus::Available
        })
        .await;
    }

    pub fn show(&self, replica: ShareInstanceId) -> ShareReplicaView {
        self.house.manager.show_replica(&House::scope(), replica).expect("the replica")
    }

    fn rules_at(&self, instance: ShareInstanceId) -> usize {
        let world = self.house.world.lock().expect("the world");
        world.shares.get(&instance).map_or(0, |held| held.rules.len())
    }
}

fn states(replicas: &[ShareReplicaView]) -> Vec<Option<ReplicaState>> {
    replicas.iter().map(|replica| replica.instance.replica_state).collect()
}

#[tokio::test]
async fn a_replica_goes_to_the_other_backend_of_the_domain_and_is_in_step() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    assert_eq!(states(&pair.replicas(share)), [Some(ReplicaState::Active)]);
    let replica = pair.replica(share).await;
    let found = pair.show(replica);
    let first = pair.replicas(share)[0].instance.placement.backend.clone();
    assert_ne!(found.instance.placement.backend, first);
    assert_eq!(found.instance.status, ShareStatus::Available);
    assert!(found.instance.export_locations.is_empty());
    assert!(pair.house.show(share).has_replicas);
    let third = pair.house.manager.create_replica(&tenant(), NewReplica { share }).await;
    let refusal = third.expect_err("no third backend").to_string();
    assert!(refusal.contains("holds a replica of the share already"), "{refusal}");
}

#[tokio::test]
async fn a_replica_goes_to_no_backend_of_another_domain() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    for (name, domain) in [("north", Some("other")), ("south", None)] {
        let description =
            BackendDescription { replication_domain: domain.map(str::to_owned), ..description(name, 1) };
        pair.house.manager.attach(description, Arc::new(FakeDriver::new(&pair.house.world)));
        ready(&pair.house.manager, name).await;
    }
    pair.replica(share).await;
    let third = pair.house.manager.create_replica(&tenant(), NewReplica { share }).await;
    let refusal = third.expect_err("no third backend of the domain").to_string();
    assert!(refusal.contains("is of another replication_domain"), "{refusal}");
    assert!(refusal.contains("has no replication_domain"), "{refusal}");
}

#[tokio::test]
async fn a_share_of_a_type_without_replication_has_no_replicas() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.house.share().await.share.id;
    let refused = pair.house.manager.create_replica(&tenant(), NewReplica { share }).await;
    assert_eq!(code(refused), "not-offered");
    assert!(pair.replicas(share).is_empty());
    let foreign = pair.house.manager.create_replica(&other_tenant(), NewReplica { share }).await;
    assert_eq!(code(foreign), "not-found");
}

/// Contract M-07.
#[tokio::test]
async fn a_promotion_exchanges_the_roles_and_takes_the_rules_along() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    pair.house.rule(share, "10.0.0.1").await;
    let first = pair.replicas(share)[0].instance.id;
    let second = pair.replica(share).await;
    assert_eq!((pair.rules_at(first), pair.rules_at(second)), (1, 0));
    pair.house.manager.promote_replica(&tenant(), second, Some(5)).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.show(second).instance.replica_state, Some(ReplicaState::Active));
    assert_eq!((pair.rules_at(first), pair.rules_at(second)), (0, 1));
    assert_eq!(pair.house.show(share).instance.id, second);
    assert!(pair.show(first).instance.export_locations.is_empty());
    pair.in_step(first).await;
    let rules = pair.house.manager.list_access_rules(&House::scope(), share).expect("the rules");
    assert_eq!(rules.len(), 1);
    pair.house.rule(share, "10.0.0.2").await;
    assert_eq!((pair.rules_at(first), pair.rules_at(second)), (0, 2));
    pair.house.manager.promote_replica(&tenant(), second, None).await.expect("active already");
    pair.house.manager.delete_replica(&tenant(), first, Force::No).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.house.manager.list_access_rules(&House::scope(), share).expect("the rules").len(), 2);
    pair.house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    pair.house.settled().await;
    assert!(pair.house.world.lock().expect("the world").shares.is_empty());
}

/// Contract M-07.
#[tokio::test]
async fn a_promotion_of_which_the_driver_says_nothing_exchanges_the_roles() {
    let pair = Pair::with(ReplicationType::Dr, |driver| driver.answers_about = Some(0)).await;
    let share = pair.share().await;
    let first = pair.replicas(share)[0].instance.id;
    let second = pair.replica(share).await;
    for driver in [&pair.house.driver, &pair.west] {
        for _ in 0..10_000 {
            driver.then("update-replica-state", Act::Fail(answered(DriverErrorCode::Busy)));
        }
    }
    pair.house.manager.promote_replica(&tenant(), second, None).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.show(second).instance.replica_state, Some(ReplicaState::Active));
    assert_eq!(pair.show(first).instance.replica_state, Some(ReplicaState::OutOfSync));
}

/// Contract M-09.
#[tokio::test]
async fn a_snapshot_that_a_replica_does_not_know_is_in_error_there_unless_it_was_going() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    pair.replica(share).await;
    for driver in [&pair.house.driver, &pair.west] {
        driver.then("update-replicated-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotNotFound)));
    }
    let snapshot =
        pair.house.manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted").snapshot;
    until("it is not found", async || {
        pair.house.show_snapshot(snapshot.id).instance.status == SnapshotStatus::Error
    })
    .await;
}

#[tokio::test]
async fn the_last_active_replica_stays_and_a_share_with_replicas_too() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    let first = pair.replicas(share)[0].instance.id;
    let delete = async |id| pair.house.manager.delete_replica(&tenant(), id, Force::No).await;
    assert_eq!(code(delete(first).await), "last-active-replica");
    let second = pair.replica(share).await;
    assert_eq!(code(delete(first).await), "last-active-replica");
    assert_eq!(code(pair.house.manager.delete_share(&tenant(), share, Force::No).await), "has-replicas");
    assert_eq!(code(pair.house.manager.forget_share(&operator(), share).await), "has-replicas");
    delete(second).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.replicas(share).len(), 1);
    pair.house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
}

#[tokio::test]
async fn only_an_operator_promotes_what_lags_behind() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    let second = pair.replica(share).await;
    let state = ReplicaState::OutOfSync;
    let by_tenant = pair.house.manager.reset_replica_state(&tenant(), second, state).await;
    assert_eq!(code(by_tenant), "forbidden");
    pair.house.manager.reset_replica_state(&operator(), second, state).await.expect("set");
    assert_eq!(code(pair.house.manager.promote_replica(&tenant(), second, None).await), "replica-state");
    pair.house.manager.promote_replica(&operator(), second, None).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.house.show(share).instance.id, second);
}

#[tokio::test]
async fn a_failed_creation_and_a_failed_promotion_leave_the_statuses_of_the_contract() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    let broken = || Act::Fail(answered(DriverErrorCode::ReplicationFailed));
    for driver in [&pair.house.driver, &pair.west] {
        driver.then("create-replica", broken());
        driver.then("update-replica-state", broken());
    }
    let replica = pair.house.manager.create_replica(&tenant(), NewReplica { share }).await.expect("accepted");
    let replica = replica.instance.id;
    pair.house.settled().await;
    let found = pair.show(replica).instance;
    assert_eq!((found.status, found.replica_state), (ShareStatus::Error, Some(ReplicaState::Error)));
    // The next good answer heals both.
    pair.house.manager.resync_replica(&operator(), replica).await.expect("asked");
    pair.in_step(replica).await;
    for driver in [&pair.house.driver, &pair.west] {
        driver.then("promote-replica", broken());
        driver.then("update-replica-state", Act::Fail(answered(DriverErrorCode::ReplicationFailed)));
    }
    pair.house.manager.promote_replica(&tenant(), replica, None).await.expect("accepted");
    pair.house.settled().await;
    let active = pair.house.show(share).instance;
    assert_eq!((active.status, active.replica_state), (ShareStatus::Error, Some(ReplicaState::Active)));
}

#[tokio::test]
async fn a_replica_that_is_busy_is_asked_again_and_one_that_cannot_be_removed_can_be_forced() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    for driver in [&pair.house.driver, &pair.west] {
        driver.then("create-replica", Act::Fail(answered(DriverErrorCode::Busy)));
        driver.then("update-replica-state", Act::Fail(answered(DriverErrorCode::Busy)));
    }
    let replica = pair.replica(share).await;
    for driver in [&pair.house.driver, &pair.west] {
        driver.then("delete-replica", Act::Fail(answered(DriverErrorCode::BackendFailed)));
        driver.then("delete-replica", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    }
    pair.house.manager.delete_replica(&tenant(), replica, Force::No).await.expect("accepted");
    pair.house.settled().await;
    let found = pair.show(replica).instance;
    assert_eq!((found.status, found.replica_state), (ShareStatus::ErrorDeleting, Some(ReplicaState::Error)));
    pair.house.manager.delete_replica(&operator(), replica, Force::Yes).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.replicas(share).len(), 1);
}

/// Contract M-09.
#[tokio::test]
async fn a_snapshot_is_there_once_it_is_on_every_replica_in_step_and_gone_once_it_is_on_none() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    pair.house.snapshot(share).await;
    pair.replica(share).await;
    let second = pair.house.manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    let id = second.snapshot.id;
    until("the snapshots are on both replicas", async || {
        pair.house.world.lock().expect("the world").snapshots.len() == 4
    })
    .await;
    until("the snapshot is available", async || {
        pair.house.show_snapshot(id).instance.status == SnapshotStatus::Available
    })
    .await;
    pair.house.world.lock().expect("the world").shares.values_mut().for_each(|held| held.content += 1);
    pair.house.manager.revert_share(&tenant(), share, id).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.house.show(share).instance.status, ShareStatus::Available);
    pair.house.manager.delete_snapshot(&tenant(), id, Force::No).await.expect("accepted");
    until("the snapshot is gone", async || pair.house.manager.show_snapshot(&House::scope(), id).is_err())
        .await;
    assert_eq!(pair.house.world.lock().expect("the world").snapshots.len(), 2);
    let calls = pair.house.calls();
    assert!(calls.contains(&"revert-to-replicated-snapshot") && !calls.contains(&"delete-snapshot"));
}

/// Contract A-12.
#[tokio::test]
async fn rules_reach_every_replica_that_serves_clients() {
    let pair = Pair::new(ReplicationType::Readable).await;
    let share = pair.share().await;
    let first = pair.replicas(share)[0].instance.id;
    let second = pair.replica(share).await;
    pair.house.rule(share, "10.0.0.1").await;
    until("the rule is on both replicas", async || pair.rules_at(first) == 1 && pair.rules_at(second) == 1)
        .await;
    let level = {
        let world = pair.house.world.lock().expect("the world");
        world.shares[&second].rules.values().next().expect("a rule").1
    };
    assert_eq!(level, AccessLevel::Ro);
    {
        let world = pair.house.world.lock().expect("the world");
        let is_cast = |update: &&AccessUpdate| update.rules.iter().any(|rule| rule.level == AccessLevel::Ro);
        let cast = world.updates.iter().find(is_cast).expect("an update");
        assert!(cast.add.is_empty() && cast.remove.is_empty() && cast.update.is_empty(), "{cast:?}");
    }
    until("its rules are in force", async || {
        pair.show(second).instance.access_rules_status == AccessRulesStatus::Active
    })
    .await;
}

#[tokio::test]
async fn rules_that_wait_for_a_backend_go_on_at_the_promoted_replica() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    let second = pair.replica(share).await;
    let active = pair.house.show(share).instance.placement.backend.clone();
    let dead = if active.as_str() == "east" { &pair.house.driver } else { &pair.west };
    for _ in 0..10_000 {
        dead.then("update-access", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    }
    let rule =
        pair.house.manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    pair.house.manager.promote_replica(&tenant(), second, None).await.expect("accepted");
    pair.house.settled().await;
    let rule = pair.house.manager.show_access_rule(&House::scope(), rule.rule.id).expect("the rule");
    assert_eq!(rule.state, AccessRuleState::Active);
    assert_eq!(pair.rules_at(second), 1);
}

#[tokio::test]
async fn a_replicated_share_grows_on_its_active_replica_and_the_other_follows() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    let second = pair.replica(share).await;
    pair.house.manager.extend_share(&tenant(), share, gib(5)).await.expect("accepted");
    pair.house.settled().await;
    pair.house.manager.resync_replica(&operator(), second).await.expect("asked");
    until("the replica has grown", async || {
        pair.house.world.lock().expect("the world").shares[&second].size == gib(5)
    })
    .await;
    assert!(pair.house.world.lock().expect("the world").overlaps.is_empty());
}

/// After a restart the manager's own followers finish what was on its way.
#[tokio::test]
async fn what_was_on_its_way_on_a_replica_is_followed_after_a_restart() {
    let pair = Pair::new(ReplicationType::Dr).await;
    let share = pair.share().await;
    pair.replica(share).await;
    for driver in [&pair.house.driver, &pair.west] {
        for _ in 0..10_000 {
            driver.then("update-replicated-snapshot", Act::Fail(answered(DriverErrorCode::Busy)));
        }
    }
    let snapshot =
        pair.house.manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    pair.house.settled().await;
    assert_eq!(pair.house.show_snapshot(snapshot.snapshot.id).instance.status, SnapshotStatus::Creating);
    pair.house.manager.drain(Duration::from_secs(5)).await;
    let next: Manager = open_with(Arc::clone(&pair.house.store) as Arc<_>, |_| {}).await;
    for name in ["east", "west"] {
        next.attach(of_domain(name), Arc::new(FakeDriver::new(&pair.house.world)));
        ready(&next, name).await;
    }
    next.recover().await.expect("recovered");
    settled(&next).await;
    until("the snapshot is available", async || {
        let found = next.show_snapshot(&Scope::Everything, snapshot.snapshot.id).expect("the snapshot");
        found.instance.status == SnapshotStatus::Available
    })
    .await;
}
