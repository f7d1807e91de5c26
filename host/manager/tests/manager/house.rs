//! A manager on a store in memory with one backend, and the words in which tests speak of it.

use crate::fake::{FakeDriver, World};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_manager::{
    BackendDescription, BackendState, Manager, ManagerError, ManagerSettings, NewAccessRule, NewShare,
    NewSnapshot, RequestContext, ServerLimits, ShareView, SnapshotView, StoredAccessRule,
};
use bulkhead_model::access::{AccessLevel, AccessTo};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::id::{BackendName, Digest, GenerationNumber, RequestId, ShareId, SnapshotId};
use bulkhead_model::place::Place;
use bulkhead_model::scope::{Actor, Role, Scope};
use bulkhead_model::share::Protocol;
use bulkhead_model::size::Gibibytes;
use bulkhead_store::{MemoryStore, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// No wait of a test is ever longer; what takes as long is broken.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct House {
    pub manager: Manager,
    pub driver: Arc<FakeDriver>,
    pub world: Arc<Mutex<World>>,
    pub store: Arc<MemoryStore>,
}

impl House {
    /// A manager with a ready backend.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A manager whose driver was `prepared`, with a ready backend.
    pub async fn with(prepare: impl FnOnce(&mut FakeDriver)) -> Self {
        let world = Arc::default();
        let mut driver = FakeDriver::new(&world);
        prepare(&mut driver);
        let store = Arc::new(MemoryStore::new());
        let house = Self { manager: open(store.clone()).await, driver: Arc::new(driver), world, store };
        house.manager.attach(description("nas", 1), house.driver.clone());
        ready(&house.manager, "nas").await;
        house
    }

    pub fn scope() -> Scope {
        Scope::Project("alpha".parse().expect("a project"))
    }

    /// A share, asked for and there.
    pub async fn share(&self) -> ShareView {
        let share = self.manager.create_share(&tenant(), new_share(2)).await.expect("accepted");
        self.settled().await;
        self.show(share.share.id)
    }

    pub fn show(&self, id: ShareId) -> ShareView {
        self.manager.show_share(&Self::scope(), id).expect("the share")
    }

    /// A snapshot, asked for and there.
    pub async fn snapshot(&self, share: ShareId) -> SnapshotView {
        let snapshot = self.manager.create_snapshot(&tenant(), new_snapshot(share)).await.expect("accepted");
        self.settled().await;
        self.manager.show_snapshot(&Self::scope(), snapshot.snapshot.id).expect("the snapshot")
    }

    pub fn show_snapshot(&self, id: SnapshotId) -> SnapshotView {
        self.manager.show_snapshot(&Self::scope(), id).expect("the snapshot")
    }

    /// A rule, asked for and in force.
    pub async fn rule(&self, share: ShareId, to: &str) -> StoredAccessRule {
        let rule = self.manager.allow_access(&tenant(), share, new_rule(to)).await.expect("accepted");
        self.settled().await;
        self.manager.show_access_rule(&Self::scope(), rule.rule.id).expect("the rule")
    }

    pub async fn settled(&self) {
        settled(&self.manager).await;
    }

    pub fn calls(&self) -> Vec<&'static str> {
        let world = self.world.lock().expect("the world");
        let periodic = ["setup", "stats", "ensure-shares", "share-server-pools"];
        world
            .calls
            .iter()
            .map(|(function, _)| *function)
            .filter(|function| !periodic.contains(function))
            .collect()
    }
}

pub async fn open(store: Arc<dyn Store>) -> Manager {
    open_with(store, |_| {}).await
}

pub async fn open_with(store: Arc<dyn Store>, adjust: impl FnOnce(&mut ManagerSettings)) -> Manager {
    let ledger = Ledger::open(store.clone(), LedgerKey::new([7; 32])).await.expect("the ledger");
    let mut settings = ManagerSettings {
        first_repeat: Duration::from_millis(1),
        longest_repeat: Duration::from_millis(20),
        first_setup_repeat: Duration::from_millis(1),
        share_status_period: Duration::from_millis(2),
        ..ManagerSettings::default()
    };
    adjust(&mut settings);
    Manager::open(store, ledger, settings).await.expect("the manager")
}

pub fn description(name: &str, generation: u64) -> BackendDescription {
    BackendDescription {
        name: name.parse().expect("a name"),
        driver: "fake".parse().expect("a name"),
        driver_version: "1.0.0".to_owned(),
        vendor: "nobody".to_owned(),
        place: Place::Local,
        digest: Digest::from_bytes([1; 32]),
        generation: GenerationNumber(generation),
        protocols: vec![Protocol::Nfs],
        limits: DriverLimits::default(),
        replication_domain: None,
        max_over_subscription_ratio: 1.0,
        filter_function: None,
        goodness_function: None,
        handles_share_servers: false,
        server_limits: ServerLimits::default(),
    }
}

pub async fn ready(manager: &Manager, name: &str) {
    let name: BackendName = name.parse().expect("a name");
    until("the backend is ready", async || {
        matches!(manager.show_backend(&name).expect("the backend").state, BackendState::Ready)
    })
    .await;
}

/// Wait until `holds`.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
}

/// Wait until no operation is unfinished.
pub async fn settled(manager: &Manager) {
    let mut events = manager.events();
    let is_settled = || {
        manager.list_operations(&Scope::Everything, 10_000).iter().all(|operation| operation.state.is_final())
    };
    let waiting = async {
        while !is_settled() {
            if let Err(RecvError::Closed) = events.recv().await {
                break;
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "operations do not end: {:#?}", manager.list_operations(&Scope::Everything, 20));
}

fn context(user: &str, project: &str, role: Role) -> RequestContext {
    RequestContext {
        actor: Actor {
            user: user.parse().expect("a user"),
            project: project.parse().expect("a project"),
            role,
        },
        request: RequestId::random(),
        idempotency_key: None,
    }
}

pub fn tenant() -> RequestContext {
    context("alice", "alpha", Role::Tenant)
}

pub fn other_tenant() -> RequestContext {
    context("bob", "beta", Role::Tenant)
}

pub fn operator() -> RequestContext {
    context("root", "admin", Role::Operator)
}

pub fn reviewer() -> RequestContext {
    context("rita", "admin", Role::Reviewer)
}

pub fn with_key(key: &str) -> RequestContext {
    RequestContext { idempotency_key: Some(key.to_owned()), ..tenant() }
}

pub fn gib(size: u64) -> Gibibytes {
    Gibibytes::new(size).expect("a size")
}

pub fn new_share(size: u64) -> NewShare {
    NewShare {
        size: gib(size),
        protocol: Protocol::Nfs,
        display_name: Some("a share".to_owned()),
        display_description: None,
        metadata: BTreeMap::new(),
        share_type: None,
        source_snapshot: None,
        group: None,
        share_network: None,
        is_public: false,
    }
}

pub fn new_snapshot(share: ShareId) -> NewSnapshot {
    NewSnapshot { share, display_name: None, display_description: None, metadata: BTreeMap::new() }
}

pub fn new_rule(to: &str) -> NewAccessRule {
    NewAccessRule {
        access_to: AccessTo::parse("ip", to).expect("an address"),
        level: AccessLevel::Rw,
        metadata: BTreeMap::new(),
    }
}

/// The stable code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, ManagerError>) -> &'static str {
    result.expect_err("refused").code()
}
