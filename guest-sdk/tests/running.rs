//! Services, binds, D-Bus calls, pipelines, jobs and take-over in the double: as the real host does and denies them.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use bulkhead_sdk::config::Value;
use bulkhead_sdk::dbus::{self, Reply};
use bulkhead_sdk::execute::{Completeness, Output};
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::job;
use bulkhead_sdk::service::{self, Instance, Origin, State};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{
    Access, AccessLevel, AccessType, AccessUpdate, CapabilityCode, CapabilityError, CommandExit, Driver,
    ExportLocation, Resource, Result, RuleOutcome, Share, Slots, Statistics, config, execute,
};
use std::cell::RefCell;

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares"
paths = ["{share}", "{managed}"]

[[root]]
name = "config"
use = "config"
reason = "read by a server"

[[root]]
name = "kernel"
use = "kernel"
reason = "figures"
paths = ["0_{number}/limit"]

[[execute]]
name = "send"
reason = "a stream"
effect = "read"
repeat = "safe"
program = "printf"
args = ["{word}"]
slots.word = { type = "enum", values = ["stream"] }

[[execute]]
name = "receive"
reason = "a stream"
effect = "change"
repeat = "safe"
program = "tee"
args = ["--", "{into}/received"]
creates = "into"
slots.into = { type = "path", kind = "new-inside", root = "pool", pattern = ["{share}.a"] }

[[execute]]
name = "look"
reason = "from inside"
effect = "read"
repeat = "safe"
program = "true"
inside = "nfs"

[[pipeline]]
name = "stream"
reason = "pool to pool"
stages = ["send", "receive"]

[[job]]
name = "pull"
reason = "hours"
runs = "stream"

[[group]]
name = "nfs"
reason = "a namespace"
instance = "backend"
tmpfs = ["/run"]
bus = "/run/bus"

[[group.bind]]
name = "share"
root = "pool"
pattern = ["{share}"]
at = "/run/exports/{share}"

[[service]]
name = "bus"
group = "nfs"
reason = "a bus"
program = "dbus-daemon"

[[service]]
name = "server"
group = "nfs"
reason = "a server"
program = "ganesha.nfsd"
after = ["bus"]
slots.port = { type = "port" }

[[dbus]]
name = "add-export"
reason = "an export"
effect = "change"
repeat = "safe"
group = "nfs"
destination = "org.ganesha.nfsd"
path = "/org/ganesha/nfsd/ExportMgr"
interface = "org.ganesha.nfsd.exportmgr"
method = "AddExport"
args = [{ type = "s", value = "EXPORT(Export_Id={id})" }]
slots.id = { type = "integer", min = 1, max = 65535 }

[[file]]
name = "export"
root = "config"
path = "{share}.conf"
format = "ganesha"
text = "Path = {path}; {clients}"
slots.path = { type = "path", kind = "text", root = "pool", pattern = ["{share}"] }
slots.clients = { type = "access-rules", of = "call", style = "ganesha" }
"#;

const BACKEND: &Instance = &Instance::Backend;

thread_local! {
    static BODY: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A driver whose `create_share` is whatever the test wants to do inside a call.
struct Anything;

impl Driver for Anything {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics::default())
    }

    fn create_share(_: &Share) -> Result<Vec<ExportLocation>> {
        if let Some(body) = BODY.take() {
            body();
        }
        Ok(Vec::new())
    }

    fn delete_share(_: &Share) -> Result<()> {
        Ok(())
    }
}

impl Access for Anything {
    fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        files::write_template("export", Slots::new().path("path", "{share}"))?;
        Ok(Vec::new())
    }
}

/// Run `body` in a call about share `number`.
fn in_call_about(lab: &Lab, number: u32, body: impl FnOnce() + 'static) {
    BODY.set(Some(Box::new(body)));
    lab.create_share::<Anything>(&sample::share(number, 1)).expect("the body has no failure");
}

fn in_call(lab: &Lab, body: impl FnOnce() + 'static) {
    in_call_about(lab, 1, body);
}

fn code<T: std::fmt::Debug>(outcome: std::result::Result<T, CapabilityError>) -> CapabilityCode {
    outcome.expect_err("it must be refused").code()
}

fn start() -> std::result::Result<service::Status, CapabilityError> {
    service::start("server", BACKEND, Slots::new().unsigned("port", 2049))
}

#[test]
fn a_service_starts_after_what_it_needs_and_runs_on_when_the_call_ends() {
    let lab = Lab::new(MANIFEST);
    in_call(&lab, || {
        assert_eq!(service::status("server", BACKEND).map(|status| status.state), Ok(State::Stopped));
        assert_eq!(start().map(|status| status.state), Ok(State::Ready));
    });
    assert_eq!((lab.service("bus").state, lab.service("server").origin), (State::Ready, Origin::ThisHost));
    lab.restart_host();
    in_call(&lab, || {
        let status = start().expect("left alone");
        assert_eq!((status.state, status.origin), (State::Ready, Origin::Adopted));
        let other = service::start("server", BACKEND, Slots::new().unsigned("port", 1));
        assert_eq!(code(other), CapabilityCode::Conflict);
        service::stop("bus", BACKEND).expect("stopped");
        assert_eq!(service::status("server", BACKEND).map(|status| status.state), Ok(State::Stopped));
    });
}

#[test]
fn a_service_that_ended_by_itself_is_failed_until_it_is_started_again() {
    let lab = Lab::new(MANIFEST);
    in_call(&lab, || drop(start().expect("started")));
    lab.end_service("server", CommandExit { exit_code: Some(3), ..CommandExit::default() });
    in_call(&lab, || {
        let status = service::status("server", BACKEND).expect("a status");
        assert_eq!((status.state, status.exit.and_then(|exit| exit.exit_code)), (State::Failed, Some(3)));
        assert_eq!(start().map(|status| status.state), Ok(State::Ready));
    });
    lab.refuse_service("bus", CapabilityError::new(CapabilityCode::TimedOut, "never ready"));
    lab.restart_machine();
    in_call(&lab, || assert_eq!(code(start()), CapabilityCode::TimedOut));
}

#[test]
fn services_groups_and_instances_are_those_that_are_declared() {
    let lab = Lab::new(MANIFEST);
    in_call(&lab, || {
        assert_eq!(code(service::status("sshd", BACKEND)), CapabilityCode::InvalidArgument);
        assert_eq!(code(service::stop_group("other", BACKEND)), CapabilityCode::InvalidArgument);
        let own = Instance::Of(Resource::from(&sample::share(1, 1)));
        assert_eq!(code(service::status("server", &own)), CapabilityCode::Denied);
        assert_eq!(code(service::start("server", BACKEND, Slots::new())), CapabilityCode::InvalidArgument);
        let more = Slots::new().unsigned("port", 1).unsigned("ports", 1);
        assert_eq!(code(service::start("server", BACKEND, more)), CapabilityCode::InvalidArgument);
    });
}

#[test]
fn an_own_directory_is_shown_while_the_group_runs() {
    let lab = Lab::new(MANIFEST);
    let share = || Path::new("pool", "{share}");
    in_call(&lab, move || {
        let show = || service::bind("nfs", BACKEND, "share", &share());
        assert_eq!(code(show()), CapabilityCode::NotOwned);
        files::create_directory(&share()).expect("made");
        assert_eq!(code(show()), CapabilityCode::NotFound, "the group does not run");
        start().expect("started");
        for _ in 0..2 {
            show().expect("shown");
        }
    });
    let shown = lab.shown("nfs");
    let name = sample::share(1, 1).name;
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (&shown[0].at, &shown[0].source),
        (&format!("/run/exports/{name}"), &lab.root("pool").join(&name))
    );
    in_call_about(&lab, 2, move || {
        let victim = share().of(&sample::share(1, 1));
        assert_eq!(code(service::bind("nfs", BACKEND, "share", &victim)), CapabilityCode::Denied);
        assert_eq!(code(service::unbind("nfs", BACKEND, "share", &victim)), CapabilityCode::Denied);
        let other = Path::new("pool", "{managed}");
        assert_eq!(code(service::bind("nfs", BACKEND, "share", &other)), CapabilityCode::Denied);
    });
    in_call(&lab, move || service::unbind("nfs", BACKEND, "share", &share()).expect("taken away"));
    assert_eq!(lab.shown("nfs"), []);
}

#[test]
fn a_call_on_a_bus_is_answered_by_the_test_while_the_group_runs() {
    let lab = Lab::new(MANIFEST);
    lab.answer_dbus("add-export", |call| {
        assert_eq!(call.words(), ["EXPORT(Export_Id=7)"]);
        let item = dbus::Item { position: vec![0, 1], value: dbus::Value::Unsigned(7) };
        Ok(Reply::Results(vec![item]))
    });
    in_call(&lab, || {
        let call = |id| dbus::call("add-export", BACKEND, Slots::new().signed("id", id));
        assert_eq!(code(call(7)), CapabilityCode::Unavailable, "nothing runs");
        start().expect("started");
        let reply = call(7).expect("an answer");
        assert_eq!(reply.value(&[0, 1]), Some(&dbus::Value::Unsigned(7)));
        assert_eq!((reply.value(&[1]), reply.fault()), (None, None));
        assert_eq!(code(call(0)), CapabilityCode::InvalidArgument);
        assert_eq!(code(dbus::call("shut-down", BACKEND, Slots::new())), CapabilityCode::InvalidArgument);
    });
    assert_eq!(lab.dbus_calls().len(), 1);
}

#[test]
fn a_pipeline_runs_for_real_and_owns_what_it_makes() {
    let lab = Lab::new(MANIFEST);
    lab.run_for_real("stream");
    let slots = || Slots::new().text("word", "stream").path("into", "{share}.a");
    in_call(&lab, move || {
        let output = execute::run("stream", slots()).expect("it runs");
        assert_eq!((output.stdout, output.completeness), (b"stream".to_vec(), Completeness::Whole));
        assert_eq!(code(execute::run("stream", Slots::new())), CapabilityCode::InvalidArgument);
    });
    let commands = lab.commands();
    assert_eq!(commands[0].stages().len(), 2);
    assert!(commands[0].path("into").ends_with(format!("{}.a", sample::share(1, 1).name)));
    assert_eq!(std::fs::read(lab.root("pool").join("received")).expect("a file"), b"stream");
}

#[test]
fn a_command_inside_a_group_needs_the_group() {
    let lab = Lab::new(MANIFEST);
    lab.run_for_real("look");
    in_call(&lab, || {
        assert_eq!(code(execute::run("look", Slots::new())), CapabilityCode::Unavailable);
        start().expect("started");
        execute::run("look", Slots::new()).expect("it runs");
    });
}

#[test]
fn a_job_is_found_by_every_later_call_of_its_share_and_by_no_other() {
    let lab = Lab::new(MANIFEST);
    lab.answer("stream", |_| Ok(Output { stdout: b"done".to_vec(), ..Output::default() }));
    lab.let_jobs_run();
    let slots = |word: &str| Slots::new().text("word", word).path("into", "{share}.a");
    in_call(&lab, move || {
        assert_eq!(code(job::poll("pull", "key")), CapabilityCode::NotFound);
        assert!(matches!(job::start("pull", "key", slots("stream")), Ok(job::State::Running(_))));
        assert_eq!(code(job::forget("pull", "key")), CapabilityCode::Busy);
        assert_eq!(
            code(job::start("pull", &"k".repeat(256), slots("stream"))),
            CapabilityCode::InvalidArgument
        );
    });
    lab.restart_host();
    lab.end_jobs().expect("they end");
    in_call_about(&lab, 2, || assert_eq!(job::entries(), Ok(Vec::new())));
    in_call(&lab, move || {
        let entries = job::entries().expect("entries");
        assert!(matches!(&entries[0].state, job::State::Succeeded(exit) if exit.exit.stdout == b"done"));
        assert!(matches!(job::start("pull", "key", slots("stream")), Ok(job::State::Succeeded(_))));
        job::forget("pull", "key").expect("forgotten");
        job::cancel("pull", "key").expect("nothing to end");
        assert_eq!(code(job::poll("pull", "key")), CapabilityCode::NotFound);
        job::start("pull", "again", slots("stream")).expect("started");
    });
    lab.restart_machine();
    in_call(&lab, || assert_eq!(job::poll("pull", "again"), Ok(job::State::Lost)));
}

#[test]
fn what_the_operator_named_is_taken_over_while_nobody_owns_it() {
    let lab = Lab::new(MANIFEST);
    std::fs::create_dir(lab.root("pool").join("old")).expect("the operator's");
    let (managed, share) = (Path::new("pool", "{managed}"), Path::new("pool", "{share}"));
    lab.taking_over(&sample::share(1, 1), "10.0.0.1:/exports/old", || {
        files::status(&managed).expect("a look");
        assert_eq!(code(files::remove(&managed)), CapabilityCode::Denied);
        for _ in 0..2 {
            files::rename(&managed, &share).expect("taken over");
        }
    });
    let victim = sample::share(1, 1).name;
    lab.taking_over(&sample::share(2, 1), &victim, || {
        assert_eq!(code(files::status(&managed)), CapabilityCode::NotOwned);
        assert_eq!(code(files::rename(&managed, &share)), CapabilityCode::NotOwned);
    });
    in_call(&lab, || {
        assert_eq!(code(files::status(&Path::new("pool", "{managed}"))), CapabilityCode::Denied);
        files::remove(&Path::new("pool", "{share}")).expect("its own");
    });
}

#[test]
fn figures_of_the_kernel_are_read_by_number_and_in_no_other_way() {
    let lab = Lab::new(MANIFEST);
    let directory = lab.root("kernel").join("0_257");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::write(directory.join("limit"), "4096\n").expect("a file");
    in_call(&lab, || {
        let read = |numbers: &[u64]| files::read_kernel("kernel", "0_{number}/limit", numbers);
        assert_eq!(read(&[257]), Ok(b"4096\n".to_vec()));
        assert_eq!(code(read(&[1])), CapabilityCode::NotFound);
        assert_eq!(code(read(&[])), CapabilityCode::InvalidArgument);
        assert_eq!(code(read(&[1, 2])), CapabilityCode::InvalidArgument);
        assert_eq!(code(files::read_kernel("pool", "{share}", &[])), CapabilityCode::Denied);
        assert_eq!(code(files::read(&Path::new("kernel", "0_{number}/limit"))), CapabilityCode::Denied);
    });
}

#[test]
fn a_file_for_ganesha_quotes_paths_and_lists_the_most_specific_client_first() {
    let (lab, share) = (Lab::new(MANIFEST), sample::share(1, 1));
    let rule = |number, to, level| sample::access_rule(number, AccessType::Ip, to, level);
    let rules = vec![
        rule(1, "0.0.0.0/0", AccessLevel::Ro),
        rule(2, "10.0.0.0/24", AccessLevel::Rw),
        rule(3, "10.0.0.9", AccessLevel::Ro),
        rule(4, "2001:db8::/112", AccessLevel::Rw),
    ];
    lab.update_access::<Anything>(&share, &AccessUpdate { rules, ..AccessUpdate::default() })
        .expect("written");
    let written = std::fs::read_to_string(lab.root("config").join(format!("{}.conf", share.name)));
    let path = lab.root("pool").join(&share.name).display().to_string();
    let expected = format!(
        "Path = \"{path}\"; CLIENT {{ Clients = 10.0.0.9; Access_Type = RO; Protocols = 3, 4; }} \
         CLIENT {{ Clients = 10.0.0.0/24; Access_Type = RW; Protocols = 3, 4; }} \
         CLIENT {{ Clients = 0.0.0.0/1, 128.0.0.0/1; Access_Type = RO; Protocols = 3, 4; }}"
    );
    assert_eq!(written.expect("a file"), expected);
}

#[test]
fn options_of_a_peer_are_those_that_the_test_gives_it() {
    let lab = Lab::new(MANIFEST);
    lab.set_option_of_peer("host@nas2", "export_address", Value::Text("10.0.0.2".to_owned()));
    in_call(&lab, || {
        let value = config::get_of_peer("host@nas2", "export_address");
        assert_eq!(value, Ok(Some(Value::Text("10.0.0.2".to_owned()))));
        assert_eq!(code(config::get_of_peer("host@nas3", "export_address")), CapabilityCode::Denied);
    });
}
