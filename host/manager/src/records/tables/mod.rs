//! The rows in memory, with the indexes that answer every question of this crate. Loaded once, changed with every commit.

mod groups;
mod instances;
mod networks;
mod servers;

use groups::Groups;
use networks::Networks;
use servers::Servers;

use super::row::{BackendRecord, FirstResult, GenerationRecord, Row, RowKey, RuleChunk, ShareType};
use bulkhead_model::id::{
    AccessRuleId, BackendName, GenerationNumber, OperationId, ProjectId, ShareId, ShareInstanceId,
    ShareTypeId, SnapshotId, SnapshotInstanceId,
};
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Placement, Share, ShareInstance};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::time::Timestamp;
use bulkhead_store::Revision;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;

/// A row as it was read, with the revision that a change of it has to name.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    pub(crate) revision: Revision,
    pub(crate) value: Arc<T>,
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Stored<T> {
    fn new(revision: Revision, value: T) -> Self {
        Self { revision, value: Arc::new(value) }
    }
}

type Index<K, V> = HashMap<K, BTreeSet<V>>;

/// All rows. Queries for tenants take a [`Scope`]; what is reached through a row that passed one needs no second.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    shares: BTreeMap<ShareId, Stored<Share>>,
    instances: BTreeMap<ShareInstanceId, Stored<ShareInstance>>,
    snapshots: BTreeMap<SnapshotId, Stored<Snapshot>>,
    snapshot_instances: BTreeMap<SnapshotInstanceId, Stored<SnapshotInstance>>,
    operations: BTreeMap<OperationId, Stored<Operation>>,
    rules: HashMap<ShareInstanceId, BTreeMap<u32, Stored<RuleChunk>>>,
    first_results: HashMap<(ProjectId, String), Stored<FirstResult>>,
    backends: BTreeMap<BackendName, Stored<BackendRecord>>,
    share_types: BTreeMap<ShareTypeId, Stored<ShareType>>,
    generations: BTreeMap<BackendName, BTreeMap<GenerationNumber, Stored<GenerationRecord>>>,
    groups: Groups,
    servers: Servers,
    networks: Networks,

    shares_of_project: Index<ProjectId, ShareId>,
    instances_of_share: Index<ShareId, ShareInstanceId>,
    instances_of_backend: Index<BackendName, ShareInstanceId>,
    snapshots_of_share: HashMap<ShareId, BTreeMap<u64, SnapshotId>>,
    instances_of_snapshot: Index<SnapshotId, SnapshotInstanceId>,
    instance_of_rule: HashMap<AccessRuleId, (ShareInstanceId, u32)>,
    unfinished_of_share: Index<ShareId, OperationId>,
    unfinished_of_backend: Index<BackendName, OperationId>,
    finished: BTreeSet<OperationId>,
    first_results_by_age: BTreeSet<(Timestamp, ProjectId, String)>,
}

fn remove_from<K: std::hash::Hash + Eq, V: Ord>(index: &mut Index<K, V>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}

impl Tables {
    /// A share inside `scope`.
    pub(crate) fn share(&self, scope: &Scope, id: ShareId) -> Option<&Stored<Share>> {
        self.shares.get(&id).filter(|share| scope.contains(&share.project))
    }

    /// All shares inside `scope`.
    pub(crate) fn shares(&self, scope: &Scope) -> Vec<&Stored<Share>> {
        match scope {
            Scope::Project(project) => self
                .shares_of_project
                .get(project)
                .into_iter()
                .flatten()
                .filter_map(|id| self.shares.get(id))
                .collect(),
            Scope::Everything => self.shares.values().collect(),
        }
    }

    /// An instance by its own id.
    pub(crate) fn instance(&self, id: ShareInstanceId) -> Option<&Stored<ShareInstance>> {
        self.instances.get(&id)
    }

    /// The instances that live on a backend.
    pub(crate) fn instances_on(&self, backend: &BackendName) -> impl Iterator<Item = &Stored<ShareInstance>> {
        self.instances_of_backend.get(backend).into_iter().flatten().filter_map(|id| self.instances.get(id))
    }

    /// Where the shares of a backend live, and how large they are.
    pub(crate) fn sizes_on(&self, backend: &BackendName) -> impl Iterator<Item = (&Placement, Gibibytes)> {
        self.instances_on(backend)
            .filter_map(|instance| Some((&instance.placement, self.shares.get(&instance.share)?.size)))
    }

    /// Every instance there is.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &Stored<ShareInstance>> {
        self.instances.values()
    }

    /// A snapshot inside `scope`.
    pub(crate) fn snapshot(&self, scope: &Scope, id: SnapshotId) -> Option<&Stored<Snapshot>> {
        self.snapshots.get(&id).filter(|snapshot| scope.contains(&snapshot.project))
    }

    /// All snapshots inside `scope`, in no order.
    pub(crate) fn snapshots(&self, scope: &Scope) -> Vec<&Stored<Snapshot>> {
        self.snapshots.values().filter(|snapshot| scope.contains(&snapshot.project)).collect()
    }

    /// The snapshots of a share, oldest first.
    pub(crate) fn snapshots_of(&self, share: ShareId) -> impl DoubleEndedIterator<Item = &Stored<Snapshot>> {
        self.snapshots_of_share
            .get(&share)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|id| self.snapshots.get(id))
    }

    /// An operation inside `scope`.
    pub(crate) fn operation(&self, scope: &Scope, id: OperationId) -> Option<&Stored<Operation>> {
        self.operations.get(&id).filter(|operation| scope.contains(&operation.project))
    }

    /// All operations inside `scope`, newest first.
    pub(crate) fn operations(&self, scope: &Scope) -> impl Iterator<Item = &Stored<Operation>> {
        self.operations.values().rev().filter(move |operation| scope.contains(&operation.project))
    }

    /// The unfinished operations on a share, its rules and its snapshots.
    pub(crate) fn unfinished_of_share(&self, share: ShareId) -> impl Iterator<Item = &Stored<Operation>> {
        self.unfinished_of_share.get(&share).into_iter().flatten().filter_map(|id| self.operations.get(id))
    }

    /// How many operations of a backend are unfinished.
    pub(crate) fn count_unfinished_of_backend(&self, backend: &BackendName) -> usize {
        self.unfinished_of_backend.get(backend).map_or(0, BTreeSet::len)
    }

    /// The unfinished operations of a backend.
    pub(crate) fn unfinished_of_backend(
        &self,
        backend: &BackendName,
    ) -> impl Iterator<Item = &Stored<Operation>> {
        self.unfinished_of_backend.get(backend).into_iter().flatten().filter_map(|id| self.operations.get(id))
    }

    /// Every unfinished operation, oldest first.
    pub(crate) fn unfinished(&self) -> Vec<OperationId> {
        let mut ids: Vec<_> = self.unfinished_of_share.values().flatten().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The finished operations beyond the newest `most`, oldest first.
    pub(crate) fn surplus_operations(&self, most: usize) -> impl Iterator<Item = &Stored<Operation>> {
        let surplus = self.finished.len().saturating_sub(most);
        self.finished.iter().take(surplus).filter_map(|id| self.operations.get(id))
    }

    /// The rules of an instance, by chunk.
    pub(crate) fn rule_chunks(&self, instance: ShareInstanceId) -> BTreeMap<u32, Stored<RuleChunk>> {
        self.rules.get(&instance).cloned().unwrap_or_default()
    }

    /// The share and chunk a rule stands in.
    pub(crate) fn rule_place(&self, rule: AccessRuleId) -> Option<&Stored<RuleChunk>> {
        let (instance, number) = self.instance_of_rule.get(&rule)?;
        self.rules.get(instance)?.get(number)
    }

    /// What the key led to first.
    pub(crate) fn first_result(&self, project: &ProjectId, key: &str) -> Option<&Stored<FirstResult>> {
        self.first_results.get(&(project.clone(), key.to_owned()))
    }

    /// The oldest keys.
    pub(crate) fn oldest_first_results(&self) -> impl Iterator<Item = &Stored<FirstResult>> {
        self.first_results_by_age
            .iter()
            .filter_map(|(_, project, key)| self.first_results.get(&(project.clone(), key.clone())))
    }

    /// A share type that an operator made.
    pub(crate) fn share_type(&self, id: ShareTypeId) -> Option<&Stored<ShareType>> {
        self.share_types.get(&id)
    }

    /// The share types that operators made.
    pub(crate) fn share_types(&self) -> impl Iterator<Item = &Stored<ShareType>> {
        self.share_types.values()
    }

    /// How many shares were made with a type, and groups for shares of it.
    pub(crate) fn count_uses_of_type(&self, id: ShareTypeId) -> usize {
        self.shares.values().filter(|share| share.share_type == id).count() + self.count_groups_of_type(id)
    }

    /// What is remembered of a backend.
    pub(crate) fn backend(&self, name: &BackendName) -> Option<&Stored<BackendRecord>> {
        self.backends.get(name)
    }

    /// What is remembered of all backends.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Stored<BackendRecord>> {
        self.backends.values()
    }

    /// The generations of a backend that are still remembered, oldest first.
    pub(crate) fn generations(
        &self,
        backend: &BackendName,
    ) -> impl DoubleEndedIterator<Item = &Stored<GenerationRecord>> {
        self.generations.get(backend).into_iter().flat_map(BTreeMap::values)
    }

    /// A generation of a backend.
    pub(crate) fn generation(
        &self,
        backend: &BackendName,
        number: GenerationNumber,
    ) -> Option<&Stored<GenerationRecord>> {
        self.generations.get(backend)?.get(&number)
    }

    /// The generation that serves, or will after a restart.
    pub(crate) fn current_generation(&self, backend: &BackendName) -> Option<&Stored<GenerationRecord>> {
        self.generation(backend, self.backend(backend)?.current?)
    }

    /// Take in what was committed as `revision`; none takes the row away.
    pub(crate) fn apply(&mut self, key: RowKey, row: Option<Row>, revision: Revision) {
        self.remove(&key);
        if let Some(row) = row {
            self.insert(row, revision);
        }
    }

    fn insert(&mut self, row: Row, revision: Revision) {
        match row {
            Row::Server(server) => self.servers.insert(revision, server),
            Row::Network(network) => self.networks.insert(revision, network),
            Row::SecurityService(service) => self.networks.insert_service(revision, service),
            Row::Group(group) => {
                self.servers.insert_group(&group);
                self.groups.insert(revision, group);
            }
            Row::GroupSnapshot(snapshot) => self.groups.insert_snapshot(revision, snapshot),
            Row::Share(share) => {
                self.groups.insert_share(&share);
                self.shares_of_project.entry(share.project.clone()).or_default().insert(share.id);
                self.shares.insert(share.id, Stored::new(revision, share));
            }
            Row::Instance(instance) => {
                self.instances_of_share.entry(instance.share).or_default().insert(instance.id);
                let backend = instance.placement.backend.clone();
                self.instances_of_backend.entry(backend).or_default().insert(instance.id);
                self.servers.insert_instance(&instance);
                self.instances.insert(instance.id, Stored::new(revision, instance));
            }
            Row::Snapshot(snapshot) => {
                let of_share = self.snapshots_of_share.entry(snapshot.share).or_default();
                of_share.insert(snapshot.sequence, snapshot.id);
                self.snapshots.insert(snapshot.id, Stored::new(revision, snapshot));
            }
            Row::SnapshotInstance(instance) => {
                self.instances_of_snapshot.entry(instance.snapshot).or_default().insert(instance.id);
                self.snapshot_instances.insert(instance.id, Stored::new(revision, instance));
            }
            Row::Operation(operation) => self.insert_operation(operation, revision),
            Row::Rules(chunk) => {
                for rule in chunk.rules.iter() {
                    self.instance_of_rule.insert(rule.rule.id, (chunk.instance, chunk.number));
                }
                let of_instance = self.rules.entry(chunk.instance).or_default();
                of_instance.insert(chunk.number, Stored::new(revision, chunk));
            }
            Row::FirstResult(result) => {
                let age = (result.created_at, result.project.clone(), result.key.clone());
                self.first_results_by_age.insert(age);
                let key = (result.project.clone(), result.key.clone());
                self.first_results.insert(key, Stored::new(revision, result));
            }
            Row::GroupType(row) => self.groups.insert_type(revision, row),
            Row::ShareType(row) => {
                self.share_types.insert(row.id, Stored::new(revision, row));
            }
            Row::Backend(backend) => {
                self.backends.insert(backend.name.clone(), Stored::new(revision, backend));
            }
            Row::Generation(row) => {
                let of_backend = self.generations.entry(row.backend.clone()).or_default();
                of_backend.insert(row.number, Stored::new(revision, row));
            }
        }
    }

    fn insert_operation(&mut self, operation: Operation, revision: Revision) {
        if operation.state.is_final() {
            self.finished.insert(operation.id);
        } else {
            self.unfinished_of_share.entry(operation.share).or_default().insert(operation.id);
            self.unfinished_of_backend.entry(operation.backend.clone()).or_default().insert(operation.id);
        }
        self.operations.insert(operation.id, Stored::new(revision, operation));
    }

    fn remove(&mut self, key: &RowKey) {
        match key {
            RowKey::Server(id) => self.servers.remove(*id),
            RowKey::Network(id) => self.networks.remove(*id),
            RowKey::SecurityService(id) => self.networks.remove_service(*id),
            RowKey::Group(id) => {
                if let Some(group) = self.groups.remove(*id) {
                    self.servers.remove_group(&group);
                }
            }
            RowKey::GroupSnapshot(id) => self.groups.remove_snapshot(*id),
            RowKey::Share(id) => {
                if let Some(share) = self.shares.remove(id) {
                    self.groups.remove_share(&share);
                    remove_from(&mut self.shares_of_project, &share.project, id);
                }
            }
            RowKey::Instance(id) => {
                if let Some(instance) = self.instances.remove(id) {
                    remove_from(&mut self.instances_of_share, &instance.share, id);
                    remove_from(&mut self.instances_of_backend, &instance.placement.backend, id);
                    self.servers.remove_instance(&instance);
                }
            }
            RowKey::Snapshot(id) => {
                if let Some(snapshot) = self.snapshots.remove(id)
                    && let Some(of_share) = self.snapshots_of_share.get_mut(&snapshot.share)
                {
                    of_share.remove(&snapshot.sequence);
                    if of_share.is_empty() {
                        self.snapshots_of_share.remove(&snapshot.share);
                    }
                }
            }
            RowKey::SnapshotInstance(id) => {
                if let Some(instance) = self.snapshot_instances.remove(id) {
                    remove_from(&mut self.instances_of_snapshot, &instance.snapshot, id);
                }
            }
            RowKey::Operation(id) => self.remove_operation(*id),
            RowKey::Rules(instance, number) => self.remove_rules(*instance, *number),
            RowKey::FirstResult(project, key) => {
                if let Some(result) = self.first_results.remove(&(project.clone(), key.clone())) {
                    let age = (result.created_at, project.clone(), key.clone());
                    self.first_results_by_age.remove(&age);
                }
            }
            RowKey::GroupType(id) => self.groups.remove_type(*id),
            RowKey::ShareType(id) => {
                self.share_types.remove(id);
            }
            RowKey::Backend(name) => {
                self.backends.remove(name);
            }
            RowKey::Generation(backend, number) => {
                if let Some(of_backend) = self.generations.get_mut(backend) {
                    of_backend.remove(number);
                }
            }
        }
    }

    fn remove_operation(&mut self, id: OperationId) {
        let Some(operation) = self.operations.remove(&id) else { return };
        self.finished.remove(&id);
        remove_from(&mut self.unfinished_of_share, &operation.share, &id);
        remove_from(&mut self.unfinished_of_backend, &operation.backend, &id);
    }

    fn remove_rules(&mut self, instance: ShareInstanceId, number: u32) {
        let Some(of_instance) = self.rules.get_mut(&instance) else { return };
        if let Some(chunk) = of_instance.remove(&number) {
            for rule in chunk.rules.iter() {
                self.instance_of_rule.remove(&rule.rule.id);
            }
        }
        if of_instance.is_empty() {
            self.rules.remove(&instance);
        }
    }
}
