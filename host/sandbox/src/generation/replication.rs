//! Calls about replicas and their snapshots.

use super::{Generation, Judge};
use crate::bindings::convert::replica::{
    created_from_wit, promoted_from_wit, promotion_to_wit, replica_snapshot_to_wit, replica_state_from_wit,
    replica_to_wit, replicas_to_wit, reversion_to_wit, siblings_to_wit, snapshots_to_wit, updates_from_wit,
    view_to_wit,
};
use crate::bindings::convert::server::server_of;
use crate::bindings::convert::snapshot::snapshot_to_wit;
use crate::bindings::v0_1::bulkhead::driver::types::ShareServer;
use crate::export::{
    CreateReplica, CreateReplicatedSnapshot, DeleteReplica, DeleteReplicatedSnapshot, PromoteReplica,
    RevertToReplicatedSnapshot, UpdateReplicaState, UpdateReplicatedSnapshot,
};
use crate::target;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::replica::{
    Promotion, Replica, ReplicaOutcome, ReplicaRemoval, ReplicaSnapshot, ReplicaView, ReplicatedReversion,
    ReplicatedSnapshot, SnapshotUpdate,
};
use bulkhead_model::status::ReplicaState;

impl Generation {
    pub(super) async fn create_replica_of(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        let convert = |judge: Judge<'_>, outcome| created_from_wit(judge, view, outcome);
        let (home, why) = (view.replica.share.server.as_ref(), (reason, target::replica(view)));
        self.call_at_with_keys::<CreateReplica, _>(home, why, (&view_to_wit(view),), convert).await
    }

    pub(super) async fn delete_replica_of(
        &self,
        reason: &CallReason,
        removal: &ReplicaRemoval,
    ) -> Result<(), CallError> {
        let (replicas, replica) = (replicas_to_wit(&removal.replicas), replica_to_wit(&removal.replica));
        let snapshots: Vec<_> = removal.snapshots.iter().map(snapshot_to_wit).collect();
        let server = server_of(removal.replica.share.server.as_ref());
        let arguments = (&replicas[..], &replica, &snapshots[..], server.as_ref());
        self.call::<DeleteReplica, _>(reason, target::removal(removal), arguments, Ok).await
    }

    pub(super) async fn promote_replica_of(
        &self,
        reason: &CallReason,
        promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        let convert = |judge: Judge<'_>, outcomes| promoted_from_wit(judge, promotion, outcomes);
        let (why, arguments) = ((reason, target::promotion(promotion)), promotion_to_wit(promotion));
        self.call_at_with_keys::<PromoteReplica, _>(None, why, (&arguments,), convert).await
    }

    pub(super) async fn update_replica_state_of(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        let arguments = view_to_wit(view);
        let convert = |state: Option<_>| Ok(state.map(replica_state_from_wit));
        let state =
            self.call::<UpdateReplicaState, _>(reason, target::replica(view), (&arguments,), convert).await?;
        if state == Some(ReplicaState::Active) {
            tracing::warn!(
                share_instance.id = %view.replica.share.id,
                "the driver calls a replica active that was not promoted; that is passed over"
            );
            return Ok(None);
        }
        Ok(state)
    }

    pub(super) async fn create_replicated_snapshot_of(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        let target = target::replicated_snapshot(snapshot, active(&snapshot.replicas));
        let server = server_of_active(&snapshot.replicas);
        let (replicas, snapshots) =
            (replicas_to_wit(&snapshot.replicas), snapshots_to_wit(&snapshot.snapshots));
        let convert = |rights: &_, updates| updates_from_wit(rights, snapshot, updates);
        let arguments = (&replicas[..], &snapshots[..], server.as_ref());
        self.call_at::<CreateReplicatedSnapshot, _>(None, (reason, target), arguments, convert).await
    }

    pub(super) async fn delete_replicated_snapshot_of(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        let target = target::replicated_snapshot(snapshot, active(&snapshot.replicas));
        let server = server_of_active(&snapshot.replicas);
        let (replicas, snapshots) =
            (replicas_to_wit(&snapshot.replicas), snapshots_to_wit(&snapshot.snapshots));
        let convert = |rights: &_, updates| updates_from_wit(rights, snapshot, updates);
        let arguments = (&replicas[..], &snapshots[..], server.as_ref());
        self.call_at::<DeleteReplicatedSnapshot, _>(None, (reason, target), arguments, convert).await
    }

    pub(super) async fn update_replicated_snapshot_of(
        &self,
        reason: &CallReason,
        replica: ShareInstanceId,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        let of = |one: &&ReplicaSnapshot| one.snapshot.share.id == replica;
        let subject = snapshot.replicas.iter().find(|one| one.share.id == replica);
        let (Some(subject), Some(instance)) = (subject, snapshot.snapshots.iter().find(of)) else {
            return Err(CallError::Host { reason: format!("replica {replica} has no such snapshot") });
        };
        let target = target::replicated_snapshot(snapshot, Some(replica));
        let (replicas, siblings) =
            (replicas_to_wit(&snapshot.replicas), siblings_to_wit(&snapshot.snapshots));
        let server = server_of(subject.share.server.as_ref());
        let (subject, asked) = (replica_to_wit(subject), replica_snapshot_to_wit(instance));
        let only = ReplicatedSnapshot { replicas: Vec::new(), snapshots: vec![instance.clone()] };
        let convert = |rights: &_, update: Option<_>| {
            Ok(updates_from_wit(rights, &only, update.into_iter().collect())?.into_iter().next())
        };
        let arguments = (&replicas[..], &subject, &siblings[..], &asked, server.as_ref());
        self.call_at::<UpdateReplicatedSnapshot, _>(None, (reason, target), arguments, convert).await
    }

    pub(super) async fn revert_to_replicated_snapshot_of(
        &self,
        reason: &CallReason,
        reversion: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        let arguments = reversion_to_wit(reversion);
        let target = target::replicated_revert(reversion);
        self.call::<RevertToReplicatedSnapshot, _>(reason, target, (&arguments,), Ok).await
    }
}

/// The server that the active replica lives on: calls about a snapshot on all replicas go there.
fn server_of_active(replicas: &[Replica]) -> Option<ShareServer> {
    let id = active(replicas)?;
    let active = replicas.iter().find(|replica| replica.share.id == id)?;
    server_of(active.share.server.as_ref())
}

fn active(replicas: &[Replica]) -> Option<ShareInstanceId> {
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    replicas.iter().find(is_active).map(|replica| replica.share.id)
}
