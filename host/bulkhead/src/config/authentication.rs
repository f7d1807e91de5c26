//! Tokens.

use bulkhead_api::TokenDigest;
use bulkhead_model::id::{ProjectId, UserId};
use bulkhead_model::scope::Role;
use bulkhead_package::toml_file::{Finding, Step};
use serde::Deserialize;

/// `[[token]]`: a static token, its project and role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TokenConfiguration {
    /// What `printf %s TOKEN | sha256sum` prints: the token itself stands in no file of ours.
    pub(crate) sha256: String,
    /// The project it acts in.
    pub(crate) project: ProjectId,
    /// The user it stands for.
    pub(crate) user: UserId,
    /// What it may do (`tenant`).
    #[serde(default = "tenant")]
    pub(crate) role: Role,
}

const fn tenant() -> Role {
    Role::Tenant
}

/// What is wrong with the tokens: one that is none, or that stands for two, of whom only the first would ever be meant.
pub(super) fn check(tokens: &[TokenConfiguration]) -> Vec<Finding> {
    let digests: Vec<Option<TokenDigest>> = tokens.iter().map(|token| token.sha256.parse().ok()).collect();
    let unfit = |index: usize, what: String, hint: &str| {
        let path = vec![Step::from("token"), Step::from(index), Step::from("sha256")];
        Finding::new(path, what).hint(hint)
    };
    let of_token = |(index, (token, digest)): (usize, (&TokenConfiguration, &Option<TokenDigest>))| {
        if digest.is_none() {
            let hint = "write what 'printf %s TOKEN | sha256sum' prints";
            return Some(unfit(index, "not 64 hexadecimal digits".to_owned(), hint));
        }
        let (_, first) = digests.iter().zip(tokens).take(index).find(|(other, _)| *other == digest)?;
        let what = format!(
            "user {} of project {} would have the token that user {} of project {} has",
            token.user, token.project, first.user, first.project
        );
        Some(unfit(index, what, "give each a token of its own"))
    };
    tokens.iter().zip(&digests).enumerate().filter_map(of_token).collect()
}
