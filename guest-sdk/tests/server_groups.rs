//! Groups of share servers in the double: a call reaches those of its own servers, and gives them what lives there.

#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::service::{self, Instance, State};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{CapabilityCode, CapabilityError, Resource, Share, Slots};

const MANIFEST: &str = r#"
[[root]]
name = "pool"
use = "data"
reason = "shares"
paths = ["{share}"]

[[root]]
name = "config"
use = "config"
reason = "read by servers"
paths = ["{server}", "{share}", "all"]

[[group]]
name = "nfs"
reason = "a server of each tenant"
instance = "share-server"
network = "own"
tmpfs = ["/run"]

[[group.bind]]
name = "share"
root = "pool"
pattern = ["{share}"]
at = "/run/{share}"

[[service]]
name = "server"
group = "nfs"
reason = "it serves"
program = "ganesha.nfsd"
slots.config = { type = "path", kind = "text", root = "config", pattern = ["{server}/server.conf", "all.conf"] }
"#;

fn share(number: u32, server: u32) -> Share {
    sample::on_server(&sample::share(number, 1), &sample::share_server(server))
}

fn instance(number: u32) -> Instance {
    Instance::Of(Resource::from(&sample::share_server(number)))
}

fn slots(server: u32) -> Slots {
    Slots::new().path_of("config", "{server}/server.conf", &sample::share_server(server))
}

fn code<T: std::fmt::Debug>(answer: Result<T, CapabilityError>) -> CapabilityCode {
    answer.expect_err("it is refused").code()
}

#[test]
fn each_share_server_has_an_instance_that_calls_about_it_reach() {
    let lab = Lab::new(MANIFEST);
    for number in [1, 2] {
        lab.taking_over(&share(number, number), "x", || {
            service::start("server", &instance(number), slots(number)).expect("it starts");
        });
    }
    lab.taking_over(&share(1, 1), "x", || {
        for denied in [
            code(service::start("server", &instance(2), slots(2))),
            code(service::start("server", &instance(1), slots(2))),
            code(service::status("server", &instance(2))),
            code(service::stop_group("nfs", &instance(2))),
            code(service::status("server", &Instance::Backend)),
            code(service::status("server", &Instance::Of(Resource::from(&share(1, 1))))),
        ] {
            assert_eq!(denied, CapabilityCode::Denied);
        }
        service::stop_group("nfs", &instance(1)).expect("it stops");
    });
    assert_eq!(lab.service_of("server", &instance(1)).state, State::Stopped);
    assert_eq!(lab.service_of("server", &instance(2)).state, State::Ready, "the other one goes on");
}

#[test]
fn a_share_is_shown_to_its_own_server() {
    let lab = Lab::new(MANIFEST);
    let own = share(1, 1);
    lab.taking_over(&own, "x", || {
        let source = Path::new("pool", "{share}");
        files::create_directory(&source).expect("made");
        service::start("server", &instance(1), slots(1)).expect("it starts");
        service::bind("nfs", &instance(1), "share", &source).expect("shown");
    });
    assert_eq!(lab.shown_of("nfs", &instance(1)).len(), 1);
    assert!(lab.shown_of("nfs", &instance(2)).is_empty());
    lab.kill_group("nfs", &instance(1));
    assert!(lab.shown_of("nfs", &instance(1)).is_empty());
    assert_eq!(lab.service_of("server", &instance(1)).state, State::Stopped);
}

#[test]
fn where_a_privileged_program_reads_only_a_share_server_has_a_directory() {
    let lab = Lab::new(MANIFEST);
    lab.taking_over(&share(1, 1), "x", || {
        let at = |pattern: &str| Path::new("config", pattern);
        files::create_directory(&at("{server}")).expect("made");
        assert_eq!(code(files::create_directory(&at("{share}"))), CapabilityCode::Denied);
        assert_eq!(code(files::create_directory(&at("all"))), CapabilityCode::Denied);
        assert_eq!(code(files::remove(&at("{share}"))), CapabilityCode::Denied);
        files::remove(&at("{server}")).expect("removed");
    });
    let name = format!("share-server-{}", sample::share_server(1).id);
    assert!(!lab.root("config").join(name).exists());
}
