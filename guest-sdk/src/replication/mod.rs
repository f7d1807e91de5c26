//! Replicas of shares on backends of one replication domain, and snapshots of replicated shares.

mod glue;
mod outcome;
mod record;

pub use outcome::{ReplicaOutcome, SnapshotProgress, SnapshotUpdate};
pub use record::{
    AccessRulesStatus, InstanceStatus, Promotion, Replica, ReplicaSnapshot, ReplicaSnapshotPair, ReplicaView,
    ReplicatedReversion, ReplicationType, ShareAccessRule,
};

use crate::driver::Driver;
use crate::error::Result;
use crate::share::ReplicaState;
use crate::snapshot::Snapshot;

/// Replicas of shares. Calls go to the backend of the replica they are about; all of them for one share run one after the other.
///
/// A call may name each replica of its share, and each snapshot that it is given, to the host.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `replication` but does not implement `Replication`",
    note = "implement `bulkhead_sdk::Replication` for it, or leave `replication` out of `export_driver!`"
)]
pub trait Replication: Driver {
    /// Make `view.replica` as a replica of the share's active one, with its rules as far as they make sense there.
    ///
    /// Idempotent: a replica that is there is a success with its present state. Each snapshot of `view.snapshots` must exist here
    /// before the state is `InSync`. Fail with [`Error::replication_failed`](crate::Error::replication_failed),
    /// [`Error::no_space`](crate::Error::no_space); with [`Error::busy`](crate::Error::busy) the host repeats the call.
    fn create_replica(view: &ReplicaView) -> Result<ReplicaOutcome>;

    /// Remove `replica`, which is not the last active one, and its snapshots, some of which may still be in the making.
    ///
    /// Idempotent: a replica that is gone, or was made only in part, is a success.
    fn delete_replica(replicas: &[Replica], replica: &Replica, snapshots: &[Snapshot]) -> Result<()>;

    /// Make `promotion.replica` the active one.
    ///
    /// Idempotent: a replica that is active is a success with the same answer. Replicas missing from the answer keep their state; an
    /// empty answer makes the old active one `OutOfSync` and the promoted one `Active`.
    fn promote_replica(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>>;

    /// Look at `view.replica`, which is not active, repair its relationship if it is broken, and tell its state; none for no change.
    ///
    /// Idempotent: called every 300 s and when an operator asks.
    fn update_replica_state(view: &ReplicaView) -> Result<Option<ReplicaState>>;
}

/// Snapshots of replicated shares: one instance on each replica.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `replicated_snapshots` but does not implement `ReplicatedSnapshots`",
    note = "implement `bulkhead_sdk::ReplicatedSnapshots` for it, or leave `replicated_snapshots` out of `export_driver!`"
)]
pub trait ReplicatedSnapshots: Driver {
    /// Take a snapshot on the active replica, and on the others as the backend does. Goes to the active replica's backend.
    ///
    /// Idempotent: instances that are there are a success with the same answer. Instances missing from the answer stay `Creating`; the
    /// host follows them through [`ReplicatedSnapshots::update_replicated_snapshot`].
    fn create_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>>;

    /// Remove a snapshot on the active replica, and on the others as the backend does. Goes to the active replica's backend.
    ///
    /// Idempotent: instances that are gone are answered as `Deleted`. Instances missing from the answer stay `Deleting`; the host
    /// follows them through [`ReplicatedSnapshots::update_replicated_snapshot`].
    fn delete_replicated_snapshot(
        replicas: &[Replica],
        snapshots: &[ReplicaSnapshot],
    ) -> Result<Vec<SnapshotUpdate>>;

    /// Tell how far `snapshot`, which is `Creating` or `Deleting` on `replica`, is; none for no change. Goes to that replica's backend,
    /// which is not the active one's.
    ///
    /// Idempotent: called every 300 s. May take the next small step. Fail with
    /// [`Error::snapshot_not_found`](crate::Error::snapshot_not_found) if it is gone.
    fn update_replicated_snapshot(
        replicas: &[Replica],
        replica: &Replica,
        snapshots: &[ReplicaSnapshot],
        snapshot: &ReplicaSnapshot,
    ) -> Result<Option<SnapshotUpdate>>;
}

/// Reverting a replicated share to its newest snapshot.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `replicated_revert` but does not implement `ReplicatedRevert`",
    note = "implement `bulkhead_sdk::ReplicatedRevert` for it, or leave `replicated_revert` out of `export_driver!`"
)]
pub trait ReplicatedRevert: Driver {
    /// Put the active replica back to the content of the snapshot, in place, and see to it that the others follow.
    ///
    /// Idempotent: reverting what was reverted is a success. Until it has succeeded either the old or the new content is there, never a
    /// mix. On success the share has the snapshot's size.
    fn revert_to_replicated_snapshot(reversion: &ReplicatedReversion) -> Result<()>;
}
