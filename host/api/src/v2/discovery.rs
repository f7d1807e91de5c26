//! Which versions there are. Every command of the stock client asks this first, without a token.

use crate::microversion::{LATEST, OLDEST};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

pub(crate) fn is_discovery(path: &str) -> bool {
    matches!(path, "/" | "/v2" | "/v2/")
}

pub(crate) fn routes() -> Router {
    Router::new().route("/", get(versions)).route("/v2", get(version_two)).route("/v2/", get(version_two))
}

async fn versions(headers: HeaderMap) -> (StatusCode, Json<Value>) {
    (StatusCode::MULTIPLE_CHOICES, Json(json!({ "versions": [version(&headers)] })))
}

async fn version_two(headers: HeaderMap) -> Json<Value> {
    Json(json!({ "versions": [version(&headers)] }))
}

fn version(headers: &HeaderMap) -> Value {
    // The name the client used has been checked; on the unix socket there is none that matters.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    json!({
        "id": "v2.0",
        "status": "CURRENT",
        "version": LATEST.to_string(),
        "min_version": OLDEST.to_string(),
        "updated": "2015-08-27T11:33:21Z",
        "links": [{ "rel": "self", "href": format!("http://{host}/v2/") }],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.share+json;version=1",
        }],
    })
}
