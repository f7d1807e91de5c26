//! A machine on the other side of SSH: OpenSSH's server, a pool and whatever the helper starts, in mount and process namespaces of their
//! own. To be made inside a [`machine`](crate::machine): it shares that one's network.

use crate::programs;
use crate::ssh_server::{SshServer, make_key};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Its port.
const PORT: u16 = 2222;

/// The machine. It ends when this is dropped, with all that runs there.
#[derive(Debug)]
pub struct Far {
    folder: PathBuf,
    process: Child,
    server: SshServer,
}

impl Far {
    /// Start one below `folder`, with a pool of `pool_gib` and these directories in it. None, with a word why, where there is no SSH server.
    pub fn start(folder: &Path, pool_gib: u64, directories: &[&str]) -> anyhow::Result<Option<Self>> {
        let folder = folder.join("far");
        fs::create_dir_all(folder.join("here"))?;
        let Some(server) = SshServer::configure(&folder, PORT, "")? else { return Ok(None) };
        let at = |name: &str| folder.join(name).display().to_string();
        let mut make_pool = vec!["backend".to_owned(), "make-pool".to_owned()];
        make_pool.extend(["--size-gib".to_owned(), pool_gib.to_string()]);
        for directory in directories {
            make_pool.extend(["--directory".to_owned(), (*directory).to_owned()]);
        }
        make_pool.extend(["--at".to_owned(), at("here/pool"), at("pool.img")]);
        let script = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount -t tmpfs tmpfs \"$0\" \
                      && chmod 755 \"$0\" && mkdir -p \"$0/config/exports\" \"$0/pool\" && program=$1 && shift && configuration=$1 && shift \
                      && \"$program\" \"$@\" >&2 && echo ready && exec /usr/sbin/sshd -D -e -f \"$configuration\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]);
        command
            .arg(at("here"))
            .arg(programs::program("bulkhead")?)
            .arg(server.configuration())
            .args(make_pool);
        let log = fs::File::create(folder.join("log"))?;
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut said = [0; 6];
        let ready = process.stdout.as_mut().context("no output")?.read_exact(&mut said);
        let far = Self { folder, process, server };
        ready.with_context(|| format!("it is not ready: {}", far.log()))?;
        far.server.wait().with_context(|| far.log())?;
        Ok(Some(far))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A directory that only this machine sees.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        self.folder.join("here").join(name)
    }

    /// What the kernel tells about its pool.
    pub fn kernel(&self) -> anyhow::Result<PathBuf> {
        let image = self.folder.join("pool.img");
        let output = Command::new("blkid").args(["-p", "-s", "UUID", "-o", "value"]).arg(image).output()?;
        ensure!(output.status.success(), "blkid: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Path::new("/sys/fs/btrfs").join(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// `[ssh.far]`, with this host key or the machine's own.
    pub fn table(&self, host_key: Option<&str>) -> anyhow::Result<String> {
        Ok(format!(
            "{}helper = {:?}\nruntime = {:?}\n",
            self.server.table("far", host_key),
            programs::program("bulkhead-helper")?,
            self.directory("runtime"),
        ))
    }

    /// The key that its server shows.
    #[must_use]
    pub fn host_key(&self) -> &str {
        self.server.host_key()
    }

    /// A public key that is not its server's.
    pub fn another_key(&self) -> anyhow::Result<String> {
        make_key(&self.folder.join("another"))
    }

    /// What a shell on it writes, in the directory that only it sees.
    pub fn shell(&self, script: &str) -> anyhow::Result<String> {
        let output = Command::new("nsenter")
            .args(["--target", &self.first()?, "--mount", "--pid", "--", "sh", "-ec", script])
            .env("AT", self.folder.join("here"))
            .output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Let its SSH server answer nobody any more, until it is resumed.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Let it answer again.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let server = Pid::from_raw(self.first()?.parse()?).context("no process")?;
        Ok(kill_process(server, signal)?)
    }

    /// Its first process, as it is known here.
    fn first(&self) -> anyhow::Result<String> {
        let outside = self.process.id();
        let children = fs::read_to_string(format!("/proc/{outside}/task/{outside}/children"))?;
        Ok(children.trim().to_owned())
    }

    /// Cut every connection to it, as a switch that loses power does for both sides; the server goes on.
    pub fn cut(&self) -> anyhow::Result<()> {
        self.shell("pkill -KILL -f '^sshd: root' || true").map(drop)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ended_already = self.process.kill().is_err() || self.process.wait().is_err();
    }
}
