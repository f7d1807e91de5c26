//! Answers about share servers of a guest that says as little as it can, or too much.

use crate::fixture::{self, Guest, reason};
use crate::{Driver as _, ServerDriver as _};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::CallError;
use bulkhead_model::share_server::{
    ManagedServer, ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerOutcome, ServerRequest,
};
use bulkhead_model::target::CallTarget;
use std::collections::{BTreeMap, BTreeSet};

/// `err(not-implemented)`, with an empty message and no detail, at 4096.
const NOT_IMPLEMENTED: &str = r#"(data (i32.const 4096) "\01")"#;
/// `ok(65)` of a count at 4096.
const TOO_MANY: &str = r#"(data (i32.const 4096) "\00\00\00\00\41")"#;
const ANSWER: &str = "(i32.const 4096)";

fn guest() -> Guest {
    Guest::default().export("share-servers").export("manage-servers")
}

fn managed() -> ManagedServer {
    ManagedServer { identifier: "vserver 1".to_owned(), driver_options: BTreeMap::new() }
}

fn for_share() -> ServerChoiceForShare {
    let candidates = vec![fixture::server(), fixture::server()];
    ServerChoiceForShare { candidates, share: fixture::share(), source: None, group: None }
}

#[tokio::test]
async fn every_function_about_servers_is_called_and_silence_is_success() {
    let (_host, generation) = guest().generation(DriverLimits::default()).await;
    let (why, server, network) = (reason(), fixture::server(), fixture::server_network());
    let allocations = &network.networks[0].network_allocations;
    let services = &network.security_services;
    assert_eq!(generation.network_allocations_number(&why).await, Ok(0));
    assert_eq!(generation.admin_network_allocations_number(&why).await, Ok(0));
    assert_eq!(generation.after_allocation(&why, &server, allocations).await, Ok(()));
    let made = generation.setup_server(&why, &network, &ServerRequest::default()).await;
    assert_eq!(made, Ok(ServerOutcome::default()));
    assert_eq!(generation.teardown_server(&why, &server, services).await, Ok(()));
    assert_eq!(generation.before_release(&why, &server, allocations).await, Ok(()));
    assert_eq!(generation.choose_server_for_share(&why, &for_share()).await, Ok(ServerChoice::New));
    let group = fixture::group_snapshot().group;
    let choice = ServerChoiceForGroup { candidates: vec![server.clone()], group, source: None };
    assert_eq!(generation.choose_server_for_group(&why, &choice).await, Ok(ServerChoice::New));
    assert_eq!(generation.share_server_pools(&why, &server).await, Ok(BTreeSet::new()));
    assert_eq!(generation.share_server_network_info(&why, &server, &managed()).await, Ok(BTreeSet::new()));
    assert_eq!(generation.manage_server(&why, &server, &managed()).await, Ok(ServerOutcome::default()));
    assert_eq!(generation.unmanage_server(&why, &server, services).await, Ok(()));
}

#[test]
fn a_call_that_brings_security_services_has_their_passwords_sealed_by_name() {
    let network = fixture::server_network();
    let target = CallTarget::server(network.server_id).with_security_services(&network.security_services);
    let service = &network.security_services[0];
    let (name, sealed) =
        (service.secret_name().expect("a name"), service.password.clone().expect("a password"));
    assert_eq!(target.passwords, BTreeMap::from([(name, sealed)]));
}

/// Contract D-16.
#[tokio::test]
async fn where_the_contract_has_a_base_method_a_driver_without_one_gets_what_that_does() {
    let bodies = [
        "admin-network-allocations-number",
        "choose-share-server-for-share",
        "choose-share-server-for-group",
        "share-server-pools",
        "after-allocation",
        "before-release",
    ];
    let mut silent = guest().with(NOT_IMPLEMENTED);
    for label in bodies.map(|function| &*format!("share-servers.{function}").leak()) {
        silent = silent.body(label, ANSWER);
    }
    let (_host, generation) = silent.generation(DriverLimits::default()).await;
    let (why, server, choice) = (reason(), fixture::server(), for_share());
    assert_eq!(generation.admin_network_allocations_number(&why).await, Ok(0));
    let first = ServerChoice::Existing(choice.candidates[0].id);
    assert_eq!(generation.choose_server_for_share(&why, &choice).await, Ok(first));
    let mut group = fixture::group_snapshot().group;
    let of_group =
        ServerChoiceForGroup { candidates: choice.candidates.clone(), group: group.clone(), source: None };
    assert_eq!(generation.choose_server_for_group(&why, &of_group).await, Ok(first));
    group.server = Some(choice.candidates[1].clone());
    let in_group = ServerChoiceForShare { group: Some(group), ..choice };
    let second = ServerChoice::Existing(in_group.candidates[1].id);
    assert_eq!(generation.choose_server_for_share(&why, &in_group).await, Ok(second));
    assert_eq!(generation.share_server_pools(&why, &server).await, Ok(BTreeSet::new()));
    assert_eq!(generation.after_allocation(&why, &server, &[]).await, Ok(()));
    assert_eq!(generation.before_release(&why, &server, &[]).await, Ok(()));
}

#[tokio::test]
async fn a_count_beyond_the_contract_is_an_answer_against_it() {
    let greedy = guest().with(TOO_MANY).body("share-servers.network-allocations-number", ANSWER);
    let (_host, generation) = greedy.generation(DriverLimits::default()).await;
    let answer = generation.network_allocations_number(&reason()).await;
    assert!(matches!(answer, Err(CallError::InvalidAnswer { .. })), "{answer:?}");
}

/// Contract D-13, D-14.
#[tokio::test]
async fn set_up_and_tear_down_must_be_there_with_share_servers_and_are_not_without() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let missing = |ability: Ability| Some(CallError::NotExported { interface: ability.interface() });
    let (why, server, network) = (reason(), fixture::server(), fixture::server_network());
    let made = generation.setup_server(&why, &network, &ServerRequest::default()).await;
    assert_eq!(made.err(), missing(Ability::ShareServers));
    assert_eq!(generation.teardown_server(&why, &server, &[]).await.err(), missing(Ability::ShareServers));
    assert_eq!(generation.unmanage_server(&why, &server, &[]).await.err(), missing(Ability::ManageServers));
    let unfinished = guest().with(NOT_IMPLEMENTED).body("share-servers.setup-server", ANSWER);
    let (_host, generation) = unfinished.generation(DriverLimits::default()).await;
    let made = generation.setup_server(&why, &network, &ServerRequest::default()).await;
    assert!(made.expect_err("it has none").is_not_implemented());
}

#[tokio::test]
async fn a_share_crosses_with_the_server_it_lives_on() {
    let (_host, generation) = Guest::default().generation(DriverLimits::default()).await;
    let mut share = fixture::share();
    share.server = Some(fixture::server());
    assert_eq!(generation.create_share(&reason(), &share).await, Ok(Vec::new()));
}
