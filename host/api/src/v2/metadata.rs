//! Metadata of shares and snapshots, pair by pair.

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

/// Which resource a path names.
enum Owner {
    Share(bulkhead_model::id::ShareId),
    Snapshot(bulkhead_model::id::SnapshotId),
}

impl Owner {
    fn of(collection: &str, id: &str) -> Result<Self, ApiError> {
        match collection {
            "shares" => Ok(Self::Share(body::id("share", id)?)),
            "snapshots" => Ok(Self::Snapshot(body::id("snapshot", id)?)),
            _ => Err(super::no_route()),
        }
    }

    fn read(&self, manager: &Manager, caller: &Caller) -> Result<Pairs, ApiError> {
        let scope = caller.scope_by_id();
        Ok(match self {
            Self::Share(id) => manager.show_share(&scope, *id)?.share.metadata.clone(),
            Self::Snapshot(id) => manager.show_snapshot(&scope, *id)?.snapshot.metadata.clone(),
        })
    }

    async fn write(&self, manager: &Manager, caller: &Caller, metadata: Pairs) -> Result<(), ApiError> {
        let update = Update { metadata: Some(metadata), ..Update::default() };
        match self {
            Self::Share(id) => manager.update_share(&caller.context(), *id, update).await.map(drop)?,
            Self::Snapshot(id) => manager.update_snapshot(&caller.context(), *id, update).await.map(drop)?,
        }
        Ok(())
    }
}

async fn list(
    State(manager): State<Manager>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "metadata": Owner::of(&collection, &id)?.read(&manager, &caller)? })))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path((collection, id, key)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let metadata = Owner::of(&collection, &id)?.read(&manager, &caller)?;
    let value = metadata.get(&key).ok_or_else(|| ApiError::not_found("metadata key", &key))?;
    Ok(Json(json!({ "meta": { key: value } })))
}

async fn add(
    State(manager): State<Manager>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<MetadataBody>(&bytes?)?.metadata))?;
    merged(&manager, &caller, &Owner::of(&collection, &id)?, given).await
}

async fn add_one(
    State(manager): State<Manager>,
    caller: Caller,
    Path((collection, id, _key)): Path<(String, String, String)>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<PairBody>(&bytes?)?.meta))?;
    merged(&manager, &caller, &Owner::of(&collection, &id)?, given).await
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
    Path((collection, id)): Path<(String, String)>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = body::metadata(Some(body::parse::<MetadataBody>(&bytes?)?.metadata))?;
    Owner::of(&collection, &id)?.write(&manager, &caller, given.clone()).await?;
    Ok(Json(json!({ "metadata": given })))
}

async fn remove(
    State(manager): State<Manager>,
    caller: Caller,
    Path((collection, id, key)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let owner = Owner::of(&collection, &id)?;
    let mut metadata = owner.read(&manager, &caller)?;
    metadata.remove(&key).ok_or_else(|| ApiError::not_found("metadata key", &key))?;
    owner.write(&manager, &caller, metadata).await?;
    Ok(StatusCode::OK)
}
