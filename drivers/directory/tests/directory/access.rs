//! Access rules as exports(5) fragments.

use crate::{directory, lab};
use bulkhead_directory::Directory;
use bulkhead_sdk::testing::{Lab, Moment, interrupted_everywhere, sample};
use bulkhead_sdk::{AccessLevel, AccessRule, AccessType, AccessUpdate, RuleState, Share};
use std::fs;

fn share() -> Share {
    sample::share(1, 10)
}

fn network() -> AccessRule {
    sample::access_rule(1, AccessType::Ip, "10.0.0.0/24", AccessLevel::Rw)
}

fn address() -> AccessRule {
    sample::access_rule(2, AccessType::Ip, "2001:db8::9", AccessLevel::Ro)
}

fn user() -> AccessRule {
    sample::access_rule(3, AccessType::User, "alice", AccessLevel::Rw)
}

fn synchronise(rules: &[AccessRule]) -> AccessUpdate {
    AccessUpdate { rules: rules.to_vec(), ..AccessUpdate::default() }
}

fn fragment(lab: &Lab) -> Option<String> {
    fs::read_to_string(lab.root("exports").join(format!("{}.exports", share().name))).ok()
}

fn lab_with_share() -> Lab {
    let lab = lab();
    lab.create_share::<Directory>(&share()).expect("room enough");
    lab
}

#[test]
fn the_fragment_lists_who_may_mount_the_share() {
    let lab = lab_with_share();
    let update = AccessUpdate { add: vec![address()], ..synchronise(&[network(), address()]) };
    let outcomes = lab.update_access::<Directory>(&share(), &update).expect("both are addresses");
    assert!(outcomes.iter().all(|outcome| outcome.state == RuleState::Active));
    let path = directory(&lab, &share()).display().to_string();
    assert_eq!(fragment(&lab), Some(format!("{path} 10.0.0.0/24(rw) 2001:db8::9(ro)\n")));
}

#[test]
fn a_share_without_rules_has_no_fragment_because_one_without_clients_means_everybody() {
    let lab = lab_with_share();
    lab.update_access::<Directory>(&share(), &synchronise(&[network()])).expect("an address");
    let update = AccessUpdate { remove: vec![network()], ..AccessUpdate::default() };
    assert_eq!(lab.update_access::<Directory>(&share(), &update), Ok(Vec::new()));
    assert_eq!(fragment(&lab), None);
    assert_eq!(lab.update_access::<Directory>(&share(), &update), Ok(Vec::new()), "it was never in force");
}

#[test]
fn a_rule_for_a_user_is_an_error_of_its_own() {
    let lab = lab_with_share();
    let update = AccessUpdate { add: vec![user()], ..synchronise(&[network(), user()]) };
    let outcomes = lab.update_access::<Directory>(&share(), &update).expect("one of them is an address");
    let states: Vec<_> = outcomes.iter().map(|outcome| (outcome.rule_id.clone(), outcome.state)).collect();
    assert_eq!(states, [(network().id, RuleState::Active), (user().id, RuleState::Error)]);
    assert!(fragment(&lab).is_some_and(|text| text.ends_with(" 10.0.0.0/24(rw)\n")));
    lab.update_access::<Directory>(&share(), &synchronise(&[user()])).expect("reported, not failed");
    assert_eq!(fragment(&lab), None);
}

#[test]
fn rules_converge_wherever_they_are_interrupted() {
    for rules in [vec![network(), address()], vec![]] {
        interrupted_everywhere(
            || {
                let lab = lab_with_share();
                lab.update_access::<Directory>(&share(), &synchronise(&[address()])).expect("an address");
                lab
            },
            |lab| lab.update_access::<Directory>(&share(), &synchronise(&rules)),
            |lab, moment| {
                if moment == Moment::Done {
                    assert_eq!(fragment(lab).is_some(), !rules.is_empty());
                }
            },
        );
    }
}
