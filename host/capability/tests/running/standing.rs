//! What the host takes down itself: of a backend that is let go, and of a share server that was torn down, whatever the manifest says by now.

use crate::lab::{Lab, code};
use crate::server::{call_of, change, lab, manifest, of, own_file, plugged, server};
use bulkhead_capability::backend::Backend;
use bulkhead_capability::execute::RunError;
use bulkhead_capability::network_allocation::{AllocationError, DriverRequest, Release};
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{JobAnswer, JobCall, JobEntry, JobKey, JobState, Refusal, ServiceCall};
use bulkhead_model::ability::Capability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{RequestId, ShareServerId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;

/// The same backend after a swap to a driver that has the groups under other names.
fn swapped(lab: &Lab) -> Arc<Backend> {
    let text = serde_json::to_string(&manifest()).expect("a text");
    let text = text.replace("\"tenant\"", "\"street\"").replace("\"quiet\"", "\"silent\"");
    let renamed: Manifest = serde_json::from_str(&text).expect("a manifest");
    let mut parts = lab.host.parts("nas1", renamed.clone(), lab.backend.grant().clone()).expect("parts");
    change(&mut parts, plugged());
    parts.grant.templates = renamed.templates().map(|(name, digest)| (name.clone(), digest)).collect();
    parts.manifest = Arc::new(renamed);
    Backend::new(parts).expect("a backend")
}

/// The instances and names of the groups that the place was told to end.
fn ended(lab: &Lab) -> Vec<(Option<String>, String)> {
    let calls = lab.fake.service_calls().into_iter();
    let of_stop = |call| match call {
        ServiceCall::StopGroup { group } => Some((group.instance, group.group.to_string())),
        _ => None,
    };
    calls.filter_map(of_stop).collect()
}

async fn end_server(lab: &Lab, backend: &Arc<Backend>, server: ShareServerId) -> Result<(), CapabilityCode> {
    let origin = origin("host.end-server");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let call = backend.begin(origin, CallTarget::server(server), until, 0);
    let done = call.end_server().await.map_err(|error| error.code);
    call.end().expect("recorded");
    lab.host.ledger.flush(backend.name()).await.expect("a flush");
    done
}

async fn start(lab: &Lab, server: ShareServerId) {
    let call = call_of(lab, &[server]);
    call.services().start("tenant-bus", &of(server), &own_file(server)).await.expect("it starts");
}

#[tokio::test]
async fn an_operator_who_lets_the_backend_go_ends_the_groups_of_all_its_servers() {
    let lab = lab().await;
    let mut servers = vec![server(&lab).await.to_string(), server(&lab).await.to_string()];
    lab.backend.end_groups().await.expect("ended");
    let groups = ended(&lab);
    let mut of_servers: Vec<String> = groups.iter().filter_map(|(instance, _)| instance.clone()).collect();
    of_servers.sort();
    servers.sort();
    assert_eq!(of_servers, servers);
    assert!(groups.len() > servers.len(), "those of the backend as well");
}

#[tokio::test]
async fn a_group_that_the_driver_of_now_does_not_name_is_ended_with_its_server_and_with_no_other() {
    let lab = lab().await;
    let (gone, stays) = (server(&lab).await, server(&lab).await);
    start(&lab, gone).await;
    start(&lab, stays).await;
    let later = swapped(&lab);
    end_server(&lab, &later, gone).await.expect("ended");
    let groups = ended(&lab);
    assert!(groups.contains(&(Some(gone.to_string()), "tenant".to_owned())), "{groups:?}");
    assert!(groups.iter().all(|(instance, _)| *instance == Some(gone.to_string())), "{groups:?}");
    let effects = lab.effects().await;
    let last = effects.last().expect("an effect");
    assert_eq!(last.detail, "2 groups of services and 0 jobs do not run", "the one of now is asked for too");
    end_server(&lab, &later, gone).await.expect("again");
    assert_eq!(
        lab.effects().await.last().expect("an effect").detail,
        "1 groups of services and 0 jobs do not run"
    );
}

#[tokio::test]
async fn a_group_that_cannot_be_ended_fails_the_tear_down_and_is_ended_by_the_next() {
    let lab = lab().await;
    let gone = server(&lab).await;
    start(&lab, gone).await;
    let later = swapped(&lab);
    for _ in 0..2 {
        lab.fake.answer_service(Err(RunError::Unavailable { reason: "it is not there".to_owned() }));
    }
    assert_eq!(end_server(&lab, &later, gone).await, Err(CapabilityCode::Unavailable));
    assert_eq!(ended(&lab).len(), 2, "all are tried");
    end_server(&lab, &later, gone).await.expect("ended");
    assert_eq!(ended(&lab).len(), 4, "the record of what runs stayed");
}

#[tokio::test]
async fn jobs_of_a_server_end_with_it_whatever_they_are_called() {
    let lab = lab().await;
    let gone = server(&lab).await;
    let key = JobKey {
        backend: "nas1".to_owned(),
        subject: format!("share-server-{gone}"),
        job: "unknown-by-now".parse().expect("a label"),
        key: "a".to_owned(),
    };
    let entry = JobEntry { key: key.clone(), state: JobState::Lost };
    lab.fake.answer_job(Ok(JobAnswer::Entries(vec![entry])));
    end_server(&lab, &lab.backend, gone).await.expect("ended");
    let calls = lab.fake.job_calls();
    let [JobCall::Entries { .. }, JobCall::Cancel(cancelled), JobCall::Forget(forgotten)] = calls.as_slice()
    else {
        panic!("{calls:?}")
    };
    assert_eq!((cancelled, forgotten), (&key, &key));
}

#[tokio::test]
async fn a_backend_that_may_have_no_jobs_is_asked_for_none() {
    let lab = Lab::with(|parts| {
        change(parts, plugged());
        parts.grant.capabilities.remove(&Capability::Job);
    })
    .await;
    let gone = server(&lab).await;
    end_server(&lab, &lab.backend, gone).await.expect("ended");
    assert!(lab.fake.job_calls().is_empty());
}

#[tokio::test]
async fn a_backend_that_is_let_go_ends_what_only_an_earlier_driver_named() {
    let lab = Lab::new().await;
    let call = lab.call();
    let backend = bulkhead_capability::service::ServiceInstance::Backend;
    call.services().start("server", &backend, &crate::lab::server_slots()).await.expect("it starts");
    let bare = serde_json::to_value(crate::lab::manifest()).expect("a value");
    let driver = serde_json::json!({ "driver": bare["driver"], "root": bare["root"] });
    let bare: Manifest = serde_json::from_value(driver).expect("a manifest");
    let mut grant = lab.backend.grant().clone();
    grant.templates.clear();
    grant.programs.clear();
    let later = lab.host.backend("nas1", bare, grant).expect("a backend");
    later.end_groups().await.expect("ended");
    assert_eq!(ended(&lab), [(None, "nfs".to_owned())]);
    later.end_groups().await.expect("again");
    assert_eq!(ended(&lab).len(), 1, "nothing runs any more");
}

/// Threat T1: another tenant's server would get the address.
#[tokio::test]
async fn an_address_does_not_go_back_while_a_group_of_its_server_runs_with_it() {
    let lab = lab().await;
    let own = server(&lab).await;
    start(&lab, own).await;
    let call = lab.call_of(origin("share-servers.setup-server"), CallTarget::server(own));
    let later = DriverRequest {
        server: own,
        label: AllocationLabel::User,
        version: Some(IpVersion::V4),
        subnet: None,
        count: 1,
        purpose: "later".to_owned(),
    };
    call.addresses().allocate(later).await.expect("allocated");
    call.addresses().release(own, "later").await.expect("the group was started without it");
    let refused = call.addresses().release(own, "six").await.expect_err("the group has it");
    assert_eq!(refused.code, CapabilityCode::Conflict);
    assert!(
        refused.message.contains("group 'tenant'") && refused.message.contains("stop the group"),
        "{refused}"
    );
    call.services().stop("tenant-bus", &of(own)).await.expect("stopped");
    assert_eq!(
        code(call.addresses().release(own, "six").await),
        CapabilityCode::Conflict,
        "its network stands"
    );
    call.services().stop_group("tenant", &of(own)).await.expect("stopped");
    call.addresses().release(own, "six").await.expect("nothing has it");
    let kept = call.addresses().allocations(own).await.expect("read");
    assert_eq!(kept.len(), 2, "what the host allocated stays");
}

/// Whoever releases them: a set-up or a subnet that came to nothing, or what is found of a server that is not there.
#[tokio::test]
async fn addresses_of_a_server_stay_until_what_runs_with_them_is_ended() {
    let lab = lab().await;
    let own = server(&lab).await;
    start(&lab, own).await;
    let networks = lab.backend.networks();
    let reason = CallReason { request: RequestId::random(), operation: None, earlier_attempts: 0 };
    let refused = networks.release(own, &Release::Everything, &reason).await;
    assert!(matches!(refused, Err(AllocationError::InGroup { server, .. }) if server == own), "{refused:?}");
    end_server(&lab, &lab.backend, own).await.expect("ended");
    networks.release(own, &Release::Everything, &reason).await.expect("released");
    assert!(networks.allocations(own).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_group_whose_services_did_not_become_ready_is_ended_with_its_server_as_well() {
    let lab = lab().await;
    let gone = server(&lab).await;
    lab.fake.answer_service(Err(Refusal::new(CapabilityCode::CommandFailed, "it ended").into()));
    let call = call_of(&lab, &[gone]);
    let failed = call.services().start("tenant-bus", &of(gone), &own_file(gone)).await;
    assert_eq!(code(failed), CapabilityCode::CommandFailed);
    end_server(&lab, &swapped(&lab), gone).await.expect("ended");
    assert!(ended(&lab).contains(&(Some(gone.to_string()), "tenant".to_owned())));
}
