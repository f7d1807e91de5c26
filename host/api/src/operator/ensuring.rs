//! Bringing a backend's shares in line with the records when an operator says so, what they use, and what their driver tells of them.
//!
//! It is answered with 202 as soon as it has begun, and goes on if the caller hangs up; `ensurings/{request}` tells how it stands.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::Manager;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v1/backends/{backend}/ensure", post(ensure))
        .route("/v1/backends/{backend}/ensurings/{request}", get(show))
        .route("/v1/backends/{backend}/usage", get(usage))
        .route("/v1/backends/{backend}/hook-data", get(hook_data))
}

async fn ensure(
    State(manager): State<Manager>,
    caller: Caller,
    Path(backend): Path<String>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let begun = manager.ensure_backend(&caller.context(), &body::id("backend", &backend)?).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "ensuring": begun }))))
}

async fn show(
    State(manager): State<Manager>,
    Path((backend, request)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_ensuring(&body::id("backend", &backend)?, &request)?;
    Ok(Json(json!({ "ensuring": found })))
}

/// The last figures; empty where usage is not gathered.
async fn usage(State(manager): State<Manager>, Path(backend): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "usage": manager.share_usage(&body::id("backend", &backend)?)? })))
}

/// What the driver told in the last round; empty where hooks are off.
async fn hook_data(
    State(manager): State<Manager>,
    Path(backend): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "hook_data": manager.hook_data(&body::id("backend", &backend)?)? })))
}
