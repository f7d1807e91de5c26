//! Between the generated export traits of groups and a driver's own.

use super::record::{Consistency, CreatedShare, GroupShareSource, ShareGroup, ShareGroupSnapshot};
use super::{GroupSnapshots, ShareGroups};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::group_snapshots::exports::bulkhead::driver::group_snapshots;
use crate::bindings::share_groups::exports::bulkhead::driver::share_groups;
use crate::glue::{Glue, run};
use crate::replication::SnapshotUpdate;

impl<D: ShareGroups> share_groups::Guest for Glue<D> {
    fn create_share_group(
        group: wit::ShareGroup,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::create_share_group(&ShareGroup::from_wit(group, server)))
    }

    fn delete_share_group(
        group: wit::ShareGroup,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::delete_share_group(&ShareGroup::from_wit(group, server)))
    }

    fn create_share_group_from_snapshot(
        group: wit::ShareGroup,
        snapshot: wit::ShareGroupSnapshot,
        sources: Vec<share_groups::GroupShareSource>,
        server: Option<wit::ShareServer>,
    ) -> Result<Vec<share_groups::CreatedShare>, wit::Error> {
        run(|| {
            // A group from a snapshot lives on the server of the group that the snapshot was taken of.
            let snapshot = ShareGroupSnapshot::from_wit(snapshot, server.clone());
            let sources = GroupShareSource::list_from_wit(sources, &snapshot, server.as_ref());
            let group = ShareGroup::from_wit(group, server);
            let made = D::create_share_group_from_snapshot(&group, &snapshot, &sources)?;
            Ok(made.into_iter().map(CreatedShare::into_wit).collect())
        })
    }
}

impl<D: GroupSnapshots> group_snapshots::Guest for Glue<D> {
    fn consistency_unit() -> Result<wit::Consistency, wit::Error> {
        run(|| D::consistency_unit().map(Consistency::into_wit))
    }

    fn create_share_group_snapshot(
        snapshot: wit::ShareGroupSnapshot,
        server: Option<wit::ShareServer>,
    ) -> Result<Vec<wit::SnapshotUpdate>, wit::Error> {
        run(|| {
            let taken = D::create_share_group_snapshot(&ShareGroupSnapshot::from_wit(snapshot, server))?;
            Ok(taken.into_iter().map(SnapshotUpdate::into_wit).collect())
        })
    }

    fn delete_share_group_snapshot(
        snapshot: wit::ShareGroupSnapshot,
        server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| D::delete_share_group_snapshot(&ShareGroupSnapshot::from_wit(snapshot, server)))
    }
}
