//! The newest records of the ledger.

use crate::body;
use crate::error::ApiError;
use crate::request::Query;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::Manager;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many records are shown if nobody says.
const USUAL: usize = 100;
/// How many records are shown at most.
const MOST: usize = 1000;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v1/ledger", get(tail))
}

#[derive(Debug, Deserialize)]
struct TailQuery {
    backend: Option<String>,
    most: Option<usize>,
}

/// Oldest first.
async fn tail(
    State(manager): State<Manager>,
    Query(query): Query<TailQuery>,
) -> Result<Json<Value>, ApiError> {
    let backend = query.backend.as_deref().map(|name| body::id("backend", name)).transpose()?;
    let records = manager.audit_tail(backend.as_ref(), query.most.unwrap_or(USUAL).min(MOST)).await?;
    if let Some(backend) = backend
        && records.is_empty()
    {
        // A chain outlives its backend; a backend that is new has no chain yet; anything else is a slip of the pen.
        manager.show_backend(&backend)?;
    }
    Ok(Json(json!({ "records": records })))
}
