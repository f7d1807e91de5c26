//! Shares: every transition of the matrix, and requests that make no sense.

use crate::fake::{Act, answered};
use crate::house::{
    House, code, gib, new_rule, new_share, new_snapshot, operator, other_tenant, reviewer, tenant, with_key,
};
use bulkhead_manager::{ErrorKind, Force, ManagerError, NewShare, Update};
use bulkhead_model::ability::Ability;
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode, ErrorDetail};
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Protocol};
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus, ShareStatus};
use bulkhead_model::text::GuestText;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_share_is_creating_at_once_and_available_with_its_locations_in_the_end() {
    let house = House::new().await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("create-share", Act::Hold(hold.clone()));
    let asked = house.manager.create_share(&tenant(), new_share(2)).await.expect("accepted");
    assert_eq!(asked.instance.status, ShareStatus::Creating);
    assert!(asked.operation.is_some());
    hold.add_permits(1);
    house.settled().await;
    let share = house.show(asked.share.id);
    assert_eq!(share.instance.status, ShareStatus::Available);
    assert_eq!(share.instance.progress_percent, Some(100));
    assert_eq!(share.instance.export_locations.len(), 1);
    assert_eq!(share.share_type_name, "default");
    let placement = Placement { backend: "nas".parse().expect("a name"), pool: Some("pool".to_owned()) };
    assert_eq!(share.instance.placement, placement);
    assert!(share.share.support.snapshot && share.share.support.revert_to_snapshot);
    assert_eq!(house.calls(), ["create-share"]);
}

#[tokio::test]
async fn a_share_that_could_not_be_made_is_in_error_with_the_locations_it_left_and_can_be_deleted() {
    let house = House::new().await;
    let left = bulkhead_model::export::ExportLocation {
        path: "10.0.0.1:/half".to_owned(),
        admin_only: false,
        preferred: false,
        metadata: BTreeMap::new(),
    };
    let error = DriverError {
        code: DriverErrorCode::NoSpace,
        message: GuestText::message("full"),
        detail: Some(ErrorDetail::ExportLocations(vec![left])),
    };
    house.driver.then("create-share", Act::Fail(CallError::Answered(error)));
    let share = house.share().await;
    assert_eq!(share.instance.status, ShareStatus::Error);
    assert_eq!(share.instance.export_locations[0].location.path, "10.0.0.1:/half");
    let operations = house.manager.list_operations(&House::scope(), 10);
    assert_eq!(operations[0].state, OperationState::Failed);
    assert_eq!(operations[0].failure.as_ref().map(|failure| failure.code.as_str()), Some("no-space"));
    house.manager.delete_share(&tenant(), share.share.id, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.show_share(&House::scope(), share.share.id).is_err());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_nothing_is_made_twice() {
    for code in [DriverErrorCode::OutcomeUnknown, DriverErrorCode::Busy, DriverErrorCode::BackendUnreachable]
    {
        let house = House::new().await;
        house.driver.then("create-share", Act::FailAfterEffect(answered(code)));
        let share = house.share().await;
        assert_eq!(share.instance.status, ShareStatus::Available);
        assert_eq!(house.calls(), ["create-share", "create-share"]);
        let world = house.world.lock().expect("the world");
        assert_eq!(world.made.values().copied().collect::<Vec<_>>(), [1]);
        let attempts: Vec<_> = world
            .calls
            .iter()
            .filter(|(function, _)| *function == "create-share")
            .map(|(_, times)| *times)
            .collect();
        assert_eq!(attempts, [0, 1]);
    }
}

#[tokio::test]
async fn a_call_that_runs_into_its_deadline_three_times_fails_with_blame_on_the_driver() {
    let house = House::new().await;
    let slow = || Act::Fail(CallError::DeadlineExceeded { function: "shares.create-share", limit_ms: 1 });
    house.driver.then("create-share", slow());
    house.driver.then("create-share", slow());
    assert_eq!(house.share().await.instance.status, ShareStatus::Available);
    for _ in 0..3 {
        house.driver.then("create-share", slow());
    }
    assert_eq!(house.share().await.instance.status, ShareStatus::Error);
}

#[tokio::test]
async fn a_trap_ends_the_operation_at_once() {
    let house = House::new().await;
    let trap = CallError::Trapped { function: "shares.create-share", reason: "unreachable".to_owned() };
    house.driver.then("create-share", Act::Fail(trap));
    assert_eq!(house.share().await.instance.status, ShareStatus::Error);
    assert_eq!(house.calls(), ["create-share"]);
}

/// Contract A-09.
#[tokio::test]
async fn deleting_takes_the_rules_away_first_and_then_the_share() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.1").await;
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::InvalidAccess)));
    house.rule(share, "10.0.0.2").await;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("delete-share", Act::Hold(hold.clone()));
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    assert_eq!(house.show(share).instance.status, ShareStatus::Deleting);
    hold.add_permits(1);
    house.settled().await;
    assert!(house.calls().ends_with(&["update-access", "delete-share"]), "{:?}", house.calls());
    let world = house.world.lock().expect("the world");
    assert_eq!(world.updates.len(), 3, "one call for all, those in error too");
    let last = world.updates.last().expect("an update");
    assert!(last.rules.is_empty() && last.add.is_empty() && last.remove.len() == 2);
    assert!(world.shares.is_empty());
}

/// Contract M-05.
#[tokio::test]
async fn a_share_that_is_gone_at_the_backend_is_deleted() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.1").await;
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::ShareNotFound)));
    house.driver.then("delete-share", Act::Fail(answered(DriverErrorCode::ShareNotFound)));
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_failed_deletion_is_in_error_deleting_and_may_be_asked_for_again() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.driver.then("delete-share", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(share).instance.status, ShareStatus::ErrorDeleting);
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn rules_whose_removal_failed_with_the_deletion_are_in_error_for_nobody_knows_whether_they_hold() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.1").await;
    let lost = Act::FailAfterEffect(answered(DriverErrorCode::BackendFailed));
    house.driver.then("update-access", lost);
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert_eq!(house.show(share).instance.status, ShareStatus::ErrorDeleting);
    assert_eq!(house.show(share).instance.access_rules_status, AccessRulesStatus::Error);
    let rules = house.manager.list_access_rules(&Scope::Everything, share).expect("the rules");
    assert_eq!(rules.iter().map(|rule| rule.state).collect::<Vec<_>>(), [AccessRuleState::Error]);
    house.manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
}

#[tokio::test]
async fn a_forced_deletion_forgets_the_share_whatever_the_driver_says_and_is_for_operators() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    house.rule(share, "10.0.0.1").await;
    let refused = house.manager.delete_share(&tenant(), share, Force::Yes).await;
    assert_eq!(code(refused), "forbidden");
    house.driver.then("update-access", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.driver.then("delete-share", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    house.manager.delete_share(&operator(), share, Force::Yes).await.expect("accepted");
    house.settled().await;
    assert!(house.manager.list_shares(&Scope::Everything).is_empty());
    let newest = &house.manager.list_operations(&Scope::Everything, 1)[0];
    assert_eq!(newest.state, OperationState::Succeeded);
    assert!(newest.failure.is_some());
}

#[tokio::test]
async fn extending_and_shrinking_change_the_size_when_the_driver_has() {
    let house = House::new().await;
    let id = house.share().await.share.id;
    let hold = Arc::new(Semaphore::new(0));
    house.driver.then("extend-share", Act::Hold(hold.clone()));
    let asked = house.manager.extend_share(&tenant(), id, gib(5)).await.expect("accepted");
    assert_eq!((asked.instance.status, asked.share.size), (ShareStatus::Extending, gib(2)));
    hold.add_permits(1);
    house.settled().await;
    assert_eq!(house.show(id).share.size, gib(5));
    house.manager.shrink_share(&tenant(), id, gib(1)).await.expect("accepted");
    house.settled().await;
    assert_eq!((house.show(id).instance.status, house.show(id).share.size), (ShareStatus::Available, gib(1)));
}

/// Contract M-04.
#[tokio::test]
async fn a_refused_resize_ends_in_the_status_of_the_matrix() {
    let cases = [
        ("extend-share", DriverErrorCode::NoSpace, ShareStatus::ExtendingError),
        ("extend-share", DriverErrorCode::NotImplemented, ShareStatus::ExtendingError),
        ("shrink-share", DriverErrorCode::PossibleDataLoss, ShareStatus::Available),
        ("shrink-share", DriverErrorCode::NotImplemented, ShareStatus::Available),
        ("shrink-share", DriverErrorCode::BackendFailed, ShareStatus::ShrinkingError),
        ("shrink-share", DriverErrorCode::InvalidShare, ShareStatus::ShrinkingError),
    ];
    for (function, error, status) in cases {
        let house = House::new().await;
        let id = house.share().await.share.id;
        house.driver.then(function, Act::Fail(answered(error)));
        match function {
            "extend-share" => house.manager.extend_share(&tenant(), id, gib(3)).await,
            _ => house.manager.shrink_share(&tenant(), id, gib(1)).await,
        }
        .expect("accepted");
        house.settled().await;
        assert_eq!(house.show(id).instance.status, status, "{function}: {error:?}");
        assert_eq!(house.show(id).share.size, gib(2), "{function}: {error:?}");
        assert_eq!(house.manager.list_operations(&House::scope(), 1)[0].state, OperationState::Failed);
    }
}

#[tokio::test]
async fn sizes_that_make_no_sense_are_refused_before_anything_is_asked() {
    let house = House::new().await;
    let id = house.share().await.share.id;
    let refused = house.manager.extend_share(&tenant(), id, gib(2)).await.expect_err("not larger");
    assert_eq!((refused.code(), refused.kind()), ("not-larger", ErrorKind::Invalid));
    assert_eq!(code(house.manager.shrink_share(&tenant(), id, gib(2)).await), "not-smaller");
    assert_eq!(code(house.manager.extend_share(&tenant(), id, gib(5000)).await), "no-room");
    assert_eq!(house.show(id).instance.status, ShareStatus::Available);
    assert_eq!(house.calls(), ["create-share"]);
}

#[tokio::test]
async fn what_the_driver_does_not_export_is_refused_by_name() {
    let house = House::with(|driver| {
        driver.abilities.0.remove(&Ability::Extend);
        driver.abilities.0.remove(&Ability::Snapshots);
    })
    .await;
    let id = house.share().await.share.id;
    assert_eq!(code(house.manager.extend_share(&tenant(), id, gib(3)).await), "unsupported");
    assert_eq!(code(house.manager.create_snapshot(&tenant(), new_snapshot(id)).await), "not-offered");
}

#[tokio::test]
async fn a_share_no_backend_can_take_names_every_reason() {
    let house = House::new().await;
    let Err(ManagerError::NoBackend { reasons }) =
        house.manager.create_share(&tenant(), new_share(5000)).await
    else {
        panic!("there is no room");
    };
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].reason.contains("1000 are free"), "{reasons:?}");
    let cifs = NewShare { protocol: Protocol::Cifs, ..new_share(1) };
    let error = house.manager.create_share(&tenant(), cifs).await.expect_err("no CIFS");
    assert!(error.to_string().contains("nas: does not export over CIFS; it offers NFS"), "{error}");
}

#[tokio::test]
async fn shares_placed_since_the_last_statistics_count() {
    let house = House::new().await;
    house.manager.create_share(&tenant(), new_share(600)).await.expect("room");
    assert_eq!(code(house.manager.create_share(&tenant(), new_share(600)).await), "no-backend");
}

#[tokio::test]
async fn unfit_text_and_unknown_types_are_refused() {
    let house = House::new().await;
    let long = NewShare { display_name: Some("a".repeat(10_000_000)), ..new_share(1) };
    assert_eq!(code(house.manager.create_share(&tenant(), long).await), "invalid");
    let control = NewShare { display_name: Some("a\u{7}".to_owned()), ..new_share(1) };
    assert_eq!(code(house.manager.create_share(&tenant(), control).await), "invalid");
    let gold = NewShare { share_type: Some("gold".to_owned()), ..new_share(1) };
    assert_eq!(code(house.manager.create_share(&tenant(), gold).await), "not-found");
    assert!(house.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_share_and_another_tenants_share_look_the_same() {
    let house = House::new().await;
    let id = house.share().await.share.id;
    let beta = Scope::Project("beta".parse().expect("a project"));
    assert_eq!(code(house.manager.show_share(&beta, id)), "not-found");
    assert!(house.manager.list_shares(&beta).is_empty());
    assert!(house.manager.list_operations(&beta, 10).is_empty());
    for share in [id, ShareId::random()] {
        assert_eq!(code(house.manager.delete_share(&other_tenant(), share, Force::No).await), "not-found");
        assert_eq!(code(house.manager.extend_share(&other_tenant(), share, gib(9)).await), "not-found");
        assert_eq!(
            code(house.manager.create_snapshot(&other_tenant(), new_snapshot(share)).await),
            "not-found"
        );
        let rule = house.manager.allow_access(&other_tenant(), share, new_rule("10.0.0.1")).await;
        assert_eq!(code(rule), "not-found");
    }
}

#[tokio::test]
async fn reviewers_read_and_change_nothing() {
    let house = House::new().await;
    let id = house.share().await.share.id;
    assert_eq!(code(house.manager.create_share(&reviewer(), new_share(1)).await), "forbidden");
    assert_eq!(code(house.manager.delete_share(&reviewer(), id, Force::No).await), "forbidden");
}

#[tokio::test]
async fn names_and_metadata_change_without_the_backend() {
    let house = House::new().await;
    let id = house.share().await.share.id;
    let update = Update {
        display_name: Some(None),
        metadata: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        ..Update::default()
    };
    let view = house.manager.update_share(&tenant(), id, update).await.expect("accepted");
    assert_eq!(view.share.display_name, None);
    assert_eq!(view.share.metadata.len(), 1);
    assert_eq!(house.calls(), ["create-share"]);
}

#[tokio::test]
async fn the_same_key_gives_the_first_result_and_another_body_is_refused() {
    let house = House::new().await;
    let first = house.manager.create_share(&with_key("k"), new_share(1)).await.expect("accepted").share.id;
    house.settled().await;
    let again = house.manager.create_share(&with_key("k"), new_share(1)).await.expect("the first result");
    assert_eq!(again.share.id, first);
    let other = house.manager.create_share(&with_key("k"), new_share(2)).await;
    assert_eq!(code(other), "idempotency-key-reused");
    house.manager.delete_share(&with_key("d"), first, Force::No).await.expect("accepted");
    house.settled().await;
    house.manager.delete_share(&with_key("d"), first, Force::No).await.expect("the first result");
    assert_eq!(house.calls(), ["create-share", "delete-share"]);
}
