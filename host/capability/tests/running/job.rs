use crate::lab::{Lab, at, code, denial, pool};
use bulkhead_capability::execute::RunError;
use bulkhead_capability::job::{JobState, LONGEST_KEY};
use bulkhead_capability::slot::Slot;
use bulkhead_capability::testing::origin;
use bulkhead_helper::protocol::{
    Ending, Finished, JobAnswer, JobCall, JobEnd, JobEntry, JobKey, JobState as PlaceState, Refusal,
};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::CallTarget;

const RUNNING: PlaceState = PlaceState::Running { bytes_done: Some(4096), running_ms: 10 };

fn slots() -> Vec<Slot> {
    vec![at("source", "snapshots/{snapshot}"), at("into", "replication/{snapshot}")]
}

fn absent() -> RunError {
    Refusal::new(CapabilityCode::NotFound, "none").into()
}

fn ended(ending: Ending) -> PlaceState {
    let success = ending == Ending::Exited(0);
    let finished =
        Finished { ending, stdout: Vec::new(), stderr: b"why".to_vec(), truncated: false, duration_ms: 5 };
    PlaceState::Ended(JobEnd { finished, success, bytes_done: None })
}

#[tokio::test]
async fn a_job_is_its_subjects_and_outlives_what_is_left_of_the_call() {
    let lab = Lab::new().await;
    lab.fake.answer_job(Err(absent()));
    lab.fake.answer_job(Ok(JobAnswer::State(RUNNING)));
    let state = lab.snapshot_call().jobs().start("pull", "a", &slots()).await.expect("it starts");
    assert!(matches!(state, JobState::Running(progress) if progress.bytes_done == Some(4096)), "{state:?}");
    let calls = lab.fake.job_calls();
    let [JobCall::Poll(_), JobCall::Start(start)] = calls.as_slice() else { panic!("{calls:?}") };
    let key = JobKey {
        backend: "nas1".to_owned(),
        subject: snapshot_name(lab.snapshot),
        job: "pull".parse().expect("a label"),
        key: "a".to_owned(),
    };
    assert_eq!((&start.key, start.counts_bytes, start.stages.len()), (&key, true, 2));
    assert!(start.stages.iter().all(|stage| stage.timeout_ms == 600_000), "as the templates say");
    let effects = lab.effects().await;
    let outcomes: Vec<_> =
        effects.iter().map(|effect| (effect.capability.as_str(), effect.outcome)).collect();
    assert_eq!(outcomes, [("job.start", EffectOutcome::Begun), ("job.start", EffectOutcome::Done)]);
}

#[tokio::test]
async fn a_job_that_is_there_is_the_answer_whatever_it_has_made_meanwhile() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    std::fs::create_dir(lab.on_disk("replication/{snapshot}")).expect("what the job made");
    for state in [RUNNING, ended(Ending::Exited(0)), PlaceState::Lost] {
        lab.fake.answer_job(Ok(JobAnswer::State(state.clone())));
        lab.fake.answer_job(Ok(JobAnswer::State(state.clone())));
        assert_eq!(call.jobs().start("pull", "a", &slots()).await, Ok(state.into()));
    }
    let conflict = Refusal::new(CapabilityCode::Conflict, "it runs with other slots");
    lab.fake.answer_job(Ok(JobAnswer::State(RUNNING)));
    lab.fake.answer_job(Err(conflict.into()));
    assert_eq!(code(call.jobs().start("pull", "a", &slots()).await), CapabilityCode::Conflict);
}

#[tokio::test]
async fn what_a_job_makes_is_recorded_before_it_starts_and_not_if_it_never_did() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    let slots = [at("source", "snapshots/{snapshot}"), at("into", "replication/{share}.a")];
    lab.fake.answer_job(Err(absent()));
    lab.fake.answer_job(Err(Refusal::new(CapabilityCode::Busy, "4 jobs run").into()));
    assert_eq!(code(call.jobs().start("pull", "a", &slots).await), CapabilityCode::Busy);
    std::fs::create_dir(lab.on_disk("replication/{share}.a")).expect("somebody's");
    let own = lab.call();
    assert_eq!(code(own.files().remove(&pool("replication/{share}.a")).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.jobs().start("pull", "a", &slots).await), CapabilityCode::AlreadyExists);
    std::fs::remove_dir(lab.on_disk("replication/{share}.a")).expect("gone");
    lab.fake.answer_job(Err(absent()));
    lab.fake.answer_job(Ok(JobAnswer::State(RUNNING)));
    call.jobs().start("pull", "a", &slots).await.expect("it starts");
    std::fs::create_dir(lab.on_disk("replication/{share}.a")).expect("what the job made");
    own.files().remove(&pool("replication/{share}.a")).await.expect("it is the share's own");
}

#[tokio::test]
async fn a_job_to_be_run_once_is_not_begun_again_when_nobody_knows_of_it() {
    let lab = Lab::new().await;
    let first = origin("replication.create");
    let attempt = || {
        let call = bulkhead_model::id::CallId::next();
        let origin = bulkhead_model::call::CallOrigin { call, ..first.clone() };
        lab.call_of(origin, CallTarget::snapshot(lab.snapshot, lab.share))
    };
    lab.fake.answer_job(Err(absent()));
    lab.fake.answer_job(Err(RunError::OutcomeUnknown { reason: "it was killed".to_owned() }));
    assert_eq!(
        code(attempt().jobs().start("pull-once", "a", &slots()).await),
        CapabilityCode::OutcomeUnknown
    );
    lab.fake.answer_job(Err(absent()));
    assert_eq!(
        code(attempt().jobs().start("pull-once", "a", &slots()).await),
        CapabilityCode::OutcomeUnknown
    );
    let starts = lab.fake.job_calls().iter().filter(|call| matches!(call, JobCall::Start(_))).count();
    assert_eq!(starts, 1);
}

#[tokio::test]
async fn every_right_that_lacks_is_denied_with_the_one_line_that_would_give_it() {
    for (lab, line) in [
        (Lab::without(Capability::Job).await, "grant.capabilities = [\"job\"]"),
        (Lab::without_template("pull").await, "grant.templates.pull = "),
        (Lab::without_template("stream").await, "grant.templates.stream = "),
        (Lab::without_template("receive").await, "grant.templates.receive = "),
        (Lab::without_program("btrfs").await, "grant.programs.btrfs = "),
        (Lab::without_root("pool").await, "grant.roots.pool = "),
    ] {
        let denied = denial(lab.snapshot_call().jobs().start("pull", "a", &slots()).await);
        assert!(denied.contains(line), "{denied}");
        lab.assert_untouched();
        assert_eq!(lab.effects().await.len(), 1);
    }
    let lab = Lab::without(Capability::Execute).await;
    lab.fake.answer_job(Err(absent()));
    lab.fake.answer_job(Ok(JobAnswer::State(RUNNING)));
    lab.snapshot_call().jobs().start("pull", "a", &slots()).await.expect("jobs are a right of their own");
}

#[tokio::test]
async fn polling_cancelling_and_forgetting_need_the_right_too() {
    let lab = Lab::without_template("pull").await;
    let call = lab.snapshot_call();
    for denied in [
        denial(call.jobs().poll("pull", "a").await),
        denial(call.jobs().cancel("pull", "a").await),
        denial(call.jobs().forget("pull", "a").await),
    ] {
        assert!(denied.contains("grant.templates.pull = "), "{denied}");
    }
    assert_eq!(code(call.jobs().poll("mine-bitcoin", "a").await), CapabilityCode::InvalidArgument);
    lab.assert_untouched();
}

#[tokio::test]
async fn a_call_about_nothing_has_no_jobs() {
    let lab = Lab::new().await;
    let call = lab.call_of(origin("lifecycle.setup"), CallTarget::default());
    assert!(denial(call.jobs().entries().await).contains("no share or snapshot"));
    assert!(denial(call.jobs().poll("pull", "a").await).contains("no share or snapshot"));
    lab.assert_untouched();
}

#[tokio::test]
async fn keys_are_short_and_hold_no_nul() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    for key in ["", "a\0b", &"k".repeat(LONGEST_KEY + 1)] {
        assert_eq!(code(call.jobs().poll("pull", key).await), CapabilityCode::InvalidArgument, "{key:?}");
    }
    lab.assert_untouched();
    let longest = "k".repeat(LONGEST_KEY);
    assert_eq!(code(call.jobs().poll("pull", &longest).await), CapabilityCode::NotFound);
    assert_eq!(
        code(call.jobs().poll("pull", "../../x\n").await),
        CapabilityCode::NotFound,
        "a key is no path"
    );
}

#[tokio::test]
async fn another_shares_call_asks_for_another_subject() {
    let lab = Lab::new().await;
    let stranger = ShareInstanceId::random();
    let call = lab.call_of(origin("shares.create-share"), CallTarget::share(stranger));
    lab.fake.answer_job(Ok(JobAnswer::Entries(Vec::new())));
    assert_eq!(call.jobs().entries().await, Ok(Vec::new()));
    let calls = lab.fake.job_calls();
    assert!(
        matches!(calls.as_slice(), [JobCall::Entries { backend, subject }] if backend == "nas1" && *subject == share_name(stranger)),
        "{calls:?}"
    );
}

#[tokio::test]
async fn entries_come_in_order_of_name_and_key() {
    let lab = Lab::new().await;
    let entry = |job: &str, key: &str| JobEntry {
        key: JobKey {
            backend: "nas1".to_owned(),
            subject: String::new(),
            job: job.parse().expect("a label"),
            key: key.to_owned(),
        },
        state: PlaceState::Lost,
    };
    lab.fake.answer_job(Ok(JobAnswer::Entries(vec![
        entry("pull", "b"),
        entry("peek", "z"),
        entry("pull", "a"),
    ])));
    let entries = lab.call().jobs().entries().await.expect("entries");
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.key.as_str())).collect();
    assert_eq!(names, [("peek", "z"), ("pull", "a"), ("pull", "b")]);
}

#[tokio::test]
async fn cancelling_and_forgetting_what_is_not_there_succeed() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    call.jobs().cancel("pull", "a").await.expect("nothing runs");
    call.jobs().forget("pull", "a").await.expect("nothing is there");
    lab.fake.answer_job(Err(Refusal::new(CapabilityCode::Busy, "it runs").into()));
    assert_eq!(code(call.jobs().forget("pull", "a").await), CapabilityCode::Busy);
    lab.fake.answer_job(Err(RunError::Unavailable { reason: "away".to_owned() }));
    assert_eq!(code(call.jobs().poll("pull", "a").await), CapabilityCode::Unavailable);
}

#[test]
fn only_exit_code_0_of_all_stages_is_a_success() {
    assert!(matches!(JobState::from(ended(Ending::Exited(0))), JobState::Succeeded(_)));
    for ending in [Ending::Exited(1), Ending::Signalled(9), Ending::TimedOut, Ending::Cancelled] {
        let JobState::Failed(exit) = JobState::from(ended(ending)) else { panic!("{ending:?}") };
        assert!(exit.exit.exit_code == Some(1) || exit.exit.signal == Some(9), "{exit:?}");
    }
}
