//! `bulkhead backend make-pool`: a filesystem at the operator's word, on real loop devices.

use bulkhead_tests::programs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Unmounts what a test mounted, whatever became of it.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // The loop device goes with its last mount.
        drop(Command::new("umount").arg(&self.0).output());
    }
}

fn make_pool(image: &Path, at: &Path) -> Output {
    Command::new(programs::program("bulkhead").expect("built"))
        .args(["backend", "make-pool", "--size-gib", "1", "--directory", "shares", "--at"])
        .args([at, image])
        .output()
        .expect("started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Why this machine cannot mount a btrfs filesystem; none if it can.
fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can mount filesystems".to_owned());
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.contains("btrfs") {
        return Some("this kernel has no btrfs".to_owned());
    }
    (!Path::new("/usr/bin/btrfs").exists() && !Path::new("/bin/btrfs").exists())
        .then(|| "btrfs-progs is not installed".to_owned())
}

#[test]
fn a_pool_is_made_once_mounted_again_and_never_formatted_twice() {
    if let Some(reason) = lacking() {
        eprintln!("SKIPPED: {reason}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (image, at) = (folder.path().join("pool.img"), folder.path().join("pool"));
    let _mounted = Mounted(at.clone());
    let made = make_pool(&image, &at);
    assert!(made.status.success(), "{}", told(&made));
    assert!(told(&made).contains("/etc/fstab"), "{}", told(&made));
    std::fs::write(at.join("shares/letter"), "kept").expect("the pool takes it");

    let again = make_pool(&image, &at);
    assert!(again.status.success() && told(&again).contains("is mounted at"), "{}", told(&again));

    drop(Mounted(at.clone()));
    assert!(!at.join("shares").exists(), "it is unmounted");
    let remounted = make_pool(&image, &at);
    assert!(remounted.status.success(), "{}", told(&remounted));
    assert_eq!(std::fs::read_to_string(at.join("shares/letter")).expect("it was not formatted"), "kept");

    let other = make_pool(&folder.path().join("other.img"), &at);
    assert_eq!(other.status.code(), Some(1));
    assert!(told(&other).contains("name another directory with --at"), "{}", told(&other));
}

#[test]
fn what_is_no_btrfs_filesystem_is_left_alone() {
    if let Some(reason) = lacking() {
        eprintln!("SKIPPED: {reason}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("letters");
    std::fs::write(&image, "somebody's letters").expect("a file");
    let refused = make_pool(&image, &folder.path().join("pool"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(told(&refused).contains("left alone"), "{}", told(&refused));
    assert_eq!(std::fs::read_to_string(&image).expect("it is there"), "somebody's letters");
}
