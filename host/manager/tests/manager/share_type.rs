//! Share types: who makes them, what they promise, where their shares go.

use crate::house::{House, code, description, gib, new_share, operator, ready, tenant};
use bulkhead_manager::{ManagerError, NewShare, NewShareType, ShareTypeView};
use bulkhead_model::ability::{Abilities, Ability};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub fn new_type(name: &str, specs: &[(&str, &str)]) -> NewShareType {
    let all = [("driver_handles_share_servers", "False")].into_iter().chain(specs.iter().copied());
    NewShareType {
        name: name.to_owned(),
        description: None,
        extra_specs: all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }
}

pub async fn made(house: &House, name: &str, specs: &[(&str, &str)]) -> ShareTypeView {
    house.manager.create_share_type(&operator(), new_type(name, specs)).await.expect("made")
}

pub fn of_type(share_type: &str) -> NewShare {
    NewShare { share_type: Some(share_type.to_owned()), ..new_share(2) }
}

#[tokio::test]
async fn operators_make_types_and_everybody_finds_them_by_name_and_id() {
    let house = House::new().await;
    let gold = made(&house, "gold", &[("snapshot_support", "True")]).await;
    assert_eq!(house.manager.show_share_type("gold").expect("by name").id, gold.id);
    assert_eq!(house.manager.show_share_type(&gold.id.to_string()).expect("by id").name, "gold");
    assert_eq!(house.manager.list_share_types().len(), 2);
    let by_tenant = house.manager.create_share_type(&tenant(), new_type("mine", &[])).await;
    assert!(matches!(by_tenant, Err(ManagerError::Forbidden { .. })));
    let again = house.manager.create_share_type(&operator(), new_type("gold", &[])).await;
    assert_eq!(code(again), "share-type-exists");
    let as_built_in = house.manager.create_share_type(&operator(), new_type("default", &[])).await;
    assert_eq!(code(as_built_in), "share-type-exists");
    let without = NewShareType { extra_specs: BTreeMap::new(), ..new_type("bare", &[]) };
    assert_eq!(code(house.manager.create_share_type(&operator(), without).await), "invalid");
}

#[tokio::test]
async fn a_share_keeps_what_its_type_promised_when_it_was_made() {
    let house = House::new().await;
    made(&house, "plain", &[("provisioning:max_share_size", "3"), ("acme:tier", "1")]).await;
    let plain = house.manager.create_share(&tenant(), of_type("plain")).await.expect("accepted");
    house.settled().await;
    assert_eq!(plain.share_type_name, "plain");
    assert!(!plain.share.support.snapshot && plain.share.replication_type.is_none());
    let specs = BTreeMap::from([("snapshot_support".to_owned(), "True".to_owned())]);
    house.manager.set_extra_specs(&operator(), "plain", specs).await.expect("set");
    assert!(!house.show(plain.share.id).share.support.snapshot);
    let later = house.manager.create_share(&tenant(), of_type("plain")).await.expect("accepted");
    assert!(later.share.support.snapshot);
    let too_large = NewShare { size: gib(4), ..of_type("plain") };
    assert_eq!(code(house.manager.create_share(&tenant(), too_large).await), "invalid");
    house.settled().await;
    assert_eq!(code(house.manager.extend_share(&tenant(), plain.share.id, gib(4)).await), "invalid");
}

#[tokio::test]
async fn a_type_in_use_and_the_built_in_one_stay() {
    let house = House::new().await;
    made(&house, "gold", &[]).await;
    let share = house.manager.create_share(&tenant(), of_type("gold")).await.expect("accepted");
    house.settled().await;
    assert_eq!(code(house.manager.delete_share_type(&operator(), "gold").await), "share-type-in-use");
    assert_eq!(code(house.manager.delete_share_type(&operator(), "default").await), "built-in-share-type");
    let force = bulkhead_manager::Force::No;
    house.manager.delete_share(&tenant(), share.share.id, force).await.expect("accepted");
    house.settled().await;
    house.manager.delete_share_type(&operator(), "gold").await.expect("removed");
    assert_eq!(code(house.manager.show_share_type("gold").map(drop)), "not-found");
    let operator = operator();
    let needed = house.manager.remove_extra_spec(&operator, "default", "driver_handles_share_servers").await;
    assert_eq!(code(needed), "built-in-share-type");
}

#[tokio::test]
async fn a_share_goes_where_its_type_can_be_kept() {
    let house = House::with(|driver| {
        driver.abilities = Abilities(BTreeSet::from([Ability::Lifecycle, Ability::Shares, Ability::Access]));
    })
    .await;
    made(&house, "gold", &[("snapshot_support", "True")]).await;
    let nowhere = house.manager.create_share(&tenant(), of_type("gold")).await;
    assert!(nowhere.expect_err("no backend").to_string().contains("snapshot_support"));
    let able = Arc::new(crate::fake::FakeDriver::new(&house.world));
    house.manager.attach(description("zz-able", 1), able);
    ready(&house.manager, "zz-able").await;
    crate::house::until("its statistics are there", async || {
        house.manager.create_share(&tenant(), of_type("gold")).await.is_ok()
    })
    .await;
    let made = house.manager.list_shares(&House::scope());
    assert_eq!(made[0].instance.placement.backend.as_str(), "zz-able");
    assert!(made[0].share.support.snapshot && !made[0].share.support.revert_to_snapshot);
}
