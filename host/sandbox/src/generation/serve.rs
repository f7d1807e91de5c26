//! [`Driver`] by calls into the component: each method derives the target, converts, calls, checks.

use super::Generation;
use crate::bindings::convert::access::{rules_to_wit, snapshot_rule_to_wit, snapshot_update_to_wit};
use crate::bindings::convert::location::locations_from_wit;
use crate::bindings::convert::manage::{managed_share_from_wit, managed_snapshot_from_wit};
use crate::bindings::convert::pairs_to_wit;
use crate::bindings::convert::server::{server_of, with_server};
use crate::bindings::convert::share::{
    creation_from_wit, ensured_from_wit, reversion_from_wit, share_to_wit,
};
use crate::bindings::convert::snapshot::{outcome_from_wit, snapshot_to_wit};
use crate::bindings::convert::statistics::{
    backend_info_from_wit, function_from_wit, ip_versions_from_wit, pool_name_from_wit, statistics_from_wit,
};
use crate::bindings::convert::usage::usage_from_wit;
use crate::driver::{Driver, ENSURE_BATCH, USAGE_BATCH};
use crate::export::{
    BackendInfo, CreateShare, CreateShareFromSnapshot, CreateSnapshot, DefaultFilterFunction,
    DefaultGoodnessFunction, DeleteShare, DeleteSnapshot, EnsureShares, ExtendShare, IpVersions,
    ManageExisting, ManageExistingSnapshot, PoolOf, RevertToSnapshot, Setup, ShareUsageSizes, ShrinkShare,
    SnapshotUpdateAccess, Stats, Unmanage, UnmanageSnapshot,
};
use crate::target;
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

#[async_trait]
impl Driver for Generation {
    fn abilities(&self) -> &Abilities {
        self.caller.component.abilities()
    }

    fn lead(&self) {
        self.caller.backend.lead();
    }

    async fn end_sessions(&self) {
        self.caller.backend.end_sessions().await;
    }

    async fn end_services(&self) -> Result<(), CapabilityError> {
        self.caller.backend.end_sessions().await;
        self.caller.backend.end_groups().await
    }

    fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        self.caller.backend.may_copy_shares()
    }

    async fn share_directory(&self, share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        self.caller.backend.share_directory(share).await
    }

    fn connection_options(&self) -> ConnectionOptions {
        self.caller.backend.connection_options()
    }

    async fn setup(&self, reason: &CallReason) -> Result<(), CallError> {
        self.call::<Setup, _>(reason, CallTarget::default(), (), Ok).await
    }

    async fn stats(&self, reason: &CallReason) -> Result<Statistics, CallError> {
        self.call::<Stats, _>(reason, CallTarget::default(), (), statistics_from_wit).await
    }

    async fn backend_info(&self, reason: &CallReason) -> Result<BTreeMap<String, String>, CallError> {
        self.call::<BackendInfo, _>(reason, CallTarget::default(), (), backend_info_from_wit).await
    }

    async fn ip_versions(&self, reason: &CallReason) -> Result<BTreeSet<IpVersion>, CallError> {
        let convert = |versions: Vec<_>| ip_versions_from_wit(&versions);
        self.call::<IpVersions, _>(reason, CallTarget::default(), (), convert).await
    }

    async fn default_filter_function(&self, reason: &CallReason) -> Result<Option<String>, CallError> {
        self.call::<DefaultFilterFunction, _>(reason, CallTarget::default(), (), function_from_wit).await
    }

    async fn default_goodness_function(&self, reason: &CallReason) -> Result<Option<String>, CallError> {
        self.call::<DefaultGoodnessFunction, _>(reason, CallTarget::default(), (), function_from_wit).await
    }

    async fn pool_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Option<String>, CallError> {
        let arguments = share_to_wit(share);
        self.call::<PoolOf, _>(reason, target::share(share), (&arguments,), pool_name_from_wit).await
    }

    async fn create_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Vec<ExportLocation>, CallError> {
        let (arguments, server) = with_server(share);
        let (why, arguments) = ((reason, target::share(share)), (&arguments, server.as_ref()));
        self.call_at::<CreateShare, _>(share.server.as_ref(), why, arguments, locations_from_wit).await
    }

    async fn delete_share(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        let (arguments, server) = with_server(share);
        self.call::<DeleteShare, _>(reason, target::share(share), (&arguments, server.as_ref()), Ok).await
    }

    async fn ensure_shares(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<EnsuredShare>, CallError> {
        if shares.len() > ENSURE_BATCH {
            let reason =
                format!("ensure-shares takes at most {ENSURE_BATCH} shares a call, not {}", shares.len());
            return Err(CallError::Host { reason });
        }
        let convert = |rights: &_, answer| ensured_from_wit(rights, shares, answer);
        let arguments: Vec<_> = shares.iter().map(share_to_wit).collect();
        let why = (reason, target::shares(shares));
        self.call_at::<EnsureShares, _>(None, why, (&arguments,), convert).await
    }

    async fn update_access(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError> {
        self.update_access_of(reason, share, update).await
    }

    async fn create_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<SnapshotOutcome, CallError> {
        let convert = |rights: &_, outcome| outcome_from_wit(rights, snapshot, outcome);
        let home = snapshot.share.server.as_ref();
        let (arguments, server) = (snapshot_to_wit(snapshot), server_of(home));
        let (why, arguments) = ((reason, target::snapshot(snapshot)), (&arguments, server.as_ref()));
        self.call_at::<CreateSnapshot, _>(home, why, arguments, convert).await
    }

    async fn delete_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        let (arguments, server) = (snapshot_to_wit(snapshot), server_of(snapshot.share.server.as_ref()));
        let arguments = (&arguments, server.as_ref());
        self.call::<DeleteSnapshot, _>(reason, target::snapshot(snapshot), arguments, Ok).await
    }

    async fn create_share_from_snapshot(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        source: &SnapshotForDriver,
    ) -> Result<Creation, CallError> {
        let convert = |rights: &_, creation| creation_from_wit(rights, self.can_be_polled(), creation);
        let (why, home) = ((reason, target::share_from_snapshot(share, source)), share.server.as_ref());
        let ((share, server), source) = (with_server(share), snapshot_to_wit(source));
        let arguments = (&share, &source, server.as_ref());
        self.call_at::<CreateShareFromSnapshot, _>(home, why, arguments, convert).await
    }

    async fn revert_to_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        rules: &RevertRules,
    ) -> Result<Reversion, CallError> {
        let convert = |reversion| reversion_from_wit(self.can_be_polled(), reversion);
        let target = target::revert(snapshot, rules);
        let share_rules = rules_to_wit(&rules.share);
        let snapshot_rules: Vec<_> = rules.snapshot.iter().map(snapshot_rule_to_wit).collect();
        let server = server_of(snapshot.share.server.as_ref());
        let snapshot = snapshot_to_wit(snapshot);
        let arguments = (&snapshot, &share_rules[..], &snapshot_rules[..], server.as_ref());
        self.call::<RevertToSnapshot, _>(reason, target, arguments, convert).await
    }

    async fn migration_check_compatibility(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        self.compatibility_of(reason, migration).await
    }

    async fn migration_start(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.start_migration_of(reason, migration).await
    }

    async fn migration_continue(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        self.continue_migration_of(reason, migration).await
    }

    async fn migration_complete(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        self.complete_migration_of(reason, migration).await
    }

    async fn migration_cancel(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.cancel_migration_of(reason, migration).await
    }

    async fn migration_progress(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<u8, CallError> {
        self.migration_progress_of(reason, migration).await
    }

    async fn connection_info(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Connection, CallError> {
        self.connection_of(reason, share).await
    }

    async fn create_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.create_share_group_of(reason, group).await
    }

    async fn delete_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.delete_share_group_of(reason, group).await
    }

    async fn create_share_group_from_snapshot(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
        snapshot: &ShareGroupSnapshotForDriver,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        self.create_share_group_from(reason, (group, snapshot), sources).await
    }

    async fn consistency_unit(&self, reason: &CallReason) -> Result<Option<Consistency>, CallError> {
        self.consistency_unit_of(reason).await
    }

    async fn create_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.create_share_group_snapshot_of(reason, snapshot).await
    }

    async fn delete_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        self.delete_share_group_snapshot_of(reason, snapshot).await
    }

    async fn create_replica(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        self.create_replica_of(reason, view).await
    }

    async fn delete_replica(&self, reason: &CallReason, removal: &ReplicaRemoval) -> Result<(), CallError> {
        self.delete_replica_of(reason, removal).await
    }

    async fn promote_replica(
        &self,
        reason: &CallReason,
        promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        self.promote_replica_of(reason, promotion).await
    }

    async fn update_replica_state(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        self.update_replica_state_of(reason, view).await
    }

    async fn create_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.create_replicated_snapshot_of(reason, snapshot).await
    }

    async fn delete_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.delete_replicated_snapshot_of(reason, snapshot).await
    }

    async fn update_replicated_snapshot(
        &self,
        reason: &CallReason,
        replica: ShareInstanceId,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        self.update_replicated_snapshot_of(reason, replica, snapshot).await
    }

    async fn revert_to_replicated_snapshot(
        &self,
        reason: &CallReason,
        reversion: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        self.revert_to_replicated_snapshot_of(reason, reversion).await
    }

    async fn extend_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        let (arguments, server) = with_server(share);
        let arguments = (&arguments, new_size.get(), server.as_ref());
        self.call::<ExtendShare, _>(reason, target::share(share), arguments, Ok).await
    }

    async fn shrink_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        let (arguments, server) = with_server(share);
        let arguments = (&arguments, new_size.get(), server.as_ref());
        self.call::<ShrinkShare, _>(reason, target::share(share), arguments, Ok).await
    }

    async fn snapshot_update_access(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        update: &SnapshotAccessUpdate,
    ) -> Result<(), CallError> {
        let target = target::snapshot_access(snapshot, update);
        let server = server_of(snapshot.share.server.as_ref());
        let (snapshot, update) = (snapshot_to_wit(snapshot), snapshot_update_to_wit(update));
        self.call::<SnapshotUpdateAccess, _>(reason, target, (&snapshot, &update, server.as_ref()), Ok).await
    }

    async fn manage_existing(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        managed: &ManagedName,
        driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedShare, CallError> {
        let (why, home) = ((reason, target::managed_share(share, managed)), share.server.as_ref());
        let ((share, server), options) = (with_server(share), pairs_to_wit(driver_options));
        let arguments = (&share, &options[..], server.as_ref());
        self.call_at::<ManageExisting, _>(home, why, arguments, managed_share_from_wit).await
    }

    async fn unmanage(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        if !self.abilities().has(Ability::Manage) {
            return Ok(());
        }
        let (arguments, server) = with_server(share);
        self.call::<Unmanage, _>(reason, target::share(share), (&arguments, server.as_ref()), Ok).await
    }

    async fn manage_existing_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        managed: &ManagedName,
        driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedSnapshot, CallError> {
        let convert = |rights: &_, answer| managed_snapshot_from_wit(rights, snapshot, answer);
        let home = snapshot.share.server.as_ref();
        let (why, server) = ((reason, target::managed_snapshot(snapshot, managed)), server_of(home));
        let (snapshot, options) = (snapshot_to_wit(snapshot), pairs_to_wit(driver_options));
        let arguments = (&snapshot, &options[..], server.as_ref());
        self.call_at::<ManageExistingSnapshot, _>(home, why, arguments, convert).await
    }

    async fn unmanage_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        if !self.abilities().has(Ability::ManageSnapshots) {
            return Ok(());
        }
        let (arguments, server) = (snapshot_to_wit(snapshot), server_of(snapshot.share.server.as_ref()));
        let arguments = (&arguments, server.as_ref());
        self.call::<UnmanageSnapshot, _>(reason, target::snapshot(snapshot), arguments, Ok).await
    }

    async fn share_usage_sizes(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<ShareUsage>, CallError> {
        if shares.len() > USAGE_BATCH {
            let reason =
                format!("share-usage-sizes takes at most {USAGE_BATCH} shares a call, not {}", shares.len());
            return Err(CallError::Host { reason });
        }
        let convert = |answer: Vec<_>| usage_from_wit(shares, &answer);
        let arguments: Vec<_> = shares.iter().map(share_to_wit).collect();
        self.call::<ShareUsageSizes, _>(reason, target::shares(shares), (&arguments,), convert).await
    }

    async fn share_status(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        self.share_status_of(reason, share, work).await
    }

    async fn periodic_hook_data(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        self.periodic_hook_data_of(reason, shares).await
    }

    fn updatable_metadata(&self) -> &[String] {
        &self.metadata_keys.updatable
    }

    fn updatable_subnet_metadata(&self) -> &[String] {
        &self.metadata_keys.updatable_subnet
    }

    async fn share_creation_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        self.share_creation_metadata_of(reason, share).await
    }

    async fn update_share_from_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        self.update_share_from_metadata_of(reason, share, metadata).await
    }

    async fn let_go(&self, reason: &CallReason, target: CallTarget) -> Result<(), CallError> {
        self.caller.let_go(reason, target).await
    }
}
