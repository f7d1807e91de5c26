//! Types of share groups and their group specs. Everybody may read them; operators make them. The stock client looks types up before every
//! creation.

use super::share_groups::GroupCaller;
use super::share_types::texts;
use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewShareGroupType, ShareGroupTypeView};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The first microversion that says which type is the default.
const DEFAULT: u16 = 46;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/share-group-types", get(list).post(create))
        .route("/v2/share-group-types/{group_type}", get(show).delete(delete))
        .route("/v2/share-group-types/{group_type}/group-specs", get(group_specs).post(set_group_specs))
        .route(
            "/v2/share-group-types/{group_type}/group-specs/{key}",
            get(group_spec).put(set_group_spec).delete(remove_group_spec),
        )
}

async fn list(State(manager): State<Manager>, GroupCaller(caller): GroupCaller) -> Json<Value> {
    let types: Vec<_> =
        manager.list_share_group_types().iter().map(|group_type| view(&caller, group_type)).collect();
    Json(json!({ "share_group_types": types }))
}

/// Also `default`, which is the name of the built-in one.
async fn show(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group_type(&name)?;
    Ok(Json(json!({ "share_group_type": view(&caller, &found) })))
}

async fn group_specs(
    State(manager): State<Manager>,
    GroupCaller(_): GroupCaller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group_type(&name)?;
    Ok(Json(json!({ "group_specs": found.group_specs })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    share_group_type: CreateBody,
}

/// What the stock client sends. Fields that nobody knows are refused, as Manila does.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object", deny_unknown_fields)]
struct CreateBody {
    name: Option<String>,
    share_types: Option<Vec<String>>,
    group_specs: Option<BTreeMap<String, Value>>,
    is_public: Option<Value>,
}

async fn create(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.share_group_type;
    if asked.is_public.is_some() && !body::flag("is_public", asked.is_public.as_ref())? {
        return Err(ApiError::BadRequest(
            "is_public must be true: every project may use every share group type here".to_owned(),
        ));
    }
    let new = NewShareGroupType {
        name: asked.name.unwrap_or_default(),
        share_types: asked.share_types.unwrap_or_default(),
        group_specs: texts("group specs", asked.group_specs)?,
    };
    let made = manager.create_share_group_type(&caller.context(), new).await?;
    Ok(Json(json!({ "share_group_type": view(&caller, &made) })))
}

async fn delete(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_group_type(&caller.context(), &name).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn group_spec(
    State(manager): State<Manager>,
    GroupCaller(_): GroupCaller,
    Path((name, key)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_group_type(&name)?;
    let value = found.group_specs.get(&key).ok_or_else(|| ApiError::not_found("group spec", &key))?;
    Ok(Json(json!({ key: value })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SpecsEnvelope {
    group_specs: BTreeMap<String, Value>,
}

async fn set_group_specs(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path(name): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = texts("group specs", Some(body::parse::<SpecsEnvelope>(&bytes?)?.group_specs))?;
    manager.set_group_specs(&caller.context(), &name, given.clone()).await?;
    Ok(Json(json!({ "group_specs": given })))
}

/// One spec, whose key stands in the path and in the body.
async fn set_group_spec(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path((name, key)): Path<(String, String)>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = texts("group specs", Some(body::parse::<BTreeMap<String, Value>>(&bytes?)?))?;
    if given.len() != 1 || !given.contains_key(&key) {
        let reason = "the body has one key, the one in the path".to_owned();
        return Err(ApiError::BadRequest(reason));
    }
    manager.set_group_specs(&caller.context(), &name, given.clone()).await?;
    Ok(Json(json!(given)))
}

async fn remove_group_spec(
    State(manager): State<Manager>,
    GroupCaller(caller): GroupCaller,
    Path((name, key)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    manager.remove_group_spec(&caller.context(), &name, &key).await?;
    Ok(StatusCode::ACCEPTED)
}

fn view(caller: &Caller, group_type: &ShareGroupTypeView) -> Value {
    let mut shown = json!({
        "id": group_type.id,
        "name": group_type.name,
        "is_public": true,
        "group_specs": group_type.group_specs,
        "share_types": group_type.share_types,
    });
    if caller.version.at_least(DEFAULT)
        && let Value::Object(fields) = &mut shown
    {
        fields.insert("is_default".to_owned(), json!(group_type.is_default));
    }
    shown
}
