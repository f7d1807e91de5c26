//! Where one check is played: fresh records, calls that prepare it, and the clean-up afterwards.

mod following;
mod records;
mod servers;

pub(crate) use following::{Followed, creation_from, revert_to};
pub(crate) use records::Side;

use crate::finding::{Finding, Found, Judge as _, told, unjudged};
use crate::sample::Sample;
use crate::world::{Holdings, World, WorldError};
use bulkhead_model::access::{AccessRule, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{OperationId, RequestId, ShareInstanceId};
use bulkhead_model::migration::ShareMigration;
use bulkhead_model::replica::{ReplicaRemoval, ReplicatedSnapshot};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_group::{ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::share_server::ServerForDriver;
use bulkhead_model::snapshot::SnapshotForDriver;
use bulkhead_model::target::Resource;
use bulkhead_sandbox::Driver;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Something that exists at the backend since a check made it, or may exist since it tried to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Made {
    Share(ShareForDriver),
    Snapshot(SnapshotForDriver),
    Group(ShareGroupForDriver),
    GroupSnapshot(ShareGroupSnapshotForDriver),
    /// A replica on the peer.
    Replica(Box<ReplicaRemoval>),
    /// What was the active replica before the one on the peer was promoted.
    Demoted(Box<ReplicaRemoval>),
    /// A share that is whole on the peer.
    PeerShare(ShareForDriver),
    ReplicatedSnapshot(Box<ReplicatedSnapshot>),
    /// A share server, with what its driver has said of it so far.
    Server(ServerForDriver),
    /// A migration that may have begun and was not completed.
    Migration(Box<ShareMigration>),
}

/// One check's own part of the world.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: Arc<dyn World>,
    pub(crate) sample: Arc<Sample>,
    /// Counts everything that gets an id, over all checks of a run.
    numbers: Arc<AtomicU64>,
    made: Mutex<Vec<Made>>,
    /// The share server that shares live on; unset where the driver makes none.
    home: OnceLock<ServerForDriver>,
    rules: Mutex<BTreeMap<ShareInstanceId, Vec<AccessRule>>>,
}

impl Stage {
    pub(crate) fn new(world: Arc<dyn World>, sample: Arc<Sample>, numbers: Arc<AtomicU64>) -> Self {
        Self {
            world,
            sample,
            numbers,
            made: Mutex::default(),
            home: OnceLock::new(),
            rules: Mutex::default(),
        }
    }

    pub(crate) fn driver(&self) -> Arc<dyn Driver> {
        self.world.driver()
    }

    /// The second backend. Nobody can judge replicas without one, nor where each would need a server of its own there.
    pub(crate) fn peer(&self) -> Found<Arc<dyn Driver>> {
        if self.sample.on_servers {
            return unjudged("replicas of shares that live on servers are not tried");
        }
        self.world.peer().ok_or_else(|| Finding::Unjudged("there is no second backend".to_owned()))
    }

    /// A number that no other record of this run has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The reason of a first attempt.
    pub(crate) fn reason(&self) -> CallReason {
        CallReason {
            request: RequestId::internal("conformance"),
            operation: Some(OperationId::next()),
            earlier_attempts: 0,
        }
    }

    /// From now on it is cleaned up. To be said before it is made: a creation that fails may leave something.
    pub(crate) fn will_make(&self, made: Made) {
        let mut all = self.all_made();
        if !all.contains(&made) {
            all.push(made);
        }
    }

    /// It is gone.
    pub(crate) fn is_gone(&self, gone: &Made) {
        self.all_made().retain(|made| made != gone);
    }

    /// The rules of `share` from now on, as the share manager would know them.
    pub(crate) fn has_rules(&self, share: ShareInstanceId, rules: Vec<AccessRule>) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).insert(share, rules);
    }

    fn all_made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Create `share`, and answer it as it is known afterwards.
    pub(crate) async fn create(&self, share: ShareForDriver) -> Found<ShareForDriver> {
        self.will_make(Made::Share(share.clone()));
        let locations = self.driver().create_share(&self.reason(), &share).await;
        let export_locations = locations.prepare("create-share")?;
        Ok(ShareForDriver { export_locations, ..share })
    }

    /// A share that is there.
    pub(crate) async fn share(&self) -> Found<ShareForDriver> {
        self.create(self.new_share()).await
    }

    /// Take `snapshot`, and answer it as it is known afterwards.
    pub(crate) async fn take(&self, snapshot: SnapshotForDriver) -> Found<SnapshotForDriver> {
        self.will_make(Made::Snapshot(snapshot.clone()));
        let outcome = self.driver().create_snapshot(&self.reason(), &snapshot).await;
        let provider_location = outcome.prepare("create-snapshot")?.provider_location;
        Ok(SnapshotForDriver { provider_location, ..snapshot })
    }

    /// A snapshot of `share` that is there.
    pub(crate) async fn snapshot(&self, share: &ShareForDriver) -> Found<SnapshotForDriver> {
        self.take(self.new_snapshot(share)).await
    }

    /// Make the rules of `share` these, telling which are new and which go.
    pub(crate) async fn set_rules(
        &self,
        share: &ShareForDriver,
        update: AccessUpdate,
    ) -> Result<(), CallError> {
        self.has_rules(share.id, update.rules.iter().chain(&update.remove).cloned().collect());
        let outcome = self.driver().update_access(&self.reason(), share, &update).await.map(drop);
        if outcome.is_ok() {
            self.has_rules(share.id, update.rules);
        }
        outcome
    }

    /// Delete `share` as the share manager does: its rules first.
    pub(crate) async fn delete(&self, share: &ShareForDriver) -> Result<(), CallError> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner).remove(&share.id);
        if let Some(remove) = rules.filter(|rules| !rules.is_empty()) {
            let update = AccessUpdate { remove, ..AccessUpdate::default() };
            let outcome = self.driver().update_access(&self.reason(), share, &update).await;
            outcome.map(drop).or_else(gone_is_done)?;
        }
        self.driver().delete_share(&self.reason(), share).await.or_else(gone_is_done)
    }

    /// Delete what was made, the newest first. Fails with what stayed; the rest is deleted nevertheless.
    pub(crate) async fn clean(&self) -> Result<(), String> {
        let mut stayed = Vec::new();
        loop {
            let next = self.all_made().pop();
            let Some(made) = next else { break };
            if let Err(error) = self.remove(&made).await {
                stayed.push(format!("{} could not be deleted: {}", made.name(), told(&error)));
            }
        }
        if stayed.is_empty() { Ok(()) } else { Err(stayed.join("; ")) }
    }

    async fn remove(&self, made: &Made) -> Result<(), CallError> {
        let (driver, reason) = (self.driver(), self.reason());
        let peer = self.world.peer().unwrap_or_else(|| Arc::clone(&driver));
        match made {
            Made::Share(share) => self.delete(share).await,
            Made::Snapshot(snapshot) => driver.delete_snapshot(&reason, snapshot).await.or_else(gone_is_done),
            Made::Group(group) => driver.delete_share_group(&reason, group).await,
            Made::GroupSnapshot(snapshot) => driver.delete_share_group_snapshot(&reason, snapshot).await,
            Made::Replica(removal) => peer.delete_replica(&reason, removal).await,
            Made::Demoted(removal) => driver.delete_replica(&reason, removal).await,
            Made::PeerShare(share) => peer.delete_share(&reason, share).await.or_else(gone_is_done),
            Made::ReplicatedSnapshot(snapshot) => {
                driver.delete_replicated_snapshot(&reason, snapshot).await.map(drop).or_else(gone_is_done)
            }
            Made::Server(server) => self.tear_down(server).await,
            Made::Migration(migration) => driver.migration_cancel(&reason, migration).await,
        }
    }

    pub(crate) async fn holdings(&self) -> Found<Holdings> {
        self.world.holdings().await.map_err(|error| place_failed(&error))
    }

    /// Where `rule` can be seen in what the driver keeps.
    pub(crate) async fn seen(&self, rule: &AccessRule) -> Found<Vec<String>> {
        self.world.mentions(&rule.access_to.to_string()).await.map_err(|error| place_failed(&error))
    }

    /// Put `content` into the data of `resource`, as a client would.
    pub(crate) async fn write(&self, resource: Resource, content: &str) -> Found {
        let written = self.world.write_data(resource, FILE, content).await;
        written.map_err(|error| place_failed(&error))?.then_some(()).ok_or_else(out_of_reach)
    }

    /// Fill the data of `resource` with this many bytes.
    pub(crate) async fn fill(&self, resource: Resource, bytes: u64) -> Found {
        let filled = self.world.fill_data(resource, FILE, bytes).await;
        filled.map_err(|error| place_failed(&error))?.then_some(()).ok_or_else(out_of_reach)
    }

    /// What [`Stage::write`] has put into the data of `resource`, or what came there since.
    pub(crate) async fn read(&self, resource: Resource) -> Found<String> {
        let content = self.world.read_data(resource, FILE).await.map_err(|error| place_failed(&error))?;
        content.ok_or_else(out_of_reach)
    }

    /// As [`Stage::read`], of data that were reached before: what is out of reach now is gone.
    pub(crate) async fn read_again(&self, resource: Resource) -> Found<String> {
        let content = self.world.read_data(resource, FILE).await.map_err(|error| place_failed(&error))?;
        Ok(content.unwrap_or_default())
    }
}

impl Made {
    fn name(&self) -> String {
        match self {
            Self::Share(share) => Resource::Share(share.id).to_string(),
            Self::Snapshot(snapshot) => Resource::Snapshot(snapshot.id).to_string(),
            Self::Group(group) => Resource::ShareGroup(group.id).to_string(),
            Self::GroupSnapshot(snapshot) => format!("group snapshot {}", snapshot.id),
            Self::Replica(removal) | Self::Demoted(removal) => {
                format!("replica {}", Resource::Share(removal.replica.share.id))
            }
            Self::PeerShare(share) => format!("{} on the second backend", Resource::Share(share.id)),
            Self::ReplicatedSnapshot(snapshot) => {
                let of = snapshot.snapshots.first().map(|one| one.snapshot.snapshot.to_string());
                format!("replicated snapshot {}", of.unwrap_or_default())
            }
            Self::Server(server) => format!("share server {}", server.id),
            Self::Migration(migration) => {
                format!("the migration of {}", Resource::Share(migration.source.id))
            }
        }
    }
}

/// The file that the kit puts into shares.
const FILE: &str = "written-by-the-conformance-kit";

/// `share-not-found` and `snapshot-not-found` are taken as success where something shall go.
pub(crate) fn gone_is_done(error: CallError) -> Result<(), CallError> {
    match error.code() {
        Some(DriverErrorCode::ShareNotFound | DriverErrorCode::SnapshotNotFound) => Ok(()),
        _ => Err(error),
    }
}

fn place_failed(error: &WorldError) -> Finding {
    Finding::Unjudged(format!("the place where the driver is tried failed: {}", told(error)))
}

fn out_of_reach() -> Finding {
    Finding::Unjudged("the host cannot reach the data of this driver's shares".to_owned())
}
