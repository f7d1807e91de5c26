//! What a helper and a keeper say to each other: one request and one answer a connection, in frames. Descriptors travel beside them.

use crate::program::Privilege;
use crate::protocol::{Refusal, ServiceStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The version that both speak. A keeper may be older than the helper that finds it.
pub(super) const VERSION: u32 = 1;
/// The largest frame, in bytes.
pub(super) const LARGEST: usize = 1 << 20;

/// A request with the version of who asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) version: u32,
    pub(super) request: Request,
}

/// What is asked of a keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start services, first to last, each when the one before is ready. A descriptor of each program comes along, in this order.
    Start(Vec<Order>),
    /// How a service is.
    Status(String),
    /// Stop a service, and before it those that come after it.
    Stop(String),
    /// Stop everything and end.
    End,
    /// Show the directory whose detached mount comes along.
    Bind { at: String, source: (u64, u64), read_only: bool },
    /// Take away what is shown at a place.
    Unbind { at: String },
}

/// A service to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) privilege: Privilege,
    pub(super) after: Vec<String>,
    pub(super) ready: Condition,
    pub(super) restart: bool,
    pub(super) stop_seconds: u64,
}

/// When a service is ready: all of it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Condition {
    /// A socket takes connections.
    pub(super) socket: Option<String>,
    /// A name has an owner on the bus at this socket.
    pub(super) bus_name: Option<(String, String)>,
    /// An address takes connections.
    pub(super) address: Option<SocketAddr>,
    /// How long that may take.
    pub(super) seconds: u64,
}

/// What a keeper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Status(ServiceStatus),
    Done,
    Refused(Refusal),
    /// It speaks another version.
    Version(u32),
}
