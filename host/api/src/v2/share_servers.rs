//! Share servers, for operators: tenants meet their shares and networks, never what serves them.

use super::manage::{MANAGED_SERVERS, backend_of};
use super::pages::ListQuery;
use super::service::operators_only;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::view::{HOST, into_map};
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path, Query, Reach};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{Force, ManageServer, Manager, ShareServerView};
use bulkhead_model::id::ShareServerId;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The first microversion that shows in which subnet a server is.
const SUBNETS: u16 = 51;
/// The first that has servers which were moved.
const SERVER_MIGRATION: u16 = 57;
/// The first that tells whether security services of a server can be changed.
const SECURITY_SERVICE_UPDATES: u16 = 60;
/// The first in which a server may be in several subnets.
const SEVERAL_SUBNETS: u16 = 70;
/// What lists of share servers are narrowed by beside what all lists are: a network by its id or its name, a subnet among several.
const OWN_FILTERS: [(&str, &str); 3] = [
    ("share_network", "share_network"),
    ("share_network_subnet_id", "share_network_subnet_ids"),
    ("source_share_server_id", "source_share_server_id"),
];

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-servers", get(list))
        .route("/v2/share-servers/manage", post(manage))
        .route("/v2/share-servers/{server}", get(show).delete(delete))
        .route("/v2/share-servers/{server}/details", get(details))
        .route("/v2/share-servers/{server}/action", post(act))
}

/// Share servers are the operator's in every project.
async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    let mut found = manager.list_share_servers(&caller.scope(Reach::AllProjects));
    let filters = query.filters_and(&OWN_FILTERS)?;
    found.retain(|found| filters.admit(|| filtered(found)));
    let shown: Vec<_> = query.page(found)?.iter().map(|found| summary(&caller, found)).collect();
    Ok(Json(json!({ "share_servers": shown })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    let found = manager.show_share_server(&caller.scope_by_id(), id(&server)?)?;
    Ok(Json(json!({ "share_server": view(&caller, &found) })))
}

async fn details(
    State(manager): State<Manager>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<Value>, ApiError> {
    operators_only(&caller)?;
    let found = manager.show_share_server(&caller.scope_by_id(), id(&server)?)?;
    Ok(Json(json!({ "details": found.server.backend_details })))
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(server): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_server(&caller.context(), id(&server)?).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ManageEnvelope {
    share_server: ManageBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ManageBody {
    host: String,
    share_network_id: String,
    identifier: String,
    driver_options: Option<BTreeMap<String, Value>>,
    share_network_subnet_id: Option<String>,
}

async fn manage(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    require_management(&caller)?;
    let asked = body::parse::<ManageEnvelope>(&bytes?)?.share_server;
    let (backend, pool) = backend_of("host", &asked.host)?;
    if pool.is_some() {
        return Err(ApiError::BadRequest(
            "host is HOST@BACKEND: a share server is at a backend, not in a pool".to_owned(),
        ));
    }
    let subnet = asked.share_network_subnet_id.filter(|id| !id.is_empty());
    let new = ManageServer {
        backend,
        share_network: body::id("share network", &asked.share_network_id)?,
        subnet: subnet.map(|id| body::id("share network subnet", &id)).transpose()?,
        identifier: asked.identifier,
        driver_options: body::metadata(asked.driver_options)?,
    };
    let made = manager.manage_share_server(&caller.context(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_server": view(&caller, &made) }))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(expecting = "an object")]
struct UnmanageBody {
    force: Option<Value>,
}

async fn act(
    State(manager): State<Manager>,
    caller: Caller,
    Path(server): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    require_management(&caller)?;
    let id = id(&server)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    match verb.as_str() {
        "unmanage" => {
            let asked: Option<UnmanageBody> = convert(arguments)?;
            let force = body::flag("force", asked.unwrap_or_default().force.as_ref())?;
            let force = if force { Force::Yes } else { Force::No };
            manager.unmanage_share_server(&context, id, force).await?;
        }
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "active"))?;
            manager.reset_share_server_status(&context, id, status).await?;
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!("there is no action '{shown}' on a share server here")));
        }
    }
    Ok(StatusCode::ACCEPTED)
}

/// Taking over, letting go and setting a status have a microversion of their own.
fn require_management(caller: &Caller) -> Result<(), ApiError> {
    if caller.version.at_least(MANAGED_SERVERS) { Ok(()) } else { Err(super::no_route()) }
}

fn id(server: &str) -> Result<ShareServerId, ApiError> {
    body::id("share server", server)
}

/// A share server as lists show it: without what its driver keeps about it.
fn summary(caller: &Caller, found: &ShareServerView) -> Value {
    let mut fields = shown(caller, found);
    fields.retain(|name, _| !["created_at", "backend_details"].contains(&name.as_str()));
    Value::Object(fields)
}

/// A share server with what its driver keeps about it.
fn view(caller: &Caller, found: &ShareServerView) -> Value {
    Value::Object(shown(caller, found))
}

/// The fields that the caller's microversion has.
fn shown(caller: &Caller, found: &ShareServerView) -> Map<String, Value> {
    let mut fields = into_map(everything(found));
    let version = caller.version;
    let mut keep = |is_shown: bool, names: &[&str]| {
        if !is_shown {
            fields.retain(|name, _| !names.contains(&name.as_str()));
        }
    };
    keep(version.at_least(MANAGED_SERVERS), &["is_auto_deletable", "identifier"]);
    let has_one_subnet = version.at_least(SUBNETS) && !version.at_least(SEVERAL_SUBNETS);
    keep(has_one_subnet, &["share_network_subnet_id"]);
    keep(version.at_least(SERVER_MIGRATION), &["task_state", "source_share_server_id"]);
    keep(version.at_least(SECURITY_SERVICE_UPDATES), &["security_service_update_support"]);
    let several = ["share_network_subnet_ids", "network_allocation_update_support"];
    keep(version.at_least(SEVERAL_SUBNETS), &several);
    fields
}

/// A share server as filters see it.
fn filtered(found: &ShareServerView) -> Value {
    let mut fields = into_map(everything(found));
    fields.insert("share_network".to_owned(), json!([found.server.share_network, found.share_network_name]));
    Value::Object(fields)
}

/// Every field of every microversion.
fn everything(found: &ShareServerView) -> Value {
    let server = &found.server;
    json!({
        "id": server.id,
        "project_id": server.project,
        "created_at": server.created_at.openstack(),
        "updated_at": server.updated_at.openstack(),
        "status": server.status,
        "host": format!("{HOST}@{}", server.backend),
        "share_network_id": server.share_network,
        "share_network_name": found.share_network_name.clone().unwrap_or_else(|| server.share_network.to_string()),
        "backend_details": server.backend_details,
        "is_auto_deletable": server.is_auto_deletable,
        "identifier": server.identifier(),
        "share_network_subnet_id": server.subnet,
        "share_network_subnet_ids": server.subnets().collect::<Vec<_>>(),
        "task_state": Value::Null,
        "source_share_server_id": Value::Null,
        "security_service_update_support": found.can_be_changed,
        "network_allocation_update_support": found.can_be_changed,
    })
}
