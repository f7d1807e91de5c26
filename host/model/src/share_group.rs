//! Share groups and their snapshots (contract 2.11, 3.11, 4.9).
//!
//! A group lives in one pool of one backend, with all its shares. A group snapshot has one member for each share that the group had then;
//! a member is named and targeted like a snapshot instance, but it is no snapshot of its own: it comes and goes with the others.

use crate::id::{
    ProjectId, ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareId, ShareInstanceId,
    ShareNetworkId, ShareServerId, ShareTypeId, SnapshotInstanceId, UserId,
};
use crate::share::{Creation, Placement, Protocol, ShareForDriver};
use crate::share_server::ServerForDriver;
use crate::size::Gibibytes;
use crate::snapshot::SnapshotForDriver;
use crate::status::{ShareGroupStatus, SnapshotStatus};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The unit in which snapshots of a group are consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// All shares of one pool.
    Pool,
    /// All shares of the backend.
    Host,
}

impl Consistency {
    /// Whether snapshots that are consistent in this unit are so in `other` too: who takes them of all shares of a backend takes them of
    /// all shares of a pool.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        matches!((self, other), (Self::Host, _) | (Self::Pool, Self::Pool))
    }

    /// As Manila prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Consistency {
    type Err = crate::id::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Pool, Self::Host]
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| crate::id::InvalidId::new(text, "unit of consistency (pool or host)"))
    }
}

/// A group of shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareGroup {
    /// Its id.
    pub id: ShareGroupId,
    /// Whose it is.
    pub project: ProjectId,
    /// Who asked for it.
    pub user: UserId,
    /// The tenant's name for it.
    pub display_name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub display_description: Option<String>,
    /// Its status.
    pub status: ShareGroupStatus,
    /// Where it lives, with all its shares.
    pub placement: Placement,
    /// The share network its shares are reached through; none where the backend makes no share servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_network: Option<ShareNetworkId>,
    /// The share server it lives on; none before one was chosen, and where the backend makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_server: Option<ShareServerId>,
    /// The type it was made with.
    pub group_type: ShareGroupTypeId,
    /// The specs of that type when it was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group_specs: BTreeMap<String, String>,
    /// The types its shares may have.
    pub share_types: Vec<ShareTypeId>,
    /// The group snapshot it was made from; none if it was made empty.
    pub source_snapshot: Option<ShareGroupSnapshotId>,
    /// The unit in which its snapshots are consistent, as its backend said when it was made; none if they are not.
    pub consistency: Option<Consistency>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A snapshot of all shares of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareGroupSnapshot {
    /// Its id.
    pub id: ShareGroupSnapshotId,
    /// Whose it is.
    pub project: ProjectId,
    /// Who asked for it.
    pub user: UserId,
    /// The group it was taken of.
    pub group: ShareGroupId,
    /// The tenant's name for it.
    pub display_name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub display_description: Option<String>,
    /// Its status.
    pub status: ShareGroupStatus,
    /// One for each share of the group then, in the order the shares were made; empty for an empty group.
    pub members: Vec<GroupMember>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The snapshot of one share of a group snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// Its id; names at the backend derive from it as from a snapshot instance's.
    pub id: SnapshotInstanceId,
    /// The share.
    pub share: ShareId,
    /// The instance of that share.
    pub share_instance: ShareInstanceId,
    /// The size of the share then.
    pub size: Gibibytes,
    /// How the share is exported.
    pub protocol: Protocol,
    /// Its status.
    pub status: SnapshotStatus,
    /// The driver's own handle.
    pub provider_location: Option<String>,
}

/// A group as a driver call carries it: the WIT record `share-group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupForDriver {
    /// Its id.
    pub id: ShareGroupId,
    /// The tenant's name for it.
    pub display_name: Option<String>,
    /// Whose it is.
    pub project: ProjectId,
    /// Where it lives, `HOST@BACKEND#POOL`.
    pub host: String,
    /// The share network its shares are reached through; none where the backend makes no share servers.
    pub share_network: Option<ShareNetworkId>,
    /// The share server it lives on; none before one was chosen.
    pub server: Option<ServerForDriver>,
    /// Its type.
    pub group_type: ShareGroupTypeId,
    /// The specs of its type.
    pub group_specs: BTreeMap<String, String>,
    /// The types its shares may have.
    pub share_types: Vec<ShareTypeId>,
    /// The group snapshot it is made from.
    pub source_snapshot: Option<ShareGroupSnapshotId>,
    /// The consistency its type asks for.
    pub asked_consistency: Option<Consistency>,
    /// Its shares.
    pub shares: Vec<ShareForDriver>,
}

/// A group snapshot as a driver call carries it: the WIT record `share-group-snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupSnapshotForDriver {
    /// Its id.
    pub id: ShareGroupSnapshotId,
    /// The tenant's name for it.
    pub display_name: Option<String>,
    /// Whose it is.
    pub project: ProjectId,
    /// The group it is taken of.
    pub group: ShareGroupForDriver,
    /// Its members.
    pub members: Vec<SnapshotForDriver>,
}

/// A share of a new group with the member it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShareSource {
    /// The share to make.
    pub share: ShareForDriver,
    /// The member that holds its content.
    pub member: SnapshotForDriver,
}

/// A share that was made with its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedShare {
    /// Which.
    pub id: ShareInstanceId,
    /// How far it is.
    pub creation: Creation,
}
