//! Failures as OpenStack faults: a stable code, our own words, never a driver's.

use axum::Json;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bulkhead_manager::{ErrorKind, ManagerError};
use bulkhead_model::text::GuestText;
use serde_json::json;
use std::error::Error;

/// What a client waits, in seconds, until what is being started may serve it.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Why a request was not served. What `Display` prints is what the client reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// No known token.
    #[error("no known token in X-Auth-Token; ask the operator for one")]
    Unauthenticated,
    /// Known, but not for this.
    #[error("{0}")]
    Forbidden(String),
    /// Nothing there, or not for this project: the answer is the same.
    #[error("{0}")]
    NotFound(String),
    /// The path is right, the method is not.
    #[error("this method is not served at this path; the header Allow names those that are")]
    MethodNotAllowed,
    /// Not in this state.
    #[error("{0}")]
    Conflict(String),
    /// The microversion cannot be served.
    #[error("{0}")]
    NotAcceptable(String),
    /// The body is longer than we read.
    #[error("the body is longer than {} bytes", crate::body::LARGEST_BYTES)]
    TooLarge,
    /// Too much at once.
    #[error("{0}")]
    Busy(String),
    /// What would serve it is only being started.
    #[error("{0}; try again in a moment")]
    Starting(String),
    /// Something of ours broke; the log has the reason under this request's id.
    #[error("the server failed; its log has the reason under this request's id")]
    Internal,
}

impl ApiError {
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        let shown: String = id.chars().take(64).collect();
        Self::NotFound(format!("{kind} {shown} could not be found"))
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy(_) | Self::Starting(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The fault's name, as OpenStack clients know it.
    const fn fault(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "badRequest",
            Self::Unauthenticated => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "itemNotFound",
            Self::MethodNotAllowed => "badMethod",
            Self::Conflict(_) => "conflictingRequest",
            Self::NotAcceptable(_) => "notAcceptable",
            Self::TooLarge => "overLimit",
            Self::Busy(_) | Self::Starting(_) => "serviceUnavailable",
            Self::Internal => "computeFault",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let wait = matches!(self, Self::Starting(_)).then_some((header::RETRY_AFTER, RETRY_SECONDS));
        // Messages repeat what was asked: it must not steer the terminal of whoever reads them.
        let message = GuestText::message(&self.to_string());
        let fault = json!({ self.fault(): { "code": status.as_u16(), "message": message } });
        let mut response = (status, Json(fault)).into_response();
        response.headers_mut().extend(wait);
        response
    }
}

impl From<ManagerError> for ApiError {
    fn from(error: ManagerError) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::BadRequest(message),
            ErrorKind::Forbidden => Self::Forbidden(message),
            ErrorKind::NotFound => Self::NotFound(message),
            ErrorKind::Conflict => Self::Conflict(message),
            ErrorKind::Unavailable => Self::Busy(message),
            ErrorKind::Internal => {
                tracing::error!(error = chain(&error), "a request failed in the manager");
                Self::Internal
            }
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Self::TooLarge,
            _ => Self::BadRequest("the body broke off".to_owned()),
        }
    }
}

/// An error with everything that caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
