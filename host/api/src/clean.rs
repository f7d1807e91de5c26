//! Secrets taken out of what is answered: on their way here they were already, this is the last door.

use crate::error::ApiError;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bulkhead_model::secret::Cleaner;

/// Which answers are cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleaned {
    /// Those that say what failed. What succeeds may tell tenants their own access keys.
    Failures,
    /// All: no secret is the operator's to read.
    All,
}

impl Cleaned {
    fn covers(self, status: StatusCode) -> bool {
        self == Self::All || !status.is_success()
    }
}

/// Take the secrets out of an answer.
pub(crate) async fn clean(
    State((cleaned, cleaner)): State<(Cleaned, Cleaner)>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if cleaned.covers(response.status()) { without_secrets(&cleaner, response).await } else { response }
}

/// Answers are made whole before they are sent: none is as long as memory.
async fn without_secrets(cleaner: &Cleaner, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return ApiError::Internal.into_response() };
    let Some(clean) = cleaner.clean(&bytes) else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(clean))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaner() -> Cleaner {
        Cleaner::new(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            text.contains("horse").then(|| text.replace("horse", "[secret]").into_bytes())
        })
    }

    #[tokio::test]
    async fn a_failure_that_holds_a_secret_is_answered_without_it() {
        for (message, wanted) in [("no horse here", "no [secret] here"), ("nothing", "nothing")] {
            let response = ApiError::Conflict(message.to_owned()).into_response();
            let clean = without_secrets(&cleaner(), response).await;
            assert_eq!(clean.status(), StatusCode::CONFLICT);
            let bytes = to_bytes(clean.into_body(), usize::MAX).await.expect("a body");
            let body: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(body["conflictingRequest"]["message"], wanted);
        }
    }

    #[test]
    fn tenants_read_their_own_keys_and_operators_read_none() {
        assert!(!Cleaned::Failures.covers(StatusCode::OK) && Cleaned::Failures.covers(StatusCode::CONFLICT));
        assert!(Cleaned::All.covers(StatusCode::OK) && Cleaned::All.covers(StatusCode::CONFLICT));
    }
}
