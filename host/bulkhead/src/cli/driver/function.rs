//! The driver functions that `driver call` can call, and what has to be called before each.

use bulkhead_model::ability::Ability;
use bulkhead_model::suggestion::nearest;
use std::fmt;
use std::str::FromStr;

macro_rules! functions {
    ($($case:ident = $ability:ident $name:literal [$($before:ident)*];)*) => {
        /// A function of the contract that this host calls.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function {
            $($case,)*
        }

        impl Function {
            const ALL: &'static [Self] = &[$(Self::$case,)*];

            /// The interface that has it.
            pub(super) const fn interface(self) -> Ability {
                match self { $(Self::$case => Ability::$ability,)* }
            }

            /// Its name without its interface.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$case => $name,)* }
            }

            /// What makes the resources that this function is about. Nothing is kept from call to call, so they are made anew each time.
            pub(super) fn before(self) -> Vec<Self> {
                match self { $(Self::$case => vec![$(Self::$before,)*],)* }
            }
        }
    };
}

functions! {
    Setup = Lifecycle "setup" [];
    Stats = Lifecycle "stats" [];
    BackendInfo = Lifecycle "backend-info" [];
    IpVersions = Lifecycle "ip-versions" [];
    DefaultFilter = Lifecycle "default-filter-function" [];
    DefaultGoodness = Lifecycle "default-goodness-function" [];
    PoolOf = Lifecycle "pool-of" [CreateShare];

    CreateShare = Shares "create-share" [];
    DeleteShare = Shares "delete-share" [CreateShare];
    EnsureShares = Shares "ensure-shares" [CreateShare];
    UpdateAccess = Access "update-access" [CreateShare];
    ExtendShare = Extend "extend-share" [CreateShare];
    ShrinkShare = Shrink "shrink-share" [CreateShare];
    ShareUsageSizes = Usage "share-usage-sizes" [CreateShare];
    ManageExisting = Manage "manage-existing" [];
    Unmanage = Manage "unmanage" [CreateShare];

    CreateSnapshot = Snapshots "create-snapshot" [CreateShare];
    DeleteSnapshot = Snapshots "delete-snapshot" [CreateShare CreateSnapshot];
    CreateShareFromSnapshot = ShareFromSnapshot "create-share-from-snapshot" [CreateShare CreateSnapshot];
    RevertToSnapshot = Revert "revert-to-snapshot" [CreateShare CreateSnapshot];
    SnapshotUpdateAccess = MountableSnapshots "snapshot-update-access" [CreateShare CreateSnapshot];
    ManageExistingSnapshot = ManageSnapshots "manage-existing-snapshot" [CreateShare];
    UnmanageSnapshot = ManageSnapshots "unmanage-snapshot" [CreateShare CreateSnapshot];
    ShareStatus = ShareStatus "share-status" [CreateShare CreateSnapshot CreateShareFromSnapshot];

    PeriodicHookData = PeriodicHook "periodic-hook-data" [CreateShare];
    ShareCreationMetadata = MetadataUpdates "share-creation-metadata" [CreateShare];
    UpdateShareFromMetadata = MetadataUpdates "update-share-from-metadata" [CreateShare];

    MigrationCheckCompatibility = Migration "migration-check-compatibility" [CreateShare];
    MigrationStart = Migration "migration-start" [CreateShare];
    MigrationContinue = Migration "migration-continue" [CreateShare MigrationStart];
    MigrationProgress = Migration "migration-progress" [CreateShare MigrationStart];
    MigrationCancel = Migration "migration-cancel" [CreateShare MigrationStart];
    MigrationComplete = Migration "migration-complete" [CreateShare MigrationStart MigrationContinue];
    ConnectionInfo = Migration "connection-info" [CreateShare];

    CreateShareGroup = ShareGroups "create-share-group" [];
    DeleteShareGroup = ShareGroups "delete-share-group" [CreateShareGroup];
    ConsistencyUnit = GroupSnapshots "consistency-unit" [];
    CreateShareGroupSnapshot = GroupSnapshots "create-share-group-snapshot" [CreateShareGroup CreateShare];
    DeleteShareGroupSnapshot = GroupSnapshots "delete-share-group-snapshot"
        [CreateShareGroup CreateShare CreateShareGroupSnapshot];
    CreateShareGroupFromSnapshot = ShareGroups "create-share-group-from-snapshot"
        [CreateShareGroup CreateShare CreateShareGroupSnapshot];

    NetworkAllocationsNumber = ShareServers "network-allocations-number" [];
    AdminNetworkAllocationsNumber = ShareServers "admin-network-allocations-number" [];
    AfterAllocation = ShareServers "after-allocation" [];
    SetupServer = ShareServers "setup-server" [AfterAllocation];
    TeardownServer = ShareServers "teardown-server" [AfterAllocation SetupServer];
    BeforeRelease = ShareServers "before-release" [AfterAllocation SetupServer TeardownServer];
    ChooseShareServerForShare = ShareServers "choose-share-server-for-share" [AfterAllocation SetupServer];
    ChooseShareServerForGroup = ShareServers "choose-share-server-for-group" [AfterAllocation SetupServer];
    ShareServerPools = ShareServers "share-server-pools" [AfterAllocation SetupServer];
    ShareServerNetworkInfo = ManageServers "share-server-network-info" [];
    ManageServer = ManageServers "manage-server" [];
    UnmanageServer = ManageServers "unmanage-server" [AfterAllocation SetupServer];
    UpdateSubnetFromMetadata = MetadataUpdates "update-subnet-from-metadata" [AfterAllocation SetupServer];

    CreateReplica = Replication "create-replica" [CreateShare];
    DeleteReplica = Replication "delete-replica" [CreateShare CreateReplica];
    PromoteReplica = Replication "promote-replica" [CreateShare CreateReplica];
    UpdateReplicaState = Replication "update-replica-state" [CreateShare CreateReplica];
    CreateReplicatedSnapshot = ReplicatedSnapshots "create-replicated-snapshot" [CreateShare CreateReplica];
    DeleteReplicatedSnapshot = ReplicatedSnapshots "delete-replicated-snapshot"
        [CreateShare CreateReplica CreateReplicatedSnapshot];
    UpdateReplicatedSnapshot = ReplicatedSnapshots "update-replicated-snapshot"
        [CreateShare CreateReplica CreateReplicatedSnapshot];
    RevertToReplicatedSnapshot = ReplicatedRevert "revert-to-replicated-snapshot"
        [CreateShare CreateReplica CreateReplicatedSnapshot];
}

impl Function {
    /// Whether it is about share servers: it can be called only where the driver makes them.
    pub(super) fn is_about_servers(self) -> bool {
        matches!(self.interface(), Ability::ShareServers | Ability::ManageServers)
            || self == Self::UpdateSubnetFromMetadata
    }

    /// As [`Function::before`] where shares live on share servers: where anything is about shares, their server is made first.
    pub(super) fn before_on_servers(self) -> Vec<Self> {
        let about_shares = |one: Self| !one.is_about_servers() && one.interface() != Ability::Lifecycle;
        let mut before = self.before();
        if about_shares(self) || before.iter().copied().any(about_shares) {
            before.splice(0..0, [Self::AfterAllocation, Self::SetupServer]);
        }
        before
    }

    /// The interfaces that have it: a driver needs one of them.
    pub(super) fn interfaces(self) -> Vec<Ability> {
        match self {
            Self::UpdateAccess => vec![Ability::Access, Ability::AccessByRule],
            other => vec![other.interface()],
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.interface(), self.name())
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |function: &Self| function.name() == text || function.to_string() == text;
        if let Some(function) = Self::ALL.iter().find(|function| named(function)) {
            return Ok(*function);
        }
        if ["allow-access", "deny-access"].iter().any(|name| text.ends_with(name)) {
            return Err("call update-access: the host asks a driver with access-by-rule once for each rule"
                .to_owned());
        }
        let name = text.rsplit_once('.').map_or(text, |(_, name)| name);
        let names: Vec<&str> = Self::ALL.iter().map(|function| function.name()).collect();
        Err(match nearest(name, names.iter().copied()) {
            Some(near) => format!("this host calls no such function; did you mean '{near}'?"),
            None => format!("this host calls {}", names.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_function_is_named_with_or_without_its_interface() {
        for function in Function::ALL {
            assert_eq!(function.to_string().parse(), Ok(*function));
            assert_eq!(function.name().parse(), Ok(*function));
        }
        assert!("snapshots.create-share".parse::<Function>().is_err());
    }

    #[test]
    fn a_slip_brings_a_suggestion_and_the_older_way_its_name() {
        assert!(
            "shares.creat-share"
                .parse::<Function>()
                .is_err_and(|told| told.contains("did you mean 'create-share'?"))
        );
        assert!("allow-access".parse::<Function>().is_err_and(|told| told.contains("update-access")));
    }

    #[test]
    fn what_comes_before_has_before_it_what_it_needs_itself() {
        let both = |function: &Function| [function.before(), function.before_on_servers()];
        for (function, before) in Function::ALL.iter().flat_map(|one| both(one).map(|before| (one, before))) {
            assert!(!before.contains(function));
            for (place, one) in before.iter().enumerate() {
                assert!(
                    one.before().iter().all(|needed| before[..place].contains(needed)),
                    "{function}: {one}"
                );
            }
        }
    }

    #[test]
    fn a_server_is_made_before_whatever_is_about_shares_and_before_nothing_else() {
        let made_first = |function: Function| {
            let before = function.before_on_servers();
            before.iter().filter(|one| **one == Function::SetupServer).count()
        };
        for function in [Function::CreateShare, Function::PoolOf, Function::CreateShareGroup] {
            assert_eq!(made_first(function), 1, "{function}");
        }
        for function in [Function::Stats, Function::SetupServer, Function::ManageServer] {
            assert_eq!(made_first(function), 0, "{function}");
        }
        assert_eq!(Function::TeardownServer.before_on_servers(), Function::TeardownServer.before());
    }

    /// Functions that are called by no command, and why.
    const NOT_CALLED: &[(&str, &str)] = &[
        ("allow-access", "update-access asks for it, rule by rule"),
        ("deny-access", "update-access asks for it, rule by rule"),
        ("check-security-service-update", OF_SERVERS_IN_SERVICE),
        ("update-security-service", OF_SERVERS_IN_SERVICE),
        ("check-network-allocations-update", OF_SERVERS_IN_SERVICE),
        ("update-network-allocations", OF_SERVERS_IN_SERVICE),
    ];
    const OF_SERVERS_IN_SERVICE: &str = "driver check does, with servers that have shares";

    #[test]
    fn every_function_of_the_contract_that_this_host_drives_can_be_called() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut missing = Vec::new();
        for ability in Ability::DRIVEN {
            let path = folder.join(format!("{ability}.wit"));
            let text = std::fs::read_to_string(&path).expect("the interface");
            let names = text.lines().filter_map(|line| line.trim().split_once(": func("));
            let full = names.map(|(name, _)| (name, format!("{ability}.{name}")));
            missing.extend(
                full.filter(|(name, full)| {
                    full.parse::<Function>().is_err() && !NOT_CALLED.iter().any(|(known, _)| known == name)
                })
                .map(|(_, full)| full),
            );
        }
        assert_eq!(missing, Vec::<String>::new());
    }
}
