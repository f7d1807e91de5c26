//! Where a new share goes: of the pools that have room and all that is asked for, the best one. Every other one has a reason.
//!
//! ```text
//!   backends --> set up? protocol? replication domain? abilities? --> pools --> capabilities? room? filter function? --> weighed --> best
//! ```

pub(crate) mod capacity;
mod explain;
mod expression;
mod function;
mod names;
mod weigh;

pub use expression::ExpressionError;
pub use function::Function;
pub(crate) use function::Functions;
pub(crate) use names::AskedShare;
pub use weigh::WeighedPool;

use crate::backend::{Backend, Serving};
use crate::error::ManagerError;
use crate::manager::Inner;
use crate::records::Tables;
use crate::share_type::{Needs, may_be_thin};
use crate::view::{BackendDescription, BackendState};
use bulkhead_model::id::BackendName;
use bulkhead_model::share::Placement;
use bulkhead_model::statistics::{Pool, Statistics};
use capacity::{Demand, Purpose};
use names::Seen;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use weigh::Candidate;

/// What is to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) asked: AskedShare,
    /// Where the snapshot's share lives, for a share made from one: no backend reads another's snapshots.
    pub(crate) beside: Option<Placement>,
    /// Where the share's group lives, for a share of one.
    pub(crate) group: Option<Placement>,
    /// What its share type asks for.
    pub(crate) needs: Needs,
    /// For a replica of a share: where it may be.
    pub(crate) replica: Option<ReplicaWish>,
}

/// Where a replica may be.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaWish {
    /// The replication domain of the share.
    pub(crate) domain: String,
    /// The backends that hold a replica already.
    pub(crate) taken: Vec<BackendName>,
}

impl ReplicaWish {
    fn check(&self, description: &BackendDescription) -> Result<(), String> {
        if self.taken.contains(&description.name) {
            return Err("holds a replica of the share already".to_owned());
        }
        match &description.replication_domain {
            None => Err("has no replication_domain".to_owned()),
            Some(domain) if *domain == self.domain => Ok(()),
            Some(_) => Err("is of another replication_domain".to_owned()),
        }
    }
}

/// A backend, or a pool of it, that would not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedPlace {
    /// The backend.
    pub backend: BackendName,
    /// The pool; none if it is for the whole backend.
    pub pool: Option<String>,
    /// Why.
    pub reason: String,
}

/// Where a share could go and where it could not.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PlacementView {
    /// The pools that would do, best first.
    pub fitting: Vec<WeighedPool>,
    /// All others, in the order of their names.
    pub rejected: Vec<RejectedPlace>,
}

/// The best place for `wish`. Fails with [`ManagerError::NoBackend`] and all reasons.
pub(crate) fn choose(inner: &Inner, tables: &Tables, wish: &Wish) -> Result<Placement, ManagerError> {
    let PlacementView { fitting, rejected } = survey(inner, tables, wish);
    match fitting.into_iter().next() {
        Some(best) => Ok(best.placement),
        None => Err(ManagerError::NoBackend { reasons: rejected }),
    }
}

/// The best place for `wish` at a backend, or its one pool that is named. Fails with [`ManagerError::NotFound`] for a backend that there is
/// not, else with [`ManagerError::NoBackend`] and the reasons there.
pub(crate) fn choose_at(
    inner: &Inner,
    tables: &Tables,
    wish: &Wish,
    at: &Placement,
) -> Result<Placement, ManagerError> {
    if inner.backends.get(&at.backend).is_none() {
        return Err(ManagerError::not_found("backend", &at.backend));
    }
    let is_meant = |pool: Option<&String>| at.pool.is_none() || pool.is_none() || pool == at.pool.as_ref();
    let PlacementView { fitting, rejected } = survey(inner, tables, wish);
    let mut there = fitting.into_iter().map(|place| place.placement);
    let fits = |place: &Placement| place.backend == at.backend && is_meant(place.pool.as_ref());
    if let Some(place) = there.find(fits) {
        return Ok(place);
    }
    let mut reasons = rejected;
    reasons.retain(|place| place.backend == at.backend && is_meant(place.pool.as_ref()));
    if let (true, Some(pool)) = (reasons.is_empty(), &at.pool) {
        return Err(ManagerError::not_found("pool", format_args!("{}#{pool}", at.backend)));
    }
    Err(ManagerError::NoBackend { reasons })
}

/// The best place for what fits all of `wishes`: by the sum of the weights it has for each. Fails with [`ManagerError::NoBackend`] and all
/// reasons.
pub(crate) fn choose_for_all(
    inner: &Inner,
    tables: &Tables,
    wishes: &[Wish],
) -> Result<Placement, ManagerError> {
    let mut surveys = wishes.iter().map(|wish| survey(inner, tables, wish));
    let PlacementView { mut fitting, mut rejected } = surveys.next().unwrap_or_default();
    for also in surveys {
        fitting.retain_mut(|place| {
            let same = also.fitting.iter().find(|other| other.placement == place.placement);
            place.weight += same.map_or(0.0, |other| other.weight);
            same.is_some()
        });
        rejected
            .extend(also.rejected.into_iter().filter(|place| !rejected.contains(place)).collect::<Vec<_>>());
    }
    fitting.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    match fitting.into_iter().next() {
        Some(best) => Ok(best.placement),
        None => Err(ManagerError::NoBackend { reasons: rejected }),
    }
}

/// Look at every pool of every backend.
pub(crate) fn survey(inner: &Inner, tables: &Tables, wish: &Wish) -> PlacementView {
    let (mut candidates, mut rejected) = (Vec::new(), Vec::new());
    for backend in inner.backends.list() {
        let look = Look { backend: &backend, tables, stale_after: inner.settings.statistics_stale_after };
        match look.at(wish) {
            Ok(verdicts) => {
                for (pool, verdict) in verdicts {
                    match verdict {
                        Ok(candidate) => candidates.push(candidate),
                        Err(reason) => {
                            rejected.push(RejectedPlace {
                                backend: backend.name.clone(),
                                pool: Some(pool),
                                reason,
                            });
                        }
                    }
                }
            }
            Err(reason) => {
                rejected.push(RejectedPlace { backend: backend.name.clone(), pool: None, reason });
            }
        }
    }
    PlacementView { fitting: weigh::weigh(candidates), rejected }
}

/// A pool's name, and whether it would do.
type Verdict = (String, Result<Candidate, String>);

/// One backend, looked at.
#[derive(Clone, Copy)]
struct Look<'a> {
    backend: &'a Backend,
    tables: &'a Tables,
    stale_after: Duration,
}

impl Look<'_> {
    /// What its pools are to `wish`; fails with the reason why none of them can be anything.
    fn at(&self, wish: &Wish) -> Result<Vec<Verdict>, String> {
        let backend = self.backend;
        if let Some(beside) = &wish.beside
            && beside.backend != backend.name
        {
            return Err("the snapshot is on another backend".to_owned());
        }
        if let Some(group) = &wish.group
            && group.backend != backend.name
        {
            return Err("the share group is on another backend".to_owned());
        }
        check_kind(backend, wish)?;
        let serving = backend.serving().ok_or_else(|| "is being set up".to_owned())?;
        let statistics = self.statistics()?;
        wish.needs.check_mode(serving.description.handles_share_servers.into())?;
        wish.needs.check(serving.driver.abilities(), &statistics)?;
        let is_meant = |pool: &&Pool| {
            let mut fixed = [&wish.beside, &wish.group].into_iter().flatten();
            fixed.all(|place| place.pool.as_ref().is_none_or(|name| *name == pool.name))
        };
        let verdicts: Vec<_> = statistics
            .pools
            .iter()
            .filter(is_meant)
            .map(|pool| (pool.name.clone(), self.weigh_up(wish, (&serving, &statistics), pool)))
            .collect();
        if verdicts.is_empty() { Err("it reports no fitting pool".to_owned()) } else { Ok(verdicts) }
    }

    fn statistics(&self) -> Result<Arc<Statistics>, String> {
        self.backend.with_reported(|reported| match &reported.statistics {
            Some(statistics) if !reported.is_stale(self.stale_after) => Ok(Arc::clone(statistics)),
            Some(_) => Err("its statistics are out of date".to_owned()),
            None => Err("it has not reported its capacity yet".to_owned()),
        })
    }

    fn weigh_up(
        &self,
        wish: &Wish,
        (serving, statistics): (&Serving, &Statistics),
        pool: &Pool,
    ) -> Result<Candidate, String> {
        let purpose = if wish.beside.is_some() { Purpose::FromSnapshot } else { Purpose::New };
        let demand = self.demand(serving, pool, (&wish.asked, wish.asked.size.get()), purpose);
        let seen = seen(&wish.asked, serving, (statistics, pool), &demand);
        wish.needs.check_pool(|key| seen.reported(key))?;
        let room_gib = capacity::room(pool, &demand)?;
        let_through(&serving.functions, &seen)?;
        let goodness = score(&serving.functions, &seen);
        let placement = Placement { backend: self.backend.name.clone(), pool: Some(pool.name.clone()) };
        Ok(Candidate { placement, room_gib, goodness })
    }

    fn demand(
        &self,
        serving: &Serving,
        pool: &Pool,
        (asked, gib): (&AskedShare, u64),
        purpose: Purpose,
    ) -> Demand {
        let placed_gib =
            self.backend.with_reported(|reported| reported.placed_gib.get(&pool.name).copied().unwrap_or(0));
        Demand {
            gib,
            purpose,
            placed_gib,
            provisioned_gib: provisioned(pool, self.tables, self.backend, placed_gib),
            max_over_subscription_ratio: serving.description.max_over_subscription_ratio,
            may_be_thin: may_be_thin(&asked.extra_specs),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums of GiB far below 2^53")]
fn seen<'a>(
    asked: &'a AskedShare,
    serving: &'a Serving,
    (statistics, pool): (&'a Statistics, &'a Pool),
    demand: &Demand,
) -> Seen<'a> {
    Seen {
        asked,
        description: &serving.description,
        abilities: serving.driver.abilities(),
        ip_versions: &serving.ip_versions,
        statistics,
        pool,
        placed_gib: demand.placed_gib as f64,
        provisioned_gib: demand.provisioned_gib,
    }
}

/// What the goodness function says of a pool, 0 to 100; without one 0.
fn score(functions: &Functions, seen: &Seen<'_>) -> f64 {
    functions.goodness.as_ref().map_or(0.0, |function| function.expression.score(seen))
}

/// Whether the filter function lets a share through; if not, why.
fn let_through(functions: &Functions, seen: &Seen<'_>) -> Result<(), String> {
    let function = match &functions.filter {
        None => return Ok(()),
        Some(Ok(function)) => function,
        Some(Err(error)) => return Err(format!("the driver's filter function {error}")),
    };
    match function.expression.passes(seen) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the filter function does not hold: {function}")),
        Err(error) => Err(format!("the filter function {error}: {function}")),
    }
}

/// Whether the driver of `backend` is set up and of the kind that is wished for; if not, why.
fn check_kind(backend: &Backend, wish: &Wish) -> Result<(), String> {
    let state = backend.state();
    if matches!(state, BackendState::Unusable { .. }) {
        return Err(format!("cannot be loaded; see 'bulkhead backend show {}'", backend.name));
    }
    let Some(loaded) = backend.loaded() else {
        return Err("is being loaded".to_owned());
    };
    let description = &loaded.description;
    if let Some(protocol) = wish.asked.protocol
        && !description.protocols.contains(&protocol)
    {
        let offered: Vec<_> = description.protocols.iter().map(|protocol| protocol.as_str()).collect();
        return Err(format!("does not export over {protocol}; it offers {}", offered.join(", ")));
    }
    if let Some(replica) = &wish.replica {
        replica.check(description)?;
    }
    if let BackendState::Starting { failed_attempts, failure, .. } = state {
        return Err(match failure {
            Some(failure) => {
                format!("is not set up ({failed_attempts} failures, the last one '{}')", failure.code)
            }
            None => "is being set up".to_owned(),
        });
    }
    Ok(())
}

/// Whether `backend` takes it that a share, `asked` as it shall become, grows by `growth_gib`: by room and filter function, as in Manila.
/// A backend that has not reported lately is believed: it refuses by itself.
pub(crate) fn may_grow(
    inner: &Inner,
    tables: &Tables,
    placement: &Placement,
    asked: &AskedShare,
    growth_gib: u64,
) -> Result<(), String> {
    let Some(backend) = inner.backends.get(&placement.backend) else { return Ok(()) };
    let Some(serving) = backend.serving() else { return Ok(()) };
    let look = Look { backend: &backend, tables, stale_after: inner.settings.statistics_stale_after };
    let Ok(statistics) = look.statistics() else { return Ok(()) };
    let is_meant = |pool: &&Pool| placement.pool.as_deref() == Some(pool.name.as_str());
    let Some(pool) = statistics.pools.iter().find(is_meant) else { return Ok(()) };
    let demand = look.demand(&serving, pool, (asked, growth_gib), Purpose::Extend);
    capacity::room(pool, &demand)?;
    let_through(&serving.functions, &seen(asked, &serving, (&statistics, pool), &demand))
}

/// What is promised of a pool now: as it reported and what was placed since, or the sum of the shares placed there.
#[expect(clippy::cast_precision_loss, reason = "sums of GiB far below 2^53")]
fn provisioned(pool: &Pool, tables: &Tables, backend: &Backend, placed_gib: u64) -> f64 {
    match pool.provisioned_gib {
        Some(reported) => reported + placed_gib as f64,
        None => tables
            .sizes_on(&backend.name)
            .filter(|(placement, _)| placement.pool.as_deref() == Some(pool.name.as_str()))
            .fold(0_u64, |sum, (_, size)| sum.saturating_add(size.get())) as f64,
    }
}

#[cfg(test)]
mod tests;
