//! A machine that the operator declares.

use crate::credential::Login;
use crate::host_key::{HostKey, TAKEN};
use russh::keys::Algorithm;
use russh::{cipher, compression, kex, mac};
use std::borrow::Cow;
use std::time::Duration;

/// How often a sign of life is asked for, while nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How many may stay unanswered.
const MOST_UNANSWERED: usize = 3;

/// Which algorithms are offered; nothing else is ever negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithms {
    /// What OpenSSH has offered first for years.
    #[default]
    Modern,
    /// Those, and behind them what old arrays still need: Diffie-Hellman of 2048 bits and HMAC-SHA-1. No RSA, no SHA-1 signatures.
    Legacy,
}

/// How many connections an array's command line is driven over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Kept open while nothing is asked (`ssh_min_pool_conn`).
    pub min: usize,
    /// At once, at most (`ssh_max_pool_conn`).
    pub max: usize,
    /// How long one beyond `min` is kept open while nothing is asked (60 s).
    pub idle: Duration,
}

impl Default for Pool {
    /// Manila's.
    fn default() -> Self {
        Self { min: 1, max: 10, idle: Duration::from_secs(60) }
    }
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No key is pinned.
    #[error(
        "ssh target '{0}' pins no host key: on the target, 'cat /etc/ssh/ssh_host_ed25519_key.pub' prints the one to write as host-keys = [\"ssh-ed25519 AAAA...\"]"
    )]
    NoHostKey(String),
    /// Nothing to log in with.
    #[error(
        "ssh target '{0}' has nothing to log in with: write key = \"secret://...\" or password = \"secret://...\""
    )]
    NoLogin(String),
    /// The pool cannot be.
    #[error("ssh target '{0}': min-connections is at most max-connections, and that from 1 to 64")]
    Pool(String),
}

/// A machine, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in the configuration.
    pub name: String,
    /// A name or address.
    pub host: String,
    /// The port of its SSH server (22).
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The keys that it may show: at least one.
    pub host_keys: Vec<HostKey>,
    /// How this host logs in, tried in this order: at least one.
    pub logins: Vec<Login>,
    /// How long a connection may take until it is logged in (`ssh_conn_timeout`).
    pub connect_timeout: Duration,
    /// How many connections.
    pub pool: Pool,
    /// What is offered.
    pub algorithms: Algorithms,
}

impl Target {
    /// Fails unless it can be used at all.
    pub fn check(&self) -> Result<(), TargetError> {
        let Pool { min, max, .. } = self.pool;
        if self.host_keys.is_empty() {
            return Err(TargetError::NoHostKey(self.name.clone()));
        }
        if self.logins.is_empty() {
            return Err(TargetError::NoLogin(self.name.clone()));
        }
        if max == 0 || max > 64 || min > max {
            return Err(TargetError::Pool(self.name.clone()));
        }
        Ok(())
    }

    pub(crate) fn client_config(&self) -> russh::client::Config {
        russh::client::Config {
            preferred: self.preferred(),
            keepalive_interval: Some(KEEP_ALIVE),
            keepalive_max: MOST_UNANSWERED,
            nodelay: true,
            ..russh::client::Config::default()
        }
    }

    fn preferred(&self) -> russh::Preferred {
        let mut exchanges = vec![
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::ECDH_SHA2_NISTP256,
            kex::ECDH_SHA2_NISTP384,
            kex::DH_G16_SHA512,
        ];
        let mut macs = vec![mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];
        let mut ciphers =
            vec![cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::AES_256_CTR];
        if self.algorithms == Algorithms::Legacy {
            exchanges.extend([kex::DH_GEX_SHA256, kex::DH_G14_SHA256]);
            macs.push(mac::HMAC_SHA1);
            ciphers.extend([cipher::AES_192_CTR, cipher::AES_128_CTR]);
        }
        // Not an algorithm: it lets both sides refuse packets that somebody puts in between.
        exchanges.extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
        russh::Preferred {
            kex: Cow::Owned(exchanges),
            key: Cow::Owned(self.key_algorithms()),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Owned(ciphers),
            mac: Cow::Owned(macs),
            compression: Cow::Borrowed(&[compression::NONE]),
        }
    }

    /// Those of the pinned keys first, so that a server with several shows one that is known; the others behind them, so that a server
    /// that lacks it shows what it has and the refusal can say which key that is.
    fn key_algorithms(&self) -> Vec<Algorithm> {
        let pinned =
            |algorithm: &Algorithm| self.host_keys.iter().any(|key| key.key().algorithm() == *algorithm);
        let (mut first, behind): (Vec<_>, Vec<_>) = TAKEN.into_iter().partition(pinned);
        first.extend(behind);
        first
    }
}
