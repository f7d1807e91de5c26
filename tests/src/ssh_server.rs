//! OpenSSH's server for machines and arrays of tests: its keys and its configuration. Root logs in with a key, on the loopback address.

use anyhow::{Context, ensure};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The server.
pub const SSHD: &str = "/usr/sbin/sshd";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is configured, and not started.
#[derive(Debug)]
pub struct SshServer {
    folder: PathBuf,
    port: u16,
    host_key: String,
}

impl SshServer {
    /// Configure one below `folder`, with these further lines. None, with a word why, where there is no such server.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub fn configure(folder: &Path, port: u16, lines: &str) -> anyhow::Result<Option<Self>> {
        if !Path::new(SSHD).exists() || !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this needs root and an SSH server; type: apt-get install openssh-server");
            return Ok(None);
        }
        fs::create_dir_all(folder)?;
        let host_key = make_key(&folder.join("host"))?;
        let user_key = make_key(&folder.join("user"))?;
        fs::write(folder.join("authorized_keys"), format!("restrict,pty {user_key}\n"))?;
        let at = |name: &str| folder.join(name).display().to_string();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nPrintMotd no\nMaxStartups 100\n{lines}",
            at("host"),
            at("authorized_keys"),
        );
        fs::write(folder.join("sshd_config"), configuration)?;
        Ok(Some(Self { folder: folder.to_owned(), port, host_key }))
    }

    /// The file that it is started with.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("sshd_config")
    }

    /// Where it listens, on the loopback address.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The key that it shows.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// `[ssh.NAME]` up to how to log in, with this host key or the server's own.
    #[must_use]
    pub fn table(&self, name: &str, host_key: Option<&str>) -> String {
        format!(
            "[ssh.{name}]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"root\"\nhost-keys = [\"{}\"]\nkey = \"secret://file{}\"\n",
            self.port,
            host_key.unwrap_or(&self.host_key),
            self.folder.join("user").display(),
        )
    }

    /// Wait until it listens.
    pub fn wait(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            ensure!(began.elapsed() < PATIENCE, "the SSH server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Make a pair of keys at `file`; the public one.
pub fn make_key(file: &Path) -> anyhow::Result<String> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(file)
        .status()
        .context("ssh-keygen cannot be started")?;
    ensure!(made.success(), "ssh-keygen failed");
    Ok(fs::read_to_string(file.with_extension("pub"))?.trim().to_owned())
}
