//! Why a component is not a driver that this host can run. Each message fits on one screen and says what to do.

use bulkhead_model::contract::Misfit;
use bulkhead_model::id::Digest;

/// A component that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is no component, or one that does not fit the contract.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// It is larger than any driver.
    #[error(
        "the component has {found} bytes, more than the {most} this host loads\nhint: build it for size, without what is not used"
    )]
    TooLarge {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// The bytes are not those that were asked for.
    #[error("the component is {found}, not {expected}\nhint: it was changed on its way; fetch it again")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// The engine cannot compile it.
    #[error(
        "the engine refuses this component: {reason}\n\
         hint: it is cut short, changed, or uses a proposal this host does not run; build or fetch it again"
    )]
    Malformed {
        /// What the engine says.
        reason: String,
    },
    /// An instance needs more than the backend's limits give before any function is called.
    #[error(
        "an instance of this driver needs {needed} {what} to begin with, the limit {limit} is {most}\n\
         hint: raise limits.{limit} of the backend, or build a smaller driver"
    )]
    LimitExceeded {
        /// The limit's name in the configuration.
        limit: &'static str,
        /// What is counted.
        what: &'static str,
        /// How much it needs.
        needed: u64,
        /// How much there is.
        most: u64,
    },
}
