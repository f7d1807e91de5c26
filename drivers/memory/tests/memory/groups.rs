//! Share groups and snapshots of them.

use crate::{field, lab, thick_lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    Consistency, GroupShareSource, Share, ShareGroup, ShareGroupSnapshot, Snapshot, SnapshotProgress,
};

/// A group of two shares, and a snapshot of it as the host keeps it.
fn group_lab() -> (Lab, ShareGroupSnapshot) {
    let lab = lab();
    let group = sample::share_group(1, &[sample::share(1, 10), sample::share(2, 20)]);
    lab.create_share_group::<Memory>(&ShareGroup { shares: Vec::new(), ..group.clone() }).expect("made");
    for share in &group.shares {
        lab.create_share::<Memory>(share).expect("made");
    }
    let snapshot = sample::share_group_snapshot(10, &group);
    let updates = lab.create_share_group_snapshot::<Memory>(&snapshot).expect("taken");
    let member = |(member, update): (&Snapshot, &bulkhead_sdk::SnapshotUpdate)| Snapshot {
        provider_location: update.provider_location.clone(),
        ..member.clone()
    };
    let members = snapshot.members.iter().zip(&updates).map(member).collect();
    (lab, ShareGroupSnapshot { members, ..snapshot })
}

fn sources(snapshot: &ShareGroupSnapshot) -> Vec<GroupShareSource> {
    let shares = (11..).zip(&snapshot.members);
    shares
        .map(|(number, member)| GroupShareSource {
            share: sample::share(number, member.size_gib),
            member: member.clone(),
        })
        .collect()
}

#[test]
fn a_group_is_made_and_removed_and_both_may_be_repeated() {
    let (lab, group) = (lab(), sample::share_group(1, &[]));
    for _ in 0..2 {
        lab.create_share_group::<Memory>(&group).expect("made");
    }
    for _ in 0..2 {
        lab.delete_share_group::<Memory>(&group).expect("gone");
    }
    assert_eq!(lab.consistency_unit::<Memory>(), Ok(Consistency::Host));
}

#[test]
fn a_group_snapshot_has_a_member_for_each_share() {
    let (lab, snapshot) = group_lab();
    let updates = lab.create_share_group_snapshot::<Memory>(&snapshot).expect("it is there");
    assert_eq!(updates.len(), 2);
    assert!(updates.iter().all(|update| update.progress == SnapshotProgress::Available));
    for _ in 0..2 {
        lab.delete_share_group_snapshot::<Memory>(&snapshot).expect("gone");
    }
}

#[test]
fn a_group_from_a_snapshot_holds_what_each_member_held() {
    let (lab, snapshot) = group_lab();
    let (group, sources) = (sample::share_group(2, &[]), sources(&snapshot));
    let made = lab.create_share_group_from_snapshot::<Memory>(&group, &snapshot, &sources).expect("made");
    assert_eq!(made.len(), 2);
    for source in &sources {
        assert_eq!(field(&lab, &source.share, "content"), Some(source.member.share.share_id.clone()));
    }
}

#[test]
fn a_group_from_a_snapshot_converges_wherever_it_is_interrupted() {
    let snapshot = group_lab().1;
    let (group, sources) = (sample::share_group(2, &[]), sources(&snapshot));
    interrupted_everywhere(
        || group_lab().0,
        |lab| lab.create_share_group_from_snapshot::<Memory>(&group, &snapshot, &sources),
        |lab, moment| {
            let made = sources.iter().filter(|source| field(lab, &source.share, "size").is_some()).count();
            assert!(moment == Moment::Interrupted || made == 2);
        },
    );
}

#[test]
fn a_group_snapshot_converges_wherever_it_is_interrupted() {
    let shares = [1, 2].map(|number| Share { pool: Some("gold".to_owned()), ..sample::share(number, 10) });
    let snapshot = sample::share_group_snapshot(10, &sample::share_group(1, &shares));
    interrupted_everywhere(
        || {
            let lab = thick_lab();
            for share in &shares {
                lab.create_share::<Memory>(share).expect("made");
            }
            lab
        },
        |lab| lab.create_share_group_snapshot::<Memory>(&snapshot),
        |_, _| {},
    );
}
