//! Operations: what runs, waits and ended, and an operator's word on it.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::Manager;
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many are listed if nobody says.
const USUAL: usize = 100;
/// How many are listed at most.
const MOST: usize = 10_000;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v1/operations", get(list))
        .route("/v1/operations/{operation}", get(show))
        .route("/v1/operations/{operation}/retry", post(retry))
        .route("/v1/operations/{operation}/abandon", post(abandon))
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    most: Option<usize>,
    unfinished: Option<bool>,
}

/// As it is stored; one about a group or a share server names that and no share.
fn shown(operation: &Operation) -> Value {
    let mut shown = json!(operation);
    if (operation.verb.group().is_some() || operation.verb.server().is_some())
        && let Value::Object(fields) = &mut shown
    {
        fields.remove("share");
    }
    shown
}

async fn list(State(manager): State<Manager>, Query(query): Query<ListQuery>) -> Json<Value> {
    let most = query.most.unwrap_or(USUAL).min(MOST);
    let mut operations = manager.list_operations(&Scope::Everything, MOST);
    if query.unfinished == Some(true) {
        operations.retain(|operation| !operation.state.is_final());
    }
    operations.truncate(most);
    let operations: Vec<_> = operations.iter().map(|operation| shown(operation)).collect();
    Json(json!({ "operations": operations }))
}

async fn show(
    State(manager): State<Manager>,
    Path(operation): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_operation(&Scope::Everything, body::id("operation", &operation)?)?;
    Ok(Json(json!({ "operation": shown(&found) })))
}

async fn retry(
    State(manager): State<Manager>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let changed = manager.retry_operation(&caller.context(), body::id("operation", &operation)?).await?;
    Ok(Json(json!({ "operation": shown(&changed) })))
}

async fn abandon(
    State(manager): State<Manager>,
    caller: Caller,
    Path(operation): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let changed = manager.abandon_operation(&caller.context(), body::id("operation", &operation)?).await?;
    Ok(Json(json!({ "operation": shown(&changed) })))
}
