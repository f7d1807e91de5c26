//! The operator API under `/v1`: backends, their generations, drivers, operations, placement, the ledger, and the last resort for a share.
//!
//! Reached through the unix socket in the state directory only.

mod addresses;
mod backends;
mod ensuring;
mod generations;
mod ledger;
mod operations;
mod placements;
mod shares;

use axum::Router;
use bulkhead_manager::Manager;

pub(crate) fn routes(manager: Manager) -> Router {
    Router::new()
        .merge(addresses::routes())
        .merge(backends::routes())
        .merge(ensuring::routes())
        .merge(generations::routes())
        .merge(ledger::routes())
        .merge(operations::routes())
        .merge(placements::routes())
        .merge(shares::routes())
        .with_state(manager)
}
