//! The last resort for a share: forget it, leaving its data at the backend.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use bulkhead_manager::Manager;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v1/shares/{share}/forget", post(forget))
}

async fn forget(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.forget_share(&caller.context(), body::id("share", &share)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
