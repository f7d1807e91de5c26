//! Between the generated export traits of replication and a driver's own.

use super::record::{
    self, Replica, ReplicaSnapshot, ReplicaSnapshotPair, ReplicaView, ReplicatedReversion, ShareAccessRule,
};
use super::{Promotion, ReplicaOutcome, ReplicatedRevert, ReplicatedSnapshots, Replication, SnapshotUpdate};
use crate::access::{AccessRule, SnapshotAccessRule};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::replicated_revert::exports::bulkhead::driver::replicated_revert;
use crate::bindings::replicated_snapshots::exports::bulkhead::driver::replicated_snapshots;
use crate::bindings::replication::exports::bulkhead::driver::replication;
use crate::error::{Error, Result};
use crate::glue::{Glue, run};
use crate::share::ReplicaState;

fn view(given: replication::ReplicaView) -> Result<ReplicaView> {
    let replicas = Replica::list_from_wit(given.replicas);
    let pair = |pair: wit::ReplicaSnapshotPair| {
        Ok::<_, Error>(ReplicaSnapshotPair {
            active: record::snapshot(pair.active, &replicas)?,
            replica: record::snapshot(pair.replica, &replicas)?,
        })
    };
    Ok(ReplicaView {
        replica: Replica::from_wit(given.replica),
        access_rules: ShareAccessRule::list_from_wit(given.access_rules),
        snapshots: given.snapshots.into_iter().map(pair).collect::<Result<_>>()?,
        replicas,
    })
}

impl<D: Replication> replication::Guest for Glue<D> {
    fn create_replica(given: replication::ReplicaView) -> Result<replication::ReplicaOutcome, wit::Error> {
        run(|| D::create_replica(&view(given)?).map(ReplicaOutcome::into_wit))
    }

    fn delete_replica(
        replicas: Vec<wit::Replica>,
        replica: wit::Replica,
        snapshots: Vec<wit::Snapshot>,
        _server: Option<wit::ShareServer>,
    ) -> Result<(), wit::Error> {
        run(|| {
            let replicas = Replica::list_from_wit(replicas);
            let own = |snapshot| record::snapshot(snapshot, &replicas);
            let snapshots = snapshots.into_iter().map(own).collect::<Result<Vec<_>>>()?;
            D::delete_replica(&replicas, &Replica::from_wit(replica), &snapshots)
        })
    }

    fn promote_replica(
        given: replication::Promotion,
    ) -> Result<Vec<replication::ReplicaOutcome>, wit::Error> {
        run(|| {
            let promotion = Promotion {
                replicas: Replica::list_from_wit(given.replicas),
                replica: Replica::from_wit(given.replica),
                access_rules: ShareAccessRule::list_from_wit(given.access_rules),
                quiesce_wait_seconds: given.quiesce_wait_seconds,
            };
            let outcomes = D::promote_replica(&promotion)?;
            Ok(outcomes.into_iter().map(ReplicaOutcome::into_wit).collect())
        })
    }

    fn update_replica_state(
        given: replication::ReplicaView,
    ) -> Result<Option<wit::ReplicaState>, wit::Error> {
        run(|| Ok(D::update_replica_state(&view(given)?)?.map(ReplicaState::into_wit)))
    }
}

fn updates(updates: Vec<SnapshotUpdate>) -> Vec<wit::SnapshotUpdate> {
    updates.into_iter().map(SnapshotUpdate::into_wit).collect()
}

impl<D: ReplicatedSnapshots> replicated_snapshots::Guest for Glue<D> {
    fn create_replicated_snapshot(
        replicas: Vec<wit::Replica>,
        snapshots: Vec<wit::ReplicaSnapshot>,
        _server: Option<wit::ShareServer>,
    ) -> Result<Vec<wit::SnapshotUpdate>, wit::Error> {
        run(|| {
            let replicas = Replica::list_from_wit(replicas);
            let snapshots = ReplicaSnapshot::list_from_wit(snapshots, &replicas)?;
            D::create_replicated_snapshot(&replicas, &snapshots).map(updates)
        })
    }

    fn delete_replicated_snapshot(
        replicas: Vec<wit::Replica>,
        snapshots: Vec<wit::ReplicaSnapshot>,
        _server: Option<wit::ShareServer>,
    ) -> Result<Vec<wit::SnapshotUpdate>, wit::Error> {
        run(|| {
            let replicas = Replica::list_from_wit(replicas);
            let snapshots = ReplicaSnapshot::list_from_wit(snapshots, &replicas)?;
            D::delete_replicated_snapshot(&replicas, &snapshots).map(updates)
        })
    }

    fn update_replicated_snapshot(
        replicas: Vec<wit::Replica>,
        replica: wit::Replica,
        snapshots: Vec<wit::ReplicaSnapshot>,
        snapshot: wit::ReplicaSnapshot,
        _server: Option<wit::ShareServer>,
    ) -> Result<Option<wit::SnapshotUpdate>, wit::Error> {
        run(|| {
            let replicas = Replica::list_from_wit(replicas);
            let snapshots = ReplicaSnapshot::list_from_wit(snapshots, &replicas)?;
            let snapshot = ReplicaSnapshot::from_wit(snapshot, &replicas)?;
            let update =
                D::update_replicated_snapshot(&replicas, &Replica::from_wit(replica), &snapshots, &snapshot)?;
            Ok(update.map(SnapshotUpdate::into_wit))
        })
    }
}

impl<D: ReplicatedRevert> replicated_revert::Guest for Glue<D> {
    fn revert_to_replicated_snapshot(
        given: replicated_revert::ReplicatedReversion,
    ) -> Result<(), wit::Error> {
        run(|| {
            let replicas = Replica::list_from_wit(given.replicas);
            let snapshot_rules = given.snapshot_rules.into_iter().map(SnapshotAccessRule::from_wit);
            D::revert_to_replicated_snapshot(&ReplicatedReversion {
                active_replica: Replica::from_wit(given.active_replica),
                active_snapshot: ReplicaSnapshot::from_wit(given.active_snapshot, &replicas)?,
                snapshots: ReplicaSnapshot::list_from_wit(given.snapshots, &replicas)?,
                share_rules: AccessRule::list_from_wit(given.share_rules),
                snapshot_rules: snapshot_rules.collect(),
                replicas,
            })
        })
    }
}
