//! Share groups. Below microversion 2.55 they are an experiment, which a client has to say it knows, as in Manila.

use super::experiment::Experiment;
use super::pages::ListQuery;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::view::{host_string, into_map, links};
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{Force, Manager, NewShareGroup, ShareGroupView, Update};
use bulkhead_model::id::ShareGroupId;
use bulkhead_model::scope::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// From 2.31 on, and settled with 2.55.
const GROUPS: Experiment = Experiment { what: "share groups", first: 31, settled: Some(55) };
/// The first microversion that shows in which unit snapshots are consistent.
const CONSISTENCY: u16 = 34;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-groups", get(list).post(create))
        .route("/v2/share-groups/detail", get(list_detail))
        .route("/v2/share-groups/{group}", get(show).put(update).delete(delete))
        .route("/v2/share-groups/{group}/action", post(act))
}

/// A caller whose microversion has share groups.
pub(super) struct GroupCaller(pub(super) Caller);

impl<S: Sync> FromRequestParts<S> for GroupCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        GROUPS.admit(parts, state).await.map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share_group: CreateBody,
}

/// What the stock client sends. Fields that nobody knows are refused, as Manila does.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct CreateBody {
    name: Option<String>,
    description: Option<String>,
    share_types: Option<Vec<String>>,
    share_group_type_id: Option<String>,
    source_share_group_snapshot_id: Option<String>,
    share_network_id: Option<String>,
    availability_zone: Option<String>,
}

impl CreateBody {
    fn check(self) -> Result<NewShareGroup, ApiError> {
        super::shares::check_zone(self.availability_zone.as_deref())?;
        let network = self.share_network_id.filter(|id| !id.is_empty());
        let source = self.source_share_group_snapshot_id.filter(|id| !id.is_empty());
        Ok(NewShareGroup {
            display_name: body::display_text(self.name),
            display_description: body::display_text(self.description),
            share_types: self.share_types.unwrap_or_default(),
            group_type: self.share_group_type_id.filter(|name| !name.is_empty()),
            source_snapshot: source.map(|id| body::id("share group snapshot", &id)).transpose()?,
            share_network: network.map(|id| body::id("share network", &id)).transpose()?,
        })
    }
}

async fn create(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let new = body::parse::<CreateEnvelope>(&bytes?)?.share_group.check()?;
    let made = manager
        .create_share_group(&caller.context(), new)
        .await
        .map_err(|error| super::shares::without_backends(&manager, &caller, error))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_group": full(&caller, &made) }))))
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
    listed(&manager, &caller, &query, |found| full(&caller, found))
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    query: &ListQuery,
    show: impl Fn(&ShareGroupView) -> Value,
) -> Result<Json<Value>, ApiError> {
    let mut found = manager.list_share_groups(&caller.scope(query.reach()));
    let filters = query.filters()?;
    found.retain(|found| filters.admit(|| full(caller, found)));
    found.sort_by_key(|found| Reverse((found.group.created_at, found.group.id)));
    let groups: Vec<_> = query.page(found)?.iter().map(show).collect();
    Ok(Json(json!({ "share_groups": groups })))
}

async fn show(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(group): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group(&caller.scope_by_id(), id(&group)?)?;
    Ok(Json(json!({ "share_group": full(&caller, &found) })))
}

fn id(group: &str) -> Result<ShareGroupId, ApiError> {
    body::id("share group", group)
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    share_group: UpdateBody,
}

/// What may be changed of a group or a snapshot of one.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
pub(super) struct UpdateBody {
    #[serde(default, deserialize_with = "body::given")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    description: Option<Option<String>>,
}

impl UpdateBody {
    pub(super) fn update(self) -> Update {
        Update {
            display_name: self.name.map(body::display_text),
            display_description: self.description.map(body::display_text),
            ..Update::default()
        }
    }
}

async fn update(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(group): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = id(&group)?;
    let update = body::parse::<UpdateEnvelope>(&bytes?)?.share_group.update();
    let changed = manager.update_share_group(&caller.context(), id, update).await?;
    Ok(Json(json!({ "share_group": full(&caller, &changed) })))
}

async fn delete(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(group): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_group(&caller.context(), id(&group)?, Force::No).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn act(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(group): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let id = id(&group)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    match verb.as_str() {
        "force_delete" => manager.delete_share_group(&context, id, Force::Yes).await?,
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "available"))?;
            manager.reset_share_group_status(&context, id, status).await.map(drop)?;
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!("there is no action '{shown}' on a share group here")));
        }
    }
    Ok(StatusCode::ACCEPTED)
}

fn summary(found: &ShareGroupView) -> Value {
    let group = &found.group;
    json!({ "id": group.id, "name": group.display_name, "links": links("share-groups", &group.id.to_string()) })
}

/// A share group, in full. Its host and server are for operators, like those of shares.
fn full(caller: &Caller, found: &ShareGroupView) -> Value {
    let group = &found.group;
    let mut fields = into_map(json!({
        "id": group.id,
        "name": group.display_name,
        "created_at": group.created_at.openstack(),
        "status": group.status,
        "description": group.display_description,
        "project_id": group.project,
        "share_group_type_id": group.group_type,
        "source_share_group_snapshot_id": group.source_snapshot,
        "share_network_id": group.share_network,
        "share_types": group.share_types,
        "links": links("share-groups", &group.id.to_string()),
    }));
    if caller.version.at_least(CONSISTENCY) {
        fields.insert("availability_zone".to_owned(), Value::Null);
        fields.insert("consistent_snapshot_support".to_owned(), json!(group.consistency));
    }
    if caller.actor.role != Role::Tenant {
        fields.insert("host".to_owned(), json!(host_string(&group.placement)));
        fields.insert("share_server_id".to_owned(), json!(group.share_server));
    }
    Value::Object(fields)
}
