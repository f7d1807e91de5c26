//! Snapshots of groups, natively and share by share, and groups made from them.

use crate::fake::{Act, FakeDriver, answered};
use crate::fake_following::Work;
use crate::group::in_group;
use crate::house::{House, code, gib, new_snapshot, operator, other_tenant, tenant, until, with_key};
use bulkhead_manager::{Force, NewShareGroup, NewShareGroupSnapshot, Update};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareProgress;
use bulkhead_model::share_group::{Consistency, ShareGroupSnapshot};
use bulkhead_model::status::{ShareGroupStatus, ShareStatus, SnapshotStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

fn of(group: ShareGroupId) -> NewShareGroupSnapshot {
    NewShareGroupSnapshot { group, display_name: None, display_description: None }
}

fn from(source: ShareGroupSnapshotId) -> NewShareGroup {
    NewShareGroup { source_snapshot: Some(source), ..NewShareGroup::default() }
}

impl House {
    /// A group with `shares` shares.
    async fn filled_group(&self, shares: usize) -> ShareGroupId {
        let group = self.group().await;
        for _ in 0..shares {
            self.share_in(group).await;
        }
        group
    }

    /// A group snapshot, asked for and at rest.
    async fn group_snapshot(&self, group: ShareGroupId) -> Arc<ShareGroupSnapshot> {
        let made = self.manager.create_share_group_snapshot(&tenant(), of(group)).await.expect("accepted");
        self.settled().await;
        self.show_group_snapshot(made.snapshot.id)
    }

    fn show_group_snapshot(&self, id: ShareGroupSnapshotId) -> Arc<ShareGroupSnapshot> {
        self.manager.show_share_group_snapshot(&Self::scope(), id).expect("the group snapshot").snapshot
    }

    /// A group made from a group snapshot, asked for and at rest.
    async fn group_from(&self, source: ShareGroupSnapshotId) -> ShareGroupId {
        let made = self.manager.create_share_group(&tenant(), from(source)).await.expect("accepted");
        self.settled().await;
        made.group.id
    }

    fn calls_of(&self, function: &str) -> usize {
        self.calls().iter().filter(|call| **call == function).count()
    }

    fn held_snapshots(&self) -> usize {
        self.world.lock().expect("the world").snapshots.len()
    }

    fn shares_of(&self, group: ShareGroupId) -> Vec<bulkhead_manager::ShareView> {
        let all = self.manager.list_shares(&Scope::Everything);
        all.into_iter().filter(|view| view.share.group == Some(group)).collect()
    }
}

#[tokio::test]
async fn a_driver_with_group_snapshots_takes_all_members_in_one_call() {
    let house = House::new().await;
    let group = house.filled_group(2).await;
    let snapshot = house.group_snapshot(group).await;
    assert_eq!((snapshot.status, snapshot.members.len()), (ShareGroupStatus::Available, 2));
    for member in &snapshot.members {
        assert_eq!(member.status, SnapshotStatus::Available);
        assert_eq!(member.provider_location.as_deref(), Some("with the others"));
    }
    assert_eq!((house.calls_of("create-share-group-snapshot"), house.calls_of("create-snapshot")), (1, 0));
    assert_eq!(house.held_snapshots(), 2);
    house.manager.delete_share_group_snapshot(&tenant(), snapshot.id, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!((house.calls_of("delete-share-group-snapshot"), house.held_snapshots()), (1, 0));
    assert!(house.manager.list_share_group_snapshots(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_member_that_the_driver_does_not_name_is_taken() {
    let house = House::with(|driver| driver.answers_about = Some(1)).await;
    let group = house.filled_group(2).await;
    let snapshot = house.group_snapshot(group).await;
    assert!(snapshot.members.iter().all(|member| member.status == SnapshotStatus::Available));
    assert_eq!(snapshot.members[1].provider_location, None);
}

/// Contract D-38.
#[tokio::test]
async fn without_the_interface_the_host_takes_one_snapshot_of_each_share_and_keeps_the_handles() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(3).await;
    let snapshot = house.group_snapshot(group).await;
    assert_eq!((snapshot.status, house.calls_of("create-snapshot")), (ShareGroupStatus::Available, 3));
    for member in &snapshot.members {
        assert_eq!(member.provider_location.as_deref(), Some("here"));
        assert_eq!(member.size, gib(1));
    }
    assert!(house.manager.list_snapshots(&Scope::Everything, None).is_empty(), "members are no snapshots");
}

/// Contract D-42.
#[tokio::test]
async fn without_the_interface_the_host_removes_them_one_by_one_and_one_that_is_gone_is_removed() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(3).await;
    let snapshot = house.group_snapshot(group).await.id;
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotNotFound)));
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::Busy)));
    house.manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.calls_of("delete-snapshot"), 2 + 3, "busy repeats all, which is harmless");
    assert_eq!(house.held_snapshots(), 0);
    assert!(house.manager.list_share_group_snapshots(&Scope::Everything).is_empty());
}

/// Contract D-39.
#[tokio::test]
async fn when_one_snapshot_fails_those_made_before_are_cleaned_up_and_the_first_failure_is_told() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(3).await;
    let hold = Arc::new(Semaphore::new(1));
    house.driver.then("create-snapshot", Act::Hold(hold));
    house.driver.then("create-snapshot", Act::FailAfterEffect(answered(DriverErrorCode::NoSpace)));
    let snapshot = house.group_snapshot(group).await;
    assert_eq!(snapshot.status, ShareGroupStatus::Error);
    assert!(snapshot.members.iter().all(|member| member.status == SnapshotStatus::Error));
    assert_eq!((house.calls_of("create-snapshot"), house.calls_of("delete-snapshot")), (2, 2));
    assert_eq!(house.held_snapshots(), 0, "what the failed call left is gone, too");
    let operation = house.manager.list_operations(&Scope::Everything, 1)[0].clone();
    assert_eq!(operation.failure.as_ref().map(|failure| failure.code.as_str()), Some("no-space"));
    for share in house.shares_of(group) {
        assert_eq!(share.instance.status, ShareStatus::Available, "its shares are as they were");
    }
}

/// Contract D-48, where we differ on purpose: Manila tells the clean-up's failure and stops.
#[tokio::test]
async fn a_clean_up_that_fails_stops_no_other_and_hides_no_failure() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(3).await;
    let through = || Act::Hold(Arc::new(Semaphore::new(1)));
    house.driver.then("create-snapshot", through());
    house.driver.then("create-snapshot", through());
    house.driver.then(
        "create-snapshot",
        Act::Fail(bulkhead_model::error::CallError::Trapped {
            function: "snapshots.create-snapshot",
            reason: String::new(),
        }),
    );
    house.driver.then("delete-snapshot", Act::Fail(answered(DriverErrorCode::SnapshotBusy)));
    let snapshot = house.group_snapshot(group).await;
    assert_eq!(house.calls_of("delete-snapshot"), 3, "after a trap, too");
    assert_eq!(house.held_snapshots(), 1);
    let operation = house.manager.list_operations(&Scope::Everything, 1)[0].clone();
    assert_eq!(operation.failure.as_ref().map(|failure| failure.code.as_str()), Some("trapped"));
    house.manager.delete_share_group_snapshot(&tenant(), snapshot.id, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.held_snapshots(), 0, "deleting the group snapshot removes what is left");
}

#[tokio::test]
async fn a_snapshot_whose_outcome_is_unknown_is_repeated_and_nothing_is_made_twice() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(2).await;
    house.driver.then("create-snapshot", Act::FailAfterEffect(answered(DriverErrorCode::OutcomeUnknown)));
    let snapshot = house.group_snapshot(group).await;
    assert_eq!(snapshot.status, ShareGroupStatus::Available);
    assert_eq!(house.calls_of("delete-snapshot"), 0, "nothing is cleaned up that is still wanted");
    let made = house.world.lock().expect("the world").made.clone();
    assert!(made.values().all(|times| *times == 1), "{made:?}");
}

/// Contract D-40.
#[tokio::test]
async fn a_driver_without_any_snapshots_takes_none_of_groups() {
    let house = House::with(|driver| {
        driver.without_groups();
        driver.abilities.0.remove(&Ability::Snapshots);
    })
    .await;
    let group = house.group().await;
    let empty = house.manager.create_share_group_snapshot(&tenant(), of(group)).await;
    assert_eq!(code(empty), "unsupported");
    house.share_in(group).await;
    let filled = house.manager.create_share_group_snapshot(&tenant(), of(group)).await;
    assert_eq!(code(filled), "member-not-offered");
}

/// Contract D-37, D-41.
#[tokio::test]
async fn an_empty_group_has_an_empty_snapshot_and_an_empty_group_is_made_from_that() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.group().await;
    let snapshot = house.group_snapshot(group).await;
    assert_eq!((snapshot.status, snapshot.members.len()), (ShareGroupStatus::Available, 0));
    let other = house.group_from(snapshot.id).await;
    assert_eq!(house.show_group(other).status, ShareGroupStatus::Available);
    assert_eq!(house.show_group(other).source_snapshot, Some(snapshot.id));
    assert!(house.calls().is_empty());
}

#[tokio::test]
async fn while_a_group_snapshot_is_taken_nothing_else_is_begun_on_its_shares() {
    for native in [true, false] {
        let house = House::with(|driver| {
            if !native {
                driver.without_groups()
            }
        })
        .await;
        let group = house.filled_group(2).await;
        let share = house.shares_of(group)[1].share.id;
        let hold = Arc::new(Semaphore::new(0));
        let function = if native { "create-share-group-snapshot" } else { "create-snapshot" };
        house.driver.then(function, Act::Hold(Arc::clone(&hold)));
        let made = house.manager.create_share_group_snapshot(&tenant(), of(group)).await.expect("accepted");
        until("the call is out", async || house.calls_of(function) == 1).await;
        let manager = &house.manager;
        let busy = "operation-in-flight";
        assert_eq!(code(manager.extend_share(&tenant(), share, gib(5)).await), busy);
        assert_eq!(code(manager.delete_share(&operator(), share, Force::Yes).await), busy);
        assert_eq!(code(manager.create_snapshot(&tenant(), new_snapshot(share)).await), busy);
        assert_eq!(code(manager.forget_share(&operator(), share).await), busy);
        let reset = manager.reset_share_status(&operator(), share, ShareStatus::Error).await;
        assert_eq!(code(reset), busy);
        assert_eq!(code(manager.create_share_group_snapshot(&tenant(), of(group)).await), busy);
        let id = made.snapshot.id;
        assert_eq!(code(manager.delete_share_group_snapshot(&operator(), id, Force::Yes).await), busy);
        hold.add_permits(1);
        house.settled().await;
        manager.extend_share(&tenant(), share, gib(5)).await.expect("free again");
        house.settled().await;
        assert!(house.world.lock().expect("the world").overlaps.is_empty());
    }
}

#[tokio::test]
async fn one_share_that_is_not_available_stands_in_the_way() {
    let house = House::new().await;
    let group = house.filled_group(2).await;
    let share = house.shares_of(group)[0].share.id;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("extend-share", Act::Hold(Arc::clone(&hold)));
    house.manager.extend_share(&tenant(), share, gib(2)).await.expect("accepted");
    let create = async || code(house.manager.create_share_group_snapshot(&tenant(), of(group)).await);
    assert_eq!(create().await, "member-operation-in-flight");
    hold.add_permits(1);
    house.settled().await;
    house.manager.reset_share_status(&operator(), share, ShareStatus::Error).await.expect("set");
    assert_eq!(create().await, "member-status");
}

#[tokio::test]
async fn shares_of_a_group_snapshot_are_kept_and_not_put_back_behind_it() {
    let house = House::new().await;
    let group = house.filled_group(1).await;
    let share = house.shares_of(group)[0].share.id;
    let older = house.snapshot(share).await.snapshot.id;
    let snapshot = house.group_snapshot(group).await.id;
    assert_eq!(code(house.manager.revert_share(&tenant(), share, older).await), "newer-group-snapshot");
    house.manager.delete_snapshot(&tenant(), older, Force::No).await.expect("accepted");
    house.settled().await;
    for force in [Force::No, Force::Yes] {
        assert_eq!(code(house.manager.delete_share(&operator(), share, force).await), "has-group-snapshots");
    }
    assert_eq!(code(house.manager.forget_share(&operator(), share).await), "has-group-snapshots");
    let delete = house.manager.delete_share_group(&operator(), group, Force::Yes).await;
    assert_eq!(code(delete), "share-group-has-shares");
    house.manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("free again");
}

#[tokio::test]
async fn a_group_snapshot_that_cannot_be_removed_is_in_error_and_goes_by_force() {
    let house = House::new().await;
    let group = house.filled_group(1).await;
    let snapshot = house.group_snapshot(group).await.id;
    let fail = || Act::Fail(answered(DriverErrorCode::BackendFailed));
    house.driver.then("delete-share-group-snapshot", fail());
    house.manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show_group_snapshot(snapshot).status, ShareGroupStatus::Error);
    let manager = &house.manager;
    let available = ShareGroupStatus::Available;
    manager.reset_share_group_snapshot_status(&operator(), snapshot, available).await.expect("set");
    assert_eq!(house.show_group_snapshot(snapshot).members[0].status, SnapshotStatus::Available);
    house.driver.then("delete-share-group-snapshot", fail());
    manager.delete_share_group_snapshot(&operator(), snapshot, Force::Yes).await.expect("accepted");
    house.settled().await;
    assert!(manager.list_share_group_snapshots(&Scope::Everything).is_empty());
    assert_eq!(code(manager.delete_share_group(&tenant(), group, Force::No).await), "share-group-has-shares");
}

#[tokio::test]
async fn a_group_snapshot_is_its_projects_alone_and_is_renamed_without_its_backend() {
    let house = House::new().await;
    let group = house.group().await;
    let snapshot = house.group_snapshot(group).await.id;
    let manager = &house.manager;
    let theirs = Scope::Project("beta".parse().expect("a project"));
    assert_eq!(code(manager.show_share_group_snapshot(&theirs, snapshot)), "not-found");
    assert_eq!(code(manager.create_share_group_snapshot(&other_tenant(), of(group)).await), "not-found");
    assert_eq!(code(manager.create_share_group(&other_tenant(), from(snapshot)).await), "not-found");
    let delete = manager.delete_share_group_snapshot(&other_tenant(), snapshot, Force::No).await;
    assert_eq!(code(delete), "not-found");
    let update = Update { display_name: Some(Some("before".to_owned())), ..Update::default() };
    manager.update_share_group_snapshot(&tenant(), snapshot, update).await.expect("renamed");
    assert_eq!(house.show_group_snapshot(snapshot).display_name.as_deref(), Some("before"));
    let again = async || {
        let made = manager.create_share_group_snapshot(&with_key("one"), of(group)).await;
        made.expect("accepted").snapshot.id
    };
    assert_eq!(again().await, again().await);
}

/// Contract D-35.
#[tokio::test]
async fn a_group_is_made_from_a_snapshot_with_all_its_shares() {
    for native in [true, false] {
        let house = House::with(|driver| {
            if !native {
                driver.without_groups()
            }
        })
        .await;
        let group = house.filled_group(2).await;
        {
            let mut world = house.world.lock().expect("the world");
            for (content, held) in (7..).zip(world.shares.values_mut()) {
                held.content = content;
            }
        }
        let snapshot = house.group_snapshot(group).await;
        let other = house.group_from(snapshot.id).await;
        let shown = house.show_group(other);
        assert_eq!(shown.status, ShareGroupStatus::Available);
        assert_eq!(shown.consistency, native.then_some(Consistency::Pool));
        let shares = house.shares_of(other);
        assert_eq!(shares.len(), 2);
        let world = house.world.lock().expect("the world").shares.clone();
        for share in &shares {
            assert_eq!(share.instance.status, ShareStatus::Available);
            assert!(!share.instance.export_locations.is_empty());
            let source = share.share.source_member;
            let member = snapshot.members.iter().find(|member| Some(member.id) == source).expect("a member");
            let (original, made) = (&world[&member.share_instance], &world[&share.instance.id]);
            assert_eq!(made.content, original.content, "the content of its own member");
        }
        let made_by = ["create-share-group-from-snapshot", "create-share-from-snapshot"];
        assert_eq!(made_by.map(|call| house.calls_of(call)), if native { [1, 0] } else { [0, 2] });
        house.manager.create_share(&tenant(), in_group(other)).await.expect("a further share joins");
    }
}

#[tokio::test]
async fn a_driver_with_groups_that_makes_none_from_snapshots_makes_the_group_and_then_its_shares() {
    let house = House::new().await;
    let group = house.filled_group(2).await;
    let snapshot = house.group_snapshot(group).await.id;
    let function = "create-share-group-from-snapshot";
    house.driver.then(function, Act::Fail(answered(DriverErrorCode::NotImplemented)));
    let other = house.group_from(snapshot).await;
    assert_eq!(house.show_group(other).status, ShareGroupStatus::Available);
    assert_eq!(house.calls_of("create-share-from-snapshot"), 2);
    assert!(house.world.lock().expect("the world").groups.contains(&other));
}

#[tokio::test]
async fn a_share_that_the_driver_does_not_name_is_in_error_and_its_group_is_there() {
    let house = House::with(|driver| driver.answers_about = Some(1)).await;
    let group = house.filled_group(2).await;
    let snapshot = house.group_snapshot(group).await.id;
    let other = house.group_from(snapshot).await;
    assert_eq!(house.show_group(other).status, ShareGroupStatus::Available);
    let mut statuses: Vec<_> = house.shares_of(other).iter().map(|share| share.instance.status).collect();
    statuses.sort_by_key(|status| status.as_str());
    assert_eq!(statuses, [ShareStatus::Available, ShareStatus::Error]);
}

/// Contract D-46.
#[tokio::test]
async fn as_long_as_the_backend_makes_a_share_its_group_is_creating() {
    for native in [true, false] {
        let house = House::with(|driver| {
            driver.slow = u32::MAX - 2;
            if !native {
                driver.without_groups()
            }
        })
        .await;
        let group = house.filled_group(2).await;
        let snapshot = house.group_snapshot(group).await.id;
        let function = if native { "create-share-group-from-snapshot" } else { "create-share-from-snapshot" };
        let made = house.manager.create_share_group(&tenant(), from(snapshot)).await.expect("accepted");
        until("it is asked about", async || house.calls_of("share-status") > 3).await;
        assert_eq!(house.show_group(made.group.id).status, ShareGroupStatus::Creating);
        let shares = house.shares_of(made.group.id);
        assert!(shares.iter().all(|one| one.instance.status == ShareStatus::CreatingFromSnapshot));
        let share = shares[0].share.id;
        let delete = house.manager.delete_share(&operator(), share, Force::Yes).await;
        assert_eq!(code(delete), "operation-in-flight");
        let source = house.manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await;
        assert_eq!(code(source), "group-snapshot-in-use");
        house.driver.then("share-status", Act::Progress(ShareProgress::Failed));
        house.world.lock().expect("the world").pending.values_mut().for_each(Work::hurry);
        house.settled().await;
        assert_eq!(house.show_group(made.group.id).status, ShareGroupStatus::Available);
        let mut statuses: Vec<_> =
            house.shares_of(made.group.id).iter().map(|share| share.instance.status).collect();
        statuses.sort_by_key(|status| status.as_str());
        assert_eq!(statuses, [ShareStatus::Available, ShareStatus::Error]);
        assert_eq!(house.calls_of(function), if native { 1 } else { 2 }, "begun once");
    }
}

#[tokio::test]
async fn what_the_driver_supplies_for_the_shares_of_a_new_group_is_theirs() {
    for (native, slow) in [(true, 0), (false, 0), (true, 2), (false, 2)] {
        let house = House::with(|driver| {
            driver.slow = slow;
            driver.supplied = BTreeMap::from([("mount-options".to_owned(), "fs=a".to_owned())]);
            if !native {
                driver.without_groups()
            }
        })
        .await;
        let group = house.filled_group(2).await;
        let snapshot = house.group_snapshot(group).await.id;
        let made = house.group_from(snapshot).await;
        let shares = house.shares_of(made);
        assert_eq!(shares.len(), 2);
        for view in shares {
            assert_eq!(view.instance.status, ShareStatus::Available, "{native} {slow}");
            assert!(view.share.metadata.contains_key("mount-options"), "{native} {slow}: {view:#?}");
        }
    }
}

#[tokio::test]
async fn a_group_whose_shares_cannot_be_made_is_in_error_with_all_of_them_and_can_be_taken_down() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(2).await;
    let snapshot = house.group_snapshot(group).await.id;
    house.driver.then("create-share-from-snapshot", Act::Hold(Arc::new(Semaphore::new(1))));
    let fail = Act::FailAfterEffect(answered(DriverErrorCode::NoSpace));
    house.driver.then("create-share-from-snapshot", fail);
    let other = house.group_from(snapshot).await;
    assert_eq!(house.show_group(other).status, ShareGroupStatus::Error);
    for share in house.shares_of(other) {
        assert_eq!(share.instance.status, ShareStatus::Error);
        house.manager.delete_share(&tenant(), share.share.id, Force::No).await.expect("accepted");
    }
    house.settled().await;
    house.manager.delete_share_group(&tenant(), other, Force::No).await.expect("empty");
    house.settled().await;
    assert_eq!(house.world.lock().expect("the world").shares.len(), 2, "those of the first group");
}

#[tokio::test]
async fn a_group_is_made_from_an_available_snapshot_of_shares_that_can_be_made_from_it() {
    let house = House::with(FakeDriver::without_groups).await;
    let group = house.filled_group(1).await;
    let snapshot = house.group_snapshot(group).await.id;
    let both = NewShareGroup { share_types: vec!["default".to_owned()], ..from(snapshot) };
    assert_eq!(code(house.manager.create_share_group(&tenant(), both).await), "invalid");
    let status = ShareGroupStatus::Error;
    let reset = house.manager.reset_share_group_snapshot_status(&operator(), snapshot, status).await;
    reset.expect("set");
    let refused = house.manager.create_share_group(&tenant(), from(snapshot)).await;
    assert_eq!(code(refused), "group-snapshot-status");
    let nobody = house.manager.create_share_group(&tenant(), from(ShareGroupSnapshotId::random())).await;
    assert_eq!(code(nobody), "not-found");
}

#[tokio::test]
async fn a_unit_that_cannot_be_told_now_is_the_one_that_was_told_last() {
    let house = House::new().await;
    *house.driver.consistency.lock().expect("the unit") = Err(answered(DriverErrorCode::BackendFailed));
    let name = "nas".parse().expect("a name");
    let statistics = house.manager.show_backend(&name).expect("the backend").statistics;
    assert_eq!(statistics.expect("statistics").consistency, Some(Consistency::Pool));
    let group = house.group().await;
    assert_eq!(house.show_group(group).consistency, Some(Consistency::Pool));
}

#[tokio::test]
async fn the_largest_group_there_may_be_fits_one_transaction_of_each_kind() {
    for native in [true, false] {
        let house = House::with(|driver| {
            if !native {
                driver.without_groups()
            }
        })
        .await;
        let group = house.group().await;
        for _ in 0..30 {
            house.manager.create_share(&tenant(), in_group(group)).await.expect("accepted");
        }
        house.settled().await;
        let asked = house.manager.create_share_group_snapshot(&with_key("snapshot"), of(group)).await;
        let snapshot = asked.expect("accepted").snapshot.id;
        house.settled().await;
        assert_eq!(house.show_group_snapshot(snapshot).status, ShareGroupStatus::Available);
        let asked = house.manager.create_share_group(&with_key("group"), from(snapshot)).await;
        let other = asked.expect("accepted").group.id;
        house.settled().await;
        assert_eq!(house.show_group(other).status, ShareGroupStatus::Available);
        assert_eq!(house.shares_of(other).len(), 30);
        house.manager.delete_share_group_snapshot(&tenant(), snapshot, Force::No).await.expect("accepted");
        house.settled().await;
        assert_eq!(house.held_snapshots(), 0);
    }
}
