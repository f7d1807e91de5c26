//! Who may mount.

use crate::{Site, converges};
use bulkhead_btrfs_ganesha::BtrfsGanesha;
use bulkhead_sdk::testing::{Moment, sample};
use bulkhead_sdk::{
    AccessLevel, AccessRule, AccessType, AccessUpdate, RuleState, Share, SnapshotAccessUpdate,
};

fn rule(number: u32, to: &str, level: AccessLevel) -> AccessRule {
    sample::access_rule(number, AccessType::Ip, to, level)
}

fn update(rules: Vec<AccessRule>) -> AccessUpdate {
    AccessUpdate { rules, ..AccessUpdate::default() }
}

fn site_with_share() -> (Site, Share) {
    let (site, share) = (Site::new(), sample::share(1, 10));
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    (site, share)
}

#[test]
fn rules_reach_the_server_at_once_and_go_at_once() {
    let (site, share) = site_with_share();
    let rules = vec![rule(1, "10.0.0.0/24", AccessLevel::Rw), rule(2, "fd00::1", AccessLevel::Ro)];
    let outcomes = site.lab.update_access::<BtrfsGanesha>(&share, &update(rules)).expect("they are served");
    assert!(outcomes.iter().all(|outcome| outcome.state == RuleState::Active));
    let clients = site.ganesha.clients(&share.name).expect("it is served").join("\n");
    assert!(clients.contains("10.0.0.0/24") && clients.contains("fd00::1"), "{clients}");
    site.lab.update_access::<BtrfsGanesha>(&share, &update(Vec::new())).expect("nobody is served");
    assert_eq!(site.ganesha.clients(&share.name), Some(Vec::new()));
}

#[test]
fn a_rule_that_the_server_cannot_hold_to_fails_alone() {
    let (site, share) = site_with_share();
    let rules = vec![
        rule(1, "10.0.0.9", AccessLevel::Rw),
        sample::access_rule(2, AccessType::User, "alice", AccessLevel::Rw),
        rule(3, "fd00::/100", AccessLevel::Rw),
    ];
    let outcomes = site.lab.update_access::<BtrfsGanesha>(&share, &update(rules)).expect("one is served");
    let states: Vec<_> = outcomes.iter().map(|outcome| outcome.state).collect();
    assert_eq!(states, [RuleState::Active, RuleState::Error, RuleState::Error]);
    let clients = site.ganesha.clients(&share.name).expect("it is served");
    assert_eq!(clients.len(), 1, "{clients:?}");
}

#[test]
fn a_server_that_takes_only_a_part_of_a_file_is_not_believed() {
    use bulkhead_sdk::dbus::{Item, Reply, Value};
    let (site, share) = site_with_share();
    site.lab.answer_dbus("update-export", |_| {
        let text = "1 exports updated. Errors found:\nSyntax error in statement".to_owned();
        Ok(Reply::Results(vec![Item { position: vec![0], value: Value::Text(text) }]))
    });
    let rules = vec![rule(1, "10.0.0.9", AccessLevel::Rw)];
    let error = site.lab.update_access::<BtrfsGanesha>(&share, &update(rules)).expect_err("a part");
    assert!(error.message().contains("Syntax error"), "{error}");
}

#[test]
fn changing_rules_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    let rules = update(vec![rule(1, "10.0.0.9", AccessLevel::Ro)]);
    converges(
        || site_with_share().0,
        |lab| lab.update_access::<BtrfsGanesha>(&share, &rules),
        |_, _, ganesha, moment| {
            if moment == Moment::Done {
                let clients = ganesha.clients(&share.name).expect("it is served");
                assert!(matches!(clients.as_slice(), [client] if client.contains("10.0.0.9")), "{clients:?}");
            }
        },
    );
}

#[test]
fn what_somebody_deleted_by_hand_is_shut_and_can_be_deleted() {
    let (site, share) = (Site::new(), Share { mount_snapshot_support: true, ..sample::share(1, 10) });
    site.lab.create_share::<BtrfsGanesha>(&share).expect("room enough");
    let snapshot = sample::snapshot(1, &share);
    site.lab.create_snapshot::<BtrfsGanesha>(&snapshot).expect("it is taken");
    for directory in [site.share(&share), site.snapshot(&snapshot)] {
        std::fs::remove_dir_all(directory).expect("it was there");
    }
    site.lab.update_access::<BtrfsGanesha>(&share, &update(Vec::new())).expect("nobody is let in");
    let nobody = SnapshotAccessUpdate::default();
    site.lab.snapshot_update_access::<BtrfsGanesha>(&snapshot, &nobody).expect("nobody is let in");
    assert!(site.ganesha.served().is_empty());
    site.lab.delete_snapshot::<BtrfsGanesha>(&snapshot).expect("it goes");
    site.lab.delete_share::<BtrfsGanesha>(&share).expect("it goes");
    site.expect_nothing_left();
}
