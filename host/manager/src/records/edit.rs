//! Edits of single rows inside a change: read, alter, write back on the condition that nobody else did.

use super::{Cause, Change, Expect, Row, RowKey, Tables};
use bulkhead_model::id::{ShareId, SnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::snapshot::SnapshotInstance;
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
        }
        self.put(Expect::Unchanged(stored.revision), Row::Instance(instance));
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
            self.delete(RowKey::Instance(instance.id), instance.revision);
            self.remove_rules(tables, id, cause);
        }
    }

    /// Take away all rules of a share.
    pub(crate) fn remove_rules(&mut self, tables: &Tables, share: ShareId, cause: &Cause) {
        let Some(instance) = tables.instance_of(share) else { return };
        let mut count = 0;
        for (number, chunk) in tables.rule_chunks(instance.id) {
            count += chunk.rules.len();
            self.delete(RowKey::Rules(instance.id, number), chunk.revision);
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
            self.delete(RowKey::SnapshotInstance(instance.id), instance.revision);
        }
    }
}
