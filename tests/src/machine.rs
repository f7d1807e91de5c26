//! A machine of a test's own: the test's program runs once more in network, mount and process namespaces that end with it.
//!
//! Pools, NFS servers and the daemon need port 111, mounts and root, and tests run beside each other. So [`isolated`] starts the test's
//! own program again, through `unshare`, with the test's name; inside, a shell is process 1 and reaps orphans, as on every machine.
//! When the test ends, however it ends, the kernel ends all its processes, and with them its mounts, loop devices and addresses.

use anyhow::{Context, ensure};
use std::any::type_name;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the server of a lab listens.
pub const SERVER: &str = "10.77.0.1";
/// The same, version 6.
pub const SERVER_V6: &str = "fd77::1";
/// Clients. All are addresses of the machine's own loopback device.
pub const CLIENTS: [&str; 3] = ["10.77.0.11", "10.77.0.12", "10.77.1.13"];
/// Clients of version 6.
pub const CLIENTS_V6: [&str; 2] = ["fd77::11", "fd77:0:0:1::12"];

/// Tells the program inside which folder is the machine's.
const INSIDE: &str = "BULKHEAD_TEST_MACHINE";
/// Programs that this needs, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("ganesha.nfsd", "nfs-ganesha"),
    ("dbus-daemon", "dbus-daemon"),
    ("rpcbind", "rpcbind"),
];
/// `/usr/bin` first: what is in both is meant from there.
const PLACES: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// Run `body` on a machine of its own; say loudly why not where there can be none.
///
/// Its argument is the machine's folder. The test is known by its function: `body` must be a closure written in it. Fails as the test
/// does inside, with all that it printed.
pub fn isolated<F>(body: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(PathBuf) -> anyhow::Result<()>,
{
    if let Some(folder) = inside() {
        prepare(&folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return runtime.block_on(body(folder));
    }
    if let Some(reason) = lacking() {
        skipped(&reason);
        return Ok(());
    }
    let name = test_name::<F>();
    let machine = Machine::make().context("no machine for this test")?;
    let arguments = ["--exact", &name, "--include-ignored", "--nocapture", "--test-threads=1"];
    let output = machine.command(&arguments)?.output().context("the machine cannot be started")?;
    let [told, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "{name} failed on its machine ({}):\n{told}{errors}", output.status);
    ensure!(told.contains("test result: ok. 1 passed"), "{name} did not run on its machine:\n{told}{errors}");
    say(errors.trim_end());
    Ok(())
}

fn skipped(reason: &str) {
    say(&format!("SKIPPED: {reason}"));
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so, and one that measures says what")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// The test that a closure is written in, without its crate: `access::a_client_that_no_rule_names_is_refused`.
fn test_name<F>() -> String {
    let name = type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    name.split("::{{").next().unwrap_or(name).to_owned()
}

/// The folder of the machine that this program runs on; none on the machine of whoever called it.
#[must_use]
pub fn inside() -> Option<PathBuf> {
    std::env::var_os(INSIDE).map(PathBuf::from)
}

/// Why there can be no such machine here, and what to do; none if there can.
#[must_use]
pub fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(
            "this needs root, for namespaces and filesystems of its own: type it with sudo".to_owned(),
        );
    }
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|line| line.ends_with("btrfs")) && !loaded("btrfs") {
        return Some("this kernel has no btrfs".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() && !loaded("loop") {
        return Some("this kernel has no loop devices".to_owned());
    }
    let missing = PROGRAMS.iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        return Some(format!("programs are missing; type: apt-get install {}", packages.join(" ")));
    }
    if !Path::new("/usr/lib")
        .join(format!("{}-linux-gnu/ganesha/libfsalvfs.so", std::env::consts::ARCH))
        .exists()
    {
        return Some(
            "NFS-Ganesha cannot export directories; type: apt-get install nfs-ganesha-vfs".to_owned(),
        );
    }
    let unshared = Command::new("unshare").args(["--net", "--mount", "--pid", "--fork", "true"]).output();
    match unshared {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            Some(format!("namespaces cannot be made: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
        Err(error) => Some(format!("unshare cannot be started: {error}")),
    }
}

fn loaded(module: &str) -> bool {
    Command::new("modprobe").arg(module).output().is_ok_and(|output| output.status.success())
}

/// The file of a program.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(program)).find(|file| file.is_file())
}

/// A machine: its folder, and its cgroup where version 2 is there. Both go when it is dropped.
#[derive(Debug)]
pub struct Machine {
    folder: tempfile::TempDir,
    cgroup: Option<PathBuf>,
}

impl Machine {
    /// Make one. Nothing runs on it yet.
    pub fn make() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bulkhead-nfs-").tempdir()?;
        let name = folder.path().file_name().unwrap_or_default();
        let cgroup = crate::cgroup::own_directory().map(|own| own.join(name));
        let cgroup = cgroup.filter(|directory| fs::create_dir(directory).is_ok());
        Ok(Self { folder, cgroup })
    }

    /// This program, to be run on the machine.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let program = std::env::current_exe()?;
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ]);
        // The shell stays, as process 1: it waits for whoever loses its parent.
        command.args(["--mount-proc", "sh", "-c", "\"$@\"; exit $?", "sh"]).arg(program).args(arguments);
        command.env(INSIDE, self.folder.path()).env("TMPDIR", self.folder.path());
        Ok(command)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            // Its processes are dead, but the kernel may not have buried the last of them.
            let began = Instant::now();
            while !crate::cgroup::remove(cgroup) && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Make this process one of the machine's, with the machine's addresses. To be called inside, before anything is started.
pub fn prepare(folder: &Path) -> anyhow::Result<()> {
    if let Some(own) = crate::cgroup::own_directory() {
        let cgroup = own.join(folder.file_name().unwrap_or_default());
        if cgroup.is_dir() {
            fs::write(cgroup.join("cgroup.procs"), "0").context("the machine's cgroup cannot be entered")?;
        }
    }
    let ip = |words: &[&str]| {
        let output = Command::new("ip").args(words).output().context("ip cannot be started")?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "ip {} failed: {told}", words.join(" "));
        Ok(())
    };
    ip(&["link", "set", "lo", "up"])?;
    for address in [SERVER].iter().chain(&CLIENTS) {
        ip(&["address", "add", &format!("{address}/16"), "dev", "lo"])?;
    }
    for address in [SERVER_V6].iter().chain(&CLIENTS_V6) {
        ip(&["address", "add", &format!("{address}/48"), "dev", "lo", "nodad"])?;
    }
    Ok(())
}
