//! Access rules: what is in force is what the update says, rule by rule.

use crate::{keys, lab};
use bulkhead_memory::Memory;
use bulkhead_sdk::private_data::{self, Owner};
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{
    AccessLevel, AccessRule, AccessType, AccessUpdate, ErrorCode, Resource, RuleState, Share,
};

fn rule(number: u32, access_type: AccessType, to: &str, level: AccessLevel) -> AccessRule {
    sample::access_rule(number, access_type, to, level)
}

fn full(rules: Vec<AccessRule>) -> AccessUpdate {
    AccessUpdate { rules, ..AccessUpdate::default() }
}

/// The rules in force.
fn in_force(lab: &Lab, share: &Share) -> Vec<String> {
    let data = || private_data::get_all(&Owner::Of(Resource::from(share)));
    let entries = lab.taking_over(share, "", data).expect("the lab answers");
    entries.into_iter().filter(|entry| entry.key.starts_with("rule/")).map(|entry| entry.value).collect()
}

fn share_lab() -> (Lab, Share) {
    let (lab, share) = (lab(), sample::share(1, 10));
    lab.create_share::<Memory>(&share).expect("made");
    (lab, share)
}

#[test]
fn addresses_and_users_come_in_and_every_other_rule_fails_alone() {
    let (lab, share) = share_lab();
    let rules = vec![
        rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw),
        rule(2, AccessType::User, "alice", AccessLevel::Ro),
        rule(3, AccessType::Cephx, "bob", AccessLevel::Rw),
    ];
    let outcomes = lab.update_access::<Memory>(&share, &full(rules)).expect("handled");
    let states: Vec<_> = outcomes.iter().map(|outcome| outcome.state).collect();
    assert_eq!(states, [RuleState::Active, RuleState::Active, RuleState::Error]);
    assert_eq!(in_force(&lab, &share), ["ip rw 10.0.0.0/24", "user ro alice"]);
}

#[test]
fn whatever_is_there_beside_the_rules_goes_and_a_changed_level_counts() {
    let (lab, share) = share_lab();
    let first = rule(1, AccessType::Ip, "10.0.0.1/32", AccessLevel::Rw);
    let second = rule(2, AccessType::Ip, "10.0.0.2/32", AccessLevel::Rw);
    lab.update_access::<Memory>(&share, &full(vec![first, second.clone()])).expect("handled");
    let second = AccessRule { access_level: AccessLevel::Ro, ..second };
    let update = AccessUpdate { update: vec![second.clone()], ..full(vec![second]) };
    lab.update_access::<Memory>(&share, &update).expect("handled");
    assert_eq!(in_force(&lab, &share), ["ip ro 10.0.0.2/32"]);
    lab.update_access::<Memory>(&share, &full(Vec::new())).expect("handled");
    assert!(in_force(&lab, &share).is_empty());
}

#[test]
fn adding_what_is_there_and_removing_what_is_not_are_no_errors() {
    let (lab, share) = share_lab();
    let there = rule(1, AccessType::Ip, "10.0.0.1/32", AccessLevel::Rw);
    let absent = rule(2, AccessType::Ip, "10.0.0.2/32", AccessLevel::Rw);
    let update = AccessUpdate { add: vec![there.clone()], remove: vec![absent], ..full(vec![there]) };
    for _ in 0..2 {
        let outcomes = lab.update_access::<Memory>(&share, &update).expect("handled");
        assert_eq!(outcomes.len(), 1);
    }
}

#[test]
fn more_rules_than_the_array_can_hold_fail_and_the_others_are_in_force() {
    let (lab, share) = share_lab();
    let many = (0..1010).map(|number| {
        rule(number, AccessType::Ip, &format!("10.0.{}.{}/32", number / 256, number % 256), AccessLevel::Rw)
    });
    let outcomes = lab.update_access::<Memory>(&share, &full(many.collect())).expect("handled");
    let failed = outcomes.iter().filter(|outcome| outcome.state == RuleState::Error).count();
    assert_eq!((failed, keys(&lab, &share)), (10, 1001));
}

#[test]
fn rules_of_a_share_that_is_not_there_are_refused() {
    let (lab, share) = (lab(), sample::share(1, 10));
    let error = lab.update_access::<Memory>(&share, &full(Vec::new())).expect_err("no share");
    assert_eq!(error.code(), ErrorCode::ShareNotFound);
}

#[test]
fn a_change_of_rules_converges_wherever_it_is_interrupted() {
    let share = sample::share(1, 10);
    let old = rule(1, AccessType::Ip, "10.0.0.1/32", AccessLevel::Rw);
    let new = rule(2, AccessType::Ip, "10.0.0.2/32", AccessLevel::Rw);
    interrupted_everywhere(
        || {
            let (lab, share) = share_lab();
            lab.update_access::<Memory>(&share, &full(vec![old.clone()])).expect("handled");
            lab
        },
        |lab| lab.update_access::<Memory>(&share, &full(vec![new.clone()])),
        |lab, moment| {
            if moment == Moment::Done {
                assert_eq!(in_force(lab, &share), ["ip rw 10.0.0.2/32"]);
            }
        },
    );
}
