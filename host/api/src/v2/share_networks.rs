//! Share networks, their subnets and which security services they have.
//!
//! There is one availability zone, and it has no name: subnets are in none. What a network consists of is shown in the form of the client's
//! microversion: up to 2.50 a network is its one subnet.

use super::pages::ListQuery;
use super::share_actions::{StatusBody, convert, only_entry, unknown_status};
use super::share_network_checks;
use super::view::into_map;
use crate::body;
use crate::error::ApiError;
use crate::microversion::Microversion;
use crate::request::{Caller, Path, Query};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewShareNetwork, ShareNetworkUpdate, WhileInUse};
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId};
use bulkhead_model::network::{ShareNetwork, ShareNetworkSubnet};
use bulkhead_model::statistics::IpVersion;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;

/// The first microversion that shows a gateway.
const GATEWAY: u16 = 18;
/// The first that shows the largest packet.
const MTU: u16 = 20;
/// The last that knows of Nova's networks.
const NOVA: u16 = 25;
/// The first in which a network has subnets of its own.
const SUBNETS: u16 = 51;
/// The first that shows a status, and in which security services may change under share servers.
const STATUS: u16 = 63;
/// What lists of share networks are narrowed by beside what all lists are.
const OWN_FILTERS: [(&str, &str); 8] = [
    ("security_service_id", "security_service_id"),
    ("nova_net_id", "nova_net_id"),
    ("neutron_net_id", "neutron_net_id"),
    ("neutron_subnet_id", "neutron_subnet_id"),
    ("network_type", "network_type"),
    ("segmentation_id", "segmentation_id"),
    ("ip_version", "ip_version"),
    ("cidr", "cidr"),
];
/// The first in which subnets may be added under share servers.
pub(super) const UPDATES: u16 = 70;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-networks", get(list).post(create))
        .route("/v2/share-networks/detail", get(list_detail))
        .route("/v2/share-networks/{network}", get(show).put(update).delete(delete))
        .route("/v2/share-networks/{network}/action", post(act))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share_network: CreateBody,
}

/// What the stock client sends. Fields that nobody knows are refused.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct CreateBody {
    name: Option<String>,
    description: Option<String>,
    neutron_net_id: Option<String>,
    neutron_subnet_id: Option<String>,
    nova_net_id: Option<String>,
    availability_zone: Option<String>,
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.share_network;
    refuse_zone(asked.availability_zone.as_deref())?;
    refuse("nova_net_id", asked.nova_net_id.as_deref(), "there is no Nova here")?;
    let new = NewShareNetwork {
        name: body::display_text(asked.name),
        description: body::display_text(asked.description),
        neutron_net_id: body::display_text(asked.neutron_net_id),
        neutron_subnet_id: body::display_text(asked.neutron_subnet_id),
    };
    let made = manager.create_share_network(&caller.context(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_network": full(&manager, &caller, &made) }))))
}

/// A field that the stock client can send and nothing here can serve.
fn refuse(field: &str, value: Option<&str>, reason: &str) -> Result<(), ApiError> {
    match value {
        None | Some("") => Ok(()),
        Some(_) => Err(ApiError::BadRequest(format!("{field} cannot be used: {reason}"))),
    }
}

pub(super) fn refuse_zone(zone: Option<&str>) -> Result<(), ApiError> {
    refuse("availability_zone", zone, "there is one availability zone, and it has no name")
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |network| json!({ "id": network.id, "name": network.name }))
}

async fn list_detail(
    State(manager): State<Manager>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&manager, &caller, &query, |network| full(&manager, &caller, network))
}

fn listed(
    manager: &Manager,
    caller: &Caller,
    query: &ListQuery,
    show: impl Fn(&ShareNetwork) -> Value,
) -> Result<Json<Value>, ApiError> {
    let mut found = manager.list_share_networks(&caller.scope(query.reach()));
    let filters = query.filters_and(&OWN_FILTERS)?;
    found.retain(|network| filters.admit(|| filtered(manager, caller, network)));
    found.sort_by_key(|network| Reverse((network.created_at, network.id)));
    let networks: Vec<_> = query.page(found)?.iter().map(|network| show(network)).collect();
    Ok(Json(json!({ "share_networks": networks })))
}

/// A share network as filters see it: what its subnets have stands beside what it has itself, in every microversion.
fn filtered(manager: &Manager, caller: &Caller, network: &ShareNetwork) -> Value {
    let mut fields = into_map(full(manager, caller, network));
    let subnets: Vec<_> = network.subnets.iter().map(|one| subnet(caller.version, one)).collect();
    for (_, field) in OWN_FILTERS {
        fields.insert(field.to_owned(), subnets.iter().filter_map(|one| one.get(field)).cloned().collect());
    }
    fields.insert("security_service_id".to_owned(), json!(network.security_services));
    Value::Object(fields)
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_network(&caller.scope_by_id(), id(&network)?)?;
    Ok(Json(json!({ "share_network": full(&manager, &caller, &found) })))
}

pub(super) fn id(network: &str) -> Result<ShareNetworkId, ApiError> {
    body::id("share network", network)
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct UpdateEnvelope {
    share_network: UpdateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct UpdateBody {
    #[serde(default, deserialize_with = "body::given")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "body::given")]
    description: Option<Option<String>>,
}

async fn update(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = id(&network)?;
    let asked = body::parse::<UpdateEnvelope>(&bytes?)?.share_network;
    let update = ShareNetworkUpdate {
        name: asked.name.map(body::display_text),
        description: asked.description.map(body::display_text),
    };
    let changed = manager.update_share_network(&caller.context(), id, update).await?;
    Ok(Json(json!({ "share_network": full(&manager, &caller, &changed) })))
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_network(&caller.context(), id(&network)?).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ServiceBody {
    security_service_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ReplacementBody {
    current_service_id: String,
    new_service_id: String,
}

async fn act(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let id = id(&network)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    let changed = match verb.as_str() {
        "add_security_service" => {
            let service = service(arguments)?;
            let while_in_use =
                if caller.version.at_least(STATUS) { WhileInUse::Follow } else { WhileInUse::Refuse };
            manager.add_security_service(&context, id, service, while_in_use).await?
        }
        "update_security_service" if caller.version.at_least(STATUS) => {
            let asked: ReplacementBody = convert(arguments)?;
            let (current, new) = (service_id(&asked.current_service_id)?, service_id(&asked.new_service_id)?);
            let changed = manager.replace_security_service(&context, id, current, new).await?;
            let shown = Json(json!({ "share_network": full(&manager, &caller, &changed) }));
            return Ok((StatusCode::ACCEPTED, shown).into_response());
        }
        check if share_network_checks::is_one(check, caller.version) => {
            return share_network_checks::check(&manager, &caller, id, check, arguments).await;
        }
        "remove_security_service" => {
            let service = service(arguments)?;
            manager.remove_security_service(&context, id, service).await?
        }
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "active"))?;
            manager.reset_share_network_status(&context, id, status).await?;
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!(
                "there is no action '{shown}' on a share network here"
            )));
        }
    };
    Ok(Json(json!({ "share_network": full(&manager, &caller, &changed) })).into_response())
}

fn service(arguments: Value) -> Result<SecurityServiceId, ApiError> {
    let asked: ServiceBody = convert(arguments)?;
    service_id(&asked.security_service_id)
}

pub(super) fn service_id(text: &str) -> Result<SecurityServiceId, ApiError> {
    body::id("security service", text)
}

/// A share network, in full.
fn full(manager: &Manager, caller: &Caller, network: &ShareNetwork) -> Value {
    let version = caller.version;
    let updates = manager.network_updates(network.id);
    let mut fields = into_map(json!({
        "id": network.id,
        "project_id": network.project_id,
        "name": network.name,
        "description": network.description,
        "created_at": network.created_at.openstack(),
        "updated_at": network.updated_at.openstack(),
    }));
    if version.at_least(SUBNETS) {
        let subnets: Vec<_> = network.subnets.iter().map(|one| Value::Object(subnet(version, one))).collect();
        fields.insert("share_network_subnets".to_owned(), json!(subnets));
    } else {
        fields.extend(only_subnet(version, network));
    }
    if version.at_least(STATUS) {
        fields.insert("status".to_owned(), json!(network.status));
        fields.insert("security_service_update_support".to_owned(), json!(updates.are_supported));
    }
    if version.at_least(UPDATES) {
        fields.insert("network_allocation_update_support".to_owned(), json!(updates.are_supported));
    }
    Value::Object(fields)
}

/// What a network shows of its subnet where it can have only one.
fn only_subnet(version: Microversion, network: &ShareNetwork) -> Map<String, Value> {
    let mut fields = network.subnets.first().map(|one| subnet(version, one)).unwrap_or_default();
    for own in ["id", "created_at", "updated_at", "availability_zone"] {
        fields.remove(own);
    }
    if !version.at_least(NOVA + 1) {
        fields.insert("nova_net_id".to_owned(), Value::Null);
    }
    fields
}

/// A subnet, without the network it belongs to.
pub(super) fn subnet(version: Microversion, subnet: &ShareNetworkSubnet) -> Map<String, Value> {
    let mut fields = into_map(json!({
        "id": subnet.id,
        "availability_zone": subnet.availability_zone,
        "created_at": subnet.created_at.openstack(),
        "updated_at": subnet.updated_at.openstack(),
        "segmentation_id": subnet.segmentation_id,
        "neutron_net_id": subnet.neutron_net_id,
        "neutron_subnet_id": subnet.neutron_subnet_id,
        "ip_version": subnet.ip_version().map(IpVersion::number),
        "cidr": subnet.cidr,
        "network_type": subnet.network_type,
    }));
    if version.at_least(GATEWAY) {
        fields.insert("gateway".to_owned(), json!(subnet.gateway));
    }
    if version.at_least(MTU) {
        fields.insert("mtu".to_owned(), json!(subnet.mtu));
    }
    fields
}
