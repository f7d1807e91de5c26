//! Where clients find a share.

use super::view::{self, Detail};
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::Manager;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/shares/{share}/export_locations", get(list))
        .route("/v2/shares/{share}/export_locations/{location}", get(show))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share(&caller.scope_by_id(), body::id("share", &share)?)?;
    Ok(Json(json!({ "export_locations": view::export_locations(&caller, &found.instance, Detail::Summary) })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path((share, location)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share(&caller.scope_by_id(), body::id("share", &share)?)?;
    let stored = view::visible(&caller, &found.instance.export_locations)
        .find(|stored| stored.id.to_string() == location)
        .ok_or_else(|| ApiError::not_found("export location", &location))?;
    Ok(Json(
        json!({ "export_location": view::export_location(&caller, &found.instance, stored, Detail::Full) }),
    ))
}
