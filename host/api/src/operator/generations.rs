//! Which driver a backend runs, changed in the running daemon: load, swap, rollback, unload, and what came of it.
//!
//! A change is answered with 202 as soon as it has begun; it goes on if the caller hangs up. `changes/{request}` tells its end.

use crate::body;
use crate::error::ApiError;
use crate::request::{Caller, Path};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bulkhead_manager::{ChangeView, Detach, Manager};
use bulkhead_model::id::{BackendName, GenerationNumber};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

type Begun = Result<(StatusCode, Json<Value>), ApiError>;

pub(crate) fn routes() -> Router<Manager> {
    Router::new()
        .route("/v1/backends/{backend}/load", post(load))
        .route("/v1/backends/{backend}/swap", post(swap))
        .route("/v1/backends/{backend}/rollback", post(roll_back))
        .route("/v1/backends/{backend}/unload", post(unload))
        .route("/v1/backends/{backend}/generations", get(list))
        .route("/v1/backends/{backend}/changes/{request}", get(show))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadBody {
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SwapBody {
    driver: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    to: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnloadBody {
    #[serde(default)]
    detach: bool,
}

/// A name for a backend that may not be there yet.
fn name(backend: &str) -> Result<BackendName, ApiError> {
    backend
        .parse()
        .ok()
        .filter(|name: &BackendName| name.as_str() != "host")
        .ok_or_else(|| ApiError::not_found("backend", backend))
}

/// The daemon works elsewhere than whoever asks.
fn absolute(field: &str, path: PathBuf) -> Result<PathBuf, ApiError> {
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(ApiError::BadRequest(format!("{field} is an absolute path")))
    }
}

fn begun(change: &ChangeView) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "change": change })))
}

async fn load(
    State(manager): State<Manager>,
    caller: Caller,
    Path(backend): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Begun {
    let LoadBody { file } = body::parse(&bytes?)?;
    let file = absolute("file", file)?;
    Ok(begun(&manager.load_backend(&caller.context(), &name(&backend)?, file).await?))
}

async fn swap(
    State(manager): State<Manager>,
    caller: Caller,
    Path(backend): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Begun {
    let SwapBody { driver } = body::parse(&bytes?)?;
    let driver = driver.map(|driver| absolute("driver", driver)).transpose()?;
    Ok(begun(&manager.swap_backend(&caller.context(), &name(&backend)?, driver).await?))
}

async fn roll_back(
    State(manager): State<Manager>,
    caller: Caller,
    Path(backend): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Begun {
    let RollbackBody { to } = body::parse(&bytes?)?;
    let to = to.map(GenerationNumber);
    Ok(begun(&manager.roll_back_backend(&caller.context(), &name(&backend)?, to).await?))
}

async fn unload(
    State(manager): State<Manager>,
    caller: Caller,
    Path(backend): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ApiError> {
    let UnloadBody { detach } = body::parse(&bytes?)?;
    let detach = if detach { Detach::Shares } else { Detach::Nothing };
    manager.unload_backend(&caller.context(), &name(&backend)?, detach).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(State(manager): State<Manager>, Path(backend): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "generations": manager.list_generations(&name(&backend)?)? })))
}

async fn show(
    State(manager): State<Manager>,
    Path((backend, request)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "change": manager.show_change(&name(&backend)?, &request)? })))
}
