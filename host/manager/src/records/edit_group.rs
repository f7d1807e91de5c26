//! Edits of groups and their snapshots inside a change.

use super::{Cause, Change, Expect, Row, RowKey, Tables};
use bulkhead_model::id::{ShareGroupId, ShareGroupSnapshotId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share_group::{ShareGroup, ShareGroupSnapshot};
use bulkhead_model::time::Timestamp;

impl Change {
    /// Alter a group and say in the ledger how its status changed. Without a change of its own this is the turnstile that every operation
    /// on the group, and every share that joins it, passes.
    pub(crate) fn edit_group(
        &mut self,
        tables: &Tables,
        id: ShareGroupId,
        cause: &Cause,
        alter: impl FnOnce(&mut ShareGroup),
    ) {
        let Some(stored) = tables.group(&Scope::Everything, id) else { return };
        let mut group = (*stored.value).clone();
        alter(&mut group);
        if group != *stored.value {
            group.updated_at = Timestamp::now();
        }
        if group.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, group.status);
            self.note(cause, format_args!("share-group/{id}"), words);
        }
        self.put(Expect::Unchanged(stored.revision), Row::Group(group));
    }

    /// Alter a group snapshot and say in the ledger how its status changed.
    pub(crate) fn edit_group_snapshot(
        &mut self,
        tables: &Tables,
        id: ShareGroupSnapshotId,
        cause: &Cause,
        alter: impl FnOnce(&mut ShareGroupSnapshot),
    ) {
        let Some(stored) = tables.group_snapshot(&Scope::Everything, id) else { return };
        let mut snapshot = (*stored.value).clone();
        alter(&mut snapshot);
        if snapshot != *stored.value {
            snapshot.updated_at = Timestamp::now();
        }
        if snapshot.status != stored.status {
            let words = format_args!("{} -> {}", stored.status, snapshot.status);
            self.note(cause, format_args!("share-group-snapshot/{id}"), words);
        }
        self.put(Expect::Unchanged(stored.revision), Row::GroupSnapshot(snapshot));
    }

    /// Take away a group. Its shares and snapshots have gone before.
    pub(crate) fn remove_group(&mut self, tables: &Tables, id: ShareGroupId, cause: &Cause) {
        let Some(group) = tables.group(&Scope::Everything, id) else { return };
        self.note(cause, format_args!("share-group/{id}"), format_args!("{} -> gone", group.status));
        self.delete(RowKey::Group(id), group.revision);
        if let Some(server) = group.share_server {
            self.leave_server(tables, server);
        }
    }

    /// Take away a group snapshot with its members.
    pub(crate) fn remove_group_snapshot(&mut self, tables: &Tables, id: ShareGroupSnapshotId, cause: &Cause) {
        let Some(snapshot) = tables.group_snapshot(&Scope::Everything, id) else { return };
        let words = format_args!("{} -> gone", snapshot.status);
        self.note(cause, format_args!("share-group-snapshot/{id}"), words);
        self.delete(RowKey::GroupSnapshot(id), snapshot.revision);
    }
}
