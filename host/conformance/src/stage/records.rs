//! Records as the share manager hands them over.

use super::Stage;
use crate::finding::{Finding, Found};
use bulkhead_model::access::{AccessLevel, AccessRule};
use bulkhead_model::id::{
    ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareId, ShareInstanceId, ShareTypeId, SnapshotId,
    SnapshotInstanceId,
};
use bulkhead_model::replica::{InstanceStatus, Replica, ReplicaSnapshot};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState};

/// Which of the two backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one under test.
    Here,
    /// The second one, for replicas.
    Peer,
}

impl Stage {
    /// A share that nobody has made yet.
    pub(crate) fn new_share(&self) -> ShareForDriver {
        let (sample, number) = (&self.sample, self.number());
        ShareForDriver {
            id: ShareInstanceId::from_uuid(sample.id(1, number)),
            share: ShareId::from_uuid(sample.id(2, number)),
            project: sample.project.clone(),
            size: sample.size,
            protocol: sample.protocol,
            pool: sample.pool.clone(),
            source_snapshot: None,
            server: self.home(),
            group: None,
            replica_state: None,
            mount_snapshot_support: false,
            export_locations: Vec::new(),
            extra_specs: sample.extra_specs.clone(),
            metadata: sample.metadata.clone(),
        }
    }

    /// A snapshot of `share` that nobody has taken yet.
    pub(crate) fn new_snapshot(&self, share: &ShareForDriver) -> SnapshotForDriver {
        let number = self.number();
        SnapshotForDriver {
            id: SnapshotInstanceId::from_uuid(self.sample.id(3, number)),
            snapshot: SnapshotId::from_uuid(self.sample.id(4, number)),
            size: share.size,
            provider_location: None,
            share: share.clone(),
        }
    }

    /// A rule that nobody has.
    pub(crate) fn new_rule(&self, level: AccessLevel) -> Found<AccessRule> {
        let rule = self.sample.rule(self.number(), level);
        rule.map_err(|error| Finding::Unjudged(format!("the kit's own rule is refused: {error}")))
    }

    /// Where a backend is in the words of the contract, `HOST@BACKEND#POOL`.
    fn host(&self, side: Side) -> String {
        let [here, peer] = &self.sample.hosts;
        let backend = match side {
            Side::Here => here,
            Side::Peer => peer,
        };
        let pool = self.sample.pool.as_deref().unwrap_or(backend);
        format!("conformance@{backend}#{pool}")
    }

    /// Where else `share` could be: each of `pools` of its own backend that is not its own, then the second backend; with the pool's name.
    pub(crate) fn other_places(&self, share: &ShareForDriver, pools: Vec<String>) -> Vec<(String, String)> {
        let [here, peer] = &self.sample.hosts;
        let first = pools.first().cloned();
        let own = share.pool.clone().or_else(|| first.clone());
        let others = pools.into_iter().filter(|pool| Some(pool) != own.as_ref());
        let mut places: Vec<_> = others.map(|pool| (format!("conformance@{here}#{pool}"), pool)).collect();
        if self.peer().is_ok()
            && let Some(pool) = own.or(first)
        {
            places.push((format!("conformance@{peer}#{pool}"), pool));
        }
        places
    }

    /// A group that nobody has made yet.
    pub(crate) fn new_group(&self) -> ShareGroupForDriver {
        let number = self.number();
        ShareGroupForDriver {
            share_network: self.home().map(|server| server.share_network),
            server: self.home(),
            id: ShareGroupId::from_uuid(self.sample.id(7, number)),
            display_name: None,
            project: self.sample.project.clone(),
            host: self.host(Side::Here),
            group_type: ShareGroupTypeId::from_uuid(self.sample.id(8, 0)),
            group_specs: std::collections::BTreeMap::new(),
            share_types: vec![ShareTypeId::from_uuid(self.sample.id(9, 0))],
            source_snapshot: None,
            asked_consistency: None,
            shares: Vec::new(),
        }
    }

    /// A snapshot of `group`, which has its shares, that nobody has taken yet.
    pub(crate) fn new_group_snapshot(&self, group: &ShareGroupForDriver) -> ShareGroupSnapshotForDriver {
        let id = ShareGroupSnapshotId::from_uuid(self.sample.id(10, self.number()));
        let member = |share: &ShareForDriver| SnapshotForDriver {
            snapshot: id.of_members(),
            ..self.new_snapshot(share)
        };
        ShareGroupSnapshotForDriver {
            id,
            display_name: None,
            project: group.project.clone(),
            members: group.shares.iter().map(member).collect(),
            group: group.clone(),
        }
    }

    /// A group to be made from `snapshot`, and what each of its shares is made from.
    pub(crate) fn new_group_from(
        &self,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> (ShareGroupForDriver, Vec<GroupShareSource>) {
        let mut group = ShareGroupForDriver { source_snapshot: Some(snapshot.id), ..self.new_group() };
        let members = snapshot.members.iter();
        let sources: Vec<GroupShareSource> = members
            .map(|member| GroupShareSource {
                share: ShareForDriver { group: Some(group.id), ..self.new_share() },
                member: member.clone(),
            })
            .collect();
        group.shares = sources.iter().map(|source| source.share.clone()).collect();
        (group, sources)
    }

    /// `share` as a replica in `state`.
    pub(crate) fn replica(&self, share: &ShareForDriver, state: ReplicaState, side: Side) -> Replica {
        Replica {
            share: ShareForDriver { replica_state: Some(state), ..share.clone() },
            host: self.host(side),
            replication_type: self.sample.replication,
            status: InstanceStatus::Available,
            access_rules_status: AccessRulesStatus::Active,
        }
    }

    /// Another replica of `share` that nobody has made yet, on the peer.
    pub(crate) fn new_replica(&self, share: &ShareForDriver) -> Replica {
        let twin = ShareForDriver { share: share.share, ..self.new_share() };
        Replica {
            status: InstanceStatus::Creating,
            ..self.replica(&twin, ReplicaState::OutOfSync, Side::Peer)
        }
    }

    /// The instances of a new snapshot, one on each replica.
    pub(crate) fn new_replicated_snapshot(
        &self,
        replicas: &[Replica],
        status: InstanceStatus,
    ) -> Vec<ReplicaSnapshot> {
        let snapshot = SnapshotId::from_uuid(self.sample.id(4, self.number()));
        replicas
            .iter()
            .map(|replica| ReplicaSnapshot {
                snapshot: SnapshotForDriver { snapshot, ..self.new_snapshot(&replica.share) },
                status,
            })
            .collect()
    }
}
