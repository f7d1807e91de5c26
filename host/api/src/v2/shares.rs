//! Shares: create, list, show, change, delete.

use super::pages::ListQuery;
use super::view;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{BackendState, Force, Manager, ManagerError, NewShare, ShareView, Update};
use bulkhead_model::id::{BackendName, ShareGroupId};
use bulkhead_model::scope::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The first microversion that has share groups.
const SHARE_GROUPS: u16 = 31;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/shares", get(list).post(create))
        .route("/v2/shares/detail", get(list_detail))
        .route("/v2/shares/{share}", get(show).put(update).delete(delete))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share: CreateBody,
}

/// What the stock client sends. Fields of features that no part serves yet are refused when set, not passed over.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateBody {
    share_proto: Option<String>,
    size: Option<Value>,
    #[serde(alias = "display_name")]
    name: Option<String>,
    #[serde(alias = "display_description")]
    description: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
    #[serde(alias = "volume_type")]
    share_type: Option<String>,
    snapshot_id: Option<String>,
    is_public: Option<Value>,
    share_network_id: Option<String>,
    share_group_id: Option<String>,
    availability_zone: Option<String>,
}

impl CreateBody {
    fn check(self) -> Result<NewShare, ApiError> {
        check_zone(self.availability_zone.as_deref())?;
        let protocol =
            self.share_proto.ok_or_else(|| ApiError::BadRequest("share_proto is missing".to_owned()))?;
        let source_snapshot = self.snapshot_id.filter(|id| !id.is_empty());
        let group = self.share_group_id.filter(|id| !id.is_empty());
        let network = self.share_network_id.filter(|id| !id.is_empty());
        Ok(NewShare {
            size: body::size("size", self.size.as_ref())?,
            protocol: protocol
                .parse()
                .map_err(|error: bulkhead_model::id::InvalidId| ApiError::BadRequest(error.to_string()))?,
            display_name: body::display_text(self.name),
            display_description: body::display_text(self.description),
            metadata: body::metadata(self.metadata)?,
            share_type: self.share_type.filter(|name| !name.is_empty()),
            source_snapshot: source_snapshot.map(|id| body::id("snapshot", &id)).transpose()?,
            group: group.map(|id| body::id("share group", &id)).transpose()?,
            share_network: network.map(|id| body::id("share network", &id)).transpose()?,
            is_public: public_flag(self.is_public.as_ref())?,
        })
    }
}

/// Fail for a zone: a share in none is where the client asked for it, one that passed over the zone would not be.
pub(super) fn check_zone(zone: Option<&str>) -> Result<(), ApiError> {
    match zone {
        None | Some("") => Ok(()),
        Some(_) => Err(ApiError::BadRequest(
            "availability_zone cannot be used: there is one availability zone, and it has no name".to_owned(),
        )),
    }
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let new = body::parse::<CreateEnvelope>(&bytes?)?.share.check()?;
    let made = manager
        .create_share(&caller.context(), new)
        .await
        .map_err(|error| without_backends(&manager, &caller, error))?;
    Ok(Json(json!({ "share": full(&caller, &made) })))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |found| view::share_summary(&found.share))
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
    show: impl Fn(&ShareView) -> Value,
) -> Result<Json<Value>, ApiError> {
    let mut found = manager.list_shares(&caller.scope(query.reach()));
    let filters = query.filters()?;
    found.retain(|found| {
        !query.wants_soft_deleted()
            && filters.admit(|| full(caller, found))
            && is_found_at(caller, found, query)
    });
    // Newest first, as Manila lists; ids make the order of one moment certain.
    found.sort_by_key(|found| Reverse((found.share.created_at, found.share.id)));
    let count = found.len();
    let shares: Vec<_> = query.page(found)?.iter().map(show).collect();
    let mut answer = json!({ "shares": shares });
    if query.wants_count()
        && let Value::Object(fields) = &mut answer
    {
        fields.insert("count".to_owned(), json!(count));
    }
    Ok(Json(answer))
}

/// Whether clients find the share where the query says.
fn is_found_at(caller: &Caller, found: &ShareView, query: &ListQuery) -> bool {
    let (id, path) = (query.export_location_id.as_ref(), query.export_location_path.as_ref());
    (id.is_none() && path.is_none())
        || view::visible(caller, &found.instance.export_locations).any(|stored| {
            id.is_none_or(|id| stored.id.to_string() == *id)
                && path.is_none_or(|path| stored.location.path == *path)
        })
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share(&caller.scope_by_id(), body::id("share", &share)?)?;
    Ok(Json(json!({ "share": full(&caller, &found) })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    share: UpdateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateBody {
    #[serde(default, alias = "name", deserialize_with = "body::given")]
    display_name: Option<Option<String>>,
    #[serde(default, alias = "description", deserialize_with = "body::given")]
    display_description: Option<Option<String>>,
    is_public: Option<Value>,
}

async fn update(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = body::id("share", &share)?;
    let asked = body::parse::<UpdateEnvelope>(&bytes?)?.share;
    let update = Update {
        display_name: asked.display_name.map(body::display_text),
        display_description: asked.display_description.map(body::display_text),
        metadata: None,
        is_public: asked.is_public.as_ref().map(|value| public_flag(Some(value))).transpose()?,
    };
    let changed = manager.update_share(&caller.context(), id, update).await?;
    Ok(Json(json!({ "share": full(&caller, &changed) })))
}

#[derive(Debug, Deserialize)]
struct DeleteQuery {
    share_group_id: Option<String>,
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(share): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let id = body::id("share", &share)?;
    if caller.version.at_least(SHARE_GROUPS) {
        let group = manager.show_share(&caller.scope_by_id(), id)?.share.group;
        check_group(group, query.share_group_id.as_deref())?;
    }
    manager.delete_share(&caller.context(), id, Force::No).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Who deletes a share of a group names the group, as in Manila, so that nobody takes one out of a group without knowing.
fn check_group(group: Option<ShareGroupId>, named: Option<&str>) -> Result<(), ApiError> {
    match (group, named) {
        (Some(group), Some(named)) if group.to_string() != named => Err(ApiError::BadRequest(
            "the share does not belong to the share group that share_group_id names".to_owned(),
        )),
        (Some(group), None) => Err(ApiError::BadRequest(format!(
            "the share belongs to a share group; say so with ?share_group_id={group} to delete it"
        ))),
        _ => Ok(()),
    }
}

/// Why no backend takes a share tells names and room of backends: the operator's to know. That backends are only being started is for
/// everybody, for whoever tries again in a moment is served then.
pub(super) fn without_backends(manager: &Manager, caller: &Caller, error: ManagerError) -> ApiError {
    let ManagerError::NoBackend { reasons } = &error else { return error.into() };
    let is_tenant = caller.actor.role == Role::Tenant;
    if reasons.iter().any(|place| starts(manager, &place.backend)) {
        let told = if is_tenant { "backends are still being started".to_owned() } else { error.to_string() };
        return ApiError::Starting(told);
    }
    if !is_tenant {
        return error.into();
    }
    tracing::warn!(?reasons, "no backend takes a share");
    ApiError::Busy("no backend can take this share now; try a smaller one, or ask the operator".to_owned())
}

/// Whether a backend is loaded or set up for the first time. One that has failed may take long.
fn starts(manager: &Manager, backend: &BackendName) -> bool {
    let found = manager.show_backend(backend);
    found.is_ok_and(|found| matches!(found.state, BackendState::Starting { failed_attempts: 0, .. }))
}

/// Shares that other projects see are not served: a yes is refused, not passed over.
fn public_flag(value: Option<&Value>) -> Result<bool, ApiError> {
    if body::flag("is_public", value)? {
        return Err(ApiError::BadRequest(
            "is_public cannot be used: a share belongs to its project alone here".to_owned(),
        ));
    }
    Ok(false)
}

pub(super) fn full(caller: &Caller, found: &ShareView) -> Value {
    view::share(caller, found)
}
