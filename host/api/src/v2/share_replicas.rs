//! Replicas of shares. Below microversion 2.56 they are an experiment, which a client has to say it knows, as in Manila.

use super::experiment::Experiment;
use super::pages::ListQuery;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::view::{self, Detail, host_string};
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
use bulkhead_manager::{Force, Manager, NewReplica, ShareReplicaView};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::scope::Role;
use bulkhead_model::status::{ReplicaState, ReplicationType};
use serde::Deserialize;
use serde_json::{Value, json};

/// From 2.11 on, and settled with 2.56.
const REPLICAS: Experiment = Experiment { what: "replicas", first: 11, settled: Some(56) };
/// The first that shows where clients find a replica.
const EXPORT_LOCATIONS: u16 = 47;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-replicas", get(list).post(create))
        .route("/v2/share-replicas/detail", get(list_detail))
        .route("/v2/share-replicas/{replica}", get(show).delete(delete))
        .route("/v2/share-replicas/{replica}/action", post(act))
        .route("/v2/share-replicas/{replica}/export-locations", get(export_locations))
        .route("/v2/share-replicas/{replica}/export-locations/{location}", get(export_location))
}

/// A caller whose microversion has replicas.
struct ReplicaCaller(Caller);

impl<S: Sync> FromRequestParts<S> for ReplicaCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        REPLICAS.admit(parts, state).await.map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share_replica: CreateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateBody {
    share_id: String,
    availability_zone: Option<String>,
    share_network_id: Option<String>,
}

async fn create(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.share_replica;
    let unserved = [
        ("share_network_id", asked.share_network_id, "no backend here builds share servers"),
        ("availability_zone", asked.availability_zone, "there is one availability zone, and it has no name"),
    ];
    for (field, value, reason) in unserved {
        if value.is_some_and(|value| !value.is_empty()) {
            return Err(ApiError::BadRequest(format!("{field} cannot be used: {reason}")));
        }
    }
    let new = NewReplica { share: body::id("share", &asked.share_id)? };
    let made = manager
        .create_replica(&caller.context(), new)
        .await
        .map_err(|error| super::shares::without_backends(&manager, &caller, error))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_replica": full(&caller, &made) }))))
}

async fn list(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, summary)
}

async fn list_detail(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |found| full(&caller, found))
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    query: &ListQuery,
    show: impl Fn(&ShareReplicaView) -> Value,
) -> Result<Json<Value>, ApiError> {
    let share = query.share_id.as_deref().map(|id| body::id("share", id)).transpose()?;
    // Those of a share that is named are found wherever the share is.
    let scope = if share.is_some() { caller.scope_by_id() } else { caller.scope(query.reach()) };
    let mut found = manager.list_replicas(&scope, share);
    let filters = query.filters()?;
    found.retain(|found| filters.admit(|| full(caller, found)));
    let replicas: Vec<_> = query.page(found)?.iter().map(show).collect();
    Ok(Json(json!({ "share_replicas": replicas })))
}

async fn show(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Path(replica): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "share_replica": full(&caller, &find(&manager, &caller, &replica)?) })))
}

fn find(manager: &Manager, caller: &Caller, replica: &str) -> Result<ShareReplicaView, ApiError> {
    Ok(manager.show_replica(&caller.scope_by_id(), id(replica)?)?)
}

fn id(replica: &str) -> Result<ShareInstanceId, ApiError> {
    body::id("replica", replica)
}

async fn delete(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Path(replica): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_replica(&caller.context(), id(&replica)?, Force::No).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
struct PromoteBody {
    quiesce_wait_time: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct StateBody {
    replica_state: String,
}

async fn act(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Path(replica): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let id = id(&replica)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    match verb.strip_prefix("os-").unwrap_or(&verb) {
        "promote" => {
            let asked: Option<PromoteBody> = convert(arguments)?;
            let wait = seconds(asked.unwrap_or_default().quiesce_wait_time.as_ref())?;
            let before = find(&manager, &caller, &replica)?;
            manager.promote_replica(&context, id, wait).await?;
            if before.instance.replica_state == Some(ReplicaState::Active) {
                return Ok(StatusCode::OK);
            }
        }
        "resync" => manager.resync_replica(&context, id).await?,
        "force_delete" => manager.delete_replica(&context, id, Force::Yes).await?,
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "available"))?;
            manager.reset_replica_status(&context, id, status).await.map(drop)?;
        }
        "reset_replica_state" => {
            let asked: StateBody = convert(arguments)?;
            let state = asked.replica_state.parse().map_err(|_| {
                ApiError::BadRequest("replica_state is active, in_sync, out_of_sync or error".to_owned())
            })?;
            manager.reset_replica_state(&context, id, state).await.map(drop)?;
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!("there is no action '{shown}' on a replica here")));
        }
    }
    Ok(StatusCode::ACCEPTED)
}

fn seconds(value: Option<&Value>) -> Result<Option<u32>, ApiError> {
    let number = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => String::new(),
    };
    number
        .parse()
        .map(Some)
        .map_err(|_| ApiError::BadRequest("quiesce_wait_time is a whole number of seconds".to_owned()))
}

fn require_locations(caller: &Caller) -> Result<(), ApiError> {
    if caller.version.at_least(EXPORT_LOCATIONS) {
        return Ok(());
    }
    Err(ApiError::NotFound(format!("this is served from microversion 2.{EXPORT_LOCATIONS} on")))
}

async fn export_locations(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Path(replica): Path<String>,
) -> Result<Json<Value>, ApiError> {
    require_locations(&caller)?;
    let found = find(&manager, &caller, &replica)?;
    let shown: Vec<_> = view::export_locations(&caller, &found.instance, Detail::Summary)
        .into_iter()
        .map(|location| of_replica(&found, location))
        .collect();
    Ok(Json(json!({ "export_locations": shown })))
}

async fn export_location(
    State(manager): State<Manager>,
    ReplicaCaller(caller): ReplicaCaller,
    Path((replica, location)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    require_locations(&caller)?;
    let found = find(&manager, &caller, &replica)?;
    let stored = view::visible(&caller, &found.instance.export_locations)
        .find(|stored| stored.id.to_string() == location)
        .ok_or_else(|| ApiError::not_found("export location", &location))?;
    let shown = view::export_location(&caller, &found.instance, stored, Detail::Full);
    Ok(Json(json!({ "export_location": of_replica(&found, shown) })))
}

fn of_replica(found: &ShareReplicaView, mut location: Value) -> Value {
    if let Value::Object(fields) = &mut location {
        fields.insert("replica_state".to_owned(), json!(found.instance.replica_state));
        fields.insert("availability_zone".to_owned(), Value::Null);
    }
    location
}

fn summary(found: &ShareReplicaView) -> Value {
    json!({
        "id": found.instance.id,
        "share_id": found.share.id,
        "status": found.instance.status,
        "replica_state": found.instance.replica_state,
    })
}

fn full(caller: &Caller, found: &ShareReplicaView) -> Value {
    let instance = &found.instance;
    let mut shown = summary(found);
    let Value::Object(fields) = &mut shown else { return shown };
    let mut add = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    add("availability_zone", Value::Null);
    add("created_at", json!(instance.created_at.openstack()));
    add("updated_at", json!(instance.updated_at.openstack()));
    add("share_network_id", Value::Null);
    if caller.actor.role != Role::Tenant {
        add("host", json!(host_string(&instance.placement)));
        add("share_server_id", Value::Null);
        if caller.version.at_least(30) {
            let is_readable = found.share.replication_type == Some(ReplicationType::Readable);
            let is_active = instance.replica_state == Some(ReplicaState::Active);
            add("cast_rules_to_readonly", json!(is_readable && !is_active));
        }
    }
    shown
}
