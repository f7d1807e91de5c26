//! A helper to test with, and the program that misbehaves.

use bulkhead_helper::frame::{FrameReader, encode};
use bulkhead_helper::protocol::{
    DbusReply, DbusRequest, EndingMethod, Finished, FromHelper, GroupKey, JobAnswer, JobCall, LARGEST_ANSWER,
    LARGEST_REQUEST, PipeFinished, PipeRequest, Refusal, RootBinding, RunRequest, ServiceAnswer, ServiceCall,
    SlotArgument, ToHelper, Unreviewed, VERSION,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_bulkhead-helper");
/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both ways of ending trees; the second one everywhere, the first where this machine can.
pub(crate) const METHODS: [&[&str]; 2] = [&[], &["--without-groups"]];

pub(crate) struct Helper {
    pub(crate) process: Child,
    pub(crate) connection: UnixStream,
    pub(crate) method: EndingMethod,
    reader: FrameReader,
    next_id: u64,
}

impl Helper {
    /// Started, greeted and swept.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut helper = Self::start_silent(arguments);
        helper.greet();
        helper.send(&ToHelper::Sweep);
        assert_eq!(helper.receive(), FromHelper::Swept);
        helper
    }

    pub(crate) fn start_silent(arguments: &[&str]) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let process = Command::new(HELPER)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .expect("the helper starts");
        Self::at(process, ours)
    }

    pub(crate) fn at(process: Child, connection: UnixStream) -> Self {
        connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let reader = FrameReader::new(LARGEST_ANSWER);
        Self { process, connection, method: EndingMethod::MarkAndSweep, reader, next_id: 1 }
    }

    pub(crate) fn greet(&mut self) {
        self.send(&ToHelper::Hello { version: VERSION });
        match self.receive() {
            FromHelper::Hello { version: VERSION, ending, .. } => self.method = ending,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send(&mut self, message: &ToHelper) {
        let frame = encode(message, LARGEST_REQUEST).expect("it fits");
        self.connection.write_all(&frame).expect("the helper reads");
    }

    pub(crate) fn receive(&mut self) -> FromHelper {
        self.try_receive().expect("the helper answers")
    }

    /// None once the helper has closed.
    pub(crate) fn try_receive(&mut self) -> Option<FromHelper> {
        let mut block = vec![0; 65_536];
        loop {
            if let Some(message) = self.reader.read().expect("the helper speaks the protocol") {
                return Some(message);
            }
            match self.connection.read(&mut block) {
                Ok(0) => return None,
                Ok(read) => self.reader.extend(&block[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the helper does not answer: {error}"),
            }
        }
    }

    /// Send a request without waiting; answers its id.
    pub(crate) fn begin(&mut self, request: Request) -> u64 {
        let id = self.next();
        self.send(&ToHelper::Run(Box::new(request.build(id))));
        id
    }

    /// Send commands that feed each other without waiting; answers their id.
    pub(crate) fn begin_pipe(&mut self, stages: Vec<Request>) -> u64 {
        let id = self.next();
        let stages = stages.into_iter().map(|stage| stage.build(0)).collect();
        self.send(&ToHelper::Pipe(Box::new(PipeRequest { id, stages })));
        id
    }

    pub(crate) fn pipe(&mut self, stages: Vec<Request>) -> Result<PipeFinished, Refusal> {
        let wanted = self.begin_pipe(stages);
        loop {
            match self.receive() {
                FromHelper::Started { id } if id == wanted => {}
                FromHelper::Piped { id, finished } if id == wanted => return Ok(finished),
                FromHelper::Refused { id, refusal } if id == wanted => return Err(refusal),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ask about jobs, and wait for the answer.
    pub(crate) fn job(&mut self, call: JobCall) -> Result<JobAnswer, Refusal> {
        let wanted = self.next();
        self.send(&ToHelper::Job { id: wanted, call: Box::new(call) });
        match self.receive() {
            FromHelper::Job { id, answer } if id == wanted => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Ask about services, and wait for the answer.
    pub(crate) fn service(&mut self, call: ServiceCall) -> Result<ServiceAnswer, Refusal> {
        let wanted = self.begin_service(call);
        match self.receive() {
            FromHelper::Service { id, answer } if id == wanted => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Ask about services without waiting; answers the question's id.
    pub(crate) fn begin_service(&mut self, call: ServiceCall) -> u64 {
        let id = self.next();
        self.send(&ToHelper::Service { id, call: Box::new(call) });
        id
    }

    /// Call a method on a group's bus without waiting; answers the call's id.
    pub(crate) fn begin_call(&mut self, call: DbusRequest) -> u64 {
        let id = self.next();
        self.send(&ToHelper::Dbus { id, call: Box::new(call) });
        id
    }

    /// Call a method on a group's bus, and wait for the answer.
    pub(crate) fn call(&mut self, call: DbusRequest) -> Result<DbusReply, Refusal> {
        let wanted = self.begin_call(call);
        match self.receive() {
            FromHelper::Dbus { id, answer } if id == wanted => answer,
            other => panic!("{other:?}"),
        }
    }

    /// The next request's id.
    pub(crate) fn next(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn run(&mut self, request: Request) -> Result<Finished, Refusal> {
        let wanted = self.begin(request);
        self.outcome(wanted)
    }

    /// As `run`, with an id of the caller's choice.
    pub(crate) fn replay(&mut self, request: Request, id: u64) -> Result<Finished, Refusal> {
        self.send(&ToHelper::Run(Box::new(request.build(id))));
        self.outcome(id)
    }

    fn outcome(&mut self, wanted: u64) -> Result<Finished, Refusal> {
        loop {
            match self.receive() {
                FromHelper::Started { id } if id == wanted => {}
                FromHelper::Finished { id, finished } if id == wanted => return Ok(finished),
                FromHelper::Refused { id, refusal } if id == wanted => return Err(refusal),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Start a command that runs until it is ended, and wait until it does.
    pub(crate) fn begin_and_wait(&mut self, request: Request) -> u64 {
        let wanted = self.begin(request);
        match self.receive() {
            FromHelper::Started { id } if id == wanted => id,
            other => panic!("{other:?}"),
        }
    }

    /// Wait for the end of a command that was started before.
    pub(crate) fn finish(&mut self, wanted: u64) -> Finished {
        match self.receive() {
            FromHelper::Finished { id, finished } if id == wanted => finished,
            other => panic!("{other:?}"),
        }
    }

    /// Close the connection and wait until the helper is gone.
    pub(crate) fn close(mut self) -> Duration {
        let begun = Instant::now();
        self.connection.shutdown(std::net::Shutdown::Both).expect("it closes");
        self.process.wait().expect("the helper ends");
        begun.elapsed()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _closed = self.connection.shutdown(std::net::Shutdown::Both);
        let _ended = self.process.wait();
    }
}

/// A command to ask for.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) template: Value,
    pub(crate) program: String,
    pub(crate) unreviewed: Unreviewed,
    pub(crate) roots: Vec<(&'static str, PathBuf)>,
    pub(crate) slots: Vec<(&'static str, SlotArgument)>,
    pub(crate) inside: Option<GroupKey>,
    pub(crate) timeout: Duration,
}

impl Request {
    /// The program that misbehaves, with these words.
    pub(crate) fn victim(words: &[&str]) -> Self {
        Self {
            template: json!({
                "name": "misbehave", "reason": "a test", "effect": "change", "repeat": "safe", "program": "victim",
                "args": words,
            }),
            program: victim(),
            unreviewed: Unreviewed::Allowed,
            roots: Vec::new(),
            slots: Vec::new(),
            inside: None,
            timeout: PATIENCE,
        }
    }

    /// A program of the reviewed table.
    pub(crate) fn reviewed(program: &'static str, effect: &str, words: &[&str]) -> Self {
        let mut request = Self::victim(words);
        request.program = format!("/usr/bin/{program}");
        request.unreviewed = Unreviewed::Refused;
        request.with("program", json!(program)).with("effect", json!(effect))
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.template[key] = value;
        self
    }

    pub(crate) fn slot(mut self, name: &'static str, slot_type: Value, value: SlotArgument) -> Self {
        self.template["slots"][name] = slot_type;
        self.slots.push((name, value));
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn build(self, id: u64) -> RunRequest {
        let label = |text: &str| text.parse().expect("a label");
        let binding = |path: PathBuf| RootBinding {
            path: path.to_str().expect("a text").to_owned(),
            identity: None,
            tenure: None,
        };
        RunRequest {
            id,
            template: self.template.to_string(),
            program: self.program,
            unreviewed: self.unreviewed,
            roots: self.roots.into_iter().map(|(name, path)| (label(name), binding(path))).collect(),
            slots: self
                .slots
                .into_iter()
                .map(|(name, value)| (label(name), value))
                .collect::<BTreeMap<_, _>>(),
            inside: self.inside,
            timeout_ms: u64::try_from(self.timeout.as_millis()).expect("a short time"),
        }
    }
}

/// Where the program that misbehaves was built; nobody but its owner may write to it, as the helper wants it.
pub(crate) fn victim() -> String {
    let path = std::path::Path::new(HELPER).with_file_name("examples").join("victim");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
        .expect("the example `victim` is built");
    path.to_str().expect("a text").to_owned()
}

/// A word that only one test's processes carry in their environment.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new() -> Self {
        Self(bulkhead_model::id::ShareInstanceId::random().to_string())
    }

    pub(crate) fn variable(&self) -> Value {
        json!({ "TOKEN": self.0 })
    }

    /// How many processes carry it.
    pub(crate) fn carriers(&self) -> usize {
        self.processes().len()
    }

    /// Kill whoever carries it.
    pub(crate) fn kill(&self) {
        for process in self.processes() {
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it runs");
        }
    }

    fn processes(&self) -> Vec<rustix::process::Pid> {
        let wanted = format!("TOKEN={}", self.0);
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        processes
            .filter(|entry| {
                let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            })
            .filter_map(|entry| {
                entry.file_name().to_str()?.parse().ok().and_then(rustix::process::Pid::from_raw)
            })
            .collect()
    }

    /// Wait until that many processes carry it.
    pub(crate) fn wait_for(&self, count: usize) {
        wait_until(&format!("{count} processes"), || self.carriers() == count);
    }
}

pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says that a test was passed over, and why.
pub(crate) fn passed_over(why: &str) {
    eprintln!("PASSED OVER: {why}");
}

/// Whether `method` is what its arguments ask for; says so where this machine cannot.
pub(crate) fn is_as_asked(helper: &Helper, arguments: &[&str]) -> bool {
    let asked = if arguments.is_empty() { EndingMethod::ControlGroup } else { EndingMethod::MarkAndSweep };
    if helper.method != asked {
        passed_over("no writable cgroup of version 2 here, so that only marks and sweep are tried");
    }
    helper.method == asked
}
