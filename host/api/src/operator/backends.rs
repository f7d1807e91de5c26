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
        let Some(loaded) = backend.loaded else { continue };
        let description = &loaded.description;
        let entry = found.entry(description.digest.to_string()).or_insert_with(|| {
            json!({
                "digest": description.digest,
                "name": description.driver,
                "vendor": description.vendor,
                "version": description.driver_version,
                "abilities": loaded.abilities,
                "backends": [],
            })
        });
        if let Some(Value::Array(backends)) = entry.get_mut("backends") {
            backends.push(json!(backend.name));
        }
    }
    Json(json!({ "drivers": found.into_values().collect::<Vec<_>>() }))
}

/// What is not known before the driver is loaded is null.
fn view(backend: &BackendView) -> Value {
    let description = backend.loaded.as_ref().map(|loaded| &loaded.description);
    json!({
        "name": backend.name,
        "driver": description.map(|known| &known.driver),
        "driver_version": description.map(|known| &known.driver_version),
        "vendor": description.map(|known| &known.vendor),
        "place": description.map(|known| &known.place),
        "digest": description.map(|known| known.digest),
        "generation": description.map(|known| known.generation),
        "protocols": description.map(|known| &known.protocols),
        "limits": description.map(|known| &known.limits),
        "status": backend.state,
        "abilities": backend.loaded.as_ref().map(|loaded| &loaded.abilities),
        "statistics": backend.statistics.as_deref(),
        "statistics_at": backend.statistics_at,
        "statistics_stale": backend.statistics_stale,
        "statistics_failure": backend.statistics_failure,
        "shares": backend.shares,
        "provisioned_gib": backend.provisioned_gib,
        "unfinished_operations": backend.unfinished_operations,
        "last_ensured": backend.last_ensured,
        "last_change": backend.last_change,
    })
}
