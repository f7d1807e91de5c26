//! Access rules by themselves (2.45 and newer); allowing and denying are actions of a share.

use super::pages::ListQuery;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use bulkhead_manager::{Manager, StoredAccessRule};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-access-rules", get(list))
        .route("/v2/share-access-rules/{rule}", get(show))
        .route("/v2/share-access-rules/{rule}/metadata", put(set_metadata))
        .route("/v2/share-access-rules/{rule}/metadata/{key}", delete(remove_metadata))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let share =
        query.share_id.as_deref().ok_or_else(|| ApiError::BadRequest("share_id is missing".to_owned()))?;
    let rules = manager.list_access_rules(&caller.scope_by_id(), body::id("share", share)?)?;
    let rules: Vec<_> = rules.iter().map(|rule| summary(&caller, rule)).collect();
    Ok(Json(json!({ "access_list": rules })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(rule): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let rule = manager.show_access_rule(&caller.scope_by_id(), body::id("access rule", &rule)?)?;
    Ok(Json(json!({ "access": full(&caller, &rule) })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct MetadataBody {
    metadata: BTreeMap<String, Value>,
}

async fn set_metadata(
    State(manager): State<Manager>,
    caller: Caller,
    Path(rule): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = body::id("access rule", &rule)?;
    let mut metadata = manager.show_access_rule(&caller.scope_by_id(), id)?.metadata;
    metadata.extend(body::metadata(Some(body::parse::<MetadataBody>(&bytes?)?.metadata))?);
    let rule = manager.update_access_metadata(&caller.context(), id, metadata).await?;
    Ok(Json(json!({ "metadata": rule.metadata })))
}

async fn remove_metadata(
    State(manager): State<Manager>,
    caller: Caller,
    Path((rule, key)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let id = body::id("access rule", &rule)?;
    let mut metadata = manager.show_access_rule(&caller.scope_by_id(), id)?.metadata;
    metadata.remove(&key).ok_or_else(|| ApiError::not_found("metadata key", &key))?;
    manager.update_access_metadata(&caller.context(), id, metadata).await?;
    Ok(StatusCode::OK)
}

/// A rule in a list.
pub(super) fn summary(caller: &Caller, rule: &StoredAccessRule) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("id", json!(rule.rule.id));
    add("access_type", json!(rule.rule.access_to.type_str()));
    add("access_to", json!(rule.rule.access_to.to_string()));
    add("access_level", json!(rule.rule.level.as_str()));
    add("state", json!(rule.state));
    if caller.version.at_least(21) {
        add("access_key", json!(caller.access_keys.read(&caller.actor.project, rule)));
    }
    if caller.version.at_least(33) {
        add("created_at", json!(rule.created_at.openstack()));
        add("updated_at", json!(rule.updated_at.openstack()));
    }
    if caller.version.at_least(45) {
        add("metadata", json!(rule.metadata));
    }
    Value::Object(fields)
}

/// A rule by itself.
pub(super) fn full(caller: &Caller, rule: &StoredAccessRule) -> Value {
    let mut view = summary(caller, rule);
    if let Value::Object(fields) = &mut view {
        fields.insert("share_id".to_owned(), json!(rule.share));
    }
    view
}
