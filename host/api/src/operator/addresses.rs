//! The addresses that a backend's share servers take: how full its networks are, what has which, and giving one back by hand.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use bulkhead_manager::{GiveBack, Manager};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v1/backends/{backend}/addresses", get(list))
        .route("/v1/backends/{backend}/addresses/{address}", delete(give_back))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    after: Option<String>,
}

/// Networks and addresses; where `more` is true, the rest comes with `after`.
async fn list(
    State(manager): State<Manager>,
    Path(backend): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let backend = body::id("backend", &backend)?;
    let after = query.after.map(|after| body::id("address", &after)).transpose()?;
    Ok(Json(json!(manager.backend_addresses(&backend, after).await?)))
}

#[derive(Debug, Deserialize)]
struct GiveBackQuery {
    in_use: Option<bool>,
}

/// `?in_use=true` is the operator's word that nothing answers at the address any more, although a driver counts on it.
async fn give_back(
    State(manager): State<Manager>,
    caller: Caller,
    Path((backend, address)): Path<(String, String)>,
    Query(query): Query<GiveBackQuery>,
) -> Result<StatusCode, ApiError> {
    let (backend, address) = (body::id("backend", &backend)?, body::id("address", &address)?);
    let what = if query.in_use == Some(true) { GiveBack::InUse } else { GiveBack::Unmanaged };
    manager.give_address_back(&caller.context(), &backend, address, what).await?;
    Ok(StatusCode::NO_CONTENT)
}
