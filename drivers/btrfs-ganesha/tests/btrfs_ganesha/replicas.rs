//! Two backends with a pool each: the one that is behind pulls from the other.

use crate::{Site, content, fill, names_in, share_path};
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_btrfs_pool::testing::{Access, fails};
use bulkhead_sdk::config::Value;
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    AccessLevel, AccessType, ErrorCode, InstanceStatus, Promotion, Replica, ReplicaSnapshot,
    ReplicaSnapshotPair, ReplicaState, ReplicaView, ReplicatedReversion, Share, ShareAccessRule, Snapshot,
    SnapshotProgress,
};
use std::fs;
use std::os::unix::fs::symlink;

/// Two sites, each the other's peer. The first one's replica is active in the beginning.
struct Pair {
    first: Site,
    second: Site,
    /// The instance of each site.
    shares: [Share; 2],
}

impl Pair {
    /// A share with content on the first site, none on the second.
    fn new() -> Self {
        let (first, second) = (Site::bare(), Site::bare());
        for (one, other) in [(&first, &second), (&second, &first)] {
            bind(&one.lab, "peer", &other.lab.root("pool"));
            one.lab.set_option("replication_domain", Value::Text("both".to_owned()));
        }
        fs::remove_dir_all(second.lab.root("kernel")).expect("it was there");
        symlink(first.lab.root("kernel"), second.lab.root("kernel")).expect("a link");
        first.btrfs.answer(&second.lab);
        for site in [&first, &second] {
            site.lab.setup::<BtrfsGanesha>().expect("it is as it must be");
        }
        let pair = Self { first, second, shares: [sample::share(1, 10), sample::share(2, 10)] };
        pair.first.lab.create_share::<BtrfsGanesha>(&pair.shares[0]).expect("room enough");
        pair.write("one");
        pair
    }

    /// The same with a replica that is in sync.
    fn in_sync() -> Self {
        let pair = Self::new();
        pair.second.lab.create_replica::<BtrfsGanesha>(&pair.view(0, 1)).expect("it is pulled");
        pair
    }

    fn write(&self, text: &str) {
        fill(&self.first.share(&self.shares[0]), text);
    }

    /// Both replicas, `active` being so.
    fn replicas(&self, active: usize) -> Vec<Replica> {
        let state = |number| if number == active { ReplicaState::Active } else { ReplicaState::InSync };
        let replica = |number: usize| {
            sample::replica(&self.shares[number], &format!("host@nas{number}#pool"), state(number))
        };
        vec![replica(0), replica(1)]
    }

    fn view(&self, active: usize, subject: usize) -> ReplicaView {
        let replicas = self.replicas(active);
        let replica = replicas[subject].clone();
        ReplicaView { replicas, replica, access_rules: Vec::new(), snapshots: Vec::new() }
    }

    fn promotion(&self, active: usize, subject: usize) -> Promotion {
        let replicas = self.replicas(active);
        let rule = ShareAccessRule {
            id: "rule".to_owned(),
            access_type: AccessType::Ip,
            access_to: "10.0.0.0/24".to_owned(),
            access_level: AccessLevel::Rw,
        };
        Promotion {
            replica: replicas[subject].clone(),
            replicas,
            access_rules: vec![rule],
            quiesce_wait_seconds: None,
        }
    }

    fn follow(&self) -> bulkhead_sdk::Result<Option<ReplicaState>> {
        self.second.lab.update_replica_state::<BtrfsGanesha>(&self.view(0, 1))
    }

    /// What the second site holds of the first one's share.
    fn pulled(&self) -> Option<String> {
        let replication = self.second.lab.root("pool").join("replication");
        let bases = names_in(&self.second.lab, "replication");
        assert!(bases.len() <= 1, "one base is left: {bases:?}");
        assert_eq!(bases, names_in(&self.first.lab, "replication"), "both pools hold the same");
        content(&replication.join(bases.first()?))
    }

    /// How a pull was made last.
    fn last_stream(&self, lab: &Lab) -> String {
        let streams = lab.commands().into_iter().filter(|command| command.template().ends_with("-stream"));
        streams.map(|command| command.template().to_owned()).next_back().unwrap_or_default()
    }
}

fn bind(lab: &Lab, root: &str, to: &std::path::Path) {
    fs::remove_dir_all(lab.root(root)).expect("it was there");
    symlink(to, lab.root(root)).expect("a link");
}

#[test]
fn a_replica_holds_everything_and_is_exported_to_nobody() {
    let pair = Pair::in_sync();
    assert_eq!(pair.pulled().as_deref(), Some("one"));
    assert_eq!(pair.last_stream(&pair.second.lab), "whole-stream");
    assert!(pair.second.ganesha.served().is_empty());
    assert!(pair.second.names("shares").is_empty());
}

#[test]
fn what_changed_is_pulled_and_one_base_is_kept() {
    let pair = Pair::in_sync();
    for text in ["two", "three", "four"] {
        pair.write(text);
        assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
        assert_eq!(pair.pulled().as_deref(), Some(text));
        assert_eq!(pair.last_stream(&pair.second.lab), "increment-stream");
    }
}

#[test]
fn a_stream_that_breaks_is_cleaned_away_and_begun_anew() {
    let pair = Pair::in_sync();
    pair.write("two");
    let (btrfs, failing) = (pair.first.btrfs.clone(), std::cell::Cell::new(true));
    pair.second.lab.answer("increment-stream", move |command| {
        if failing.replace(false) {
            btrfs.make(&command.path("into"));
            return fails("short read from stream: expected 49175 read 32136");
        }
        btrfs.send(command)
    });
    let error = pair.follow().expect_err("it broke");
    assert_eq!(error.code(), ErrorCode::ReplicationFailed);
    assert_eq!(pair.pulled().as_deref(), Some("one"), "the last whole base is kept");
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
    assert_eq!(pair.pulled().as_deref(), Some("two"));
}

#[test]
fn a_long_stream_outlives_its_call() {
    let pair = Pair::in_sync();
    pair.write("two");
    pair.second.lab.let_jobs_run();
    for _ in 0..2 {
        assert_eq!(pair.follow().expect_err("it is on its way").code(), ErrorCode::Busy);
    }
    pair.second.lab.end_jobs().expect("it ends");
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
    assert_eq!(pair.pulled().as_deref(), Some("two"));
}

#[test]
fn a_replica_whose_peer_cannot_be_read_lags_behind() {
    let pair = Pair::in_sync();
    fs::remove_dir_all(pair.first.share(&pair.shares[0])).expect("it was there");
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::OutOfSync)));
    assert_eq!(pair.pulled().as_deref(), Some("one"));
}

#[test]
fn promotion_freezes_the_old_one_pulls_its_last_changes_and_serves() {
    let pair = Pair::in_sync();
    pair.write("two");
    let outcomes = pair.second.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(0, 1)).expect("promoted");
    assert_eq!(outcomes[0].share_id, pair.shares[1].id);
    assert_eq!(outcomes[0].replica_state, ReplicaState::Active);
    assert_eq!(outcomes[1].replica_state, ReplicaState::OutOfSync);
    let promoted = share_path(&pair.second.lab, &pair.shares[1]);
    assert_eq!(content(&promoted).as_deref(), Some("two"));
    assert_eq!(pair.first.btrfs.of(&promoted).limit, 10 << 30);
    assert_eq!(pair.first.btrfs.of(&pair.first.share(&pair.shares[0])).access, Access::ReadOnly);
    let clients = pair.second.ganesha.clients(&pair.shares[1].name).expect("it is served");
    assert!(clients.join("").contains("10.0.0.0/24"), "{clients:?}");
    fill(&promoted, "written since");
    pair.second.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(0, 1)).expect("it is promoted");
    assert_eq!(content(&promoted).as_deref(), Some("written since"), "a repetition takes nothing back");
}

#[test]
fn the_way_back_is_incremental() {
    let pair = Pair::in_sync();
    pair.second.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(0, 1)).expect("promoted");
    fill(&share_path(&pair.second.lab, &pair.shares[1]), "there");
    let back = pair.first.lab.update_replica_state::<BtrfsGanesha>(&pair.view(1, 0));
    assert_eq!(back, Ok(Some(ReplicaState::InSync)));
    assert_eq!(pair.last_stream(&pair.first.lab), "increment-stream");
    assert!(pair.first.names("shares").is_empty() && pair.first.ganesha.served().is_empty());
    fill(&share_path(&pair.second.lab, &pair.shares[1]), "there again");
    pair.first.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(1, 0)).expect("promoted back");
    assert_eq!(content(&pair.first.share(&pair.shares[0])).as_deref(), Some("there again"));
    fill(&pair.first.share(&pair.shares[0]), "here");
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
    assert!(pair.second.names("shares").is_empty() && pair.second.ganesha.served().is_empty());
}

#[test]
fn without_the_peer_the_last_pull_is_promoted() {
    let pair = Pair::in_sync();
    pair.write("lost");
    fs::remove_dir_all(pair.first.lab.root("pool").join("shares")).expect("it was there");
    for _ in 0..2 {
        pair.second.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(0, 1)).expect("promoted");
        assert_eq!(content(&share_path(&pair.second.lab, &pair.shares[1])).as_deref(), Some("one"));
    }
}

#[test]
fn a_promotion_that_fails_leaves_the_active_one_to_its_clients() {
    let pair = Pair::in_sync();
    pair.second.lab.answer("increment-stream", |_| fails("it breaks"));
    let error =
        pair.second.lab.promote_replica::<BtrfsGanesha>(&pair.promotion(0, 1)).expect_err("it breaks");
    assert_eq!(error.code(), ErrorCode::ReplicationFailed);
    assert_eq!(pair.first.btrfs.of(&pair.first.share(&pair.shares[0])).access, Access::Writable);
}

#[test]
fn snapshots_of_a_replicated_share_are_taken_once_and_pulled() {
    let pair = Pair::in_sync();
    let instances: Vec<Snapshot> =
        [1, 2].iter().zip(&pair.shares).map(|(number, share)| sample::snapshot(*number, share)).collect();
    let with = |status: InstanceStatus, own: InstanceStatus| -> Vec<ReplicaSnapshot> {
        let one = |(snapshot, status): (&Snapshot, _)| ReplicaSnapshot { snapshot: snapshot.clone(), status };
        instances.iter().zip([status, own]).map(one).collect()
    };
    let replicas = pair.replicas(0);
    let creating = with(InstanceStatus::Creating, InstanceStatus::Creating);
    let update = |given: &[ReplicaSnapshot]| {
        pair.second.lab.update_replicated_snapshot::<BtrfsGanesha>(&replicas, &replicas[1], given, &given[1])
    };
    assert_eq!(update(&creating), Ok(None), "there is nothing to pull yet");
    let taken = pair.first.lab.create_replicated_snapshot::<BtrfsGanesha>(&replicas[0], &replicas, &creating);
    assert_eq!(taken.expect("it is taken").len(), 1);
    pair.write("two");
    let available = with(InstanceStatus::Available, InstanceStatus::Creating);
    for _ in 0..2 {
        let pulled = update(&available).expect("it is pulled").expect("it changed");
        assert_eq!(pulled.progress, SnapshotProgress::Available);
    }
    assert_eq!(content(&pair.second.snapshot(&instances[1])).as_deref(), Some("one"));
    let mut view = pair.view(0, 1);
    view.snapshots =
        vec![ReplicaSnapshotPair { active: instances[0].clone(), replica: instances[1].clone() }];
    pair.second.lab.update_replica_state::<BtrfsGanesha>(&view).expect("it follows");
    assert_eq!(pair.pulled().as_deref(), Some("two"));
    let deleting = with(InstanceStatus::Deleting, InstanceStatus::Deleting);
    pair.first
        .lab
        .delete_replicated_snapshot::<BtrfsGanesha>(&replicas[0], &replicas, &deleting)
        .expect("it goes");
    let gone = update(&deleting).expect("it goes").expect("it changed");
    assert_eq!(gone.progress, SnapshotProgress::Deleted);
    assert!(pair.first.names("snapshots").is_empty() && pair.second.names("snapshots").is_empty());
}

#[test]
fn a_deleted_replica_leaves_nothing_in_either_pool() {
    let pair = Pair::in_sync();
    let replicas = pair.replicas(0);
    for _ in 0..2 {
        pair.second.lab.delete_replica::<BtrfsGanesha>(&replicas, &replicas[1], &[]).expect("it goes");
    }
    pair.second.expect_nothing_left();
    assert!(pair.first.names("replication").is_empty());
    assert_eq!(content(&pair.first.share(&pair.shares[0])).as_deref(), Some("one"));
}

#[test]
fn a_replicated_share_is_reverted_and_the_other_replica_follows() {
    let pair = Pair::in_sync();
    let snapshots: Vec<ReplicaSnapshot> = [1, 2]
        .iter()
        .zip(&pair.shares)
        .map(|(number, share)| ReplicaSnapshot {
            snapshot: sample::snapshot(*number, share),
            status: InstanceStatus::Available,
        })
        .collect();
    let replicas = pair.replicas(0);
    let taken =
        pair.first.lab.create_replicated_snapshot::<BtrfsGanesha>(&replicas[0], &replicas, &snapshots);
    assert_eq!(taken.expect("it is taken").len(), 1);
    pair.write("two");
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
    let reversion = ReplicatedReversion {
        active_replica: replicas[0].clone(),
        active_snapshot: snapshots[0].clone(),
        replicas,
        snapshots,
        share_rules: Vec::new(),
        snapshot_rules: Vec::new(),
    };
    pair.first.lab.revert_to_replicated_snapshot::<BtrfsGanesha>(&reversion).expect("it is reverted");
    assert_eq!(content(&pair.first.share(&pair.shares[0])).as_deref(), Some("one"));
    assert_eq!(pair.follow(), Ok(Some(ReplicaState::InSync)));
    assert_eq!(pair.pulled().as_deref(), Some("one"));
}
