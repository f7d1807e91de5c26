//! What `driver call` is about beside the lab's share: records as the share manager would hand them over. Everything lies on the one backend.

use super::lab::{Lab, id};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{
    ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareTypeId, SnapshotId, SnapshotInstanceId,
};
use bulkhead_model::migration::ShareMigration;
use bulkhead_model::replica::{
    InstanceStatus, Promotion, Replica, ReplicaRemoval, ReplicaSnapshot, ReplicaView, ReplicatedReversion,
    ReplicatedSnapshot,
};
use bulkhead_model::share::{PendingWork, ShareForDriver};
use bulkhead_model::share_group::{GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ReplicationType};
use bulkhead_model::target::TargetSnapshot;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The driver's own handles of snapshots, as the share manager would keep them.
#[derive(Debug, Default)]
pub(super) struct Handles(Mutex<BTreeMap<SnapshotInstanceId, String>>);

impl Handles {
    fn all(&self) -> MutexGuard<'_, BTreeMap<SnapshotInstanceId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep the handle that the driver answered; none leaves what is kept.
    pub(super) fn keep(&self, snapshot: SnapshotInstanceId, handle: Option<&String>) {
        if let Some(handle) = handle {
            self.all().insert(snapshot, handle.clone());
        }
    }

    fn of(&self, snapshot: SnapshotInstanceId) -> Option<String> {
        self.all().get(&snapshot).cloned()
    }
}

impl Lab {
    /// A snapshot of the share.
    pub(super) fn snapshot(&self) -> SnapshotForDriver {
        self.snapshot_of(&self.share, 1)
    }

    fn snapshot_of(&self, share: &ShareForDriver, number: u64) -> SnapshotForDriver {
        let instance = SnapshotInstanceId::from_uuid(id(3, number));
        SnapshotForDriver {
            id: instance,
            snapshot: SnapshotId::from_uuid(id(4, 1)),
            size: self.share.size,
            provider_location: self.handles.of(instance),
            share: share.clone(),
        }
    }

    /// The making of the second share from that snapshot.
    pub(super) fn pending_work(&self) -> PendingWork {
        PendingWork::Creation(TargetSnapshot { snapshot: self.snapshot().id, share: self.share.id })
    }

    /// The share, to be taken over.
    pub(super) fn unmanaged_share(&self) -> ShareForDriver {
        let location = ExportLocation {
            path: self.managed.to_string(),
            admin_only: false,
            preferred: false,
            metadata: BTreeMap::new(),
        };
        ShareForDriver { export_locations: vec![location], ..self.share.clone() }
    }

    /// A snapshot of the share, to be taken over.
    pub(super) fn unmanaged_snapshot(&self) -> SnapshotForDriver {
        SnapshotForDriver { provider_location: Some(self.managed.to_string()), ..self.snapshot() }
    }

    /// The share on its way to become the second one.
    pub(super) fn migration(&self) -> ShareMigration {
        let pool = self.destination.split_once('#').map(|(_, pool)| pool.to_owned());
        let twin = ShareForDriver { share: self.share.share, pool, ..self.second_share.clone() };
        ShareMigration {
            source: self.share.clone(),
            destination: twin,
            destination_host: self.destination.clone(),
            snapshots: Vec::new(),
        }
    }

    fn host(&self) -> String {
        format!("lab@lab#{}", self.share.pool.as_deref().unwrap_or("lab"))
    }

    /// A group that has the share.
    pub(super) fn group(&self) -> ShareGroupForDriver {
        self.group_of(1, vec![self.share.clone()])
    }

    fn group_of(&self, number: u64, shares: Vec<ShareForDriver>) -> ShareGroupForDriver {
        let group = ShareGroupId::from_uuid(id(7, number));
        ShareGroupForDriver {
            id: group,
            display_name: None,
            project: self.share.project.clone(),
            host: self.host(),
            group_type: ShareGroupTypeId::from_uuid(id(8, 1)),
            group_specs: BTreeMap::new(),
            share_types: vec![ShareTypeId::from_uuid(id(9, 1))],
            source_snapshot: None,
            asked_consistency: None,
            share_network: self.share.server.as_ref().map(|server| server.share_network),
            server: self.share.server.clone(),
            shares: shares.into_iter().map(|share| ShareForDriver { group: Some(group), ..share }).collect(),
        }
    }

    /// A snapshot of that group.
    pub(super) fn group_snapshot(&self) -> ShareGroupSnapshotForDriver {
        let (group, of) = (self.group(), ShareGroupSnapshotId::from_uuid(id(10, 1)));
        let member = SnapshotForDriver { snapshot: of.of_members(), ..self.snapshot() };
        ShareGroupSnapshotForDriver {
            id: of,
            display_name: None,
            project: group.project.clone(),
            members: vec![member],
            group,
        }
    }

    /// Another group, whose share is made from that snapshot.
    pub(super) fn group_from_snapshot(&self) -> (ShareGroupForDriver, Vec<GroupShareSource>) {
        let snapshot = self.group_snapshot();
        let group = ShareGroupForDriver {
            source_snapshot: Some(snapshot.id),
            ..self.group_of(2, vec![self.second_share.clone()])
        };
        let pairs = group.shares.iter().cloned().zip(snapshot.members);
        let sources = pairs.map(|(share, member)| GroupShareSource { share, member }).collect();
        (group, sources)
    }

    fn replica_of(&self, share: &ShareForDriver, state: ReplicaState) -> Replica {
        let share = ShareForDriver { share: self.share.share, replica_state: Some(state), ..share.clone() };
        Replica {
            share,
            host: self.host(),
            replication_type: self.replication.unwrap_or(ReplicationType::Readable),
            status: InstanceStatus::Available,
            access_rules_status: AccessRulesStatus::Active,
        }
    }

    /// The share as the active replica, and the second one as the other.
    fn replicas(&self) -> Vec<Replica> {
        vec![
            self.replica_of(&self.share, ReplicaState::Active),
            self.replica_of(&self.second_share, ReplicaState::OutOfSync),
        ]
    }

    /// What calls about the second share as a replica are told.
    pub(super) fn replica_view(&self) -> ReplicaView {
        ReplicaView {
            replicas: self.replicas(),
            replica: self.replica_of(&self.second_share, ReplicaState::OutOfSync),
            access_rules: self.rules.clone(),
            snapshots: Vec::new(),
        }
    }

    /// The removal of that replica.
    pub(super) fn replica_removal(&self) -> ReplicaRemoval {
        let ReplicaView { replicas, replica, .. } = self.replica_view();
        ReplicaRemoval { replicas, replica, snapshots: Vec::new() }
    }

    /// Its promotion.
    pub(super) fn promotion(&self) -> Promotion {
        let ReplicaView { replicas, replica, access_rules, .. } = self.replica_view();
        Promotion { replicas, replica, access_rules, quiesce_wait_seconds: None, snapshots: Vec::new() }
    }

    /// A snapshot on both replicas, the active one first: how far each instance is.
    pub(super) fn replicated_snapshot(&self, statuses: [InstanceStatus; 2]) -> ReplicatedSnapshot {
        let replicas = self.replicas();
        let instances = replicas.iter().zip(1..).zip(statuses);
        let snapshots = instances.map(|((replica, number), status)| ReplicaSnapshot {
            snapshot: self.snapshot_of(&replica.share, number),
            status,
        });
        ReplicatedSnapshot { snapshots: snapshots.collect(), replicas }
    }

    /// The revert of the active replica to that snapshot.
    pub(super) fn reversion(&self) -> ReplicatedReversion {
        let ReplicatedSnapshot { replicas, snapshots } =
            self.replicated_snapshot([InstanceStatus::Available; 2]);
        ReplicatedReversion {
            active_replica: self.replica_of(&self.share, ReplicaState::Active),
            replicas,
            active_snapshot: ReplicaSnapshot { snapshot: self.snapshot(), status: InstanceStatus::Available },
            snapshots,
            share_rules: self.rules.clone(),
            snapshot_rules: Vec::new(),
        }
    }
}
