//! Generations: which configuration of a backend is which number (design.md 2).
//!
//! Called by whoever loads a driver, before anything of it runs. A number is durable before it is answered and never given twice, so
//! that the ledger's "generation 3" means one package with one set of options, grants and limits for ever.

use crate::error::ManagerError;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{BackendRecord, Cause, Change, Expect, Row};
use bulkhead_model::id::{BackendName, Digest, DriverName, GenerationNumber};

/// A configuration of a backend, by its digest, with the words for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl Manager {
    /// The generation of a backend that `configuration` is: the newest one if its digest is the same, else the next one, recorded
    /// before this returns. Calling it again with the same configuration answers the same number.
    ///
    /// Fails if the record cannot be committed, and while the daemon ends.
    pub async fn generation_of(
        &self,
        name: &BackendName,
        configuration: ConfigurationIdentity,
    ) -> Result<GenerationNumber, ManagerError> {
        let name = name.clone();
        self.detached(async move |inner| number(&inner, &name, &configuration).await).await
    }
}

async fn number(
    inner: &Inner,
    name: &BackendName,
    configuration: &ConfigurationIdentity,
) -> Result<GenerationNumber, ManagerError> {
    inner
        .transact(|tables| {
            let stored = tables.backend(name);
            if let Some(stored) = stored
                && stored.configuration == Some(configuration.digest)
            {
                return Ok(Proposal::Settled(stored.generation));
            }
            let newest = stored.map_or(0, |stored| stored.generation.0);
            let generation = GenerationNumber(newest.saturating_add(1));
            let record = BackendRecord {
                name: name.clone(),
                fingerprint: stored.and_then(|stored| stored.fingerprint.clone()),
                generation,
                configuration: Some(configuration.digest),
            };
            let ConfigurationIdentity { driver, driver_version, package, digest } = configuration;
            let words = format_args!(
                "generation {generation}: {driver} {driver_version} {package}, configuration {digest}"
            );
            let mut change = Change::default();
            change.note(&Cause::host("load"), format_args!("backend/{name}"), words);
            let expect = stored.map_or(Expect::Absent, |stored| Expect::Unchanged(stored.revision));
            change.put(expect, Row::Backend(record));
            Ok(Proposal::Commit(name.clone(), change, generation))
        })
        .await
}
