//! What callers get to see: records put together for reading.

use crate::backend::{ChangeView, EnsureView};
use crate::scheduler::Function;
use bulkhead_model::ability::Abilities;
use bulkhead_model::access::AccessRule;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::Blame;
use bulkhead_model::id::{
    BackendName, Digest, DriverName, GenerationNumber, ProjectId, ShareId, ShareTypeId,
};
use bulkhead_model::operation::Operation;
use bulkhead_model::place::Place;
use bulkhead_model::secret::SealedSecret;
use bulkhead_model::share::{Protocol, Share, ShareInstance};
use bulkhead_model::share_group::{ShareGroup, ShareGroupSnapshot};
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::snapshot::{Snapshot, SnapshotInstance};
use bulkhead_model::statistics::{IpVersion, Statistics};
use bulkhead_model::status::AccessRuleState;
use bulkhead_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A share with its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareView {
    /// The share.
    pub share: Arc<Share>,
    /// The instance that serves clients: the only one, or the active replica. Status and export locations stand here.
    pub instance: Arc<ShareInstance>,
    /// Whether it has more than one replica.
    pub has_replicas: bool,
    /// The name of its share type.
    pub share_type_name: String,
    /// The unfinished operation that changes the share itself.
    pub operation: Option<Arc<Operation>>,
    /// The unfinished operation that changes its access rules; runs beside others.
    pub access_operation: Option<Arc<Operation>>,
}

/// A replica of a share.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareReplicaView {
    /// The share.
    pub share: Arc<Share>,
    /// The replica: an instance with a state.
    pub instance: Arc<ShareInstance>,
    /// The name of the share's type.
    pub share_type_name: String,
    /// The unfinished operation on the replica.
    pub operation: Option<Arc<Operation>>,
}

/// A snapshot with its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotView {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Its instance; status and the driver's handle stand here.
    pub instance: Arc<SnapshotInstance>,
    /// The unfinished operation on it.
    pub operation: Option<Arc<Operation>>,
}

/// A share group.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareGroupView {
    /// The group.
    pub group: Arc<ShareGroup>,
    /// The unfinished operation on the group itself.
    pub operation: Option<Arc<Operation>>,
}

/// A snapshot of a share group, with its members.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareGroupSnapshotView {
    /// The group snapshot.
    pub snapshot: Arc<ShareGroupSnapshot>,
    /// The unfinished operation on it.
    pub operation: Option<Arc<Operation>>,
}

/// A share server.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareServerView {
    /// The server.
    pub server: Arc<ShareServer>,
    /// The name of the share network it serves; none if that has none.
    pub share_network_name: Option<String>,
    /// How many share instances are on it.
    pub shares: usize,
    /// Whether its driver can let it use another security service and serve one more subnet while it is in service.
    pub can_be_changed: bool,
    /// The unfinished operation on it.
    pub operation: Option<Arc<Operation>>,
}

/// An access rule as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAccessRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: AccessRule,
    /// The share it is for.
    pub share: ShareId,
    /// Whose share that is.
    pub project: ProjectId,
    /// How far it is.
    pub state: AccessRuleState,
    /// The credential that the backend made for it, sealed; only the tenant is told it.
    pub access_key: Option<SealedSecret>,
    /// Why it is in `error`, in the host's words.
    pub failure: Option<String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How much one share server of a backend may hold; none is as much as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerLimits {
    /// The most share instances on it (Manila: `max_shares_per_share_server`).
    pub shares: Option<u64>,
    /// The most GiB of its shares and their snapshots, as they were asked for (Manila: `max_share_server_size`).
    pub gib: Option<u64>,
}

/// A backend as its operator configured it. Handed over when it is attached.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendDescription {
    /// Its name.
    pub name: BackendName,
    /// The driver.
    pub driver: DriverName,
    /// The driver's version, as its manifest says.
    pub driver_version: String,
    /// The vendor, as the manifest says.
    pub vendor: String,
    /// Where its commands, files, services and jobs are.
    pub place: Place,
    /// The driver's package.
    pub digest: Digest,
    /// Which configuration of the backend this is.
    pub generation: GenerationNumber,
    /// The protocols it offers: the manifest's, less what the operator took away.
    pub protocols: Vec<Protocol>,
    /// Limits of its calls.
    pub limits: DriverLimits,
    /// The backends it replicates with have the same; none if it replicates with no other.
    pub replication_domain: Option<String>,
    /// The ratio of promised to real space on thin pools that report none; at least 1.0.
    pub max_over_subscription_ratio: f64,
    /// Whether it makes a server for each tenant network (Manila: `driver_handles_share_servers`).
    pub handles_share_servers: bool,
    /// How much a server that it makes may hold.
    pub server_limits: ServerLimits,
    /// The operator's filter function; none leaves it to the driver.
    pub filter_function: Option<Function>,
    /// The operator's goodness function; none leaves it to the driver.
    pub goodness_function: Option<Function>,
}

/// A driver that could be loaded, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedDriver {
    /// What was configured.
    pub description: BackendDescription,
    /// What it exports.
    pub abilities: Abilities,
    /// The keys of shares' metadata that it follows.
    pub updatable_metadata: Vec<String>,
    /// The keys of subnets' metadata that it follows.
    pub updatable_subnet_metadata: Vec<String>,
}

/// How far a backend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum BackendState {
    /// Its driver cannot be loaded as configured; tried again by itself.
    Unusable {
        /// How often loading has failed.
        failed_attempts: u32,
        /// Why it failed last.
        failure: BackendFailure,
        /// When it is tried next.
        next_attempt_at: Timestamp,
    },
    /// Being loaded or set up; tried again by itself after every failure.
    Starting {
        /// How often set-up has failed.
        failed_attempts: u32,
        /// Why it failed last.
        failure: Option<BackendFailure>,
        /// When it is tried next.
        next_attempt_at: Option<Timestamp>,
    },
    /// Set up; serves.
    Ready,
}

/// Why a backend is unusable, not ready, or its statistics are old. For operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendFailure {
    /// A stable word.
    pub code: String,
    /// Who has to act.
    pub blame: Blame,
    /// What happened.
    pub message: String,
}

/// A backend.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendView {
    /// Its name.
    pub name: BackendName,
    /// Its driver; none before one could be loaded.
    pub loaded: Option<LoadedDriver>,
    /// How far it is.
    pub state: BackendState,
    /// The versions of the Internet Protocol that its shares are exported with; none before it is set up.
    pub ip_versions: BTreeSet<IpVersion>,
    /// Its latest good statistics.
    pub statistics: Option<Arc<Statistics>>,
    /// When they were read.
    pub statistics_at: Option<Timestamp>,
    /// Whether they are too old to place shares by.
    pub statistics_stale: bool,
    /// Why the latest reading failed.
    pub statistics_failure: Option<BackendFailure>,
    /// How many shares it holds.
    pub shares: usize,
    /// The sum of their sizes, in GiB.
    pub provisioned_gib: u64,
    /// How many unfinished operations it has.
    pub unfinished_operations: usize,
    /// The ensuring of its shares that ended last; none since the daemon started.
    pub last_ensured: Option<EnsureView>,
    /// The latest attempt to give it another generation; none since the daemon started.
    pub last_change: Option<ChangeView>,
}

/// A share type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareTypeView {
    /// Its id.
    pub id: ShareTypeId,
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: Option<String>,
    /// Its extra specs, `driver_handles_share_servers` among them.
    pub extra_specs: BTreeMap<String, String>,
    /// Whether it is the built-in one, which a share gets whose request names none.
    pub is_default: bool,
}
