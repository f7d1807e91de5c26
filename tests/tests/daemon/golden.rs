//! What a reviewer reads of the reference drivers, word for word. After a change that is meant: `BLESS=1 cargo xtask test`.

use bulkhead_tests::programs;
use std::process::Command;

/// What `inspect` says of a driver of this repository, compared with what was said before.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment to rewrite its golden file")]
fn inspected(driver: &str) -> String {
    let output = Command::new(programs::program("bulkhead").expect("built"))
        .args(["driver", "inspect"])
        .arg(programs::guest(driver).expect("built"))
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // Size and digest of the bytes change with every compiler; what the driver may do does not.
    let shown: String = text
        .lines()
        .filter(|line| !line.starts_with("  digest ") && !line.starts_with("  size "))
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    let golden = programs::repository().join("drivers").join(driver).join("inspect.txt");
    if std::env::var("BLESS").is_ok() {
        std::fs::write(&golden, &shown).expect("written");
    }
    assert_eq!(
        shown,
        std::fs::read_to_string(&golden).unwrap_or_default(),
        "after a change that is meant: BLESS=1"
    );
    shown
}

#[test]
fn inspect_of_directory_states_every_path_and_program_it_can_reach() {
    let shown = inspected("directory");
    for reached in ["{share}", "{share}@{snapshot}", "cp --archive", "{share}.exports"] {
        assert!(shown.contains(reached), "{reached} is not stated");
    }
}

#[test]
fn inspect_of_memory_states_that_it_reaches_nothing_but_private_data() {
    let shown = inspected("memory");
    assert!(
        shown.contains("what is given out of each pool"),
        "the reason for data of the backend is not stated"
    );
    for absent in ["programs it runs", "paths it reaches", "\ncommands\n", "files it writes"] {
        assert!(!shown.contains(absent), "{absent}");
    }
}

#[test]
fn inspect_of_rest_appliance_states_every_request_login_token_and_the_endpoint() {
    let shown = inspected("rest-appliance");
    let reached = [
        "logs in with POST /api/session",
        "cookie sid of the answer goes into cookie sid of every request",
        "DELETE /api/volumes/{volume}",
        "request delete-volume destroys what the array has under the call's own name",
        "request read-system reaches the whole backend",
        "access rules of the call, as a JSON array",
    ];
    for reached in reached {
        assert!(shown.contains(reached), "{reached} is not stated");
    }
    assert!(!shown.contains("programs it runs") && !shown.contains("paths it reaches"));
}

#[test]
fn inspect_of_btrfs_ganesha_states_every_program_argument_path_service_and_file_text() {
    let shown = inspected("btrfs-ganesha");
    let reached = [
        "btrfs subvolume delete",
        "ganesha.nfsd -F -f",
        "rpcbind -f",
        "dbus-daemon --config-file=",
        "/run/exports/{share}",
        "Export_Id = {id};",
        "RemoveExport",
        "send-increment",
        "exports/{share}.conf",
    ];
    for reached in reached {
        assert!(shown.contains(reached), "{reached} is not stated");
    }
}

#[test]
fn inspect_of_btrfs_netns_states_the_network_that_each_share_server_has() {
    let shown = inspected("btrfs-netns");
    let reached = [
        "one of each share server",
        "a network of its own: the share server's addresses, on the bridges that the grant names",
        "group ganesha stands in the tenant's network with each share server's addresses",
        "{server}/exports/{share}.conf",
        "ganesha.nfsd -F -f",
    ];
    for reached in reached {
        assert!(shown.contains(reached), "{reached} is not stated");
    }
    assert!(!shown.contains("replication/"), "it replicates nothing");
}
