//! Edits of single rows inside a change: read, alter, write back on the condition that nobody else did.

use super::{Cause, Change, Expect, Row, RowKey, Stored, Tables};
use bulkhead_model::id::{ShareId, ShareInstanceId, SnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::status::ReplicaState;
use bulkhead_model::time::Timestamp;

impl Change {
    /// Alter a share.
    pub(crate) fn edit_share(&mut self, tables: &Tables, id: ShareId, alter: impl FnOnce(&mut Share)) {
        let Some(stored) = tables.share(&Scope::Everything, id) else { return };
        let mut share = (*stored.value).clone();
        alter(&mut share);
        share.updated_at = Timestamp::now();
        self.put(Expect::Unchanged(stored.revision), Row::Share(share));
    }

    /// Alter a snapshot.
    pub(crate) fn edit_snapshot(
        &mut self,
        tables: &Tables,
        id: SnapshotId,
        alter: impl FnOnce(&mut Snapshot),
    ) {
        let Some(stored) = tables.snapshot(&Scope::Everything, id) else { return };
        let mut snapshot = (*stored.value).clone();
        alter(&mut snapshot);
        snapshot.updated_at = Timestamp::now();
        self.put(Expect::Unchanged(stored.revision), Row::Snapshot(snapshot));
    }

    /// Alter the instance of a share and say in the ledger how its status changed. Without a change of its own this is the turnstile
    /// that every operation on the share passes.
    pub(crate) fn edit_instance(
        &mut self,
        tables: &Tables,
        share: ShareId,
        cause: &Cause,
        alter: impl FnOnce(&mut ShareInstance),
    ) {
        let Some(stored) = tables.instance_of(share) else { return };
        let mut instance = (*stored.value).clone();
        alter(&mut instance);
        instance.updated_at = Timestamp::now();
        if instance.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, instance.status);
            self.note(cause, format_args!("share/{share}"), words);
            // Whatever it is from now on, it is so for another reason.
            instance.unsound_since = None;
        }
        self.put(Expect::Unchanged(stored.revision), Row::Instance(instance));
    }

    /// Write a share instance as it is, so that of two who decide by it at the same time the later one decides again.
    pub(crate) fn touch_instance(&mut self, tables: &Tables, id: ShareInstanceId) {
        if let Some(stored) = tables.instance(id) {
            self.put(Expect::Unchanged(stored.revision), Row::Instance((*stored.value).clone()));
        }
    }

    /// Alter one replica of a share and say in the ledger how its status and state changed.
    pub(crate) fn edit_replica(
        &mut self,
        tables: &Tables,
        id: ShareInstanceId,
        cause: &Cause,
        alter: impl FnOnce(&mut ShareInstance),
    ) {
        let Some(stored) = tables.instance(id) else { return };
        let mut instance = (*stored.value).clone();
        alter(&mut instance);
        instance.updated_at = Timestamp::now();
        if instance.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, instance.status);
            self.note(cause, format_args!("replica/{id}"), words);
        }
        if instance.replica_state != stored.replica_state {
            let word = |state: Option<ReplicaState>| state.map_or("none", ReplicaState::as_str);
            let (before, after) = (word(stored.replica_state), word(instance.replica_state));
            self.note(cause, format_args!("replica/{id}"), format_args!("state {before} -> {after}"));
        }
        self.put(Expect::Unchanged(stored.revision), Row::Instance(instance));
    }

    /// Take away one replica of a share with its snapshot instances; a snapshot that was only there goes with it.
    pub(crate) fn remove_replica(&mut self, tables: &Tables, id: ShareInstanceId, cause: &Cause) {
        let Some(instance) = tables.instance(id) else { return };
        for snapshot in tables.snapshots_of(instance.share) {
            let on_it = tables.snapshot_instances_of(snapshot.id).find(|one| one.share_instance == id);
            if let Some(on_it) = on_it {
                self.remove_snapshot_instance(tables, on_it, cause);
            }
        }
        self.note(cause, format_args!("replica/{id}"), format_args!("{} -> gone", instance.status));
        self.delete(RowKey::Instance(id), instance.revision);
        if let Some(server) = instance.share_server {
            self.leave_server(tables, server);
        }
    }

    /// Alter one instance of a snapshot and say in the ledger how its status changed.
    pub(crate) fn edit_one_snapshot_instance(
        &mut self,
        stored: &Stored<SnapshotInstance>,
        cause: &Cause,
        alter: impl FnOnce(&mut SnapshotInstance),
    ) {
        let mut instance = (*stored.value).clone();
        alter(&mut instance);
        if instance.status != stored.status {
            let words =
                format_args!("{} -> {} on {}", stored.status, instance.status, instance.share_instance);
            self.note(cause, format_args!("snapshot/{}", instance.snapshot), words);
        }
        self.put(Expect::Unchanged(stored.revision), Row::SnapshotInstance(instance));
    }

    /// Take away one instance of a snapshot, and with the last one the snapshot. Instances that this change has taken away already
    /// count as gone.
    pub(crate) fn remove_snapshot_instance(
        &mut self,
        tables: &Tables,
        stored: &Stored<SnapshotInstance>,
        cause: &Cause,
    ) {
        let words = format_args!("{} -> gone from {}", stored.status, stored.share_instance);
        self.note(cause, format_args!("snapshot/{}", stored.snapshot), words);
        self.delete(RowKey::SnapshotInstance(stored.id), stored.revision);
        let is_left = |one: &Stored<SnapshotInstance>| {
            self.rows.get(&RowKey::SnapshotInstance(one.id)).is_none_or(|(_, row)| row.is_some())
        };
        if !tables.snapshot_instances_of(stored.snapshot).any(is_left)
            && let Some(snapshot) = tables.snapshot(&Scope::Everything, stored.snapshot)
        {
            self.delete(RowKey::Snapshot(snapshot.id), snapshot.revision);
        }
    }

    /// Alter the instance of a snapshot and say in the ledger how its status changed.
    pub(crate) fn edit_snapshot_instance(
        &mut self,
        tables: &Tables,
        snapshot: SnapshotId,
        cause: &Cause,
        alter: impl FnOnce(&mut SnapshotInstance),
    ) {
        let Some(stored) = tables.snapshot_instance_of(snapshot) else { return };
        let mut instance = (*stored.value).clone();
        alter(&mut instance);
        if instance.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, instance.status);
            self.note(cause, format_args!("snapshot/{snapshot}"), words);
        }
        self.put(Expect::Unchanged(stored.revision), Row::SnapshotInstance(instance));
    }

    /// Take away a share with its instance and rules.
    pub(crate) fn remove_share(&mut self, tables: &Tables, id: ShareId, cause: &Cause) {
        if let Some(share) = tables.share(&Scope::Everything, id) {
            self.delete(RowKey::Share(id), share.revision);
        }
        if let Some(instance) = tables.instance_of(id) {
            self.note(cause, format_args!("share/{id}"), format_args!("{} -> gone", instance.status));
            self.remove_rules(tables, id, cause);
        }
        for instance in tables.instances_of(id) {
            self.delete(RowKey::Instance(instance.id), instance.revision);
            if let Some(server) = instance.share_server {
                self.leave_server(tables, server);
            }
        }
    }

    /// Take away all rules of a share.
    pub(crate) fn remove_rules(&mut self, tables: &Tables, share: ShareId, cause: &Cause) {
        let Some(instance) = tables.instance_of(share) else { return };
        let mut count = 0;
        let home = tables.rules_home(instance.id);
        for (number, chunk) in tables.rule_chunks(home) {
            count += chunk.rules.len();
            self.delete(RowKey::Rules(home, number), chunk.revision);
        }
        if count > 0 {
            self.note(cause, format_args!("share/{share}"), format_args!("{count} access rules removed"));
        }
    }

    /// Take away a snapshot with its instance.
    pub(crate) fn remove_snapshot(&mut self, tables: &Tables, id: SnapshotId, cause: &Cause) {
        if let Some(snapshot) = tables.snapshot(&Scope::Everything, id) {
            self.delete(RowKey::Snapshot(id), snapshot.revision);
        }
        if let Some(instance) = tables.snapshot_instance_of(id) {
            self.note(cause, format_args!("snapshot/{id}"), format_args!("{} -> gone", instance.status));
        }
        for instance in tables.snapshot_instances_of(id) {
            self.delete(RowKey::SnapshotInstance(instance.id), instance.revision);
        }
    }
}
