//! The privileged process, and what its callers share with it.
//!
//! The daemon opens no program and no path of a command: it sends a template with typed slots, and the process `bulkhead-helper` checks
//! both again, opens what they name, builds the words, runs them, and ends everything they started. It has one thread, no async
//! runtime, no wasm and few dependencies; it runs beside the daemon or at the far end of SSH. What is to outlive it runs under
//! keepers, and what takes long with files under a worker: this binary in other modes.
//!
//! Callers: the process itself (`server`, `listen`), the capability `execute` (`protocol`, `frame`, `program`), and `doctor`
//! ([`ending_method`]). A failure is a [`Refusal`](protocol::Refusal) before anything was started, or a
//! [`Finished`](protocol::Finished) that says how the command ended; a helper that dies takes its commands with it.
#![deny(unsafe_code)]

mod child;
mod command;
mod connection;
mod dbus;
mod executable;
pub mod files;
pub mod frame;
mod job;
mod keeper;
pub mod listen;
mod lock;
mod network;
mod output;
mod path;
mod policy;
pub mod program;
pub mod protocol;
mod server;
mod slot;
mod socket;
mod tree;
mod words;

pub use child::{Reserved, try_namespaces};
pub use connection::{Channel, ServeError};
pub use job::{KeepError, keep as keep_job};
pub use keeper::{Runtime, keep as keep_group, keep_inside};
pub use lock::Lock;
pub use network::{PlugState, look_at_plug};
pub use policy::{Policy, PolicyError};
pub use server::Server;
pub use tree::{Trees, ending_method};
pub use words::{TextWords, text_words};
