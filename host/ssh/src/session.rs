//! One connection to a target: the key it shows is compared, then this host logs in.

use crate::credential::{CredentialError, Login};
use crate::host_key::HostKey;
use crate::target::Target;
use bulkhead_capability::secret::Secret;
use russh::Channel;
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a server may ask interactively in one login.
const MOST_QUESTIONS: usize = 8;

/// Why there is no connection. Nothing was asked of the machine.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// The key is not one of the pinned.
    #[error(
        "ssh target '{target}' shows a host key that is not pinned, which may be somebody between; if it is the machine's own \
         (on it, 'cat /etc/ssh/ssh_host_*_key.pub' prints them), write in [ssh.{target}]: host-keys = [\"{shown}\"]"
    )]
    HostKey {
        /// The target.
        target: String,
        /// The key, as it would be written.
        shown: String,
    },
    /// It shows a certificate.
    #[error(
        "ssh target '{target}' shows a certificate for its host key, which this host does not take; pin the key itself: on it, 'cat /etc/ssh/ssh_host_ed25519_key.pub' prints it"
    )]
    Certificate {
        /// The target.
        target: String,
    },
    /// A secret cannot be read.
    #[error("ssh target '{target}': the secret to log in with cannot be read")]
    Credential {
        /// The target.
        target: String,
        /// Why.
        #[source]
        source: CredentialError,
    },
    /// The key to log in with is none.
    #[error(
        "ssh target '{target}': the secret to log in with is no private key in OpenSSH's form without a passphrase (of Ed25519 or ECDSA); 'ssh-keygen -t ed25519' makes one"
    )]
    PrivateKey {
        /// The target.
        target: String,
    },
    /// Nobody is let in.
    #[error(
        "ssh target '{target}' does not let '{user}' in; it takes: {methods}. Put the key into its authorized_keys, or correct the password"
    )]
    Refused {
        /// The target.
        target: String,
        /// Who.
        user: String,
        /// What the server would take.
        methods: String,
    },
    /// It does not answer in time.
    #[error(
        "ssh target '{target}' ({address}) did not let this host in within {seconds} s; see that it runs and is reached"
    )]
    TimedOut {
        /// The target.
        target: String,
        /// Where.
        address: String,
        /// How long.
        seconds: u64,
    },
    /// The connection failed.
    #[error("ssh target '{target}' ({address}) cannot be reached")]
    Failed {
        /// The target.
        target: String,
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: russh::Error,
    },
}

/// What the server showed, for whoever waits for the connection.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<Shown>>);

#[derive(Debug)]
enum Shown {
    Unknown(String),
    Certificate,
}

/// Compares the server's key.
#[derive(Debug)]
pub(crate) struct Pinned {
    keys: Vec<HostKey>,
    seen: Arc<Seen>,
}

impl Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let refused = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                if self.keys.iter().any(|pinned| pinned.is(key)) {
                    return Ok(true);
                }
                Shown::Unknown(HostKey::new(key.clone()).to_string())
            }
            PublicKeyOrCertificate::Certificate(_) => Shown::Certificate,
        };
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
        Ok(false)
    }
}

/// A connection that is logged in. Dropped, it is closed.
pub(crate) struct Session {
    handle: Handle<Pinned>,
    /// What it was logged in with: known, and taken out of what the machine says, for as long as this lives.
    _secrets: Vec<Secret>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("closed", &self.handle.is_closed()).finish()
    }
}

impl Session {
    /// Connect, compare the key, log in; all within the target's time.
    pub(crate) async fn open(target: &Target) -> Result<Self, SshError> {
        let within = tokio::time::timeout(target.connect_timeout, Self::connect(target)).await;
        within.map_err(|_| SshError::TimedOut {
            target: target.name.clone(),
            address: address(target),
            seconds: target.connect_timeout.as_secs(),
        })?
    }

    async fn connect(target: &Target) -> Result<Self, SshError> {
        let seen = Arc::new(Seen::default());
        let handler = Pinned { keys: target.host_keys.clone(), seen: Arc::clone(&seen) };
        let config = Arc::new(target.client_config());
        let connected = russh::client::connect(config, (target.host.as_str(), target.port), handler).await;
        let mut handle = connected.map_err(|source| {
            match seen.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(Shown::Unknown(shown)) => SshError::HostKey { target: target.name.clone(), shown },
                Some(Shown::Certificate) => SshError::Certificate { target: target.name.clone() },
                None => failed(target, source),
            }
        })?;
        let mut methods = String::new();
        let mut secrets = Vec::new();
        for login in &target.logins {
            let secret = reveal(target, login).await?;
            let answered = log_in(&mut handle, target, (login, &secret)).await?;
            secrets.push(secret);
            match answered {
                AuthResult::Success => return Ok(Self { handle, _secrets: secrets }),
                AuthResult::Failure { remaining_methods, .. } => {
                    let names: Vec<String> = remaining_methods.iter().map(String::from).collect();
                    methods = names.join(", ");
                }
            }
        }
        let methods = if methods.is_empty() { "nothing of this host".to_owned() } else { methods };
        Err(SshError::Refused { target: target.name.clone(), user: target.user.clone(), methods })
    }

    /// Whether it is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel to run something in.
    pub(crate) async fn channel(&self) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_session().await
    }
}

fn address(target: &Target) -> String {
    format!("{}:{}", target.host, target.port)
}

fn failed(target: &Target, source: russh::Error) -> SshError {
    SshError::Failed { target: target.name.clone(), address: address(target), source }
}

async fn reveal(target: &Target, login: &Login) -> Result<Secret, SshError> {
    let (Login::Key(credential) | Login::Password(credential)) = login;
    let credential = Arc::clone(credential);
    let reading = tokio::task::spawn_blocking(move || credential.reveal()).await;
    let reading = reading.unwrap_or_else(|_| Err(CredentialError::new("reading it ended abruptly")));
    reading.map_err(|source| SshError::Credential { target: target.name.clone(), source })
}

async fn log_in(
    handle: &mut Handle<Pinned>,
    target: &Target,
    (login, secret): (&Login, &Secret),
) -> Result<AuthResult, SshError> {
    match login {
        Login::Key(_) => {
            let key = PrivateKey::from_openssh(secret.expose()).ok().filter(|key| !key.is_encrypted());
            let key = key.ok_or_else(|| SshError::PrivateKey { target: target.name.clone() })?;
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
            handle.authenticate_publickey(&target.user, key).await.map_err(|error| failed(target, error))
        }
        Login::Password(_) => {
            let none = || CredentialError::new("it is not a text");
            let password = secret.expose_text().ok_or_else(none);
            let unfit = |source| SshError::Credential { target: target.name.clone(), source };
            let password = password.map_err(unfit)?.trim_end_matches(['\r', '\n']);
            let plainly = handle.authenticate_password(&target.user, password).await;
            match plainly.map_err(|error| failed(target, error))? {
                AuthResult::Success => Ok(AuthResult::Success),
                AuthResult::Failure { .. } => interactively(handle, target, password).await,
            }
        }
    }
}

/// Answer every question that is not to be shown with the password, and the others with nothing.
async fn interactively(
    handle: &mut Handle<Pinned>,
    target: &Target,
    password: &str,
) -> Result<AuthResult, SshError> {
    let asked = handle.authenticate_keyboard_interactive_start(&target.user, None).await;
    let mut asked = asked.map_err(|error| failed(target, error))?;
    let mut rounds = 0_usize;
    loop {
        let prompts = match asked {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        rounds = rounds.saturating_add(1);
        if rounds > MOST_QUESTIONS {
            return Err(failed(target, russh::Error::Inconsistent));
        }
        let answers =
            prompts.iter().map(|prompt| if prompt.echo { String::new() } else { password.to_owned() });
        let answers = answers.collect();
        let next = handle.authenticate_keyboard_interactive_respond(answers).await;
        asked = next.map_err(|error| failed(target, error))?;
    }
}
