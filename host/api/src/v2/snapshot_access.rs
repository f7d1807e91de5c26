//! Who may mount a snapshot, and where it is found. Only snapshots of shares whose type and driver let them be mounted have either.

use super::share_actions::{DenyBody, convert};
use super::view;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::Manager;
use bulkhead_model::access::AccessTo;
use bulkhead_model::export::StoredExportLocation;
use bulkhead_model::id::SnapshotId;
use bulkhead_model::snapshot::StoredSnapshotRule;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/snapshots/{snapshot}/export-locations", get(locations))
        .route("/v2/snapshots/{snapshot}/export-locations/{location}", get(location))
        .route("/v2/snapshots/{snapshot}/access-list", get(rules))
}

async fn locations(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_snapshot(&caller.scope_by_id(), body::id("snapshot", &snapshot)?)?;
    let shown: Vec<_> = view::visible(&caller, &found.instance.export_locations).map(summary).collect();
    Ok(Json(json!({ "share_snapshot_export_locations": shown })))
}

async fn location(
    State(manager): State<Manager>,
    caller: Caller,
    Path((snapshot, location)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_snapshot(&caller.scope_by_id(), body::id("snapshot", &snapshot)?)?;
    let stored = view::visible(&caller, &found.instance.export_locations)
        .find(|stored| stored.id.to_string() == location)
        .ok_or_else(|| ApiError::not_found("export location", &location))?;
    Ok(Json(json!({ "snapshot_export_location": summary(stored) })))
}

fn summary(stored: &StoredExportLocation) -> Value {
    json!({ "id": stored.id, "path": stored.location.path, "links": [] })
}

async fn rules(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_snapshot(&caller.scope_by_id(), body::id("snapshot", &snapshot)?)?;
    let shown: Vec<_> = found.instance.access_rules.iter().map(rule).collect();
    Ok(Json(json!({ "snapshot_access_list": shown })))
}

fn rule(stored: &StoredSnapshotRule) -> Value {
    json!({
        "id": stored.rule.id,
        "access_type": stored.rule.access_to.type_str(),
        "access_to": stored.rule.access_to.to_string(),
        "state": stored.state,
    })
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct AllowBody {
    access_type: String,
    access_to: String,
}

/// The action `allow_access` on a snapshot. There are no levels: it can only be read.
pub(super) async fn allow(
    manager: &Manager,
    caller: &Caller,
    snapshot: SnapshotId,
    arguments: Value,
) -> Result<Response, ApiError> {
    let asked: AllowBody = convert(arguments)?;
    let access_to = AccessTo::parse(&asked.access_type, &asked.access_to)
        .map_err(|invalid| ApiError::BadRequest(invalid.to_string()))?;
    let made = manager.allow_snapshot_access(&caller.context(), snapshot, access_to).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "snapshot_access": rule(&made) }))).into_response())
}

/// The action `deny_access` on a snapshot.
pub(super) async fn deny(
    manager: &Manager,
    caller: &Caller,
    snapshot: SnapshotId,
    arguments: Value,
) -> Result<(), ApiError> {
    let asked: DenyBody = convert(arguments)?;
    let rule = body::id("access rule", &asked.access_id)?;
    Ok(manager.deny_snapshot_access(&caller.context(), snapshot, rule).await?)
}
