//! Who may send what.

use crate::lab::{Lab, code, named, unsigned, with_header};
use bulkhead_capability::backend::GrantError;
use bulkhead_capability::http::fake::answer;
use bulkhead_capability::testing::origin;
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::grant::EndpointGrant;
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::target::{CallTarget, Resource, TargetSnapshot};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_request_is_what_its_template_says_with_values_encoded_for_their_places() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(with_header(201, "etag", "\"7\"")));
    let mut slots = lab.volume();
    slots.push(unsigned("size", 3));
    let answer = lab.call().http().send("create", &slots).await.expect("an answer");
    assert_eq!((answer.status, answer.controller, answer.headers.len()), (201, 0, 0), "etag is not returned");
    let sent = lab.fake.sent();
    assert_eq!(sent[0].line, "POST /volumes");
    assert_eq!(sent[0].body, format!("{{\"name\":\"share-{}\",\"size\":3}}", lab.share).into_bytes());
    assert!(sent[0].headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    lab.fake.answer(Ok(with_header(200, "etag", "\"7\"")));
    let answer = lab.call().http().send("read", &lab.volume()).await.expect("an answer");
    assert_eq!(answer.headers, [("etag".to_owned(), "\"7\"".to_owned())]);
    let ends: Vec<_> =
        lab.effects().await.into_iter().filter(|one| one.outcome == EffectOutcome::Done).collect();
    assert!(ends[0].detail.contains("POST answered by controller 0 with 201"), "{}", ends[0].detail);
}

#[tokio::test]
async fn what_is_not_granted_is_denied_before_anything_is_sent() {
    let lab = Lab::new().await;
    let http = lab.call();
    let error = http.http().send("not-granted", &[]).await.expect_err("not pinned");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("grant.templates.not-granted"), "{error}");
    assert_eq!(code(http.http().send("unknown", &[]).await), CapabilityCode::InvalidArgument);
    let without = Lab::with(|parts| parts.grant.endpoints.clear()).await;
    let error = without.call().http().send("list", &[]).await.expect_err("not bound");
    assert!(error.message.contains("grant.endpoints.array = { controllers"), "{error}");
    let without = Lab::with(|parts| {
        parts.grant.capabilities.remove(&Capability::Http);
    })
    .await;
    assert_eq!(code(without.call().http().send("list", &[]).await), CapabilityCode::Denied);
    for lab in [lab, without] {
        assert!(lab.fake.sent().is_empty());
    }
}

#[tokio::test]
async fn an_endpoint_that_the_driver_does_not_declare_is_no_grant() {
    let host = Lab::new().await;
    let mut grant = host.backend.grant().clone();
    grant.endpoints.insert("arry".parse().expect("a label"), EndpointGrant::at(["https://a".to_owned()]));
    let parts = host.host.parts("other", host.backend.manifest().clone(), grant).expect("parts");
    let error = bulkhead_capability::backend::Backend::new(parts).expect_err("unknown");
    assert!(matches!(&error, GrantError::Unknown { table: "endpoints", .. }), "{error}");
    assert!(error.to_string().contains("did you mean 'array'?"), "{error}");
}

#[tokio::test]
async fn only_the_call_s_own_resources_are_named() {
    let lab = Lab::new().await;
    let foreign = Resource::Share(ShareInstanceId::random());
    assert_eq!(
        code(lab.call().http().send("read", &[named("volume", foreign)]).await),
        CapabilityCode::Denied
    );
    assert_eq!(code(lab.call().http().send("read", &[]).await), CapabilityCode::InvalidArgument);
    let mut twice = lab.volume();
    twice.extend(lab.volume());
    assert_eq!(code(lab.call().http().send("read", &twice).await), CapabilityCode::InvalidArgument);
    assert!(lab.fake.sent().is_empty());
}

#[tokio::test]
async fn what_a_share_is_made_from_is_named_beside_it_and_never_removed() {
    let lab = Lab::new().await;
    let source = TargetSnapshot { snapshot: SnapshotInstanceId::random(), share: ShareInstanceId::random() };
    let target = CallTarget { source: Some(source), ..CallTarget::share(lab.share) };
    let until = Instant::now() + Duration::from_secs(60);
    let call = lab.backend.begin(origin("shares.create-share"), target, until, 0);
    let of_source = named("source", Resource::Snapshot(source.snapshot));
    let mut slots = lab.volume();
    slots.push(of_source);
    call.http().send("clone", &slots).await.expect("a clone");
    let as_volume = [named("volume", Resource::Snapshot(source.snapshot))];
    call.http().send("read", &as_volume).await.expect("looked at");
    for changing in ["remove", "create-once"] {
        assert_eq!(code(call.http().send(changing, &as_volume).await), CapabilityCode::Denied, "{changing}");
    }
}

#[tokio::test]
async fn a_request_that_moves_a_file_is_not_sent_as_a_message() {
    let lab = Lab::new().await;
    for template in ["send-image", "fetch-image"] {
        let error = lab.call().http().send(template, &lab.volume()).await.expect_err("moves a file");
        assert!(error.message.contains("is one for http."), "{error}");
    }
}

#[tokio::test]
async fn a_template_that_may_run_once_is_not_begun_again_by_a_later_attempt() {
    let lab = Lab::new().await;
    let origin = origin("shares.create-share");
    let again =
        || bulkhead_model::call::CallOrigin { call: bulkhead_model::id::CallId::next(), ..origin.clone() };
    lab.fake.answer(Err(bulkhead_capability::http::ExchangeError::Lost { reason: "cut".to_owned() }));
    let lost = lab.call_of(origin.clone()).http().send("create-once", &lab.volume()).await;
    assert_eq!(code(lost), CapabilityCode::OutcomeUnknown);
    let repeated = lab.call_of(again()).http().send("create-once", &lab.volume()).await;
    assert_eq!(code(repeated), CapabilityCode::OutcomeUnknown);
    assert_eq!(lab.fake.sent().len(), 1, "it was not sent again");
}

#[tokio::test]
async fn a_secret_that_an_array_echoes_does_not_reach_the_guest() {
    let lab = Lab::new().await;
    let echo = format!("you sent {{\"password\":\"{}\"}}", crate::lab::PASSWORD);
    lab.fake.answer(Ok(answer(200, echo)));
    let answer = lab.call().http().send("list", &[]).await.expect("an answer");
    let body = String::from_utf8_lossy(&answer.body);
    assert!(!body.contains(crate::lab::PASSWORD) && body.contains("[secret]"), "{body}");
}
