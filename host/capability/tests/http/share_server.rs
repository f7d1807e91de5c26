//! Endpoints at share servers: where each is, what is kept for each, and what ends with it.

use crate::lab::{Lab, code, named, with_header};
use bulkhead_capability::backend::{Backend, BackendParts, GrantError};
use bulkhead_capability::call::Call;
use bulkhead_capability::http::fake::{SentRequest, answer};
use bulkhead_capability::http::{ExchangeError, WireResponse};
use bulkhead_capability::network_allocation::{AddressRequest, Purpose, Release, SubnetChoice, TakeOver};
use bulkhead_capability::testing::{origin, subnet};
use bulkhead_model::call::CallReason;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::grant::{EndpointGrant, EndpointScheme, ShareServerEndpoint, Verification};
use bulkhead_model::id::{RequestId, ShareInstanceId, ShareServerId};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::target::{CallTarget, Resource};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Plain HTTP at port 8080 of the server's addresses in this network.
fn at(network: AllocationLabel) -> EndpointGrant {
    let at = ShareServerEndpoint { network, port: 8080.try_into().ok(), scheme: EndpointScheme::Http };
    EndpointGrant { verify: Verification::Off, ..EndpointGrant::of_share_server(at) }
}

fn bind(parts: &mut BackendParts, endpoint: EndpointGrant) {
    let mut manifest = (*parts.manifest).clone();
    manifest.driver.dhss = vec![true];
    parts.manifest = Arc::new(manifest);
    parts.grant.endpoints.insert("array".parse().expect("a label"), endpoint);
    parts.grant.networks = serde_json::from_value(json!({
        "user": [{ "gateway": "10.0.0.1", "mask": 24 }, { "gateway": "fd00::1", "mask": 64 }],
        "admin": [{ "gateway": "172.16.0.1", "mask": 24 }],
    }))
    .expect("networks");
}

/// A lab whose endpoint is at share servers' addresses in this network.
async fn served(network: AllocationLabel) -> Lab {
    Lab::with(|parts| bind(parts, at(network))).await
}

fn reason() -> CallReason {
    CallReason { request: RequestId::random(), operation: None, earlier_attempts: 0 }
}

/// One more address for `server`.
async fn allocate(
    backend: &Backend,
    server: ShareServerId,
    (label, version, purpose): (AllocationLabel, IpVersion, Purpose),
) {
    let request = AddressRequest {
        server,
        project: Some("p".parse().expect("a project")),
        label,
        version: Some(version),
        subnet: SubnetChoice::Given(Box::new(subnet())),
        count: 1,
        purpose,
    };
    backend.networks().allocate(&request, &reason()).await.expect("an address");
}

/// A server with one address in the tenants' network.
async fn server(lab: &Lab) -> ShareServerId {
    let server = ShareServerId::random();
    allocate(&lab.backend, server, (AllocationLabel::User, IpVersion::V4, Purpose::Host)).await;
    server
}

fn about(lab: &Lab, target: CallTarget) -> Call {
    lab.backend.begin(origin("shares.create-share"), target, Instant::now() + Duration::from_secs(60), 0)
}

/// A call about shares, each on its server.
fn of_shares(lab: &Lab, shares: &[(ShareInstanceId, ShareServerId)]) -> Call {
    let target = CallTarget {
        shares: shares.iter().map(|(share, _)| *share).collect(),
        servers: shares.iter().map(|(_, server)| *server).collect(),
        hosts: shares.iter().copied().collect(),
        ..CallTarget::default()
    };
    about(lab, target)
}

fn asked(lab: &Lab) -> Vec<String> {
    lab.fake.sent().into_iter().map(|sent| sent.controller).collect()
}

#[tokio::test]
async fn a_request_goes_to_the_server_of_what_it_names_and_else_to_that_of_the_calls_subject() {
    let lab = served(AllocationLabel::User).await;
    let (first, second) = (server(&lab).await, server(&lab).await);
    let [one, other] = [(); 2].map(|()| ShareInstanceId::random());
    let call = of_shares(&lab, &[(one, first), (other, second)]);
    call.http().send("list", &[]).await.expect("of the subject");
    call.http().send("read", &[named("volume", Resource::Share(other))]).await.expect("of the named");
    about(&lab, CallTarget::server(second)).http().send("list", &[]).await.expect("of the server");
    assert_eq!(asked(&lab), ["http://10.0.0.2:8080", "http://10.0.0.3:8080", "http://10.0.0.3:8080"]);
    let done: Vec<_> =
        lab.effects().await.into_iter().filter(|one| one.outcome == EffectOutcome::Done).collect();
    let told = format!("answered by share server {first} at http://10.0.0.2:8080 with 200");
    assert!(done[0].detail.contains(&told), "{}", done[0].detail);
}

#[tokio::test]
async fn of_a_servers_addresses_those_of_the_granted_network_are_meant_the_hosts_first_and_ipv6_in_brackets()
{
    for (network, expected) in [
        (
            AllocationLabel::User,
            vec!["http://10.0.0.3:8080", "http://[fd00::2]:8080", "http://10.0.0.2:8080"],
        ),
        (AllocationLabel::Admin, vec!["http://172.16.0.2:8080"]),
    ] {
        let lab = served(network).await;
        let server = ShareServerId::random();
        for (label, version, purpose) in [
            (AllocationLabel::User, IpVersion::V4, Purpose::Driver("data".to_owned())),
            (AllocationLabel::User, IpVersion::V4, Purpose::Host),
            (AllocationLabel::User, IpVersion::V6, Purpose::Host),
            (AllocationLabel::Admin, IpVersion::V4, Purpose::Host),
        ] {
            allocate(&lab.backend, server, (label, version, purpose)).await;
        }
        lab.fake.answer_all(|_| Err(ExchangeError::NotSent { reason: "refused".to_owned() }));
        let failed = about(&lab, CallTarget::server(server)).http().send("list", &[]).await;
        assert_eq!(code(failed), CapabilityCode::Unavailable);
        let tried: Vec<_> = asked(&lab);
        assert_eq!(tried, expected);
    }
}

#[tokio::test]
async fn without_a_server_or_its_address_a_request_is_denied_with_what_to_do() {
    let lab = served(AllocationLabel::Admin).await;
    let (here, there) = (server(&lab).await, server(&lab).await);
    let denied = async |target: CallTarget, words: &str| {
        let error = about(&lab, target).http().send("list", &[]).await.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied, "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    denied(CallTarget::default(), "grant.endpoints.array = { controllers").await;
    denied(CallTarget::share(lab.share), "a slot that names a share or a server").await;
    let several = CallTarget { servers: vec![here, there], ..CallTarget::share(lab.share) };
    denied(several, "a slot that names a share or a server").await;
    denied(CallTarget::server(here), "share-servers.admin-network-allocations-number").await;
    denied(CallTarget::server(ShareServerId::random()), "no address of network 'admin'").await;
    assert!(lab.fake.sent().is_empty());
}

#[tokio::test]
async fn what_slots_name_on_two_servers_is_sent_to_neither() {
    let lab = served(AllocationLabel::User).await;
    let [one, other] = [(); 2].map(|()| ShareInstanceId::random());
    let shares = [(one, server(&lab).await), (other, server(&lab).await)];
    let call = of_shares(&lab, &shares);
    let slots = [named("volume", Resource::Share(one)), named("source", Resource::Share(other))];
    assert_eq!(code(call.http().send("clone", &slots).await), CapabilityCode::InvalidArgument);
    assert!(lab.fake.sent().is_empty());
}

#[tokio::test]
async fn a_server_of_another_backend_is_out_of_reach_even_where_a_call_names_it() {
    let lab = served(AllocationLabel::User).await;
    let server = server(&lab).await;
    let mut grant = lab.backend.grant().clone();
    grant.roots.clear();
    let other = lab.host.backend("other", lab.backend.manifest().clone(), grant).expect("a backend");
    let until = Instant::now() + Duration::from_secs(60);
    let call = other.begin(origin("shares.create-share"), CallTarget::server(server), until, 0);
    let error = call.http().send("list", &[]).await.expect_err("foreign");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(lab.fake.sent().is_empty());
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_the_others_nothing() {
    let lab = served(AllocationLabel::User).await;
    let (well, ill) = (server(&lab).await, server(&lab).await);
    lab.fake.answer_all(|sent| match sent.controller.as_str() {
        "http://10.0.0.3:8080" => Err(ExchangeError::NotSent { reason: "refused".to_owned() }),
        _ => Ok(answer(200, "")),
    });
    let (of_well, of_ill) = (about(&lab, CallTarget::server(well)), about(&lab, CallTarget::server(ill)));
    let error = of_ill.http().send("list", &[]).await.expect_err("away");
    assert_eq!(error.code, CapabilityCode::Unavailable);
    assert!(error.message.contains("refused"), "{error}");
    assert_eq!(of_well.http().send("list", &[]).await.map(|answer| answer.status), Ok(200));
    assert_eq!(asked(&lab), ["http://10.0.0.3:8080", "http://10.0.0.2:8080"]);
}

/// Hands out sessions that name their controller, and takes them nowhere else.
fn serve(sent: &SentRequest) -> WireResponse {
    let own = format!("of-{}", sent.controller.replace([':', '/'], "-"));
    match sent.line.as_str() {
        "POST /session" => with_header(201, "set-cookie", &format!("sid={own}")),
        _ if sent.headers.contains(&("cookie".to_owned(), format!("sid={own}"))) => answer(200, ""),
        _ => answer(401, "log in"),
    }
}

fn lines(lab: &Lab, controller: &str) -> Vec<String> {
    let sent = lab.fake.sent().into_iter().filter(|sent| sent.controller == controller);
    sent.map(|sent| sent.line).collect()
}

/// Waits for the logout that nobody waits for.
async fn logged_out(lab: &Lab, controller: &str) {
    for _ in 0..1000 {
        if lines(lab, controller).iter().any(|line| line == "DELETE /session") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never logged out of {controller}: {:?}", lines(lab, controller));
}

#[tokio::test]
async fn each_server_has_a_session_of_its_own_that_ends_with_it_and_is_not_its_successors() {
    let lab = served(AllocationLabel::User).await;
    lab.fake.answer_all(|sent| Ok(serve(sent)));
    let (gone, stays) = (server(&lab).await, server(&lab).await);
    let ask = async |server| {
        let call = about(&lab, CallTarget::server(server));
        assert_eq!(call.http().send("in-session", &[]).await.map(|answer| answer.status), Ok(200));
    };
    for server in [gone, stays, gone, stays] {
        ask(server).await;
    }
    let (first, second) = ("http://10.0.0.2:8080", "http://10.0.0.3:8080");
    let once = ["POST /session", "GET /system", "GET /system"];
    assert_eq!(
        (lines(&lab, first), lines(&lab, second)),
        (once.map(String::from).to_vec(), once.map(String::from).to_vec())
    );

    about(&lab, CallTarget::server(gone)).let_go().await.expect("let go");
    logged_out(&lab, first).await;
    assert_eq!(lines(&lab, second).len(), 3, "the other's session goes on");
    let networks = lab.backend.networks();
    networks.release(gone, &Release::Everything, &reason()).await.expect("released");
    let successor = ShareServerId::random();
    let take_over = TakeOver {
        server: successor,
        project: "p".parse().expect("a project"),
        label: AllocationLabel::User,
        subnet: SubnetChoice::Given(Box::new(subnet())),
        addresses: vec!["10.0.0.2".parse().expect("an address")],
    };
    networks.manage(&take_over, &reason()).await.expect("taken over");
    ask(successor).await;
    let logins = lines(&lab, first).into_iter().filter(|line| line == "POST /session").count();
    assert_eq!(logins, 2, "whoever gets the address next is somebody else");
}

#[tokio::test]
async fn a_binding_that_no_server_can_have_is_refused_when_it_is_loaded() {
    let lab = Lab::new().await;
    let refused = |change: &dyn Fn(&mut BackendParts)| {
        let parts = lab.host.parts("other", lab.backend.manifest().clone(), lab.backend.grant().clone());
        let mut parts = parts.expect("parts");
        bind(&mut parts, at(AllocationLabel::Admin));
        change(&mut parts);
        match Backend::new(parts).expect_err("refused") {
            GrantError::Endpoint { source, .. } => source.to_string(),
            other => panic!("{other}"),
        }
    };
    let endpoint = |parts: &mut BackendParts, change: &dyn Fn(&mut EndpointGrant)| {
        parts.grant.endpoints.values_mut().for_each(change);
    };
    let told = refused(&|parts| parts.grant.networks.admin.clear());
    assert!(told.contains("[[grant.networks.admin]]"), "{told}");
    let told = refused(&|parts| {
        let mut manifest = (*parts.manifest).clone();
        manifest.driver.dhss = vec![false];
        parts.manifest = Arc::new(manifest);
    });
    assert!(told.contains("makes no share servers"), "{told}");
    let told = refused(&|parts| {
        endpoint(parts, &|endpoint| endpoint.controllers.push("http://10.0.0.5".to_owned()));
    });
    assert!(told.contains("take them or share-server out"), "{told}");
    let told = refused(&|parts| {
        endpoint(parts, &|endpoint| endpoint.addresses = vec!["10.0.0.0/8".parse().expect("a network")]);
    });
    assert!(told.contains("no names that addresses narrows"), "{told}");
    let told = refused(&|parts| endpoint(parts, &|endpoint| endpoint.verify = Verification::Full));
    assert!(told.contains("verify = \"off\""), "{told}");
    let told = refused(&|parts| {
        endpoint(parts, &|endpoint| {
            let https = ShareServerEndpoint {
                network: AllocationLabel::User,
                port: None,
                scheme: EndpointScheme::Https,
            };
            *endpoint = EndpointGrant::of_share_server(https);
        });
    });
    assert!(told.contains("set ca ="), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_logout_holds_up_no_other() {
    let lab = served(AllocationLabel::User).await;
    lab.fake.answer_all(|sent| Ok(serve(sent)));
    let servers = [server(&lab).await, server(&lab).await, server(&lab).await];
    for server in servers {
        let call = about(&lab, CallTarget::server(server));
        call.http().send("in-session", &[]).await.expect("an answer");
    }
    lab.fake.fall_silent("http://10.0.0.2:8080");
    let ending = tokio::time::timeout(Duration::from_secs(5), lab.backend.end_sessions());
    assert!(ending.await.is_err(), "one never answers");
    for controller in ["http://10.0.0.3:8080", "http://10.0.0.4:8080"] {
        logged_out(&lab, controller).await;
    }
}
