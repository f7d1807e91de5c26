//! What only operators ask of a share: how to mount it from outside, and, as the last resort, to forget it and leave its data.

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
        .route("/v1/shares/{share}/connection", get(connection))
        .route("/v1/shares/{share}/forget", post(forget))
}

async fn connection(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.share_connection(&caller.context(), body::id("share", &share)?).await?;
    Ok(Json(json!({ "connection": found })))
}

async fn forget(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.forget_share(&caller.context(), body::id("share", &share)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
