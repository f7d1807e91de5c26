//! What brings drivers in: the daemon's part of every change of generation. Implemented where packages, grants and the engine are known;
//! the manager decides when each step is taken and what its failure means.
//!
//! Every method may be repeated, and fails with the words that an operator reads: what is wrong, who has to act, and the line to change.

use crate::records::Origin;
use crate::view::{BackendDescription, BackendFailure};
use async_trait::async_trait;
use bulkhead_model::id::{BackendName, Digest, DriverName, GenerationNumber};
use bulkhead_sandbox::Driver;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration of a backend, by its digest, with the words for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationIdentity {
    /// The digest of everything that makes a generation: package, options, grant and limits.
    pub digest: Digest,
    /// The driver.
    pub driver: DriverName,
    /// The driver's version, as its manifest says.
    pub driver_version: String,
    /// The driver's package.
    pub package: Digest,
}

/// A backend as its operator wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The driver's package, absolute.
    pub driver: PathBuf,
    /// Options, grant and limits, in a form that the loader reads again.
    pub settings: String,
    /// Where it stands.
    pub origin: Origin,
}

/// Where a driver's package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageSource {
    /// In a file of the operator's or the vendor's.
    File(PathBuf),
    /// Among the packages that were kept.
    Kept(Digest),
}

/// What is to become a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its driver.
    pub package: PackageSource,
    /// Options, grant and limits.
    pub settings: String,
}

/// Brings drivers in.
#[async_trait]
pub trait DriverLoader: Send + Sync + Debug {
    /// Read what the daemon's configuration says of a backend now; where it says nothing, the file `recorded`.
    async fn read(&self, backend: &BackendName, recorded: Option<&Path>) -> Result<Written, BackendFailure>;

    /// Read a file with the grammar of backends' files.
    async fn read_file(&self, backend: &BackendName, file: &Path) -> Result<Written, BackendFailure>;

    /// Verify: read the package within its bound, check its digest if it was kept, look at it without running it, and check the
    /// backend's options and the pins of its grant against its manifest.
    async fn verify(
        &self,
        backend: &BackendName,
        wanted: &Wanted,
    ) -> Result<Box<dyn Candidate>, BackendFailure>;

    /// Forget every kept package but those that `needed` names when it is asked, and those that candidates hold.
    async fn keep_only(&self, needed: Needed);
}

/// Which packages generations need, now.
pub type Needed = Box<dyn FnOnce() -> BTreeSet<Digest> + Send>;

/// A verified driver on its way to become a generation. Dropping it undoes nothing and needs nothing undone.
#[async_trait]
pub trait Candidate: Send + Sync + Debug {
    /// Which configuration this is.
    fn identity(&self) -> &ConfigurationIdentity;

    /// Keep the package, durably, for restarts and for the way back. Until the candidate is linked or dropped no
    /// [`DriverLoader::keep_only`] takes it away.
    async fn keep(&mut self) -> Result<(), BackendFailure>;

    /// Compile it, where no call waits for it.
    async fn compile(&mut self) -> Result<(), BackendFailure>;

    /// Bind it to the backend's rights. Nothing of the driver has run before, and nothing runs by this.
    async fn link(
        self: Box<Self>,
        generation: GenerationNumber,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), BackendFailure>;
}
