//! Groups of services: a keeper for each, which outlives the helper.
//!
//! ```text
//! helper --starts--> keeper (first process of its own process namespace, own mounts, own cgroup)
//!    |                  |-- bus          its children: it starts them, sees them end, starts them again, stops them
//!    +---- socket ------|-- server
//! ```
//!
//! The helper and the daemon may end; the keeper and its services go on, and the next helper finds the keeper by its socket in the
//! runtime directory. When the keeper is ended its namespace goes, and with it every process and mount of the group.
//!
//! `client` is the helper's side: it checks templates, opens programs and directories, finds or starts keepers, and asks them. `process` is
//! the keeper. Nothing is checked there again: only a helper of this user reaches its socket.

mod client;
mod message;
mod namespace;
mod order;
mod place;
mod process;
mod ready;
mod service;
mod wire;

pub(crate) use client::{Begun, Call, Groups, MOST_CALLS};
pub use place::Runtime;
pub use process::{keep, keep_inside};
