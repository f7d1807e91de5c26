//! Where a new share goes: the first backend with room, in the order of their names. Every backend passed over has a reason.

pub(crate) mod capacity;

use crate::backend::Backend;
use crate::records::Tables;
use crate::share_type::Needs;
use crate::view::{BackendDescription, BackendState, LoadedDriver};
use bulkhead_model::id::BackendName;
use bulkhead_model::share::{Placement, Protocol};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::statistics::Pool;
use capacity::{Demand, Purpose};
use std::time::Duration;

/// What is to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) size: Gibibytes,
    pub(crate) protocol: Protocol,
    /// Where the snapshot's share lives, for a share made from one: no backend reads another's snapshots.
    pub(crate) beside: Option<Placement>,
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

/// Find a pool of `backend` for `wish`, or say why there is none.
pub(crate) fn place(
    backend: &Backend,
    tables: &Tables,
    stale_after: Duration,
    wish: &Wish,
) -> Result<Placement, String> {
    if let Some(beside) = &wish.beside
        && beside.backend != backend.name
    {
        return Err("the snapshot is on another backend".to_owned());
    }
    let LoadedDriver { description, abilities } = fit(backend, wish)?;
    let purpose = if wish.beside.is_some() { Purpose::FromSnapshot } else { Purpose::New };
    backend.with_reported(|reported| {
        let statistics = match &reported.statistics {
            Some(statistics) if !reported.is_stale(stale_after) => statistics,
            Some(_) => return Err("its statistics are out of date".to_owned()),
            None => return Err("it has not reported its capacity yet".to_owned()),
        };
        wish.needs.check(&abilities, statistics)?;
        let mut reasons = Vec::new();
        for pool in &statistics.pools {
            if let Some(Placement { pool: Some(beside), .. }) = &wish.beside
                && *beside != pool.name
            {
                continue;
            }
            if let Err(reason) = wish.needs.check_pool(pool, statistics) {
                reasons.push(format!("pool {}: {reason}", pool.name));
                continue;
            }
            let placed_gib = reported.placed_gib.get(&pool.name).copied().unwrap_or(0);
            let demand = Demand {
                gib: wish.size.get(),
                purpose,
                placed_gib,
                provisioned_gib: provisioned(pool, tables, backend, placed_gib),
                max_over_subscription_ratio: description.max_over_subscription_ratio,
            };
            match capacity::check(pool, &demand) {
                Ok(()) => {
                    return Ok(Placement { backend: backend.name.clone(), pool: Some(pool.name.clone()) });
                }
                Err(reason) => reasons.push(format!("pool {}: {reason}", pool.name)),
            }
        }
        Err(if reasons.is_empty() { "it reports no fitting pool".to_owned() } else { reasons.join(", ") })
    })
}

/// The driver of `backend`, if it is set up and of the kind that is wished for; else why not.
fn fit(backend: &Backend, wish: &Wish) -> Result<LoadedDriver, String> {
    let state = backend.state();
    if matches!(state, BackendState::Unusable { .. }) {
        return Err(format!("cannot be loaded; see 'bulkhead backend show {}'", backend.name));
    }
    let Some(loaded) = backend.loaded() else {
        return Err("is being loaded".to_owned());
    };
    let description = &loaded.description;
    if !description.protocols.contains(&wish.protocol) {
        let offered: Vec<_> = description.protocols.iter().map(|protocol| protocol.as_str()).collect();
        return Err(format!("does not export over {}; it offers {}", wish.protocol, offered.join(", ")));
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
    Ok(loaded)
}

/// Whether `backend` has room for a share to grow by `growth`. A backend that has not reported lately is believed: it refuses by itself.
pub(crate) fn has_room_to_grow(
    backend: &Backend,
    tables: &Tables,
    stale_after: Duration,
    pool: Option<&str>,
    growth_gib: u64,
) -> Result<(), String> {
    let Some(description) = backend.loaded().map(|loaded| loaded.description) else { return Ok(()) };
    backend.with_reported(|reported| {
        let Some(statistics) = reported.statistics.as_ref().filter(|_| !reported.is_stale(stale_after))
        else {
            return Ok(());
        };
        let Some(pool) = statistics.pools.iter().find(|one| pool == Some(one.name.as_str())) else {
            return Ok(());
        };
        let placed_gib = reported.placed_gib.get(&pool.name).copied().unwrap_or(0);
        let demand = Demand {
            gib: growth_gib,
            purpose: Purpose::Extend,
            placed_gib,
            provisioned_gib: provisioned(pool, tables, backend, placed_gib),
            max_over_subscription_ratio: description.max_over_subscription_ratio,
        };
        capacity::check(pool, &demand)
    })
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
