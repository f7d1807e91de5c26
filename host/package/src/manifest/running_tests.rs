use super::*;
use crate::fixture::{MANIFEST, RUNNING};
use bulkhead_model::manifest::{GroupInstance, GroupNetwork};

fn sound() -> String {
    format!("{MANIFEST}{RUNNING}")
}

/// Change the sound manifest at `from`, and expect a problem that says `told`, with its place.
fn refuses(from: &str, to: &str, told: &str) {
    let sound = sound();
    assert_eq!(sound.matches(from).count(), 1, "{from:?} stands once");
    let shown = match parse(&sound.replace(from, to), "driver.toml") {
        Ok(_) => panic!("{to:?} is accepted"),
        Err(error) => error.to_string(),
    };
    assert!(shown.contains(told), "{to:?} tells {told:?}, not\n{shown}");
    assert!(shown.contains("driver.toml:"), "{shown}");
}

#[test]
fn what_runs_beside_and_beyond_a_call_is_accepted() {
    let manifest = parse(&sound(), "driver.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.group("nfs").map(|group| group.binds.len()), Some(1));
    assert_eq!(manifest.service("server").map(|service| service.stop_seconds), Some(5));
    assert_eq!(manifest.dbus("add-export").map(|call| call.timeout), Some(30));
    assert_eq!(manifest.job("replicate-large").map(|job| job.runs.as_str()), Some("replicate"));
    assert_eq!(manifest.templates().count(), 2 + 2 + 2 + 1 + 1 + 1 + 2 + 1);
}

#[test]
fn names_are_unique_over_all_tables() {
    refuses("name = \"replicate\"", "name = \"send\"", "stands in [[execute]] already");
    refuses("name = \"add-export\"", "name = \"server\"", "stands in [[service]] already");
}

#[test]
fn a_group_hides_nothing_that_programs_need_and_shows_only_below_its_own() {
    refuses("tmpfs = [\"/run\"]", "tmpfs = [\"/run\", \"/usr\"]", "without '/usr' no program runs");
    refuses("tmpfs = [\"/run\"]", "tmpfs = [\"/run\", \"/a/../b\"]", "is no directory");
    refuses("tmpfs = [\"/run\"]", "tmpfs = [\"run\"]", "is no directory");
    refuses("tmpfs = [\"/run\"]", "tmpfs = []", "is not below one of the group's tmpfs");
    refuses(
        "at = \"/run/exports/{share}\"",
        "at = \"/srv/{share}\"",
        "is not below one of the group's tmpfs",
    );
    refuses("at = \"/run/exports/{share}\"", "at = \"/run/exports\"", "is one place for all");
    refuses("at = \"/run/exports/{share}\"", "at = \"/run/../{share}\"", "is no place to show");
    refuses("at = \"/run/exports/{share}\"", "at = \"/run/{snapshot}\"", "does not stand in every pattern");
    refuses(
        "root = \"shares\"\npattern = [\"{share}\"]\nat",
        "root = \"exports\"\npattern = [\"{share}\"]\nat",
        "only a root of tenants' data",
    );
    refuses("instance = \"backend\"", "instance = \"share-group\"", "unknown variant");
}

#[test]
fn a_group_of_share_servers_needs_a_driver_that_has_them_and_a_network_of_its_own_needs_a_share_server() {
    let own = "instance = \"share-server\"\nnetwork = \"own\"";
    refuses("instance = \"backend\"", own, "never has a share server");
    let with_servers = sound().replace("dhss = [false]", "dhss = [true]").replace("inside = \"nfs\"\n", "");
    let manifest = parse(&with_servers.replace("instance = \"backend\"", own), "driver.toml");
    let manifest = manifest.unwrap_or_else(|error| panic!("{error}"));
    let group = manifest.group("nfs").expect("declared");
    assert_eq!((group.instance, group.network), (GroupInstance::ShareServer, GroupNetwork::Own));
    refuses(
        "instance = \"backend\"",
        "instance = \"backend\"\nnetwork = \"own\"",
        "takes its addresses from a share server",
    );
}

#[test]
fn what_a_group_does_not_say_is_no_part_of_its_digest() {
    let manifest = parse(&sound(), "driver.toml").unwrap_or_else(|error| panic!("{error}"));
    let text = serde_json::to_string(manifest.group("nfs").expect("declared")).expect("a text");
    assert!(!text.contains("network"), "a pin of an earlier version holds: {text}");
}

#[test]
fn no_command_runs_inside_a_group_that_there_are_many_of() {
    let many = sound()
        .replace("dhss = [false]", "dhss = [true]")
        .replace("instance = \"backend\"", "instance = \"share-server\"");
    let told = parse(&many, "driver.toml").expect_err("which of them?").to_string();
    assert!(told.contains("there are many"), "{told}");
}

#[test]
fn a_service_has_a_group_paths_as_text_and_an_order_that_ends() {
    refuses(
        "group = \"nfs\"\nreason = \"serves",
        "group = \"nsf\"\nreason = \"serves",
        "did you mean 'nfs'?",
    );
    refuses("after = [\"bus\"]", "after = [\"buss\"]", "did you mean 'bus'?");
    refuses("after = [\"bus\"]", "after = [\"server\"]", "no other [[service]] of the group");
    refuses(
        "ready = { socket = \"/run/dbus/system_bus_socket\" }",
        "after = [\"server\"]\nready = { socket = \"/run/dbus/system_bus_socket\" }",
        "waits for services that wait for it",
    );
    refuses(
        "kind = \"text\", root = \"exports\"",
        "kind = \"existing\", root = \"exports\"",
        "opens it again",
    );
    refuses("slots.address = { type = \"ip\" }", "slots.address = { type = \"uuid\" }", "of type 'ip'");
    refuses(
        "address = \"address\", port = \"port\", seconds = 20",
        "address = \"address\", seconds = 20",
        "go together",
    );
    refuses("seconds = 20", "seconds = 0", "1 to 600 seconds");
    refuses(
        "ready = { socket = \"/run/dbus/system_bus_socket\" }",
        "ready = { socket = \"/tmp/bus\" }",
        "is not below",
    );
    refuses("env.MODE = \"plain\"", "env.LD_PRELOAD = \"x\"", "changes which code runs");
    refuses("args = [\"-F\"]", "args = [\"-F\", \"{label}\"]", "is not declared");
}

#[test]
fn a_bus_call_is_typed_and_never_to_the_bus_itself() {
    refuses("value = \"{id}\" }", "value = \"x{id}\" }", "is not of this type");
    refuses("type = \"q\"", "type = \"z\"", "unknown variant");
    refuses("destination = \"org.example.nfsd\"", "destination = \"org.freedesktop.DBus\"", "the bus itself");
    refuses("destination = \"org.example.nfsd\"", "destination = \"nfsd\"", "a name on a bus");
    refuses("path = \"/org/example/nfsd\"", "path = \"/org//nfsd\"", "an object");
    refuses("method = \"AddExport\"", "method = \"Add Export\"", "a method");
    refuses(
        "slots.id = { type = \"integer\", min = 1, max = 65535 }",
        "slots.id = { type = \"opaque\", max = 9 }",
        "only as a whole argument",
    );
    refuses("bus = \"/run/dbus/system_bus_socket\"\n", "", "has no bus");
}

#[test]
fn pipelines_join_commands_that_read_each_other_and_jobs_run_something() {
    refuses("stages = [\"send\", \"receive\"]", "stages = [\"send\"]", "2 to 8 stages");
    refuses(
        "stages = [\"send\", \"receive\"]",
        "stages = [\"send\", \"recieve\"]",
        "did you mean 'receive'?",
    );
    refuses(
        "stages = [\"send\", \"receive\"]",
        "stages = [\"feed\", \"receive\"]",
        "a standard input of its own",
    );
    refuses("runs = \"replicate\"", "runs = \"replicated\"", "did you mean 'replicate'?");
    refuses("runs = \"replicate\"", "runs = \"send\"", "only what passes between the stages");
    refuses("inside = \"nfs\"", "inside = \"nft\"", "did you mean 'nfs'?");
    refuses(
        "args = [\"receive\", \"{received}\"]\nslots.received",
        "args = [\"receive\", \"{received}\", \"{snapshot}\"]\nslots.snapshot = { type = \"gib\" }\nslots.received",
        "is of another type than that of 'send'",
    );
}

#[test]
fn kernel_roots_hold_numbers_and_are_never_written() {
    refuses(
        "paths = [\"qgroups/0_{number}/referenced\"]",
        "paths = [\"qgroups/{share}\"]",
        "knows nothing of shares",
    );
    refuses(
        "paths = [\"{share}\"]",
        "paths = [\"{share}\", \"x{number}\"]",
        "stands only in a root with use",
    );
    refuses(
        "root = \"shares\", pattern = [\"{share}@received\"]",
        "root = \"kernel\", pattern = [\"{share}@received\"]",
        "only files.read-kernel reaches into it",
    );
    refuses("pattern = [\"{share}@received\"]", "pattern = [\"{managed}\"]", "nobody owns yet");
    refuses("kind = \"new-inside\", root", "kind = \"existing\", root", "is not a path of kind 'new'");
}
