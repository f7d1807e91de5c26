//! Snapshots: create, list, show, change, delete.

use super::pages::ListQuery;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::{snapshot_access, view};
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{Force, Manager, NewSnapshot, SnapshotView, Update};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/snapshots", get(list).post(create))
        .route("/v2/snapshots/detail", get(list_detail))
        .route("/v2/snapshots/{snapshot}", get(show).put(update).delete(delete))
        .route("/v2/snapshots/{snapshot}/action", post(act))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    snapshot: CreateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateBody {
    share_id: String,
    #[serde(alias = "display_name")]
    name: Option<String>,
    #[serde(alias = "display_description")]
    description: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.snapshot;
    let new = NewSnapshot {
        share: body::id("share", &asked.share_id)?,
        display_name: body::display_text(asked.name),
        display_description: body::display_text(asked.description),
        metadata: body::metadata(asked.metadata)?,
    };
    let made = manager.create_snapshot(&caller.context(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "snapshot": full(&caller, &made) }))))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |found| view::snapshot_summary(&found.snapshot))
}

async fn list_detail(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |found| full(&caller, found))
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    query: &ListQuery,
    show: impl Fn(&SnapshotView) -> Value,
) -> Result<Json<Value>, ApiError> {
    let share = query.share_id.as_deref().map(|id| body::id("share", id)).transpose()?;
    let mut found = manager.list_snapshots(&caller.scope(query.reach()), share);
    let filters = query.filters()?;
    found.retain(|found| filters.admit(|| full(caller, found)));
    found.sort_by_key(|found| Reverse((found.snapshot.created_at, found.snapshot.id)));
    let count = found.len();
    let snapshots: Vec<_> = query.page(found)?.iter().map(show).collect();
    let mut answer = json!({ "snapshots": snapshots });
    if query.wants_count()
        && let Value::Object(fields) = &mut answer
    {
        fields.insert("count".to_owned(), json!(count));
    }
    Ok(Json(answer))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_snapshot(&caller.scope_by_id(), body::id("snapshot", &snapshot)?)?;
    Ok(Json(json!({ "snapshot": full(&caller, &found) })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    snapshot: UpdateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateBody {
    #[serde(default, alias = "name", deserialize_with = "body::given")]
    display_name: Option<Option<String>>,
    #[serde(default, alias = "description", deserialize_with = "body::given")]
    display_description: Option<Option<String>>,
}

async fn update(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = body::id("snapshot", &snapshot)?;
    let asked = body::parse::<UpdateEnvelope>(&bytes?)?.snapshot;
    let update = Update {
        display_name: asked.display_name.map(body::display_text),
        display_description: asked.display_description.map(body::display_text),
        ..Update::default()
    };
    let changed = manager.update_snapshot(&caller.context(), id, update).await?;
    Ok(Json(json!({ "snapshot": full(&caller, &changed) })))
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_snapshot(&caller.context(), body::id("snapshot", &snapshot)?, Force::No).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn act(
    State(manager): State<Manager>,
    caller: Caller,
    Path(snapshot): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let id = body::id("snapshot", &snapshot)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    match verb.strip_prefix("os-").unwrap_or(&verb) {
        "allow_access" => return snapshot_access::allow(&manager, &caller, id, arguments).await,
        "deny_access" => snapshot_access::deny(&manager, &caller, id, arguments).await?,
        "unmanage" => manager.unmanage_snapshot(&caller.context(), id).await?,
        "force_delete" => manager.delete_snapshot(&caller.context(), id, Force::Yes).await?,
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "available"))?;
            manager.reset_snapshot_status(&caller.context(), id, status).await.map(drop)?;
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!("there is no action '{shown}' on a snapshot here")));
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

fn full(caller: &Caller, found: &SnapshotView) -> Value {
    view::snapshot(caller, &found.snapshot, &found.instance)
}
