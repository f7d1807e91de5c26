//! Why a component does not fit the contract. Each message fits on one screen and says what to do.

use super::kind::Kind;
use crate::ability::CONTRACT_VERSION;

/// What keeps some bytes from being a driver for this host, whoever looks at them: the package's reader or the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is something else.
    #[error("this is not a component: {what}\nhint: {hint}", what = .kind.advice().0, hint = .kind.advice().1)]
    NotAComponent {
        /// What it is.
        kind: Kind,
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
         hint: a driver may import {known} of bulkhead:host, and nothing else", list = .imports.join(", ")
    )]
    UnknownImports {
        /// The imports.
        imports: Vec<String>,
        /// What this host offers.
        known: String,
    },
    /// It does not export what every driver has.
    #[error("the component does not export what every driver must: {list}{near}", list = .missing.join(", "))]
    MissingExports {
        /// The interfaces.
        missing: Vec<String>,
        /// What it exports that comes near, and what to do, as further lines.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasi_is_refused_with_the_way_out() {
        let misfit = Misfit::Wasi { imports: vec!["wasi:cli/environment@0.2.0".to_owned()] }.to_string();
        assert!(misfit.contains("wasi:cli/environment@0.2.0") && misfit.contains("--stub-wasi"), "{misfit}");
    }
}
