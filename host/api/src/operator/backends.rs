//! Backends and the drivers they run.

use crate::error::ApiError;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{BackendView, Manager};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v1/backends", get(list))
        .route("/v1/backends/{backend}", get(show))
        .route("/v1/drivers", get(drivers))
}

async fn list(State(manager): State<Manager>) -> Json<Value> {
    Json(json!({ "backends": manager.list_backends().iter().map(view).collect::<Vec<_>>() }))
}

async fn show(State(manager): State<Manager>, Path(backend): Path<String>) -> Result<Json<Value>, ApiError> {
    let name = crate::body::id("backend", &backend)?;
    Ok(Json(json!({ "backend": view(&manager.show_backend(&name)?) })))
}

/// The packages in use, each with the backends that run it.
async fn drivers(State(manager): State<Manager>) -> Json<Value> {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for backend in manager.list_backends() {
        let description = &backend.description;
        let entry = found.entry(description.digest.to_string()).or_insert_with(|| {
            json!({
                "digest": description.digest,
                "name": description.driver,
                "vendor": description.vendor,
                "version": description.driver_version,
                "abilities": backend.abilities,
                "backends": [],
            })
        });
        if let Some(Value::Array(backends)) = entry.get_mut("backends") {
            backends.push(json!(description.name));
        }
    }
    Json(json!({ "drivers": found.into_values().collect::<Vec<_>>() }))
}

fn view(backend: &BackendView) -> Value {
    let description = &backend.description;
    json!({
        "name": description.name,
        "driver": description.driver,
        "driver_version": description.driver_version,
        "vendor": description.vendor,
        "digest": description.digest,
        "generation": description.generation,
        "protocols": description.protocols,
        "limits": description.limits,
        "status": backend.state,
        "abilities": backend.abilities,
        "statistics": backend.statistics.as_deref(),
        "statistics_at": backend.statistics_at,
        "statistics_stale": backend.statistics_stale,
        "statistics_failure": backend.statistics_failure,
        "shares": backend.shares,
        "provisioned_gib": backend.provisioned_gib,
        "unfinished_operations": backend.unfinished_operations,
    })
}
