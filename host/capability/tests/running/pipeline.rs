use crate::lab::{Lab, at, at_of, code, denial, pool};
use bulkhead_capability::execute::RunError;
use bulkhead_capability::slot::Slot;
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{Ending, Finished, Refusal};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{CallId, ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::target::{CallTarget, Resource, TargetSnapshot};

fn slots() -> Vec<Slot> {
    vec![at("source", "snapshots/{snapshot}"), at("into", "replication/{snapshot}")]
}

fn finished(ending: Ending, stdout: &str) -> Finished {
    Finished {
        ending,
        stdout: stdout.as_bytes().to_vec(),
        stderr: b"why\n".to_vec(),
        truncated: false,
        duration_ms: 1,
    }
}

#[tokio::test]
async fn each_stage_gets_its_own_slots_and_the_last_ones_output_is_the_answer() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(finished(Ending::Exited(0), "a stream")));
    lab.fake.answer(Ok(finished(Ending::Exited(0), "received")));
    let output = lab.snapshot_call().execute().run("stream", &slots()).await.expect("it runs");
    assert_eq!(output.stdout, b"received");
    let pipelines = lab.fake.pipelines();
    let [stages] = pipelines.as_slice() else { panic!("{pipelines:?}") };
    let names = |stage: usize| stages[stage].slots.keys().map(|label| label.as_str()).collect::<Vec<_>>();
    assert_eq!((names(0), names(1)), (vec!["source"], vec!["into"]));
    let effects = lab.effects().await;
    let outcomes: Vec<_> = effects.iter().map(|effect| (effect.subject.as_str(), effect.outcome)).collect();
    assert_eq!(outcomes, [("stream", EffectOutcome::Begun), ("stream", EffectOutcome::Done)]);
    assert!(effects[0].detail.contains("into=pool/replication/"), "{}", effects[0].detail);
}

#[tokio::test]
async fn the_first_stage_that_failed_is_named() {
    let lab = Lab::new().await;
    lab.fake.answer(Ok(finished(Ending::Signalled(13), "")));
    lab.fake.answer(Ok(finished(Ending::Exited(1), "")));
    let error = lab.snapshot_call().execute().run("stream", &slots()).await.expect_err("it fails");
    assert_eq!(error.code, CapabilityCode::CommandFailed);
    assert!(error.message.contains("'receive' ended with exit code 1: why"), "{}", error.message);
}

#[tokio::test]
async fn pipeline_and_stages_are_pinned_each_by_itself() {
    for name in ["stream", "send", "receive"] {
        let lab = Lab::without_template(name).await;
        let denied = denial(lab.snapshot_call().execute().run("stream", &slots()).await);
        assert!(denied.contains(&format!("grant.templates.{name} = \"sha256:")), "{denied}");
        lab.assert_untouched();
    }
    let lab = Lab::without_program("btrfs").await;
    let denied = denial(lab.snapshot_call().execute().run("stream", &slots()).await);
    assert!(denied.contains("grant.programs.btrfs"), "{denied}");
    let lab = Lab::without_root("pool").await;
    let denied = denial(lab.snapshot_call().execute().run("stream", &slots()).await);
    assert!(denied.contains("grant.roots.pool"), "{denied}");
}

#[tokio::test]
async fn a_stage_that_receives_does_not_run_alone() {
    let lab = Lab::new().await;
    let denied = denial(lab.call().execute().run("receive", &[at("into", "replication/{share}.a")]).await);
    assert!(denied.contains("[[pipeline]] stages"), "{denied}");
    lab.assert_untouched();
}

#[tokio::test]
async fn what_a_stage_makes_is_recorded_before_any_starts() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    let made = lab.on_disk("replication/{snapshot}");
    lab.fake.perform(move |request| {
        if request.template.name.as_str() == "receive" {
            std::fs::create_dir(&made).expect("received");
        }
    });
    call.execute().run("stream", &slots()).await.expect("it runs");
    let again = call.execute().run("stream", &slots()).await;
    assert_eq!(code(again), CapabilityCode::AlreadyExists, "a name that stands there is not received into");
    assert_eq!(lab.fake.pipelines().len(), 1);
}

#[tokio::test]
async fn a_record_of_what_never_started_is_taken_back() {
    let lab = Lab::new().await;
    let call = lab.call();
    let slots = [
        at_of("source", "snapshots/{snapshot}", Some(Resource::Snapshot(lab.snapshot))),
        at("into", "replication/{share}.a"),
    ];
    assert_eq!(code(call.execute().run("stream", &slots).await), CapabilityCode::Denied, "not of this call");
    let call = lab.snapshot_call();
    let slots = [at("source", "snapshots/{snapshot}"), at("into", "replication/{share}.a")];
    lab.fake.answer(Err(RunError::Refused(Refusal::new(CapabilityCode::Busy, "full"))));
    assert_eq!(code(call.execute().run("stream", &slots).await), CapabilityCode::Busy);
    std::fs::create_dir(lab.on_disk("replication/{share}.a")).expect("somebody's");
    let own = lab.call();
    assert_eq!(code(own.files().remove(&pool("replication/{share}.a")).await), CapabilityCode::NotOwned);
}

#[tokio::test]
async fn slots_of_two_shares_do_not_meet_in_a_pipeline() {
    let lab = Lab::new().await;
    let (snapshot, share) = (SnapshotInstanceId::random(), ShareInstanceId::random());
    let mut target = CallTarget::snapshot(lab.snapshot, lab.share);
    target.snapshots.push(TargetSnapshot { snapshot, share });
    let call = lab.call_of(origin("shares.ensure-shares"), target);
    let slots = [
        at("source", "snapshots/{snapshot}"),
        at_of("into", "replication/{snapshot}", Some(Resource::Snapshot(snapshot))),
    ];
    assert_eq!(code(call.execute().run("stream", &slots).await), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}

#[tokio::test]
async fn replicas_of_one_share_do() {
    let lab = Lab::new().await;
    let other = ShareInstanceId::random();
    let target = |replicas: &[ShareInstanceId]| CallTarget {
        replicas: replicas.to_vec(),
        ..CallTarget::snapshot(lab.snapshot, lab.share)
    };
    let slots = [
        at("source", "snapshots/{snapshot}"),
        at_of("into", "replication/{share}.a", Some(Resource::Share(other))),
    ];
    let call = lab.call_of(origin("replication.update-replica-state"), target(&[lab.share, other]));
    call.execute().run("stream", &slots).await.expect("it runs");
    let foreign = lab.call_of(origin("replication.update-replica-state"), target(&[lab.share]));
    assert_eq!(code(foreign.execute().run("stream", &slots).await), CapabilityCode::Denied);
}

#[tokio::test]
async fn one_stage_that_must_not_be_repeated_holds_for_the_whole() {
    let lab = Lab::new().await;
    let first = origin("snapshots.create-snapshot");
    let attempt = || {
        let origin = CallOrigin { call: CallId::next(), ..first.clone() };
        lab.call_of(origin, CallTarget::snapshot(lab.snapshot, lab.share))
    };
    let retried = attempt().execute().run_with_retries("stream-once", &slots()).await;
    assert!(denial(retried).contains("repeat = \"safe\""));
    lab.fake.answer(Err(RunError::OutcomeUnknown { reason: "it was killed".to_owned() }));
    assert_eq!(code(attempt().execute().run("stream-once", &slots()).await), CapabilityCode::OutcomeUnknown);
    assert_eq!(code(attempt().execute().run("stream-once", &slots()).await), CapabilityCode::OutcomeUnknown);
    assert_eq!(lab.fake.pipelines().len(), 1, "the second attempt began nothing");
}

#[tokio::test]
async fn unknown_and_missing_slots_are_arguments_at_fault() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    let mut more = slots();
    more.push(at("other", "shares/{share}"));
    assert_eq!(code(call.execute().run("stream", &more).await), CapabilityCode::InvalidArgument);
    assert_eq!(code(call.execute().run("stream", &slots()[..1]).await), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}
