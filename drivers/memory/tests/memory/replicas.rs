//! Replicas in two pools of one backend, and on two backends.

use crate::{field, lab, set_pairs};
use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessLevel, AccessType, ErrorCode, InstanceStatus, Promotion, Replica, ReplicaSnapshot,
    ReplicaSnapshotPair, ReplicaState, ReplicaView, ReplicatedReversion, ReplicationType, ShareAccessRule,
    Snapshot, SnapshotProgress,
};

/// Two pools, with an active share of 10 GiB in the first one.
fn one_backend() -> Lab {
    let lab = lab();
    set_pairs(&lab, "pools", &[("left", "100"), ("right", "100")]);
    lab.create_share::<Memory>(&replicas()[0].share).expect("made");
    lab
}

fn replicas() -> [Replica; 2] {
    let share = |number, pool: &str| {
        let mut share = sample::share(number, 10);
        share.share_id = "the-share".to_owned();
        share.pool = Some(pool.to_owned());
        share
    };
    [
        sample::replica(&share(1, "left"), "bulkhead@nas#left", ReplicaState::Active),
        sample::replica(&share(2, "right"), "bulkhead@nas#right", ReplicaState::OutOfSync),
    ]
}

fn view(snapshots: Vec<ReplicaSnapshotPair>) -> ReplicaView {
    let [active, replica] = replicas();
    let rule = ShareAccessRule {
        id: "a-rule".to_owned(),
        access_type: AccessType::Ip,
        access_to: "10.0.0.1/32".to_owned(),
        access_level: AccessLevel::Rw,
    };
    ReplicaView { replicas: vec![active, replica.clone()], replica, access_rules: vec![rule], snapshots }
}

fn promotion() -> Promotion {
    let view = view(Vec::new());
    Promotion {
        replicas: view.replicas,
        replica: view.replica,
        access_rules: view.access_rules,
        quiesce_wait_seconds: None,
    }
}

#[test]
fn a_replica_of_type_dr_is_in_sync_at_once_and_exported_to_nobody() {
    let lab = one_backend();
    for _ in 0..2 {
        let outcome = lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
        assert_eq!(outcome.replica_state, ReplicaState::InSync);
        assert_eq!(outcome.export_locations, Some(Vec::new()));
    }
    assert_eq!(field(&lab, &replicas()[1].share, "pool").as_deref(), Some("right"));
}

#[test]
fn a_readable_replica_is_exported_from_the_start() {
    let lab = one_backend();
    let mut view = view(Vec::new());
    view.replica.replication_type = ReplicationType::Readable;
    let outcome = lab.create_replica::<Memory>(&view).expect("made");
    assert_eq!(outcome.export_locations.expect("locations").len(), 1);
}

#[test]
fn a_replica_is_out_of_sync_for_as_long_as_the_option_says() {
    let lab = one_backend();
    lab.set_option("sync_seconds", Value::Integer(60));
    let outcome = lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
    assert_eq!(outcome.replica_state, ReplicaState::OutOfSync);
    let update = || lab.update_replica_state::<Memory>(&view(Vec::new()));
    assert_eq!(update(), Ok(Some(ReplicaState::OutOfSync)));
    lab.taking_over(&replicas()[1].share, "", || {
        bulkhead_sdk::clock::sleep(std::time::Duration::from_secs(60))
    });
    assert_eq!(update(), Ok(Some(ReplicaState::InSync)));
}

#[test]
fn a_replica_in_another_pool_follows_the_content_and_size_of_the_active_one() {
    let lab = one_backend();
    lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
    lab.extend_share::<Memory>(&replicas()[0].share, 20).expect("room enough");
    lab.update_replica_state::<Memory>(&view(Vec::new())).expect("follows");
    assert_eq!(field(&lab, &replicas()[1].share, "size").as_deref(), Some("20"));
}

#[test]
fn a_replica_on_another_backend_knows_what_the_host_hands_over() {
    let here = lab();
    set_pairs(&here, "pools", &[("right", "100")]);
    let outcome = here.create_replica::<Memory>(&view(Vec::new())).expect("made");
    assert_eq!(outcome.replica_state, ReplicaState::InSync);
    assert_eq!(field(&here, &replicas()[1].share, "content").as_deref(), Some("the-share"));
    let promoted = here.promote_replica::<Memory>(&promotion()).expect("promoted");
    assert_eq!(promoted[0].replica_state, ReplicaState::Active);
}

#[test]
fn a_replica_that_is_gone_is_made_again_by_the_next_update() {
    let lab = one_backend();
    assert_eq!(lab.update_replica_state::<Memory>(&view(Vec::new())), Ok(Some(ReplicaState::InSync)));
    assert!(field(&lab, &replicas()[1].share, "size").is_some());
}

#[test]
fn the_promoted_replica_serves_and_the_old_one_follows_later() {
    let lab = one_backend();
    lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
    for _ in 0..2 {
        let outcomes = lab.promote_replica::<Memory>(&promotion()).expect("promoted");
        let [promoted, demoted] = outcomes.as_slice() else { panic!("two replicas: {outcomes:?}") };
        assert_eq!(promoted.replica_state, ReplicaState::Active);
        assert_eq!(promoted.export_locations.as_ref().map(Vec::len), Some(1));
        assert_eq!(demoted.replica_state, ReplicaState::OutOfSync);
        assert_eq!(demoted.export_locations, Some(Vec::new()));
    }
    let [old, new] = replicas();
    let old = Replica { share: sample_state(&old, ReplicaState::OutOfSync), ..old };
    let new = Replica { share: sample_state(&new, ReplicaState::Active), ..new };
    let back = ReplicaView { replicas: vec![old.clone(), new], replica: old, ..view(Vec::new()) };
    assert_eq!(lab.update_replica_state::<Memory>(&back), Ok(Some(ReplicaState::InSync)));
}

fn sample_state(replica: &Replica, state: ReplicaState) -> bulkhead_sdk::Share {
    bulkhead_sdk::Share { replica_state: Some(state), ..replica.share.clone() }
}

#[test]
fn promoting_what_is_not_there_is_refused() {
    let error = one_backend().promote_replica::<Memory>(&promotion()).expect_err("not there");
    assert_eq!(error.code(), ErrorCode::ReplicationFailed);
}

#[test]
fn making_promoting_and_removing_converge_wherever_they_are_interrupted() {
    let with_replica = || {
        let lab = one_backend();
        lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
        lab
    };
    interrupted_everywhere(one_backend, |lab| lab.create_replica::<Memory>(&view(Vec::new())), |_, _| {});
    interrupted_everywhere(with_replica, |lab| lab.promote_replica::<Memory>(&promotion()), |_, _| {});
    let [active, replica] = replicas();
    interrupted_everywhere(
        with_replica,
        |lab| lab.delete_replica::<Memory>(&[active.clone(), replica.clone()], &replica, &[]),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(field(lab, &replica.share, "size"), None);
                assert!(field(lab, &active.share, "size").is_some());
            }
        },
    );
}

/// A snapshot on both replicas, as the host keeps it before it is taken.
fn snapshots(active: InstanceStatus, replica: InstanceStatus) -> Vec<ReplicaSnapshot> {
    let [first, second] = replicas();
    let instance = |number, replica: &Replica, status| {
        let mut snapshot = sample::snapshot(number, &replica.share);
        snapshot.snapshot_id = "the-snapshot".to_owned();
        ReplicaSnapshot { snapshot, status }
    };
    vec![instance(1, &first, active), instance(2, &second, replica)]
}

#[test]
fn a_replicated_snapshot_is_taken_of_the_active_replica_and_followed_by_the_other() {
    let lab = one_backend();
    lab.create_replica::<Memory>(&view(Vec::new())).expect("made");
    let [active, replica] = replicas();
    let all = [active.clone(), replica.clone()];
    let creating = snapshots(InstanceStatus::Creating, InstanceStatus::Creating);
    let waits = lab
        .update_replicated_snapshot::<Memory>(&all, &replica, &creating, &creating[1])
        .expect("nothing to do yet");
    assert_eq!(waits, None);
    let taken = lab.create_replicated_snapshot::<Memory>(&active, &all, &creating).expect("taken");
    assert_eq!((taken.len(), taken[0].progress), (1, SnapshotProgress::Available));
    let mut available = snapshots(InstanceStatus::Available, InstanceStatus::Creating);
    available[0].snapshot.provider_location.clone_from(&taken[0].provider_location);
    let followed = lab
        .update_replicated_snapshot::<Memory>(&all, &replica, &available, &available[1])
        .expect("follows")
        .expect("an update");
    assert_eq!(followed.progress, SnapshotProgress::Available);
    assert_eq!(followed.provider_location, taken[0].provider_location);
    revert_and_remove(&lab, &all, available);
}

fn revert_and_remove(lab: &Lab, all: &[Replica; 2], available: Vec<ReplicaSnapshot>) {
    let [active, replica] = all;
    lab.extend_share::<Memory>(&active.share, 20).expect("room enough");
    let reversion = ReplicatedReversion {
        active_replica: active.clone(),
        replicas: all.to_vec(),
        active_snapshot: available[0].clone(),
        snapshots: available.clone(),
        share_rules: Vec::new(),
        snapshot_rules: Vec::new(),
    };
    lab.revert_to_replicated_snapshot::<Memory>(&reversion).expect("reverted");
    assert_eq!(field(lab, &active.share, "size").as_deref(), Some("10"));
    let gone = lab.delete_replicated_snapshot::<Memory>(active, all, &available).expect("removed");
    assert_eq!((gone.len(), gone[0].progress), (1, SnapshotProgress::Deleted));
    let mut deleting = available;
    deleting[1].status = InstanceStatus::Deleting;
    let gone = lab
        .update_replicated_snapshot::<Memory>(all, replica, &deleting, &deleting[1])
        .expect("removed")
        .expect("an update");
    assert_eq!(gone.progress, SnapshotProgress::Deleted);
}

#[test]
fn a_replica_is_in_sync_only_once_it_has_every_snapshot() {
    let lab = one_backend();
    let [first, second] =
        snapshots(InstanceStatus::Available, InstanceStatus::Creating).try_into().expect("two instances");
    let pair = |handle: Option<String>| ReplicaSnapshotPair {
        active: Snapshot { provider_location: handle, ..first.snapshot.clone() },
        replica: second.snapshot.clone(),
    };
    let outcome = lab.create_replica::<Memory>(&view(vec![pair(None)])).expect("made");
    assert_eq!(outcome.replica_state, ReplicaState::OutOfSync);
    let handle = lab.create_snapshot::<Memory>(&first.snapshot).expect("taken").provider_location;
    let state = lab.update_replica_state::<Memory>(&view(vec![pair(handle)])).expect("follows");
    assert_eq!(state, Some(ReplicaState::InSync));
}
