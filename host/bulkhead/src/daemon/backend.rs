//! From a backend's configuration to a driver that serves: read the package, check options and grant, compile, link, hand over.
//!
//! Whatever fails shows in `backend show`, and everything from reading the package on is tried again by the manager, with growing
//! waits: a root that is mounted later or a package that is put right needs nobody to tell the daemon.

use super::load_failure::LoadFailure;
use super::state::StateDirectory;
use crate::config::BackendConfiguration;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::CommandRunner;
use bulkhead_capability::lock::Locks;
use bulkhead_ledger::Ledger;
use bulkhead_manager::{BackendDescription, ConfigurationIdentity, Manager};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::canonical;
use bulkhead_model::grant::{Ceiling, Grant};
use bulkhead_model::id::{BackendName, Digest, GenerationNumber};
use bulkhead_model::manifest::OptionValue;
use bulkhead_package::{Package, options};
use bulkhead_sandbox::{Driver, Engine, EngineConfig, Generation};
use bulkhead_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Manila's default for `max_over_subscription_ratio`.
const OVER_SUBSCRIPTION: f64 = 20.0;

/// The engine of this process, with its cache of compiled drivers in the state directory.
pub(super) fn start_engine(state: &StateDirectory) -> anyhow::Result<Arc<Engine>> {
    let config = EngineConfig { cache_directory: Some(state.cache()), cache_key: state.key("cache")? };
    Ok(Engine::new(config)?)
}

/// What all backends are made with.
pub(super) struct Loader {
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) runner: Arc<dyn CommandRunner>,
    pub(super) locks: Arc<Locks>,
    pub(super) ceiling: Ceiling,
    pub(super) manager: Manager,
}

/// A backend as far as it is known without the engine.
struct Prepared {
    name: BackendName,
    package: Package,
    options: BTreeMap<String, OptionValue>,
}

impl Loader {
    /// Let the manager load a backend, set it up, and show what goes wrong.
    pub(super) fn attach(self: Arc<Self>, name: &BackendName, configuration: BackendConfiguration) {
        let manager = self.manager.clone();
        let backend = name.clone();
        let configuration = Arc::new(configuration);
        manager.load_backend(name, move || {
            let loading = Arc::clone(&self).load(backend.clone(), Arc::clone(&configuration));
            async { loading.await.map_err(LoadFailure::told) }
        });
    }

    async fn load(
        self: Arc<Self>,
        name: BackendName,
        configuration: Arc<BackendConfiguration>,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), LoadFailure> {
        let read = Arc::clone(&configuration);
        let prepared = blocking(move || prepare(name, &read)).await?;
        let identity = identify(&prepared, &configuration);
        let generation =
            self.manager.generation_of(&prepared.name, identity).await.map_err(LoadFailure::Generation)?;
        blocking(move || self.link(prepared, &configuration, generation)).await
    }

    fn link(
        &self,
        prepared: Prepared,
        configuration: &BackendConfiguration,
        generation: GenerationNumber,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), LoadFailure> {
        let description = describe(&prepared, configuration, generation);
        let Prepared { name, package, options } = prepared;
        let component = self.engine.load(package.digest, &package.bytes).map_err(LoadFailure::Component)?;
        let backend = Backend::new(BackendParts {
            name,
            generation,
            manifest: Arc::new(package.manifest),
            grant: configuration.grant.clone(),
            ceiling: self.ceiling.clone(),
            options,
            limits: configuration.limits.clone(),
            store: Arc::clone(&self.store),
            ledger: self.ledger.clone(),
            helper: Arc::clone(&self.runner),
            locks: Arc::clone(&self.locks),
        })
        .map_err(LoadFailure::Grant)?;
        let driver = Generation::new(&self.engine, component, backend).map_err(LoadFailure::Component)?;
        Ok((description, Arc::new(driver)))
    }
}

/// Reading, compiling and opening roots block; a large driver compiles for seconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadFailure> + Send + 'static,
) -> Result<T, LoadFailure> {
    tokio::task::spawn_blocking(work).await.map_err(LoadFailure::Interrupted)?
}

fn prepare(name: BackendName, configuration: &BackendConfiguration) -> Result<Prepared, LoadFailure> {
    let package = Package::open(&configuration.driver)
        .map_err(|source| LoadFailure::Package { path: configuration.driver.clone(), source })?;
    let options =
        options::validate(&package.manifest.options, &configuration.options).map_err(LoadFailure::Options)?;
    Ok(Prepared { name, package, options })
}

/// Everything that makes a generation: what is equal in all of it runs and may touch the same.
#[derive(Serialize)]
struct Parts<'a> {
    package: Digest,
    options: &'a BTreeMap<String, OptionValue>,
    grant: &'a Grant,
    limits: &'a DriverLimits,
}

fn identify(prepared: &Prepared, configuration: &BackendConfiguration) -> ConfigurationIdentity {
    let identity = &prepared.package.manifest.driver;
    ConfigurationIdentity {
        digest: digest(&Parts {
            package: prepared.package.digest,
            options: &prepared.options,
            grant: &configuration.grant,
            limits: &configuration.limits,
        }),
        driver: identity.name.clone(),
        driver_version: identity.version.to_string(),
        package: prepared.package.digest,
    }
}

fn digest(parts: &Parts<'_>) -> Digest {
    canonical::digest("backend", parts)
}

fn describe(
    prepared: &Prepared,
    configuration: &BackendConfiguration,
    generation: GenerationNumber,
) -> BackendDescription {
    let identity = &prepared.package.manifest.driver;
    let ratio = match prepared.options.get("max_over_subscription_ratio") {
        Some(OptionValue::Float(ratio)) => *ratio,
        _ => OVER_SUBSCRIPTION,
    };
    BackendDescription {
        name: prepared.name.clone(),
        driver: identity.name.clone(),
        driver_version: identity.version.to_string(),
        vendor: identity.vendor.clone(),
        digest: prepared.package.digest,
        generation,
        protocols: identity.protocols.clone(),
        limits: configuration.limits.clone(),
        max_over_subscription_ratio: ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_makes_a_generation_changes_its_digest_and_nothing_else_does() {
        let options = BTreeMap::from([("a".to_owned(), OptionValue::Integer(1))]);
        let (grant, limits) = (Grant::default(), DriverLimits::default());
        let parts =
            Parts { package: Digest::from_bytes([1; 32]), options: &options, grant: &grant, limits: &limits };
        let base = digest(&parts);
        assert_eq!(digest(&Parts { options: &options.clone(), ..parts }), base);
        let other_options = BTreeMap::from([("a".to_owned(), OptionValue::Integer(2))]);
        let other_grant = Grant { export_addresses: vec!["10.0.0.1".to_owned()], ..Grant::default() };
        let other_limits = DriverLimits { memory_mib: 65, ..DriverLimits::default() };
        let parts = || Parts {
            package: Digest::from_bytes([1; 32]),
            options: &options,
            grant: &grant,
            limits: &limits,
        };
        for other in [
            Parts { package: Digest::from_bytes([2; 32]), ..parts() },
            Parts { options: &other_options, ..parts() },
            Parts { grant: &other_grant, ..parts() },
            Parts { limits: &other_limits, ..parts() },
        ] {
            assert_ne!(digest(&other), base);
        }
    }
}
