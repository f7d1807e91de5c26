//! From a backend's configuration to a driver that serves: read it, verify the package, check options and pins, compile, link, hand over.
//!
//! The manager takes the steps one by one and decides what a failure means; here is how each is done. Everything that blocks runs where
//! a thread may be blocked, so that compiling a large driver holds up no call.

use super::load_failure::LoadFailure;
use super::packages::{Lease, Packages};
use super::places::Places;
use super::{files, pins};
use crate::config::{self, BackendSettings};
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::http::Network;
use bulkhead_capability::lock::Locks;
use bulkhead_capability::network_allocation::AddressBook;
use bulkhead_capability::secret::{BackendSecrets, SecretSource};
use bulkhead_ledger::Ledger;
use bulkhead_manager::{
    BackendDescription, BackendFailure, Candidate, ConfigurationIdentity, DriverLoader, Function, Needed,
    PackageSource, ServerLimits, Wanted, Written,
};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::canonical;
use bulkhead_model::grant::{Ceiling, Grant};
use bulkhead_model::id::{BackendName, Digest, GenerationNumber};
use bulkhead_model::manifest::OptionValue;
use bulkhead_model::place::Place;
use bulkhead_model::tenure::Tenure;
use bulkhead_package::{Package, PackageError, mode, options};
use bulkhead_sandbox::{Component, Driver, Engine, EngineConfig, Generation};
use bulkhead_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::state::StateDirectory;

/// Manila's default for `max_over_subscription_ratio`.
const OVER_SUBSCRIPTION: f64 = 20.0;

/// The engine of this process, with its cache of compiled drivers in the state directory.
pub(super) fn start_engine(state: &StateDirectory) -> anyhow::Result<Arc<Engine>> {
    let config = EngineConfig { cache_directory: Some(state.cache()), cache_key: state.key("cache")? };
    Ok(Engine::new(config)?)
}

/// What all backends are made with.
pub(super) struct Parts {
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) places: Arc<Places>,
    pub(super) locks: Arc<Locks>,
    pub(super) addresses: AddressBook,
    pub(super) tenure: Tenure,
    pub(super) ceiling: Ceiling,
    pub(super) secrets: SecretSource,
    pub(super) packages: Arc<Packages>,
    /// The daemon's configuration file.
    pub(super) main_file: PathBuf,
    /// The directory of backends.
    pub(super) backend_directory: Option<PathBuf>,
}

/// How this daemon brings drivers in.
#[derive(Clone)]
pub(super) struct Loader(Arc<Parts>);

impl Loader {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self(Arc::new(parts)))
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Loader").field("main_file", &self.0.main_file).finish_non_exhaustive()
    }
}

#[async_trait]
impl DriverLoader for Loader {
    async fn read(&self, backend: &BackendName, recorded: Option<&Path>) -> Result<Written, BackendFailure> {
        let (parts, name) = (Arc::clone(&self.0), backend.clone());
        let recorded = recorded.map(Path::to_owned);
        blocking(move || parts.read_configured(&name, recorded)).await
    }

    async fn read_file(&self, _backend: &BackendName, file: &Path) -> Result<Written, BackendFailure> {
        let file = file.to_owned();
        blocking(move || Ok(files::read(&file)?)).await
    }

    async fn verify(
        &self,
        backend: &BackendName,
        wanted: &Wanted,
    ) -> Result<Box<dyn Candidate>, BackendFailure> {
        let (parts, name, wanted) = (Arc::clone(&self.0), backend.clone(), wanted.clone());
        let verified = blocking(move || Verified::new(parts, name, &wanted)).await?;
        Ok(Box::new(verified))
    }

    async fn keep_only(&self, needed: Needed) {
        let packages = Arc::clone(&self.0.packages);
        let removing = blocking(move || {
            packages.keep_only(needed);
            Ok(())
        });
        if let Err(failure) = removing.await {
            tracing::warn!("packages that no generation needs were not removed: {}", failure.message);
        }
    }
}

impl Parts {
    /// A file of its own in the directory, else a table of the main file, else where it was loaded from.
    fn read_configured(&self, name: &BackendName, recorded: Option<PathBuf>) -> Result<Written, LoadFailure> {
        let own = self.backend_directory.as_ref().map(|directory| directory.join(format!("{name}.toml")));
        if let Some(own) = own.filter(|own| own.exists()) {
            return Ok(files::read(&own)?);
        }
        if let Some(configuration) = config::load_main(&self.main_file)?.backends.remove(name) {
            return Ok(files::written_in(&self.main_file, name, configuration)?);
        }
        match recorded.filter(|file| *file != self.main_file && file.exists()) {
            Some(file) => Ok(files::read(&file)?),
            None => Err(LoadFailure::NotConfigured { backend: name.clone() }),
        }
    }
}

/// Reading, compiling and opening roots block; a large driver compiles for seconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadFailure> + Send + 'static,
) -> Result<T, BackendFailure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(LoadFailure::Interrupted);
    done.flatten().map_err(LoadFailure::told)
}

/// A package and settings that fit each other.
struct Verified {
    parts: Arc<Parts>,
    name: BackendName,
    package: Package,
    options: BTreeMap<String, OptionValue>,
    secrets: BackendSecrets,
    settings: BackendSettings,
    identity: ConfigurationIdentity,
    handles_share_servers: bool,
    component: Option<Component>,
    lease: Option<Lease>,
}

impl fmt::Debug for Verified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verified")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Verified {
    fn new(parts: Arc<Parts>, name: BackendName, wanted: &Wanted) -> Result<Self, LoadFailure> {
        let settings: BackendSettings = toml::from_str(&wanted.settings).map_err(LoadFailure::Settings)?;
        let package = match &wanted.package {
            PackageSource::File(path) => open_package(path)?,
            PackageSource::Kept(digest) => open_kept(&parts.packages, digest)?,
        };
        let options =
            options::validate(&package.manifest.options, &settings.options).map_err(LoadFailure::Options)?;
        let dhss = &package.manifest.driver.dhss;
        let handles_share_servers = mode::share_servers(dhss, &options).map_err(LoadFailure::Options)?;
        let lines = pins::lines_to_change(&package.manifest, &settings.grant);
        if !lines.is_empty() {
            return Err(LoadFailure::Pins { lines });
        }
        let secrets = parts.secrets.of_options(&package.manifest.options, &options);
        let secrets = secrets.map_err(LoadFailure::Secret)?;
        let identity = identify(&package, (&options, &secrets), &settings);
        Ok(Self {
            parts,
            name,
            package,
            options,
            secrets,
            settings,
            identity,
            handles_share_servers,
            component: None,
            lease: None,
        })
    }

    fn compiled(&self) -> Result<Component, LoadFailure> {
        let Package { digest, bytes, .. } = &self.package;
        match &self.component {
            Some(component) => Ok(component.clone()),
            None => self.parts.engine.load(*digest, bytes).map_err(LoadFailure::Component),
        }
    }

    async fn bind(
        self,
        generation: GenerationNumber,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), BackendFailure> {
        let (this, component, description, (place, logins)) = blocking(move || {
            let (component, description) = (self.compiled()?, self.describe(generation)?);
            let place = self.parts.places.find(&self.settings.place, &self.parts.main_file)?;
            Ok((self, component, description, place))
        })
        .await?;
        let Self { parts, name, package, options, secrets, settings, .. } = this;
        let made_of = BackendParts {
            name,
            generation,
            manifest: Arc::new(package.manifest),
            grant: settings.grant,
            ceiling: parts.ceiling.clone(),
            options,
            secrets: secrets.served_from(&logins),
            limits: settings.limits,
            store: Arc::clone(&parts.store),
            ledger: parts.ledger.clone(),
            helper: place,
            http: Arc::new(Network),
            locks: Arc::clone(&parts.locks),
            addresses: parts.addresses.clone(),
            tenure: Some(parts.tenure),
        };
        let reached = Backend::reach(made_of, None).await;
        let backend = reached.map_err(|error| LoadFailure::of_grant(error).told())?;
        let linking =
            move || Generation::new(&parts.engine, component, backend).map_err(LoadFailure::Component);
        Ok((description, Arc::new(blocking(linking).await?)))
    }

    fn describe(&self, generation: GenerationNumber) -> Result<BackendDescription, LoadFailure> {
        let driver = &self.package.manifest.driver;
        let ratio = match self.options.get("max_over_subscription_ratio") {
            Some(OptionValue::Float(ratio)) => *ratio,
            _ => OVER_SUBSCRIPTION,
        };
        Ok(BackendDescription {
            name: self.name.clone(),
            driver: driver.name.clone(),
            driver_version: driver.version.to_string(),
            vendor: driver.vendor.clone(),
            place: self.settings.place.clone(),
            digest: self.package.digest,
            generation,
            protocols: driver.protocols.clone(),
            limits: self.settings.limits.clone(),
            replication_domain: match self.options.get("replication_domain") {
                Some(OptionValue::Text(domain)) if !domain.is_empty() => Some(domain.clone()),
                _ => None,
            },
            handles_share_servers: self.handles_share_servers,
            server_limits: ServerLimits {
                shares: self.limit("max_shares_per_share_server"),
                gib: self.limit("max_share_server_size"),
            },
            max_over_subscription_ratio: ratio,
            filter_function: self.function("filter_function")?,
            goodness_function: self.function("goodness_function")?,
        })
    }

    /// A limit among the options; -1, as Manila writes it, is none.
    fn limit(&self, option: &str) -> Option<u64> {
        match self.options.get(option) {
            Some(OptionValue::Integer(limit)) => u64::try_from(*limit).ok(),
            _ => None,
        }
    }

    /// An expression among the options; an empty one is none.
    fn function(&self, option: &'static str) -> Result<Option<Function>, LoadFailure> {
        match self.options.get(option) {
            Some(OptionValue::Text(text)) if !text.trim().is_empty() => {
                text.parse().map(Some).map_err(|source| LoadFailure::Function { option, source })
            }
            _ => Ok(None),
        }
    }
}

#[async_trait]
impl Candidate for Verified {
    fn identity(&self) -> &ConfigurationIdentity {
        &self.identity
    }

    async fn keep(&mut self) -> Result<(), BackendFailure> {
        let packages = Arc::clone(&self.parts.packages);
        let (digest, bytes) = (self.package.digest, Arc::clone(&self.package.bytes));
        self.lease = Some(blocking(move || packages.keep(digest, &bytes)).await?);
        Ok(())
    }

    async fn compile(&mut self) -> Result<(), BackendFailure> {
        let engine = Arc::clone(&self.parts.engine);
        let (digest, bytes) = (self.package.digest, Arc::clone(&self.package.bytes));
        let compiling = move || engine.load(digest, &bytes).map_err(LoadFailure::Component);
        self.component = Some(blocking(compiling).await?);
        Ok(())
    }

    async fn link(
        self: Box<Self>,
        generation: GenerationNumber,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), BackendFailure> {
        self.bind(generation).await
    }
}

fn open_package(path: &Path) -> Result<Package, LoadFailure> {
    let failed = |source| LoadFailure::Package { path: path.to_owned(), source };
    // A pipe would be waited for without end.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            let source = io::Error::other("it is not a regular file");
            Err(failed(PackageError::Read { path: path.to_owned(), source }))
        }
        _ => Package::open(path).map_err(failed),
    }
}

fn open_kept(packages: &Packages, digest: &Digest) -> Result<Package, LoadFailure> {
    let path = packages.path(digest);
    match Package::open(&path) {
        Ok(package) if package.digest == *digest => Ok(package),
        Ok(_) => Err(LoadFailure::Kept { digest: *digest, source: None }),
        Err(source) => Err(LoadFailure::Kept { digest: *digest, source: Some(source) }),
    }
}

/// Everything that makes a generation: what is equal in all of it runs and may touch the same.
#[derive(Serialize)]
struct GenerationParts<'a> {
    package: Digest,
    options: &'a BTreeMap<String, OptionValue>,
    /// What tells the secrets that they refer to from others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, Digest>,
    grant: &'a Grant,
    limits: &'a DriverLimits,
    /// Not written where it is this machine: so it was before there were others.
    #[serde(skip_serializing_if = "Place::is_local")]
    place: &'a Place,
}

fn identify(
    package: &Package,
    (options, secrets): (&BTreeMap<String, OptionValue>, &BackendSecrets),
    settings: &BackendSettings,
) -> ConfigurationIdentity {
    ConfigurationIdentity {
        digest: digest(&GenerationParts {
            package: package.digest,
            options,
            secrets: secrets.fingerprints(),
            grant: &settings.grant,
            limits: &settings.limits,
            place: &settings.place,
        }),
        driver: package.manifest.driver.name.clone(),
        driver_version: package.manifest.driver.version.to_string(),
        package: package.digest,
    }
}

fn digest(parts: &GenerationParts<'_>) -> Digest {
    canonical::digest("backend", parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_makes_a_generation_changes_its_digest_and_nothing_else_does() {
        let options = BTreeMap::from([("a".to_owned(), OptionValue::Integer(1))]);
        let (grant, limits) = (Grant::default(), DriverLimits::default());
        let parts = || GenerationParts {
            package: Digest::from_bytes([1; 32]),
            options: &options,
            secrets: BTreeMap::new(),
            grant: &grant,
            limits: &limits,
            place: &Place::Local,
        };
        let base = digest(&parts());
        assert_eq!(digest(&GenerationParts { options: &options.clone(), ..parts() }), base);
        let other_options = BTreeMap::from([("a".to_owned(), OptionValue::Integer(2))]);
        let other_grant = Grant { export_addresses: vec!["10.0.0.1".to_owned()], ..Grant::default() };
        let far = Place::Ssh("array".parse().expect("a label"));
        let other_secrets = BTreeMap::from([("a".to_owned(), Digest::from_bytes([3; 32]))]);
        let other_limits = DriverLimits { memory_mib: 65, ..DriverLimits::default() };
        for other in [
            GenerationParts { package: Digest::from_bytes([2; 32]), ..parts() },
            GenerationParts { options: &other_options, ..parts() },
            GenerationParts { secrets: other_secrets, ..parts() },
            GenerationParts { grant: &other_grant, ..parts() },
            GenerationParts { limits: &other_limits, ..parts() },
            GenerationParts { place: &far, ..parts() },
        ] {
            assert_ne!(digest(&other), base);
        }
    }
}
