//! Snapshots of share groups, with their members.

use super::pages::ListQuery;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::share_groups::{GroupCaller, UpdateBody};
use super::view::links;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{Force, Manager, NewShareGroupSnapshot, ShareGroupSnapshotView};
use bulkhead_model::id::ShareGroupSnapshotId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-group-snapshots", get(list).post(create))
        .route("/v2/share-group-snapshots/detail", get(list_detail))
        .route("/v2/share-group-snapshots/{snapshot}", get(show).put(update).delete(delete))
        .route("/v2/share-group-snapshots/{snapshot}/members", get(members))
        .route("/v2/share-group-snapshots/{snapshot}/action", post(act))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share_group_snapshot: CreateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateBody {
    share_group_id: Option<String>,
    name: Option<String>,
    description: Option<String>,
}

async fn create(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.share_group_snapshot;
    let group =
        asked.share_group_id.ok_or_else(|| ApiError::BadRequest("share_group_id is missing".to_owned()))?;
    let new = NewShareGroupSnapshot {
        group: body::id("share group", &group)?,
        display_name: body::display_text(asked.name),
        display_description: body::display_text(asked.description),
    };
    let made = manager.create_share_group_snapshot(&caller.context(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_group_snapshot": full(&made) }))))
}

async fn list(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, summary)
}

async fn list_detail(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, full)
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    query: &ListQuery,
    show: impl Fn(&ShareGroupSnapshotView) -> Value,
) -> Result<Json<Value>, ApiError> {
    let mut found = manager.list_share_group_snapshots(&caller.scope(query.reach()));
    let filters = query.filters()?;
    found.retain(|found| filters.admit(|| full(found)));
    found.sort_by_key(|found| Reverse((found.snapshot.created_at, found.snapshot.id)));
    let snapshots: Vec<_> = query.page(found)?.iter().map(show).collect();
    Ok(Json(json!({ "share_group_snapshots": snapshots })))
}

fn find(manager: &Manager, caller: &Caller, snapshot: &str) -> Result<ShareGroupSnapshotView, ApiError> {
    Ok(manager.show_share_group_snapshot(&caller.scope_by_id(), id(snapshot)?)?)
}

fn id(snapshot: &str) -> Result<ShareGroupSnapshotId, ApiError> {
    body::id("share group snapshot", snapshot)
}

async fn show(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(snapshot): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "share_group_snapshot": full(&find(&manager, &caller, &snapshot)?) })))
}

async fn members(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(snapshot): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = find(&manager, &caller, &snapshot)?.snapshot;
    let members = found.members.iter().map(|member| {
        json!({
            "id": member.id,
            "created_at": found.created_at.openstack(),
            "size": member.size.get(),
            "share_protocol": member.protocol,
            "project_id": found.project,
            "share_group_snapshot_id": found.id,
            "share_id": member.share,
        })
    });
    Ok(Json(json!({ "share_group_snapshot_members": members.collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    share_group_snapshot: UpdateBody,
}

async fn update(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(snapshot): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = id(&snapshot)?;
    let update = body::parse::<UpdateEnvelope>(&bytes?)?.share_group_snapshot.update();
    let changed = manager.update_share_group_snapshot(&caller.context(), id, update).await?;
    Ok(Json(json!({ "share_group_snapshot": full(&changed) })))
}

async fn delete(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(snapshot): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_group_snapshot(&caller.context(), id(&snapshot)?, Force::No).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn act(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(snapshot): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let id = id(&snapshot)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    match verb.as_str() {
        "force_delete" => manager.delete_share_group_snapshot(&context, id, Force::Yes).await?,
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "available"))?;
            manager.reset_share_group_snapshot_status(&context, id, status).await.map(drop)?;
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!(
                "there is no action '{shown}' on a share group snapshot here"
            )));
        }
    }
    Ok(StatusCode::ACCEPTED)
}

fn summary(found: &ShareGroupSnapshotView) -> Value {
    let snapshot = &found.snapshot;
    json!({
        "id": snapshot.id,
        "name": snapshot.display_name,
        "links": links("share-group-snapshots", &snapshot.id.to_string()),
    })
}

fn full(found: &ShareGroupSnapshotView) -> Value {
    let snapshot = &found.snapshot;
    let members = snapshot
        .members
        .iter()
        .map(|member| json!({ "id": member.id, "size": member.size.get(), "share_id": member.share }));
    json!({
        "id": snapshot.id,
        "name": snapshot.display_name,
        "created_at": snapshot.created_at.openstack(),
        "status": snapshot.status,
        "description": snapshot.display_description,
        "project_id": snapshot.project,
        "share_group_id": snapshot.group,
        "members": members.collect::<Vec<_>>(),
        "links": links("share-group-snapshots", &snapshot.id.to_string()),
    })
}
