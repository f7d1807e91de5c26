//! Pinned host keys: the only ones that a target may show.

use russh::keys::ssh_key::PublicKey;
use russh::keys::{Algorithm, EcdsaCurve};
use std::fmt;
use std::str::FromStr;

/// Which keys can be pinned: what is offered to a server, in this order.
pub(crate) const TAKEN: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Why a text cannot be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// It is no key.
    #[error(
        "'{text}' is no host key: write its type and its base64 text, as in 'ssh-ed25519 AAAA...'; on the target, 'cat /etc/ssh/ssh_host_ed25519_key.pub' prints it"
    )]
    Form {
        /// Its beginning.
        text: String,
    },
    /// It is a key of a kind that this host never asks a server for.
    #[error(
        "a host key of type {algorithm} is never asked for, so the target could not be reached: pin its key of type {taken}, and if it has none, make one there (ssh-keygen -A, or the array's own command for host keys)"
    )]
    Algorithm {
        /// Its type.
        algorithm: String,
        /// Those that can be pinned.
        taken: String,
    },
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
        let key = key.map_err(|_| HostKeyError::Form { text: text.chars().take(80).collect() })?;
        if TAKEN.contains(&key.algorithm()) {
            return Ok(Self(key));
        }
        let taken = TAKEN.iter().map(Algorithm::as_str).collect::<Vec<_>>().join(", ");
        Err(HostKeyError::Algorithm { algorithm: key.algorithm().to_string(), taken })
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

    #[test]
    fn a_key_of_a_kind_that_is_never_asked_for_is_refused_with_those_that_are() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDJFF1AtC50BvUYxfIKJAqNeZtRgiQZG7+H4CzzQZBRTLZA2kfiwFmzwiyI9u92FW/S0CdE\
            Cni+f8tdrSYe+YzE4JvYrMgWQRAZuzhOTxEpNe7yLhJeL5MjWK9410vV7MPY8fdu92hvEVFUSwzkjyy4+FukCHtd8LXWvWVQvxRp\
            gBp/ibp5+PHVo/Oin9hOLG7UHp2/xodHb801nNmjZvX1YzalSw1cpXpQhsedosPWVyc2Xhsy6gFwE8EWPuLzrg2iz2pK0KuUva1u\
            j1/Q7cvDF4UTRXdy52IKjoC1ZhLzXsJ/tBugTiOT9oExgFsIMYSjFNJQUxMdJUiKfN4fcLK3";
        let error = rsa.parse::<HostKey>().expect_err("refused").to_string();
        for part in ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-keygen -A"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
