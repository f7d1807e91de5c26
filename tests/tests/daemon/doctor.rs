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
