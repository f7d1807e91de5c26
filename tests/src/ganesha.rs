//! Ganesha by hand: what somebody with a shell on the server would do to it, past the daemon.

use crate::leftovers::processes_of;
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kill the only process of this name; its id.
pub fn kill_the(name: &str) -> anyhow::Result<u32> {
    let found = processes_of(name);
    ensure!(found.len() == 1, "there is not one {name}, but {found:?}");
    let id = found.first().copied().context("none")?;
    kill(id)?;
    Ok(id)
}

/// Kill all processes of this name; there may be none just now.
pub fn kill_all(name: &str) -> anyhow::Result<()> {
    processes_of(name).into_iter().try_for_each(kill)
}

/// Kill a process.
pub fn kill(id: u32) -> anyhow::Result<()> {
    let id = Pid::from_raw(i32::try_from(id)?).context("no process id")?;
    kill_process(id, Signal::KILL).context("it cannot be killed")
}

/// The keeper of a service: its parent.
pub fn keeper_of(service: u32) -> anyhow::Result<u32> {
    let status = std::fs::read_to_string(format!("/proc/{service}/status"))?;
    let parent =
        status.lines().find_map(|line| line.strip_prefix("PPid:")).context("a process without parent")?;
    Ok(parent.trim().parse()?)
}

/// Call a method of the export manager of the Ganesha with this process id; what it answered.
pub fn export_manager(ganesha: u32, method: &str, arguments: &[String]) -> anyhow::Result<String> {
    let output = Command::new("nsenter")
        .args(["--target", &ganesha.to_string(), "--mount", "dbus-send", "--print-reply"])
        .args(["--bus=unix:path=/run/dbus/system_bus_socket", "--dest=org.ganesha.nfsd"])
        .arg("/org/ganesha/nfsd/ExportMgr")
        .arg(format!("org.ganesha.nfsd.exportmgr.{method}"))
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The export files of a configuration root, with their texts, in order.
pub fn export_files(configuration: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in configuration.join("exports").read_dir()? {
        let path = entry?.path();
        found.push((path.clone(), std::fs::read_to_string(path)?));
    }
    found.sort();
    Ok(found)
}

/// The export's number that a file gives it.
pub fn export_id(text: &str) -> anyhow::Result<u16> {
    let (_, rest) = text.split_once("Export_Id = ").context("a file without an export's number")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}
