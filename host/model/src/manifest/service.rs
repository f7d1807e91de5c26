//! `[[group]]` and `[[service]]`: processes that run for as long as the backend does, and what they share.

use super::SlotType;
use crate::id::{Digest, Label};
use crate::pattern::Pattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of what there is one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupInstance {
    /// One of the backend.
    Backend,
    /// One of each share server: a call reaches those of the servers that it is about.
    ShareServer,
}

/// Whose network the services of a group have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupNetwork {
    /// The machine's.
    #[default]
    Machine,
    /// One of the group's own, with an interface for each network that its share server has addresses in, and a loopback device. Only
    /// for groups of share servers: the host gives the addresses, the driver none.
    Own,
}

impl GroupNetwork {
    /// Whether it is the machine's.
    #[must_use]
    pub const fn is_machine(&self) -> bool {
        matches!(self, Self::Machine)
    }
}

/// `[[group]]`: what the services of one group share: a mount and a process namespace of their own, a cgroup, and perhaps a network. The mount namespace
/// begins as a copy of the machine's mounts; what is mounted in it shows nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// Of what there is one.
    pub instance: GroupInstance,
    /// Whose network its services have.
    #[serde(default, skip_serializing_if = "GroupNetwork::is_machine")]
    pub network: GroupNetwork,
    /// Directories that are empty and the group's own in its namespace: absolute, without `..`, in no order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    /// Where the group's private message bus listens: a socket below one of `tmpfs`. None: it has no bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// Directories that the driver may show to the group while it runs.
    #[serde(default, rename = "bind", skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<BindTemplate>,
}

/// `[[group.bind]]`: a kind of directory that a group may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BindTemplate {
    /// Its name; unique in the group.
    pub name: Label,
    /// What may be shown: paths of this root …
    pub root: Label,
    /// … one of these …
    pub pattern: Vec<Pattern>,
    /// … and where: a path below one of the group's `tmpfs`, with places for the names that the source's patterns have.
    pub at: String,
    /// Whether the group can only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// `[[service]]`: a long-running process of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceTemplate {
    /// Its name.
    pub name: Label,
    /// Its group.
    pub group: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// The program's name in the reviewed table; the operator binds it to a file.
    pub program: String,
    /// Its words; `{slot}` is a place to fill.
    #[serde(default)]
    pub args: Vec<String>,
    /// Fixed environment beyond `PATH` and `LC_ALL`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The types of its slots. Paths are of kind `text`: the process opens them again whenever it likes.
    #[serde(default)]
    pub slots: BTreeMap<Label, SlotType>,
    /// Services of the same group that must be ready before it starts, and that stop after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Label>,
    /// What must hold before it counts as ready; without it, it is ready when it runs.
    #[serde(default)]
    pub ready: Readiness,
    /// Whether it is started again when it ends by itself: after 0.2 s, then 0.4 s … 30 s.
    #[serde(default)]
    pub restart: bool,
    /// How long it may take to end after a termination signal before its whole tree is killed, in seconds (5).
    #[serde(default = "five")]
    pub stop_seconds: u64,
}

const fn five() -> u64 {
    5
}

/// What must hold before a service counts as ready. All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Readiness {
    /// A socket below one of the group's `tmpfs` takes connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// This name has an owner on the group's bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bus_name: Option<String>,
    /// The slot, of type `ip`, whose address takes connections …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Label>,
    /// … at the port in this slot, of type `port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Label>,
    /// How long that may take, in seconds (30).
    pub seconds: u64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { socket: None, bus_name: None, address: None, port: None, seconds: 30 }
    }
}

impl GroupTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:group", self)
    }

    /// The bind with this name.
    #[must_use]
    pub fn bind(&self, name: &str) -> Option<&BindTemplate> {
        self.binds.iter().find(|bind| bind.name.as_str() == name)
    }
}

impl ServiceTemplate {
    /// The hash of its canonical form, by which a grant pins it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:service", self)
    }
}
