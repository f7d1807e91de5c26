//! Keys to test with, and what a target is made of.

use bulkhead_ssh::{Algorithms, Credential, CredentialError, HostKey, Login, Pool, Target};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A secret that a test holds.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) String);

impl Credential for Held {
    fn reveal(&self) -> Result<String, CredentialError> {
        Ok(self.0.clone())
    }
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
    Login::Key(Arc::new(Held(text.to_owned())))
}

pub(crate) fn password(text: &str) -> Login {
    Login::Password(Arc::new(Held(text.to_owned())))
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
