//! Access rules: the state machine of contract 4.3 and the cases of 7.3.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, code, new_rule, tenant};
use bulkhead_manager::{Force, NewAccessRule, StoredAccessRule};
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessTo, AccessUpdate};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{AccessRuleId, ShareId};
use bulkhead_model::operation::OperationState;
use bulkhead_model::secret::SealedSecret;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

fn updates(house: &House) -> Vec<AccessUpdate> {
    house.world.lock().expect("the world").updates.clone()
}

fn ids(rules: &[bulkhead_model::access::AccessRule]) -> Vec<AccessRuleId> {
    rules.iter().map(|rule| rule.id).collect()
}

fn rules(house: &House, share: ShareId) -> Vec<StoredAccessRule> {
    house.manager.list_access_rules(&House::scope(), share).expect("the rules")
}

fn status(house: &House, share: ShareId) -> AccessRulesStatus {
    house.show(share).instance.access_rules_status
}

fn outcome(rule: AccessRuleId, state: AccessRuleState) -> AccessOutcome {
    AccessOutcome { rule, state, access_key: None }
}

async fn held_batch(house: &House, share: ShareId, to: &str) -> (AccessRuleId, Arc<Semaphore>) {
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("update-access", Act::Hold(hold.clone()));
    let before = updates(house).len();
    let rule = house.manager.allow_access(&tenant(), share, new_rule(to)).await.expect("accepted").rule.id;
    crate::house::until("the driver has the batch", async || updates(house).len() > before).await;
    (rule, hold)
}

/// Contract A-02.
#[tokio::test]
async fn a_rule_is_queued_then_in_force_and_the_share_syncs_meanwhile() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (asked, hold) = held_batch(&house, share, "10.0.0.1").await;
    assert_eq!(rules(&house, share)[0].state, AccessRuleState::Applying);
    assert_eq!(status(&house, share), AccessRulesStatus::Syncing);
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(rules(&house, share)[0].state, AccessRuleState::Active);
    assert_eq!(status(&house, share), AccessRulesStatus::Active);
    let update = &updates(&house)[0];
    assert_eq!(ids(&update.rules), [asked]);
    assert_eq!(ids(&update.add), [asked]);
    assert!(update.remove.is_empty() && update.update.is_empty());
}

/// Contract A-10.
#[tokio::test]
async fn the_next_update_carries_all_rules_and_names_the_new_and_the_leaving_ones() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (one, two) =
        (house.rule(share, "10.0.0.1").await.rule.id, house.rule(share, "10.0.0.2").await.rule.id);
    house.manager.deny_access(&tenant(), share, one).await.expect("accepted");
    house.settled().await;
    let update = updates(&house).pop().expect("an update");
    assert_eq!((ids(&update.rules), ids(&update.remove)), (vec![two], vec![one]));
    assert_eq!(rules(&house, share).len(), 1);
}

/// Contract.
#[tokio::test]
async fn requests_during_a_batch_queue_and_make_the_next_one_together() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (first, hold) = held_batch(&house, share, "10.0.0.1").await;
    let second =
        house.manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await.expect("queued").rule.id;
    let third =
        house.manager.allow_access(&tenant(), share, new_rule("10.0.0.3")).await.expect("queued").rule.id;
    assert_eq!(rules(&house, share)[1].state, AccessRuleState::QueuedToApply);
    assert_eq!(status(&house, share), AccessRulesStatus::Syncing);
    hold.add_permits(1);
    house.settled().await;
    let updates = updates(&house);
    assert_eq!(updates.len(), 2);
    assert_eq!(ids(&updates[1].add), [second, third]);
    assert_eq!(ids(&updates[1].rules), [first, second, third]);
    assert_eq!(status(&house, share), AccessRulesStatus::Active);
}

/// Contract A-11.
#[tokio::test]
async fn a_failing_second_batch_leaves_the_first_active() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (_, hold) = held_batch(&house, share, "10.0.0.1").await;
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::InvalidAccess)));
    house.manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await.expect("queued");
    hold.add_permits(1);
    house.settled().await;
    let states: Vec<_> = rules(&house, share).iter().map(|rule| rule.state).collect();
    assert_eq!(states, [AccessRuleState::Active, AccessRuleState::Error]);
    assert_eq!(status(&house, share), AccessRulesStatus::Error);
    assert_eq!(house.manager.list_operations(&House::scope(), 1)[0].state, OperationState::Failed);
}

/// Contract A-10.
#[tokio::test]
async fn a_rule_in_error_is_never_sent_again_and_denying_it_heals_the_share() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    let broken = house.rule(share, "10.0.0.1").await;
    assert_eq!(broken.state, AccessRuleState::Error);
    assert!(broken.failure.is_some());
    let sound = house.rule(share, "10.0.0.2").await.rule.id;
    let update = updates(&house).pop().expect("an update");
    assert_eq!(ids(&update.rules), [sound]);
    assert_eq!(status(&house, share), AccessRulesStatus::Error);
    house.manager.deny_access(&tenant(), share, broken.rule.id).await.expect("accepted");
    house.settled().await;
    let update = updates(&house).pop().expect("an update");
    assert_eq!(ids(&update.remove), [broken.rule.id]);
    assert_eq!(status(&house, share), AccessRulesStatus::Active);
}

/// Contract A-10.
#[tokio::test]
async fn outcomes_count_for_each_rule_and_a_denied_rule_goes_whatever_is_said_of_it() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let one = house.rule(share, "10.0.0.1").await.rule.id;
    let said = AccessOutcome {
        access_key: Some(SealedSecret::new("key".to_owned())),
        ..outcome(one, AccessRuleState::Error)
    };
    house.driver.then("update-access", Act::Rules(vec![said]));
    let two = house.rule(share, "10.0.0.2").await;
    assert_eq!(two.state, AccessRuleState::Active);
    let first = &rules(&house, share)[0];
    assert_eq!(
        (first.state, first.access_key.as_ref().map(SealedSecret::as_str)),
        (AccessRuleState::Error, Some("key"))
    );
    house.driver.then("update-access", Act::Rules(vec![outcome(one, AccessRuleState::Error)]));
    house.manager.deny_access(&tenant(), share, one).await.expect("accepted");
    house.settled().await;
    assert_eq!(rules(&house, share).len(), 1);
    assert_eq!(status(&house, share), AccessRulesStatus::Active);
}

/// Contract A-17.
#[tokio::test]
async fn an_answer_about_a_rule_that_was_not_asked_fails_the_batch() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let foreign = vec![outcome(AccessRuleId::random(), AccessRuleState::Active)];
    house.driver.then("update-access", Act::Rules(foreign));
    assert_eq!(house.rule(share, "10.0.0.1").await.state, AccessRuleState::Error);
    let operation = &house.manager.list_operations(&House::scope(), 1)[0];
    assert_eq!(operation.failure.as_ref().map(|failure| failure.code.as_str()), Some("invalid-answer"));
}

/// Contract A-18.
#[tokio::test]
async fn a_rule_denied_while_it_is_applied_is_taken_away_by_a_second_call() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (rule, hold) = held_batch(&house, share, "10.0.0.1").await;
    house.manager.deny_access(&tenant(), share, rule).await.expect("queued");
    assert_eq!(rules(&house, share)[0].state, AccessRuleState::QueuedToDeny);
    hold.add_permits(1);
    house.settled().await;
    let updates = updates(&house);
    assert_eq!(updates.len(), 2);
    assert_eq!(ids(&updates[1].remove), [rule]);
    assert!(rules(&house, share).is_empty());
}

#[tokio::test]
async fn denying_twice_and_setting_the_same_level_ask_the_driver_nothing() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let rule = house.rule(share, "10.0.0.1").await.rule.id;
    house.manager.change_access_level(&tenant(), share, rule, AccessLevel::Rw).await.expect("as it is");
    assert_eq!(updates(&house).len(), 1);
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("update-access", Act::Hold(hold.clone()));
    house.manager.deny_access(&tenant(), share, rule).await.expect("accepted");
    house.manager.deny_access(&tenant(), share, rule).await.expect("on its way");
    let level = house.manager.change_access_level(&tenant(), share, rule, AccessLevel::Ro).await;
    assert_eq!(code(level), "rule-leaving");
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(updates(&house).len(), 2);
    assert_eq!(code(house.manager.deny_access(&tenant(), share, rule).await), "not-found");
}

#[tokio::test]
async fn a_new_level_is_an_update_and_the_rule_stays() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let rule = house.rule(share, "10.0.0.1").await.rule.id;
    house.manager.change_access_level(&tenant(), share, rule, AccessLevel::Ro).await.expect("accepted");
    house.settled().await;
    let update = updates(&house).pop().expect("an update");
    assert_eq!((ids(&update.rules), ids(&update.update)), (vec![rule], vec![rule]));
    assert!(update.add.is_empty());
    let stored = &rules(&house, share)[0];
    assert_eq!((stored.state, stored.rule.level), (AccessRuleState::Active, AccessLevel::Ro));
}

#[tokio::test]
async fn a_lost_answer_repeats_the_batch_and_what_queued_meanwhile_follows() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("update-access", Act::FailAfterEffect(answered(DriverErrorCode::OutcomeUnknown)));
    let rule = house.rule(share, "10.0.0.1").await;
    assert_eq!(rule.state, AccessRuleState::Active);
    let updates = updates(&house);
    assert_eq!((ids(&updates[0].add), ids(&updates[1].add)), (vec![rule.rule.id], vec![rule.rule.id]));
    assert_eq!(house.manager.list_operations(&House::scope(), 1)[0].state, OperationState::Succeeded);
}

#[tokio::test]
async fn the_same_party_has_one_rule_however_it_is_spelled() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.1").await;
    for twin in ["10.0.0.1", "10.0.0.1/32"] {
        let refused = house.manager.allow_access(&tenant(), share, new_rule(twin)).await;
        assert_eq!(code(refused), "duplicate-rule");
    }
}

#[tokio::test]
async fn an_ipv6_rule_is_refused_where_exports_are_ipv4_only() {
    let house = House::with(|driver| driver.ip_versions = [IpVersion::V4].into()).await;
    let share = house.share().await.share.id;
    assert_eq!(code(house.manager.allow_access(&tenant(), share, new_rule("2001:db8::1")).await), "no-ipv6");
    let user = NewAccessRule {
        access_to: AccessTo::parse("user", "alice").expect("a user"),
        level: AccessLevel::Ro,
        metadata: BTreeMap::new(),
    };
    house.manager.allow_access(&tenant(), share, user).await.expect("only addresses have a version");
    house.settled().await;
}

/// Contract A-14.
#[tokio::test]
async fn an_ipv6_rule_in_force_is_kept_from_a_backend_that_has_lost_ipv6() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let rule = house.rule(share, "2001:db8::1").await.rule.id;
    let mut without = FakeDriver::new(&house.world);
    without.ip_versions = [IpVersion::V4].into();
    house.manager.attach(crate::house::description("nas", 2), Arc::new(without));
    let next = bulkhead_model::id::GenerationNumber(2);
    crate::house::until("the new driver serves", async || {
        house.rule(share, &format!("10.0.0.{}", 1 + rules(&house, share).len())).await;
        house.manager.list_operations(&House::scope(), 1)[0].generation == Some(next)
    })
    .await;
    let update = updates(&house).pop().expect("an update");
    assert!(!ids(&update.rules).contains(&rule), "the driver is not sent what it cannot do");
}

#[tokio::test]
async fn rules_are_refused_on_a_share_that_is_not_there() {
    let house = House::new().await;
    house.driver.then("create-share", Act::Fail(answered(DriverErrorCode::NoSpace)));
    let share = house.share().await.share.id;
    assert_eq!(
        code(house.manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await),
        "share-status"
    );
}

#[tokio::test]
async fn deleting_a_share_ends_the_update_that_is_out_and_drops_its_answer() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (_, hold) = held_batch(&house, share, "10.0.0.1").await;
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    hold.add_permits(1);
    house.settled().await;
    crate::house::until("the share is gone", async || house.manager.list_shares(&House::scope()).is_empty())
        .await;
    let world = house.world.lock().expect("the world");
    assert!(world.shares.is_empty() && world.overlaps.is_empty(), "{world:#?}");
}

#[tokio::test]
async fn a_share_has_room_for_a_thousand_rules_in_small_transactions() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (_, hold) = held_batch(&house, share, "10.1.0.0").await;
    for number in 0..1000_u32 {
        let to = format!("10.0.{}.{}", number / 250, number % 250);
        house.manager.allow_access(&tenant(), share, new_rule(&to)).await.expect("queued");
    }
    hold.add_permits(1);
    house.settled().await;
    let all = rules(&house, share);
    assert_eq!(all.len(), 1001);
    assert!(all.iter().all(|rule| rule.state == AccessRuleState::Active));
    let held = house.show(share).instance.id;
    assert_eq!(house.world.lock().expect("the world").shares[&held].rules.len(), 1001);
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_shares(&House::scope()).is_empty());
}
