//! The status words of Manila, spelled as its API prints them.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$case_doc])* #[serde(rename = $word)] $case,)*
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$case,)*];

            /// As the API prints it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$case => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::id::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
                    .ok_or_else(|| crate::id::InvalidId::new(text, stringify!($name)))
            }
        }
    };
}

pub(crate) use words;

words!(
    /// Status of a share instance (contract 2.15). Words of features that no part serves yet come with their part.
    ShareStatus {
        /// Being made.
        Creating = "creating",
        /// Being made from a snapshot by the backend, polled.
        CreatingFromSnapshot = "creating_from_snapshot",
        /// Usable.
        Available = "available",
        /// Being removed.
        Deleting = "deleting",
        /// Could not be made.
        Error = "error",
        /// Could not be removed.
        ErrorDeleting = "error_deleting",
        /// Being made larger.
        Extending = "extending",
        /// Could not be made larger.
        ExtendingError = "extending_error",
        /// Being made smaller.
        Shrinking = "shrinking",
        /// Could not be made smaller.
        ShrinkingError = "shrinking_error",
        /// Manila's word of old for a refused shrink; we never set it, operators may.
        ShrinkingPossibleDataLossError = "shrinking_possible_data_loss_error",
        /// Being put back to a snapshot.
        Reverting = "reverting",
        /// Could not be put back.
        RevertingError = "reverting_error",
        /// Being put back by the backend, polled.
        RevertingToSnapshot = "reverting_to_snapshot",
        /// Taken out of use.
        Inactive = "inactive",
        /// On its way to another pool or backend.
        Migrating = "migrating",
        /// What a share that is on its way becomes.
        MigratingTo = "migrating_to",
        /// A replica that is becoming the active one.
        ReplicationChange = "replication_change",
        /// Being taken over.
        ManageStarting = "manage_starting",
        /// Could not be taken over.
        ManageError = "manage_error",
        /// Being let go.
        UnmanageStarting = "unmanage_starting",
        /// Could not be let go.
        UnmanageError = "unmanage_error",
    }
);

words!(
    /// State of a replica beside its status (contract 2.15).
    ReplicaState {
        /// Serves clients.
        Active = "active",
        /// Holds what the active one holds.
        InSync = "in_sync",
        /// Lags behind.
        OutOfSync = "out_of_sync",
        /// Broken.
        Error = "error",
    }
);

words!(
    /// How the replicas of a share serve clients.
    ReplicationType {
        /// Every replica can be read.
        Readable = "readable",
        /// Every replica can be written.
        Writable = "writable",
        /// Only the active replica is exported.
        Dr = "dr",
    }
);

words!(
    /// Status of a snapshot instance.
    SnapshotStatus {
        /// Being taken.
        Creating = "creating",
        /// Usable.
        Available = "available",
        /// Being removed.
        Deleting = "deleting",
        /// Could not be taken.
        Error = "error",
        /// Could not be removed.
        ErrorDeleting = "error_deleting",
        /// Its share is being put back to it.
        Restoring = "restoring",
        /// On its way to another pool or backend with its share.
        Migrating = "migrating",
        /// What a snapshot that is on its way becomes.
        MigratingTo = "migrating_to",
        /// Being taken over.
        ManageStarting = "manage_starting",
        /// Could not be taken over.
        ManageError = "manage_error",
        /// Being let go.
        UnmanageStarting = "unmanage_starting",
        /// Could not be let go.
        UnmanageError = "unmanage_error",
    }
);

words!(
    /// How far the latest migration of a share is (contract 2.15).
    TaskState {
        /// Asked for.
        MigrationStarting = "migration_starting",
        /// Being prepared.
        MigrationInProgress = "migration_in_progress",
        /// The second phase runs.
        MigrationCompleting = "migration_completing",
        /// It has moved.
        MigrationSuccess = "migration_success",
        /// It has not moved, and serves as before unless its status says otherwise.
        MigrationError = "migration_error",
        /// An operator stopped it; it serves as before.
        MigrationCancelled = "migration_cancelled",
        /// The driver is told to begin.
        MigrationDriverStarting = "migration_driver_starting",
        /// The backend moves the data.
        MigrationDriverInProgress = "migration_driver_in_progress",
        /// The driver waits for the second phase.
        MigrationDriverPhase1Done = "migration_driver_phase1_done",
        /// The host is about to copy.
        DataCopyingStarting = "data_copying_starting",
        /// The host copies.
        DataCopyingInProgress = "data_copying_in_progress",
        /// The host ends its copying.
        DataCopyingCompleting = "data_copying_completing",
        /// The host has copied and waits for the second phase.
        DataCopyingCompleted = "data_copying_completed",
        /// Manila's word for a copy that was stopped; operators may set it.
        DataCopyingCancelled = "data_copying_cancelled",
        /// Manila's word for a copy that failed; operators may set it.
        DataCopyingError = "data_copying_error",
    }
);

words!(
    /// Status of a share group or a group snapshot.
    ShareGroupStatus {
        /// Being made.
        Creating = "creating",
        /// Usable.
        Available = "available",
        /// Being removed.
        Deleting = "deleting",
        /// Could not be made or removed.
        Error = "error",
    }
);

words!(
    /// State of one access rule on one share instance (contract 4.3).
    AccessRuleState {
        /// Waits to be applied.
        QueuedToApply = "queued_to_apply",
        /// Waits to be taken away.
        QueuedToDeny = "queued_to_deny",
        /// Waits for its new level.
        QueuedToUpdate = "queued_to_update",
        /// With the driver, to be applied.
        Applying = "applying",
        /// With the driver, to be taken away.
        Denying = "denying",
        /// With the driver, for its new level.
        Updating = "updating",
        /// In force.
        Active = "active",
        /// Could not be applied.
        Error = "error",
    }
);

words!(
    /// Whether the rules of a share instance are in force, as a whole.
    AccessRulesStatus {
        /// All are.
        Active = "active",
        /// Some are on their way.
        Syncing = "syncing",
        /// Some could not be applied.
        Error = "error",
    }
);

impl ShareStatus {
    /// Whether an operation is at work on it: never left behind without a running owner.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Creating
                | Self::CreatingFromSnapshot
                | Self::Deleting
                | Self::Extending
                | Self::Shrinking
                | Self::Reverting
                | Self::RevertingToSnapshot
                | Self::ReplicationChange
                | Self::Migrating
                | Self::MigratingTo
                | Self::ManageStarting
                | Self::UnmanageStarting
        )
    }
}

impl SnapshotStatus {
    /// Whether an operation is at work on it.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Creating
                | Self::Deleting
                | Self::Restoring
                | Self::Migrating
                | Self::MigratingTo
                | Self::ManageStarting
                | Self::UnmanageStarting
        )
    }
}

impl ShareGroupStatus {
    /// Whether an operation is at work on it.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Creating | Self::Deleting)
    }
}

impl AccessRuleState {
    /// Whether it waits for or is with the driver.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        !matches!(self, Self::Active | Self::Error)
    }
}
