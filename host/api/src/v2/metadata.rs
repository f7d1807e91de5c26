//! Metadata of shares, snapshots and subnets, pair by pair.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, Update};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Pairs = BTreeMap<String, String>;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/{collection}/{id}/metadata", get(list).post(add).put(replace))
        .route("/v2/{collection}/{id}/metadata/{key}", get(show).put(add_one).delete(remove))
        .route("/v2/share-networks/{network}/subnets/{subnet}/metadata", get(list).post(add).put(replace))
        .route(
            "/v2/share-networks/{network}/subnets/{subnet}/metadata/{key}",
            get(show).put(add_one).delete(remove),
        )
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct MetadataBody {
    metadata: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct PairBody {
    meta: BTreeMap<String, Value>,
}

/// The first microversion with subnets. Manila lets their metadata be read and changed from 2.78 on, which no version that we speak reaches.
const SUBNETS: u16 = 51;

/// What a path names: a resource of a collection, or a subnet of a share network; with or without a key.
#[derive(Debug, Deserialize)]
struct Names {
    collection: Option<String>,
    id: Option<String>,
    network: Option<String>,
    subnet: Option<String>,
    key: Option<String>,
}

/// Whose metadata they are.
enum Owner {
    Share(bulkhead_model::id::ShareId),
    Snapshot(bulkhead_model::id::SnapshotId),
    Subnet(bulkhead_model::id::ShareNetworkId, bulkhead_model::id::ShareNetworkSubnetId),
}

impl Names {
    fn owner(&self, caller: &Caller) -> Result<Owner, ApiError> {
        if let (Some(network), Some(subnet)) = (&self.network, &self.subnet) {
            if !caller.version.at_least(SUBNETS) {
                return Err(super::no_route());
            }
            let subnet = body::id("share network subnet", subnet)?;
            return Ok(Owner::Subnet(body::id("share network", network)?, subnet));
        }
        match (self.collection.as_deref(), &self.id) {
            (Some("shares"), Some(id)) => Ok(Owner::Share(body::id("share", id)?)),
            (Some("snapshots"), Some(id)) => Ok(Owner::Snapshot(body::id("snapshot", id)?)),
            _ => Err(super::no_route()),
        }
    }

    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

impl Owner {
    fn read(&self, manager: &Manager, caller: &Caller) -> Result<Pairs, ApiError> {
        let scope = caller.scope_by_id();
        Ok(match self {
            Self::Share(id) => manager.show_share(&scope, *id)?.share.metadata.clone(),
            Self::Snapshot(id) => manager.show_snapshot(&scope, *id)?.snapshot.metadata.clone(),
            Self::Subnet(network, id) => {
                let network = manager.show_share_network(&scope, *network)?;
                let missing = || ApiError::not_found("share network subnet", &id.to_string());
                network.subnet(*id).ok_or_else(missing)?.metadata.clone()
            }
        })
    }

    async fn write(&self, manager: &Manager, caller: &Caller, metadata: Pairs) -> Result<(), ApiError> {
        let context = caller.context();
        let update = |metadata| Update { metadata: Some(metadata), ..Update::default() };
        match self {
            Self::Share(id) => manager.update_share(&context, *id, update(metadata)).await.map(drop)?,
            Self::Snapshot(id) => manager.update_snapshot(&context, *id, update(metadata)).await.map(drop)?,
            Self::Subnet(network, id) => {
                manager.update_share_network_subnet(&context, *network, *id, metadata).await?;
            }
        }
        Ok(())
    }
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "metadata": names.owner(&caller)?.read(&manager, &caller)? })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
) -> Result<Json<Value>, ApiError> {
    let metadata = names.owner(&caller)?.read(&manager, &caller)?;
    let value = metadata.get(names.key()).ok_or_else(|| ApiError::not_found("metadata key", names.key()))?;
    Ok(Json(json!({ "meta": { names.key(): value } })))
}

async fn add(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<MetadataBody>(&bytes?)?.metadata))?;
    merged(&manager, &caller, &names.owner(&caller)?, given).await
}

async fn add_one(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<PairBody>(&bytes?)?.meta))?;
    merged(&manager, &caller, &names.owner(&caller)?, given).await
}

async fn merged(
    manager: &Manager,
    caller: &Caller,
    owner: &Owner,
    given: Pairs,
) -> Result<Json<Value>, ApiError> {
    let mut metadata = owner.read(manager, caller)?;
    metadata.extend(given);
    owner.write(manager, caller, metadata.clone()).await?;
    Ok(Json(json!({ "metadata": metadata })))
}

async fn replace(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<MetadataBody>(&bytes?)?.metadata))?;
    names.owner(&caller)?.write(&manager, &caller, given.clone()).await?;
    Ok(Json(json!({ "metadata": given })))
}

async fn remove(
    State(manager): State<Manager>,
    caller: Caller,
    Path(names): Path<Names>,
) -> Result<StatusCode, ApiError> {
    let owner = names.owner(&caller)?;
    let mut metadata = owner.read(&manager, &caller)?;
    metadata.remove(names.key()).ok_or_else(|| ApiError::not_found("metadata key", names.key()))?;
    owner.write(&manager, &caller, metadata).await?;
    Ok(StatusCode::OK)
}
