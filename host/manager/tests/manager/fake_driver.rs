//! The fake driver's functions, one after the other as the trait has them: each does what the script says, then the plain thing.

use crate::fake::{Act, FakeDriver, answered, held, make, pool};
use crate::fake_servers::move_out;
use async_trait::async_trait;
use bulkhead_model::ability::Abilities;
use bulkhead_model::access::{AccessOutcome, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, CapabilityCode, CapabilityError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{RequestId, ShareInstanceId};
use bulkhead_model::migration::{Compatibility, FirstPhase, MigrationOutcome, ShareMigration};
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
use bulkhead_model::statistics::{IpVersion, Pool, Statistics};
use bulkhead_model::status::ReplicaState;
use bulkhead_model::target::{CallTarget, ManagedName};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::{Driver, ShareDirectory};
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Driver for FakeDriver {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    async fn end_services(&self) -> Result<(), CapabilityError> {
        let reason =
            CallReason { request: RequestId::internal("unload"), operation: None, earlier_attempts: 0 };
        let ended = self.perform(("end-services", &reason), (None, ""), |_| Ok(())).await;
        ended.map_err(|error| CapabilityError::new(CapabilityCode::TimedOut, error.to_string()))
    }

    async fn setup(&self, reason: &CallReason) -> Result<(), CallError> {
        self.perform(("setup", reason), (None, ""), |_| Ok(())).await
    }

    async fn stats(&self, reason: &CallReason) -> Result<Statistics, CallError> {
        let statistics = Statistics {
            pools: self
                .pools
                .iter()
                .map(|name| Pool { name: (*name).to_owned(), ..pool(self.free_gib) })
                .collect(),
            replication_types: ["dr", "readable", "writable"].map(str::to_owned).to_vec(),
            capabilities: self.capabilities.clone(),
            ..Statistics::default()
        };
        self.perform(("stats", reason), (None, ""), |_| Ok(statistics)).await
    }

    async fn pool_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Option<String>, CallError> {
        let found = self.finds_in.map(str::to_owned);
        self.perform(("pool-of", reason), (Some(share.id), ""), |_| Ok(found)).await
    }

    async fn default_filter_function(&self, _: &CallReason) -> Result<Option<String>, CallError> {
        Ok(self.filter_function.map(str::to_owned))
    }

    async fn default_goodness_function(&self, _: &CallReason) -> Result<Option<String>, CallError> {
        Ok(self.goodness_function.map(str::to_owned))
    }

    async fn backend_info(&self, _: &CallReason) -> Result<BTreeMap<String, String>, CallError> {
        let next = self.next_fingerprint.lock().expect("the fingerprint").clone();
        match next.as_ref().or(self.fingerprint.as_ref()) {
            Some(version) => Ok(BTreeMap::from([("version".to_owned(), version.clone())])),
            None => Err(answered(DriverErrorCode::NotImplemented)),
        }
    }

    async fn ip_versions(&self, _: &CallReason) -> Result<BTreeSet<IpVersion>, CallError> {
        if self.ip_versions.is_empty() {
            return Err(answered(DriverErrorCode::NotImplemented));
        }
        Ok(self.ip_versions.clone())
    }

    async fn create_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Vec<ExportLocation>, CallError> {
        self.perform(("create-share", reason), (Some(share.id), "change"), |world| {
            self.make_folder(share.id);
            make(world, share, 1)
        })
        .await
    }

    async fn delete_share(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        self.perform(("delete-share", reason), (Some(share.id), "change"), |world| {
            self.remove_folder(share.id);
            world.shares.remove(&share.id);
            world.pending.remove(&share.id);
            move_out(world, share.id);
            Ok(())
        })
        .await
    }

    async fn ensure_shares(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<EnsuredShare>, CallError> {
        let ensured = self.ensured.lock().expect("the answers").clone();
        let answers = shares.iter().filter_map(|share| ensured.get(&share.id).cloned()).collect();
        self.perform(("ensure-shares", reason), (None, ""), |_| Ok(answers)).await
    }

    async fn update_access(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError> {
        self.world().updates.push(update.clone());
        let said = match self
            .script
            .lock()
            .expect("the script")
            .get("update-access")
            .and_then(|acts| acts.front())
        {
            Some(Act::Rules(outcomes)) => outcomes.clone(),
            _ => Vec::new(),
        };
        self.perform(("update-access", reason), (Some(share.id), "access"), |world| {
            let held = held(world, share.id)?;
            held.rules =
                update.rules.iter().map(|rule| (rule.id, (rule.access_to.clone(), rule.level))).collect();
            Ok(said)
        })
        .await
    }

    async fn create_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<SnapshotOutcome, CallError> {
        self.perform(("create-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let content = held(world, snapshot.share.id)?.content;
            if !world.snapshots.contains_key(&snapshot.id) {
                *world.made.entry(snapshot.id.to_string()).or_default() += 1;
                world.snapshots.insert(snapshot.id, (snapshot.share.id, content));
            }
            Ok(SnapshotOutcome { provider_location: Some("here".to_owned()), export_locations: Vec::new() })
        })
        .await
    }

    async fn delete_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        self.perform(("delete-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            world.snapshots.remove(&snapshot.id);
            Ok(())
        })
        .await
    }

    async fn create_share_from_snapshot(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        source: &SnapshotForDriver,
    ) -> Result<Creation, CallError> {
        self.perform(("create-share-from-snapshot", reason), (Some(share.id), "change"), |world| {
            let Some((_, content)) = world.snapshots.get(&source.id).copied() else {
                return Err(answered(DriverErrorCode::SnapshotNotFound));
            };
            self.begin_creation(world, share, content)
        })
        .await
    }

    async fn revert_to_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        _rules: &RevertRules,
    ) -> Result<Reversion, CallError> {
        self.perform(("revert-to-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let Some((_, content)) = world.snapshots.get(&snapshot.id).copied() else {
                return Err(answered(DriverErrorCode::SnapshotNotFound));
            };
            if self.slow > 0 {
                self.begin(world, snapshot.share.id, content, snapshot.size);
                return Ok(Reversion::Pending);
            }
            world.pending.remove(&snapshot.share.id);
            let held = held(world, snapshot.share.id)?;
            held.content = content;
            held.size = snapshot.size;
            Ok(self.size_after_revert.map_or(Reversion::Done, Reversion::DoneWithSize))
        })
        .await
    }

    async fn share_status(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        self.progress(reason, share, work).await
    }

    async fn periodic_hook_data(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        self.tell(reason, shares).await
    }

    fn updatable_metadata(&self) -> &[String] {
        &self.updatable
    }

    fn updatable_subnet_metadata(&self) -> &[String] {
        &self.updatable
    }

    async fn share_creation_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        self.supply(reason, share).await
    }

    async fn update_share_from_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        self.follow(reason, share, metadata).await
    }

    async fn snapshot_update_access(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        update: &SnapshotAccessUpdate,
    ) -> Result<(), CallError> {
        self.world().snapshot_updates.push(update.clone());
        self.perform(("snapshot-update-access", reason), (Some(snapshot.share.id), "access"), |_| Ok(()))
            .await
    }

    async fn manage_existing(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        _managed: &ManagedName,
        _driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedShare, CallError> {
        self.perform(("manage-existing", reason), (Some(share.id), "change"), |world| {
            let locations = make(world, share, 1)?;
            Ok(ManagedShare { size: share.size, export_locations: Some(locations) })
        })
        .await
    }

    async fn unmanage(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        self.perform(("unmanage", reason), (Some(share.id), "change"), |_| Ok(())).await
    }

    async fn manage_existing_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        _managed: &ManagedName,
        _driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedSnapshot, CallError> {
        self.perform(("manage-existing-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let content = held(world, snapshot.share.id)?.content;
            world.snapshots.insert(snapshot.id, (snapshot.share.id, content));
            Ok(ManagedSnapshot::default())
        })
        .await
    }

    async fn unmanage_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        self.perform(("unmanage-snapshot", reason), (Some(snapshot.share.id), "change"), |_| Ok(())).await
    }

    async fn share_usage_sizes(
        &self,
        _: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<ShareUsage>, CallError> {
        let usage = |share: &ShareForDriver| ShareUsage {
            id: share.id,
            used_gib: 0.5,
            gathered_at: Timestamp::now(),
        };
        Ok(shares.iter().map(usage).collect())
    }

    async fn let_go(&self, reason: &CallReason, target: CallTarget) -> Result<(), CallError> {
        self.perform(("let-go", reason), (None, ""), |world| {
            for share in &target.shares {
                world.shares.remove(share);
            }
            for snapshot in &target.snapshots {
                world.snapshots.remove(&snapshot.snapshot);
            }
            Ok(())
        })
        .await
    }

    fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        self.may_be_copied()
    }

    async fn share_directory(&self, share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        self.directory_of(share)
    }

    async fn migration_check_compatibility(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        self.compatible(reason, migration).await
    }

    async fn migration_start(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.started_migration(reason, migration).await
    }

    async fn migration_continue(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        self.continued_migration(reason, migration).await
    }

    async fn migration_complete(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        self.completed_migration(reason, migration).await
    }

    async fn migration_cancel(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.cancelled_migration(reason, migration).await
    }

    async fn migration_progress(&self, _: &CallReason, migration: &ShareMigration) -> Result<u8, CallError> {
        let is_known = self.world().polls.contains_key(&migration.source.id);
        if is_known { Ok(50) } else { Err(answered(DriverErrorCode::BackendFailed)) }
    }

    async fn create_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.made_group(reason, group).await
    }

    async fn delete_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.deleted_group(reason, group).await
    }

    async fn create_share_group_from_snapshot(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
        _snapshot: &ShareGroupSnapshotForDriver,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        self.made_group_from_snapshot(reason, group, sources).await
    }

    async fn consistency_unit(&self, _: &CallReason) -> Result<Option<Consistency>, CallError> {
        self.consistency.lock().expect("the unit").clone()
    }

    async fn create_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.took_group_snapshot(reason, snapshot).await
    }

    async fn delete_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        self.removed_group_snapshot(reason, snapshot).await
    }

    async fn create_replica(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        self.made_replica(reason, view).await
    }

    async fn delete_replica(&self, reason: &CallReason, removal: &ReplicaRemoval) -> Result<(), CallError> {
        self.deleted_replica(reason, removal).await
    }

    async fn promote_replica(
        &self,
        reason: &CallReason,
        promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        self.promoted_replica(reason, promotion).await
    }

    async fn update_replica_state(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        self.updated_replica(reason, view).await
    }

    async fn create_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.took_replicated_snapshot(reason, snapshot).await
    }

    async fn delete_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.removed_replicated_snapshot(reason, snapshot).await
    }

    async fn update_replicated_snapshot(
        &self,
        reason: &CallReason,
        replica: ShareInstanceId,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        self.updated_replicated_snapshot(reason, replica, snapshot).await
    }

    async fn revert_to_replicated_snapshot(
        &self,
        reason: &CallReason,
        reversion: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        self.reverted_replica(reason, reversion).await
    }

    async fn extend_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        self.perform(("extend-share", reason), (Some(share.id), "change"), |world| {
            held(world, share.id)?.size = new_size;
            Ok(())
        })
        .await
    }

    async fn shrink_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        self.perform(("shrink-share", reason), (Some(share.id), "change"), |world| {
            held(world, share.id)?.size = new_size;
            Ok(())
        })
        .await
    }
}
