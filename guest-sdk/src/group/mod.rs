//! Share groups as one object of the backend, and snapshots of all shares of a group at one moment.

mod glue;
mod record;

pub use record::{Consistency, CreatedShare, GroupShareSource, ShareGroup, ShareGroupSnapshot};

use crate::driver::Driver;
use crate::error::Result;
use crate::replication::SnapshotUpdate;

/// Share groups. Without this the host keeps a group as a record, and makes the shares of one that is made from a group snapshot one by one
/// through [`ShareFromSnapshot`](crate::ShareFromSnapshot).
///
/// A call is about the group; it may name each share that it is given to the host.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `share_groups` but does not implement `ShareGroups`",
    note = "implement `bulkhead_sdk::ShareGroups` for it, or leave `share_groups` out of `export_driver!`"
)]
pub trait ShareGroups: Driver {
    /// Make an empty group. Shares that are made in it later carry its id in `share_group_id`.
    ///
    /// Idempotent: a group that is there is a success. Fail with
    /// [`Error::invalid_share_group`](crate::Error::invalid_share_group). Never two calls at once for one group.
    fn create_share_group(group: &ShareGroup) -> Result<()>;

    /// Remove a group that has no shares and no snapshots left. Idempotent: a group that is gone is a success.
    fn delete_share_group(group: &ShareGroup) -> Result<()>;

    /// Make a group and all its shares from a group snapshot: the share of each source with the content of its member. The members are
    /// read, never changed; in patterns `{source-snapshot}` and `{source-share}` of a share are those of its own member.
    ///
    /// Idempotent: what an earlier attempt made is a success with the same answer. A share missing from the answer goes to `error`. Not
    /// implemented: the host makes the group and then its shares one by one.
    fn create_share_group_from_snapshot(
        group: &ShareGroup,
        snapshot: &ShareGroupSnapshot,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>>;
}

/// Consistent snapshots of groups. Without this the host takes one snapshot of each share through [`Snapshots`](crate::Snapshots).
///
/// A call is about the group; it may name each member of the snapshot to the host.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `group_snapshots` but does not implement `GroupSnapshots`",
    note = "implement `bulkhead_sdk::GroupSnapshots` for it, or leave `group_snapshots` out of `export_driver!`"
)]
pub trait GroupSnapshots: Driver {
    /// The unit in which the snapshots are consistent. Reads only, within 30 s; called with every `stats`.
    fn consistency_unit() -> Result<Consistency>;

    /// Take snapshots of all shares of `snapshot.members`, all of one moment.
    ///
    /// Idempotent: what is there is a success with the same answer; its content stays that of the first time. A member missing from the
    /// answer is taken as available. On failure leave something that [`GroupSnapshots::delete_share_group_snapshot`] removes. Fail with
    /// [`Error::group_snapshot_not_supported`](crate::Error::group_snapshot_not_supported), [`Error::no_space`](crate::Error::no_space).
    fn create_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<Vec<SnapshotUpdate>>;

    /// Remove a group snapshot with all its members. Idempotent: members that are gone, or were made only in part, are a success.
    fn delete_share_group_snapshot(snapshot: &ShareGroupSnapshot) -> Result<()>;
}
