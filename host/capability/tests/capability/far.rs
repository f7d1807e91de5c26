//! Files on another machine: a helper in a mount namespace of its own, whose directories this process does not see.

use crate::lab::{code, data, manifest, state};
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, GrantError};
use bulkhead_capability::call::Call;
use bulkhead_capability::execute::{
    Carried, CommandRunner, Dial, DialError, Directories, HelperClient, HelperPlace,
};
use bulkhead_capability::files::FileKind;
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_capability::testing::{TestHost, grant_everything, origin};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::share_name;
use bulkhead_model::target::{CallTarget, Resource};
use bulkhead_model::tenure::Tenure;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Enters the other machine and starts the helper there.
#[derive(Debug)]
struct Way {
    helper: PathBuf,
    machine: u32,
    runtime: PathBuf,
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<Box<dyn Carried>, DialError> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.machine.to_string(), "--mount", "--"]).arg(&self.helper);
        command.args(["--stdio", "--without-groups", "--runtime"]).arg(&self.runtime);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(DialError::new)?;
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        // It ends with its connection.
        tokio::spawn(async move { child.wait().await });
        Ok(Box::new(tokio::io::join(output, input)))
    }
}

/// The other machine: a process that holds a mount namespace with a filesystem of its own.
struct Far {
    folder: TempDir,
    machine: Child,
    client: Arc<HelperClient>,
    host: TestHost,
    share: ShareInstanceId,
}

impl Far {
    /// None where it cannot be made, which is said.
    async fn new() -> Option<Self> {
        let own = std::env::current_exe().expect("this program");
        let helper = own.parent()?.parent()?.join("bulkhead-helper");
        if !rustix::process::geteuid().is_root() || !helper.exists() {
            eprintln!("PASSED OVER: needs root and {}", helper.display());
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("place");
        std::fs::create_dir(&place).expect("a mount point");
        let script = "mount -t tmpfs tmpfs \"$0\" && chmod 755 \"$0\" && cd \"$0\" && mkdir shares exports state && echo ready && exec sleep 600";
        let mut machine = Command::new("unshare");
        machine.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(&place);
        let mut machine = machine.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a namespace");
        let mut said = [0; 6];
        machine.stdout.as_mut().expect("a pipe").read_exact(&mut said).await.expect("it is ready");
        let way = Way { helper, machine: machine.id().expect("it runs"), runtime: place.join("runtime") };
        let client = Arc::new(HelperClient::start(HelperPlace::Far(Arc::new(way))));
        client.wait_until_swept().await.expect("the helper is there");
        let host = TestHost::new(Arc::<HelperClient>::clone(&client) as Arc<dyn CommandRunner>).await;
        let host = host.expect("a host");
        Some(Self { folder, machine, client, host, share: ShareInstanceId::random() })
    }

    fn place(&self, below: &str) -> PathBuf {
        self.folder.path().join("place").join(below)
    }

    async fn backend(&self, name: &str, tenure: Option<Tenure>) -> Result<Arc<Backend>, GrantError> {
        let roots = ["shares", "exports", "state"].map(|root| (root, self.place(root)));
        self.backend_on(name, tenure, BTreeMap::from(roots)).await
    }

    async fn backend_on(
        &self,
        name: &str,
        tenure: Option<Tenure>,
        roots: BTreeMap<&str, PathBuf>,
    ) -> Result<Arc<Backend>, GrantError> {
        let manifest = manifest();
        let grant = grant_everything(&manifest, &roots);
        let mut parts = self.host.parts(name, manifest, grant).expect("parts");
        parts.tenure = tenure;
        Backend::reach(parts, None).await
    }

    fn call(&self, backend: &Arc<Backend>) -> Call {
        let until = Instant::now() + Duration::from_secs(60);
        backend.begin(origin("shares.create-share"), CallTarget::share(self.share), until, 0)
    }

    /// What a shell over there writes, in the place's directory.
    async fn shell(&self, script: &str) -> String {
        let machine = self.machine.id().expect("it runs").to_string();
        let mut shell = Command::new("nsenter");
        shell.args(["--target", &machine, "--mount", "--", "sh", "-ec", script]).env("AT", self.place(""));
        shell.env("SHARE", share_name(self.share));
        let output = shell.output().await.expect("a shell");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a text")
    }

    fn kill_helper(&self) {
        let process = self.client.process().and_then(|process| i32::try_from(process).ok());
        let process = process.and_then(rustix::process::Pid::from_raw).expect("a helper");
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it is killed");
    }
}

#[tokio::test]
async fn everything_that_files_does_is_done_where_this_process_sees_nothing() {
    let Some(far) = Far::new().await else { return };
    assert_eq!(far.client.directories(), Directories::There);
    let backend = far.backend("lab", None).await.expect("a backend");
    let call = far.call(&backend);
    let files = call.files();
    files.create_directory(&data("{share}")).await.expect("made");
    files.create_directory(&data("{share}")).await.expect("a repeat succeeds");
    assert!(files.status(&data("{share}")).await.expect("a status").owned);
    far.shell("cd $AT/shares/$SHARE && echo hello > greeting && mkdir inside && ln -s /etc link").await;
    let entries = files.list_directory(&data("{share}")).await.expect("entries");
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    let expected =
        [("greeting", FileKind::File), ("inside", FileKind::Directory), ("link", FileKind::SymbolicLink)];
    assert_eq!(seen, expected);
    assert_eq!(files.usage(&data("{share}")).await.expect("a usage"), 6);
    assert!(files.root_space("shares").await.expect("space").total_bytes > 0);
    files.copy_tree(&data("{share}"), &data(".{share}.new")).await.expect("copied");
    far.shell("echo other > $AT/shares/$SHARE/greeting").await;
    files.exchange(&data("{share}"), &data(".{share}.new")).await.expect("exchanged");
    assert_eq!(far.shell("cat $AT/shares/$SHARE/greeting").await, "hello\n");
    files.remove(&data(".{share}.new")).await.expect("removed");
    files.rename(&data("{share}"), &data(".{share}.new")).await.expect("renamed");
    files.rename(&data(".{share}.new"), &data("{share}")).await.expect("renamed back");
    files.write(&state("{share}.json"), b"{}").await.expect("written");
    assert_eq!(files.read(&state("{share}.json")).await.expect("read"), b"{}");
    assert_eq!(code(files.read(&state("{share}")).await), CapabilityCode::NotFound);
    let facts = [
        Slot { name: "size".to_owned(), value: SlotValue::Unsigned(7) },
        Slot { name: "address".to_owned(), value: SlotValue::Text("10.0.0.1".to_owned()) },
        Slot { name: "name".to_owned(), value: SlotValue::NameOf(Resource::Share(far.share)) },
    ];
    files.write_template("facts", &facts).await.expect("written");
    assert!(far.shell("cat $AT/state/$SHARE.json").await.contains("\"10.0.0.1\""));
    let location = files.location(&data("{share}")).await.expect("a location");
    assert_eq!(location, far.place("shares").join(share_name(far.share)).display().to_string());
    assert!(!std::path::Path::new(&location).exists(), "it is elsewhere");
    files.remove(&data("{share}")).await.expect("removed");
    assert_eq!(far.shell("ls -A $AT/shares").await, "");
}

#[tokio::test]
async fn what_nobody_recorded_is_not_touched_and_no_link_is_followed_over_there_either() {
    let Some(far) = Far::new().await else { return };
    let backend = far.backend("lab", None).await.expect("a backend");
    let call = far.call(&backend);
    far.shell("mkdir $AT/shares/$SHARE && echo precious > $AT/shares/$SHARE/file").await;
    assert_eq!(code(call.files().remove(&data("{share}")).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().create_directory(&data("{share}")).await), CapabilityCode::NotOwned);
    far.shell("rm -r $AT/shares/$SHARE && mkdir $AT/secret && echo s > $AT/secret/inner && ln -s ../secret $AT/shares/$SHARE").await;
    let followed = call.files().list_directory(&data("{share}/inner")).await;
    assert_eq!(code(followed), CapabilityCode::Denied);
    assert_eq!(far.shell("cat $AT/secret/inner").await, "s\n");
}

#[tokio::test]
async fn a_helper_lost_in_the_middle_leaves_the_outcome_unknown_and_a_repeat_finds_what_is_there() {
    let Some(far) = Far::new().await else { return };
    let backend = far.backend("lab", None).await.expect("a backend");
    let call = far.call(&backend);
    call.files().create_directory(&data("{share}")).await.expect("made");
    far.shell("cd $AT/shares/$SHARE && for d in 1 2 3 4 5 6 7 8; do mkdir $d; (cd $d; seq 1 3000 | xargs touch); done").await;
    let (from, to) = (data("{share}"), data(".{share}.new"));
    let copying = async { call.files().copy_tree(&from, &to).await };
    let killing = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        far.kill_helper();
    };
    let (copied, ()) = tokio::join!(copying, killing);
    assert_eq!(code(copied), CapabilityCode::OutcomeUnknown);
    while far.client.wait_until_swept().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(call.files().status(&to).await.expect("a part of it is there").owned);
    call.files().remove(&to).await.expect("what was begun is ours");
    call.files().copy_tree(&from, &to).await.expect("copied");
    assert_eq!(far.shell("find $AT/shares/.$SHARE.new -type f | wc -l").await.trim(), "24000");
}

#[tokio::test]
async fn a_dropped_call_lets_its_work_over_there_end_soon() {
    let Some(far) = Far::new().await else { return };
    let backend = far.backend("lab", None).await.expect("a backend");
    let call = far.call(&backend);
    call.files().create_directory(&data("{share}")).await.expect("made");
    far.shell("cd $AT/shares/$SHARE && for d in 1 2 3 4 5 6 7 8; do mkdir $d; (cd $d; seq 1 3000 | xargs touch); done").await;
    let (from, to) = (data("{share}"), data(".{share}.new"));
    let dropped = tokio::time::timeout(Duration::from_millis(60), call.files().copy_tree(&from, &to)).await;
    assert!(dropped.is_err(), "it takes longer");
    // The paths are free again only once the copy has stopped.
    call.files().remove(&to).await.expect("removed");
    assert_eq!(far.shell("ls -A $AT/shares").await.trim(), share_name(far.share));
}

#[tokio::test]
async fn roots_are_checked_over_there_and_given_up_to_a_successor() {
    let Some(far) = Far::new().await else { return };
    let told = |error: GrantError| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {source}")
    };
    let missing = BTreeMap::from([("shares", far.place("nowhere"))]);
    let error = told(far.backend_on("lab", None, missing).await.expect_err("it is not there"));
    assert!(error.contains("nowhere"), "{error}");
    let nested = BTreeMap::from([("shares", far.place("shares")), ("state", far.place("shares"))]);
    assert!(matches!(far.backend_on("lab", None, nested).await, Err(GrantError::Nested { .. })));
    far.shell("chmod 777 $AT/exports").await;
    let error = told(far.backend("lab", None).await.expect_err("others may write"));
    assert!(error.contains("chmod go-w"), "{error}");
    far.shell("chmod 755 $AT/exports").await;

    let first = Tenure::first();
    let backend = far.backend("lab", Some(first)).await.expect("a backend");
    let call = far.call(&backend);
    call.files().create_directory(&data("{share}")).await.expect("it is ours");
    let second = far.backend("lab", Some(first.succeeded())).await.expect("a successor");
    let refused = call.files().remove(&data("{share}")).await.expect_err("it is the successor's");
    assert_eq!(refused.code, CapabilityCode::Denied);
    assert!(refused.message.contains("setfattr -x user.bulkhead.tenure"), "{refused}");
    let again = told(far.backend("lab", Some(first)).await.expect_err("it is the successor's"));
    assert!(again.contains("setfattr"), "{again}");
    far.call(&second).files().remove(&data("{share}")).await.expect("removed");
}

#[tokio::test]
async fn who_makes_a_backend_without_asking_its_place_is_refused() {
    let Some(far) = Far::new().await else { return };
    let manifest = manifest();
    let grant = grant_everything(&manifest, &BTreeMap::new());
    let parts = far.host.parts("lab", manifest, grant).expect("parts");
    assert!(matches!(Backend::new(parts), Err(GrantError::Elsewhere)));
}
