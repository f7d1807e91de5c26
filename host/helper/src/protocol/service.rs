//! Groups and their services, as daemon and helper speak of them.

use super::{RootBinding, SlotArgument, Unreviewed};
use bulkhead_model::id::Label;
use bulkhead_model::network::{MacAddress, NetworkPlug};
use bulkhead_model::pattern::RelativePath;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Which instance of which group of which backend. Its text is the name of its cgroup and of its files in the runtime directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The backend's name.
    pub backend: String,
    /// The group's name in the manifest.
    pub group: Label,
    /// The host-derived name of the resource it is of; none: the backend's own.
    pub instance: Option<String>,
}

/// What is asked about groups and services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceCall {
    /// Start services, each with what it comes after, and wait until each is ready. One that runs with these words is left alone.
    Start(StartServices),
    /// How a service is. A group that does not run answers [`ServiceState::Stopped`].
    Status {
        /// Its group.
        group: GroupKey,
        /// Its name.
        service: Label,
    },
    /// Stop a service, and before it those that come after it. Answers when nothing of them is left.
    Stop {
        /// Its group.
        group: GroupKey,
        /// Its name.
        service: Label,
    },
    /// End the group: services, keeper, namespaces, mounts, interfaces, cgroup.
    StopGroup {
        /// Which.
        group: GroupKey,
    },
    /// Show a directory to the group.
    Bind(BindRequest),
    /// Take it away.
    Unbind(BindRequest),
}

/// Services to start, in order: what comes first is ready before the next is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartServices {
    /// Their group.
    pub group: GroupKey,
    /// The group's template, as the JSON its digest is taken of.
    pub template: String,
    /// The devices of the network of its own that the template declares; none of one that has the machine's. A group that runs with others
    /// is left alone, and the start refused. What a running group has lost of them is put back.
    pub interfaces: Vec<GroupInterface>,
    /// The services: those that the wanted one comes after, then itself.
    pub services: Vec<StartService>,
}

/// A network device of a group's own network, plugged into a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInterface {
    /// Its name in the group: `eth` and a number.
    pub name: String,
    /// Its hardware address.
    pub hardware: MacAddress,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Its addresses with the length of their networks' prefixes, host bits included; at least one.
    pub addresses: Vec<IpNet>,
    /// Where packets to everywhere else go, at most one for each version of IP.
    pub gateways: Vec<IpAddr>,
    /// The bridge.
    pub plug: NetworkPlug,
}

/// One service to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartService {
    /// Its template, as the JSON its digest is taken of.
    pub template: String,
    /// The absolute file that the operator bound its program to.
    pub program: String,
    /// Whether the site's ceiling allows a program that the reviewed table does not know.
    pub unreviewed: Unreviewed,
    /// The roots that path slots lie below.
    pub roots: BTreeMap<Label, RootBinding>,
    /// The value of each slot.
    pub slots: BTreeMap<Label, SlotArgument>,
}

/// A directory to show to a group, or to take away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindRequest {
    /// The group.
    pub group: GroupKey,
    /// The group's template, as the JSON its digest is taken of.
    pub template: String,
    /// The name of one of its binds.
    pub bind: Label,
    /// The root that the source lies below.
    pub root: RootBinding,
    /// The source: of one of the bind's patterns.
    pub source: RelativePath,
    /// Where it is shown: the bind's `at` with its places filled, absolute.
    pub at: String,
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    /// Started, not ready yet.
    Starting,
    /// Running and ready.
    Ready,
    /// Not running, as it should be.
    Stopped,
    /// It ended by itself.
    Failed,
}

/// Facts about a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// How it is.
    pub state: ServiceState,
    /// When it was started, in milliseconds since 1970-01-01 UTC; none if it does not run.
    pub started_at_ms: Option<u64>,
    /// Whether it was running before this helper.
    pub adopted: bool,
    /// How it ended; with [`ServiceState::Failed`].
    pub exit: Option<ServiceExit>,
}

/// How a service ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceExit {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The end of what it wrote on standard error, at most 4 KiB.
    pub stderr: Vec<u8>,
}

/// What came of a [`ServiceCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceAnswer {
    /// To `Start` (the last one's) and `Status`.
    Status(ServiceStatus),
    /// To everything else.
    Done,
}
