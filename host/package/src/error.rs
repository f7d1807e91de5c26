//! Why a file is not a driver this host can run. Each message fits on one screen and says what to do.

use crate::kind::Kind;
use crate::manifest::ManifestError;
use bulkhead_model::ability::CONTRACT_VERSION;
use std::path::PathBuf;

/// A package that is refused.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is larger than any driver.
    #[error(
        "the package has more than {most} bytes\n\
         hint: build with 'bulkhead driver build', which optimises for size and leaves out what is not used"
    )]
    TooLarge {
        /// The most a package may have.
        most: usize,
    },
    /// It is something else.
    #[error("this is not a component: {what}\nhint: {hint}", what = .kind.advice().0, hint = .kind.advice().1)]
    NotAComponent {
        /// What it is.
        kind: Kind,
    },
    /// It begins as a component and then is none.
    #[error(
        "this is not a sound component: {reason} (at byte {offset})\n\
         hint: the file is cut short, changed, or uses a proposal this host does not run; build or fetch it again"
    )]
    Malformed {
        /// The byte, from 0.
        offset: usize,
        /// What the validator says.
        reason: String,
    },
    /// Its interfaces cannot be read.
    #[error(
        "the component's interfaces cannot be read: {reason}\nhint: build it with 'bulkhead driver build'"
    )]
    Undecodable {
        /// What the decoder says.
        reason: String,
    },
    /// It has too many of something.
    #[error("the component has {found} {what}, more than the {most} this host loads (limit-exceeded)")]
    LimitExceeded {
        /// What.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many it may have.
        most: u64,
    },
    /// It carries no manifest.
    #[error(
        "the component carries no manifest, so nobody knows what it may touch\n\
         hint: build it with 'bulkhead driver build', which embeds driver.toml as the custom section 'bulkhead:manifest'\n\
         hint: a component of another language gets it with 'bulkhead driver embed'"
    )]
    NoManifest,
    /// It carries more than one manifest.
    #[error(
        "the component carries {count} sections 'bulkhead:manifest', and nobody can say which one a reviewer has read\n\
         hint: 'bulkhead driver build' writes exactly one"
    )]
    ManyManifests {
        /// How many.
        count: usize,
    },
    /// Its manifest is no text.
    #[error(
        "the section 'bulkhead:manifest' is not UTF-8 text\nhint: build it again with 'bulkhead driver build'"
    )]
    ManifestNotText,
    /// Its manifest is not accepted.
    #[error("the manifest is not accepted\n{0}")]
    Manifest(ManifestError),
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
    /// The contract in this binary does not parse: a fault of the build.
    #[error("the contract inside this program does not parse: {reason}")]
    Contract {
        /// Why.
        reason: String,
    },
}
