//! Why a component is not a driver that this host can run. Each message fits on one screen and says what to do.

use bulkhead_model::ability::CONTRACT_VERSION;
use bulkhead_model::id::Digest;

/// A component that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is something else.
    #[error("this is not a component: {what}\nhint: {hint}")]
    NotAComponent {
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
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
    /// It is for another version of the contract.
    #[error(
        "{interface} is built for contract {found}, this host speaks {spoken}\n\
         hint: {advice}", spoken = CONTRACT_VERSION
    )]
    ContractVersion {
        /// The first interface that says so.
        interface: String,
        /// The version it was built for, or "none".
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// It wants WASI.
    #[error(
        "the component imports WASI, which no driver gets: {list}\n\
         hint: Rust: build for wasm32-unknown-unknown ('bulkhead driver build' does)\n\
         hint: Python: componentize-py … --stub-wasi", list = .imports.join(", ")
    )]
    Wasi {
        /// The imports.
        imports: Vec<String>,
    },
    /// It wants what nobody offers.
    #[error(
        "the component imports what this host does not offer: {list}\n\
         hint: a driver may import {known} of bulkhead:host, and nothing else{later}", list = .imports.join(", ")
    )]
    UnknownImports {
        /// The imports.
        imports: Vec<String>,
        /// What this host offers.
        known: String,
        /// What of it is of the contract, as a further line.
        later: String,
    },
    /// It does not export what every driver has.
    #[error("the component does not export what every driver must: {list}{near}", list = .missing.join(", "))]
    MissingExports {
        /// The interfaces.
        missing: Vec<String>,
        /// What it exports that comes near, or what to do, as further lines.
        near: String,
    },
    /// Functions have other types than in the contract.
    #[error(
        "functions differ from contract {spoken}:\n{list}\n\
         hint: build against the WIT of this release, which 'bulkhead driver new' unpacks",
        spoken = CONTRACT_VERSION, list = .mismatches.join("\n")
    )]
    Signature {
        /// One line per function.
        mismatches: Vec<String>,
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
