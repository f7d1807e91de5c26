//! Resources that were an experiment once: below a microversion a client has to say that it knows, as in Manila.

use crate::error::ApiError;
use crate::request::Caller;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

const EXPERIMENTAL: &str = "x-openstack-manila-api-experimental";

/// From when on there is something, and from when on for everybody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Experiment {
    /// What, in words.
    pub(super) what: &'static str,
    /// The first microversion that has it.
    pub(super) first: u16,
    /// The first at which it is no experiment; none if it is one for ever.
    pub(super) settled: Option<u16>,
}

impl Experiment {
    /// Who asks, if their microversion has it.
    pub(super) async fn admit<S: Sync>(self, parts: &mut Parts, state: &S) -> Result<Caller, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        self.check(&caller, &parts.headers)?;
        Ok(caller)
    }

    /// Fail unless the caller's microversion has it.
    pub(super) fn check(self, caller: &Caller, headers: &HeaderMap) -> Result<(), ApiError> {
        let Self { what, first, settled } = self;
        let knows = headers.get(EXPERIMENTAL).and_then(|value| value.to_str().ok());
        let is_experimental = knows.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_settled = settled.is_some_and(|settled| caller.version.at_least(settled));
        if is_settled || (caller.version.at_least(first) && is_experimental) {
            return Ok(());
        }
        let for_all =
            settled.map(|settled| format!("from microversion 2.{settled} on, and ")).unwrap_or_default();
        Err(ApiError::NotFound(format!(
            "{what} are served {for_all}from 2.{first} on to clients that send X-OpenStack-Manila-API-Experimental: True"
        )))
    }
}
