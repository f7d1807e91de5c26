//! Machines that are reached over SSH.

use bulkhead_model::secret::SecretReference;
use bulkhead_package::toml_file::{Finding, Step};
use serde::Deserialize;

/// `[ssh.NAME]`: what a backend's `place = "ssh:NAME"` or `"ssh-plain:NAME"` means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SshConfiguration {
    /// A name or address.
    pub(crate) host: String,
    /// The port of its SSH server (22).
    #[serde(default = "port")]
    pub(crate) port: u16,
    /// Who logs in.
    pub(crate) user: String,
    /// The host keys that it may show, each as `TYPE BASE64`. No other is ever accepted.
    pub(crate) host_keys: Vec<String>,
    /// Where the private key to log in with is kept, in OpenSSH's form: a reference to a secret.
    pub(crate) key: Option<SecretReference>,
    /// Where the password to log in with is kept: a reference to a secret.
    pub(crate) password: Option<SecretReference>,
    /// How long a connection may take until this host is logged in, in seconds (30). Manila's `ssh_conn_timeout`.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout_seconds: u64,
    /// Connections to an array's command line that are kept open (1). Manila's `ssh_min_pool_conn`.
    #[serde(default = "min_connections")]
    pub(crate) min_connections: usize,
    /// Connections to an array's command line at once, at most (10). Manila's `ssh_max_pool_conn`.
    #[serde(default = "max_connections")]
    pub(crate) max_connections: usize,
    /// Which algorithms are offered (`modern`).
    #[serde(default)]
    pub(crate) algorithms: SshAlgorithms,
    /// The helper there (`/usr/sbin/bulkhead-helper`). For `ssh:NAME`.
    #[serde(default = "helper")]
    pub(crate) helper: String,
    /// A directory there for the helper alone, another one for each daemon (`/var/lib/bulkhead-helper`). For `ssh:NAME`.
    #[serde(default = "runtime")]
    pub(crate) runtime: String,
    /// How an array's command line takes a line apart (`plain`). For `ssh-plain:NAME`.
    #[serde(default)]
    pub(crate) quoting: SshQuoting,
    /// What stands at the end of all output while the array's shell waits: it has a shell for people, and runs nothing by exec. For
    /// `ssh-plain:NAME`.
    pub(crate) prompt: Option<String>,
    /// What stops the shell's output until it is answered; with `prompt`.
    pub(crate) pager: Option<String>,
    /// What the pager is answered (a space).
    #[serde(default = "pager_answer")]
    pub(crate) pager_answer: String,
    /// What the answer of a failed command begins with; with `prompt`, for such a shell tells no exit code.
    #[serde(default)]
    pub(crate) errors: Vec<String>,
    /// The policy file there that the helper holds requests against; none: it trusts this daemon's grants. For `ssh:NAME`.
    pub(crate) policy: Option<String>,
}

/// Which algorithms are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SshAlgorithms {
    /// What OpenSSH has offered first for years.
    #[default]
    Modern,
    /// Those, and what old arrays still need.
    Legacy,
}

/// How an array's command line takes a line apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SshQuoting {
    /// As a POSIX shell.
    Posix,
    /// At spaces: words are of letters, digits and `. _ : / = , @ % + -` alone.
    #[default]
    Plain,
}

const fn port() -> u16 {
    22
}

const fn connect_timeout() -> u64 {
    30
}

const fn min_connections() -> usize {
    1
}

const fn max_connections() -> usize {
    10
}

fn pager_answer() -> String {
    " ".to_owned()
}

fn helper() -> String {
    "/usr/sbin/bulkhead-helper".to_owned()
}

fn runtime() -> String {
    "/var/lib/bulkhead-helper".to_owned()
}

impl SshConfiguration {
    /// What the shape alone does not say.
    pub(super) fn check(&self, name: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut unfit = |key: &'static str, what: String, hint: &str| {
            let path = vec![Step::from("ssh"), Step::from(name), Step::from(key)];
            findings.push(Finding::new(path, what).hint(hint.to_owned()));
        };
        if !(1..=3600).contains(&self.connect_timeout_seconds) {
            unfit(
                "connect-timeout-seconds",
                "not a number of seconds from 1 to 3600".to_owned(),
                "30 is usual",
            );
        }
        if !is_host(&self.host) {
            let what = "no name or address: letters, digits and '.', '-', '_', ':' that begin with no '-'";
            unfit("host", what.to_owned(), "the port and the user have keys of their own");
        }
        if self.user.is_empty() || self.user.chars().any(|letter| letter.is_control() || letter == ' ') {
            unfit("user", "no name of an account".to_owned(), "write who logs in there");
        }
        if self.port == 0 {
            unfit("port", "not a port from 1 to 65535".to_owned(), "22 is usual");
        }
        for (key, path) in [
            ("helper", Some(&self.helper)),
            ("runtime", Some(&self.runtime)),
            ("policy", self.policy.as_ref()),
        ] {
            if path.is_some_and(|path| !path.starts_with('/')) {
                unfit(key, "not an absolute path on the target".to_owned(), "begin it with '/'");
            }
        }
        if self.prompt.is_none() && (self.pager.is_some() || !self.errors.is_empty()) {
            unfit(
                "prompt",
                "missing, though 'pager' or 'errors' is there".to_owned(),
                "write what the array's shell says while it waits",
            );
        }
        for text in &self.host_keys {
            if let Err(error) = text.parse::<bulkhead_ssh::HostKey>() {
                unfit("host-keys", error.to_string(), "one line for each key, without the host's name");
            }
        }
        findings
    }
}

/// Whether it can be a machine's name or address; that of an interface may stand behind a '%'.
fn is_host(text: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || ".-_:%".contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(fits)
}
