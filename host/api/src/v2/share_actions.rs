//! `POST /v2/shares/{id}/action`: one verb and its arguments.

use super::{access_rules, share_migration};
use crate::body;
use crate::error::ApiError;
use crate::json::by_name;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bulkhead_manager::{Force, Manager, NewAccessRule};
use bulkhead_model::access::{AccessLevel, AccessTo};
use bulkhead_model::id::ShareId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v2/shares/{share}/action", post(act))
}

async fn act(
    State(manager): State<Manager>,
    caller: Caller,
    headers: HeaderMap,
    Path(share): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let id = body::id("share", &share)?;
    let (verb, arguments) = only_entry(body::parse(&bytes?)?)?;
    let context = caller.context();
    // Before 2.7 every verb had the prefix.
    match verb.strip_prefix("os-").unwrap_or(&verb) {
        "allow_access" => allow(&manager, &caller, id, arguments).await,
        "deny_access" => {
            let asked: DenyBody = convert(arguments)?;
            manager.deny_access(&context, id, body::id("access rule", &asked.access_id)?).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "access_list" => {
            let rules = manager.list_access_rules(&caller.scope_by_id(), id)?;
            let rules: Vec<_> = rules.iter().map(|rule| access_rules::summary(&caller, rule)).collect();
            Ok(Json(json!({ "access_list": rules })).into_response())
        }
        "extend" => {
            let asked: SizeBody = convert(arguments)?;
            manager.extend_share(&context, id, body::size("new_size", asked.new_size.as_ref())?).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "shrink" => {
            let asked: SizeBody = convert(arguments)?;
            manager.shrink_share(&context, id, body::size("new_size", asked.new_size.as_ref())?).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "revert" => {
            let asked: RevertBody = convert(arguments)?;
            manager.revert_share(&context, id, body::id("snapshot", &asked.snapshot_id)?).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "reset_status" => {
            let asked: StatusBody = convert(arguments)?;
            let status = asked.status.parse().map_err(|_| unknown_status(&asked.status, "available"))?;
            manager.reset_share_status(&context, id, status).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "unmanage" => {
            manager.unmanage_share(&context, id).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "force_delete" => {
            manager.delete_share(&context, id, Force::Yes).await?;
            Ok(StatusCode::ACCEPTED.into_response())
        }
        "migration_start" => share_migration::start(&manager, (&caller, &headers), id, arguments).await,
        "migration_complete" => share_migration::complete(&manager, (&caller, &headers), id).await,
        "migration_cancel" => share_migration::cancel(&manager, (&caller, &headers), id).await,
        "migration_get_progress" => share_migration::progress(&manager, (&caller, &headers), id).await,
        "reset_task_state" => share_migration::reset_task_state(&manager, &caller, id, arguments).await,
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(ApiError::BadRequest(format!("there is no action '{shown}' on a share here")))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct AllowBody {
    access_type: String,
    access_to: String,
    access_level: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct DenyBody {
    pub(super) access_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SizeBody {
    new_size: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct RevertBody {
    snapshot_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct StatusBody {
    #[serde(alias = "os-status")]
    pub(super) status: String,
}

async fn allow(
    manager: &Manager,
    caller: &Caller,
    share: ShareId,
    arguments: Value,
) -> Result<Response, ApiError> {
    let asked: AllowBody = convert(arguments)?;
    let access_to = AccessTo::parse(&asked.access_type, &asked.access_to)
        .map_err(|invalid| ApiError::BadRequest(invalid.to_string()))?;
    let level = level(asked.access_level.as_deref())?;
    let new = NewAccessRule { access_to, level, metadata: body::metadata(asked.metadata)? };
    let rule = manager.allow_access(&caller.context(), share, new).await?;
    Ok(Json(json!({ "access": access_rules::full(caller, &rule) })).into_response())
}

fn level(text: Option<&str>) -> Result<AccessLevel, ApiError> {
    match text {
        None | Some("rw") => Ok(AccessLevel::Rw),
        Some("ro") => Ok(AccessLevel::Ro),
        Some(_) => Err(ApiError::BadRequest("access_level is rw or ro".to_owned())),
    }
}

/// The one verb of an action body.
pub(super) fn only_entry(actions: Map<String, Value>) -> Result<(String, Value), ApiError> {
    let mut entries = actions.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(ApiError::BadRequest("an action body names exactly one action".to_owned())),
    }
}

pub(super) fn convert<T: DeserializeOwned>(arguments: Value) -> Result<T, ApiError> {
    by_name(arguments).map_err(|error| {
        ApiError::BadRequest(format!("the action's arguments are not what it takes: {error}"))
    })
}

/// The usual ones are those that a person sets: the one of what serves, and that of what needs help.
pub(super) fn unknown_status(status: &str, serves: &str) -> ApiError {
    let shown: String = status.chars().take(64).collect();
    ApiError::BadRequest(format!("there is no status '{shown}'; '{serves}' and 'error' are the usual ones"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_an_action_have_names() {
        assert!(convert::<DenyBody>(json!({ "access_id": "a" })).is_ok());
        assert!(convert::<DenyBody>(json!(["a"])).is_err());
    }
}
