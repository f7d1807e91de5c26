//! The pool of a share whose record has none: the driver is asked, when the share was taken over without one and whenever the backend's
//! shares are ensured. Manila's `get_pool`; contract 3.2, 4.1.
//!
//! Where the driver says nothing and its backend has one pool, that is it. A failure is logged and leaves the share without a pool: it works
//! as well, only its size is counted in none.

use crate::backend::Serving;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change};
use bulkhead_model::call::CallReason;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::ShareForDriver;

/// The pool that a share is in; none if nobody knows.
pub(crate) async fn of(
    inner: &Inner,
    serving: &Serving,
    reason: &CallReason,
    share: &ShareForDriver,
) -> Option<String> {
    let name = &serving.description.name;
    let known: Vec<String> = inner.backends.get(name).map_or_else(Vec::new, |backend| backend.pool_names());
    let told = match serving.driver.pool_of(reason, share).await {
        Ok(told) => told,
        Err(error) if error.is_not_implemented() => None,
        Err(error) => {
            tracing::warn!(backend.name = %name, share.id = %share.share, "the pool of a share is not known: {error}");
            None
        }
    };
    match (told, known.as_slice()) {
        (Some(told), known) if known.is_empty() || known.contains(&told) => Some(told),
        (Some(told), known) => {
            tracing::warn!(
                backend.name = %name, share.id = %share.share,
                "the driver finds the share in pool '{told}', which is none of those it reports: {}", known.join(", ")
            );
            None
        }
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

/// Ask for the pools of these shares, and record what is found. Those that have one are passed over.
pub(crate) async fn fill(
    inner: &Inner,
    serving: &Serving,
    reason: &CallReason,
    shares: &mut [ShareForDriver],
) {
    for share in shares.iter_mut().filter(|share| share.pool.is_none()) {
        let Some(pool) = of(inner, serving, reason, share).await else { continue };
        match record(inner, share.id, &pool).await {
            Ok(()) => share.pool = Some(pool),
            Err(error) => {
                tracing::error!(share.id = %share.share, "the pool of a share was not recorded: {error}")
            }
        }
    }
}

async fn record(inner: &Inner, id: ShareInstanceId, pool: &str) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(instance) = tables.instance(id).filter(|one| one.placement.pool.is_none()) else {
                return Ok(Proposal::Settled(()));
            };
            let (cause, mut change) = (Cause::host("pool"), Change::default());
            let words = format_args!("in pool '{pool}' of {}", instance.placement.backend);
            change.note(&cause, format_args!("share/{}", instance.share), words);
            change
                .edit_replica(tables, id, &cause, |instance| instance.placement.pool = Some(pool.to_owned()));
            Ok(Proposal::Commit(instance.placement.backend.clone(), change, ()))
        })
        .await
}
