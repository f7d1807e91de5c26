//! Whether the daemon lives, and whether it serves. Open to everybody; they tell nothing else.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use bulkhead_manager::{BackendState, Manager};

/// Whether this path needs no token.
pub(crate) fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

pub(crate) fn routes(manager: Manager) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(manager)
}

/// Ready as soon as one backend is, or none is configured: a broken backend must not take the others out of service.
async fn ready(State(manager): State<Manager>) -> (StatusCode, &'static str) {
    let backends = manager.list_backends();
    if backends.is_empty() || backends.iter().any(|backend| backend.state == BackendState::Ready) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no backend is ready\n")
    }
}
