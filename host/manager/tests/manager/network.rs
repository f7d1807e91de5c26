//! Share networks, subnets and security services: made, changed, kept while they are used, and nobody else's.

use crate::house::{House, code, open, operator, other_tenant, reviewer, tenant, with_key};
use bulkhead_manager::{
    NewSecurityService, NewShareNetwork, NewSubnet, Password, SecurityServiceUpdate, ShareNetworkUpdate,
    WhileInUse,
};
use bulkhead_model::id::SecurityServiceId;
use bulkhead_model::network::{SecurityService, SecurityServiceType, ShareNetwork, ShareNetworkStatus};
use bulkhead_model::scope::Scope;
use bulkhead_sandbox::SealingKey;
use bulkhead_store::{Key, MemoryStore, Store as _};
use std::sync::Arc;

fn named(name: &str) -> NewShareNetwork {
    NewShareNetwork { name: Some(name.to_owned()), ..NewShareNetwork::default() }
}

async fn network(house: &House) -> Arc<ShareNetwork> {
    house.manager.create_share_network(&tenant(), named("blue")).await.expect("made")
}

fn ldap(name: &str) -> NewSecurityService {
    NewSecurityService {
        name: Some(name.to_owned()),
        ..NewSecurityService::of_type(SecurityServiceType::Ldap)
    }
}

async fn service(house: &House, new: NewSecurityService) -> Arc<SecurityService> {
    house.manager.create_security_service(&tenant(), new).await.expect("made")
}

#[tokio::test]
async fn a_share_network_is_made_with_one_subnet_and_found_after_a_restart() {
    let house = House::new().await;
    let made = network(&house).await;
    assert_eq!((made.subnets.len(), made.status), (1, ShareNetworkStatus::Active));
    assert!(made.subnets.iter().all(|subnet| subnet.cidr.is_none() && subnet.share_network_id == made.id));
    let renamed =
        ShareNetworkUpdate { name: Some(Some("green".to_owned())), ..ShareNetworkUpdate::default() };
    let changed = house.manager.update_share_network(&tenant(), made.id, renamed).await.expect("changed");
    assert_eq!(changed.name.as_deref(), Some("green"));
    let reopened = open(Arc::clone(&house.store) as Arc<_>).await;
    assert_eq!(reopened.show_share_network(&House::scope(), made.id).expect("there"), changed);
    let subnet = made.subnets.first().expect("a subnet").id;
    assert_eq!(reopened.show_share_network_with(&House::scope(), subnet).expect("there"), changed);
    house.manager.delete_share_network(&tenant(), made.id).await.expect("removed");
    assert_eq!(code(house.manager.show_share_network(&House::scope(), made.id)), "not-found");
    assert_eq!(code(house.manager.show_share_network_with(&House::scope(), subnet)), "not-found");
    assert_eq!(code(house.manager.delete_share_network(&tenant(), made.id).await), "not-found");
}

#[tokio::test]
async fn a_request_with_the_same_key_makes_one_network_and_one_subnet() {
    let house = House::new().await;
    let context = with_key("one");
    let first = house.manager.create_share_network(&context, named("blue")).await.expect("made");
    let again = house.manager.create_share_network(&context, named("blue")).await.expect("found");
    assert_eq!(first.id, again.id);
    let other = house.manager.create_share_network(&context, named("red")).await;
    assert_eq!(code(other), "idempotency-key-reused");
    let context = with_key("two");
    let new = NewSubnet::default;
    let first_subnet = house
        .manager
        .add_share_network_subnet(&context, first.id, new(), WhileInUse::Refuse)
        .await
        .expect("added");
    let again = house
        .manager
        .add_share_network_subnet(&context, first.id, new(), WhileInUse::Refuse)
        .await
        .expect("found");
    assert_eq!(first_subnet, again);
    assert_eq!(house.manager.show_share_network(&House::scope(), first.id).expect("there").subnets.len(), 2);
}

#[tokio::test]
async fn nobody_reaches_the_networks_and_services_of_another_project() {
    let house = House::new().await;
    let (made, own) = (network(&house).await, service(&house, ldap("own")).await);
    let beta = Scope::Project("beta".parse().expect("a project"));
    assert_eq!(house.manager.list_share_networks(&beta), []);
    assert_eq!(code(house.manager.show_share_network(&beta, made.id)), "not-found");
    assert_eq!(code(house.manager.list_security_services(&beta, Some(made.id))), "not-found");
    assert_eq!(code(house.manager.show_security_service(&beta, own.id)), "not-found");
    let stranger = other_tenant();
    let words = ShareNetworkUpdate::default;
    assert_eq!(code(house.manager.update_share_network(&stranger, made.id, words()).await), "not-found");
    assert_eq!(code(house.manager.delete_share_network(&stranger, made.id).await), "not-found");
    let subnet = house
        .manager
        .add_share_network_subnet(&stranger, made.id, NewSubnet::default(), WhileInUse::Refuse)
        .await;
    assert_eq!(code(subnet), "not-found");
    assert_eq!(
        code(house.manager.add_security_service(&stranger, made.id, own.id, WhileInUse::Refuse).await),
        "not-found"
    );
    assert_eq!(code(house.manager.delete_security_service(&stranger, own.id).await), "not-found");
    let theirs = house.manager.create_security_service(&stranger, ldap("theirs")).await.expect("made");
    assert_eq!(
        code(house.manager.add_security_service(&tenant(), made.id, theirs.id, WhileInUse::Refuse).await),
        "not-found"
    );
    let crossed =
        house.manager.add_security_service(&operator(), made.id, theirs.id, WhileInUse::Refuse).await;
    assert_eq!(code(crossed), "not-found", "not even for an operator");
    assert_eq!(code(house.manager.create_share_network(&reviewer(), named("x")).await), "forbidden");
}

#[tokio::test]
async fn a_network_has_one_security_service_of_each_type_which_stays_while_it_is_used() {
    let house = House::new().await;
    let made = network(&house).await;
    let (one, other) = (service(&house, ldap("one")).await, service(&house, ldap("other")).await);
    let kerberos = service(&house, NewSecurityService::of_type(SecurityServiceType::Kerberos)).await;
    let add = async |id: SecurityServiceId| {
        house.manager.add_security_service(&tenant(), made.id, id, WhileInUse::Refuse).await
    };
    add(one.id).await.expect("added");
    assert_eq!(add(one.id).await.expect("again").security_services, [one.id]);
    assert_eq!(code(add(other.id).await), "security-service-of-type");
    assert_eq!(code(add(SecurityServiceId::random()).await), "not-found");
    assert_eq!(add(kerberos.id).await.expect("added").security_services, [one.id, kerberos.id]);
    let listed = house.manager.list_security_services(&House::scope(), Some(made.id)).expect("listed");
    assert_eq!(listed, [Arc::clone(&one), kerberos]);
    assert_eq!(
        code(house.manager.delete_security_service(&tenant(), one.id).await),
        "security-service-in-use"
    );
    house.manager.remove_security_service(&tenant(), made.id, one.id).await.expect("removed");
    let again = house.manager.remove_security_service(&tenant(), made.id, one.id).await;
    assert_eq!(code(again), "not-found");
    house.manager.delete_security_service(&tenant(), one.id).await.expect("removed");
    add(other.id).await.expect("now it may");
}

#[tokio::test]
async fn a_network_in_error_is_left_as_it_is_until_an_operator_says_otherwise() {
    let house = House::new().await;
    let (made, own) = (network(&house).await, service(&house, ldap("own")).await);
    let reset = async |status| house.manager.reset_share_network_status(&operator(), made.id, status).await;
    reset(ShareNetworkStatus::Error).await.expect("reset");
    let added = house.manager.add_security_service(&tenant(), made.id, own.id, WhileInUse::Refuse).await;
    assert_eq!(code(added), "share-network-status");
    let subnet = house
        .manager
        .add_share_network_subnet(&tenant(), made.id, NewSubnet::default(), WhileInUse::Refuse)
        .await;
    assert_eq!(code(subnet), "share-network-status");
    let by_tenant =
        house.manager.reset_share_network_status(&tenant(), made.id, ShareNetworkStatus::Active).await;
    assert_eq!(code(by_tenant), "forbidden");
    reset(ShareNetworkStatus::Active).await.expect("reset");
    house.manager.add_security_service(&tenant(), made.id, own.id, WhileInUse::Refuse).await.expect("added");
}

#[tokio::test]
async fn subnets_come_and_go() {
    let house = House::new().await;
    let made = network(&house).await;
    let new = NewSubnet { neutron_net_id: Some("n".to_owned()), ..NewSubnet::default() };
    assert_eq!(
        code(house.manager.add_share_network_subnet(&tenant(), made.id, new, WhileInUse::Refuse).await),
        "invalid"
    );
    let new = NewSubnet {
        neutron_net_id: Some("n".to_owned()),
        neutron_subnet_id: Some("s".to_owned()),
        ..NewSubnet::default()
    };
    let added = house
        .manager
        .add_share_network_subnet(&tenant(), made.id, new, WhileInUse::Refuse)
        .await
        .expect("added");
    let remove = async || house.manager.remove_share_network_subnet(&tenant(), made.id, added).await;
    remove().await.expect("removed");
    assert_eq!(code(remove().await), "not-found");
    for _ in 0..15 {
        let more = house
            .manager
            .add_share_network_subnet(&tenant(), made.id, NewSubnet::default(), WhileInUse::Refuse)
            .await;
        more.expect("added");
    }
    let full = house
        .manager
        .add_share_network_subnet(&tenant(), made.id, NewSubnet::default(), WhileInUse::Refuse)
        .await;
    assert_eq!(code(full), "limit-exceeded");
}

#[tokio::test]
async fn a_password_is_sealed_in_the_store_and_opens_with_the_hosts_key_alone() {
    let house = House::new().await;
    let secret = "canary-7f3a9b";
    let with_password =
        || NewSecurityService { password: Some(Password::new(secret.to_owned())), ..ldap("own") };
    let without_key = house.manager.create_security_service(&tenant(), with_password()).await;
    assert_eq!(code(without_key), "invalid");
    let key = SealingKey::new(&[3; 32]).expect("a key");
    house.manager.seal_with(key.clone());
    let made = service(&house, with_password()).await;
    assert!(!format!("{made:?}{:?}", with_password()).contains(secret));
    let sealed = made.password.clone().expect("a password");
    let name = made.secret_name().expect("a name");
    assert_eq!(key.open(&name, &sealed).as_deref(), Ok(secret));
    assert!(!everything(&house.store).await.contains(secret));
    let other = service(&house, with_password()).await;
    assert!(key.open(&other.secret_name().expect("a name"), &sealed).is_err(), "not in another's place");
    let update = SecurityServiceUpdate { password: Some(None), ..SecurityServiceUpdate::default() };
    let changed = house.manager.update_security_service(&tenant(), made.id, update).await.expect("changed");
    assert_eq!((&changed.password, changed.secret_name()), (&None, None));
}

/// A driver could not be handed a shorter one: it would be taken out of ordinary words.
#[tokio::test]
async fn a_password_of_fewer_than_six_bytes_is_refused_with_the_least_and_changes_nothing() {
    let house = House::new().await;
    house.manager.seal_with(SealingKey::new(&[3; 32]).expect("a key"));
    let with_password =
        |text: &str| NewSecurityService { password: Some(Password::new(text.to_owned())), ..ldap("own") };
    for (text, is_taken) in [("", false), ("a", false), ("12345", false), ("123456", true), ("äää", true)]
    {
        let made = house.manager.create_security_service(&tenant(), with_password(text)).await;
        match made {
            Err(error) if !is_taken => {
                let told = error.to_string();
                assert!(told.contains("password") && told.contains("at least 6 bytes"), "{told}");
            }
            other => assert!(is_taken && other.is_ok(), "{text}"),
        }
    }
    let made = service(&house, with_password("long enough")).await;
    let shorter = Some(Some(Password::new("short".to_owned())));
    let update = SecurityServiceUpdate { password: shorter, ..SecurityServiceUpdate::default() };
    let changed = house.manager.update_security_service(&tenant(), made.id, update).await;
    assert_eq!(code(changed), "invalid");
    let kept = house.manager.show_security_service(&Scope::Everything, made.id).expect("there");
    assert_eq!(kept.password, made.password);
}

/// What is kept of a request to recognize its repetition does not tell one password from another.
#[tokio::test]
async fn a_repeated_request_is_recognized_without_its_password() {
    let house = House::new().await;
    house.manager.seal_with(SealingKey::new(&[3; 32]).expect("a key"));
    let context = with_key("service");
    let with_password = |password: &str| NewSecurityService {
        password: Some(Password::new(password.to_owned())),
        ..ldap("again")
    };
    let first =
        house.manager.create_security_service(&context, with_password("one password")).await.expect("made");
    let again =
        house.manager.create_security_service(&context, with_password("another")).await.expect("found");
    assert_eq!(first.id, again.id);
}

async fn everything(store: &MemoryStore) -> String {
    let rows = store.scan(&Key::prefix(&[])).await.expect("a scan");
    rows.iter().map(|(_, row)| String::from_utf8_lossy(&row.value).into_owned()).collect()
}

#[tokio::test]
async fn a_server_and_a_site_contradict_each_other_and_odd_text_is_refused() {
    let house = House::new().await;
    let text = |text: &str| Some(text.to_owned());
    let active_directory = || NewSecurityService::of_type(SecurityServiceType::ActiveDirectory);
    for refused in [
        NewSecurityService { server: text("ad1"), default_ad_site: text("here"), ..active_directory() },
        NewSecurityService { domain: text("a\u{1b}[2J"), ..active_directory() },
        NewSecurityService { user: text(&"a".repeat(256)), ..active_directory() },
        NewSecurityService { password: Some(Password::new("two\nlines".to_owned())), ..active_directory() },
    ] {
        let outcome = house.manager.create_security_service(&tenant(), refused.clone()).await;
        assert_eq!(code(outcome), "invalid", "{refused:?}");
    }
    let made = service(&house, NewSecurityService { server: text("ad1"), ..active_directory() }).await;
    let site =
        SecurityServiceUpdate { default_ad_site: Some(text("here")), ..SecurityServiceUpdate::default() };
    let changed = house.manager.update_security_service(&tenant(), made.id, site.clone()).await;
    assert_eq!(code(changed), "invalid");
    let instead = SecurityServiceUpdate { server: Some(None), ..site };
    let changed = house.manager.update_security_service(&tenant(), made.id, instead).await.expect("changed");
    assert_eq!((&changed.server, changed.default_ad_site.as_deref()), (&None, Some("here")));
}
