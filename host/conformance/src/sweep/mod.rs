//! The sweep: for every host call k that a function makes, k fails, times out after its effect, or is the last one before the host is
//! killed. Then the function is repeated, as the share manager repeats it, and what is there must be what is there when nothing fails.

mod beside;
mod groups;
mod moving;
mod replicas;
mod servers;
mod trials;

use crate::check::missing;
use crate::faults::{Fault, HostCall};
use crate::finding::{Finding, Found, told};
use crate::stage::{Stage, gone_is_done};
use async_trait::async_trait;
use bulkhead_model::ability::{Abilities, Ability};
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often a function is repeated that answers `busy` and its like.
const MOST_REPEATS: u32 = 3;
/// The pause before such a repeat.
const PAUSE: Duration = Duration::from_millis(100);

/// A function of the contract that must converge, and the sentence that says so.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// Its name in reports.
    pub id: &'static str,
    /// The function, `interface.function`.
    pub function: &'static str,
    /// The sentence, word by word as it stands in `wit/`.
    pub sentence: &'static str,
    /// As in [`Check`](crate::Check).
    pub needs: &'static [&'static [Ability]],
    pub(crate) prepare: Prepare,
}

/// Makes what a function is called about.
pub(crate) type Prepare = for<'stage> fn(&'stage Stage) -> BoxFuture<'stage, Prepared>;

/// What [`Prepare`] brings.
pub(crate) type Prepared = Found<Box<dyn Trial>>;

/// Every sweep of the kit, in the order in which they are made.
#[must_use]
pub fn all() -> Vec<Sweep> {
    [trials::SWEEPS, beside::SWEEPS, groups::SWEEPS, replicas::SWEEPS, moving::SWEEPS, servers::SWEEPS]
        .concat()
}

/// What makes a [`Sweep`] out of an async function that prepares it.
macro_rules! sweep {
    ($id:literal, $function:literal, [$($need:expr),*], $prepare:ident, $sentence:literal) => {
        $crate::sweep::Sweep {
            id: $id,
            function: $function,
            sentence: $sentence,
            needs: &[$($need),*],
            prepare: |stage| Box::pin($prepare(stage)),
        }
    };
}
use sweep;

/// What a trial can tell about the end, by name: equal ends tell equal facts.
pub(crate) type Facts = BTreeMap<&'static str, String>;

/// A function that is called once more until it succeeds.
#[async_trait]
pub(crate) trait Trial: Send + Sync {
    /// Call it.
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError>;

    /// Look at what is there now.
    async fn look(&self, stage: &Stage) -> Found<Facts>;
}

/// How a function behaves when nothing fails.
#[derive(Debug)]
pub(crate) struct Usual {
    /// The host calls it makes.
    pub(crate) calls: Vec<HostCall>,
    facts: Facts,
    leaves: bool,
}

impl Sweep {
    pub(crate) fn missing(&self, abilities: &Abilities) -> Option<String> {
        missing(self.needs, abilities)
    }

    /// See how the function behaves when nothing fails.
    pub(crate) async fn usual(&self, stage: &Stage) -> Found<Usual> {
        stage.set_the_scene(self.function).await?;
        let before = stage.holdings().await?;
        let trial = (self.prepare)(stage).await?;
        let faults = stage.world.faults();
        faults.arm(None);
        let outcome = trial.perform(stage, &stage.reason()).await;
        let calls = faults.disarm();
        if let Err(error) = outcome {
            return Err(Finding::Unjudged(format!(
                "{} fails also when nothing is wrong: {}",
                self.function,
                told(&error)
            )));
        }
        let facts = trial.look(stage).await?;
        let cleaned = stage.clean().await;
        let leaves = cleaned.is_err() || !stage.holdings().await?.new_since(&before).is_empty();
        Ok(Usual { calls, facts, leaves })
    }

    /// Strike the host call `at` with `fault`, repeat, and compare with the usual end.
    pub(crate) async fn strike(&self, stage: &Stage, usual: &Usual, (at, fault): (usize, Fault)) -> Found {
        stage.set_the_scene(self.function).await?;
        let before = stage.holdings().await?;
        let trial = (self.prepare)(stage).await?;
        let reason = stage.reason();
        let faults = stage.world.faults();
        faults.arm(Some((at, fault)));
        let struck = tokio::select! {
            biased;
            answer = trial.perform(stage, &reason) => Some(answer),
            () = faults.cut() => None,
        };
        faults.disarm();
        if !matches!(struck, Some(Ok(()))) {
            repeat(trial.as_ref(), stage, &reason).await?;
        }
        let facts = trial.look(stage).await?;
        if let Some((name, wanted)) =
            usual.facts.iter().find(|(name, wanted)| facts.get(*name) != Some(*wanted))
        {
            let found = facts.get(name).map_or("nothing", String::as_str);
            return Err(Finding::Broken(format!("{name}: {found}, and when nothing fails: {wanted}")));
        }
        stage.clean().await.map_err(Finding::Broken)?;
        if usual.leaves {
            return Ok(());
        }
        let after = stage.holdings().await?;
        let left = after.new_since(&before);
        if left.is_empty() {
            return Ok(());
        }
        Err(Finding::Broken(format!("when all was deleted there was left: {}", left.join(", "))))
    }
}

/// Repeat as the share manager does: with one attempt more behind it, and again where the answer says to come again.
async fn repeat(trial: &dyn Trial, stage: &Stage, first: &CallReason) -> Found {
    let mut attempts = 1;
    loop {
        let reason = CallReason { earlier_attempts: attempts, ..first.clone() };
        let error = match trial.perform(stage, &reason).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if attempts == MOST_REPEATS || !error.code().is_some_and(DriverErrorCode::is_repeated) {
            return Err(Finding::Broken(format!("repeated, it fails: {}", told(&error))));
        }
        tokio::time::sleep(PAUSE).await;
        attempts += 1;
    }
}

/// A deletion whose answer says that there was nothing has succeeded.
pub(crate) fn deleted(answer: Result<(), CallError>) -> Result<(), CallError> {
    answer.or_else(gone_is_done)
}
