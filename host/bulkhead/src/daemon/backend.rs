//! From a backend's configuration to a driver that serves: read the package, check options and grant, compile, link, attach.

use super::state::StateDirectory;
use crate::config::BackendConfiguration;
use anyhow::Context;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::CommandRunner;
use bulkhead_capability::lock::Locks;
use bulkhead_ledger::Ledger;
use bulkhead_manager::{BackendDescription, Manager};
use bulkhead_model::grant::Ceiling;
use bulkhead_model::id::{BackendName, GenerationNumber};
use bulkhead_model::manifest::OptionValue;
use bulkhead_package::{Package, options};
use bulkhead_sandbox::{Engine, EngineConfig, Generation};
use bulkhead_store::Store;
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

impl Loader {
    /// Load a backend and hand it to the manager, which sets it up; what goes wrong is told and stops nobody else.
    pub(super) async fn attach(self: Arc<Self>, name: BackendName, configuration: BackendConfiguration) {
        if let Err(error) = self.try_attach(name.clone(), configuration).await {
            tracing::error!(backend.name = %name, error = format!("{error:#}"), "backend {name} cannot be loaded; the others go on");
        }
    }

    async fn try_attach(
        self: Arc<Self>,
        name: BackendName,
        configuration: BackendConfiguration,
    ) -> anyhow::Result<()> {
        let manager = self.manager.clone();
        // Reading, compiling and opening roots block; a large driver compiles for seconds.
        let (description, generation) =
            tokio::task::spawn_blocking(move || self.load(name, configuration)).await??;
        manager.attach(description, Arc::new(generation));
        Ok(())
    }

    fn load(
        &self,
        name: BackendName,
        configuration: BackendConfiguration,
    ) -> anyhow::Result<(BackendDescription, Generation)> {
        let package = Package::open(&configuration.driver)
            .with_context(|| format!("the driver {} is not usable", configuration.driver.display()))?;
        let options = options::validate(&package.manifest.options, &configuration.options)?;
        let description = describe(&name, &package, &configuration, &options);
        let component = self.engine.load(package.digest, &package.bytes)?;
        let backend = Backend::new(BackendParts {
            name,
            generation: description.generation,
            manifest: Arc::new(package.manifest),
            grant: configuration.grant,
            ceiling: self.ceiling.clone(),
            options,
            limits: configuration.limits,
            store: Arc::clone(&self.store),
            ledger: self.ledger.clone(),
            helper: Arc::clone(&self.runner),
            locks: Arc::clone(&self.locks),
        })?;
        Ok((description, Generation::new(&self.engine, component, backend)?))
    }
}

fn describe(
    name: &BackendName,
    package: &Package,
    configuration: &BackendConfiguration,
    options: &BTreeMap<String, OptionValue>,
) -> BackendDescription {
    let identity = &package.manifest.driver;
    let ratio = match options.get("max_over_subscription_ratio") {
        Some(OptionValue::Float(ratio)) => *ratio,
        _ => OVER_SUBSCRIPTION,
    };
    BackendDescription {
        name: name.clone(),
        driver: identity.name.clone(),
        driver_version: identity.version.to_string(),
        vendor: identity.vendor.clone(),
        digest: package.digest,
        // A backend has one configuration from start to end of a daemon.
        generation: GenerationNumber(1),
        protocols: identity.protocols.clone(),
        limits: configuration.limits.clone(),
        max_over_subscription_ratio: ratio,
    }
}
