//! Snapshots that clients can mount, and who may.

use crate::access::SnapshotAccessRule;
use crate::bindings::mountable_snapshots::exports::bulkhead::driver::mountable_snapshots as wit_mountable;
use crate::driver::Driver;
use crate::error::Result;
use crate::snapshot::Snapshot;

/// Snapshots that clients can mount.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `mountable_snapshots` but does not implement `MountableSnapshots`",
    note = "implement `bulkhead_sdk::MountableSnapshots` for it, or leave `mountable_snapshots` out of `export_driver!`"
)]
pub trait MountableSnapshots: Driver {
    /// Make the backend's rules for `snapshot` what `update.rules` says, all of them read only. Whatever it has beside them goes, at
    /// the latest when `add` and `remove` are both empty.
    ///
    /// Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error. Never two calls at once for one
    /// snapshot.
    fn snapshot_update_access(snapshot: &Snapshot, update: &SnapshotAccessUpdate) -> Result<()>;
}

/// What is asked of `snapshot_update_access`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotAccessUpdate {
    /// Everything that must be in force afterwards, `add` included, `remove` excluded.
    pub rules: Vec<SnapshotAccessRule>,
    /// Rules that are new. They may be in force already.
    pub add: Vec<SnapshotAccessRule>,
    /// Rules to take away. They may never have been in force.
    pub remove: Vec<SnapshotAccessRule>,
}

impl SnapshotAccessUpdate {
    pub(crate) fn from_wit(update: wit_mountable::SnapshotAccessUpdate) -> Self {
        let list = |rules: Vec<_>| rules.into_iter().map(SnapshotAccessRule::from_wit).collect();
        Self { rules: list(update.rules), add: list(update.add), remove: list(update.remove) }
    }
}
