//! Resources that were an experiment once: below a microversion a client has to say that it knows, as in Manila.

use crate::error::ApiError;
use crate::request::Caller;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

const EXPERIMENTAL: &str = "x-openstack-manila-api-experimental";

/// From when on there is something, and from when on for everybody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Experiment {
    /// What, in words.
    pub(super) what: &'static str,
    /// The first microversion that has it.
    pub(super) first: u16,
    /// The first at which it is no experiment.
    pub(super) settled: u16,
}

impl Experiment {
    /// Who asks, if their microversion has it.
    pub(super) async fn admit<S: Sync>(self, parts: &mut Parts, state: &S) -> Result<Caller, ApiError> {
        let Self { what, first, settled } = self;
        let caller = Caller::from_request_parts(parts, state).await?;
        let knows = parts.headers.get(EXPERIMENTAL).and_then(|value| value.to_str().ok());
        let is_experimental = knows.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if caller.version.at_least(settled) || (caller.version.at_least(first) && is_experimental) {
            return Ok(caller);
        }
        Err(ApiError::NotFound(format!(
            "{what} are served from microversion 2.{settled} on, and from 2.{first} on to clients that send \
             X-OpenStack-Manila-API-Experimental: True"
        )))
    }
}
