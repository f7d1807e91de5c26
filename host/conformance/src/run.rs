//! A run: every check, then the sweep for as long as the budget allows.

use crate::check::{self, Check};
use crate::faults::{Fault, HostCall};
use crate::finding::{Finding, Found};
use crate::report::{CheckReport, FaultCount, Report, Subject, Verdict};
use crate::sample::Sample;
use crate::stage::Stage;
use crate::sweep::{self, Sweep, Usual};
use crate::world::World;
use bulkhead_model::access::{AccessLevel, AccessUpdate};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// What shall be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which driver, and where.
    pub subject: Subject,
    /// What shares are made of.
    pub sample: Sample,
    /// How long faults are tried, in all.
    pub budget: Budget,
    /// Only checks whose names contain one of these; empty for all.
    pub only: Vec<String>,
}

/// What ends the sweep, if not that every fault was tried.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// A time.
    Time(Duration),
    /// A number of faults: as many as a recorded run has tried.
    Faults(usize),
}

/// Run `plan` on `world`.
pub async fn run(world: Arc<dyn World>, plan: Plan) -> Report {
    let mut run = Run::prepare(world, plan).await;
    for check in check::all() {
        if run.is_wanted(check.id) {
            run.check(&check).await;
        }
    }
    run.sweep().await;
    Report { subject: run.plan.subject, checks: run.checks, left_behind: run.left_behind }
}

struct Run {
    world: Arc<dyn World>,
    sample: Arc<Sample>,
    plan: Plan,
    numbers: Arc<AtomicU64>,
    checks: Vec<CheckReport>,
    left_behind: Vec<String>,
    /// Why nothing can be judged here: already the set-up went by a guess, and failed.
    unfit: Option<String>,
}

/// One function that is swept, with what has come out so far.
struct Swept {
    sweep: Sweep,
    usual: Found<Usual>,
    /// Faults still to be tried, the next one last.
    waiting: Vec<(usize, Fault)>,
    tried: usize,
    findings: Vec<String>,
    /// Why single faults could not be judged.
    unjudged: Option<String>,
    spent: Duration,
}

impl Run {
    /// Bring the backend up, so that checks of other functions do not find it without what its set-up makes.
    async fn prepare(world: Arc<dyn World>, plan: Plan) -> Self {
        let (mut sample, mut unfit) = (plan.sample.clone(), None);
        drop(world.guesses());
        let numbers = Arc::new(AtomicU64::new(1));
        let stage = Stage::new(Arc::clone(&world), Arc::new(sample.clone()), Arc::clone(&numbers));
        for driver in [Some(world.driver()), world.peer()].into_iter().flatten() {
            // Both have checks of their own, which tell what is wrong with them.
            if driver.setup(&stage.reason()).await.is_err() {
                unfit = unfit.or_else(|| world.guesses().into_iter().next());
                continue;
            }
            if sample.pool.is_none()
                && let Ok(statistics) = driver.stats(&stage.reason()).await
            {
                sample.pool = statistics.pools.first().map(|pool| pool.name.clone());
            }
        }
        let sample = Arc::new(sample);
        // What a driver makes once for all, it makes now: it is nothing that a deletion left behind.
        let stage = Stage::new(Arc::clone(&world), Arc::clone(&sample), Arc::clone(&numbers));
        if stage.set_the_scene("shares.create-share").await.is_ok()
            && let Ok(share) = stage.share().await
            && let Ok(rule) = stage.new_rule(AccessLevel::Rw)
        {
            let update =
                AccessUpdate { rules: vec![rule.clone()], add: vec![rule], ..AccessUpdate::default() };
            drop(stage.set_rules(&share, update).await);
            drop(stage.snapshot(&share).await);
        }
        drop(stage.clean().await);
        Self { world, sample, plan, numbers, checks: Vec::new(), left_behind: Vec::new(), unfit }
    }

    fn is_wanted(&self, id: &str) -> bool {
        self.plan.only.is_empty() || self.plan.only.iter().any(|wanted| id.contains(wanted.as_str()))
    }

    fn stage(&self) -> Stage {
        Stage::new(Arc::clone(&self.world), Arc::clone(&self.sample), Arc::clone(&self.numbers))
    }

    async fn check(&mut self, check: &Check) {
        let begun = Instant::now();
        let verdict = match self.why_not(check.missing(self.world.driver().abilities())) {
            Some(reason) => Verdict::Skipped { reason },
            None => {
                drop(self.world.guesses());
                let stage = self.stage();
                let found = match stage.set_the_scene(check.function).await {
                    Ok(()) => (check.body)(&stage).await,
                    Err(finding) => Err(finding),
                };
                self.clean(&stage).await;
                self.verdict(found)
            }
        };
        self.checks.push(CheckReport {
            id: check.id,
            function: check.function,
            sentence: check.sentence,
            verdict,
            faults: None,
            milliseconds: milliseconds(begun.elapsed()),
        });
    }

    /// Why something cannot be judged that needs what the driver lacks, if it lacks something.
    fn why_not(&self, missing: Option<String>) -> Option<String> {
        let lacks = missing.map(|ability| format!("the driver does not export {ability}"));
        lacks.or_else(|| self.unfit.as_deref().map(needs_against))
    }

    /// What cannot be deleted is told in the report, beside the checks of deletion.
    async fn clean(&mut self, stage: &Stage) {
        if let Err(stayed) = stage.clean().await {
            self.left_behind.push(stayed);
        }
    }

    /// Nothing that was built on a guess of the host's breaks a sentence.
    fn verdict(&self, found: Found) -> Verdict {
        match (found, self.world.guesses().first()) {
            (Ok(()), _) => Verdict::Held,
            (Err(Finding::Unjudged(reason)), None) => Verdict::Skipped { reason },
            (Err(Finding::Broken(finding)), None) => Verdict::Broken { findings: vec![finding] },
            (Err(_), Some(guess)) => Verdict::Skipped { reason: needs_against(guess) },
        }
    }

    async fn sweep(&mut self) {
        let mut all = Vec::new();
        for sweep in sweep::all() {
            if self.is_wanted(sweep.id) {
                all.push(self.begin(sweep).await);
            }
        }
        let (begun, budget, mut tried) = (Instant::now(), self.plan.budget, 0_usize);
        let has_room = |tried: usize| match budget {
            Budget::Time(time) => begun.elapsed() < time,
            Budget::Faults(most) => tried < most,
        };
        // One fault of each function in turn: a small budget leaves none out.
        while has_room(tried) && all.iter().any(|swept| !swept.waiting.is_empty()) {
            for swept in &mut all {
                if has_room(tried) && !swept.waiting.is_empty() {
                    self.strike(swept).await;
                    tried = tried.saturating_add(1);
                }
            }
        }
        self.checks.extend(all.into_iter().map(Swept::report));
    }

    async fn begin(&mut self, sweep: Sweep) -> Swept {
        let begun = Instant::now();
        let usual = match self.why_not(sweep.missing(self.world.driver().abilities())) {
            Some(reason) => Err(Finding::Unjudged(reason)),
            None => {
                drop(self.world.guesses());
                let stage = self.stage();
                let usual = sweep.usual(&stage).await;
                self.clean(&stage).await;
                match (usual, self.world.guesses().first()) {
                    (Err(_), Some(guess)) => Err(Finding::Unjudged(needs_against(guess))),
                    (usual, _) => usual,
                }
            }
        };
        let calls = usual.as_ref().map_or(&[][..], |usual| usual.calls.as_slice());
        let waiting = shuffled(calls);
        let spent = begun.elapsed();
        Swept { sweep, usual, waiting, tried: 0, findings: Vec::new(), unjudged: None, spent }
    }

    async fn strike(&mut self, swept: &mut Swept) {
        let (Ok(usual), Some(fault)) = (&swept.usual, swept.waiting.pop()) else { return };
        let begun = Instant::now();
        drop(self.world.guesses());
        let stage = self.stage();
        let found = swept.sweep.strike(&stage, usual, fault).await;
        self.world.faults().disarm();
        let guesses = self.world.guesses();
        let (at, how) = fault;
        let call = usual.calls.get(at).map_or_else(String::new, HostCall::to_string);
        let where_it_was =
            format!("host call {} of {} ({call}) {how}", at.saturating_add(1), usual.calls.len());
        swept.tried = swept.tried.saturating_add(1);
        match found {
            Ok(()) => {}
            Err(Finding::Broken(what)) if guesses.is_empty() => {
                swept.findings.push(format!("{where_it_was}; {what}"));
            }
            Err(Finding::Broken(why) | Finding::Unjudged(why)) => {
                swept.unjudged = Some(format!("{where_it_was}; {why}"));
            }
        }
        self.clean(&stage).await;
        swept.spent += begun.elapsed();
    }
}

impl Swept {
    fn report(self) -> CheckReport {
        let faults = self.usual.as_ref().ok().map(|usual| FaultCount {
            host_calls: usual.calls.len(),
            tried: self.tried,
            skipped: self.waiting.len(),
        });
        let verdict = match self.usual {
            Err(Finding::Unjudged(reason)) => Verdict::Skipped { reason },
            Err(Finding::Broken(finding)) => Verdict::Broken { findings: vec![finding] },
            Ok(_) if !self.findings.is_empty() => Verdict::Broken { findings: self.findings },
            Ok(_) if self.tried == 0 && !self.waiting.is_empty() => Verdict::Skipped {
                reason: "the budget was used up before; --budget makes it larger".to_owned(),
            },
            Ok(_) => match self.unjudged {
                Some(reason) => Verdict::Skipped { reason },
                None => Verdict::Held,
            },
        };
        CheckReport {
            id: self.sweep.id,
            function: self.sweep.function,
            sentence: self.sweep.sentence,
            verdict,
            faults,
            milliseconds: milliseconds(self.spent),
        }
    }
}

fn needs_against(guess: &str) -> String {
    format!("needs --against: {guess}")
}

/// Every fault of every call, mixed, so that a sample of them is spread over all; always the same for as many calls.
fn shuffled(calls: &[HostCall]) -> Vec<(usize, Fault)> {
    let mut faults: Vec<(usize, Fault)> =
        (0..calls.len()).flat_map(|at| Fault::ALL.map(|fault| (at, fault))).collect();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for place in (1..faults.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choices = u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1);
        let other = usize::try_from((state >> 33) % choices).unwrap_or(0);
        faults.swap(place, other);
    }
    faults
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_of_every_call_is_waiting_once_and_in_no_plain_order() {
        let call = HostCall { capability: "files.status".to_owned(), subject: String::new() };
        let calls = vec![call; 20];
        let faults = shuffled(&calls);
        assert_eq!(faults.iter().collect::<BTreeSet<_>>().len(), 60);
        assert!(!faults.is_sorted() && faults == shuffled(&calls));
        assert_eq!(shuffled(&[]), Vec::new());
    }
}
