//! Through a real helper: real files, a helper that is killed, and nothing left behind.

use crate::lab::{Lab, at, code, snapshot_slots};
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::execute::{CommandRunner, HelperClient, HelperPlace};
use bulkhead_capability::job::JobState;
use bulkhead_model::error::CapabilityCode;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The helper that was built beside these tests.
fn built_helper() -> Option<PathBuf> {
    let own = std::env::current_exe().expect("this program");
    let helper = own.parent()?.parent()?.join("bulkhead-helper");
    if helper.exists() {
        return Some(helper);
    }
    eprintln!("PASSED OVER: {} is not built; run `cargo build -p bulkhead-helper` first", helper.display());
    None
}

struct Real {
    lab: Lab,
    client: Arc<HelperClient>,
    _state: TempDir,
}

impl Real {
    async fn new() -> Option<Self> {
        let program = built_helper()?;
        let state = tempfile::tempdir().expect("a directory");
        let (lock, runtime) = (state.path().join("helper.lock"), state.path().join("helper"));
        let client = Arc::new(HelperClient::start(HelperPlace::Beside { program, lock, runtime }));
        client.wait_until_swept().await.expect("the helper is there");
        let runner: Arc<dyn CommandRunner> = Arc::<HelperClient>::clone(&client);
        let lab = Lab::run_by(runner, Arc::new(FakeRunner::default()), |parts| {
            parts.ceiling.unreviewed_programs.insert("sleep".to_owned());
        })
        .await;
        Some(Self { lab, client, _state: state })
    }

    fn kill_helper(&self) {
        let process = self.client.process().and_then(|process| i32::try_from(process).ok());
        let process = process.and_then(rustix::process::Pid::from_raw).expect("a helper");
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it is killed");
    }
}

#[tokio::test]
async fn a_share_is_copied_measured_and_removed() {
    let Some(real) = Real::new().await else { return };
    let lab = &real.lab;
    fs::create_dir(lab.on_disk("{share}")).expect("a share");
    fs::write(lab.on_disk("{share}").join("file"), [7; 3000]).expect("a file");
    let call = lab.snapshot_call();
    call.execute().run("copy-tree", &snapshot_slots()).await.expect("it is copied");
    assert_eq!(fs::read(lab.on_disk("{share}@{snapshot}").join("file")).expect("the copy").len(), 3000);
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::AlreadyExists);
    let output = call.execute().run("measure", &[at("at", "{share}")]).await.expect("it is measured");
    assert!(output.stdout.starts_with(b"3") || output.stdout.starts_with(b"7"), "{output:?}");
    call.execute()
        .run("copy-tree", &[at("from", "{share}"), at("to", ".{share}.new")])
        .await
        .expect("it is copied");
    call.execute().run("remove-tree", &[at("old", ".{share}.new")]).await.expect("it is removed");
    assert!(!lab.on_disk(".{share}.new").exists());
    assert_eq!(
        code(call.execute().run("remove-tree", &[at("old", "{share}")]).await),
        CapabilityCode::NotOwned
    );
    assert!(lab.on_disk("{share}").exists());
}

#[tokio::test]
async fn a_missing_source_is_found_out_by_the_helper_and_leaves_no_record() {
    let Some(real) = Real::new().await else { return };
    let call = real.lab.snapshot_call();
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::NotFound);
    fs::create_dir(real.lab.on_disk("{share}@{snapshot}")).expect("somebody else's directory");
    assert_eq!(code(call.execute().run("copy-tree", &snapshot_slots()).await), CapabilityCode::AlreadyExists);
}

#[tokio::test]
async fn a_killed_helper_is_replaced_and_the_next_command_runs() {
    let Some(real) = Real::new().await else { return };
    fs::create_dir(real.lab.on_disk("{share}")).expect("a share");
    let call = real.lab.call();
    let first = real.client.process();
    for _ in 0..3 {
        real.kill_helper();
        let measured = async {
            loop {
                match call.execute().run("measure", &[at("at", "{share}")]).await {
                    Ok(output) => return output,
                    Err(error) if error.code == CapabilityCode::OutcomeUnknown => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), measured).await.expect("a new helper comes");
    }
    assert_ne!(real.client.process(), first);
}

#[tokio::test]
async fn stages_of_a_pipeline_run_and_the_first_that_fails_is_told() {
    let Some(real) = Real::new().await else { return };
    let lab = &real.lab;
    fs::create_dir(lab.on_disk("{share}")).expect("a share");
    fs::write(lab.on_disk("{share}").join("file"), [7; 3000]).expect("a file");
    let call = lab.call();
    let output = call.execute().run("measure-twice", &[at("at", "{share}")]).await.expect("it is measured");
    assert!(String::from_utf8_lossy(&output.stdout).lines().count() == 1, "the last one's alone: {output:?}");
    fs::remove_dir_all(lab.on_disk("{share}")).expect("removed");
    let gone = call.execute().run("measure-twice", &[at("at", "{share}")]).await;
    assert_eq!(code(gone), CapabilityCode::NotFound);
}

#[tokio::test]
async fn a_job_runs_on_when_its_helper_is_killed_and_is_found_by_the_next() {
    let Some(real) = Real::new().await else { return };
    let lab = &real.lab;
    let call = lab.call();
    let jobs = call.jobs();
    let started = jobs.start("wait-job", "key", &[]).await.expect("it starts");
    assert!(matches!(started, JobState::Running(_)), "{started:?}");
    real.kill_helper();
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    let found = loop {
        match jobs.poll("wait-job", "key").await {
            Err(error)
                if tokio::time::Instant::now() < until
                    && matches!(error.code, CapabilityCode::OutcomeUnknown | CapabilityCode::Unavailable) => {
            }
            answer => break answer.expect("it is found"),
        }
    };
    assert!(matches!(found, JobState::Running(_)), "{found:?}");
    assert_eq!(
        jobs.start("wait-job", "key", &[]).await.map(|state| matches!(state, JobState::Running(_))),
        Ok(true)
    );
    assert_eq!(code(jobs.forget("wait-job", "key").await), CapabilityCode::Busy);
    jobs.cancel("wait-job", "key").await.expect("ended");
    let ended = jobs.poll("wait-job", "key").await.expect("it is found");
    assert!(matches!(ended, JobState::Failed(_)), "{ended:?}");
    assert_eq!(jobs.entries().await.expect("entries").len(), 1);
    jobs.forget("wait-job", "key").await.expect("forgotten");
    assert_eq!(code(jobs.poll("wait-job", "key").await), CapabilityCode::NotFound);
}

#[tokio::test]
async fn a_job_tells_how_it_ended() {
    let Some(real) = Real::new().await else { return };
    let lab = &real.lab;
    fs::create_dir(lab.on_disk("{share}")).expect("a share");
    let call = lab.call();
    let mut state = call.jobs().start("measure-job", "key", &[at("at", "{share}")]).await.expect("it starts");
    while let JobState::Running(_) = state {
        state = call.jobs().poll("measure-job", "key").await.expect("it is found");
    }
    let JobState::Succeeded(exit) = state else { panic!("{state:?}") };
    assert!(!exit.exit.stdout.is_empty() && exit.exit.exit_code == Some(0), "{exit:?}");
    let other = call.jobs().start("measure-job", "key", &[at("at", "{share}")]).await;
    assert!(matches!(other, Ok(JobState::Succeeded(_))), "it is not run again: {other:?}");
    call.jobs().forget("measure-job", "key").await.expect("forgotten");
}
