//! Security services that come to a network, or are replaced there, while share servers are in it.

use crate::fake::{Act, answered};
use crate::house::{code, new_rule, new_snapshot, operator, other_tenant, tenant, until};
use crate::managing::client;
use crate::reconcile::{ensured, nas};
use crate::server::{Street, on_servers, server_of, share_on};
use bulkhead_manager::{
    Force, Manager, ManagerError, NetworkChange, NetworkCheck, NewSecurityService, NewShare, Recheck,
    SecurityServiceUpdate, ServerLimits, WhileInUse,
};
use bulkhead_model::ability::Ability;
use bulkhead_model::access::AccessOutcome;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId, ShareServerId};
use bulkhead_model::network::{SecurityServiceType, ShareNetwork, ShareNetworkStatus};
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::EnsuredShare;
use bulkhead_model::share_server::ShareServerStatus;
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus, ShareStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

pub async fn service(manager: &Manager) -> SecurityServiceId {
    let new = NewSecurityService::of_type(SecurityServiceType::Ldap);
    manager.create_security_service(&tenant(), new).await.expect("made").id
}

pub async fn ask(
    manager: &Manager,
    network: ShareNetworkId,
    change: &NetworkChange,
) -> Result<NetworkCheck, ManagerError> {
    manager.check_share_network_change(&tenant(), network, change.clone(), Recheck::No).await
}

/// What all backends say in the end.
pub async fn answer(manager: &Manager, network: ShareNetworkId, change: &NetworkChange) -> bool {
    let known = async || ask(manager, network, change).await.expect("asked").is_compatible();
    until("all have answered", async || known().await.is_some()).await;
    known().await.expect("known")
}

async fn add(
    street: &Street,
    network: ShareNetworkId,
    service: SecurityServiceId,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    street.house.manager.add_security_service(&tenant(), network, service, WhileInUse::Follow).await
}

pub fn network_status(manager: &Manager, network: ShareNetworkId) -> ShareNetworkStatus {
    manager.show_share_network(&Scope::Everything, network).expect("the network").status
}

/// The services that a server is known to use.
fn used(street: &Street, server: ShareServerId) -> Vec<SecurityServiceId> {
    let found = street.house.manager.show_share_server(&Scope::Everything, server).expect("the server");
    found.server.security_services.iter().map(|service| service.id).collect()
}

/// A street with a share on the first network, which is on a server, and a service that was checked to be added there.
async fn checked() -> (Street, ShareServerId, SecurityServiceId) {
    let street = Street::new().await;
    let server = server_of(&street.share(street.first).await);
    let service = service(&street.house.manager).await;
    assert!(answer(&street.house.manager, street.first, &NetworkChange::AddService { service }).await);
    (street, server, service)
}

#[tokio::test]
async fn servers_in_service_use_a_service_that_is_added_once_their_drivers_have_said_that_they_could() {
    let street = Street::new().await;
    let manager = &street.house.manager;
    let (server, other) =
        (server_of(&street.share(street.first).await), server_of(&street.share(street.second).await));
    let service = service(manager).await;
    let change = NetworkChange::AddService { service };
    assert_eq!(code(add(&street, street.first, service).await), "network-change-not-checked");
    let first = ask(manager, street.first, &change).await.expect("asked");
    assert_eq!((first.is_compatible(), first.backends.len()), (None, 1), "nothing is known yet");
    assert!(answer(manager, street.first, &change).await);
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-security-service", Act::Hold(Arc::clone(&hold)));
    let shown = add(&street, street.first, service).await.expect("accepted");
    assert_eq!(
        (shown.status, &shown.security_services[..]),
        (ShareNetworkStatus::NetworkChange, &[service][..])
    );
    assert_eq!(street.status(server), ShareServerStatus::NetworkChange);
    assert_eq!(street.status(other), ShareServerStatus::Active, "it is in another network");
    hold.add_permits(1);
    street.house.settled().await;
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    assert_eq!((street.status(server), used(&street, server)), (ShareServerStatus::Active, vec![service]));
    assert_eq!(
        street.house.world.lock().expect("the world").services,
        BTreeMap::from([(server, vec![service])])
    );
    add(&street, street.first, service).await.expect("it has it");
    assert_eq!(street.house.calls().iter().filter(|call| **call == "update-security-service").count(), 1);
    assert_eq!(
        code(add(&street, street.first, self::service(manager).await).await),
        "security-service-of-type"
    );
}

#[tokio::test]
async fn a_service_is_replaced_by_one_of_its_type_and_stands_where_that_stood() {
    let (street, server, service) = checked().await;
    let manager = &street.house.manager;
    add(&street, street.first, service).await.expect("accepted");
    street.house.settled().await;
    let better = self::service(manager).await;
    let kerberos = NewSecurityService::of_type(SecurityServiceType::Kerberos);
    let kerberos = manager.create_security_service(&tenant(), kerberos).await.expect("made").id;
    let replace = async |new| manager.replace_security_service(&tenant(), street.first, service, new).await;
    assert_eq!(code(replace(kerberos).await), "invalid");
    assert_eq!(
        code(replace(better).await),
        "network-change-not-checked",
        "what was known is of another change"
    );
    assert!(
        answer(manager, street.first, &NetworkChange::ReplaceService { current: service, new: better }).await
    );
    assert_eq!(replace(better).await.expect("accepted").security_services, [better]);
    street.house.settled().await;
    assert_eq!(used(&street, server), [better]);
    assert_eq!(
        street.house.world.lock().expect("the world").services,
        BTreeMap::from([(server, vec![better])])
    );
    manager.delete_security_service(&tenant(), service).await.expect("nobody has it");
}

#[tokio::test]
async fn nothing_else_is_begun_on_a_network_whose_servers_change() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let share = manager.list_shares(&Scope::Everything).first().expect("a share").share.id;
    let rule = street.house.rule(share, "10.0.0.9").await.rule.id;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-security-service", Act::Hold(Arc::clone(&hold)));
    add(&street, street.first, service).await.expect("accepted");
    let (in_flight, size) = ("operation-in-flight", bulkhead_model::size::Gibibytes::new(9).expect("a size"));
    assert_eq!(code(manager.extend_share(&tenant(), share, size).await), in_flight);
    assert_eq!(code(manager.create_snapshot(&tenant(), new_snapshot(share)).await), in_flight);
    assert_eq!(code(manager.delete_share(&tenant(), share, Force::No).await), in_flight);
    assert_eq!(code(manager.allow_access(&tenant(), share, new_rule("10.0.0.10")).await), in_flight);
    assert_eq!(code(manager.deny_access(&tenant(), share, rule).await), in_flight);
    let more = manager.create_share(&tenant(), share_on(street.first)).await;
    assert_eq!(code(more), "share-network-status");
    let again = self::service(manager).await;
    assert_eq!(code(add(&street, street.first, again).await), "security-service-of-type");
    hold.add_permits(1);
    street.house.settled().await;
    manager.extend_share(&tenant(), share, size).await.expect("now it may");
    street.house.settled().await;
    assert!(street.house.world.lock().expect("the world").overlaps.is_empty());
}

#[tokio::test]
async fn shares_are_not_ensured_while_the_network_of_their_server_changes() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let share = manager.list_shares(&Scope::Everything).into_iter().next().expect("a share");
    let broken = EnsuredShare {
        id: share.instance.id,
        export_locations: None,
        reapply_access_rules: true,
        healthy: false,
    };
    street.house.driver.ensured.lock().expect("the answers").insert(share.instance.id, broken);
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-security-service", Act::Hold(Arc::clone(&hold)));
    let late = Arc::new(Semaphore::new(0));
    street.house.driver.then("ensure-shares", Act::Hold(Arc::clone(&late)));
    let earlier = manager.ensure_backend(&operator(), &nas()).await.expect("begun").request.to_string();
    let script = || street.house.driver.script.lock().expect("the script");
    until("the driver is asked", async || script()["ensure-shares"].is_empty()).await;
    add(&street, street.first, service).await.expect("accepted");
    late.add_permits(1);
    let report = async |request: &str| {
        let end = || manager.show_ensuring(&nas(), request).expect("remembered").report;
        until("it has ended", async || end().is_some()).await;
        end().expect("a report")
    };
    assert_eq!(report(&earlier).await.broken, [], "what was said of it before the change holds no more");
    assert_eq!(ensured(manager).await.asked, 0, "it is left to the change");
    assert_eq!(street.house.show(share.share.id).instance.status, ShareStatus::Available);
    hold.add_permits(1);
    street.house.settled().await;
    assert_eq!(ensured(manager).await.broken, [share.share.id], "now it is asked about");
}

#[tokio::test]
async fn of_a_service_that_servers_use_only_the_name_and_the_description_change() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let set = async |update| manager.update_security_service(&tenant(), service, update).await;
    let renamed = || SecurityServiceUpdate {
        name: Some(Some("directory".to_owned())),
        description: Some(Some("ours".to_owned())),
        ..SecurityServiceUpdate::default()
    };
    let elsewhere = |user: &str| SecurityServiceUpdate {
        user: Some(Some(user.to_owned())),
        ..SecurityServiceUpdate::default()
    };
    set(elsewhere("early")).await.expect("no server uses it yet");
    add(&street, street.first, service).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(set(renamed()).await.expect("renamed").name.as_deref(), Some("directory"));
    assert_eq!(code(set(elsewhere("late")).await), "security-service-in-use");
    assert_eq!(set(elsewhere("early")).await.expect("as it is").user.as_deref(), Some("early"));
}

#[tokio::test]
async fn what_is_at_work_on_a_network_is_waited_for_before_its_servers_change() {
    let (street, server, service) = checked().await;
    let manager = &street.house.manager;
    let share = manager.list_shares(&Scope::Everything).first().expect("a share").share.id;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("create-snapshot", Act::Hold(Arc::clone(&hold)));
    manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
    assert_eq!(code(add(&street, street.first, service).await), "operation-in-flight");
    hold.add_permits(1);
    street.house.settled().await;
    manager.reset_share_status(&operator(), share, ShareStatus::Error).await.expect("reset");
    assert_eq!(code(add(&street, street.first, service).await), "share-status");
    manager.reset_share_status(&operator(), share, ShareStatus::Available).await.expect("reset");
    let reset = async |status| manager.reset_share_server_status(&operator(), server, status).await;
    reset(ShareServerStatus::Inactive).await.expect("reset");
    assert_eq!(code(add(&street, street.first, service).await), "share-server-status");
    reset(ShareServerStatus::Active).await.expect("reset");
    add(&street, street.first, service).await.expect("now it may");
    street.house.settled().await;
}

#[tokio::test]
async fn rules_that_are_not_in_force_with_another_service_are_in_error() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let share = manager.list_shares(&Scope::Everything).into_iter().next().expect("a share");
    let (lost, kept) = (
        street.house.rule(share.share.id, "10.0.0.9").await,
        street.house.rule(share.share.id, "10.0.0.10").await,
    );
    let outcome = AccessOutcome { rule: lost.rule.id, state: AccessRuleState::Error, access_key: None };
    street.house.world.lock().expect("the world").rules_after_update =
        BTreeMap::from([(share.instance.id, vec![outcome])]);
    add(&street, street.first, service).await.expect("accepted");
    street.house.settled().await;
    let state = |rule| manager.show_access_rule(&Scope::Everything, rule).expect("the rule").state;
    assert_eq!((state(lost.rule.id), state(kept.rule.id)), (AccessRuleState::Error, AccessRuleState::Active));
    let shown = street.house.show(share.share.id).instance;
    assert_eq!((shown.status, shown.access_rules_status), (ShareStatus::Available, AccessRulesStatus::Error));
}

#[tokio::test]
async fn a_server_whose_driver_fails_is_in_error_and_its_shares_only_if_a_service_was_replaced() {
    let (street, server, service) = checked().await;
    let manager = &street.house.manager;
    let share = manager.list_shares(&Scope::Everything).first().expect("a share").share.id;
    let fails = || Act::Fail(answered(DriverErrorCode::SecurityServiceFailed));
    street.house.driver.then("update-security-service", fails());
    add(&street, street.first, service).await.expect("accepted");
    street.house.settled().await;
    assert_eq!(street.status(server), ShareServerStatus::Error);
    assert_eq!(street.house.show(share).instance.status, ShareStatus::Available);
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    assert_eq!(street.operation("update-security-service").state, OperationState::Failed);
    manager.reset_share_server_status(&operator(), server, ShareServerStatus::Active).await.expect("reset");
    let better = self::service(manager).await;
    let change = NetworkChange::ReplaceService { current: service, new: better };
    assert!(answer(manager, street.first, &change).await);
    street.house.driver.then("update-security-service", fails());
    manager.replace_security_service(&tenant(), street.first, service, better).await.expect("accepted");
    street.house.settled().await;
    let shown = street.house.show(share).instance;
    assert_eq!((shown.status, shown.access_rules_status), (ShareStatus::Error, AccessRulesStatus::Error));
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
}

#[tokio::test]
async fn a_change_that_is_given_up_leaves_the_server_in_error_and_the_network_active() {
    let (street, server, service) = checked().await;
    let manager = &street.house.manager;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("update-security-service", Act::Hold(Arc::clone(&hold)));
    add(&street, street.first, service).await.expect("accepted");
    let operation = street.operation("update-security-service").id;
    manager.abandon_operation(&operator(), operation).await.expect("given up");
    assert_eq!(street.status(server), ShareServerStatus::Error);
    assert_eq!(network_status(manager, street.first), ShareNetworkStatus::Active);
    hold.add_permits(1);
    street.house.settled().await;
    assert!(used(&street, server).is_empty(), "what it still said was dropped");
}

#[tokio::test]
async fn a_change_that_a_driver_denies_or_does_not_know_is_not_made() {
    let street = Street::with(|driver| driver.servers.denies = true, |_| {}).await;
    let manager = &street.house.manager;
    street.share(street.first).await;
    let service = service(manager).await;
    let change = NetworkChange::AddService { service };
    assert!(!answer(manager, street.first, &change).await);
    assert_eq!(code(add(&street, street.first, service).await), "network-change-not-checked");
    assert!(
        ask(manager, street.second, &change).await.expect("asked").is_compatible().expect("nobody is there")
    );
    let strange =
        manager.check_share_network_change(&other_tenant(), street.first, change, Recheck::No).await;
    assert_eq!(code(strange), "not-found");
    assert!(manager.network_updates(street.first).are_supported);

    let plain =
        Street::with(|driver| driver.abilities.0.retain(|one| *one != Ability::ServerUpdates), |_| {}).await;
    let manager = &plain.house.manager;
    plain.share(plain.first).await;
    let service = self::service(manager).await;
    let asked = ask(manager, plain.first, &NetworkChange::AddService { service }).await;
    assert_eq!(code(asked), "unsupported");
    assert!(!manager.network_updates(plain.first).are_supported);
    assert!(manager.network_updates(plain.second).are_supported, "nothing is there to follow");
    let refused = manager.add_security_service(&tenant(), plain.first, service, WhileInUse::Refuse).await;
    assert_eq!(code(refused), "share-network-in-use");
}

#[tokio::test]
async fn a_check_that_fails_or_is_denied_is_asked_anew_when_somebody_says_so() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let change = NetworkChange::AddService { service };
    street
        .house
        .driver
        .then("check-security-service-update", Act::Fail(answered(DriverErrorCode::BackendUnreachable)));
    let again =
        manager.check_share_network_change(&tenant(), street.first, change.clone(), Recheck::Yes).await;
    assert_eq!(again.expect("asked").is_compatible(), None);
    assert!(!answer(manager, street.first, &change).await, "who does not answer could not");
    manager
        .check_share_network_change(&tenant(), street.first, change.clone(), Recheck::Yes)
        .await
        .expect("asked");
    assert!(answer(manager, street.first, &change).await);
}

#[tokio::test]
async fn a_question_that_could_not_be_put_to_a_driver_is_no_denial() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let change = NetworkChange::AddService { service };
    let full = CallError::Host { reason: "all its slots are taken".to_owned() };
    street.house.driver.then("check-security-service-update", Act::Fail(full));
    let again =
        manager.check_share_network_change(&tenant(), street.first, change.clone(), Recheck::Yes).await;
    assert_eq!(again.expect("asked").is_compatible(), None);
    assert!(answer(manager, street.first, &change).await, "it was asked again");
}

#[tokio::test]
async fn a_backend_is_asked_one_question_about_networks_at_a_time() {
    let (street, _, service) = checked().await;
    let manager = &street.house.manager;
    let hold = Arc::new(Semaphore::new(0));
    street.house.driver.then("check-network-allocations-update", Act::Hold(Arc::clone(&hold)));
    for id in 0..3 {
        let id = Some(id.to_string());
        let change = NetworkChange::AddSubnet { neutron_net_id: id.clone(), neutron_subnet_id: id };
        assert_eq!(ask(manager, street.first, &change).await.expect("asked").is_compatible(), None);
    }
    let asked = || {
        let calls = street.house.calls();
        calls.iter().filter(|call| **call == "check-network-allocations-update").count()
    };
    until("the first is asked", async || asked() == 1).await;
    let other = NetworkChange::AddService { service };
    let caller = tenant();
    let again = manager.check_share_network_change(&caller, street.first, other.clone(), Recheck::Yes);
    assert_eq!(again.await.expect("asked").is_compatible(), None);
    assert_eq!(asked(), 1, "the others wait for it");
    hold.add_permits(1);
    assert!(answer(manager, street.first, &other).await);
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn a_network_with_more_servers_than_one_change_writes_is_refused_with_the_reason() {
    let street = Street::bounded(ServerLimits { shares: Some(1), gib: None }).await;
    let manager = &street.house.manager;
    let service = service(manager).await;
    let change = NetworkChange::AddService { service };
    for _ in 0..22 {
        street.share(street.first).await;
    }
    assert!(answer(manager, street.first, &change).await, "22 servers with a share each");
    add(&street, street.first, service).await.expect("they all follow");
    street.house.settled().await;
    street.share(street.first).await;
    let another = NetworkChange::AddSubnet { neutron_net_id: None, neutron_subnet_id: None };
    assert_eq!(code(ask(manager, street.first, &another).await), "limit-exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_a_snapshot_and_a_change_of_the_network_under_it_never_begin_together() {
    for _ in 0..20 {
        let street = Street::new().await;
        let manager = &street.house.manager;
        let mut mountable = on_servers();
        mountable.name = "mountable".to_owned();
        mountable.extra_specs.insert("mount_snapshot_support".to_owned(), "True".to_owned());
        manager.create_share_type(&operator(), mountable).await.expect("made");
        let asked = NewShare { share_type: Some("mountable".to_owned()), ..share_on(street.first) };
        let share = street.make(asked).await.share.id;
        let snapshot = street.house.snapshot(share).await.snapshot.id;
        let service = service(manager).await;
        assert!(answer(manager, street.first, &NetworkChange::AddService { service }).await);
        let hold = Arc::new(Semaphore::new(0));
        for function in ["snapshot-update-access", "update-security-service"] {
            street.house.driver.then(function, Act::Hold(Arc::clone(&hold)));
        }
        let (one, other, network) = (manager.clone(), manager.clone(), street.first);
        let allowed =
            tokio::spawn(
                async move { one.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.9")).await },
            );
        let added = tokio::spawn(async move {
            other.add_security_service(&tenant(), network, service, WhileInUse::Follow).await
        });
        let (allowed, added) = (allowed.await.expect("no panic"), added.await.expect("no panic"));
        assert_ne!(allowed.is_ok(), added.is_ok(), "{allowed:?} {added:?}");
        hold.add_permits(2);
        street.house.settled().await;
    }
}
