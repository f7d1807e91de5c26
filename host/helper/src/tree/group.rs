//! Cgroups of version 2: `bulkhead-PROCESS-START-NAMESPACE/command-N` below the helper's own. What a helper that was killed left there is
//! ended by the next one of its process namespace: of another's numbers nobody can say here whether they live.

use super::Left;
use super::mark::{is_alive, start_of};
use rustix::fd::OwnedFd;
use rustix::fs::{Access, CWD, Mode, OFlags, access, openat, stat};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processes of one command, where the controller is there.
const MOST_PROCESSES: &str = "512";
const PREFIX: &str = "bulkhead-";
/// How often and how long it is waited for a killed service's cgroup to become empty.
const ENDING_ROUNDS: u32 = 100;
const ENDING_PAUSE: Duration = Duration::from_millis(2);

/// The helper's cgroups. The directory is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Groups {
    directory: PathBuf,
}

impl Groups {
    /// Make the helper's directory and try it: a process must be able to move into it and out again. None if it cannot be.
    pub(super) fn make() -> Option<Self> {
        let own = own_directory()?;
        let groups = Self::make_directory(&own)?;
        let moves = fs::write(groups.directory.join("cgroup.procs"), "0").is_ok()
            && fs::write(own.join("cgroup.procs"), "0").is_ok();
        if !moves {
            return None;
        }
        // Without the controller commands are bounded by their own limits alone; then the file is not there.
        let _no_controller = fs::write(groups.directory.join("cgroup.subtree_control"), "+pids").is_err();
        Some(groups)
    }

    /// Whether a directory could be made and entered. Moves nobody.
    pub(super) fn are_possible() -> bool {
        let Some(own) = own_directory() else { return false };
        let enters = access(own.join("cgroup.procs"), Access::WRITE_OK).is_ok();
        enters && Self::make_directory(&own).is_some()
    }

    fn make_directory(own: &Path) -> Option<Self> {
        let (helper, namespace) = (getpid(), own_namespace()?);
        let start = start_of(helper)?;
        let directory = own.join(format!("{PREFIX}{}-{start}-{namespace}", helper.as_raw_pid()));
        match fs::create_dir(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(_) => return None,
        }
        let groups = Self { directory };
        groups.directory.join("cgroup.kill").exists().then_some(groups)
    }

    pub(super) fn make_one(&self, place: usize) -> Option<Group> {
        let group = Group { directory: self.directory.join(format!("command-{place}")) };
        match fs::create_dir(&group.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(_) => return None,
        }
        let _no_controller = fs::write(group.directory.join("pids.max"), MOST_PROCESSES).is_err();
        Some(group)
    }

    /// End the cgroups of helpers that are dead.
    pub(super) fn end_strays(&self) -> Left {
        let beside = self.directory.parent().and_then(|own| fs::read_dir(own).ok());
        let Some(own) = own_namespace() else { return Left::Nothing };
        let mut left = Left::Nothing;
        for entry in beside.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_dead = |(helper, start, namespace)| namespace == own && !is_alive(helper, start);
            if name.to_str().and_then(helper_of).is_some_and(is_dead) && end(&entry.path()) == Left::Something
            {
                left = Left::Something;
            }
        }
        left
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ended_by_the_next_helper = end(&self.directory);
    }
}

/// Where the cgroups of services stand, below the cgroup of whichever helper made them.
const SERVICES: &str = "bulkhead-services";

/// A cgroup for what outlives this helper; none where none can be made. Who is to be in it writes itself into its `cgroup.procs`.
pub(crate) fn make_service_group(name: &str) -> Option<PathBuf> {
    let directory = own_directory()?.join(SERVICES).join(name);
    match fs::create_dir_all(&directory) {
        Ok(()) if directory.join("cgroup.kill").exists() => Some(directory),
        _ => None,
    }
}

/// End everything in such a cgroup and remove it, as far as the kernel lets go of it at once.
pub(crate) fn end_service_group(name: &str) {
    let Some(services) = own_directory().map(|own| own.join(SERVICES)) else { return };
    let directory = services.join(name);
    for _ in 0..ENDING_ROUNDS {
        if end(&directory) == Left::Nothing {
            break;
        }
        std::thread::sleep(ENDING_PAUSE);
    }
    let _others_are_in_it = fs::remove_dir(&services).is_err();
}

fn helper_of(name: &str) -> Option<(Pid, u64, u64)> {
    let (helper, rest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let (start, namespace) = rest.split_once('-')?;
    Some((Pid::from_raw(helper.parse().ok()?)?, start.parse().ok()?, namespace.parse().ok()?))
}

/// The process namespace that this process's numbers are of.
fn own_namespace() -> Option<u64> {
    stat("/proc/self/ns/pid").ok().map(|status| status.st_ino)
}

/// One command's cgroup.
#[derive(Debug)]
pub(super) struct Group {
    directory: PathBuf,
}

impl Group {
    pub(super) fn entrance(&self) -> Result<OwnedFd, Errno> {
        openat(CWD, self.directory.join("cgroup.procs"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    }

    pub(super) fn end(&self) -> Left {
        end(&self.directory)
    }
}

/// Kill everything in a cgroup and remove it; removing succeeds only once nobody is in it.
fn end(directory: &Path) -> Left {
    if fs::remove_dir(directory).is_ok() || !directory.exists() {
        return Left::Nothing;
    }
    let _refused = fs::write(directory.join("cgroup.kill"), "1").is_err();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && end(&entry.path()) == Left::Something {
            return Left::Something;
        }
    }
    if fs::remove_dir(directory).is_ok() { Left::Nothing } else { Left::Something }
}

/// The directory of this process's own cgroup, where version 2 is mounted.
fn own_directory() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (root, mount) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        after.starts_with("cgroup2 ").then_some((fields.next()?, fields.next()?))
    })?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(mount).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_names_its_helper() {
        assert_eq!(helper_of("bulkhead-12-345-6"), Pid::from_raw(12).map(|helper| (helper, 345, 6)));
        assert_eq!(helper_of("bulkhead-12-345"), None);
        assert_eq!(helper_of("bulkhead-x-1"), None);
        assert_eq!(helper_of("user.slice"), None);
    }
}
