//! Migration of shares: how far one is, and what drivers are told and answer (contract 3.10, 4.7).

use crate::export::ExportLocation;
use crate::id::{ShareInstanceId, ShareTypeId};
use crate::operation::OperationFailure;
use crate::replica::SnapshotUpdate;
use crate::share::{Protocol, ShareForDriver};
use crate::snapshot::SnapshotForDriver;
use crate::status::TaskState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an operator asks that a migration keeps. Whatever is asked for and not granted makes the migration fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MigrationOptions {
    /// Clients can write during the first phase.
    pub writable: bool,
    /// All file metadata survive.
    pub preserve_metadata: bool,
    /// Clients notice nothing.
    pub nondisruptive: bool,
    /// Snapshots move along.
    pub preserve_snapshots: bool,
    /// The host copies whatever the driver could do; excludes the others.
    pub force_host_assisted: bool,
}

impl MigrationOptions {
    /// Whether it asks for something that a copy by the host cannot keep.
    #[must_use]
    pub const fn needs_driver(self) -> bool {
        self.writable || self.preserve_metadata || self.nondisruptive || self.preserve_snapshots
    }
}

/// How far a migration is.
///
/// ```text
///   checking --> casting --> starting --> in-progress --> first-phase-done --complete--> completing --> applying-rules --> gone
///      |            |           |              |                  |
///      +------------+-----------+--> host:     +------cancel------+--> ending --> gone
///           casting-for-copy --> creating --> copying --> copied --complete--> exporting --> removing-source --> gone
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationPhase {
    /// The driver is asked what it can keep.
    Checking,
    /// The source is being made read only.
    Casting,
    /// The driver is told to begin.
    Starting,
    /// The backend moves the data.
    InProgress,
    /// The operator may complete or cancel.
    FirstPhaseDone,
    /// The driver cuts over.
    Completing,
    /// The destination serves; its access rules are being brought in force.
    ApplyingRules,
    /// The source is being made read only, for the host to copy it.
    CastingForCopy,
    /// The destination is being made by its own driver.
    Creating,
    /// The host copies.
    Copying,
    /// The host has copied; the operator may complete or cancel.
    Copied,
    /// The access rules are being brought in force at the destination.
    Exporting,
    /// The destination serves; the source is being removed.
    RemovingSource,
    /// The destination that the host made is being removed.
    RemovingDestination,
    /// The destination is gone; the source gets its rules back.
    Ending,
    /// The driver failed to cut over: nobody knows what is where. The operator may complete or cancel once more.
    Broken,
    /// An operator gave it up before the first phase was done. It can only be cancelled.
    Abandoned,
}

impl MigrationPhase {
    /// The word of the API. None for the phases that end a migration, which keep the word they end with.
    #[must_use]
    pub const fn task_state(self) -> Option<TaskState> {
        match self {
            Self::Checking | Self::Casting | Self::CastingForCopy | Self::Creating => {
                Some(TaskState::MigrationInProgress)
            }
            Self::Starting => Some(TaskState::MigrationDriverStarting),
            Self::InProgress => Some(TaskState::MigrationDriverInProgress),
            Self::FirstPhaseDone => Some(TaskState::MigrationDriverPhase1Done),
            Self::Completing | Self::ApplyingRules | Self::Exporting | Self::RemovingSource => {
                Some(TaskState::MigrationCompleting)
            }
            Self::Copying => Some(TaskState::DataCopyingInProgress),
            Self::Copied => Some(TaskState::DataCopyingCompleted),
            Self::Broken | Self::Abandoned => Some(TaskState::MigrationError),
            Self::RemovingDestination | Self::Ending => None,
        }
    }

    /// Whether the destination serves the share's clients already.
    #[must_use]
    pub const fn has_cut_over(self) -> bool {
        matches!(self, Self::ApplyingRules | Self::RemovingSource)
    }

    /// Whether the host copies in this phase, or prepares to, or has.
    #[must_use]
    pub const fn is_of_copy(self) -> bool {
        matches!(
            self,
            Self::CastingForCopy
                | Self::Creating
                | Self::Copying
                | Self::Copied
                | Self::Exporting
                | Self::RemovingSource
                | Self::RemovingDestination
        )
    }

    /// What is being done, in words for people who look at the operation.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Checking => "calling migration.migration-check-compatibility",
            Self::Casting | Self::CastingForCopy => "making the source read only",
            Self::Starting => "calling migration.migration-start",
            Self::InProgress => "first phase: the backend moves the data",
            Self::FirstPhaseDone => "first phase done: waiting for migration_complete or migration_cancel",
            Self::Completing => "calling migration.migration-complete",
            Self::ApplyingRules => "applying the access rules at the destination, which serves",
            Self::Creating => "calling shares.create-share for the destination",
            Self::Copying => "copying",
            Self::Copied => "copied: waiting for migration_complete or migration_cancel",
            Self::Exporting => "applying the access rules at the destination",
            Self::RemovingSource => "removing the source",
            Self::RemovingDestination => "removing the destination",
            Self::Ending => "giving the source its access rules back",
            Self::Broken => "the cut-over failed: migration_complete and migration_cancel try once more",
            Self::Abandoned => "given up: migration_cancel puts everything back",
        }
    }

    /// Whether an operator may ask for the second phase.
    #[must_use]
    pub const fn may_be_completed(self) -> bool {
        matches!(self, Self::FirstPhaseDone | Self::Copied | Self::Broken)
    }

    /// Whether an operator may ask to stop.
    #[must_use]
    pub const fn may_be_cancelled(self) -> bool {
        matches!(
            self,
            Self::InProgress
                | Self::FirstPhaseDone
                | Self::Copying
                | Self::Copied
                | Self::Broken
                | Self::Abandoned
        )
    }
}

/// What an operator wants of a running migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationWish {
    /// Cut over.
    Complete,
    /// Stop, and leave everything as it was.
    Cancel,
}

/// The type a share has once it has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewType {
    /// The type.
    pub id: ShareTypeId,
    /// Its extra specs.
    pub extra_specs: BTreeMap<String, String>,
}

/// The migration that a share is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The instance that moves.
    pub source: ShareInstanceId,
    /// The instance it becomes.
    pub destination: ShareInstanceId,
    /// What was asked for.
    pub options: MigrationOptions,
    /// How far it is.
    pub phase: MigrationPhase,
    /// What the operator wants next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<MigrationWish>,
    /// Whether the source's rules may have been made read only.
    #[serde(default)]
    pub has_cast_rules: bool,
    /// The word it ends with, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_as: Option<TaskState>,
    /// How far the work of this phase is, in percent; none if nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<u8>,
    /// Why it did not come to what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<OperationFailure>,
    /// The type it shall have; none keeps its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_type: Option<NewType>,
}

impl Migration {
    /// The instance that no client sees: the destination before the cut-over, the source after it.
    #[must_use]
    pub const fn hidden(&self) -> ShareInstanceId {
        if self.phase.has_cut_over() { self.source } else { self.destination }
    }
}

/// A share on its way, as a driver call carries it: the WIT record `share-migration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareMigration {
    /// The instance that moves.
    pub source: ShareForDriver,
    /// The instance it becomes.
    pub destination: ShareForDriver,
    /// Where it goes, `HOST@BACKEND#POOL`.
    pub destination_host: String,
    /// The snapshots that move along.
    pub snapshots: Vec<SnapshotMapping>,
}

/// A snapshot on the source and the instance it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMapping {
    /// On the source.
    pub source: SnapshotForDriver,
    /// On the destination.
    pub destination: SnapshotForDriver,
}

/// What a driver says a migration can keep. The default is that it cannot do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compatibility {
    /// Whether it can do it at all.
    pub compatible: bool,
    /// As [`MigrationOptions::writable`].
    pub writable: bool,
    /// As [`MigrationOptions::preserve_metadata`].
    pub preserve_metadata: bool,
    /// As [`MigrationOptions::nondisruptive`].
    pub nondisruptive: bool,
    /// As [`MigrationOptions::preserve_snapshots`].
    pub preserve_snapshots: bool,
}

/// How far the first phase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FirstPhase {
    /// The driver is asked again.
    InProgress,
    /// Done.
    Done,
}

/// What changed when a driver completed a migration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationOutcome {
    /// Where clients find the destination; none leaves its locations.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// What changed about snapshots of the destination, each at most once.
    pub snapshots: Vec<SnapshotUpdate>,
}

/// How somebody beside the backends can reach a share to copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// What to mount; at most [`ExportLocation::PATH_BYTES`] bytes.
    pub mount_export: String,
    /// How access can be asked for: the protocols of each way of naming clients.
    pub access_mapping: BTreeMap<String, Vec<Protocol>>,
}

/// What a backend's inherited options say of mounting its shares (contract 1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionOptions {
    /// `share_mount_template`.
    pub mount_template: String,
    /// `share_unmount_template`.
    pub unmount_template: String,
    /// `protocol_access_mapping`: for each way of naming clients the protocols it works for.
    pub access_mapping: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_that_no_client_sees_changes_with_the_cut_over() {
        let (source, destination) = (ShareInstanceId::random(), ShareInstanceId::random());
        let mut migration = Migration {
            source,
            destination,
            options: MigrationOptions::default(),
            phase: MigrationPhase::Completing,
            wish: None,
            has_cast_rules: false,
            ends_as: None,
            progress_percent: None,
            failure: None,
            new_type: None,
        };
        assert_eq!(migration.hidden(), destination);
        migration.phase = MigrationPhase::ApplyingRules;
        assert_eq!(migration.hidden(), source);
    }

    #[test]
    fn only_what_a_copy_cannot_keep_needs_the_driver() {
        let forced = MigrationOptions { force_host_assisted: true, ..MigrationOptions::default() };
        assert!(!forced.needs_driver() && !MigrationOptions::default().needs_driver());
        assert!(MigrationOptions { preserve_metadata: true, ..MigrationOptions::default() }.needs_driver());
    }
}
