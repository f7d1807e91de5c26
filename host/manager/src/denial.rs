//! Why a request is not accepted: the reasons of the policy, each with a sentence and a stable word.

use bulkhead_model::id::{AccessRuleId, BackendName, SecurityServiceId, ShareId, ShareServerId, SnapshotId};
use bulkhead_model::network::{SecurityServiceType, ShareNetworkStatus};
use bulkhead_model::operation::OperationState;
use bulkhead_model::share_server::ShareServerStatus;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::{
    AccessRulesStatus, ReplicaState, ShareGroupStatus, ShareStatus, SnapshotStatus, TaskState,
};

/// Why a request is not accepted now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The share's status does not allow it.
    #[error("the share is '{status}', which does not allow {what}{}", hint(*.status))]
    ShareStatus {
        /// What was asked, in words.
        what: &'static str,
        /// The share's status.
        status: ShareStatus,
    },
    /// The snapshot's status does not allow it.
    #[error("the snapshot is '{status}', which does not allow {what}")]
    SnapshotStatus {
        /// What was asked, in words.
        what: &'static str,
        /// The snapshot's status.
        status: SnapshotStatus,
    },
    /// Another operation has not ended.
    #[error("{running} is not finished on this resource; wait for it, or look at `operation list`")]
    InFlight {
        /// The verb of the other operation.
        running: &'static str,
    },
    /// The share has snapshots.
    #[error("the share has {count} snapshots; delete them first")]
    HasSnapshots {
        /// How many.
        count: usize,
    },
    /// Snapshots of the share's group have a member of it.
    #[error("{count} snapshots of the share's group have a member of it; delete them first")]
    HasGroupSnapshots {
        /// How many.
        count: usize,
    },
    /// The share is half way between two places.
    #[error(
        "the share's migration broke off; an operator ends it with migration_complete or migration_cancel"
    )]
    OpenMigration,
    /// There is no migration, or it is not at the point for this.
    #[error("the share's migration is at '{}', which does not allow {what}", .state.map_or("none", TaskState::as_str))]
    MigrationState {
        /// What was asked, in words.
        what: &'static str,
        /// How far it is; none if the share never moved.
        state: Option<TaskState>,
    },
    /// The share belongs to a group.
    #[error("the share belongs to a share group, which does not allow {what}")]
    InGroup {
        /// What was asked, in words.
        what: &'static str,
    },
    /// The group's status does not allow it.
    #[error("the share group is '{status}', which does not allow {what}")]
    GroupStatus {
        /// What was asked, in words.
        what: &'static str,
        /// The group's status.
        status: ShareGroupStatus,
    },
    /// The group has shares.
    #[error("the share group has {count} shares; delete them first")]
    GroupHasShares {
        /// How many.
        count: usize,
    },
    /// The group has snapshots.
    #[error("the share group has {count} snapshots; delete them first")]
    GroupHasSnapshots {
        /// How many.
        count: usize,
    },
    /// The group snapshot's status does not allow it.
    #[error("the group snapshot is '{status}', which does not allow {what}")]
    GroupSnapshotStatus {
        /// What was asked, in words.
        what: &'static str,
        /// The group snapshot's status.
        status: ShareGroupStatus,
    },
    /// A group is being made from the group snapshot.
    #[error("a share group is being made from this group snapshot; wait until it is ready")]
    GroupSnapshotInUse,
    /// The group takes no shares of this type.
    #[error("the share group takes no shares of this type")]
    TypeNotInGroup,
    /// A share of the group stands in the way.
    #[error("share {share} of the group is '{status}'; all must be 'available'")]
    MemberStatus {
        /// Which.
        share: ShareId,
        /// Its status.
        status: ShareStatus,
    },
    /// An operation on a share of the group has not ended.
    #[error(
        "{running} is not finished on share {share} of the group; wait for it, or look at `operation list`"
    )]
    MemberInFlight {
        /// Which.
        share: ShareId,
        /// The verb of the operation.
        running: &'static str,
    },
    /// The type of a share of the group does not promise it.
    #[error("the type of share {share} of the group does not offer snapshots")]
    MemberNotOffered {
        /// Which.
        share: ShareId,
    },
    /// Reverting would lose what a group snapshot holds.
    #[error("a snapshot of the share's group is newer than that one; delete it first")]
    NewerGroupSnapshot,
    /// The share has more than one replica.
    #[error("the share has {count} replicas; delete all but the active one first")]
    HasReplicas {
        /// How many.
        count: usize,
    },
    /// The last active replica is the share itself.
    #[error("this is the share's only active replica; promote another one first, or delete the share")]
    LastActiveReplica,
    /// The replica's status does not allow it.
    #[error("the replica is '{status}', which does not allow {what}")]
    ReplicaStatus {
        /// What was asked, in words.
        what: &'static str,
        /// Its status.
        status: ShareStatus,
    },
    /// The replica's state does not allow it.
    #[error("the replica is '{}', which does not allow {what}{}", state.as_str(), advice)]
    ReplicaState {
        /// What was asked, in words.
        what: &'static str,
        /// Its state.
        state: ReplicaState,
        /// What to do instead.
        advice: &'static str,
    },
    /// The share's backend replicates with no other.
    #[error(
        "the share's backend replicates with no other; its operator can give both the same replication_domain"
    )]
    NoReplicationDomain,
    /// The share type is in use.
    #[error("{count} shares, share groups or types of groups use this type; delete them first")]
    TypeInUse {
        /// How many.
        count: usize,
    },
    /// The name of a share type is taken.
    #[error("there is a share type of this name already")]
    TypeExists,
    /// The built-in share type stays as it is.
    #[error("the type 'default' is built in and stays as it is; make another one")]
    BuiltInType,
    /// The type of groups is in use.
    #[error("{count} share groups were made with this type; delete them first")]
    GroupTypeInUse {
        /// How many.
        count: usize,
    },
    /// The name of a type of groups is taken.
    #[error("there is a share group type of this name already")]
    GroupTypeExists,
    /// The built-in type of groups stays as it is.
    #[error("the share group type 'default' is built in and stays as it is; make another one")]
    BuiltInGroupType,
    /// A share is being made from the snapshot.
    #[error("a share is being made from this snapshot; wait until it is ready")]
    SnapshotInUse,
    /// The snapshot is of another share.
    #[error("snapshot {snapshot} was not taken of this share")]
    ForeignSnapshot {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Only the newest snapshot can be reverted to.
    #[error("only the newest snapshot can be reverted to, which is {newest}; delete the newer ones first")]
    NotNewest {
        /// The newest one.
        newest: SnapshotId,
    },
    /// Some access rules are on their way or in error.
    #[error("the share's access rules are '{status}'; all must be active (deny the ones in error)")]
    RulesNotActive {
        /// What they are.
        status: AccessRulesStatus,
    },
    /// The share's type does not promise it.
    #[error("the share's type does not offer {what}")]
    NotOffered {
        /// What, in words.
        what: &'static str,
    },
    /// Extending makes larger.
    #[error("the new size must be larger than {current}")]
    NotLarger {
        /// The size now.
        current: Gibibytes,
    },
    /// Shrinking makes smaller.
    #[error("the new size must be smaller than {current}")]
    NotSmaller {
        /// The size now.
        current: Gibibytes,
    },
    /// A share made from a snapshot is at least as large.
    #[error("the size must be at least that of the snapshot, {snapshot_size}")]
    SmallerThanSnapshot {
        /// The snapshot's size.
        snapshot_size: Gibibytes,
    },
    /// A share made from a snapshot is exported as its source is.
    #[error("the protocol and type must be those of the snapshot's share")]
    UnlikeSnapshot,
    /// There is no room for the growth.
    #[error("there is no room to extend: {reason}")]
    NoRoom {
        /// Why not.
        reason: String,
    },
    /// The same party has a rule already.
    #[error("there is a rule for this already: {rule}; change its level, or deny it first")]
    DuplicateRule {
        /// The rule.
        rule: AccessRuleId,
    },
    /// It is a share here already, or is being taken over.
    #[error("that is share {share} of this backend already; let that go first (share unmanage)")]
    AlreadyManaged {
        /// Which.
        share: ShareId,
    },
    /// The rule is on its way out.
    #[error("the rule is being denied; allow it anew once it is gone")]
    RuleLeaving,
    /// The backend's exports do not speak IPv6.
    #[error("the backend does not export over IPv6, so a rule for an IPv6 address could never be in force")]
    NoIpv6,
    /// The share server's status does not allow it.
    #[error("the share server is '{status}', which does not allow {what}")]
    ServerStatus {
        /// What was asked, in words.
        what: &'static str,
        /// Its status.
        status: ShareServerStatus,
    },
    /// Something is on the share server.
    #[error("{shares} shares and {groups} share groups are on the share server; delete them first")]
    ServerInUse {
        /// How many shares.
        shares: usize,
        /// How many groups.
        groups: usize,
    },
    /// It is a share server here already, or is being taken over.
    #[error(
        "that is share server {server} of this backend already; let that go first (share-server unmanage)"
    )]
    ServerAlreadyManaged {
        /// Which.
        server: ShareServerId,
    },
    /// The backend makes no share servers.
    #[error(
        "backend {backend} makes no share servers; its operator can set driver_handles_share_servers = true"
    )]
    NoServersHere {
        /// The backend.
        backend: BackendName,
    },
    /// The share network has no subnet for this host.
    #[error(
        "the share network has no subnet without an availability zone, and this host has no zones; add one"
    )]
    NoDefaultSubnet,
    /// The share type asks for no share server.
    #[error(
        "the share type asks for no share server (driver_handles_share_servers is False), so there is no share network to choose"
    )]
    NetworkWithoutServers,
    /// The share type asks for a share server.
    #[error(
        "the share type asks for a share server (driver_handles_share_servers is True): name a share network"
    )]
    ServersWithoutNetwork,
    /// A share made from a snapshot, and one of a group, is where that is.
    #[error("the share network must be that of {of}, or left out")]
    OtherNetwork {
        /// Of what.
        of: &'static str,
    },
    /// The share network's status does not allow it.
    #[error("the share network is '{status}', which does not allow {what}")]
    NetworkStatus {
        /// What was asked, in words.
        what: &'static str,
        /// The network's status.
        status: ShareNetworkStatus,
    },
    /// The share network has a security service of that type.
    #[error(
        "the share network has the security service {service} of type {service_type} already; remove that one first"
    )]
    SecurityServiceOfType {
        /// The type.
        service_type: SecurityServiceType,
        /// The one it has.
        service: SecurityServiceId,
    },
    /// Share networks have the security service.
    #[error("{count} share networks have the security service; remove it from them first")]
    SecurityServiceInUse {
        /// How many.
        count: usize,
    },
    /// Share servers use the security service.
    #[error(
        "share servers use the security service, which lets only its name and description change; make another one and put it in its place (share network action 'update_security_service')"
    )]
    SecurityServiceServes,
    /// Something is on the share network.
    #[error(
        "{count} shares, share groups and share servers are on the share network, which does not allow {what}; delete them first"
    )]
    NetworkInUse {
        /// What was asked, in words.
        what: &'static str,
        /// How many shares with their replicas, share groups and share servers.
        count: usize,
    },
    /// It is not known that the share servers could follow.
    #[error("share servers are in the share network, and whether they could follow {found}")]
    NotChecked {
        /// What is known, and what to do, in words.
        found: &'static str,
    },
    /// The share lives on a share server.
    #[error("the share lives on a share server, which does not allow {what} here")]
    OnServer {
        /// What was asked, in words.
        what: &'static str,
    },
    /// The operation's state does not allow it.
    #[error("the operation is '{state}'; {advice}")]
    OperationState {
        /// Its state.
        state: OperationState,
        /// What to do instead.
        advice: &'static str,
    },
}

fn hint(status: ShareStatus) -> &'static str {
    if status.is_transient() {
        "; wait until it has ended"
    } else {
        "; it must be 'available' (an operator can look at what failed, and overrule the status)"
    }
}

impl Denial {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ShareStatus { .. } => "share-status",
            Self::SnapshotStatus { .. } => "snapshot-status",
            Self::InFlight { .. } => "operation-in-flight",
            Self::HasSnapshots { .. } => "has-snapshots",
            Self::HasGroupSnapshots { .. } => "has-group-snapshots",
            Self::OpenMigration => "open-migration",
            Self::MigrationState { .. } => "migration-state",
            Self::InGroup { .. } => "in-share-group",
            Self::GroupStatus { .. } => "share-group-status",
            Self::GroupHasShares { .. } => "share-group-has-shares",
            Self::GroupHasSnapshots { .. } => "share-group-has-snapshots",
            Self::GroupSnapshotStatus { .. } => "group-snapshot-status",
            Self::GroupSnapshotInUse => "group-snapshot-in-use",
            Self::TypeNotInGroup => "type-not-in-share-group",
            Self::MemberStatus { .. } => "member-status",
            Self::MemberInFlight { .. } => "member-operation-in-flight",
            Self::MemberNotOffered { .. } => "member-not-offered",
            Self::NewerGroupSnapshot => "newer-group-snapshot",
            Self::HasReplicas { .. } => "has-replicas",
            Self::LastActiveReplica => "last-active-replica",
            Self::ReplicaStatus { .. } => "replica-status",
            Self::ReplicaState { .. } => "replica-state",
            Self::NoReplicationDomain => "no-replication-domain",
            Self::TypeInUse { .. } => "share-type-in-use",
            Self::TypeExists => "share-type-exists",
            Self::BuiltInType => "built-in-share-type",
            Self::GroupTypeInUse { .. } => "share-group-type-in-use",
            Self::GroupTypeExists => "share-group-type-exists",
            Self::BuiltInGroupType => "built-in-share-group-type",
            Self::SnapshotInUse => "snapshot-in-use",
            Self::ForeignSnapshot { .. } => "foreign-snapshot",
            Self::NotNewest { .. } => "not-newest-snapshot",
            Self::RulesNotActive { .. } => "rules-not-active",
            Self::NotOffered { .. } => "not-offered",
            Self::NotLarger { .. } => "not-larger",
            Self::NotSmaller { .. } => "not-smaller",
            Self::SmallerThanSnapshot { .. } => "smaller-than-snapshot",
            Self::UnlikeSnapshot => "unlike-snapshot",
            Self::NoRoom { .. } => "no-room",
            Self::DuplicateRule { .. } => "duplicate-rule",
            Self::AlreadyManaged { .. } => "already-managed",
            Self::RuleLeaving => "rule-leaving",
            Self::NoIpv6 => "no-ipv6",
            Self::ServerStatus { .. } => "share-server-status",
            Self::ServerInUse { .. } => "share-server-in-use",
            Self::ServerAlreadyManaged { .. } => "share-server-already-managed",
            Self::NoServersHere { .. } => "no-share-servers-here",
            Self::NoDefaultSubnet => "no-default-subnet",
            Self::NetworkWithoutServers => "share-network-without-servers",
            Self::ServersWithoutNetwork => "share-servers-without-network",
            Self::OtherNetwork { .. } => "other-share-network",
            Self::NetworkStatus { .. } => "share-network-status",
            Self::SecurityServiceOfType { .. } => "security-service-of-type",
            Self::SecurityServiceInUse { .. } | Self::SecurityServiceServes => "security-service-in-use",
            Self::NetworkInUse { .. } => "share-network-in-use",
            Self::NotChecked { .. } => "network-change-not-checked",
            Self::OnServer { .. } => "on-share-server",
            Self::OperationState { .. } => "operation-state",
        }
    }

    /// Whether the arguments are at fault, whatever the state: asking again later does not help.
    #[must_use]
    pub const fn is_about_arguments(&self) -> bool {
        matches!(
            self,
            Self::NotLarger { .. }
                | Self::NotSmaller { .. }
                | Self::SmallerThanSnapshot { .. }
                | Self::UnlikeSnapshot
                | Self::ForeignSnapshot { .. }
                | Self::TypeNotInGroup
                | Self::MemberNotOffered { .. }
                | Self::NotOffered { .. }
                | Self::NoIpv6
                | Self::NetworkWithoutServers
                | Self::ServersWithoutNetwork
                | Self::OtherNetwork { .. }
                | Self::NoServersHere { .. }
        )
    }
}
