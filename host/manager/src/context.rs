//! Who asks, and how a repeated request is recognised.

use crate::error::ManagerError;
use bulkhead_model::id::RequestId;
use bulkhead_model::scope::{Actor, Role, Scope};

/// The context of one request. Every verb that changes something takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// Who asks.
    pub actor: Actor,
    /// The request, for logs, ledger and answers.
    pub request: RequestId,
    /// The caller's word for "this is the same request": 1 to 255 bytes, valid for 24 hours within the project. The same key with the
    /// same arguments returns the first result; with other arguments it is refused.
    pub idempotency_key: Option<String>,
}

impl RequestContext {
    /// What this request may see: operators and reviewers everything, tenants their project.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self.actor.role {
            Role::Tenant => Scope::Project(self.actor.project.clone()),
            Role::Reviewer | Role::Operator => Scope::Everything,
        }
    }

    /// Fails for reviewers, who only read.
    pub(crate) fn require_change(&self) -> Result<(), ManagerError> {
        match self.actor.role {
            Role::Tenant | Role::Operator => Ok(()),
            Role::Reviewer => Err(ManagerError::Forbidden { needs: "tenant or operator" }),
        }
    }

    /// Fails for everybody but operators.
    pub(crate) fn require_operator(&self) -> Result<(), ManagerError> {
        match self.actor.role {
            Role::Operator => Ok(()),
            Role::Tenant | Role::Reviewer => Err(ManagerError::Forbidden { needs: "operator" }),
        }
    }
}
