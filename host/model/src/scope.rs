//! Whose resources a query may see.

use crate::id::{ProjectId, UserId};
use serde::{Deserialize, Serialize};

/// The scope of a query: every query of records takes one, and filters can only narrow it (R14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One project's resources, and nothing else.
    Project(ProjectId),
    /// Everybody's: operators and the host's own recovery.
    Everything,
}

impl Scope {
    /// Whether something of `project` is inside.
    #[must_use]
    pub fn contains(&self, project: &ProjectId) -> bool {
        match self {
            Self::Project(own) => own == project,
            Self::Everything => true,
        }
    }
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Uses shares of one project.
    Tenant,
    /// Reads everything, approves drivers.
    Reviewer,
    /// Everything.
    Operator,
}

/// Who asks: for checks, records and the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The user, as the token names them.
    pub user: UserId,
    /// The project they act in.
    pub project: ProjectId,
    /// What they may do.
    pub role: Role,
}
