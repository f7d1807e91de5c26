//! How much a share server may hold.

use crate::house::{gib, new_snapshot, tenant};
use crate::server::{Street, server_of, share_on};
use bulkhead_manager::{NewShare, NewShareGroup, ServerLimits};
use bulkhead_model::status::ShareStatus;

fn sized(street: &Street, size: u64) -> NewShare {
    NewShare { size: gib(size), ..share_on(street.first) }
}

#[tokio::test]
async fn a_server_with_as_many_shares_as_it_may_have_takes_no_other_and_another_one_is_made() {
    let street = Street::bounded(ServerLimits { shares: Some(2), gib: None }).await;
    let mut on = Vec::new();
    for _ in 0..3 {
        on.push(server_of(&street.share(street.first).await));
    }
    let [first, second, third] = on.try_into().expect("three");
    assert_eq!(first, second);
    assert_ne!(first, third);
}

#[tokio::test]
async fn shares_and_their_snapshots_fill_a_server_up_to_its_size() {
    let street = Street::bounded(ServerLimits { shares: None, gib: Some(10) }).await;
    let first = street.make(sized(&street, 4)).await;
    let snapshot = street.house.manager.create_snapshot(&tenant(), new_snapshot(first.share.id)).await;
    snapshot.expect("accepted");
    street.house.settled().await;
    let fits = street.make(sized(&street, 2)).await;
    assert_eq!(server_of(&fits), server_of(&first), "4 + 4 + 2 GiB");
    let beyond = street.make(sized(&street, 1)).await;
    assert_ne!(server_of(&beyond), server_of(&first));
    assert_eq!(beyond.instance.status, ShareStatus::Available);
}

#[tokio::test]
async fn what_has_to_be_on_a_server_that_is_full_is_refused_with_the_reason() {
    let street = Street::bounded(ServerLimits { shares: Some(1), gib: None }).await;
    let share = street.share(street.first).await;
    let snapshot = street.house.manager.create_snapshot(&tenant(), new_snapshot(share.share.id)).await;
    let snapshot = snapshot.expect("accepted").snapshot.id;
    street.house.settled().await;
    let copy = NewShare { source_snapshot: Some(snapshot), share_network: None, ..share_on(street.first) };
    let copy = street.make(copy).await;
    assert_eq!(copy.instance.status, ShareStatus::Error);
    let told = street.operation("create-share-from-snapshot").failure.clone().expect("a failure");
    assert_eq!(told.code, "share-server-full");
    assert!(told.message.ends_with("holds 1 shares of 1"), "{}", told.message);
    assert!(!street.house.calls().contains(&"create-share-from-snapshot"), "no driver was asked");
}

#[tokio::test]
async fn a_share_of_a_group_whose_server_is_full_goes_to_no_other_server() {
    let street = Street::bounded(ServerLimits { shares: Some(1), gib: None }).await;
    let asked = NewShareGroup {
        share_types: vec!["served".to_owned()],
        share_network: Some(street.first),
        ..NewShareGroup::default()
    };
    let made = street.house.manager.create_share_group(&tenant(), asked).await.expect("accepted");
    street.house.settled().await;
    let inside = || NewShare { group: Some(made.group.id), share_network: None, ..share_on(street.first) };
    let first = street.make(inside()).await;
    assert_eq!(first.instance.status, ShareStatus::Available);
    let second = street.make(inside()).await;
    assert_eq!(second.instance.status, ShareStatus::Error);
    assert_eq!(
        street.operation("create-share").failure.clone().expect("a failure").code,
        "share-server-full"
    );
    assert_eq!(street.servers().len(), 1);
}
