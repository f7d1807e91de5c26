//! Answers about replicas of a guest that says as little as it can, or too much.

use crate::Driver as _;
use crate::fixture::{self, Guest, reason};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::CallError;
use bulkhead_model::replica::{
    Promotion, ReplicaRemoval, ReplicaView, ReplicatedReversion, ReplicatedSnapshot,
};
use bulkhead_model::snapshot::SnapshotAccessUpdate;
use bulkhead_model::status::ReplicaState;

const ANSWER: &str = "(i32.const 4096)";

fn guest() -> Guest {
    Guest::default()
        .export("snapshots")
        .export("replication")
        .export("replicated-snapshots")
        .export("replicated-revert")
}

/// `ok(some(state))` of `update-replica-state` at 4096.
fn some(state: u8) -> String {
    format!(r#"(data (i32.const 4096) "\00\00\00\00\01\{state:02x}")"#)
}

fn promotion(view: &ReplicaView) -> Promotion {
    Promotion {
        replicas: view.replicas.clone(),
        replica: view.replica.clone(),
        access_rules: view.access_rules.clone(),
        quiesce_wait_seconds: None,
        snapshots: Vec::new(),
    }
}

fn removal(view: &ReplicaView) -> ReplicaRemoval {
    ReplicaRemoval {
        replicas: view.replicas.clone(),
        replica: view.replica.clone(),
        snapshots: view.snapshots.iter().map(|pair| pair.replica.clone()).collect(),
    }
}

fn reversion(snapshot: &ReplicatedSnapshot) -> ReplicatedReversion {
    ReplicatedReversion {
        active_replica: snapshot.replicas[0].clone(),
        replicas: snapshot.replicas.clone(),
        active_snapshot: snapshot.snapshots[0].clone(),
        snapshots: snapshot.snapshots.clone(),
        share_rules: Vec::new(),
        snapshot_rules: Vec::new(),
    }
}

#[tokio::test]
async fn every_function_about_replicas_is_called_and_silence_is_no_change() {
    let (_host, generation) = guest().generation(DriverLimits::default()).await;
    let view = fixture::replica_view();
    assert_eq!(generation.update_replica_state(&reason(), &view).await, Ok(None));
    assert_eq!(generation.promote_replica(&reason(), &promotion(&view)).await, Ok(Vec::new()));
    assert_eq!(generation.delete_replica(&reason(), &removal(&view)).await, Ok(()));
    let snapshot = fixture::replicated_snapshot();
    assert_eq!(generation.create_replicated_snapshot(&reason(), &snapshot).await, Ok(Vec::new()));
    assert_eq!(generation.delete_replicated_snapshot(&reason(), &snapshot).await, Ok(Vec::new()));
    let behind = snapshot.replicas[1].share.id;
    assert_eq!(generation.update_replicated_snapshot(&reason(), behind, &snapshot).await, Ok(None));
    let reverted = generation.revert_to_replicated_snapshot(&reason(), &reversion(&snapshot)).await;
    assert_eq!(reverted, Ok(()));
}

#[tokio::test]
async fn a_new_replica_that_the_answer_does_not_name_is_no_replica() {
    let (_host, generation) = guest().generation(DriverLimits::default()).await;
    let error = generation.create_replica(&reason(), &fixture::replica_view()).await.expect_err("nameless");
    assert!(
        matches!(&error, CallError::InvalidAnswer { reason, .. } if reason.contains("share-id")),
        "{error}"
    );
}

#[tokio::test]
async fn a_driver_does_not_make_a_replica_active_by_saying_so() {
    for (state, believed) in [(0, None), (1, Some(ReplicaState::InSync)), (3, Some(ReplicaState::Error))] {
        let guest = guest().with(&some(state)).body("replication.update-replica-state", ANSWER);
        let (_host, generation) = guest.generation(DriverLimits::default()).await;
        let view = fixture::replica_view();
        assert_eq!(generation.update_replica_state(&reason(), &view).await, Ok(believed));
    }
}

/// Contract D-33.
#[tokio::test]
async fn what_a_driver_does_not_replicate_is_not_called() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let (why, view, snapshot) = (reason(), fixture::replica_view(), fixture::replicated_snapshot());
    let (promotion, removal) = (promotion(&view), removal(&view));
    let lacks = |ability: Ability| CallError::NotExported { interface: ability.interface() };
    let replication = lacks(Ability::Replication);
    assert!(replication.is_not_implemented());
    assert_eq!(generation.create_replica(&why, &view).await, Err(replication.clone()));
    assert_eq!(generation.update_replica_state(&why, &view).await, Err(replication.clone()));
    assert_eq!(generation.promote_replica(&why, &promotion).await, Err(replication.clone()));
    assert_eq!(generation.delete_replica(&why, &removal).await, Err(replication));
    let snapshots = lacks(Ability::ReplicatedSnapshots);
    assert_eq!(generation.create_replicated_snapshot(&why, &snapshot).await, Err(snapshots.clone()));
    assert_eq!(generation.delete_replicated_snapshot(&why, &snapshot).await, Err(snapshots.clone()));
    let behind = snapshot.replicas[1].share.id;
    assert_eq!(generation.update_replicated_snapshot(&why, behind, &snapshot).await, Err(snapshots));
    let reversion = reversion(&snapshot);
    let reverted = generation.revert_to_replicated_snapshot(&why, &reversion).await;
    assert_eq!(reverted, Err(lacks(Ability::ReplicatedRevert)));
    let update = SnapshotAccessUpdate::default();
    let access = generation.snapshot_update_access(&why, &fixture::snapshot(), &update).await;
    assert_eq!(access, Err(lacks(Ability::MountableSnapshots)));
}
