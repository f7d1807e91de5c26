//! Why a file is not a driver this host can run. Each message fits on one screen and says what to do.

use crate::manifest::ManifestError;
use bulkhead_model::contract::Misfit;
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
    /// It is no component, or one that does not fit the contract.
    #[error(transparent)]
    Misfit(#[from] Misfit),
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
    /// The contract in this binary does not parse: a fault of the build.
    #[error("the contract inside this program does not parse: {reason}")]
    Contract {
        /// Why.
        reason: String,
    },
}
