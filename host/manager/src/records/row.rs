//! Rows: one record each, with its key in the store.

use crate::backend::{ConfigurationIdentity, Step};
use crate::view::{BackendFailure, StoredAccessRule};
use bulkhead_model::id::{
    BackendName, Digest, GenerationNumber, OperationId, ProjectId, RequestId, SecurityServiceId,
    ShareGroupId, ShareGroupSnapshotId, ShareGroupTypeId, ShareId, ShareInstanceId, ShareNetworkId,
    ShareServerId, ShareTypeId, SnapshotId, SnapshotInstanceId,
};
use bulkhead_model::key::RECORD;
use bulkhead_model::network::{SecurityService, ShareNetwork};
use bulkhead_model::operation::Operation;
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::share_group::{ShareGroup, ShareGroupSnapshot};
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::time::Timestamp;
use bulkhead_store::{Key, KeyPrefix};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What a request with an idempotency key led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirstResult {
    /// Whose key.
    pub(crate) project: ProjectId,
    /// The caller's key.
    pub(crate) key: String,
    /// The digest of verb and arguments.
    pub(crate) fingerprint: String,
    /// The resource it led to, as the verb prints its id.
    pub(crate) resource: String,
    /// When; the key is forgotten after 24 hours.
    pub(crate) created_at: Timestamp,
}

/// What the host remembers of a backend between two starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackendRecord {
    /// Which backend.
    pub(crate) name: BackendName,
    /// The digest of the driver's fingerprint when shares were last ensured; none if it gives none.
    pub(crate) fingerprint: Option<String>,
    /// The newest generation there ever was; no number is given twice.
    pub(crate) generation: GenerationNumber,
    /// The digest of the configuration that is this generation; none in records of versions that did not count generations.
    #[serde(default)]
    pub(crate) configuration: Option<Digest>,
    /// The generation that serves, now and after a restart; none before the first one and after the backend was unloaded.
    #[serde(default)]
    pub(crate) current: Option<GenerationNumber>,
    /// The file whose content was taken or overruled last: as long as the content is this one, the file asks for nothing.
    #[serde(default)]
    pub(crate) file: Option<Origin>,
}

impl BackendRecord {
    /// What is remembered of a backend that nothing is known of yet.
    pub(crate) const fn new(name: BackendName, generation: GenerationNumber) -> Self {
        Self { name, fingerprint: None, generation, configuration: None, current: None, file: None }
    }
}

/// A backend's file, and which content of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file, absolute.
    pub file: PathBuf,
    /// The digest of its path and content.
    pub content: Digest,
}

/// A generation, with everything that is needed to go back to it beside its package, which the loader keeps by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GenerationRecord {
    /// Of which backend.
    pub(crate) backend: BackendName,
    /// Its number.
    pub(crate) number: GenerationNumber,
    /// Driver, package and the digest of everything.
    pub(crate) identity: ConfigurationIdentity,
    /// Options, grant and limits, as the loader reads them.
    pub(crate) settings: String,
    /// How far it came.
    pub(crate) stage: Stage,
    /// Who asked for it.
    pub(crate) asked_by: String,
    /// The request.
    pub(crate) request: RequestId,
    /// When.
    pub(crate) asked_at: Timestamp,
    /// When it last became current.
    pub(crate) current_since: Option<Timestamp>,
    /// When another one took its place.
    pub(crate) retired_at: Option<Timestamp>,
    /// Where the last attempt to make it current failed, and why.
    pub(crate) failure: Option<(Step, BackendFailure)>,
}

/// How far a generation came. Which one is current stands in the backend's record, so that there is never more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// It is being compiled, linked, set up or measured.
    Prepared,
    /// It is or was current.
    Accepted,
    /// It never became current.
    Failed,
}

/// A share type that an operator made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShareType {
    /// Its id.
    pub(crate) id: ShareTypeId,
    /// Its name, which no other type has.
    pub(crate) name: String,
    /// Words about it.
    pub(crate) description: Option<String>,
    /// What it asks of backends, as the operator wrote it.
    pub(crate) extra_specs: BTreeMap<String, String>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it last changed.
    pub(crate) updated_at: Timestamp,
}

/// A type of share groups that an operator made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShareGroupType {
    /// Its id.
    pub(crate) id: ShareGroupTypeId,
    /// Its name, which no other type of groups has.
    pub(crate) name: String,
    /// What it asks of backends, as the operator wrote it.
    pub(crate) group_specs: BTreeMap<String, String>,
    /// The share types that shares of its groups may have; not empty.
    pub(crate) share_types: Vec<ShareTypeId>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it last changed.
    pub(crate) updated_at: Timestamp,
}

/// Part of the rules of a share instance. Rules stand in chunks so that a change writes a few of them, not all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleChunk {
    /// The instance.
    pub(crate) instance: ShareInstanceId,
    /// Which chunk.
    pub(crate) number: u32,
    /// Its rules, in the order they were asked for.
    pub(crate) rules: Arc<Vec<StoredAccessRule>>,
}

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    Share(ShareId),
    Instance(ShareInstanceId),
    Snapshot(SnapshotId),
    SnapshotInstance(SnapshotInstanceId),
    Operation(OperationId),
    Rules(ShareInstanceId, u32),
    FirstResult(ProjectId, String),
    Backend(BackendName),
    ShareType(ShareTypeId),
    GroupType(ShareGroupTypeId),
    Group(ShareGroupId),
    GroupSnapshot(ShareGroupSnapshotId),
    Server(ShareServerId),
    Network(ShareNetworkId),
    SecurityService(SecurityServiceId),
    Generation(BackendName, GenerationNumber),
}

/// A row to be written.
#[derive(Debug, Clone)]
pub(crate) enum Row {
    Share(Share),
    Instance(ShareInstance),
    Snapshot(Snapshot),
    SnapshotInstance(SnapshotInstance),
    Operation(Operation),
    Rules(RuleChunk),
    FirstResult(FirstResult),
    Backend(BackendRecord),
    ShareType(ShareType),
    GroupType(ShareGroupType),
    Group(ShareGroup),
    GroupSnapshot(ShareGroupSnapshot),
    Server(ShareServer),
    Network(ShareNetwork),
    SecurityService(SecurityService),
    Generation(GenerationRecord),
}

impl Row {
    pub(crate) fn key(&self) -> RowKey {
        match self {
            Self::Share(row) => RowKey::Share(row.id),
            Self::Instance(row) => RowKey::Instance(row.id),
            Self::Snapshot(row) => RowKey::Snapshot(row.id),
            Self::SnapshotInstance(row) => RowKey::SnapshotInstance(row.id),
            Self::Operation(row) => RowKey::Operation(row.id),
            Self::Rules(row) => RowKey::Rules(row.instance, row.number),
            Self::FirstResult(row) => RowKey::FirstResult(row.project.clone(), row.key.clone()),
            Self::Backend(row) => RowKey::Backend(row.name.clone()),
            Self::ShareType(row) => RowKey::ShareType(row.id),
            Self::GroupType(row) => RowKey::GroupType(row.id),
            Self::Group(row) => RowKey::Group(row.id),
            Self::GroupSnapshot(row) => RowKey::GroupSnapshot(row.id),
            Self::Server(row) => RowKey::Server(row.id),
            Self::Network(row) => RowKey::Network(row.id),
            Self::SecurityService(row) => RowKey::SecurityService(row.id),
            Self::Generation(row) => RowKey::Generation(row.backend.clone(), row.number),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Share(row) => serde_json::to_vec(row),
            Self::Instance(row) => serde_json::to_vec(row),
            Self::Snapshot(row) => serde_json::to_vec(row),
            Self::SnapshotInstance(row) => serde_json::to_vec(row),
            Self::Operation(row) => serde_json::to_vec(row),
            Self::Rules(row) => serde_json::to_vec(&*row.rules),
            Self::FirstResult(row) => serde_json::to_vec(row),
            Self::Backend(row) => serde_json::to_vec(row),
            Self::ShareType(row) => serde_json::to_vec(row),
            Self::GroupType(row) => serde_json::to_vec(row),
            Self::Group(row) => serde_json::to_vec(row),
            Self::GroupSnapshot(row) => serde_json::to_vec(row),
            Self::Server(row) => serde_json::to_vec(row),
            Self::Network(row) => serde_json::to_vec(row),
            Self::SecurityService(row) => serde_json::to_vec(row),
            Self::Generation(row) => serde_json::to_vec(row),
        }
    }
}

impl RowKey {
    /// The key in the store.
    pub(crate) fn stored(&self) -> Key {
        match self {
            Self::Share(id) => Key::new(&[RECORD, SHARE, &id.to_string()]),
            Self::Instance(id) => Key::new(&[RECORD, INSTANCE, &id.to_string()]),
            Self::Snapshot(id) => Key::new(&[RECORD, SNAPSHOT, &id.to_string()]),
            Self::SnapshotInstance(id) => Key::new(&[RECORD, SNAPSHOT_INSTANCE, &id.to_string()]),
            Self::Operation(id) => Key::new(&[RECORD, OPERATION, &id.to_string()]),
            Self::Rules(instance, number) => {
                Key::new(&[RECORD, RULES, &instance.to_string(), &format!("{number:08}")])
            }
            Self::FirstResult(project, key) => Key::new(&[RECORD, FIRST_RESULT, project.as_str(), key]),
            Self::Backend(name) => Key::new(&[RECORD, BACKEND, name.as_str()]),
            Self::ShareType(id) => Key::new(&[RECORD, SHARE_TYPE, &id.to_string()]),
            Self::GroupType(id) => Key::new(&[RECORD, GROUP_TYPE, &id.to_string()]),
            Self::Group(id) => Key::new(&[RECORD, GROUP, &id.to_string()]),
            Self::GroupSnapshot(id) => Key::new(&[RECORD, GROUP_SNAPSHOT, &id.to_string()]),
            Self::Server(id) => Key::new(&[RECORD, SERVER, &id.to_string()]),
            Self::Network(id) => Key::new(&[RECORD, NETWORK, &id.to_string()]),
            Self::SecurityService(id) => Key::new(&[RECORD, SECURITY_SERVICE, &id.to_string()]),
            Self::Generation(backend, number) => {
                Key::new(&[RECORD, GENERATION, backend.as_str(), &format!("{:020}", number.0)])
            }
        }
    }
}

pub(crate) const SHARE: &str = "share";
pub(crate) const INSTANCE: &str = "share-instance";
pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const SNAPSHOT_INSTANCE: &str = "snapshot-instance";
pub(crate) const OPERATION: &str = "operation";
pub(crate) const RULES: &str = "access";
pub(crate) const FIRST_RESULT: &str = "first-result";
pub(crate) const BACKEND: &str = "backend";
pub(crate) const SHARE_TYPE: &str = "share-type";
pub(crate) const GROUP_TYPE: &str = "share-group-type";
pub(crate) const GROUP: &str = "share-group";
pub(crate) const GROUP_SNAPSHOT: &str = "share-group-snapshot";
pub(crate) const SERVER: &str = "share-server";
pub(crate) const NETWORK: &str = "share-network";
pub(crate) const SECURITY_SERVICE: &str = "security-service";
pub(crate) const GENERATION: &str = "generation";

/// The prefix of all rows of a kind.
pub(crate) fn rows_of(kind: &str) -> KeyPrefix {
    Key::prefix(&[RECORD, kind])
}

/// The key of the format's number.
pub(crate) fn format_key() -> Key {
    Key::new(&[RECORD, "format"])
}

/// Read a row's value. Fields that this version does not know are passed over.
pub(crate) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(value)
}
