//! Where a share would go, and why not elsewhere, without making one.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Query};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewShare};
use bulkhead_model::id::InvalidId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v1/placement", get(show))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacementQuery {
    protocol: String,
    size: String,
    share_type: Option<String>,
    snapshot: Option<String>,
    group: Option<String>,
    share_network: Option<String>,
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<PlacementQuery>,
) -> Result<Json<Value>, ApiError> {
    let new = NewShare {
        size: body::size("size", Some(&Value::String(query.size)))?,
        protocol: query
            .protocol
            .parse()
            .map_err(|error: InvalidId| ApiError::BadRequest(error.to_string()))?,
        display_name: None,
        display_description: None,
        metadata: BTreeMap::new(),
        share_type: query.share_type,
        source_snapshot: query.snapshot.map(|id| body::id("snapshot", &id)).transpose()?,
        group: query.group.map(|id| body::id("share group", &id)).transpose()?,
        share_network: query.share_network.map(|id| body::id("share network", &id)).transpose()?,
        is_public: false,
    };
    Ok(Json(json!({ "placement": manager.explain_placement(&caller.context(), &new)? })))
}
