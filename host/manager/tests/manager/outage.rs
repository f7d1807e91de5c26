//! An array that is down for days, on a virtual clock: whoever asks is queued or refused, and nothing becomes an error by the clock.

use crate::fake::{FakeDriver, World};
use crate::house::{code, description, gib, new_rule, new_share, new_snapshot, open_with, ready, tenant};
use bulkhead_manager::{Force, Manager, ManagerSettings};
use bulkhead_model::id::ShareId;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{AccessRulesStatus, ShareStatus, SnapshotStatus};
use bulkhead_store::MemoryStore;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The longest wait before a call is repeated, with what a call takes.
const A_ROUND: Duration = Duration::from_secs(70);
/// The most operations that the backend's queue takes.
const QUEUE: usize = 8;

/// A backend whose waits are those of a daemon, with five shares.
struct Outage {
    manager: Manager,
    driver: Arc<FakeDriver>,
    world: Arc<Mutex<World>>,
    shares: Vec<ShareId>,
}

impl Outage {
    async fn new() -> Self {
        let world = Arc::default();
        let driver = Arc::new(FakeDriver::new(&world));
        let manager = open_with(Arc::new(MemoryStore::new()), |settings| {
            *settings = ManagerSettings { unfinished_operations: QUEUE, ..ManagerSettings::default() };
        })
        .await;
        manager.attach(description("nas", 1), driver.clone());
        ready(&manager, "nas").await;
        let mut shares = Vec::new();
        for _ in 0..5 {
            let made = manager.create_share(&tenant(), new_share(2)).await.expect("accepted");
            shares.push(made.share.id);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        Self { manager, driver, world, shares }
    }

    /// One change of each share, and a new one.
    async fn ask(&self) {
        let [grown, gone, snapped, ruled, _]: [ShareId; 5] =
            self.shares.clone().try_into().expect("five shares");
        self.manager.extend_share(&tenant(), grown, gib(9)).await.expect("queued");
        self.manager.delete_share(&tenant(), gone, Force::No).await.expect("queued");
        self.manager.create_snapshot(&tenant(), new_snapshot(snapped)).await.expect("queued");
        self.manager.allow_access(&tenant(), ruled, new_rule("10.0.0.1")).await.expect("queued");
        self.manager.create_share(&tenant(), new_share(1)).await.expect("queued: nobody has noticed yet");
    }

    /// How many of these statuses there are, in the order of `statuses`.
    fn count(&self, statuses: [ShareStatus; 4]) -> [usize; 4] {
        let shares = self.manager.list_shares(&Scope::Everything);
        statuses.map(|status| shares.iter().filter(|share| share.instance.status == status).count())
    }

    fn calls(&self) -> usize {
        self.world.lock().expect("the world").calls.len()
    }
}

#[tokio::test(start_paused = true)]
async fn an_array_that_is_down_for_three_days_turns_nothing_into_an_error_and_catches_up_by_itself() {
    let outage = Outage::new().await;
    outage.driver.is_down.store(true, Ordering::Relaxed);
    outage.ask().await;
    let before = outage.calls();
    tokio::time::sleep(THREE_DAYS).await;
    let statuses =
        [ShareStatus::Extending, ShareStatus::Deleting, ShareStatus::Creating, ShareStatus::Available];
    assert_eq!(outage.count(statuses), [1, 1, 1, 3], "{:#?}", outage.manager.list_shares(&Scope::Everything));
    let operations = outage.manager.list_operations(&Scope::Everything, 100);
    let waiting: Vec<_> = operations.iter().filter(|operation| !operation.state.is_final()).collect();
    assert_eq!(waiting.len(), 5);
    for operation in waiting {
        assert_eq!(
            operation.failure.as_ref().map(|failure| failure.code.as_str()),
            Some("backend-unreachable")
        );
    }
    // Five operations, statistics, ensuring: each comes back after at least 45 s.
    let rounds = usize::try_from(THREE_DAYS.as_secs() / 45).expect("small");
    let made = outage.calls() - before;
    assert!(made < rounds * 8 && made > rounds, "{made} calls in {rounds} rounds");

    outage.driver.is_down.store(false, Ordering::Relaxed);
    let before = outage.calls();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(outage.calls() - before <= 5, "all came back at once");
    tokio::time::sleep(A_ROUND).await;
    assert_eq!(outage.count(statuses), [0, 0, 0, 5]);
    let operations = outage.manager.list_operations(&Scope::Everything, 100);
    assert!(
        operations.iter().all(|operation| operation.state == OperationState::Succeeded),
        "{operations:#?}"
    );
    let snapshots = outage.manager.list_snapshots(&Scope::Everything, None);
    assert!(snapshots.iter().all(|snapshot| snapshot.instance.status == SnapshotStatus::Available));
    let shares = outage.manager.list_shares(&Scope::Everything);
    assert!(shares.iter().all(|share| share.instance.access_rules_status == AccessRulesStatus::Active));
    assert_eq!(outage.world.lock().expect("the world").shares.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_the_queue_of_an_array_that_is_down_is_refused_by_the_name_of_its_cause() {
    let outage = Outage::new().await;
    outage.driver.is_down.store(true, Ordering::Relaxed);
    for number in 0..QUEUE {
        // The first four, then what else the fifth share can have: a rule at a time.
        let asked = match outage.shares.get(number) {
            Some(share) if number < 4 => {
                outage.manager.extend_share(&tenant(), *share, gib(9)).await.map(drop)
            }
            _ => outage.manager.create_share(&tenant(), new_share(1)).await.map(drop),
        };
        asked.expect("queued");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let last = outage.shares[4];
    assert_eq!(code(outage.manager.extend_share(&tenant(), last, gib(9)).await), "backend-unreachable");
    // Statistics are old by now: no new share is placed where nobody answers.
    tokio::time::sleep(THREE_DAYS / 30).await;
    let refused = outage.manager.create_share(&tenant(), new_share(1)).await.expect_err("refused");
    assert!(refused.to_string().contains("nas"), "{refused}");
    outage.driver.is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(A_ROUND).await;
    outage.manager.extend_share(&tenant(), last, gib(9)).await.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn many_that_waited_for_an_array_come_back_spread_over_a_round_and_a_few_at_a_time() {
    let world = Arc::default();
    let driver = Arc::new(FakeDriver::new(&world));
    let manager = open_with(Arc::new(MemoryStore::new()), |settings| {
        *settings = ManagerSettings::default();
    })
    .await;
    manager.attach(description("nas", 1), driver.clone());
    ready(&manager, "nas").await;
    driver.is_down.store(true, Ordering::Relaxed);
    for _ in 0..200 {
        manager.create_share(&tenant(), new_share(1)).await.expect("queued");
    }
    tokio::time::sleep(Duration::from_secs(900)).await;
    driver.is_down.store(false, Ordering::Relaxed);
    let mut most = 0;
    for _ in 0..70 {
        let before = world.lock().expect("the world").shares.len();
        tokio::time::sleep(Duration::from_secs(1)).await;
        most = most.max(world.lock().expect("the world").shares.len() - before);
    }
    assert_eq!(world.lock().expect("the world").shares.len(), 200, "all of them within a round");
    assert!(most <= 60, "{most} came back within a second");
}
