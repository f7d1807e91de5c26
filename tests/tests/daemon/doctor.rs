//! `bulkhead doctor`: what a machine lacks is told before anything is started, with what to do.

use bulkhead_tests::programs::{guest, program};
use std::process::{Command, Output};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_machine_that_cannot_make_namespaces_for_services_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can let go of a capability that it would have");
        return;
    }
    let (bulkhead, driver) = (program("bulkhead").expect("built"), guest("btrfs-ganesha").expect("built"));
    let here = Command::new(&bulkhead).arg("doctor").arg(&driver).output().expect("started");
    assert!(told(&here).contains("ok       services can have namespaces of their own"), "{}", told(&here));
    let without = Command::new("setpriv")
        .args(["--bounding-set", "-sys_admin"])
        .args([bulkhead.as_os_str(), "doctor".as_ref(), driver.as_os_str()])
        .output()
        .expect("started");
    assert!(told(&without).contains("LACKS    namespaces for services"), "{}", told(&without));
    assert_eq!(without.status.code(), Some(1));
}

#[test]
fn a_backend_that_makes_share_servers_and_has_no_address_for_them_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bulkhead, driver) = (program("bulkhead").expect("built"), guest("memory").expect("built"));
    std::fs::create_dir(folder.path().join("backends")).expect("a folder");
    let configuration = folder.path().join("bulkhead.toml");
    std::fs::write(&configuration, "state-directory = \"state\"\nbackend-directory = \"backends\"\n")
        .expect("written");
    let found = |makes_servers: bool, networks: &str| {
        let text = format!(
            "driver = {:?}\n[options]\ndriver_handles_share_servers = {makes_servers}\n{networks}\n",
            driver.display().to_string()
        );
        std::fs::write(folder.path().join("backends/nas1.toml"), text).expect("written");
        let doctor = Command::new(&bulkhead).args(["doctor", "--config"]).arg(&configuration).output();
        told(&doctor.expect("started"))
    };
    let bound = |label: &str| format!("[[grant.networks.{label}]]\ngateway = \"10.0.0.1\"\nmask = 24\n");
    let no_address = "note     no address for a share server";
    for (networks, remedy) in [
        (String::new(), "there is no [[grant.networks.user]]"),
        (bound("admin"), "there is no [[grant.networks.user]]"),
        (format!("[grant.networks]\nmost-addresses = 0\n{}", bound("user")), "raise most-addresses"),
    ] {
        let found = found(true, &networks);
        assert!(found.contains(no_address) && found.contains(remedy), "{networks}: {found}");
    }
    for (makes_servers, networks) in [(true, bound("user")), (false, String::new())] {
        let found = found(makes_servers, &networks);
        assert!(found.contains("backend nas1: memory") && !found.contains(no_address), "{found}");
    }
}

#[test]
fn a_pool_that_is_not_there_is_told_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bulkhead, driver) = (program("bulkhead").expect("built"), guest("btrfs-ganesha").expect("built"));
    std::fs::create_dir(folder.path().join("backends")).expect("a folder");
    let file = folder.path().join("backends/nas1.toml");
    let made = Command::new(&bulkhead).args(["backend", "init", "--output"]).args([&file, &driver]).output();
    assert!(made.expect("started").status.success());
    let configuration = folder.path().join("bulkhead.toml");
    std::fs::write(&configuration, "state-directory = \"state\"\nbackend-directory = \"backends\"\n")
        .expect("written");
    let found = Command::new(&bulkhead).args(["doctor", "--config"]).arg(&configuration).output();
    let found = told(&found.expect("started"));
    assert!(found.contains("bulkhead backend make-pool"), "{found}");
    assert_eq!(found.matches("LACKS    root pool").count(), 1, "{found}");
    assert!(found.contains("/sys/fs/btrfs/UUID"), "{found}");
}

/// What a configuration with a backend of `btrfs-netns` is told whose networks are these, on a machine whose network is made by `script`.
fn told_of_networks(script: &str, networks: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let (bulkhead, driver) = (program("bulkhead").expect("built"), guest("btrfs-netns").expect("built"));
    std::fs::create_dir(folder.path().join("backends")).expect("a folder");
    let configuration = folder.path().join("bulkhead.toml");
    std::fs::write(&configuration, "state-directory = \"state\"\nbackend-directory = \"backends\"\n")
        .expect("written");
    let text = format!("driver = {:?}\n{networks}", driver.display().to_string());
    std::fs::write(folder.path().join("backends/nas1.toml"), text).expect("written");
    let script = format!("set -e; mount -t tmpfs tmpfs /run; {script}; exec \"$0\" doctor --config \"$1\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "sh", "-c", &script]);
    told(&command.args([&bulkhead, &configuration]).output().expect("started"))
}

#[test]
fn a_bridge_that_share_servers_cannot_use_is_told_with_what_to_type() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root makes bridges");
        return;
    }
    let script = "ip netns add blue; ip -n blue link add br0 type bridge; ip -n blue link set br0 up; \
                  ip link add br1 type bridge; ip link add plain type veth peer name other";
    let bound = |label: &str, gateway: &str, mask: u8, plug: &str| {
        format!("[[grant.networks.{label}]]\ngateway = \"{gateway}\"\nmask = {mask}\n{plug}\n")
    };
    let networks = [
        bound("user", "10.0.0.1", 24, "bridge = \"br0\"\nnamespace = \"blue\""),
        bound("user", "fd00::1", 64, "bridge = \"br1\""),
        bound("admin", "10.1.0.1", 24, "bridge = \"plain\""),
        bound("admin", "fd01::1", 64, "bridge = \"br0\"\nnamespace = \"red\""),
    ];
    let found = told_of_networks(script, &networks.concat());
    for line in [
        "ok       bridge 'br0' of network namespace 'blue' is there for 10.0.0.0/24",
        "LACKS    bridge 'br1' for fd00::/64: it is down",
        "type: ip link set br1 up",
        "LACKS    bridge 'plain' for 10.1.0.0/24: that device is no bridge",
        "LACKS    network namespace red",
        "ip netns add red && ip -n red link add br0 type bridge && ip -n red link set br0 up",
    ] {
        assert!(found.contains(line), "{line} is missing in {found}");
    }
    let networks = [
        bound("user", "10.0.0.1", 24, "bridge = \"br0\"\nnamespace = \"blue\"\nmtu = 9000"),
        bound("admin", "10.1.0.1", 24, "bridge = \"br9\""),
    ];
    let found = told_of_networks(script, &networks.concat());
    for line in [
        "it takes packets of 1500 bytes, the network has 9000",
        "ip -n blue link set br0 mtu 9000",
        "ip link add br9 type bridge && ip link set br9 up",
    ] {
        assert!(found.contains(line), "{line} is missing in {found}");
    }
}

/// The loader and `doctor` agree on what a driver's servers are plugged into.
#[test]
fn networks_that_a_backend_would_not_load_with_are_told_and_no_others() {
    let (bulkhead, driver) = (program("bulkhead").expect("built"), guest("btrfs-netns").expect("built"));
    let told_with = |pins: bool, networks: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let backends = folder.path().join("backends");
        std::fs::create_dir(&backends).expect("a folder");
        let file = backends.join("nas1.toml");
        let mut init = Command::new(&bulkhead);
        let made = init.args(["backend", "init", "--output"]).args([&file, &driver]).output();
        assert!(made.expect("started").status.success());
        let granted = std::fs::read_to_string(&file).expect("read");
        let bare = format!("driver = {:?}\n", driver.display().to_string());
        let text = if pins { granted } else { bare };
        std::fs::write(&file, format!("{text}\n{networks}")).expect("written");
        let configuration = folder.path().join("bulkhead.toml");
        let own = "state-directory = \"state\"\nbackend-directory = \"backends\"\n";
        std::fs::write(&configuration, own).expect("written");
        told(
            &Command::new(&bulkhead)
                .args(["doctor", "--config"])
                .arg(configuration)
                .output()
                .expect("started"),
        )
    };
    let user = "[[grant.networks.user]]\ngateway = \"10.0.0.1\"\nmask = 24\nbridge = \"br0\"\n";
    let admin = "[[grant.networks.admin]]\ngateway = \"10.1.0.1\"\nmask = 24\n";
    let found = told_with(true, &format!("{user}{admin}"));
    assert!(found.contains("LACKS    sound networks: grant.networks.admin[0] names no bridge"), "{found}");
    let found = told_with(true, "");
    assert!(found.contains("LACKS    a network for share servers"), "{found}");
    for (pins, networks) in [(true, user), (false, admin), (false, "")] {
        let found = told_with(pins, networks);
        assert!(!found.contains("sound networks") && !found.contains("a network for"), "{found}");
    }
}
