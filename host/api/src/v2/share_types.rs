//! Share types and their extra specs. Everybody may read them; operators make them. The stock client looks types up before every creation.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bulkhead_manager::{Manager, NewShareType, ShareTypeView};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const REQUIRED_SPEC: &str = "driver_handles_share_servers";

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v2/types", get(list).post(create))
        .route("/v2/types/{share_type}", get(show).delete(delete))
        .route("/v2/types/{share_type}/extra_specs", get(extra_specs).post(set_extra_specs))
        .route("/v2/types/{share_type}/extra_specs/{key}", get(extra_spec).delete(remove_extra_spec))
}

async fn list(State(manager): State<Manager>, caller: Caller) -> Json<Value> {
    let types: Vec<_> =
        manager.list_share_types().iter().map(|share_type| view(&caller, share_type)).collect();
    Json(json!({ "share_types": types, "volume_types": types }))
}

fn shown(caller: &Caller, share_type: &ShareTypeView) -> Json<Value> {
    let shown = view(caller, share_type);
    Json(json!({ "share_type": shown, "volume_type": shown }))
}

async fn show(
    State(manager): State<Manager>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(shown(&caller, &manager.show_share_type(&name)?))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateEnvelope {
    #[serde(alias = "volume_type")]
    share_type: CreateBody,
}

/// What the stock client sends.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct CreateBody {
    name: Option<String>,
    description: Option<String>,
    extra_specs: Option<BTreeMap<String, Value>>,
    #[serde(rename = "share_type_access:is_public", alias = "os-share-type-access:is_public")]
    is_public: Option<Value>,
}

async fn create(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = body::parse::<CreateEnvelope>(&bytes?)?.share_type;
    if asked.is_public.is_some() && !body::flag("share_type_access:is_public", asked.is_public.as_ref())? {
        return Err(ApiError::BadRequest(
            "share_type_access:is_public must be true: every project may use every share type here"
                .to_owned(),
        ));
    }
    let new = NewShareType {
        name: asked.name.unwrap_or_default(),
        description: body::display_text(asked.description),
        extra_specs: texts("extra specs", asked.extra_specs)?,
    };
    Ok(shown(&caller, &manager.create_share_type(&caller.context(), new).await?))
}

/// Specs: texts, and what people write as booleans and numbers, as Manila takes them.
pub(super) fn texts(
    what: &str,
    given: Option<BTreeMap<String, Value>>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Bool(true) => Ok((key, "True".to_owned())),
        Value::Bool(false) => Ok((key, "False".to_owned())),
        Value::Number(number) => Ok((key, number.to_string())),
        _ => Err(ApiError::BadRequest(format!("{what} are strings"))),
    };
    given.unwrap_or_default().into_iter().map(text).collect()
}

async fn delete(
    State(manager): State<Manager>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    manager.delete_share_type(&caller.context(), &name).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn extra_specs(
    State(manager): State<Manager>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "extra_specs": manager.show_share_type(&name)?.extra_specs })))
}

async fn extra_spec(
    State(manager): State<Manager>,
    Path((name, key)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = manager.show_share_type(&name)?;
    let value = found.extra_specs.get(&key).ok_or_else(|| ApiError::not_found("extra spec", &key))?;
    Ok(Json(json!({ key: value })))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SpecsEnvelope {
    extra_specs: BTreeMap<String, Value>,
}

async fn set_extra_specs(
    State(manager): State<Manager>,
    caller: Caller,
    Path(name): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let given = texts("extra specs", Some(body::parse::<SpecsEnvelope>(&bytes?)?.extra_specs))?;
    manager.set_extra_specs(&caller.context(), &name, given.clone()).await?;
    Ok(Json(json!({ "extra_specs": given })))
}

async fn remove_extra_spec(
    State(manager): State<Manager>,
    caller: Caller,
    Path((name, key)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    manager.remove_extra_spec(&caller.context(), &name, &key).await?;
    Ok(StatusCode::ACCEPTED)
}

fn view(caller: &Caller, share_type: &ShareTypeView) -> Value {
    let required = share_type.extra_specs.get(REQUIRED_SPEC);
    let mut shown = json!({
        "id": share_type.id,
        "name": share_type.name,
        "extra_specs": share_type.extra_specs,
        "required_extra_specs": { REQUIRED_SPEC: required },
    });
    if let Value::Object(fields) = &mut shown {
        let public = if caller.version.at_least(7) {
            "share_type_access:is_public"
        } else {
            "os-share-type-access:is_public"
        };
        fields.insert(public.to_owned(), json!(true));
        if caller.version.at_least(41) {
            fields.insert("description".to_owned(), json!(share_type.description));
        }
        if caller.version.at_least(46) {
            fields.insert("is_default".to_owned(), json!(share_type.is_default));
        }
    }
    shown
}
