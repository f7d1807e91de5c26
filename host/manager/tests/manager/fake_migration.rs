//! What the fake backend does with shares that move: both sides see the same world, so moving is renaming within it.

use crate::fake::{FakeDriver, HeldShare, answered, location, make};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, CapabilityCode, CapabilityError, DriverErrorCode};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::migration::{Compatibility, FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_sandbox::ShareDirectory;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How often the first phase of each source was asked about.
pub type Polls = BTreeMap<ShareInstanceId, u32>;

/// All it can be asked for but writing meanwhile.
pub const DISRUPTIVE: Compatibility = Compatibility {
    compatible: true,
    writable: false,
    preserve_metadata: true,
    nondisruptive: true,
    preserve_snapshots: true,
};

fn gate(migration: &ShareMigration) -> (Option<ShareInstanceId>, &'static str) {
    (Some(migration.source.id), "change")
}

impl FakeDriver {
    /// The directory of a share, where there is one.
    pub fn folder_of(&self, share: ShareInstanceId) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(share.to_string()))
    }

    pub fn make_folder(&self, share: ShareInstanceId) {
        if let Some(folder) = self.folder_of(share) {
            std::fs::create_dir_all(folder).expect("made");
        }
    }

    pub fn remove_folder(&self, share: ShareInstanceId) {
        if let Some(Err(error)) = self.folder_of(share).map(std::fs::remove_dir_all) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }

    pub fn may_be_copied(&self) -> Result<(), CapabilityError> {
        match self.folder {
            Some(_) => Ok(()),
            None => Err(CapabilityError::denied("copying by the host", "grant.migration-copy = true")),
        }
    }

    pub fn directory_of(&self, share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        self.may_be_copied()?;
        let folder = self.folder_of(share).expect("a folder");
        ShareDirectory::open(&folder)
            .map_err(|error| CapabilityError::new(CapabilityCode::NotFound, error.to_string()))
    }

    pub async fn compatible(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        assert!(migration.snapshots.is_empty(), "nobody knows yet whether snapshots move along");
        self.perform(("check", reason), gate(migration), |_| Ok(self.compatibility)).await
    }

    pub async fn started_migration(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.perform(("migration-start", reason), gate(migration), |world| {
            let source = world.shares.get(&migration.source.id).cloned();
            let source = source.ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?;
            make(world, &migration.destination, source.content)?;
            for mapping in &migration.snapshots {
                let kept = world.snapshots.get(&mapping.source.id).map(|(_, content)| *content);
                let content = kept.ok_or_else(|| answered(DriverErrorCode::SnapshotNotFound))?;
                world.snapshots.insert(mapping.destination.id, (migration.destination.id, content));
            }
            Ok(())
        })
        .await
    }

    /// Done at the second look.
    pub async fn continued_migration(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        self.perform(("migration-continue", reason), gate(migration), |world| {
            let polls = world.polls.entry(migration.source.id).or_default();
            *polls += 1;
            Ok(if *polls > 1 { FirstPhase::Done } else { FirstPhase::InProgress })
        })
        .await
    }

    pub async fn completed_migration(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        self.perform(("migration-complete", reason), gate(migration), |world| {
            let moved = world.shares.get_mut(&migration.destination.id);
            let moved: &mut HeldShare = moved.ok_or_else(|| answered(DriverErrorCode::ShareNotFound))?;
            moved.rules.clear();
            world.shares.remove(&migration.source.id);
            for mapping in &migration.snapshots {
                world.snapshots.remove(&mapping.source.id);
            }
            Ok(MigrationOutcome {
                export_locations: Some(vec![location(&migration.destination)]),
                snapshots: Vec::new(),
            })
        })
        .await
    }

    pub async fn cancelled_migration(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.perform(("migration-cancel", reason), gate(migration), |world| {
            world.shares.remove(&migration.destination.id);
            for mapping in &migration.snapshots {
                world.snapshots.remove(&mapping.destination.id);
            }
            world.polls.remove(&migration.source.id);
            Ok(())
        })
        .await
    }
}
