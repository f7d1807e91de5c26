//! Places over SSH: a helper on another machine ([`Way`]), or an array's own command line ([`PlainPlace`]).
//!
//! The binary makes one of them for each target that the operator declares, and backends name it as their `place`. Unprivileged; the
//! bytes that a hostile server sends are read here and nowhere else. Host keys are pinned: an unknown or changed one ends the connection
//! with the line that would accept it, and certificates are refused. No command line is ever built on this side but the one string that an
//! SSH exec is, and that in a declared quoting.
//!
//! A failure before anything was asked says so and what to do; one after it leaves the outcome unknown.
#![forbid(unsafe_code)]

mod credential;
mod host_key;
mod plain;
mod quote;
mod session;
mod target;
mod way;

pub use credential::{Credential, CredentialError, Login};
pub use host_key::{HostKey, HostKeyError};
pub use plain::{Dialogue, DialogueError, PlainPlace, Quoting};
pub use session::SshError;
pub use target::{Algorithms, Pool, Target, TargetError};
pub use way::{FarHelper, Way};
