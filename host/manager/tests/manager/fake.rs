//! A driver whose backend is a map, and which does what a test tells it: answer, fail before or after the effect, wait, die.

use crate::crash::Death;
use crate::fake_following::Work;
use crate::fake_migration::{DISRUPTIVE, Polls};
use crate::fake_servers::{HeldServer, ServerWays, move_in};
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::access::{AccessLevel, AccessOutcome, AccessTo, AccessUpdate};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverError, DriverErrorCode};
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::{
    AccessRuleId, SecurityServiceId, ShareGroupId, ShareInstanceId, ShareServerId, SnapshotInstanceId,
};
use bulkhead_model::migration::Compatibility;
use bulkhead_model::server_update::RulesOfShares;
use bulkhead_model::share::{EnsuredShare, ShareForDriver, ShareProgress};
use bulkhead_model::share_group::Consistency;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::snapshot::SnapshotAccessUpdate;
use bulkhead_model::statistics::{Capacity, IpVersion, Pool, Support};
use bulkhead_model::text::GuestText;
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
    pub servers: BTreeMap<ShareServerId, HeldServer>,
    /// The details that each server was last torn down with.
    pub torn_down: BTreeMap<ShareServerId, BTreeMap<String, String>>,
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
    /// What servers were told of the metadata of their subnets.
    pub followed_subnets: Vec<(ShareServerId, BTreeMap<String, String>)>,
    /// The security services that servers came to use while they were in service.
    pub services: BTreeMap<ShareServerId, Vec<SecurityServiceId>>,
    /// What it says of rules when a server uses another security service.
    pub rules_after_update: RulesOfShares,
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
    /// The metadata keys that it follows, of shares and of subnets.
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
    /// How its share servers are; unused on a backend that makes none.
    pub servers: ServerWays,
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
            servers: ServerWays::default(),
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

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the world")
    }

    pub fn next_act(&self, function: &'static str) -> Option<Act> {
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
    move_in(world, share)?;
    *world.made.entry(share.id.to_string()).or_default() += 1;
    world.shares.insert(share.id, HeldShare { size: share.size, content, rules: BTreeMap::new() });
    Ok(vec![location(share)])
}

pub fn held(world: &mut World, id: ShareInstanceId) -> Result<&mut HeldShare, CallError> {
    world.shares.get_mut(&id).ok_or_else(|| answered(DriverErrorCode::ShareNotFound))
}
