//! Subnets of share networks. The last one may go; then no share is made in it.

use super::share_networks::{UPDATES, id, refuse_zone, subnet};
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewSubnet, WhileInUse};
use bulkhead_model::network::{ShareNetwork, ShareNetworkSubnet};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The first microversion with subnets.
const FIRST: u16 = 51;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-networks/{network}/subnets", get(list).post(create))
        .route("/v2/share-networks/{network}/subnets/{subnet}", get(show).delete(delete))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    // The stock client writes it with hyphens, and shows it with underscores.
    #[serde(rename = "share-network-subnet", alias = "share_network_subnet")]
    subnet: CreateBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct CreateBody {
    neutron_net_id: Option<String>,
    neutron_subnet_id: Option<String>,
    availability_zone: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    check_version(&caller)?;
    let network = id(&network)?;
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.subnet;
    refuse_zone(asked.availability_zone.as_deref())?;
    let new = NewSubnet {
        neutron_net_id: body::display_text(asked.neutron_net_id),
        neutron_subnet_id: body::display_text(asked.neutron_subnet_id),
        metadata: body::metadata(asked.metadata)?,
    };
    let while_in_use = if caller.version.at_least(UPDATES) { WhileInUse::Follow } else { WhileInUse::Refuse };
    let made = manager.add_share_network_subnet(&caller.context(), network, new, while_in_use).await?;
    let found = manager.show_share_network(&caller.scope_by_id(), network)?;
    let made =
        found.subnet(made).ok_or_else(|| ApiError::not_found("share network subnet", &made.to_string()))?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share_network_subnet": full(&caller, &found, made) }))))
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Path(network): Path<String>,
) -> Result<Json<Value>, ApiError> {
    check_version(&caller)?;
    let found = manager.show_share_network(&caller.scope_by_id(), id(&network)?)?;
    let subnets: Vec<_> = found.subnets.iter().map(|one| full(&caller, &found, one)).collect();
    Ok(Json(json!({ "share_network_subnets": subnets })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path((network, wanted)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    check_version(&caller)?;
    let found = manager.show_share_network(&caller.scope_by_id(), id(&network)?)?;
    let missing = || ApiError::not_found("share network subnet", &wanted);
    let one = wanted.parse().ok().and_then(|id| found.subnet(id)).ok_or_else(missing)?;
    Ok(Json(json!({ "share_network_subnet": full(&caller, &found, one) })))
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path((network, wanted)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    check_version(&caller)?;
    let subnet = body::id("share network subnet", &wanted)?;
    manager.remove_share_network_subnet(&caller.context(), id(&network)?, subnet).await?;
    Ok(StatusCode::ACCEPTED)
}

fn check_version(caller: &Caller) -> Result<(), ApiError> {
    if caller.version.at_least(FIRST) {
        return Ok(());
    }
    Err(ApiError::NotFound(format!("share networks have subnets from microversion 2.{FIRST} on")))
}

fn full(caller: &Caller, network: &ShareNetwork, one: &ShareNetworkSubnet) -> Value {
    let mut fields = subnet(caller.version, one);
    fields.insert("share_network_id".to_owned(), json!(network.id));
    fields.insert("share_network_name".to_owned(), json!(network.name));
    fields.insert("metadata".to_owned(), json!(one.metadata));
    Value::Object(fields)
}
