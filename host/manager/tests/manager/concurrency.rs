//! Many at once: one result for one key, one operation for one share.

use crate::fake::{Act, FakeDriver};
use crate::house::{
    House, code, description, gib, new_rule, new_share, new_snapshot, open, ready, settled, tenant, with_key,
};
use bulkhead_manager::Force;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::AccessRuleState;
use bulkhead_store::testing::UnevenStore;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_with_one_key_make_one_share() {
    let house = House::new().await;
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let manager = house.manager.clone();
        requests.spawn(async move { manager.create_share(&with_key("same"), new_share(1)).await });
    }
    let answers = requests.join_all().await;
    let ids: BTreeSet<_> = answers.into_iter().map(|answer| answer.expect("an answer").share.id).collect();
    assert_eq!(ids.len(), 1);
    house.settled().await;
    assert_eq!(house.world.lock().expect("the world").shares.len(), 1);
    assert_eq!(house.calls(), ["create-share"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_creates_without_a_key_make_a_hundred_shares() {
    let house = House::new().await;
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let manager = house.manager.clone();
        requests.spawn(async move { manager.create_share(&tenant(), new_share(1)).await.map(drop) });
    }
    assert!(requests.join_all().await.into_iter().all(|answer| answer.is_ok()));
    house.settled().await;
    assert_eq!(house.world.lock().expect("the world").shares.len(), 100);
    assert_eq!(house.manager.list_shares(&Scope::Everything).len(), 100);
}

#[tokio::test]
async fn whatever_is_asked_of_a_share_at_work_is_refused_at_once() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(hold.clone()));
    let share = house.manager.create_share(&tenant(), new_share(2)).await.expect("accepted").share.id;
    let manager = &house.manager;
    assert_eq!(code(manager.delete_share(&tenant(), share, Force::No).await), "operation-in-flight");
    assert_eq!(code(manager.extend_share(&tenant(), share, gib(3)).await), "operation-in-flight");
    assert_eq!(code(manager.create_snapshot(&tenant(), new_snapshot(share)).await), "operation-in-flight");
    assert_eq!(code(manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await), "share-status");
    hold.add_permits(1);
    house.settled().await;
    house.driver.then("create-snapshot", Act::Hold(hold.clone()));
    manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    assert_eq!(code(manager.delete_share(&tenant(), share, Force::No).await), "operation-in-flight");
    assert_eq!(code(manager.shrink_share(&tenant(), share, gib(1)).await), "operation-in-flight");
    hold.add_permits(1);
    house.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_different_requests_for_one_share_only_one_at_a_time_is_at_work() {
    let house = House::new().await;
    for _ in 0..20 {
        let share = house.share().await.share.id;
        let mut requests = JoinSet::new();
        for number in 0..12_u32 {
            let manager = house.manager.clone();
            requests.spawn(async move {
                match number % 4 {
                    0 => manager.extend_share(&tenant(), share, gib(3)).await.map(drop),
                    1 => manager.shrink_share(&tenant(), share, gib(1)).await.map(drop),
                    2 => manager.create_snapshot(&tenant(), new_snapshot(share)).await.map(drop),
                    _ => manager.delete_share(&tenant(), share, Force::No).await,
                }
            });
        }
        let answers = requests.join_all().await;
        assert!(answers.iter().any(Result::is_ok), "{answers:?}");
        house.settled().await;
        let left = house.manager.show_share(&House::scope(), share).is_ok();
        let snapshots = house.manager.list_snapshots(&House::scope(), Some(share));
        assert!(left || snapshots.is_empty(), "a snapshot without its share");
    }
    let world = house.world.lock().expect("the world");
    assert!(world.overlaps.is_empty(), "{:?}", world.overlaps);
    assert_eq!(world.shares.len(), house.manager.list_shares(&Scope::Everything).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_asked_for_all_at_once_are_all_in_force() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let mut requests = JoinSet::new();
    for number in 0..60 {
        let manager = house.manager.clone();
        requests.spawn(async move {
            manager.allow_access(&tenant(), share, new_rule(&format!("10.0.0.{number}"))).await.map(drop)
        });
    }
    let refused: Vec<_> = requests.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:?}");
    house.settled().await;
    let rules = house.manager.list_access_rules(&House::scope(), share).expect("the rules");
    assert_eq!(rules.len(), 60);
    assert!(rules.iter().all(|rule| rule.state == AccessRuleState::Active));
    assert!(house.world.lock().expect("the world").overlaps.is_empty());
}

#[tokio::test]
async fn many_writes_to_one_share_on_a_slow_store_come_one_after_the_other_and_none_is_contended() {
    let (store, world) = (Arc::new(UnevenStore::slow(Duration::from_millis(2))), Arc::default());
    let manager = open(store as Arc<_>).await;
    manager.attach(description("nas", 1), Arc::new(FakeDriver::new(&world)));
    ready(&manager, "nas").await;
    let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&manager).await;
    let mut requests = JoinSet::new();
    for number in 0..400 {
        let manager = manager.clone();
        let to = format!("10.0.{}.{}", number / 200, number % 200);
        requests.spawn(async move { manager.allow_access(&tenant(), share, new_rule(&to)).await.map(drop) });
    }
    let refused: Vec<_> = requests.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{} refused, {:?}", refused.len(), refused.first());
    settled(&manager).await;
}
