//! The functions of drivers that this host calls: name, kind and types of each, once.
//!
//! A component exports what it can do and no more, so functions are found one by one when a component is loaded
//! ([`crate::load`]) and called through the index found then.

use crate::bindings::v0_1::bulkhead::driver::access::AccessUpdate;
use crate::bindings::v0_1::bulkhead::driver::lifecycle::Statistics;
use crate::bindings::v0_1::bulkhead::driver::manage::ManagedShare;
use crate::bindings::v0_1::bulkhead::driver::manage_snapshots::ManagedSnapshot;
use crate::bindings::v0_1::bulkhead::driver::migration::{
    Connection, FirstPhase, MigrationCompatibility, MigrationOutcome,
};
use crate::bindings::v0_1::bulkhead::driver::mountable_snapshots::SnapshotAccessUpdate;
use crate::bindings::v0_1::bulkhead::driver::periodic_hook::HookData;
use crate::bindings::v0_1::bulkhead::driver::replicated_revert::ReplicatedReversion;
use crate::bindings::v0_1::bulkhead::driver::replication::{Promotion, ReplicaOutcome, ReplicaView};
use crate::bindings::v0_1::bulkhead::driver::revert::Reversion;
use crate::bindings::v0_1::bulkhead::driver::server_updates::{
    AllocationOutcome, AllocationUpdate, SecurityServiceUpdate, ShareRuleOutcomes, SubnetAddition,
};
use crate::bindings::v0_1::bulkhead::driver::share_groups::{CreatedShare, GroupShareSource};
use crate::bindings::v0_1::bulkhead::driver::share_servers::{
    ServerChoiceForGroup, ServerChoiceForShare, ServerRequest,
};
use crate::bindings::v0_1::bulkhead::driver::share_status::ShareProgress;
use crate::bindings::v0_1::bulkhead::driver::shares::EnsuredShare;
use crate::bindings::v0_1::bulkhead::driver::snapshots::SnapshotOutcome;
use crate::bindings::v0_1::bulkhead::driver::types::{
    AccessRule, Consistency, Creation, Error, ExportLocation, IpVersion, KeyValue, Replica, ReplicaSnapshot,
    ReplicaState, RuleOutcome, SecurityService, ServerNetwork, ServerOutcome, Share, ShareGroup,
    ShareGroupSnapshot, ShareMigration, ShareNetwork, ShareNetworkSubnet, ShareServer, Snapshot,
    SnapshotAccessRule, SnapshotUpdate,
};
use crate::bindings::v0_1::bulkhead::driver::usage::ShareUsage;
use crate::bindings::v0_1::bulkhead::host::types::NetworkAllocation;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallKind;
use std::fmt::Debug;
use wasmtime::component::types;
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};

/// A function that this host calls. Every one answers with a result whose error is the contract's.
pub(crate) trait Export {
    /// The interface it belongs to.
    const ABILITY: Ability;
    /// `interface.function`, as ledger, spans and errors name it.
    const LABEL: &'static str;
    /// Which deadline and slots it has.
    const KIND: CallKind;
    /// What it takes.
    type Arguments<'a>: ComponentNamedList + Lower + Send + Sync;
    /// What it answers if it succeeds.
    type Answer: ComponentType + Lift + Debug + Send + Sync + 'static;
}

/// What an export returns, as the engine sees it.
pub(crate) type Returned<E> = (Result<<E as Export>::Answer, Error>,);

/// An export by name, with the check of its types.
pub(crate) struct Declared {
    /// The interface it belongs to.
    pub(crate) ability: Ability,
    /// Its name in that interface.
    pub(crate) function: &'static str,
    /// As [`Export::LABEL`].
    pub(crate) label: &'static str,
    /// Whether a function of a component has the types of the contract.
    pub(crate) check: fn(&types::Component, &types::ComponentFunc) -> wasmtime::Result<()>,
}

fn check<E: Export>(component: &types::Component, function: &types::ComponentFunc) -> wasmtime::Result<()> {
    function.typecheck::<E::Arguments<'_>, Returned<E>>(&component.instance_type())
}

macro_rules! exports {
    ($($name:ident<$lifetime:lifetime> = $ability:ident $interface:literal $function:literal $kind:ident
        ($($argument:ty),*) -> $answer:ty;)*) => {
        $(
            pub(crate) enum $name {}

            impl Export for $name {
                const ABILITY: Ability = Ability::$ability;
                const LABEL: &'static str = concat!($interface, ".", $function);
                const KIND: CallKind = CallKind::$kind;
                type Arguments<$lifetime> = ($($argument,)*);
                type Answer = $answer;
            }
        )*

        /// Every function of the interfaces that this host drives.
        pub(crate) const EXPORTS: &[Declared] = &[$(
            Declared {
                ability: Ability::$ability,
                function: $function,
                label: <$name as Export>::LABEL,
                check: check::<$name>,
            },
        )*];
    };
}

exports! {
    Setup<'a> = Lifecycle "lifecycle" "setup" Setup () -> ();
    Stats<'a> = Lifecycle "lifecycle" "stats" Statistics () -> Statistics;
    BackendInfo<'a> = Lifecycle "lifecycle" "backend-info" Statistics () -> Vec<KeyValue>;
    IpVersions<'a> = Lifecycle "lifecycle" "ip-versions" Statistics () -> Vec<IpVersion>;
    DefaultFilterFunction<'a> = Lifecycle "lifecycle" "default-filter-function" Statistics () -> Option<String>;
    DefaultGoodnessFunction<'a> = Lifecycle "lifecycle" "default-goodness-function" Statistics () -> Option<String>;
    PoolOf<'a> = Lifecycle "lifecycle" "pool-of" Statistics (&'a Share) -> Option<String>;

    CreateShare<'a> = Shares "shares" "create-share" Change
        (&'a Share, Option<&'a ShareServer>) -> Vec<ExportLocation>;
    DeleteShare<'a> = Shares "shares" "delete-share" Change (&'a Share, Option<&'a ShareServer>) -> ();
    EnsureShares<'a> = Shares "shares" "ensure-shares" Ensure (&'a [Share]) -> Vec<EnsuredShare>;

    UpdateAccess<'a> = Access "access" "update-access" Access
        (&'a Share, &'a AccessUpdate, Option<&'a ShareServer>) -> Vec<RuleOutcome>;
    AllowAccess<'a> = AccessByRule "access-by-rule" "allow-access" Access
        (&'a Share, &'a AccessRule, Option<&'a ShareServer>) -> ();
    DenyAccess<'a> = AccessByRule "access-by-rule" "deny-access" Access
        (&'a Share, &'a AccessRule, Option<&'a ShareServer>) -> ();

    CreateSnapshot<'a> = Snapshots "snapshots" "create-snapshot" Change
        (&'a Snapshot, Option<&'a ShareServer>) -> SnapshotOutcome;
    DeleteSnapshot<'a> = Snapshots "snapshots" "delete-snapshot" Change
        (&'a Snapshot, Option<&'a ShareServer>) -> ();
    CreateShareFromSnapshot<'a> = ShareFromSnapshot "share-from-snapshot" "create-share-from-snapshot" Change
        (&'a Share, &'a Snapshot, Option<&'a ShareServer>) -> Creation;
    RevertToSnapshot<'a> = Revert "revert" "revert-to-snapshot" Change
        (&'a Snapshot, &'a [AccessRule], &'a [SnapshotAccessRule], Option<&'a ShareServer>) -> Reversion;

    MigrationCheckCompatibility<'a> = Migration "migration" "migration-check-compatibility" Change
        (&'a ShareMigration) -> MigrationCompatibility;
    MigrationStart<'a> = Migration "migration" "migration-start" Change (&'a ShareMigration) -> ();
    MigrationContinue<'a> = Migration "migration" "migration-continue" Change (&'a ShareMigration) -> FirstPhase;
    MigrationComplete<'a> = Migration "migration" "migration-complete" Change (&'a ShareMigration) -> MigrationOutcome;
    MigrationCancel<'a> = Migration "migration" "migration-cancel" Change (&'a ShareMigration) -> ();
    MigrationProgress<'a> = Migration "migration" "migration-progress" Statistics (&'a ShareMigration) -> u32;
    ConnectionInfo<'a> = Migration "migration" "connection-info" Statistics
        (&'a Share, Option<&'a ShareServer>) -> Connection;

    CreateShareGroup<'a> = ShareGroups "share-groups" "create-share-group" Change
        (&'a ShareGroup, Option<&'a ShareServer>) -> ();
    DeleteShareGroup<'a> = ShareGroups "share-groups" "delete-share-group" Change
        (&'a ShareGroup, Option<&'a ShareServer>) -> ();
    CreateShareGroupFromSnapshot<'a> = ShareGroups "share-groups" "create-share-group-from-snapshot" Change
        (&'a ShareGroup, &'a ShareGroupSnapshot, &'a [GroupShareSource], Option<&'a ShareServer>) -> Vec<CreatedShare>;
    ConsistencyUnit<'a> = GroupSnapshots "group-snapshots" "consistency-unit" Statistics () -> Consistency;
    CreateShareGroupSnapshot<'a> = GroupSnapshots "group-snapshots" "create-share-group-snapshot" Change
        (&'a ShareGroupSnapshot, Option<&'a ShareServer>) -> Vec<SnapshotUpdate>;
    DeleteShareGroupSnapshot<'a> = GroupSnapshots "group-snapshots" "delete-share-group-snapshot" Change
        (&'a ShareGroupSnapshot, Option<&'a ShareServer>) -> ();

    CreateReplica<'a> = Replication "replication" "create-replica" Change (&'a ReplicaView) -> ReplicaOutcome;
    DeleteReplica<'a> = Replication "replication" "delete-replica" Change
        (&'a [Replica], &'a Replica, &'a [Snapshot], Option<&'a ShareServer>) -> ();
    PromoteReplica<'a> = Replication "replication" "promote-replica" Change (&'a Promotion) -> Vec<ReplicaOutcome>;
    UpdateReplicaState<'a> = Replication "replication" "update-replica-state" Change
        (&'a ReplicaView) -> Option<ReplicaState>;
    CreateReplicatedSnapshot<'a> = ReplicatedSnapshots "replicated-snapshots" "create-replicated-snapshot" Change
        (&'a [Replica], &'a [ReplicaSnapshot], Option<&'a ShareServer>) -> Vec<SnapshotUpdate>;
    DeleteReplicatedSnapshot<'a> = ReplicatedSnapshots "replicated-snapshots" "delete-replicated-snapshot" Change
        (&'a [Replica], &'a [ReplicaSnapshot], Option<&'a ShareServer>) -> Vec<SnapshotUpdate>;
    UpdateReplicatedSnapshot<'a> = ReplicatedSnapshots "replicated-snapshots" "update-replicated-snapshot" Change
        (&'a [Replica], &'a Replica, &'a [ReplicaSnapshot], &'a ReplicaSnapshot, Option<&'a ShareServer>)
        -> Option<SnapshotUpdate>;
    RevertToReplicatedSnapshot<'a> = ReplicatedRevert "replicated-revert" "revert-to-replicated-snapshot" Change
        (&'a ReplicatedReversion) -> ();

    ExtendShare<'a> = Extend "extend" "extend-share" Change (&'a Share, u64, Option<&'a ShareServer>) -> ();
    ShrinkShare<'a> = Shrink "shrink" "shrink-share" Change (&'a Share, u64, Option<&'a ShareServer>) -> ();

    SnapshotUpdateAccess<'a> = MountableSnapshots "mountable-snapshots" "snapshot-update-access" Access
        (&'a Snapshot, &'a SnapshotAccessUpdate, Option<&'a ShareServer>) -> ();

    ManageExisting<'a> = Manage "manage" "manage-existing" Change
        (&'a Share, &'a [KeyValue], Option<&'a ShareServer>) -> ManagedShare;
    Unmanage<'a> = Manage "manage" "unmanage" Change (&'a Share, Option<&'a ShareServer>) -> ();
    ManageExistingSnapshot<'a> = ManageSnapshots "manage-snapshots" "manage-existing-snapshot" Change
        (&'a Snapshot, &'a [KeyValue], Option<&'a ShareServer>) -> ManagedSnapshot;
    UnmanageSnapshot<'a> = ManageSnapshots "manage-snapshots" "unmanage-snapshot" Change
        (&'a Snapshot, Option<&'a ShareServer>) -> ();

    ShareServerNetworkInfo<'a> = ManageServers "manage-servers" "share-server-network-info" Server
        (&'a ShareServer, &'a str, &'a [KeyValue]) -> Vec<String>;
    ManageServer<'a> = ManageServers "manage-servers" "manage-server" Server
        (&'a ShareServer, &'a str, &'a [KeyValue]) -> ServerOutcome;
    UnmanageServer<'a> = ManageServers "manage-servers" "unmanage-server" Server
        (&'a ShareServer, &'a [SecurityService]) -> ();

    NetworkAllocationsNumber<'a> = ShareServers "share-servers" "network-allocations-number" Statistics () -> u32;
    AdminNetworkAllocationsNumber<'a> = ShareServers "share-servers" "admin-network-allocations-number" Statistics
        () -> u32;
    SetupServer<'a> = ShareServers "share-servers" "setup-server" Server
        (&'a ServerNetwork, &'a ServerRequest) -> ServerOutcome;
    TeardownServer<'a> = ShareServers "share-servers" "teardown-server" Server
        (&'a ShareServer, &'a [SecurityService]) -> ();
    ChooseShareServerForShare<'a> = ShareServers "share-servers" "choose-share-server-for-share" Change
        (&'a ServerChoiceForShare) -> Option<String>;
    ChooseShareServerForGroup<'a> = ShareServers "share-servers" "choose-share-server-for-group" Change
        (&'a ServerChoiceForGroup) -> Option<String>;
    ShareServerPools<'a> = ShareServers "share-servers" "share-server-pools" Statistics
        (&'a ShareServer) -> Vec<String>;
    AfterAllocation<'a> = ShareServers "share-servers" "after-allocation" Server
        (&'a ShareServer, &'a [NetworkAllocation]) -> ();
    BeforeRelease<'a> = ShareServers "share-servers" "before-release" Server
        (&'a ShareServer, &'a [NetworkAllocation]) -> ();

    CheckSecurityServiceUpdate<'a> = ServerUpdates "server-updates" "check-security-service-update" Statistics
        (&'a SecurityServiceUpdate) -> bool;
    UpdateSecurityService<'a> = ServerUpdates "server-updates" "update-security-service" Server
        (&'a SecurityServiceUpdate) -> Vec<ShareRuleOutcomes>;
    CheckNetworkAllocationsUpdate<'a> = ServerUpdates "server-updates" "check-network-allocations-update" Statistics
        (&'a SubnetAddition) -> bool;
    UpdateNetworkAllocations<'a> = ServerUpdates "server-updates" "update-network-allocations" Server
        (&'a AllocationUpdate) -> AllocationOutcome;

    ShareStatus<'a> = ShareStatus "share-status" "share-status" Statistics
        (&'a Share, Option<&'a ShareServer>) -> ShareProgress;
    PeriodicHookData<'a> = PeriodicHook "periodic-hook" "periodic-hook-data" Statistics
        (&'a [Share]) -> Vec<HookData>;
    ShareCreationMetadata<'a> = MetadataUpdates "metadata-updates" "share-creation-metadata" Statistics
        (&'a Share, Option<&'a ShareServer>) -> Vec<KeyValue>;
    UpdateShareFromMetadata<'a> = MetadataUpdates "metadata-updates" "update-share-from-metadata" Change
        (&'a Share, &'a [KeyValue], Option<&'a ShareServer>) -> ();
    UpdateSubnetFromMetadata<'a> = MetadataUpdates "metadata-updates" "update-subnet-from-metadata" Server
        (&'a ShareNetwork, &'a ShareNetworkSubnet, &'a ShareServer, &'a [KeyValue]) -> ();
    ShareUsageSizes<'a> = Usage "usage" "share-usage-sizes" Statistics (&'a [Share]) -> Vec<ShareUsage>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ability_that_this_host_drives_has_its_functions() {
        for ability in Ability::DRIVEN {
            assert!(EXPORTS.iter().any(|export| export.ability == *ability), "{ability}");
        }
        for export in EXPORTS {
            assert_eq!(export.label, format!("{}.{}", export.ability, export.function));
        }
    }
}
