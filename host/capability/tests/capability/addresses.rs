//! `network-allocation` as a driver's call sees it.

use crate::lab::{Lab, code};
use crate::network_allocation::{host_request, reason};
use bulkhead_capability::call::Call;
use bulkhead_capability::network_allocation::DriverRequest;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::target::CallTarget;
use serde_json::json;

async fn lab() -> Lab {
    Lab::with(|parts| {
        let user =
            json!({ "user": [{ "gateway": "10.0.0.1", "mask": 28 }], "most-addresses-per-project": 6 });
        parts.grant.networks = serde_json::from_value(user).expect("networks");
    })
    .await
}

/// A server that the host has given one address, 10.0.0.2.
async fn server(lab: &Lab) -> ShareServerId {
    let request = host_request(ShareServerId::random(), 1);
    lab.backend.networks().allocate(&request, &reason()).await.expect("allocated");
    request.server
}

fn call(lab: &Lab, server: ShareServerId) -> Call {
    lab.call_about(CallTarget { servers: vec![server], ..CallTarget::default() })
}

fn request(server: ShareServerId, purpose: &str, count: u32) -> DriverRequest {
    DriverRequest {
        server,
        label: AllocationLabel::User,
        version: None,
        subnet: None,
        count,
        purpose: purpose.to_owned(),
    }
}

#[tokio::test]
async fn a_driver_gets_addresses_beside_the_hosts_finds_them_again_and_gives_them_back() {
    let lab = lab().await;
    let server = server(&lab).await;
    let call = call(&lab, server);
    let kept = call.addresses().allocate(request(server, "failover", 2)).await.expect("allocated");
    assert_eq!(call.addresses().allocate(request(server, "failover", 2)).await.expect("again"), kept);
    assert_eq!(
        code(call.addresses().allocate(request(server, "failover", 3)).await),
        CapabilityCode::Conflict
    );
    assert!(kept.iter().all(|one| one.share_server_id == server && one.subnet_id.is_some()));
    let all = call.addresses().allocations(server).await.expect("read");
    let texts: Vec<_> = all.iter().map(|one| one.ip_address.to_string()).collect();
    assert_eq!(texts, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    call.addresses().release(server, "failover").await.expect("released");
    call.addresses().release(server, "failover").await.expect("again");
    assert_eq!(call.addresses().allocations(server).await.expect("read").len(), 1, "the host's own stays");
    let effects = lab.effects().await;
    let detail = effects.first().map(|effect| (effect.capability.as_str(), effect.detail.as_str()));
    assert_eq!(detail, Some(("network-allocation.allocate", "10.0.0.3, 10.0.0.4")));
}

#[tokio::test]
async fn a_server_that_the_call_is_not_about_is_denied_in_every_function_and_recorded() {
    let lab = lab().await;
    let (own, foreign) = (server(&lab).await, server(&lab).await);
    let call = call(&lab, own);
    let addresses = call.addresses();
    assert_eq!(code(addresses.allocate(request(foreign, "mine", 1)).await), CapabilityCode::Denied);
    assert_eq!(code(addresses.allocations(foreign).await), CapabilityCode::Denied);
    let error = addresses.release(foreign, "mine").await.expect_err("denied");
    assert!(error.message.contains("is not what this call is about"), "{error}");
    assert!(lab.effects().await.iter().all(|effect| effect.outcome == EffectOutcome::Denied));
    assert_eq!(lab.backend.networks().allocations(foreign).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_server_that_the_host_keeps_nothing_for_gets_nothing() {
    let lab = lab().await;
    let unknown = ShareServerId::random();
    let call = call(&lab, unknown);
    assert_eq!(code(call.addresses().allocate(request(unknown, "x", 1)).await), CapabilityCode::Denied);
    assert_eq!(call.addresses().allocations(unknown).await.expect("read"), []);
}

#[tokio::test]
async fn without_the_grant_a_network_or_room_the_code_says_which() {
    let lab = lab().await;
    let server = server(&lab).await;
    let call = call(&lab, server);
    let admin = DriverRequest { label: AllocationLabel::Admin, ..request(server, "x", 1) };
    let error = call.addresses().allocate(admin).await.expect_err("not bound");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("[[grant.networks.admin]]"), "{error}");
    assert_eq!(code(call.addresses().allocate(request(server, "x", 6)).await), CapabilityCode::LimitExceeded);
    for (purpose, count) in [("x", 0), ("x", 65), ("x", u32::MAX), ("", 1), ("a\nb", 1)] {
        let asked = call.addresses().allocate(request(server, purpose, count)).await;
        assert_eq!(code(asked), CapabilityCode::InvalidArgument, "{purpose:?} {count}");
    }
    let long = "a".repeat(256);
    assert_eq!(code(call.addresses().release(server, &long).await), CapabilityCode::InvalidArgument);
    let poor = Lab::with(|parts| {
        parts.grant.capabilities.remove(&bulkhead_model::ability::Capability::NetworkAllocation);
    })
    .await;
    let denied = poor.call_about(CallTarget { servers: vec![server], ..CallTarget::default() });
    let error = denied.addresses().allocations(server).await.expect_err("not granted");
    assert!(error.message.contains("grant.capabilities = [\"network-allocation\"]"), "{error}");
}

#[tokio::test]
async fn a_full_network_is_told_by_its_name() {
    let lab = Lab::with(|parts| {
        let user = json!({ "user": [{ "gateway": "10.0.0.1", "mask": 30 }] });
        parts.grant.networks = serde_json::from_value(user).expect("networks");
    })
    .await;
    let server = server(&lab).await;
    let error = call(&lab, server).addresses().allocate(request(server, "x", 1)).await.expect_err("full");
    assert_eq!(error.code, CapabilityCode::NoSpace);
    assert!(error.message.contains("10.0.0.0/30"), "{error}");
}
