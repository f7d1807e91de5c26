//! What tenants and operators ask of the service as a whole: pools, services, limits, availability zones.

use super::capabilities;
use super::view::HOST;
use crate::error::ApiError;
use crate::request::{Caller, Reach};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{BackendState, BackendView, Manager};
use bulkhead_model::scope::Role;
use bulkhead_model::statistics::Pool;
use bulkhead_model::time::Timestamp;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/scheduler-stats/pools", get(pools))
        .route("/v2/scheduler-stats/pools/detail", get(pools_detail))
        .route("/v2/services", get(services))
        .route("/v2/limits", get(limits))
        .route("/v2/availability-zones", get(async || Json(json!({ "availability_zones": [] }))))
}

async fn pools(State(manager): State<Manager>, caller: Caller) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    Ok(Json(json!({ "pools": every_pool(&manager, |_, _| None) })))
}

async fn pools_detail(State(manager): State<Manager>, caller: Caller) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    Ok(Json(json!({ "pools": every_pool(&manager, |backend, pool| Some(capabilities::of(backend, pool))) })))
}

fn every_pool(manager: &Manager, detail: impl Fn(&BackendView, &Pool) -> Option<Value>) -> Vec<Value> {
    let mut shown = Vec::new();
    for backend in manager.list_backends() {
        let Some(statistics) = &backend.statistics else { continue };
        for pool in &statistics.pools {
            let name = &backend.name;
            let mut view = json!({
                "name": format!("{HOST}@{name}#{}", pool.name),
                "host": HOST,
                "backend": name,
                "pool": pool.name,
            });
            if let (Some(capabilities), Value::Object(fields)) = (detail(&backend, pool), &mut view) {
                fields.insert("capabilities".to_owned(), capabilities);
            }
            shown.push(view);
        }
    }
    shown
}

async fn services(State(manager): State<Manager>, caller: Caller) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    let services: Vec<_> = manager
        .list_backends()
        .into_iter()
        .zip(1..)
        .map(|(backend, id): (_, u32)| {
            let up = backend.state == BackendState::Ready;
            json!({
                "id": id,
                "binary": "manila-share",
                "host": format!("{HOST}@{}", backend.name),
                "zone": Value::Null,
                "status": "enabled",
                "state": if up { "up" } else { "down" },
                "updated_at": backend.statistics_at.map(Timestamp::openstack),
            })
        })
        .collect();
    Ok(Json(json!({ "services": services })))
}

/// There are no quotas yet: everything is unlimited (-1), and what is used is counted.
async fn limits(State(manager): State<Manager>, caller: Caller) -> Json<Value> {
    let scope = caller.scope(Reach::OwnProject);
    let shares = manager.list_shares(&scope);
    let snapshots = manager.list_snapshots(&scope, None);
    let gigabytes: u64 = shares.iter().map(|found| found.share.size.get()).sum();
    let snapshot_gigabytes: u64 = snapshots.iter().map(|found| found.snapshot.size.get()).sum();
    Json(json!({ "limits": { "rate": [], "absolute": {
        "maxTotalShares": -1,
        "maxTotalShareGigabytes": -1,
        "maxTotalShareSnapshots": -1,
        "maxTotalSnapshotGigabytes": -1,
        "maxTotalShareNetworks": 0,
        "totalSharesUsed": shares.len(),
        "totalShareGigabytesUsed": gigabytes,
        "totalShareSnapshotsUsed": snapshots.len(),
        "totalSnapshotGigabytesUsed": snapshot_gigabytes,
        "totalShareNetworksUsed": 0,
    } } }))
}

pub(super) fn operators_only(caller: &Caller) -> Result<(), ApiError> {
    if caller.actor.role == Role::Tenant {
        return Err(ApiError::Forbidden(
            "this is for operators; use the socket in the state directory or an operator's token".to_owned(),
        ));
    }
    Ok(())
}
