//! Pinned host keys: the only ones that a target may show.

use russh::keys::ssh_key::PublicKey;
use std::fmt;
use std::str::FromStr;

/// Why a text is no host key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no host key: write its type and its base64 text, as in 'ssh-ed25519 AAAA...'; on the target, 'cat /etc/ssh/ssh_host_ed25519_key.pub' prints it"
)]
pub struct HostKeyError {
    text: String,
}

/// A server's public key: `TYPE BASE64`, as `ssh-keyscan` and `/etc/ssh/ssh_host_*_key.pub` have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// A key that a server has shown.
    #[must_use]
    pub(crate) const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// Whether `shown` is this key. The comment behind a key says nothing.
    #[must_use]
    pub(crate) fn is(&self, shown: &PublicKey) -> bool {
        self.0.key_data() == shown.key_data()
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.0
    }
}

impl FromStr for HostKey {
    type Err = HostKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = PublicKey::from_openssh(text.trim());
        key.map(Self).map_err(|_| HostKeyError { text: text.chars().take(80).collect() })
    }
}

/// Without its comment.
impl fmt::Display for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = self.0.clone();
        key.set_comment("");
        match key.to_openssh() {
            Ok(text) => formatter.write_str(text.trim_end()),
            Err(_) => write!(formatter, "{} (cannot be written)", key.algorithm()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_key_is_the_same_whatever_stands_behind_it() {
        let with_comment: HostKey = format!("{KEY} root@array").parse().expect("a key");
        let without: HostKey = KEY.parse().expect("a key");
        assert!(with_comment.is(without.key()));
        assert_eq!(with_comment.to_string(), KEY);
    }

    #[test]
    fn what_is_no_key_is_told_with_the_form_of_one() {
        for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "host ssh-ed25519 AAAA", "SHA256:abc"] {
            let error = text.parse::<HostKey>().expect_err("no key").to_string();
            assert!(error.contains("ssh-ed25519 AAAA..."), "{error}");
        }
    }
}
