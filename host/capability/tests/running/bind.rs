use crate::lab::{Lab, code, denial, pool, pool_of};
use bulkhead_capability::service::ServiceInstance;
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::ServiceCall;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::{CallTarget, Resource, TargetSnapshot};

const BACKEND: ServiceInstance = ServiceInstance::Backend;

#[tokio::test]
async fn an_own_share_is_shown_at_the_place_that_its_name_gives() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&pool("shares/{share}")).await.expect("made");
    for _ in 0..2 {
        call.services().bind(("nfs", "share"), &BACKEND, &pool("shares/{share}")).await.expect("shown");
    }
    let calls = lab.fake.service_calls();
    let ServiceCall::Bind(request) = &calls[0] else { panic!("{calls:?}") };
    let name = share_name(lab.share);
    assert_eq!(request.at, format!("/run/exports/{name}"));
    assert_eq!(request.source.as_str(), format!("shares/{name}"));
    assert_eq!((request.group.backend.as_str(), request.bind.as_str()), ("nas1", "share"));
    assert!(request.root.identity.is_some());
    assert_eq!(calls[0], calls[1]);
    call.services().unbind(("nfs", "share"), &BACKEND, &pool("shares/{share}")).await.expect("taken away");
    assert!(matches!(&lab.fake.service_calls()[2], ServiceCall::Unbind(taken) if taken == request));
}

#[tokio::test]
async fn a_snapshot_is_shown_under_its_own_name() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    call.files().create_directory(&pool("snapshots/{snapshot}")).await.expect("made");
    call.services().bind(("nfs", "snapshot"), &BACKEND, &pool("snapshots/{snapshot}")).await.expect("shown");
    let calls = lab.fake.service_calls();
    let ServiceCall::Bind(request) = &calls[0] else { panic!("{calls:?}") };
    assert_eq!(request.at, format!("/run/exports/{}", snapshot_name(lab.snapshot)));
}

#[tokio::test]
async fn what_nobody_made_for_this_share_is_not_shown() {
    let lab = Lab::new().await;
    let call = lab.call();
    let bind = ("nfs", "share");
    let source = pool("shares/{share}");
    assert_eq!(code(call.services().bind(bind, &BACKEND, &source).await), CapabilityCode::NotFound);
    std::fs::create_dir(lab.on_disk("shares/{share}")).expect("somebody's directory");
    assert_eq!(code(call.services().bind(bind, &BACKEND, &source).await), CapabilityCode::NotOwned);
    lab.assert_untouched();
    call.services().unbind(bind, &BACKEND, &source).await.expect("taking away needs no owner");
}

#[tokio::test]
async fn a_foreign_share_is_neither_shown_nor_taken_away() {
    let lab = Lab::new().await;
    let owner = lab.call();
    owner.files().create_directory(&pool("shares/{share}")).await.expect("made");
    let other = lab.call_of(origin("shares.create-share"), CallTarget::share(ShareInstanceId::random()));
    let victim = pool_of("shares/{share}", Some(Resource::Share(lab.share)));
    let bind = ("nfs", "share");
    for denied in [
        denial(other.services().bind(bind, &BACKEND, &victim).await),
        denial(other.services().unbind(bind, &BACKEND, &victim).await),
    ] {
        assert!(denied.contains("not what this call is about"), "{denied}");
    }
    lab.assert_untouched();
}

#[tokio::test]
async fn only_the_declared_sources_of_a_declared_bind_are_shown() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    call.files().create_directory(&pool("snapshots/{snapshot}")).await.expect("made");
    let services = call.services();
    for (root, pattern) in
        [("pool", "snapshots/{snapshot}"), ("config", "shares/{share}"), ("pool", "shares")]
    {
        let mut source = pool(pattern);
        source.root = root.to_owned();
        let denied = denial(services.bind(("nfs", "share"), &BACKEND, &source).await);
        assert!(denied.contains("[[group.bind]] name = \"share\""), "{denied}");
    }
    let undeclared = services.bind(("nfs", "everything"), &BACKEND, &pool("shares/{share}")).await;
    assert_eq!(code(undeclared), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}

#[tokio::test]
async fn the_source_of_a_new_share_is_shown_to_nobody() {
    let lab = Lab::new().await;
    let source = TargetSnapshot { snapshot: lab.snapshot, share: lab.share };
    let target = CallTarget { source: Some(source), ..CallTarget::share(ShareInstanceId::random()) };
    let call = lab.call_of(origin("share-from-snapshot.create"), target);
    let shown = call.services().bind(("nfs", "source"), &BACKEND, &pool("snapshots/{source-snapshot}")).await;
    assert!(denial(shown).contains("may only be read"));
    lab.assert_untouched();
}

#[tokio::test]
async fn a_bind_needs_capability_group_and_root() {
    for (lab, line) in [
        (Lab::without(Capability::Service).await, "grant.capabilities = [\"service\"]"),
        (Lab::without_template("nfs").await, "grant.templates.nfs = "),
        (Lab::without_root("pool").await, "grant.roots.pool = "),
    ] {
        let source = pool("shares/{share}");
        let denied = denial(lab.call().services().bind(("nfs", "share"), &BACKEND, &source).await);
        assert!(denied.contains(line), "{denied}");
        lab.assert_untouched();
    }
}
