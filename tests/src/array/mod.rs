//! An array with a command line of its own, behind OpenSSH's server: it runs what an exec asks for, and has a shell for people, with a
//! greeting, the echo of a real terminal, a prompt, and a pager that wants a key.

use crate::ssh_server::{SSHD, SshServer};
use anyhow::Context;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// What its shell says while it waits.
pub const PROMPT: &str = "array> ";
/// What stops its output.
pub const PAGER: &str = "--More--";

/// The array. It ends when this is dropped.
#[derive(Debug)]
pub struct Array {
    folder: tempfile::TempDir,
    server: SshServer,
    process: Child,
}

impl Array {
    /// Start one without volumes. None, with a word why, where there is no SSH server.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("bulkhead-array-").tempdir()?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(at("volumes"))?;
        fs::write(at("command-line"), include_str!("command-line.sh"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let command = format!("ForceCommand exec sh {} {}\n", at("command-line"), folder.path().display());
        let Some(server) = SshServer::configure(&folder.path().join("ssh"), port, &command)? else {
            return Ok(None);
        };
        // The server wants a directory of its own there.
        let script = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec \"$0\" -D -e -f \"$1\"";
        let mut process = Command::new("unshare");
        process.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            script,
            SSHD,
        ]);
        let log = fs::File::create(folder.path().join("log"))?;
        let process = process.arg(server.configuration()).stdout(Stdio::null()).stderr(log).spawn()?;
        let array = Self { folder, server, process };
        array.server.wait().with_context(|| array.log())?;
        Ok(Some(array))
    }

    /// Its SSH server.
    #[must_use]
    pub const fn server(&self) -> &SshServer {
        &self.server
    }

    /// What its SSH server says.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `[ssh.NAME]` for its shell for people.
    #[must_use]
    pub fn shell_table(&self, name: &str) -> String {
        let dialogue = format!("prompt = {PROMPT:?}\npager = {PAGER:?}\nerrors = [\"Error:\"]\n");
        format!("{}{dialogue}", self.server.table(name, None))
    }

    /// `[ssh.NAME]` for what it runs by exec.
    #[must_use]
    pub fn exec_table(&self, name: &str) -> String {
        format!("{}quoting = \"posix\"\n", self.server.table(name, None))
    }

    /// The names of its volumes.
    pub fn volumes(&self) -> anyhow::Result<Vec<String>> {
        let entries = fs::read_dir(self.folder.path().join("volumes"))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Whom a volume lets in, a line for each.
    pub fn clients(&self, volume: &str) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.volume(volume).join("clients"))?)
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.folder.path().join("volumes").join(name)
    }

    /// Let the link be lost right after the next command of this verb has done its work.
    pub fn vanish_after(&self, verb: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.folder.path().join(format!("vanish-{verb}")), "")?)
    }

    /// Whether a link was lost as [`Array::vanish_after`] asked.
    #[must_use]
    pub fn has_vanished(&self, verb: &str) -> bool {
        !self.folder.path().join(format!("vanish-{verb}")).exists()
    }

    /// Every line that it was told, oldest first.
    pub fn told(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("told"))?)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        let _ended_already = self.process.kill().is_err() || self.process.wait().is_err();
    }
}
