//! Who asks.

use crate::error::ApiError;
use axum::http::HeaderMap;
use bulkhead_model::id::{InvalidId, ProjectId, UserId};
use bulkhead_model::scope::{Actor, Role};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// How tenants prove who they are.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Nobody proves anything; everybody is a tenant of the project `default`. Only for loopback addresses.
    None,
    /// A token in `X-Auth-Token`, each with its project and role.
    Tokens(Vec<Token>),
}

/// A static token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The sha256 of its text: a configuration file that leaks gives nobody access.
    pub digest: TokenDigest,
    /// Who it stands for.
    pub actor: Actor,
}

/// The sha256 of a token, as 64 hexadecimal digits: what `printf %s TOKEN | sha256sum` prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token's text.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest(…)")
    }
}

impl FromStr for TokenDigest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        format!("sha256:{text}").parse().map(|digest: bulkhead_model::id::Digest| Self(*digest.as_bytes()))
    }
}

const TOKEN_HEADER: &str = "x-auth-token";
/// Who acts through the unix socket, and for whom: set by our own command line.
const PROJECT_HEADER: &str = "x-bulkhead-project";

impl Authentication {
    /// Who sent this request over the network.
    ///
    /// Digests are compared, not tokens: how long a comparison takes says nothing about a token's text.
    pub(crate) fn actor(&self, headers: &HeaderMap) -> Result<Actor, ApiError> {
        match self {
            Self::None => anonymous(),
            Self::Tokens(tokens) => {
                let given = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
                let digest = TokenDigest::of(given.ok_or(ApiError::Unauthenticated)?);
                tokens
                    .iter()
                    .find(|token| token.digest == digest)
                    .map(|token| token.actor.clone())
                    .ok_or(ApiError::Unauthenticated)
            }
        }
    }
}

/// The tenant everybody is where nobody proves anything.
fn anonymous() -> Result<Actor, ApiError> {
    actor("anonymous", "default", Role::Tenant)
}

/// The operator behind the unix socket, acting in the project they name, `default` if they name none.
pub(crate) fn socket_actor(headers: &HeaderMap) -> Result<Actor, ApiError> {
    let project = headers.get(PROJECT_HEADER).and_then(|value| value.to_str().ok()).unwrap_or("default");
    actor("operator", project, Role::Operator)
}

fn actor(user: &str, project: &str, role: Role) -> Result<Actor, ApiError> {
    let invalid = |error: InvalidId| ApiError::BadRequest(error.to_string());
    let user: UserId = user.parse().map_err(invalid)?;
    let project: ProjectId = project.parse().map_err(invalid)?;
    Ok(Actor { user, project, role })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn tokens() -> Authentication {
        let actor = actor("alice", "blue", Role::Tenant).expect("an actor");
        Authentication::Tokens(vec![Token { digest: TokenDigest::of("open sesame"), actor }])
    }

    #[test]
    fn a_known_token_is_its_project() {
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN_HEADER, HeaderValue::from_static("open sesame"));
        assert_eq!(
            tokens().actor(&headers).map(|actor| actor.project.to_string()).ok(),
            Some("blue".to_owned())
        );
    }

    #[test]
    fn without_a_known_token_nobody_is_let_in() {
        let mut headers = HeaderMap::new();
        assert!(matches!(tokens().actor(&headers), Err(ApiError::Unauthenticated)));
        headers.insert(TOKEN_HEADER, HeaderValue::from_static("open"));
        headers.insert(PROJECT_HEADER, HeaderValue::from_static("blue"));
        assert!(matches!(tokens().actor(&headers), Err(ApiError::Unauthenticated)));
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let printed = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(printed.parse(), Ok(TokenDigest::of("foo")));
    }

    #[test]
    fn without_authentication_everybody_is_a_tenant_of_default() {
        let mut headers = HeaderMap::new();
        headers.insert(PROJECT_HEADER, HeaderValue::from_static("blue"));
        let actor = Authentication::None.actor(&headers).expect("anybody");
        assert_eq!((actor.project.as_str(), actor.role), ("default", Role::Tenant));
    }
}
