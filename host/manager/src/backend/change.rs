//! Changes of generation as people see them: what was asked, by whom, how far it is, why it failed. Kept in memory for those who wait
//! for the end; what must be known for ever stands in the ledger and in the generation's record.

use crate::view::BackendFailure;
use bulkhead_model::id::{GenerationNumber, RequestId};
use bulkhead_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// How many changes of a backend are remembered.
const REMEMBERED: usize = 32;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// A backend from a file that the operator named.
    Load,
    /// Another driver, or the configuration read anew.
    Swap,
    /// An earlier generation.
    Rollback,
    /// The daemon's configuration has something new.
    Configuration,
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Load => "load",
            Self::Swap => "swap",
            Self::Rollback => "rollback",
            Self::Configuration => "configuration",
        })
    }
}

/// The steps of a change, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Read what the backend shall be.
    Configure,
    /// Read, check and look at the package; check options and pins.
    Verify,
    /// Give it a number, keep the package.
    Prepare,
    /// Compile it.
    Compile,
    /// Bind it to its rights.
    Link,
    /// The driver's `setup`.
    Setup,
    /// The driver's first statistics.
    Statistics,
    /// Make it current.
    Commit,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Configure => "configure",
            Self::Verify => "verify",
            Self::Prepare => "prepare",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Setup => "setup",
            Self::Statistics => "statistics",
            Self::Commit => "commit",
        })
    }
}

/// How a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    /// On its way.
    Running,
    /// The generation is current.
    Done,
    /// What was asked for is current already; nothing was done.
    Unchanged,
    /// Nothing has changed, for the reason given.
    Failed,
}

/// One attempt to give a backend another generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeView {
    /// The request; names the change.
    pub request: RequestId,
    /// What was asked.
    pub asked: Asked,
    /// By whom.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// How it stands.
    pub state: ChangeState,
    /// The step it is at, or ended at.
    pub step: Step,
    /// The generation that becomes or became current; none before it has a number.
    pub generation: Option<GenerationNumber>,
    /// The one that served when it was asked for.
    pub before: Option<GenerationNumber>,
    /// Why it failed.
    pub failure: Option<BackendFailure>,
}

/// The changes of a backend since the daemon started, newest last.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<ChangeView>);

impl History {
    pub(super) fn begin(&mut self, change: ChangeView) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(change);
    }

    pub(super) fn alter(&mut self, request: &RequestId, alter: impl FnOnce(&mut ChangeView)) {
        if let Some(change) = self.0.iter_mut().rev().find(|change| change.request == *request) {
            alter(change);
        }
    }

    pub(super) fn find(&self, request: &str) -> Option<ChangeView> {
        self.0.iter().rev().find(|change| change.request.to_string() == request).cloned()
    }

    pub(super) fn newest(&self) -> Option<ChangeView> {
        self.0.back().cloned()
    }
}
