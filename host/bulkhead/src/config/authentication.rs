//! Tokens.

use bulkhead_model::id::{ProjectId, UserId};
use bulkhead_model::scope::Role;
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
