//! What stands and runs on a machine, so that what a story left behind is seen: processes, mounts in any namespace, namespaces,
//! loop devices, cgroups, subvolumes.

use crate::cgroup;
use crate::pool::{self, Pool};
use anyhow::ensure;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a thing that was told to go may take.
const GOING: Duration = Duration::from_secs(10);

/// Everything there is, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Look around on the machine with this folder.
    pub fn take(folder: &Path, pools: &[&Pool]) -> anyhow::Result<Self> {
        let mut lines = BTreeSet::new();
        for id in processes() {
            if let Some(name) = name_of(id) {
                lines.insert(format!("process {id} {name}"));
            }
            for kind in ["net", "mnt", "pid", "ipc", "uts", "cgroup", "user"] {
                if let Ok(namespace) = fs::read_link(format!("/proc/{id}/ns/{kind}")) {
                    lines.insert(format!("namespace {}", namespace.display()));
                }
            }
            lines.extend(mounts(id, folder));
        }
        lines.extend(
            pool::loop_devices_below(folder)?.into_iter().map(|device| format!("loop device {device}")),
        );
        if let Some(own) = cgroup::own_directory() {
            lines.extend(cgroup::below(&own).iter().map(|group| format!("cgroup {}", group.display())));
        }
        for pool in pools {
            let named = |path| format!("subvolume {path} of {}", pool.path().display());
            lines.extend(pool.subvolumes()?.into_iter().map(named));
        }
        Ok(Self(lines))
    }

    /// Wait until nothing is there that was not there at `earlier`; fail with what is.
    pub async fn expect_nothing_since(earlier: &Self, folder: &Path, pools: &[&Pool]) -> anyhow::Result<()> {
        Self::expect_nothing_but(|_| false, earlier, folder, pools).await
    }

    /// The same, lines aside that `is_known` knows.
    pub async fn expect_nothing_but(
        is_known: impl Fn(&str) -> bool,
        earlier: &Self,
        folder: &Path,
        pools: &[&Pool],
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let now = Self::take(folder, pools)?;
            let left: Vec<&String> = now.0.difference(&earlier.0).filter(|line| !is_known(line)).collect();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(began.elapsed() < GOING, "left behind: {left:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The lines that begin so.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(move |line| line.starts_with(kind))
    }
}

/// The ids of all processes of this machine.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The ids of the running processes of a program, by the name of its file.
#[must_use]
pub fn processes_of(program: &str) -> Vec<u32> {
    processes().into_iter().filter(|id| name_of(*id).is_some_and(|name| name == program)).collect()
}

/// The file's name of the program that a process runs; none if it has ended. What processes call themselves says less: those that were
/// started through a descriptor are called by its number.
fn name_of(id: u32) -> Option<String> {
    let program = fs::read_link(format!("/proc/{id}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    (!is_ended(id)).then_some(name)
}

fn is_ended(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X'))
}

/// What a process sees mounted from or below a folder, with its namespace.
fn mounts(id: u32, folder: &Path) -> Vec<String> {
    let Ok(namespace) = fs::read_link(format!("/proc/{id}/ns/mnt")) else { return Vec::new() };
    let table = fs::read_to_string(format!("/proc/{id}/mountinfo")).unwrap_or_default();
    let folder = folder.to_string_lossy();
    let ours = |line: &&str| line.contains(&*folder) || line.contains(" - btrfs ");
    table
        .lines()
        .filter(ours)
        .filter_map(|line| line.split_once(' '))
        .map(|(_, line)| format!("mount in {}: {line}", namespace.display()))
        .collect()
}
