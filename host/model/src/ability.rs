//! What a driver can do: the interfaces it exports. The host reads them without running anything.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The contract this host speaks.
pub const CONTRACT_VERSION: &str = "0.1.0";
/// The package of the exported interfaces.
pub const DRIVER_PACKAGE: &str = "bulkhead:driver";
/// The package of the imported interfaces.
pub const HOST_PACKAGE: &str = "bulkhead:host";

macro_rules! interfaces {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $interface:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$case_doc])* #[serde(rename = $interface)] $case,)*
        }

        impl $name {
            /// All of them, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$case,)*];

            /// The interface's name in its WIT package.
            #[must_use]
            pub const fn interface(self) -> &'static str {
                match self { $(Self::$case => $interface,)* }
            }

            /// The interface with this name.
            #[must_use]
            pub fn from_interface(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.interface() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.interface())
            }
        }
    };
}

interfaces!(
    /// An interface of `bulkhead:driver` that a component may export.
    Ability {
        /// Set-up and statistics; required.
        Lifecycle = "lifecycle",
        /// Create, delete, ensure; required.
        Shares = "shares",
        /// Access rules all at once; this or the next is required.
        Access = "access",
        /// Access rules one by one.
        AccessByRule = "access-by-rule",
        /// Snapshots.
        Snapshots = "snapshots",
        /// Shares from snapshots.
        ShareFromSnapshot = "share-from-snapshot",
        /// Revert to the newest snapshot.
        Revert = "revert",
        /// Snapshots that can be mounted.
        MountableSnapshots = "mountable-snapshots",
        /// Larger shares.
        Extend = "extend",
        /// Smaller shares.
        Shrink = "shrink",
        /// Taking over shares.
        Manage = "manage",
        /// Taking over snapshots.
        ManageSnapshots = "manage-snapshots",
        /// Taking over share servers.
        ManageServers = "manage-servers",
        /// A server for each tenant network.
        ShareServers = "share-servers",
        /// Driver-assisted migration.
        Migration = "migration",
        /// Share groups.
        ShareGroups = "share-groups",
        /// Consistent snapshots of groups.
        GroupSnapshots = "group-snapshots",
        /// Replicas.
        Replication = "replication",
        /// Snapshots of replicated shares.
        ReplicatedSnapshots = "replicated-snapshots",
        /// Revert of replicated shares.
        ReplicatedRevert = "replicated-revert",
        /// Usage of shares.
        Usage = "usage",
        /// Data for the periodic hook.
        PeriodicHook = "periodic-hook",
        /// Progress of pending creations and reverts.
        ShareStatus = "share-status",
        /// Backups.
        Backups = "backups",
        /// Migration of share servers.
        ServerMigration = "server-migration",
        /// Updates of share servers.
        ServerUpdates = "server-updates",
        /// Transfer between projects.
        Transfer = "transfer",
        /// Metadata that the backend acts on.
        MetadataUpdates = "metadata-updates",
    }
);

interfaces!(
    /// An interface of `bulkhead:host` that a component may import.
    Capability {
        /// Named command templates.
        Execute = "execute",
        /// Long-running processes.
        Service = "service",
        /// Finite background work.
        Job = "job",
        /// Typed D-Bus calls on a service group's private bus.
        Dbus = "dbus",
        /// Addresses for share servers.
        NetworkAllocation = "network-allocation",
        /// Options of the backend.
        Config = "config",
        /// Key/values per resource.
        PrivateData = "private-data",
        /// Files and directories below roots.
        Files = "files",
        /// Named request templates.
        Http = "http",
        /// Secrets by reference.
        Secret = "secret",
        /// Named locks.
        Lock = "lock",
        /// Log lines.
        Log = "log",
        /// Time.
        Clock = "clock",
    }
);

impl Capability {
    /// Whether it is granted without being declared.
    #[must_use]
    pub const fn is_always_granted(self) -> bool {
        matches!(self, Self::Log | Self::Clock | Self::Config)
    }
}

impl Ability {
    /// The abilities this host drives today. A driver may export more: `inspect` says so, statistics do not report them.
    pub const DRIVEN: &'static [Self] = &[
        Self::Lifecycle,
        Self::Shares,
        Self::Access,
        Self::AccessByRule,
        Self::Snapshots,
        Self::ShareFromSnapshot,
        Self::Revert,
        Self::MountableSnapshots,
        Self::Migration,
        Self::ShareGroups,
        Self::GroupSnapshots,
        Self::Replication,
        Self::ReplicatedSnapshots,
        Self::ReplicatedRevert,
        Self::Extend,
        Self::Shrink,
        Self::Manage,
        Self::ManageSnapshots,
        Self::ManageServers,
        Self::ShareServers,
        Self::ServerUpdates,
        Self::Usage,
        Self::ShareStatus,
        Self::MetadataUpdates,
        Self::PeriodicHook,
    ];
}

/// What a driver exports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Abilities(pub BTreeSet<Ability>);

impl Abilities {
    /// Whether the driver exports `ability`.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        self.0.contains(&ability)
    }

    /// What the shares of this driver support, as Manila computes it from overridden methods (contract 3.2).
    #[must_use]
    pub fn share_support(&self) -> crate::share::ShareSupport {
        let snapshot = self.has(Ability::Snapshots);
        crate::share::ShareSupport {
            snapshot,
            create_share_from_snapshot: snapshot && self.has(Ability::ShareFromSnapshot),
            revert_to_snapshot: snapshot && self.has(Ability::Revert),
            mount_snapshot: snapshot && self.has(Ability::MountableSnapshots),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract D-18, D-20, D-22.
    #[test]
    fn a_driver_supports_what_it_exports_and_nothing_from_snapshots_without_snapshots() {
        let (snapshots, from_snapshot) = (Ability::Snapshots, Ability::ShareFromSnapshot);
        for (exports, has_snapshots, makes_shares) in [
            (vec![], false, false),
            (vec![from_snapshot], false, false),
            (vec![snapshots], true, false),
            (vec![snapshots, from_snapshot], true, true),
        ] {
            let support = Abilities(exports.iter().copied().collect()).share_support();
            let found = (support.snapshot, support.create_share_from_snapshot);
            assert_eq!(found, (has_snapshots, makes_shares), "{exports:?}");
        }
    }

    #[test]
    fn only_snapshots_that_there_are_can_be_mounted() {
        let mountable = |abilities| Abilities(BTreeSet::from_iter(abilities)).share_support().mount_snapshot;
        assert!(mountable(vec![Ability::Snapshots, Ability::MountableSnapshots]));
        assert!(!mountable(vec![Ability::MountableSnapshots]));
        assert!(!mountable(vec![Ability::Snapshots]));
    }
}
