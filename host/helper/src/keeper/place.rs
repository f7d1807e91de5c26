//! The runtime directory: where keepers are found again. A keeper has a socket and a record of which process it is.

use crate::network::Pair;
use crate::protocol::GroupKey;
use crate::socket::connect_at_once;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The directory of everything that outlives a helper. Private to its user.
#[derive(Debug)]
pub struct Runtime {
    directory: OwnedFd,
    path: PathBuf,
}

impl Runtime {
    /// Open the directory at `path`, made with mode 0700 if it is missing. Fails with `PERM` if others may enter it.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        let status = fstat(&directory)?;
        if status.st_mode & 0o077 != 0 || status.st_uid != geteuid().as_raw() {
            return Err(Errno::PERM);
        }
        let path =
            std::path::absolute(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self { directory, path })
    }

    /// A short way to a file in it: a socket's path has at most 107 bytes.
    fn way(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()))
    }

    /// Connect to the keeper of a group. None if nobody listens; fails with `AGAIN` if it takes nobody in.
    pub(super) fn connect(&self, group: &GroupKey) -> Result<Option<UnixStream>, Errno> {
        match connect_at_once(&self.way(&socket_name(group))) {
            Ok(stream) => Ok(Some(stream)),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A socket for a new keeper; that of a dead one goes.
    pub(super) fn listen(&self, group: &GroupKey) -> Result<UnixListener, Errno> {
        self.forget(group);
        UnixListener::bind(self.way(&socket_name(group)))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Where a new keeper writes down which process it is: an absolute path, which another process takes.
    pub(super) fn record(&self, group: &GroupKey) -> PathBuf {
        self.path.join(record_name(group))
    }

    /// The keeper of a group, if it is the process that was written down and runs.
    #[must_use]
    pub fn keeper_of(&self, group: &GroupKey) -> Option<rustix::process::Pid> {
        let text = fs::read_to_string(self.record(group)).ok()?;
        Identity::parse(&text)?.running()
    }

    /// The name of a group's cgroup: another directory's group of the same name is another group.
    pub(super) fn control_group(&self, group: &GroupKey) -> String {
        name(&[&self.path.to_string_lossy(), &group_parts(group).join("/")])
    }

    /// Write down which directories a group that is about to be made has of its own.
    pub(super) fn note_directories(&self, group: &GroupKey, tmpfs: &BTreeSet<String>) -> std::io::Result<()> {
        fs::write(self.path.join(directories_name(group)), serde_json::to_vec(tmpfs)?)
    }

    /// The directories that a group has of its own, as they were written down when it was made.
    pub(super) fn directories_of(&self, group: &GroupKey) -> Option<BTreeSet<String>> {
        serde_json::from_slice(&fs::read(self.path.join(directories_name(group))).ok()?).ok()
    }

    /// Where it stands of what a group's own network is made: an absolute path, which another process takes.
    pub(super) fn network(&self, group: &GroupKey) -> PathBuf {
        self.path.join(network_name(group))
    }

    /// Write down of what the network is made of a group that is about to be made.
    pub(super) fn note_network(&self, group: &GroupKey, pairs: &[Pair]) -> std::io::Result<()> {
        fs::write(self.network(group), serde_json::to_vec(pairs)?)
    }

    /// Of what a group's own network is made, as it was written down; nothing for the machine's.
    pub(super) fn network_of(&self, group: &GroupKey) -> Vec<Pair> {
        let text = fs::read(self.network(group)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Why the keeper of a group could not begin, if it said so.
    pub(super) fn failure_of(&self, group: &GroupKey) -> Option<String> {
        fs::read_to_string(failure_beside(&self.record(group))).ok()
    }

    /// Remove what a dead keeper left.
    pub(super) fn forget(&self, group: &GroupKey) {
        let names = [socket_name, record_name, directories_name, network_name, failure_name];
        for name in names.map(|name| name(group)) {
            let _was_not_there = unlinkat(&self.directory, name, rustix::fs::AtFlags::empty()).is_err();
        }
    }
}

/// The name of a group's files: short, of letters and digits, its own.
fn name_of(group: &GroupKey) -> String {
    name(&group_parts(group))
}

fn group_parts(group: &GroupKey) -> [&str; 3] {
    [group.backend.as_str(), group.group.as_str(), group.instance.as_deref().unwrap_or("")]
}

/// FNV-1a over all parts, twice with other beginnings: short names for paths, not a secret.
fn name(parts: &[&str]) -> String {
    let mut name = String::new();
    for begin in [0xcbf2_9ce4_8422_2325_u64, 0x9ae1_6a3b_2f90_404f] {
        let mut hash = begin;
        for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let _never_fails = write!(name, "{hash:016x}").is_err();
    }
    name
}

fn socket_name(group: &GroupKey) -> String {
    format!("{}.socket", name_of(group))
}

fn record_name(group: &GroupKey) -> String {
    format!("{}.keeper", name_of(group))
}

fn directories_name(group: &GroupKey) -> String {
    format!("{}.tmpfs", name_of(group))
}

fn network_name(group: &GroupKey) -> String {
    format!("{}.network", name_of(group))
}

fn failure_name(group: &GroupKey) -> String {
    format!("{}.{FAILURE}", name_of(group))
}

/// What the file with the reason of a failure ends with.
const FAILURE: &str = "failure";

/// Where the keeper with this record says why it could not begin.
pub(super) fn failure_beside(record: &Path) -> PathBuf {
    record.with_extension(FAILURE)
}

/// Which process, on which start of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    process: i32,
    start: u64,
    boot: String,
}

impl Identity {
    /// Of a process that runs.
    pub(super) fn of(process: i32) -> Option<Self> {
        let number = rustix::process::Pid::from_raw(process)?;
        Some(Self { process, start: crate::tree::start_of(number)?, boot: boot()? })
    }

    pub(super) fn text(&self) -> String {
        format!("{} {} {}\n", self.process, self.start, self.boot)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (process, start) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { process, start, boot: words.next()?.to_owned() })
    }

    fn running(&self) -> Option<rustix::process::Pid> {
        let process = rustix::process::Pid::from_raw(self.process)?;
        let same =
            boot().is_some_and(|boot| boot == self.boot) && crate::tree::is_running(process, self.start);
        same.then_some(process)
    }
}

/// Numbers of processes begin anew when the machine does.
fn boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(backend: &str, group: &str) -> GroupKey {
        GroupKey { backend: backend.to_owned(), group: group.parse().expect("a label"), instance: None }
    }

    #[test]
    fn every_group_has_a_short_name_of_its_own() {
        assert_eq!(name_of(&key("nas1", "nfs")), name_of(&key("nas1", "nfs")));
        assert_ne!(name_of(&key("nas1", "nfs")), name_of(&key("nas2", "nfs")));
        assert_ne!(name_of(&key("a", "bc")), name_of(&key("ab", "c")));
        assert_eq!(name_of(&key("nas1", "nfs")).len(), 32);
    }

    #[test]
    fn the_same_group_of_two_daemons_has_two_cgroups() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let of = |folder: &tempfile::TempDir| {
            Runtime::open(&folder.path().join("groups")).expect("private").control_group(&key("nas1", "nfs"))
        };
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
    }

    #[test]
    fn a_record_names_one_process_of_one_start_of_the_machine() {
        let own = Identity::of(rustix::process::getpid().as_raw_pid()).expect("it runs");
        assert_eq!(Identity::parse(&own.text()), Some(own.clone()));
        assert!(own.running().is_some());
        assert_eq!(Identity { start: own.start + 1, ..own.clone() }.running(), None);
        assert_eq!(Identity { boot: "another".to_owned(), ..own }.running(), None);
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runtime");
        assert!(Runtime::open(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("changed");
        assert!(matches!(Runtime::open(&path), Err(Errno::PERM)));
    }
}
