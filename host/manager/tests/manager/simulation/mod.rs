//! Chance at work: users who ask for anything, a backend that fails before and after its effects, a daemon that dies at any step, life
//! after life on one store. The clock is virtual, the chance is seeded: the same seed tells the same story.
//!
//! `BULKHEAD_SIMULATION_STEPS` says how many steps are told (commits, and driver calls before and after their effect), and
//! `BULKHEAD_SIMULATION_SEED` with which seed the first story begins.

mod judge;
mod user;

use crate::crash::{Death, MortalStore};
use crate::fake::{FakeDriver, Whims, World};
use crate::house::{description, open, ready, settled};
use bulkhead_store::MemoryStore;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use user::Wishes;

/// The steps of a test run.
const STEPS: u64 = 20_000;
/// How many lives a story has.
const LIVES: usize = 12;

/// What one story came to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    steps: u64,
    lives: u64,
    deaths: u64,
    requests: u64,
    refusals: u64,
}

struct Story {
    chance: fastrand::Rng,
    store: Arc<MemoryStore>,
    world: Arc<Mutex<World>>,
    wishes: Arc<Mutex<Wishes>>,
    tally: Tally,
    told: String,
}

/// How a life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Users ask, the backend has whims, and it ends at this step, or in peace before.
    Wild { last_step: u64 },
    /// Nobody asks and nothing fails: what was begun comes to its end.
    Quiet,
    /// Everything is removed.
    Last,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
            store: Arc::new(MemoryStore::new()),
            world: Arc::default(),
            wishes: Arc::default(),
            tally: Tally::default(),
            told: format!("seed {seed}"),
        }
    }

    fn tell(mut self) -> Tally {
        for _ in 0..LIVES {
            let last_step = self.chance.u64(1..400);
            self.live(Life::Wild { last_step });
            if self.chance.u8(0..3) == 0 {
                self.live(Life::Quiet);
            }
        }
        self.live(Life::Quiet);
        self.live(Life::Last);
        let wishes = self.wishes.lock().expect("the wishes");
        Tally { requests: wishes.requests, refusals: wishes.refusals, ..self.tally }
    }

    fn live(&mut self, life: Life) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let death = match life {
            Life::Wild { last_step } => Death::at_step(last_step),
            Life::Quiet | Life::Last => Death::never(),
        };
        let mut driver = FakeDriver::new(&self.world);
        driver.death = Arc::clone(&death);
        driver.slow = self.chance.u32(0..3);
        driver.whims = matches!(life, Life::Wild { .. }).then(|| Whims::new(self.chance.fork()));
        let store = Arc::new(MortalStore { store: Arc::clone(&self.store), death: Arc::clone(&death) });
        let users = [(); 3].map(|()| self.chance.fork());
        let (wishes, world, told) = (Arc::clone(&self.wishes), Arc::clone(&self.world), self.told.clone());
        let lived = async move {
            let manager = open(store).await;
            manager.attach(description("nas", 1), Arc::new(driver));
            manager.recover().await.expect("recovered");
            match life {
                Life::Wild { .. } => {
                    let [one, two, three] = users.map(|chance| user::ask(&manager, &wishes, chance));
                    tokio::join!(biased; one, two, three);
                    manager.drain(Duration::from_secs(5)).await;
                }
                Life::Quiet => {
                    ready(&manager, "nas").await;
                    settled(&manager).await;
                    judge::judge(&manager, &world.lock().expect("the world"), &wishes, &told);
                }
                Life::Last => {
                    ready(&manager, "nas").await;
                    judge::clear(&manager).await;
                    judge::expect_nothing_left(&manager, &world.lock().expect("the world"), &told);
                }
            }
        };
        let died = runtime.block_on(async {
            tokio::select! {
                biased;
                () = death.happened() => true,
                () = lived => false,
            }
        });
        runtime.shutdown_background();
        self.tally.lives += 1;
        self.tally.deaths += u64::from(died);
        self.tally.steps += death.steps();
        // Calls that were cut by the death are over.
        self.world.lock().expect("the world").end_of_life();
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a story is told is for whoever runs the test to say")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_users_backend_and_death_do_nothing_is_lost_doubled_or_without_an_owner() {
    let steps = number("BULKHEAD_SIMULATION_STEPS").unwrap_or(STEPS);
    let first = number("BULKHEAD_SIMULATION_SEED").unwrap_or(1);
    let began = std::time::Instant::now();
    let (mut all, mut seed) = (Tally::default(), first);
    while all.steps < steps {
        let tally = Story::new(seed).tell();
        all.steps += tally.steps;
        all.lives += tally.lives;
        all.deaths += tally.deaths;
        all.requests += tally.requests;
        all.refusals += tally.refusals;
        seed += 1;
    }
    println!(
        "seeds {first}..{seed}: {all:?}, 0 lost, 0 doubled, 0 without an owner; {:.0?}",
        began.elapsed()
    );
    assert!(all.deaths * 3 > all.lives, "deaths are common: {all:?}");
    assert!(all.refusals * 2 < all.requests, "most wishes make sense: {all:?}");
}
