//! Where cgroups of version 2 are, and what is below one.

use std::fs;
use std::path::{Path, PathBuf};

/// The directory of this process's own cgroup; none where version 2 is not mounted.
#[must_use]
pub fn own_directory() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (root, mount) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        after.starts_with("cgroup2 ").then_some((fields.next()?, fields.next()?))
    })?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(mount).join(Path::new(path).strip_prefix(root).ok()?))
}

/// The cgroups below a directory, all the way down.
#[must_use]
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path()));
            found.push(entry.path());
        }
    }
    found
}

/// Remove a cgroup and all below it, which nobody must be in any more; whether it is gone.
#[must_use]
pub fn remove(directory: &Path) -> bool {
    for group in below(directory) {
        // Deepest first; one that is not empty yet is tried again with the next call.
        drop(fs::remove_dir(group));
    }
    fs::remove_dir(directory).is_ok() || !directory.exists()
}
