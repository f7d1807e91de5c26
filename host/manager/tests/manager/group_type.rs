//! Types of share groups: made by operators, kept while they are used, and what they ask of backends.

use crate::fake::FakeDriver;
use crate::house::{House, code, description, open, operator, ready, reviewer, settled, tenant};
use crate::share_type::new_type;
use bulkhead_manager::{Force, NewShareGroup, NewShareGroupType};
use bulkhead_model::share_group::Consistency;
use bulkhead_store::MemoryStore;
use std::sync::Arc;

fn new_group_type(name: &str, share_types: &[&str], specs: &[(&str, &str)]) -> NewShareGroupType {
    NewShareGroupType {
        name: name.to_owned(),
        share_types: share_types.iter().map(|one| (*one).to_owned()).collect(),
        group_specs: specs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn of_group_type(name: &str) -> NewShareGroup {
    NewShareGroup { group_type: Some(name.to_owned()), ..NewShareGroup::default() }
}

#[tokio::test]
async fn operators_make_types_of_groups_and_everybody_finds_them() {
    let house = House::new().await;
    let gold = new_group_type("gold", &["default"], &[("acme:tier", "1")]);
    for stranger in [tenant(), reviewer()] {
        let refused = house.manager.create_share_group_type(&stranger, gold.clone()).await;
        assert_eq!(code(refused), "forbidden");
    }
    let made = house.manager.create_share_group_type(&operator(), gold.clone()).await.expect("made");
    assert_eq!(house.manager.show_share_group_type("gold").expect("by name"), made);
    assert_eq!(house.manager.show_share_group_type(&made.id.to_string()).expect("by id"), made);
    let names: Vec<_> = house.manager.list_share_group_types().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["default", "gold"]);
    for (refused, expected) in [
        (gold, "share-group-type-exists"),
        (new_group_type("default", &["default"], &[]), "share-group-type-exists"),
        (new_group_type(" ", &["default"], &[]), "invalid"),
        (new_group_type("none", &[], &[]), "invalid"),
        (new_group_type("unknown", &["nobody"], &[]), "not-found"),
        (new_group_type("odd", &["default"], &[("tier", "1")]), "invalid"),
        (new_group_type("unit", &["default"], &[("consistent_snapshot_support", "yes")]), "invalid"),
    ] {
        let name = refused.name.clone();
        let outcome = house.manager.create_share_group_type(&operator(), refused).await;
        assert_eq!(code(outcome), expected, "{name}");
    }
    let reopened = open(Arc::clone(&house.store) as Arc<_>).await;
    assert_eq!(reopened.show_share_group_type("gold").expect("after a restart"), made);
}

#[tokio::test]
async fn a_type_of_groups_stays_while_it_is_used_and_keeps_its_share_types() {
    let house = House::new().await;
    let specs = [("snapshot_support", "True")];
    house.manager.create_share_type(&operator(), new_type("silver", &specs)).await.expect("made");
    let gold = new_group_type("gold", &["silver"], &[]);
    house.manager.create_share_group_type(&operator(), gold).await.expect("made");
    assert_eq!(code(house.manager.delete_share_type(&operator(), "silver").await), "share-type-in-use");
    assert_eq!(
        code(house.manager.create_share_group(&tenant(), of_group_type("gold")).await),
        "invalid",
        "its shares would be of a type that it does not have"
    );
    let asked = NewShareGroup { share_types: vec!["silver".to_owned()], ..of_group_type("gold") };
    let group = house.manager.create_share_group(&tenant(), asked).await.expect("accepted").group.id;
    house.settled().await;
    let delete = async |name| code(house.manager.delete_share_group_type(&operator(), name).await);
    assert_eq!(delete("gold").await, "share-group-type-in-use");
    assert_eq!(delete("default").await, "built-in-share-group-type");
    assert_eq!(delete("nobody").await, "not-found");
    house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    house.settled().await;
    house.manager.delete_share_group_type(&operator(), "gold").await.expect("nobody uses it");
    house.manager.delete_share_type(&operator(), "silver").await.expect("nobody uses it");
}

#[tokio::test]
async fn a_group_goes_where_its_type_gets_consistent_snapshots_and_keeps_what_was_asked() {
    let manager = open(Arc::new(MemoryStore::new())).await;
    let world = Arc::default();
    for name in ["by-share", "at-once"] {
        let mut driver = FakeDriver::new(&world);
        if name == "by-share" {
            driver.without_groups();
        }
        manager.attach(description(name, 1), Arc::new(driver));
    }
    for name in ["by-share", "at-once"] {
        ready(&manager, name).await;
    }
    for unit in ["pool", "host"] {
        let specs = [("consistent_snapshot_support", unit)];
        let asked = new_group_type(unit, &["default"], &specs);
        manager.create_share_group_type(&operator(), asked).await.expect("made");
    }
    let group = manager.create_share_group(&tenant(), of_group_type("pool")).await.expect("accepted").group;
    assert_eq!(group.placement.backend.as_str(), "at-once");
    assert_eq!(code(manager.create_share_group(&tenant(), of_group_type("host")).await), "no-backend");
    settled(&manager).await;
    let told = world.lock().expect("the world").asked_consistency.clone();
    assert_eq!(told.get(&group.id), Some(&Some(Consistency::Pool)), "the driver is told");
    manager.remove_group_spec(&operator(), "pool", "consistent_snapshot_support").await.expect("changed");
    let kept = manager.show_share_group(&bulkhead_model::scope::Scope::Everything, group.id).expect("it");
    assert_eq!(kept.group.group_specs.len(), 1, "a group keeps what its type asked when it was made");
    assert_eq!(
        code(manager.remove_group_spec(&operator(), "pool", "consistent_snapshot_support").await),
        "not-found"
    );
}
