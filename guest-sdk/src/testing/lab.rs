//! The lab itself: the manifest, the roots, and all that the double remembers.

use super::command::{Answerer, Command};
use super::denial::{Answer, fail};
use super::execute::{Job, JobKey};
use super::fault::{Fault, FaultPlan};
use super::manifest::Manifest;
use super::network_allocation::Addresses;
use super::place::Target;
use super::private_data::PrivateData;
use super::secret::{CallSecrets, Secrets};
use super::service::{Services, Shown};
use super::temporary::TemporaryDirectory;
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::config::Value;
use crate::dbus::Reply;
use crate::execute::Output;
use crate::files::Space;
use crate::http::Response;
use crate::log::Level;
use crate::resource::Resource;
use crate::service::{Instance, Status};
use crate::share::Share;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

thread_local! {
    static CURRENT: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// A host for one driver, in one thread.
#[derive(Debug)]
pub struct Lab {
    pub(super) state: Rc<State>,
}

/// What the double remembers.
#[derive(Debug)]
pub(super) struct State {
    pub(super) manifest: Manifest,
    directory: TemporaryDirectory,
    pub(super) owned: RefCell<BTreeMap<(String, String), Resource>>,
    pub(super) private_data: RefCell<PrivateData>,
    pub(super) secrets: RefCell<Secrets>,
    pub(super) options: RefCell<BTreeMap<String, Value>>,
    pub(super) spaces: RefCell<BTreeMap<String, Space>>,
    pub(super) peer_options: RefCell<BTreeMap<(String, String), Value>>,
    pub(super) answers: RefCell<BTreeMap<String, Answerer<Output>>>,
    pub(super) commands: RefCell<Vec<Command>>,
    pub(super) dbus_answers: RefCell<BTreeMap<String, Answerer<Reply>>>,
    pub(super) dbus_calls: RefCell<Vec<Command>>,
    pub(super) request_answers: RefCell<BTreeMap<String, Answerer<Response>>>,
    pub(super) requests: RefCell<Vec<Command>>,
    pub(super) services: RefCell<Services>,
    pub(super) jobs: RefCell<BTreeMap<JobKey, Job>>,
    pub(super) jobs_run_on: Cell<bool>,
    pub(super) addresses: RefCell<Addresses>,
    pub(super) log: RefCell<Vec<(Level, String)>>,
    pub(super) held_by_others: RefCell<BTreeSet<String>>,
    pub(super) fences: Cell<u64>,
    pub(super) clock_ms: Cell<u64>,
    pub(super) faults: FaultPlan,
    pub(super) call: RefCell<Option<CallState>>,
}

/// What ends with a call.
#[derive(Debug, Clone, Default)]
pub(super) struct CallState {
    pub(super) target: Target,
    pub(super) locks: BTreeSet<String>,
    pub(super) secrets: CallSecrets,
}

impl Lab {
    /// A host for the driver whose `driver.toml` this is: `Lab::new(include_str!("../driver.toml"))`. Each root is an empty
    /// directory with 100 GiB.
    ///
    /// # Panics
    ///
    /// If the text is no TOML, or the temporary directory cannot be made.
    #[must_use]
    #[expect(clippy::panic, reason = "a test that cannot begin says why")]
    pub fn new(manifest: &str) -> Self {
        let manifest = Manifest::parse(manifest).unwrap_or_else(|error| panic!("driver.toml: {error}"));
        let directory =
            TemporaryDirectory::new().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        let all = Space { total_bytes: 100 << 30, free_bytes: 100 << 30 };
        for root in manifest.roots.keys() {
            if let Err(error) = std::fs::create_dir(directory.path().join(root)) {
                panic!("no directory for root {root}: {error}");
            }
        }
        let state = State {
            spaces: RefCell::new(manifest.roots.keys().map(|root| (root.clone(), all)).collect()),
            manifest,
            directory,
            owned: RefCell::default(),
            private_data: RefCell::default(),
            secrets: RefCell::default(),
            options: RefCell::default(),
            peer_options: RefCell::default(),
            answers: RefCell::default(),
            commands: RefCell::default(),
            dbus_answers: RefCell::default(),
            dbus_calls: RefCell::default(),
            request_answers: RefCell::default(),
            requests: RefCell::default(),
            services: RefCell::default(),
            jobs: RefCell::default(),
            jobs_run_on: Cell::new(false),
            addresses: RefCell::default(),
            log: RefCell::default(),
            held_by_others: RefCell::default(),
            fences: Cell::new(0),
            clock_ms: Cell::new(1_700_000_000_000),
            faults: FaultPlan::default(),
            call: RefCell::new(None),
        };
        Self { state: Rc::new(state) }
    }

    /// Where a root lies, to look at what the driver did or to play the tenant.
    #[must_use]
    pub fn root(&self, root: &str) -> PathBuf {
        self.state.root_directory(root)
    }

    /// Set an option as the operator would.
    pub fn set_option(&self, name: &str, value: Value) {
        self.state.options.borrow_mut().insert(name.to_owned(), value);
    }

    /// Let another backend have an option that it lets peers read.
    pub fn set_option_of_peer(&self, backend: &str, name: &str, value: Value) {
        self.state.peer_options.borrow_mut().insert((backend.to_owned(), name.to_owned()), value);
    }

    /// Say how full a root is.
    pub fn set_space(&self, root: &str, space: Space) {
        self.state.spaces.borrow_mut().insert(root.to_owned(), space);
    }

    /// Answer a command template or pipeline, also where a job runs it. Its slots are checked before, and what it creates is recorded.
    pub fn answer(&self, template: &str, answer: impl Fn(&Command) -> Answer<Output> + 'static) {
        self.state.answers.borrow_mut().insert(template.to_owned(), Answerer(Rc::new(answer)));
    }

    /// Run a command template for real: its program, found in `PATH`, with the words the manifest declares.
    pub fn run_for_real(&self, template: &str) {
        self.answer(template, Command::run);
    }

    /// The commands run so far, oldest first.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        self.state.commands.borrow().clone()
    }

    /// Answer a D-Bus call; its arguments are [`Command::words`]. Its slots are checked before, and its group must run.
    pub fn answer_dbus(&self, template: &str, answer: impl Fn(&Command) -> Answer<Reply> + 'static) {
        self.state.dbus_answers.borrow_mut().insert(template.to_owned(), Answerer(Rc::new(answer)));
    }

    /// The D-Bus calls made so far, oldest first.
    #[must_use]
    pub fn dbus_calls(&self) -> Vec<Command> {
        self.state.dbus_calls.borrow().clone()
    }

    /// Answer a request. Its slots are checked and encoded before: [`Command::words`] are method, path and body.
    pub fn answer_request(&self, template: &str, answer: impl Fn(&Command) -> Answer<Response> + 'static) {
        self.state.request_answers.borrow_mut().insert(template.to_owned(), Answerer(Rc::new(answer)));
    }

    /// The requests sent so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Command> {
        self.state.requests.borrow().clone()
    }

    /// How a service is.
    #[must_use]
    pub fn service(&self, name: &str) -> Status {
        self.service_of(name, &Instance::Backend)
    }

    /// How a service of one instance of its group is.
    #[must_use]
    pub fn service_of(&self, name: &str, instance: &Instance) -> Status {
        self.state.services.borrow().status(name, instance)
    }

    /// The directories that a group is shown; none if it does not run.
    #[must_use]
    pub fn shown(&self, group: &str) -> Vec<Shown> {
        self.shown_of(group, &Instance::Backend)
    }

    /// The directories that one instance of a group is shown; none if it does not run.
    #[must_use]
    pub fn shown_of(&self, group: &str, instance: &Instance) -> Vec<Shown> {
        self.state.services.borrow().shown(group, instance)
    }

    /// Somebody ends an instance of a group with all in it: nothing of it runs, nothing is shown.
    pub fn kill_group(&self, group: &str, instance: &Instance) {
        self.state.kill_group(group, instance);
    }

    /// Let every start of a service fail; one that runs is left alone.
    pub fn refuse_service(&self, name: &str, error: CapabilityError) {
        self.state.services.borrow_mut().refusals.insert(name.to_owned(), error);
    }

    /// Let a service that runs end by itself.
    pub fn end_service(&self, name: &str, exit: CommandExit) {
        self.state.services.borrow_mut().end(name, &Instance::Backend, exit);
    }

    /// The host process is another one: services and jobs run on and are adopted.
    pub fn restart_host(&self) {
        self.state.services.borrow_mut().adopt();
    }

    /// The machine starts anew: nothing runs, nothing is shown, jobs are lost.
    pub fn restart_machine(&self) {
        self.state.services.borrow_mut().stop_all();
        self.state.lose_jobs();
    }

    /// Let jobs that are started from now on run until [`Lab::end_jobs`]; otherwise each has ended when its start returns.
    pub fn let_jobs_run(&self) {
        self.state.jobs_run_on.set(true);
    }

    /// Let the jobs that run end, as what they run is answered.
    pub fn end_jobs(&self) -> Answer<()> {
        self.state.end_jobs()
    }

    /// The lines logged so far, oldest first.
    #[must_use]
    pub fn log_lines(&self) -> Vec<(Level, String)> {
        self.state.log.borrow().clone()
    }

    /// Let somebody else hold a lock: taking it times out.
    pub fn hold_lock(&self, name: &str) {
        self.state.held_by_others.borrow_mut().insert(name.to_owned());
    }

    /// Give back what [`Lab::hold_lock`] holds.
    pub fn release_lock(&self, name: &str) {
        self.state.held_by_others.borrow_mut().remove(name);
    }

    /// Something goes wrong at the `at`-th host call from now; the first is 1. Logging and the clock are not counted.
    pub fn inject(&self, at: u32, fault: Fault) {
        self.state.faults.set(at, fault);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state.faults.clear();
    }

    /// How many host calls there were since the lab was made, [`Lab::inject`] or [`Lab::heal`].
    #[must_use]
    pub fn host_calls(&self) -> u32 {
        self.state.faults.count()
    }

    /// Run `function` as a call that takes `share` over from what the operator named: `{managed}` is the last component of `named`.
    pub fn taking_over<T>(&self, share: &Share, named: &str, function: impl FnOnce() -> T) -> T {
        self.call(Target::share(share).taking_over(named), function)
    }

    /// Run `function` as one call about `target`: locks end with it.
    pub(super) fn call<T>(&self, target: Target, function: impl FnOnce() -> T) -> T {
        self.state.call.replace(Some(CallState { target, ..CallState::default() }));
        let outer = CURRENT.with(|current| current.replace(Some(Rc::clone(&self.state))));
        let _end = EndOfCall { outer };
        function()
    }
}

/// Puts things back even when a driver's function panics.
struct EndOfCall {
    outer: Option<Rc<State>>,
}

impl Drop for EndOfCall {
    fn drop(&mut self) {
        let ended = CURRENT.with(|current| current.replace(self.outer.take()));
        if let Some(state) = ended {
            state.call.replace(None);
        }
    }
}

/// The lab whose call runs in this thread.
pub(super) fn current() -> Answer<Rc<State>> {
    CURRENT.with(|current| current.borrow().clone()).map_or_else(
        || fail(CapabilityCode::Unavailable, "no call is under way: call the driver through a testing::Lab"),
        Ok,
    )
}

impl State {
    pub(super) fn root_directory(&self, root: &str) -> PathBuf {
        self.directory.path().join(root)
    }

    pub(super) fn target(&self) -> Target {
        self.call.borrow().clone().unwrap_or_default().target
    }
}
