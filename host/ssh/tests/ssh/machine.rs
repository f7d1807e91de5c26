//! OpenSSH's server in a mount and a process namespace of its own: its files and processes are not this process's to see.

use crate::keys;
use bulkhead_capability::execute::{HelperClient, HelperPlace};
use bulkhead_ssh::{FarHelper, Login, Target, Way};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Machine {
    folder: TempDir,
    server: Child,
    pub(crate) port: u16,
    pub(crate) host_key: String,
    pub(crate) login: Login,
    helper: PathBuf,
}

impl Machine {
    /// None where it cannot be made, which is said.
    pub(crate) async fn new() -> Option<Self> {
        let own = std::env::current_exe().expect("this program");
        let helper = own.parent()?.parent()?.join("bulkhead-helper");
        if !rustix::process::geteuid().is_root() || !Path::new(SSHD).exists() || !helper.exists() {
            eprintln!("PASSED OVER: needs root, openssh-server and {}", helper.display());
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let (_, host_key) = keys::make(folder.path(), "host");
        let (private, public) = keys::make(folder.path(), "user");
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("authorized_keys"), format!("restrict {public}\n")).expect("written");
        std::fs::create_dir(at("place")).expect("a mount point");
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("it").port();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
            at("host"),
            at("authorized_keys"),
        );
        std::fs::write(at("sshd_config"), configuration).expect("written");
        let script = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount -t tmpfs tmpfs \"$1\" && chmod 755 \"$1\" && mkdir \"$1/shares\" && exec /usr/sbin/sshd -D -e -f \"$0\"";
        let mut server = Command::new("unshare");
        server.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]);
        server.arg(at("sshd_config")).arg(at("place")).kill_on_drop(true).stderr(Stdio::null());
        let server = server.spawn().expect("a server");
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(Self { folder, server, port, host_key, login: keys::key(&private), helper })
    }

    /// A directory of the machine's own.
    pub(crate) fn place(&self, below: &str) -> String {
        self.folder.path().join("place").join(below).display().to_string()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn target(&self) -> Target {
        keys::target(self.port, &self.host_key, vec![self.login.clone()])
    }

    pub(crate) fn far_helper(&self) -> FarHelper {
        FarHelper { program: self.helper.display().to_string(), runtime: self.place("runtime"), policy: None }
    }

    pub(crate) fn client(&self, target: Target) -> HelperClient {
        HelperClient::start(HelperPlace::Far(Arc::new(Way::new(Arc::new(target), self.far_helper()))))
    }

    /// What a shell over there writes.
    pub(crate) async fn shell(&self, script: &str) -> String {
        // The first process inside is the server; `unshare` waits for it outside.
        let outside = self.server.id().expect("it runs").to_string();
        let children = std::fs::read_to_string(format!("/proc/{outside}/task/{outside}/children"));
        let inside = children.expect("children").trim().to_owned();
        let mut shell = Command::new("nsenter");
        shell
            .args(["--target", &inside, "--mount", "--pid", "--", "sh", "-ec", script])
            .env("AT", self.place(""));
        let output = shell.output().await.expect("a shell");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a text")
    }
}
