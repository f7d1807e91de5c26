//! Keys to test with, and what a target is made of.

use bulkhead_capability::secret::{Redactor, Secret};
use bulkhead_ssh::{Algorithms, Credential, CredentialError, HostKey, Login, Pool, Target};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A secret that is made anew whenever it is read, and held by nobody else.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) text: String,
    pub(crate) redactor: Redactor,
}

impl Credential for Read {
    fn reveal(&self) -> Result<Secret, CredentialError> {
        let secret = self.redactor.secret(self.text.clone().into_bytes());
        secret.map_err(|error| CredentialError::new(error.to_string()))
    }
}

fn read(text: &str) -> Arc<Read> {
    Arc::new(Read { text: text.to_owned(), redactor: Redactor::default() })
}

/// Make a pair of keys in `folder`: the private one's text, and the public one's line.
pub(crate) fn make(folder: &Path, name: &str) -> (String, String) {
    let file = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&file)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let read = |path: &Path| std::fs::read_to_string(path).expect("a key");
    (read(&file), read(&file.with_extension("pub")).trim().to_owned())
}

pub(crate) fn key(text: &str) -> Login {
    Login::Key(read(text))
}

pub(crate) fn password(text: &str) -> Login {
    Login::Password(read(text))
}

/// A target on this machine's loopback.
pub(crate) fn target(port: u16, host_key: &str, logins: Vec<Login>) -> Target {
    Target {
        name: "array".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        user: "root".to_owned(),
        host_keys: vec![host_key.parse::<HostKey>().expect("a host key")],
        logins,
        connect_timeout: Duration::from_secs(20),
        pool: Pool::default(),
        algorithms: Algorithms::Modern,
    }
}
