use crate::lab::{Lab, at, code, denial, label, server_slots, slot, text};
use bulkhead_capability::execute::RunError;
use bulkhead_capability::seal::SealingKey;
use bulkhead_capability::secret::Vault;
use bulkhead_capability::service::{ServiceInstance, ServiceState};
use bulkhead_capability::slot::SlotValue;
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{
    Refusal, ServiceAnswer, ServiceCall, ServiceExit, ServiceState as PlaceState, ServiceStatus, SlotArgument,
};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::manifest::ServiceTemplate;
use bulkhead_model::target::{CallTarget, Resource};
use std::sync::Arc;

const BACKEND: ServiceInstance = ServiceInstance::Backend;

#[tokio::test]
async fn a_service_is_started_with_what_it_comes_after_each_with_its_own_slots_and_program() {
    let lab = Lab::new().await;
    let status = lab.call().services().start("server", &BACKEND, &server_slots()).await.expect("it starts");
    assert_eq!(status.state, ServiceState::Ready);
    let calls = lab.fake.service_calls();
    let [ServiceCall::Start(request)] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((request.group.backend.as_str(), request.group.group.as_str()), ("nas1", "nfs"));
    assert_eq!(request.group.instance, None);
    let [bus, server] = request.services.as_slice() else { panic!("{request:?}") };
    let name = |template: &str| serde_json::from_str::<ServiceTemplate>(template).expect("a template").name;
    assert_eq!((name(&bus.template).as_str(), name(&server.template).as_str()), ("bus", "server"));
    assert_eq!(server.program, "/usr/bin/ganesha.nfsd");
    assert_eq!(bus.slots.keys().map(|label| label.as_str()).collect::<Vec<_>>(), ["bus-config"]);
    assert_eq!(server.slots.get(&label("port")), Some(&SlotArgument::Unsigned(2049)));
    let effects = lab.effects().await;
    let outcomes: Vec<_> =
        effects.iter().map(|effect| (effect.capability.as_str(), effect.outcome)).collect();
    assert_eq!(outcomes, [("service.start", EffectOutcome::Begun), ("service.start", EffectOutcome::Done)]);
    assert!(effects[1].detail.contains("port=2049"), "{}", effects[1].detail);
}

#[tokio::test]
async fn a_call_about_nothing_starts_services_too() {
    let lab = Lab::new().await;
    let call = lab.call_of(origin("lifecycle.setup"), CallTarget::default());
    call.services().start("server", &BACKEND, &server_slots()).await.expect("it starts");
}

#[tokio::test]
async fn every_right_that_lacks_is_denied_with_the_one_line_that_would_give_it() {
    for (lab, line) in [
        (Lab::without(Capability::Service).await, "grant.capabilities = [\"service\"]"),
        (Lab::without_template("nfs").await, "grant.templates.nfs = \"sha256:"),
        (Lab::without_template("server").await, "grant.templates.server = \"sha256:"),
        (Lab::without_template("bus").await, "grant.templates.bus = \"sha256:"),
        (Lab::without_program("dbus-daemon").await, "grant.programs.dbus-daemon = "),
        (Lab::without_program("ganesha.nfsd").await, "grant.programs.ganesha.nfsd = "),
        (Lab::without_root("config").await, "grant.roots.config = "),
    ] {
        let denied = denial(lab.call().services().start("server", &BACKEND, &server_slots()).await);
        assert!(denied.contains(line), "{denied}");
        lab.assert_untouched();
        let effects = lab.effects().await;
        assert!(
            matches!(effects.as_slice(), [effect] if effect.outcome == EffectOutcome::Denied),
            "{effects:?}"
        );
    }
}

#[tokio::test]
async fn a_ceiling_below_the_grant_denies() {
    let lab = Lab::with(|parts| {
        parts.grant.capabilities.remove(&Capability::Service);
        parts.ceiling.capabilities.remove(&Capability::Service);
    })
    .await;
    let call = lab.call();
    for denied in [
        denial(call.services().status("server", &BACKEND).await),
        denial(call.services().stop("server", &BACKEND).await),
        denial(call.services().stop_group("nfs", &BACKEND).await),
    ] {
        assert!(denied.contains("grant.capabilities = [\"service\"]"), "{denied}");
    }
    lab.assert_untouched();
}

#[tokio::test]
async fn what_is_not_declared_is_an_argument_at_fault() {
    let lab = Lab::new().await;
    let call = lab.call();
    assert_eq!(code(call.services().start("sshd", &BACKEND, &[]).await), CapabilityCode::InvalidArgument);
    assert_eq!(code(call.services().stop_group("other", &BACKEND).await), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}

#[tokio::test]
async fn the_only_instance_is_the_backends_own() {
    let lab = Lab::new().await;
    let call = lab.call();
    let own = ServiceInstance::Of(Resource::Share(lab.share));
    let denied = denial(call.services().status("server", &own).await);
    assert!(denied.contains("one instance of a group"), "{denied}");
    let foreign = ServiceInstance::Of(Resource::Share(ShareInstanceId::random()));
    let denied = denial(call.services().stop_group("nfs", &foreign).await);
    assert!(denied.contains("not what this call is about"), "{denied}");
    lab.assert_untouched();
}

#[tokio::test]
async fn slots_are_of_the_service_or_what_it_comes_after_and_of_their_types() {
    let lab = Lab::new().await;
    let call = lab.call();
    let start = async |change: &dyn Fn(&mut Vec<_>)| {
        let mut slots = server_slots();
        change(&mut slots);
        code(call.services().start("server", &BACKEND, &slots).await)
    };
    let invalid = CapabilityCode::InvalidArgument;
    assert_eq!(start(&|slots| slots.push(text("extra", "x"))).await, invalid);
    assert_eq!(start(&|slots| drop(slots.pop())).await, invalid);
    assert_eq!(start(&|slots| drop(slots.remove(0))).await, invalid);
    assert_eq!(start(&|slots| slots.push(slot("port", SlotValue::Unsigned(1)))).await, invalid);
    assert_eq!(start(&|slots| slots[3] = slot("port", SlotValue::Unsigned(0))).await, invalid);
    assert_eq!(start(&|slots| slots[2] = text("address", "127.0.0.1 -x")).await, invalid);
    assert_eq!(start(&|slots| slots[1] = at("config", "other.conf")).await, CapabilityCode::Denied);
    lab.assert_untouched();
}

#[tokio::test]
async fn a_service_that_ended_before_it_was_ready_tells_how() {
    let lab = Lab::new().await;
    let refusal = Refusal::new(CapabilityCode::CommandFailed, "'server' ended before it was ready");
    lab.fake.answer_service(Err(RunError::Refused(refusal)));
    lab.fake.answer_service(Ok(ServiceAnswer::Status(ServiceStatus {
        state: PlaceState::Ready,
        started_at_ms: Some(1),
        adopted: false,
        exit: None,
    })));
    let exit = ServiceExit { code: Some(2), signal: None, stderr: b"no such port\n".to_vec() };
    lab.fake.answer_service(Ok(ServiceAnswer::Status(ServiceStatus {
        state: PlaceState::Failed,
        started_at_ms: None,
        adopted: false,
        exit: Some(exit),
    })));
    let error = lab.call().services().start("server", &BACKEND, &server_slots()).await.expect_err("it fails");
    assert_eq!(error.code, CapabilityCode::CommandFailed);
    let exit = error.exit.expect("an exit");
    assert_eq!((exit.exit_code, exit.stderr.as_str()), (Some(2), "no such port\n"));
}

/// What one call had written into a service's file, the service may say in another.
#[tokio::test]
async fn what_a_service_says_of_its_end_holds_no_password_that_the_call_brings() {
    let lab = Lab::with(|parts| parts.secrets.vault = Some(Arc::new(Vault::new(&[7; 32])))).await;
    let sealed = SealingKey::new(&[7; 32]).and_then(|key| key.seal("domain", "available")).expect("sealed");
    let target =
        CallTarget { passwords: [("domain".to_owned(), sealed)].into(), ..CallTarget::share(lab.share) };
    let exit =
        ServiceExit { code: Some(2), signal: None, stderr: b"ilable: available is refused\n".to_vec() };
    let failed =
        ServiceStatus { state: PlaceState::Failed, started_at_ms: None, adopted: false, exit: Some(exit) };
    for (call, said) in [
        (lab.call_of(origin("servers.teardown-server"), target), "[secret]: [secret] is refused\n"),
        (lab.call(), "ilable: available is refused\n"),
    ] {
        lab.fake.answer_service(Ok(ServiceAnswer::Status(failed.clone())));
        let status = call.services().status("server", &BACKEND).await.expect("a status");
        assert_eq!(status.exit.expect("an exit").stderr, said);
    }
}

#[tokio::test]
async fn a_place_that_is_lost_and_comes_back_is_asked_again() {
    let lab = Lab::new().await;
    let call = lab.call();
    lab.fake.answer_service(Err(RunError::OutcomeUnknown { reason: "it was killed".to_owned() }));
    let services = call.services();
    assert_eq!(
        code(services.start("server", &BACKEND, &server_slots()).await),
        CapabilityCode::OutcomeUnknown
    );
    lab.fake.answer_service(Err(RunError::Unavailable { reason: "it is not there".to_owned() }));
    assert_eq!(code(services.status("server", &BACKEND).await), CapabilityCode::Unavailable);
    let status = services.status("server", &BACKEND).await.expect("it answers");
    assert_eq!(status.state, ServiceState::Ready);
    assert_eq!(lab.fake.service_calls().len(), 3, "nothing is remembered here");
}

#[tokio::test]
async fn stops_reach_the_place_for_this_backends_group_alone() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.services().stop("bus", &BACKEND).await.expect("stopped");
    call.services().stop_group("quiet", &BACKEND).await.expect("stopped");
    let calls = lab.fake.service_calls();
    let [ServiceCall::Stop { group, service }, ServiceCall::StopGroup { group: other }] = calls.as_slice()
    else {
        panic!("{calls:?}")
    };
    assert_eq!((group.backend.as_str(), service.as_str()), ("nas1", "bus"));
    assert_eq!((other.backend.as_str(), other.group.as_str()), ("nas1", "quiet"));
    let outcomes: Vec<_> = lab.effects().await.iter().map(|effect| effect.outcome).collect();
    let both = [EffectOutcome::Begun, EffectOutcome::Done];
    assert_eq!(outcomes, [both, both].concat(), "what a crash leaves open is seen");
}

#[tokio::test]
async fn two_backends_of_one_driver_have_two_groups() {
    let lab = Lab::new().await;
    let grant = lab.backend.grant().clone();
    let other = lab.host.backend("nas2", crate::lab::manifest(), grant).expect("a backend");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(600);
    let call = Arc::clone(&other).begin(origin("lifecycle.setup"), CallTarget::default(), until, 0);
    call.services().stop_group("nfs", &BACKEND).await.expect("stopped");
    let calls = lab.fake.service_calls();
    assert!(
        matches!(calls.as_slice(), [ServiceCall::StopGroup { group }] if group.backend == "nas2"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_command_inside_a_group_needs_the_group_and_says_which() {
    let lab = Lab::new().await;
    lab.call().execute().run("look", &[at("at", "shares/{share}")]).await.expect("it runs");
    let requests = lab.fake.requests();
    let inside = requests.first().and_then(|request| request.inside.as_ref()).expect("a group");
    assert_eq!((inside.backend.as_str(), inside.group.as_str()), ("nas1", "nfs"));
    let lab = Lab::without_template("nfs").await;
    let denied = denial(lab.call().execute().run("look", &[at("at", "shares/{share}")]).await);
    assert!(denied.contains("grant.templates.nfs"), "{denied}");
    lab.assert_untouched();
}
