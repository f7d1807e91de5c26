//! A driver whose backend is a map, and which does what a test tells it: answer, fail before or after the effect, wait, die.

use crate::crash::Death;
use crate::fake_following::Work;
use crate::fake_migration::{DISRUPTIVE, Polls};
use async_trait::async_trait;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessTo, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, CapabilityCode, CapabilityError, DriverError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{AccessRuleId, RequestId, ShareGroupId, ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::migration::{Compatibility, FirstPhase, MigrationOutcome, ShareMigration};
use bulkhead_model::replica::{
    Promotion, ReplicaOutcome, ReplicaRemoval, ReplicaView, ReplicatedReversion, ReplicatedSnapshot,
    SnapshotUpdate,
};
use bulkhead_model::share::{
    Creation, EnsuredShare, HookAnswer, ManagedShare, PendingWork, Reversion, RevertRules, ShareForDriver,
    ShareProgress, ShareUsage, SuppliedMetadata,
};
use bulkhead_model::share_group::{
    Consistency, CreatedShare, GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver,
};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::{ManagedSnapshot, SnapshotAccessUpdate, SnapshotForDriver, SnapshotOutcome};
use bulkhead_model::statistics::{Capacity, IpVersion, Pool, Statistics, Support};
use bulkhead_model::status::ReplicaState;
use bulkhead_model::target::{CallTarget, ManagedName};
use bulkhead_model::text::GuestText;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::{Driver, ShareDirectory};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldShare {
    pub size: Gibibytes,
    /// Grows with every change of the content, so that a revert shows.
    pub content: u64,
    pub rules: BTreeMap<AccessRuleId, (AccessTo, AccessLevel)>,
}

/// What the backend holds, whoever runs the daemon.
#[derive(Debug, Default)]
pub struct World {
    pub shares: BTreeMap<ShareInstanceId, HeldShare>,
    pub snapshots: BTreeMap<SnapshotInstanceId, (ShareInstanceId, u64)>,
    pub groups: BTreeSet<ShareGroupId>,
    /// In which unit each group's snapshots were asked to be consistent.
    pub asked_consistency: BTreeMap<ShareGroupId, Option<Consistency>>,
    /// How often each was really made: more than once is a duplicate.
    pub made: BTreeMap<String, u32>,
    /// Every call: the function and how often its operation had tried before.
    pub calls: Vec<(&'static str, u32)>,
    /// The lists of every `update-access`.
    pub updates: Vec<AccessUpdate>,
    /// The lists of every `snapshot-update-access`.
    pub snapshot_updates: Vec<SnapshotAccessUpdate>,
    /// Calls that change one share and overlap: there must be none.
    pub overlaps: Vec<String>,
    /// What it was told of shares' metadata: the keys and values of each call.
    pub followed: Vec<BTreeMap<String, String>>,
    /// What it goes on with by itself.
    pub pending: BTreeMap<ShareInstanceId, Work>,
    /// How far the shares that move are.
    pub polls: Polls,
    changing: BTreeMap<(ShareInstanceId, &'static str), &'static str>,
}

impl World {
    /// The daemon is dead: no call goes on.
    pub fn end_of_life(&mut self) {
        self.changing.clear();
    }
}

/// What a call does instead of just succeeding.
#[derive(Debug, Clone)]
pub enum Act {
    /// Fail without an effect.
    Fail(CallError),
    /// Have the effect, then fail: the answer was lost.
    FailAfterEffect(CallError),
    /// Wait until the test lets it go on.
    Hold(Arc<Semaphore>),
    /// Say this of access rules.
    Rules(Vec<AccessOutcome>),
    /// Say this of pending work.
    Progress(ShareProgress),
    /// Panic, as a fault of the host's own would.
    Panic,
}

#[derive(Debug)]
pub struct FakeDriver {
    pub world: Arc<Mutex<World>>,
    pub script: Mutex<BTreeMap<&'static str, VecDeque<Act>>>,
    pub death: Arc<Death>,
    pub abilities: Abilities,
    /// None at all: it does not say.
    pub ip_versions: BTreeSet<IpVersion>,
    pub fingerprint: Option<String>,
    /// The fingerprint from the next reading on.
    pub next_fingerprint: Mutex<Option<String>>,
    pub ensured: Mutex<BTreeMap<ShareInstanceId, EnsuredShare>>,
    pub free_gib: f64,
    /// What it reports of itself beyond the standard keys.
    pub capabilities: BTreeMap<String, String>,
    /// The names of its pools.
    pub pools: Vec<&'static str>,
    /// The pool it finds shares in.
    pub finds_in: Option<&'static str>,
    /// What it tells the hooks of each share; none leaves shares out.
    pub hook_data: BTreeMap<String, String>,
    /// The metadata keys that it follows.
    pub updatable: Vec<String>,
    /// The metadata that it has for new shares.
    pub supplied: BTreeMap<String, String>,
    /// How often it is asked about shares from snapshots and reverts before they are done; 0 does them at once.
    pub slow: u32,
    /// The size a revert claims to have left.
    pub size_after_revert: Option<Gibibytes>,
    /// The unit in which its snapshots of groups are consistent.
    pub consistency: Mutex<Result<Option<Consistency>, CallError>>,
    /// How many members of a group snapshot, shares of a group made from one, and replicas after a promotion it answers about; none for
    /// all.
    pub answers_about: Option<usize>,
    /// What it has for backends whose operator set no filter function.
    pub filter_function: Option<&'static str>,
    /// What it has for backends whose operator set no goodness function.
    pub goodness_function: Option<&'static str>,
    /// What it says it can keep when a share moves.
    pub compatibility: Compatibility,
    /// Where its shares are directories that the host may copy; none for a backend that the host does not reach.
    pub folder: Option<PathBuf>,
    /// What befalls calls that have no script.
    pub whims: Option<Whims>,
    /// Its array is down: every call says so.
    pub is_down: AtomicBool,
}

/// Failures and delays by chance.
#[derive(Debug)]
pub struct Whims(Mutex<fastrand::Rng>);

impl Whims {
    pub fn new(chance: fastrand::Rng) -> Self {
        Self(Mutex::new(chance))
    }

    /// What the next call does: mostly, it succeeds. Only what has no effect ends for good: an answer that was lost after an effect is one
    /// the host knows to be lost.
    fn act(&self) -> Option<Act> {
        let mut chance = self.0.lock().expect("the chance");
        let passing =
            [DriverErrorCode::BackendUnreachable, DriverErrorCode::OutcomeUnknown, DriverErrorCode::Busy];
        let passing = answered(*chance.choice(&passing).expect("one of three"));
        match chance.u8(0..100) {
            0..8 => Some(Act::Fail(passing)),
            8..16 => Some(Act::FailAfterEffect(passing)),
            16..19 => Some(Act::Fail(answered(DriverErrorCode::BackendFailed))),
            19..21 => {
                let function = "the call";
                Some(Act::FailAfterEffect(CallError::DeadlineExceeded { function, limit_ms: 1000 }))
            }
            _ => None,
        }
    }

    async fn delay(&self) {
        let delay = self.0.lock().expect("the chance").u64(0..4);
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
}

impl FakeDriver {
    pub fn new(world: &Arc<Mutex<World>>) -> Self {
        Self {
            world: Arc::clone(world),
            script: Mutex::default(),
            death: Death::never(),
            abilities: Abilities(Ability::DRIVEN.iter().copied().collect()),
            ip_versions: BTreeSet::from([IpVersion::V4, IpVersion::V6]),
            fingerprint: None,
            next_fingerprint: Mutex::default(),
            ensured: Mutex::default(),
            free_gib: 1000.0,
            capabilities: BTreeMap::new(),
            pools: vec!["pool"],
            finds_in: None,
            hook_data: BTreeMap::new(),
            updatable: vec!["tier".to_owned(), "quota".to_owned()],
            supplied: BTreeMap::new(),
            slow: 0,
            size_after_revert: None,
            consistency: Mutex::new(Ok(Some(Consistency::Pool))),
            answers_about: None,
            filter_function: None,
            goodness_function: None,
            compatibility: DISRUPTIVE,
            folder: None,
            whims: None,
            is_down: AtomicBool::new(false),
        }
    }

    /// It has no interface for groups: the host does what Manila's base class does.
    pub fn without_groups(&mut self) {
        self.abilities.0.remove(&Ability::ShareGroups);
        self.abilities.0.remove(&Ability::GroupSnapshots);
        self.consistency = Mutex::new(Ok(None));
    }

    /// The next calls of `function` do this, in this order.
    pub fn then(&self, function: &'static str, act: Act) {
        self.script.lock().expect("the script").entry(function).or_default().push_back(act);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the world")
    }

    fn next_act(&self, function: &'static str) -> Option<Act> {
        self.script.lock().expect("the script").get_mut(function).and_then(VecDeque::pop_front)
    }

    /// One call: its record, its script, its effect, with a step to die at before and after the effect.
    pub async fn perform<T>(
        &self,
        (function, reason): (&'static str, &CallReason),
        (share, gate): (Option<ShareInstanceId>, &'static str),
        effect: impl FnOnce(&mut World) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let key = share.map(|share| (share, gate));
        {
            let mut world = self.world();
            world.calls.push((function, reason.earlier_attempts));
            if let Some(key) = key
                && let Some(other) = world.changing.insert(key, function)
            {
                world.overlaps.push(format!("{function} while {other}"));
            }
        }
        let _leaves = Leaves { world: Arc::clone(&self.world), key };
        let whims = self.whims.as_ref();
        let act = self.next_act(function).or_else(|| whims.and_then(Whims::act));
        if let Some(whims) = whims {
            whims.delay().await;
        }
        if let Some(Act::Hold(released)) = &act {
            released.acquire().await.expect("the test").forget();
        }
        assert!(!matches!(act, Some(Act::Panic)), "as the test said");
        if self.is_down.load(Ordering::Relaxed) {
            return Err(answered(DriverErrorCode::BackendUnreachable));
        }
        if let Some(Act::Fail(error)) = &act {
            return Err(error.clone());
        }
        self.death.step("before", function).await;
        let result = effect(&mut self.world());
        self.death.step("after", function).await;
        if let Some(whims) = whims {
            whims.delay().await;
        }
        match act {
            Some(Act::FailAfterEffect(error)) => Err(error),
            _ => result,
        }
    }
}

struct Leaves {
    world: Arc<Mutex<World>>,
    key: Option<(ShareInstanceId, &'static str)>,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        if let (Some(key), Ok(mut world)) = (&self.key, self.world.lock()) {
            world.changing.remove(key);
        }
    }
}

/// A driver's error with this code.
pub fn answered(code: DriverErrorCode) -> CallError {
    CallError::Answered(DriverError { code, message: GuestText::message("as the test said"), detail: None })
}

pub fn location(share: &ShareForDriver) -> ExportLocation {
    ExportLocation {
        path: format!("10.0.0.1:/share-{}", share.id),
        admin_only: false,
        preferred: true,
        metadata: BTreeMap::new(),
    }
}

pub fn pool(free_gib: f64) -> Pool {
    Pool {
        name: "pool".to_owned(),
        total: Capacity::Gib(1000.0),
        free: Capacity::Gib(free_gib),
        allocated_gib: None,
        provisioned_gib: None,
        reserved_percentage: 0,
        reserved_snapshot_percentage: 0,
        reserved_share_extend_percentage: 0,
        max_over_subscription_ratio: None,
        thin_provisioning: Support::No,
        dedupe: Support::No,
        compression: Support::No,
        qos: false,
        capabilities: BTreeMap::new(),
    }
}

pub fn make(
    world: &mut World,
    share: &ShareForDriver,
    content: u64,
) -> Result<Vec<ExportLocation>, CallError> {
    if let Some(held) = world.shares.get(&share.id) {
        return if held.size == share.size {
            Ok(vec![location(share)])
        } else {
            Err(answered(DriverErrorCode::Conflict))
        };
    }
    *world.made.entry(share.id.to_string()).or_default() += 1;
    world.shares.insert(share.id, HeldShare { size: share.size, content, rules: BTreeMap::new() });
    Ok(vec![location(share)])
}

fn held(world: &mut World, id: ShareInstanceId) -> Result<&mut HeldShare, CallError> {
    world.shares.get_mut(&id).ok_or_else(|| answered(DriverErrorCode::ShareNotFound))
}

#[async_trait]
impl Driver for FakeDriver {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    async fn end_services(&self) -> Result<(), CapabilityError> {
        let reason =
            CallReason { request: RequestId::internal("unload"), operation: None, earlier_attempts: 0 };
        let ended = self.perform(("end-services", &reason), (None, ""), |_| Ok(())).await;
        ended.map_err(|error| CapabilityError::new(CapabilityCode::TimedOut, error.to_string()))
    }

    async fn setup(&self, reason: &CallReason) -> Result<(), CallError> {
        self.perform(("setup", reason), (None, ""), |_| Ok(())).await
    }

    async fn stats(&self, reason: &CallReason) -> Result<Statistics, CallError> {
        let statistics = Statistics {
            pools: self
                .pools
                .iter()
                .map(|name| Pool { name: (*name).to_owned(), ..pool(self.free_gib) })
                .collect(),
            replication_types: ["dr", "readable", "writable"].map(str::to_owned).to_vec(),
            capabilities: self.capabilities.clone(),
            ..Statistics::default()
        };
        self.perform(("stats", reason), (None, ""), |_| Ok(statistics)).await
    }

    async fn pool_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Option<String>, CallError> {
        let found = self.finds_in.map(str::to_owned);
        self.perform(("pool-of", reason), (Some(share.id), ""), |_| Ok(found)).await
    }

    async fn default_filter_function(&self, _: &CallReason) -> Result<Option<String>, CallError> {
        Ok(self.filter_function.map(str::to_owned))
    }

    async fn default_goodness_function(&self, _: &CallReason) -> Result<Option<String>, CallError> {
        Ok(self.goodness_function.map(str::to_owned))
    }

    async fn backend_info(&self, _: &CallReason) -> Result<BTreeMap<String, String>, CallError> {
        let next = self.next_fingerprint.lock().expect("the fingerprint").clone();
        match next.as_ref().or(self.fingerprint.as_ref()) {
            Some(version) => Ok(BTreeMap::from([("version".to_owned(), version.clone())])),
            None => Err(answered(DriverErrorCode::NotImplemented)),
        }
    }

    async fn ip_versions(&self, _: &CallReason) -> Result<BTreeSet<IpVersion>, CallError> {
        if self.ip_versions.is_empty() {
            return Err(answered(DriverErrorCode::NotImplemented));
        }
        Ok(self.ip_versions.clone())
    }

    async fn create_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<Vec<ExportLocation>, CallError> {
        self.perform(("create-share", reason), (Some(share.id), "change"), |world| {
            self.make_folder(share.id);
            make(world, share, 1)
        })
        .await
    }

    async fn delete_share(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        self.perform(("delete-share", reason), (Some(share.id), "change"), |world| {
            self.remove_folder(share.id);
            world.shares.remove(&share.id);
            world.pending.remove(&share.id);
            Ok(())
        })
        .await
    }

    async fn ensure_shares(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<EnsuredShare>, CallError> {
        let ensured = self.ensured.lock().expect("the answers").clone();
        let answers = shares.iter().filter_map(|share| ensured.get(&share.id).cloned()).collect();
        self.perform(("ensure-shares", reason), (None, ""), |_| Ok(answers)).await
    }

    async fn update_access(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        update: &AccessUpdate,
    ) -> Result<Vec<AccessOutcome>, CallError> {
        self.world().updates.push(update.clone());
        let said = match self
            .script
            .lock()
            .expect("the script")
            .get("update-access")
            .and_then(|acts| acts.front())
        {
            Some(Act::Rules(outcomes)) => outcomes.clone(),
            _ => Vec::new(),
        };
        self.perform(("update-access", reason), (Some(share.id), "access"), |world| {
            let held = held(world, share.id)?;
            held.rules =
                update.rules.iter().map(|rule| (rule.id, (rule.access_to.clone(), rule.level))).collect();
            Ok(said)
        })
        .await
    }

    async fn create_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<SnapshotOutcome, CallError> {
        self.perform(("create-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let content = held(world, snapshot.share.id)?.content;
            if !world.snapshots.contains_key(&snapshot.id) {
                *world.made.entry(snapshot.id.to_string()).or_default() += 1;
                world.snapshots.insert(snapshot.id, (snapshot.share.id, content));
            }
            Ok(SnapshotOutcome { provider_location: Some("here".to_owned()), export_locations: Vec::new() })
        })
        .await
    }

    async fn delete_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        self.perform(("delete-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            world.snapshots.remove(&snapshot.id);
            Ok(())
        })
        .await
    }

    async fn create_share_from_snapshot(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        source: &SnapshotForDriver,
    ) -> Result<Creation, CallError> {
        self.perform(("create-share-from-snapshot", reason), (Some(share.id), "change"), |world| {
            let Some((_, content)) = world.snapshots.get(&source.id).copied() else {
                return Err(answered(DriverErrorCode::SnapshotNotFound));
            };
            self.begin_creation(world, share, content)
        })
        .await
    }

    async fn revert_to_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        _rules: &RevertRules,
    ) -> Result<Reversion, CallError> {
        self.perform(("revert-to-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let Some((_, content)) = world.snapshots.get(&snapshot.id).copied() else {
                return Err(answered(DriverErrorCode::SnapshotNotFound));
            };
            if self.slow > 0 {
                self.begin(world, snapshot.share.id, content, snapshot.size);
                return Ok(Reversion::Pending);
            }
            world.pending.remove(&snapshot.share.id);
            let held = held(world, snapshot.share.id)?;
            held.content = content;
            held.size = snapshot.size;
            Ok(self.size_after_revert.map_or(Reversion::Done, Reversion::DoneWithSize))
        })
        .await
    }

    async fn share_status(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        self.progress(reason, share, work).await
    }

    async fn periodic_hook_data(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        self.tell(reason, shares).await
    }

    fn updatable_metadata(&self) -> &[String] {
        &self.updatable
    }

    async fn share_creation_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        self.supply(reason, share).await
    }

    async fn update_share_from_metadata(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        self.follow(reason, share, metadata).await
    }

    async fn snapshot_update_access(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        update: &SnapshotAccessUpdate,
    ) -> Result<(), CallError> {
        self.world().snapshot_updates.push(update.clone());
        self.perform(("snapshot-update-access", reason), (Some(snapshot.share.id), "access"), |_| Ok(()))
            .await
    }

    async fn manage_existing(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        _managed: &ManagedName,
        _driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedShare, CallError> {
        self.perform(("manage-existing", reason), (Some(share.id), "change"), |world| {
            let locations = make(world, share, 1)?;
            Ok(ManagedShare { size: share.size, export_locations: Some(locations) })
        })
        .await
    }

    async fn unmanage(&self, reason: &CallReason, share: &ShareForDriver) -> Result<(), CallError> {
        self.perform(("unmanage", reason), (Some(share.id), "change"), |_| Ok(())).await
    }

    async fn manage_existing_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
        _managed: &ManagedName,
        _driver_options: &BTreeMap<String, String>,
    ) -> Result<ManagedSnapshot, CallError> {
        self.perform(("manage-existing-snapshot", reason), (Some(snapshot.share.id), "change"), |world| {
            let content = held(world, snapshot.share.id)?.content;
            world.snapshots.insert(snapshot.id, (snapshot.share.id, content));
            Ok(ManagedSnapshot::default())
        })
        .await
    }

    async fn unmanage_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &SnapshotForDriver,
    ) -> Result<(), CallError> {
        self.perform(("unmanage-snapshot", reason), (Some(snapshot.share.id), "change"), |_| Ok(())).await
    }

    async fn share_usage_sizes(
        &self,
        _: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<Vec<ShareUsage>, CallError> {
        let usage = |share: &ShareForDriver| ShareUsage {
            id: share.id,
            used_gib: 0.5,
            gathered_at: Timestamp::now(),
        };
        Ok(shares.iter().map(usage).collect())
    }

    async fn let_go(&self, reason: &CallReason, target: CallTarget) -> Result<(), CallError> {
        self.perform(("let-go", reason), (None, ""), |world| {
            for share in &target.shares {
                world.shares.remove(share);
            }
            for snapshot in &target.snapshots {
                world.snapshots.remove(&snapshot.snapshot);
            }
            Ok(())
        })
        .await
    }

    fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        self.may_be_copied()
    }

    async fn share_directory(&self, share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        self.directory_of(share)
    }

    async fn migration_check_compatibility(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<Compatibility, CallError> {
        self.compatible(reason, migration).await
    }

    async fn migration_start(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.started_migration(reason, migration).await
    }

    async fn migration_continue(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<FirstPhase, CallError> {
        self.continued_migration(reason, migration).await
    }

    async fn migration_complete(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<MigrationOutcome, CallError> {
        self.completed_migration(reason, migration).await
    }

    async fn migration_cancel(
        &self,
        reason: &CallReason,
        migration: &ShareMigration,
    ) -> Result<(), CallError> {
        self.cancelled_migration(reason, migration).await
    }

    async fn migration_progress(&self, _: &CallReason, migration: &ShareMigration) -> Result<u8, CallError> {
        let is_known = self.world().polls.contains_key(&migration.source.id);
        if is_known { Ok(50) } else { Err(answered(DriverErrorCode::BackendFailed)) }
    }

    async fn create_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.made_group(reason, group).await
    }

    async fn delete_share_group(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
    ) -> Result<(), CallError> {
        self.deleted_group(reason, group).await
    }

    async fn create_share_group_from_snapshot(
        &self,
        reason: &CallReason,
        group: &ShareGroupForDriver,
        _snapshot: &ShareGroupSnapshotForDriver,
        sources: &[GroupShareSource],
    ) -> Result<Vec<CreatedShare>, CallError> {
        self.made_group_from_snapshot(reason, group, sources).await
    }

    async fn consistency_unit(&self, _: &CallReason) -> Result<Option<Consistency>, CallError> {
        self.consistency.lock().expect("the unit").clone()
    }

    async fn create_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.took_group_snapshot(reason, snapshot).await
    }

    async fn delete_share_group_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ShareGroupSnapshotForDriver,
    ) -> Result<(), CallError> {
        self.removed_group_snapshot(reason, snapshot).await
    }

    async fn create_replica(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<ReplicaOutcome, CallError> {
        self.made_replica(reason, view).await
    }

    async fn delete_replica(&self, reason: &CallReason, removal: &ReplicaRemoval) -> Result<(), CallError> {
        self.deleted_replica(reason, removal).await
    }

    async fn promote_replica(
        &self,
        reason: &CallReason,
        promotion: &Promotion,
    ) -> Result<Vec<ReplicaOutcome>, CallError> {
        self.promoted_replica(reason, promotion).await
    }

    async fn update_replica_state(
        &self,
        reason: &CallReason,
        view: &ReplicaView,
    ) -> Result<Option<ReplicaState>, CallError> {
        self.updated_replica(reason, view).await
    }

    async fn create_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.took_replicated_snapshot(reason, snapshot).await
    }

    async fn delete_replicated_snapshot(
        &self,
        reason: &CallReason,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Vec<SnapshotUpdate>, CallError> {
        self.removed_replicated_snapshot(reason, snapshot).await
    }

    async fn update_replicated_snapshot(
        &self,
        reason: &CallReason,
        replica: ShareInstanceId,
        snapshot: &ReplicatedSnapshot,
    ) -> Result<Option<SnapshotUpdate>, CallError> {
        self.updated_replicated_snapshot(reason, replica, snapshot).await
    }

    async fn revert_to_replicated_snapshot(
        &self,
        reason: &CallReason,
        reversion: &ReplicatedReversion,
    ) -> Result<(), CallError> {
        self.reverted_replica(reason, reversion).await
    }

    async fn extend_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        self.perform(("extend-share", reason), (Some(share.id), "change"), |world| {
            held(world, share.id)?.size = new_size;
            Ok(())
        })
        .await
    }

    async fn shrink_share(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        new_size: Gibibytes,
    ) -> Result<(), CallError> {
        self.perform(("shrink-share", reason), (Some(share.id), "change"), |world| {
            held(world, share.id)?.size = new_size;
            Ok(())
        })
        .await
    }
}
