//! Operations: journalled changes of resources (design.md 7).

use crate::error::Blame;
use crate::id::{
    BackendName, GenerationNumber, OperationId, ProjectId, RequestId, SecurityServiceId, ShareGroupId,
    ShareGroupSnapshotId, ShareId, ShareInstanceId, ShareNetworkSubnetId, ShareServerId, SnapshotId,
};
use crate::share::Placement;
use crate::share_server::ManagedServer;
use crate::size::Gibibytes;
use crate::target::ManagedName;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What an operation does. It carries what a repeat needs: nothing of the request is read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// Make an empty share.
    CreateShare,
    /// Make a share from a snapshot.
    CreateShareFromSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Remove a share.
    DeleteShare {
        /// Whether a driver's failure still forgets the share.
        force: bool,
    },
    /// Make a share larger.
    ExtendShare {
        /// The new size.
        new_size: Gibibytes,
    },
    /// Make a share smaller.
    ShrinkShare {
        /// The new size.
        new_size: Gibibytes,
    },
    /// Bring the rules of a share in force.
    UpdateAccess,
    /// Let the backend follow what a tenant changed in a share's metadata.
    UpdateShareMetadata {
        /// The keys that were set or changed. Their values are those the share has when the driver is called.
        keys: BTreeSet<String>,
    },
    /// Let a share server follow what a tenant changed in the metadata of its subnet.
    UpdateSubnetMetadata {
        /// The server.
        server: ShareServerId,
        /// The subnet it is in.
        subnet: ShareNetworkSubnetId,
        /// The keys that were set or changed. Their values are those the subnet has when the driver is called.
        keys: BTreeSet<String>,
    },
    /// Take a snapshot.
    CreateSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Remove a snapshot.
    DeleteSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Whether a driver's failure still forgets the snapshot.
        force: bool,
    },
    /// Put a share back to a snapshot.
    RevertShare {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Make a replica of a share.
    CreateReplica {
        /// The share instance that becomes it.
        replica: ShareInstanceId,
    },
    /// Remove a replica.
    DeleteReplica {
        /// Which.
        replica: ShareInstanceId,
        /// Whether a driver's failure still forgets the replica.
        force: bool,
    },
    /// Make a replica the active one.
    PromoteReplica {
        /// Which.
        replica: ShareInstanceId,
        /// How long writes may be held back before the roles change, in seconds; none lets the driver decide.
        quiesce_wait_seconds: Option<u32>,
    },
    /// Move a share to another pool or backend: everything from the first call to the last. How far it is stands in the share.
    MigrateShare {
        /// The pool it moves to.
        to: Placement,
    },
    /// Take over as a share what somebody made at its backend. What the operator typed stands in the instance until it has succeeded.
    ManageShare {
        /// What it is called there.
        managed: ManagedName,
        /// The operator's words for the driver.
        driver_options: BTreeMap<String, String>,
    },
    /// Let a share go and leave its data at the backend.
    UnmanageShare {
        /// Whether its access rules are taken away before.
        remove_access_rules: bool,
    },
    /// Take over as a snapshot what somebody made at the share's backend.
    ManageSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What it is called there.
        managed: ManagedName,
        /// The operator's words for the driver.
        driver_options: BTreeMap<String, String>,
    },
    /// Let a snapshot go and leave its data at the backend.
    UnmanageSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Whether its access rules are taken away before.
        remove_access_rules: bool,
    },
    /// Bring the rules of a mountable snapshot in force.
    UpdateSnapshotAccess {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Make an empty share group.
    CreateShareGroup {
        /// The group.
        group: ShareGroupId,
    },
    /// Make a share group and all its shares from a group snapshot.
    CreateShareGroupFromSnapshot {
        /// The group.
        group: ShareGroupId,
        /// The group snapshot.
        group_snapshot: ShareGroupSnapshotId,
    },
    /// Remove a share group that has no shares.
    DeleteShareGroup {
        /// The group.
        group: ShareGroupId,
        /// Whether a driver's failure still forgets the group.
        force: bool,
    },
    /// Take snapshots of all shares of a group.
    CreateShareGroupSnapshot {
        /// The group.
        group: ShareGroupId,
        /// The group snapshot.
        group_snapshot: ShareGroupSnapshotId,
    },
    /// Remove a group snapshot.
    DeleteShareGroupSnapshot {
        /// The group.
        group: ShareGroupId,
        /// The group snapshot.
        group_snapshot: ShareGroupSnapshotId,
        /// Whether a driver's failure still forgets the group snapshot.
        force: bool,
    },
    /// Set a share server up: allocate its addresses, then make it.
    SetUpShareServer {
        /// The server.
        server: ShareServerId,
    },
    /// Tear a share server down that nothing is on, then give its addresses back.
    TearDownShareServer {
        /// The server.
        server: ShareServerId,
    },
    /// Let a share server use another security service.
    UpdateSecurityService {
        /// The server.
        server: ShareServerId,
        /// The service it shall use.
        new: SecurityServiceId,
        /// The one that is replaced; none when one is added.
        current: Option<SecurityServiceId>,
    },
    /// Let a share server serve a subnet that was added to its network: allocate its addresses there, then tell its driver.
    AddServerSubnet {
        /// The server.
        server: ShareServerId,
        /// The subnet.
        subnet: ShareNetworkSubnetId,
    },
    /// Take over as a share server what somebody made at its backend.
    ManageShareServer {
        /// The server.
        server: ShareServerId,
        /// What the operator typed.
        managed: ManagedServer,
    },
    /// Let a share server go and leave it at the backend with its addresses.
    UnmanageShareServer {
        /// The server.
        server: ShareServerId,
        /// Whether the host goes on where the driver does not let servers go.
        force: bool,
    },
}

impl Verb {
    /// Whether it brings access rules in force, of a share or a snapshot: such operations run beside others.
    #[must_use]
    pub const fn updates_rules(&self) -> bool {
        matches!(self, Self::UpdateAccess | Self::UpdateSnapshotAccess { .. })
    }

    /// Whether it runs beside operations on the same share or share server, and queues for its calls alone: it changes neither the share nor
    /// what others decide about it.
    #[must_use]
    pub const fn runs_beside_others(&self) -> bool {
        self.updates_rules()
            || matches!(self, Self::UpdateShareMetadata { .. } | Self::UpdateSubnetMetadata { .. })
    }

    /// Whether it changes the network of a share server in service: nothing else is done to what lives there meanwhile.
    #[must_use]
    pub const fn changes_servers_network(&self) -> bool {
        matches!(self, Self::UpdateSecurityService { .. } | Self::AddServerSubnet { .. })
    }

    /// The share group it is about; none for those about a share.
    #[must_use]
    pub const fn group(&self) -> Option<ShareGroupId> {
        match self {
            Self::CreateShareGroup { group }
            | Self::CreateShareGroupFromSnapshot { group, .. }
            | Self::DeleteShareGroup { group, .. }
            | Self::CreateShareGroupSnapshot { group, .. }
            | Self::DeleteShareGroupSnapshot { group, .. } => Some(*group),
            _ => None,
        }
    }

    /// The share server it is about; none for those about anything else.
    #[must_use]
    pub const fn server(&self) -> Option<ShareServerId> {
        match self {
            Self::SetUpShareServer { server }
            | Self::TearDownShareServer { server }
            | Self::UpdateSubnetMetadata { server, .. }
            | Self::UpdateSecurityService { server, .. }
            | Self::AddServerSubnet { server, .. }
            | Self::ManageShareServer { server, .. }
            | Self::UnmanageShareServer { server, .. } => Some(*server),
            _ => None,
        }
    }

    /// The group snapshot it works on; not the one a group is made from, which stays as it is.
    #[must_use]
    pub const fn group_snapshot(&self) -> Option<ShareGroupSnapshotId> {
        match self {
            Self::CreateShareGroupSnapshot { group_snapshot, .. }
            | Self::DeleteShareGroupSnapshot { group_snapshot, .. } => Some(*group_snapshot),
            _ => None,
        }
    }

    /// The verb's name: for logs, the ledger and people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateShare => "create-share",
            Self::CreateShareFromSnapshot { .. } => "create-share-from-snapshot",
            Self::DeleteShare { .. } => "delete-share",
            Self::ExtendShare { .. } => "extend-share",
            Self::ShrinkShare { .. } => "shrink-share",
            Self::UpdateAccess => "update-access",
            Self::UpdateShareMetadata { .. } => "update-share-metadata",
            Self::UpdateSubnetMetadata { .. } => "update-subnet-metadata",
            Self::CreateSnapshot { .. } => "create-snapshot",
            Self::DeleteSnapshot { .. } => "delete-snapshot",
            Self::RevertShare { .. } => "revert-share",
            Self::CreateReplica { .. } => "create-replica",
            Self::DeleteReplica { .. } => "delete-replica",
            Self::PromoteReplica { .. } => "promote-replica",
            Self::MigrateShare { .. } => "migrate-share",
            Self::ManageShare { .. } => "manage-share",
            Self::UnmanageShare { .. } => "unmanage-share",
            Self::ManageSnapshot { .. } => "manage-snapshot",
            Self::UnmanageSnapshot { .. } => "unmanage-snapshot",
            Self::UpdateSnapshotAccess { .. } => "update-snapshot-access",
            Self::CreateShareGroup { .. } => "create-share-group",
            Self::CreateShareGroupFromSnapshot { .. } => "create-share-group-from-snapshot",
            Self::DeleteShareGroup { .. } => "delete-share-group",
            Self::CreateShareGroupSnapshot { .. } => "create-share-group-snapshot",
            Self::DeleteShareGroupSnapshot { .. } => "delete-share-group-snapshot",
            Self::SetUpShareServer { .. } => "set-up-share-server",
            Self::TearDownShareServer { .. } => "tear-down-share-server",
            Self::UpdateSecurityService { .. } => "update-security-service",
            Self::AddServerSubnet { .. } => "add-server-subnet",
            Self::ManageShareServer { .. } => "manage-share-server",
            Self::UnmanageShareServer { .. } => "unmanage-share-server",
        }
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// Committed; the driver is about to be called, or is being called.
    Running,
    /// The backend cannot be reached or is busy; tried again by itself.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended badly; the resource carries its error status.
    Failed,
    /// Ended by an operator's word.
    Abandoned,
}

impl OperationState {
    /// Whether nothing more will happen by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Abandoned)
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        })
    }
}

/// A journalled change of a resource, committed before its driver call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    #[serde(flatten)]
    pub verb: Verb,
    /// The share it is about. One about a group or a share server has [`ShareGroupId::queue`] or [`ShareServerId::queue`] here, which is no
    /// share, and queues as one about a share does.
    pub share: ShareId,
    /// Whose share or group that is.
    pub project: ProjectId,
    /// The backend whose driver does it.
    pub backend: BackendName,
    /// The request that caused it.
    pub request: RequestId,
    /// How far it is.
    pub state: OperationState,
    /// What is being done, in words for people: "calling shares.create-share".
    pub step: String,
    /// How often its driver call was begun.
    pub attempts: u32,
    /// The configuration of the backend the last attempt ran on.
    pub generation: Option<GenerationNumber>,
    /// Grows whenever somebody else takes the operation over; a commit with an older number is refused.
    pub fencing_token: u64,
    /// When the current attempt must have ended, by the wall clock: for display.
    pub deadline_at: Option<Timestamp>,
    /// Why it failed or waits.
    pub failure: Option<OperationFailure>,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Operation {
    /// What it is about, as the ledger names it: `share/ID`, `share-group/ID` or `share-server/ID`.
    #[must_use]
    pub fn subject(&self) -> String {
        match (self.verb.group(), self.verb.server()) {
            (Some(group), _) => format!("share-group/{group}"),
            (None, Some(server)) => format!("share-server/{server}"),
            (None, None) => format!("share/{}", self.share),
        }
    }
}

/// Why an operation failed or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationFailure {
    /// A stable word: a driver's code, or `trapped`, `deadline-exceeded`, `limit-exceeded`, `invalid-answer`, `host`.
    pub code: String,
    /// Who has to act.
    pub blame: Blame,
    /// For operators only.
    pub message: String,
}
