//! Share groups: making, filling, showing and removing them, and what their shares may not.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{
    House, code, description, new_share, open, operator, other_tenant, ready, reviewer, settled, tenant,
    with_key,
};
use crate::share_type::{new_type, of_type};
use bulkhead_manager::{Detach, Force, Manager, NewReplica, NewShare, NewShareGroup, ShareView, Update};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareGroupId, ShareId};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share_group::{Consistency, ShareGroup};
use bulkhead_model::status::{ShareGroupStatus, ShareStatus};
use bulkhead_store::MemoryStore;
use std::sync::Arc;
use tokio::sync::Semaphore;

impl House {
    /// A group, asked for and there.
    pub async fn group(&self) -> ShareGroupId {
        let asked = NewShareGroup { display_name: Some("a group".to_owned()), ..NewShareGroup::default() };
        let made = self.manager.create_share_group(&tenant(), asked).await.expect("accepted");
        self.settled().await;
        made.group.id
    }

    /// A share in a group, asked for and there.
    pub async fn share_in(&self, group: ShareGroupId) -> ShareView {
        let share = self.manager.create_share(&tenant(), in_group(group)).await.expect("accepted");
        self.settled().await;
        self.show(share.share.id)
    }

    pub fn show_group(&self, id: ShareGroupId) -> Arc<ShareGroup> {
        self.manager.show_share_group(&Self::scope(), id).expect("the group").group
    }
}

pub fn in_group(group: ShareGroupId) -> NewShare {
    NewShare { group: Some(group), ..new_share(1) }
}

fn pool_of(manager: &Manager, share: ShareId) -> String {
    let view = manager.show_share(&Scope::Everything, share).expect("the share");
    view.instance.placement.backend.to_string()
}

#[tokio::test]
async fn a_group_is_made_shown_renamed_and_removed_at_its_backend() {
    let house = House::new().await;
    let group = house.group().await;
    let shown = house.show_group(group);
    assert_eq!((shown.status, shown.consistency), (ShareGroupStatus::Available, Some(Consistency::Pool)));
    assert!(house.world.lock().expect("the world").groups.contains(&group));
    let update = Update { display_name: Some(Some("papers".to_owned())), ..Update::default() };
    house.manager.update_share_group(&tenant(), group, update).await.expect("renamed");
    assert_eq!(house.show_group(group).display_name.as_deref(), Some("papers"));
    house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.calls(), ["create-share-group", "delete-share-group"]);
    assert!(house.manager.list_share_groups(&Scope::Everything).is_empty());
    assert!(house.world.lock().expect("the world").groups.is_empty());
}

#[tokio::test]
async fn where_the_driver_has_no_groups_one_is_a_record_and_promises_no_consistency() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.group().await;
    let shown = house.show_group(group);
    assert_eq!((shown.status, shown.consistency), (ShareGroupStatus::Available, None));
    house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.calls().is_empty(), "{:?}", house.calls());
    assert!(house.manager.list_share_groups(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_driver_that_exports_groups_and_leaves_them_out_has_nothing_to_do() {
    let house = House::new().await;
    for function in ["create-share-group", "delete-share-group"] {
        house.driver.then(function, Act::Fail(answered(DriverErrorCode::NotImplemented)));
    }
    let group = house.group().await;
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Available);
    house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_share_groups(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn shares_go_where_their_group_is_and_name_it() {
    let store = Arc::new(MemoryStore::new());
    let manager = open(store).await;
    let world = Arc::default();
    for (name, free_gib) in [("large", 900.0), ("small", 5.0)] {
        let mut driver = FakeDriver::new(&world);
        driver.free_gib = free_gib;
        if name == "large" {
            driver.abilities.0.remove(&Ability::Snapshots);
        }
        manager.attach(description(name, 1), Arc::new(driver));
    }
    for name in ["large", "small"] {
        ready(&manager, name).await;
    }
    let specs = [("snapshot_support", "True")];
    manager.create_share_type(&operator(), new_type("snapshots", &specs)).await.expect("made");
    let types = vec!["default".to_owned(), "snapshots".to_owned(), "default".to_owned()];
    let asked = NewShareGroup { share_types: types, ..NewShareGroup::default() };
    let group = manager.create_share_group(&tenant(), asked).await.expect("accepted").group;
    settled(&manager).await;
    assert_eq!(group.placement.backend.as_str(), "small", "the only one that has what all types ask for");
    assert_eq!(group.share_types.len(), 2, "each type once");
    let share = manager.create_share(&tenant(), in_group(group.id)).await.expect("accepted").share.id;
    let alone = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&manager).await;
    assert_eq!(pool_of(&manager, share), "small", "where its group is, though there is more room elsewhere");
    assert_eq!(pool_of(&manager, alone), "large");
    let view = manager.show_share(&House::scope(), share).expect("the share");
    assert_eq!((view.share.group, view.instance.status), (Some(group.id), ShareStatus::Available));
    let full = NewShare { size: crate::house::gib(50), ..in_group(group.id) };
    assert_eq!(code(manager.create_share(&tenant(), full).await), "no-backend");
}

#[tokio::test]
async fn a_share_type_may_ask_for_snapshots_of_groups_that_are_consistent() {
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
        let specs = [("sg_consistent_snapshot_support", unit)];
        manager.create_share_type(&operator(), new_type(unit, &specs)).await.expect("made");
    }
    let of = |unit: &str| NewShareGroup { share_types: vec![unit.to_owned()], ..NewShareGroup::default() };
    let group = manager.create_share_group(&tenant(), of("pool")).await.expect("accepted").group;
    assert_eq!(group.placement.backend.as_str(), "at-once");
    assert_eq!(code(manager.create_share_group(&tenant(), of("host")).await), "no-backend");
    settled(&manager).await;
}

#[tokio::test]
async fn a_group_takes_shares_of_its_types_only_and_no_more_than_it_can_have_snapshots_of() {
    let house = House::new().await;
    let group = house.group().await;
    let specs = [("snapshot_support", "True")];
    house.manager.create_share_type(&operator(), new_type("other", &specs)).await.expect("made");
    let foreign = NewShare { group: Some(group), ..of_type("other") };
    assert_eq!(code(house.manager.create_share(&tenant(), foreign).await), "type-not-in-share-group");
    for _ in 0..30 {
        house.manager.create_share(&tenant(), in_group(group)).await.expect("accepted");
    }
    assert_eq!(code(house.manager.create_share(&tenant(), in_group(group)).await), "limit-exceeded");
}

#[tokio::test]
async fn types_that_disagree_on_share_servers_make_no_group() {
    let house = House::new().await;
    let servers = [("driver_handles_share_servers", "True")];
    house.manager.create_share_type(&operator(), new_type("servers", &servers)).await.expect("made");
    let asked = |types: &[&str]| NewShareGroup {
        share_types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..NewShareGroup::default()
    };
    let create = async |types: &[&str]| code(house.manager.create_share_group(&tenant(), asked(types)).await);
    assert_eq!(create(&["default", "servers"]).await, "invalid");
    assert_eq!(create(&["servers"]).await, "share-servers-without-network");
    assert_eq!(create(&["nobody"]).await, "not-found");
    assert_eq!(create(&["default"; 31]).await, "invalid");
    let other = NewShareGroup { group_type: Some("gold".to_owned()), ..NewShareGroup::default() };
    assert_eq!(code(house.manager.create_share_group(&tenant(), other).await), "not-found");
    let long = NewShareGroup { display_name: Some("a".repeat(256)), ..NewShareGroup::default() };
    assert_eq!(code(house.manager.create_share_group(&tenant(), long).await), "invalid");
}

#[tokio::test]
async fn a_group_with_shares_stays_and_goes_once_it_is_empty() {
    let house = House::new().await;
    let group = house.group().await;
    let share = house.share_in(group).await.share.id;
    let delete = async |force| house.manager.delete_share_group(&operator(), group, force).await;
    assert_eq!(code(delete(Force::No).await), "share-group-has-shares");
    assert_eq!(code(delete(Force::Yes).await), "share-group-has-shares");
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    delete(Force::No).await.expect("empty now");
    house.settled().await;
    assert!(house.manager.list_share_groups(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn groups_end_in_error_when_their_driver_fails_and_can_still_be_removed() {
    let house = House::new().await;
    house.driver.then("create-share-group", Act::Fail(answered(DriverErrorCode::InvalidShareGroup)));
    let group = house.group().await;
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Error);
    assert_eq!(code(house.manager.create_share(&tenant(), in_group(group)).await), "share-group-status");
    house.driver.then("delete-share-group", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.delete_share_group(&tenant(), group, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Error);
    let refused = house.manager.delete_share_group(&tenant(), group, Force::Yes).await;
    assert_eq!(code(refused), "forbidden", "force is for operators");
    house.driver.then("delete-share-group", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.delete_share_group(&operator(), group, Force::Yes).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_share_groups(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_busy_backend_is_asked_again_and_a_group_in_the_making_takes_nothing() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share-group", Act::Fail(answered(DriverErrorCode::Busy)));
    house.driver.then("create-share-group", Act::Hold(Arc::clone(&hold)));
    let made = house.manager.create_share_group(&tenant(), NewShareGroup::default()).await.expect("accepted");
    let group = made.group.id;
    assert_eq!(code(house.manager.create_share(&tenant(), in_group(group)).await), "share-group-status");
    let delete = house.manager.delete_share_group(&operator(), group, Force::Yes).await;
    assert_eq!(code(delete), "operation-in-flight");
    let reset = house.manager.reset_share_group_status(&operator(), group, ShareGroupStatus::Error).await;
    assert_eq!(code(reset), "operation-in-flight");
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Available);
    assert_eq!(house.calls(), ["create-share-group", "create-share-group"]);
}

#[tokio::test]
async fn people_overrule_what_waits_and_what_a_group_says() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share-group", Act::Hold(Arc::clone(&hold)));
    let made = house.manager.create_share_group(&tenant(), NewShareGroup::default()).await.expect("accepted");
    let (group, operation) = (made.group.id, made.operation.expect("its operation").id);
    house.manager.abandon_operation(&operator(), operation).await.expect("given up");
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Error);
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Error, "too late");
    assert_eq!(code(house.manager.retry_operation(&operator(), operation).await), "operation-state");
    let reset = async |status| house.manager.reset_share_group_status(&operator(), group, status).await;
    assert_eq!(code(reset(ShareGroupStatus::Deleting).await), "invalid");
    reset(ShareGroupStatus::Available).await.expect("set");
    assert_eq!(house.show_group(group).status, ShareGroupStatus::Available);
    let by_tenant = house.manager.reset_share_group_status(&tenant(), group, ShareGroupStatus::Error).await;
    assert_eq!(code(by_tenant), "forbidden");
    house.driver.then("create-share-group", Act::Fail(answered(DriverErrorCode::NoSpace)));
    house.manager.create_share_group(&tenant(), NewShareGroup::default()).await.expect("accepted");
    house.settled().await;
    let failed = house.manager.list_operations(&Scope::Everything, 1)[0].clone();
    assert_eq!(failed.state, OperationState::Failed);
    assert_eq!(code(house.manager.retry_operation(&operator(), failed.id).await), "operation-state");
}

#[tokio::test]
async fn a_group_is_its_projects_alone_and_reviewers_change_nothing() {
    let house = House::new().await;
    let group = house.group().await;
    let theirs = Scope::Project("beta".parse().expect("a project"));
    assert_eq!(code(house.manager.show_share_group(&theirs, group)), "not-found");
    assert!(house.manager.list_share_groups(&theirs).is_empty());
    let delete = house.manager.delete_share_group(&other_tenant(), group, Force::No).await;
    assert_eq!(code(delete), "not-found");
    assert_eq!(code(house.manager.create_share(&other_tenant(), in_group(group)).await), "not-found");
    assert_eq!(
        code(house.manager.create_share(&operator(), in_group(group)).await),
        "not-found",
        "an operator's share would be of another project than its group"
    );
    let update = Update::default();
    assert_eq!(code(house.manager.update_share_group(&other_tenant(), group, update).await), "not-found");
    let made = house.manager.create_share_group(&reviewer(), NewShareGroup::default()).await;
    assert_eq!(code(made), "forbidden");
}

#[tokio::test]
async fn a_repeated_request_with_a_key_makes_one_group() {
    let house = House::new().await;
    let create = async || {
        let made = house.manager.create_share_group(&with_key("one"), NewShareGroup::default()).await;
        made.expect("accepted").group.id
    };
    assert_eq!(create().await, create().await);
    house.settled().await;
    assert_eq!(house.calls(), ["create-share-group"]);
}

#[tokio::test]
async fn a_share_of_a_group_is_not_let_go_nor_replicated() {
    let house = House::new().await;
    let specs = [("replication_type", "dr"), ("snapshot_support", "True")];
    house.manager.create_share_type(&operator(), new_type("replicated", &specs)).await.expect("made");
    let types = vec!["replicated".to_owned()];
    let asked = NewShareGroup { share_types: types, ..NewShareGroup::default() };
    let group = house.manager.create_share_group(&tenant(), asked).await.expect("accepted").group.id;
    house.settled().await;
    let new = NewShare { group: Some(group), ..of_type("replicated") };
    let share = house.manager.create_share(&tenant(), new).await.expect("accepted").share.id;
    house.settled().await;
    assert_eq!(code(house.manager.unmanage_share(&operator(), share).await), "in-share-group");
    let replica = house.manager.create_replica(&tenant(), NewReplica { share }).await;
    assert_eq!(code(replica), "in-share-group");
}

#[tokio::test]
async fn a_backend_with_groups_is_not_unloaded() {
    let house = House::new().await;
    house.group().await;
    let name = "nas".parse().expect("a name");
    let refused = house.manager.unload_backend(&operator(), &name, Detach::Nothing).await;
    let message = refused.expect_err("in use").to_string();
    assert!(message.contains("1 share groups"), "{message}");
}
