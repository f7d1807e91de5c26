//! What the share manager calls: a backend's driver, wherever its sandbox runs.
//!
//! [`Generation`](crate::Generation) serves it in this process; a backend whose sandbox is a process of its own fits behind the same
//! trait. Every call may run at once with every other; who must not overlap is the manager's to keep, as the contract says.
//!
//! Every method fails with a [`CallError`] that knows who is to blame. After a failure nothing of the call is left: the next one gets a
//! fresh instance. Answers are validated: what arrives keeps the contract.

use crate::server_driver::ServerDriver;
use async_trait::async_trait;
use bulkhead_capability::files::ShareDirectory;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::access::{AccessOutcome, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, CapabilityError};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::migration::{
    Compatibility, Connection, ConnectionOptions, FirstPhase, MigrationOutcome, ShareMigration,
};
use bulkhead_model::replica::{
    Promotion, ReplicaOutcome, ReplicaRemoval, ReplicaView, ReplicatedReversion, ReplicatedSnapshot,
    SnapshotUpdate,
};
use bulkhead_model::share::{
    Creation, EnsuredShare, HookAnswer, ManagedShare, PendingWork, Reversion, RevertRules, ShareForDriver,
    ShareProgress, ShareUsage, SuppliedMetadata,
};
use bulkhead_model::share_group::{
    Consistency, CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotAccessUpdate, SnapshotForDriver, SnapshotOutcome};
use bulkhead_model::statistics::{IpVersion, Statistics};
use bulkhead_model::status::ReplicaState;
use bulkhead_model::target::{CallTarget, ManagedName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// The most shares of one call of [`Driver::ensure_shares`].
pub const ENSURE_BATCH: usize = 500;
/// The most shares of one call of [`Driver::share_usage_sizes`].
pub const USAGE_BATCH: usize = 500;

/// The most shares of one call of [`Driver::periodic_hook_data`].
pub const HOOK_BATCH: usize = 500;

/// A driver on one backend; what it does about share servers stands in [`ServerDriver`]. What each function does, what a repeat of it meets and which errors it may answer stands in `wit/`.
#[async_trait]
pub trait Driver: ServerDriver + Send + Sync + Debug {
    /// What it exports.
    fn abilities(&self) -> &Abilities;

    /// From now on this is the generation that serves: what all generations of a backend share is bounded as this one says. Called when it
    /// becomes current, and again when another one was tried and not taken.
    fn lead(&self) {}

    /// End everything that the backend keeps running beside its calls. Called when the backend is let go, once no call of it runs.
    ///
    /// Idempotent. Fails if something could not be ended; the rest is ended nevertheless.
    async fn end_services(&self) -> Result<(), CapabilityError> {
        Ok(())
    }

    /// Log out of what the backend is logged into. Called when its process ends and services run on; [`Driver::end_services`] does it too.
    ///
    /// Idempotent. What cannot be logged out of is left to expire.
    async fn end_sessions(&self) {}

    /// Whether the host itself may copy shares of this backend, where its driver cannot move them. Denied unless its grant says so.
    fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        Err(CapabilityError::denied("copying shares by the host", "no line; this driver has no roots"))
    }

    /// Where the data of a share stand, for the host to copy them. No call of the driver.
    ///
    /// Fails with `denied` as [`Driver::may_copy_shares`], with `not-found` and `conflict` unless they are one directory that the host
    /// reaches.
    async fn share_directory(&self, _share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        Err(CapabilityError::denied("copying shares by the host", "no line; this driver has no roots"))
    }

    /// What the backend's options say of mounting its shares. No call of the driver.
    fn connection_options(&self) -> ConnectionOptions {
        ConnectionOptions::default()
    }

    /// `lifecycle.setup`: at start and at every swap, until it succeeds.
    async fn setup(&self, reason: &CallReason) -> Result<(), CallError>;

    /// `lifecycle.stats`: every 60 s.
    async fn stats(&self, reason: &CallReason) -> Result<Statistics, CallError>;

    /// `lifecycle.backend-info`: a fingerprint of what influences exports.
    async fn backend_info(&self, reason: &CallReason) -> Result<BTreeMap<String, String>, CallError>;

    /// `lifecycle.ip-versions`.
    async fn ip_versions(&self, reason: &CallReason) -> Result<BTreeSet<IpVersion>, CallError>;

    /// What [`Driver::ip_versions`] answers; IPv4 alone for a driver that does not implement it (contract 3.14).
    async fn exported_versions(&self, reason: &CallReason) -> Result<BTreeSet<IpVersion>, CallError> {
        match self.ip_versions(reason).await {
            Err(error) if error.is_not_implemented() => Ok(BTreeSet::from([IpVersion::V4])),
            answer => answer,
        }
    }

    /// `lifecycle.default-filter-function`: what the scheduler uses where the operator set none. None unless a driver says otherwise.
    async fn default_filter_function(&self, _reason: &CallReason) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    /// `lifecycle.default-goodness-function`: as [`Driver::default_filter_function`].
    async fn default_goodness_function(&self, _reason: &CallReason) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    /// `lifecycle.pool-of`: the pool of a share whose host string has none. None unless a driver says otherwise.
    async fn pool_of(
        &self,
        _reason: &CallReason,
        _share: &ShareForDriver,
    ) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    /// `shares.create-share`; the answer is where clients find it, in the driver's order.
    async fn create_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Vec<ExportLocation>, CallError>;

    /// `shares.delete-share`.
    async fn delete_share(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError>;

    /// `shares.ensure-shares`: at most [`ENSURE_BATCH`] shares; more are refused with blame on the host.
    async fn ensure_shares(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<EnsuredShare>, CallError>;

    /// `access.update-access`. A driver that exports only `access-by-rule`, or answers `not-implemented` and exports that too, is asked
    /// rule by rule: first every new or changed one, then every one to take away; the first failure ends the call.
    async fn update_access(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError>;

    /// `snapshots.create-snapshot`.
    async fn create_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<SnapshotOutcome, CallError>;

    /// `snapshots.delete-snapshot`.
    async fn delete_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError>;

    /// `share-from-snapshot.create-share-from-snapshot`.
    async fn create_share_from_snapshot(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        source: &SnapshotForDriver,
    ) -> Result<Creation, CallError>;

    /// `revert.revert-to-snapshot`.
    async fn revert_to_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        rules: &RevertRules,
    ) -> Result<Reversion, CallError>;

    /// `migration.migration-check-compatibility`; `migration.snapshots` is empty.
    async fn migration_check_compatibility(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.migration-start`.
    async fn migration_start(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.migration-continue`: every 60 s until the first phase is done.
    async fn migration_continue(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.migration-complete`; the answer is about snapshots of the destination, each at most once.
    async fn migration_complete(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.migration-cancel`.
    async fn migration_cancel(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.migration-progress`, in percent: 0 to 100.
    async fn migration_progress(
        &self,
        _reason: &CallReason,
        _migration: &ShareMigration,
    ) -> Result<u8, CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `migration.connection-info`.
    async fn connection_info(
        &self,
        _reason: &CallReason,
        _share: &ShareForDriver,
    ) -> Result<Connection, CallError> {
        Err(CallError::NotExported { interface: Ability::Migration.interface() })
    }

    /// `share-groups.create-share-group`. A driver that does not export it has nothing to do: a group is only a record.
    async fn create_share_group(
        &self,
        _reason: &CallReason,
        _group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// `share-groups.delete-share-group`. A driver that does not export it has nothing to do.
    async fn delete_share_group(
        &self,
        _reason: &CallReason,
        _group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// `share-groups.create-share-group-from-snapshot`; the answer is about shares of `sources`, each at most once.
    async fn create_share_group_from_snapshot(
        &self,
        _reason: &CallReason,
        _group: &ShareGroupForDriver,
        _snapshot: &ShareGroupSnapshotForDriver,
        _sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareGroups.interface() })
    }

    /// `group-snapshots.consistency-unit`: with every `stats`; none if the driver takes no snapshots of groups.
    async fn consistency_unit(&self, _reason: &CallReason) -> Result<Option<Consistency>, CallError> {
        Ok(None)
    }

    /// `group-snapshots.create-share-group-snapshot`; the answer is about members, each at most once.
    async fn create_share_group_snapshot(
        &self,
        _reason: &CallReason,
        _snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        Err(CallError::NotExported { interface: Ability::GroupSnapshots.interface() })
    }

    /// `group-snapshots.delete-share-group-snapshot`.
    async fn delete_share_group_snapshot(
        &self,
        _reason: &CallReason,
        _snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::GroupSnapshots.interface() })
    }

    /// `replication.create-replica`; the answer is about `view.replica`.
    async fn create_replica(
        &self,
        _reason: &CallReason,
        _view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        Err(CallError::NotExported { interface: Ability::Replication.interface() })
    }

    /// `replication.delete-replica`.
    async fn delete_replica(&self, _reason: &CallReason, _removal: &ReplicaRemoval) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::Replication.interface() })
    }

    /// `replication.promote-replica`; the answer is about replicas of this share, each at most once.
    async fn promote_replica(
        &self,
        _reason: &CallReason,
        _promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        Err(CallError::NotExported { interface: Ability::Replication.interface() })
    }

    /// `replication.update-replica-state`: every 300 s; none for no change, also where the driver called the replica active.
    async fn update_replica_state(
        &self,
        _reason: &CallReason,
        _view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        Err(CallError::NotExported { interface: Ability::Replication.interface() })
    }

    /// `replicated-snapshots.create-replicated-snapshot`; the answer is about instances of this snapshot, each at most once.
    async fn create_replicated_snapshot(
        &self,
        _reason: &CallReason,
        _snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        Err(CallError::NotExported { interface: Ability::ReplicatedSnapshots.interface() })
    }

    /// `replicated-snapshots.delete-replicated-snapshot`; as [`Driver::create_replicated_snapshot`].
    async fn delete_replicated_snapshot(
        &self,
        _reason: &CallReason,
        _snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        Err(CallError::NotExported { interface: Ability::ReplicatedSnapshots.interface() })
    }

    /// `replicated-snapshots.update-replicated-snapshot` of the instance on `replica`: every 300 s; none for no change.
    async fn update_replicated_snapshot(
        &self,
        _reason: &CallReason,
        _replica: ShareInstanceId,
        _snapshot: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        Err(CallError::NotExported { interface: Ability::ReplicatedSnapshots.interface() })
    }

    /// `replicated-revert.revert-to-replicated-snapshot`.
    async fn revert_to_replicated_snapshot(
        &self,
        _reason: &CallReason,
        _reversion: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::ReplicatedRevert.interface() })
    }

    /// `extend.extend-share`.
    async fn extend_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError>;

    /// `shrink.shrink-share`.
    async fn shrink_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError>;

    /// `mountable-snapshots.snapshot-update-access`: every rule is read only, whatever its level says.
    async fn snapshot_update_access(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        update: &SnapshotAccessUpdate,
    ) -> Result<(), CallError>;

    /// `manage.manage-existing`; `managed` is what patterns with `{managed}` name.
    async fn manage_existing(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        managed: &ManagedName,
        driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedShare, CallError>;

    /// `manage.unmanage`. A driver that does not export it has nothing to do.
    async fn unmanage(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError>;

    /// `manage-snapshots.manage-existing-snapshot`; `managed` is what patterns with `{managed}` name.
    async fn manage_existing_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        managed: &ManagedName,
        driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedSnapshot, CallError>;

    /// `manage-snapshots.unmanage-snapshot`. A driver that does not export it has nothing to do.
    async fn unmanage_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError>;

    /// `usage.share-usage-sizes`: at most [`USAGE_BATCH`] shares; more are refused with blame on the host.
    async fn share_usage_sizes(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<ShareUsage>, CallError>;

    /// `share-status.share-status`: every 60 s while the backend goes on with `work` on the share by itself.
    async fn share_status(
        &self,
        _reason: &CallReason,
        _share: &ShareForDriver,
        _work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        Err(CallError::NotExported { interface: Ability::ShareStatus.interface() })
    }

    /// `periodic-hook.periodic-hook-data`: at most [`HOOK_BATCH`] shares; more are refused with blame on the host.
    async fn periodic_hook_data(
        &self,
        _reason: &CallReason,
        _shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        Err(CallError::NotExported { interface: Ability::PeriodicHook.interface() })
    }

    /// The keys of shares' metadata that it acts on when a tenant changes them.
    fn updatable_metadata(&self) -> &[String] {
        &[]
    }

    /// The keys of subnets' metadata that it acts on when a tenant changes them.
    fn updatable_subnet_metadata(&self) -> &[String] {
        &[]
    }

    /// `metadata-updates.share-creation-metadata`: after each creation. Nothing unless a driver says otherwise.
    async fn share_creation_metadata(
        &self,
        _reason: &CallReason,
        _share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        Ok(SuppliedMetadata::default())
    }

    /// `metadata-updates.update-share-from-metadata`: `metadata` are the keys of [`Driver::updatable_metadata`] that the tenant set or
    /// changed.
    async fn update_share_from_metadata(
        &self,
        _reason: &CallReason,
        _share: &ShareForDriver,
        _metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        Err(CallError::NotExported { interface: Ability::MetadataUpdates.interface() })
    }

    /// Forget what the host keeps for the driver of the subject of `target`, which was let go: who owns what was made for it, and its private
    /// data. No call of the driver; what stands at the backend stays, is nobody's, and can be taken over again. Idempotent.
    async fn let_go(&self, reason: &CallReason, target: CallTarget) -> Result<(), CallError>;
}
