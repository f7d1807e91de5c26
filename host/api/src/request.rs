//! What every handler knows of a request.

use crate::access_key::AccessKeyReader;
use crate::error::ApiError;
use crate::microversion::Microversion;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bulkhead_manager::RequestContext;
use bulkhead_model::id::RequestId;
use bulkhead_model::scope::{Actor, Role, Scope};
use serde::de::DeserializeOwned;

/// Who asks, in which form, and under which id: put into the request by the router before any handler sees it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who.
    pub(crate) actor: Actor,
    /// Which form of the API they speak.
    pub(crate) version: Microversion,
    /// The id of the request.
    pub(crate) request: RequestId,
    /// `Idempotency-Key`, if they sent one.
    pub(crate) idempotency_key: Option<String>,
    /// What tells them the credentials of their own access rules.
    pub(crate) access_keys: AccessKeyReader,
}

impl Caller {
    /// What the caller may see: their project. Operators and reviewers who ask for all projects see all.
    pub(crate) fn scope(&self, reach: Reach) -> Scope {
        match (self.actor.role, reach) {
            (Role::Operator | Role::Reviewer, Reach::AllProjects) => Scope::Everything,
            _ => Scope::Project(self.actor.project.clone()),
        }
    }

    /// What the caller may name by id: operators anything, others what is their project's.
    pub(crate) fn scope_by_id(&self) -> Scope {
        self.scope(Reach::AllProjects)
    }

    /// For the manager's verbs.
    pub(crate) fn context(&self) -> RequestContext {
        RequestContext {
            actor: self.actor.clone(),
            request: self.request.clone(),
            idempotency_key: self.idempotency_key.clone(),
        }
    }
}

/// How far a list reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The caller's project.
    OwnProject,
    /// `all_tenants=1`.
    AllProjects,
}

impl Reach {
    /// What `all_tenants` says.
    pub(crate) fn of(all_tenants: Option<&str>) -> Self {
        match all_tenants {
            Some("1" | "true" | "True") => Self::AllProjects,
            _ => Self::OwnProject,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Internal)
    }
}

/// The parts of a path. Unlike axum's own, it refuses as every refusal here reads.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::BadRequest(rejection.body_text())),
        }
    }
}

/// The query of a request. Unlike axum's own, it refuses as every refusal here reads.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::BadRequest(unreadable(&rejection.body_text()))),
        }
    }
}

/// Why a query is not read, in words of ours: what the parser says names its own steps.
fn unreadable(told: &str) -> String {
    match told.split_once("duplicate field ") {
        Some((_, field)) => format!("the query names {} twice; name it once", field.replace('`', "'")),
        None => {
            let reason = told.split_once(": ").map_or(told, |(_, reason)| reason);
            format!("the query is not what this call takes: {}", reason.replace('`', "'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Page {
        limit: Option<u8>,
    }

    async fn limit_of(query: &str) -> Result<Option<u8>, String> {
        let request = Request::builder().uri(format!("/v2/shares?{query}")).body(()).expect("a request");
        let read = Query::<Page>::from_request_parts(&mut request.into_parts().0, &()).await;
        read.map(|Query(page)| page.limit).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_query_that_cannot_be_read_is_refused_in_words() {
        assert_eq!(limit_of("limit=1").await, Ok(Some(1)));
        let twice = limit_of("limit=1&limit=2").await.expect_err("twice");
        assert_eq!(twice, "the query names 'limit' twice; name it once");
        let other = limit_of("limit=x").await.expect_err("no number");
        assert!(other.starts_with("the query is not what this call takes: "), "{other}");
    }
}
