//! Taking over shares and snapshots that somebody made at a backend, and letting them go. For operators.

use super::view;
use crate::body;
use crate::error::ApiError;
use crate::request::Caller;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use bulkhead_manager::{ManageShare, ManageSnapshot, Manager};
use bulkhead_model::id::BackendName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The first microversion that takes over what is on share servers, and these themselves.
pub(super) const MANAGED_SERVERS: u16 = 49;

pub(crate) fn routes() -> Router<Manager> {
    Router::new().route("/v2/shares/manage", post(share)).route("/v2/snapshots/manage", post(snapshot))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ShareEnvelope {
    share: ShareBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct ShareBody {
    protocol: String,
    export_path: String,
    service_host: String,
    share_type: Option<String>,
    #[serde(alias = "display_name")]
    name: Option<String>,
    #[serde(alias = "display_description")]
    description: Option<String>,
    driver_options: Option<BTreeMap<String, Value>>,
    share_server_id: Option<String>,
}

async fn share(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<ShareEnvelope>(&bytes?)?.share;
    let (backend, pool) = backend_of("service_host", &asked.service_host)?;
    let server = asked.share_server_id.filter(|id| !id.is_empty());
    if server.is_some() && !caller.version.at_least(MANAGED_SERVERS) {
        return Err(ApiError::BadRequest(format!(
            "share_server_id can be given from microversion 2.{MANAGED_SERVERS} on"
        )));
    }
    let new = ManageShare {
        backend,
        pool,
        protocol: asked
            .protocol
            .parse()
            .map_err(|error| ApiError::BadRequest(format!("protocol: {error}")))?,
        export_path: asked.export_path,
        display_name: body::display_text(asked.name),
        display_description: body::display_text(asked.description),
        share_type: asked.share_type,
        driver_options: body::metadata(asked.driver_options)?,
        share_server: server.map(|id| body::id("share server", &id)).transpose()?,
    };
    let made = manager.manage_share(&caller.context(), new).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "share": view::share(&caller, &made) }))))
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SnapshotEnvelope {
    snapshot: SnapshotBody,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
struct SnapshotBody {
    share_id: String,
    provider_location: String,
    #[serde(alias = "display_name")]
    name: Option<String>,
    #[serde(alias = "display_description")]
    description: Option<String>,
    driver_options: Option<BTreeMap<String, Value>>,
}

async fn snapshot(
    State(manager): State<Manager>,
    caller: Caller,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked = body::parse::<SnapshotEnvelope>(&bytes?)?.snapshot;
    let new = ManageSnapshot {
        share: body::id("share", &asked.share_id)?,
        provider_location: asked.provider_location,
        display_name: body::display_text(asked.name),
        display_description: body::display_text(asked.description),
        driver_options: body::metadata(asked.driver_options)?,
    };
    let made = manager.manage_snapshot(&caller.context(), new).await?;
    let shown = view::snapshot(&caller, &made.snapshot, &made.instance);
    Ok((StatusCode::ACCEPTED, Json(json!({ "snapshot": shown }))))
}

/// The backend and the pool of a host string: `HOST@BACKEND#POOL`, of which host and pool may be missing.
pub(super) fn backend_of(field: &str, host: &str) -> Result<(BackendName, Option<String>), ApiError> {
    let after_host = host.split_once('@').map_or(host, |(_, rest)| rest);
    let (backend, pool) = match after_host.split_once('#') {
        Some((backend, pool)) => (backend, Some(pool.to_owned())),
        None => (after_host, None),
    };
    let backend = backend
        .parse()
        .map_err(|_| ApiError::BadRequest(format!("{field} is HOST@BACKEND#POOL, as pool lists show it")))?;
    Ok((backend, pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_host_names_a_backend_and_maybe_its_pool() {
        let of =
            |text: &str| backend_of("host", text).map(|(backend, pool)| (backend.to_string(), pool)).ok();
        assert_eq!(of("bulkhead@nas1#pool"), Some(("nas1".to_owned(), Some("pool".to_owned()))));
        assert_eq!(of("nas1"), Some(("nas1".to_owned(), None)));
        assert_eq!(of("bulkhead@"), None);
    }
}
