//! A loader whose packages are fake drivers on a shelf, each of which can be told to fail at any step; and the words in which tests
//! speak of changes of generation.

use crate::crash::Death;
use crate::fake::{FakeDriver, World};
use crate::house::{description, operator, until};
use async_trait::async_trait;
use bulkhead_manager::{
    BackendDescription, BackendFailure, Candidate, ChangeState, ChangeView, ConfigurationIdentity,
    DriverLoader, GenerationState, GenerationView, Manager, ManagerError, Needed, Offer, Origin,
    PackageSource, Step, Wanted, Written,
};
use bulkhead_model::error::Blame;
use bulkhead_model::id::{BackendName, Digest, GenerationNumber};
use bulkhead_sandbox::Driver;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

type Prepare = Arc<dyn Fn(&mut FakeDriver) + Send + Sync>;

#[derive(Default)]
struct Contents {
    /// What stands at which path: a package's number.
    packages: BTreeMap<PathBuf, u8>,
    /// What the configuration of a backend says: the path of its package, and its settings.
    files: BTreeMap<PathBuf, (PathBuf, String)>,
    kept: BTreeSet<Digest>,
    failing: BTreeMap<(u8, Step), BackendFailure>,
    prepare: BTreeMap<u8, Prepare>,
    /// How often each package was brought as far as a driver.
    linked: Vec<(u8, GenerationNumber)>,
}

/// The loader.
#[derive(Clone)]
pub struct Shelf {
    contents: Arc<Mutex<Contents>>,
    world: Arc<Mutex<World>>,
    death: Arc<Death>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Shelf")
    }
}

impl Shelf {
    pub fn new(world: &Arc<Mutex<World>>) -> Self {
        Self { contents: Arc::default(), world: Arc::clone(world), death: Death::never() }
    }

    /// The same shelf in a daemon that dies.
    pub fn mortal(&self, death: &Arc<Death>) -> Self {
        Self { death: Arc::clone(death), ..self.clone() }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("the shelf")
    }

    /// Put package `number` at `path`.
    pub fn put(&self, path: &str, number: u8) {
        self.contents().packages.insert(PathBuf::from(path), number);
    }

    /// Let the backend's file name the package at `path`.
    pub fn write(&self, file: &str, path: &str, settings: &str) {
        self.contents().files.insert(PathBuf::from(file), (PathBuf::from(path), settings.to_owned()));
    }

    /// Let package `number` fail at `step` from now on.
    pub fn fail(&self, number: u8, step: Step, failure: BackendFailure) {
        self.contents().failing.insert((number, step), failure);
    }

    /// Let package `number` pass again.
    pub fn heal(&self, number: u8) {
        self.contents().failing.retain(|(failing, _), _| *failing != number);
    }

    /// Change every driver made of package `number`.
    pub fn prepare(&self, number: u8, prepare: impl Fn(&mut FakeDriver) + Send + Sync + 'static) {
        self.contents().prepare.insert(number, Arc::new(prepare));
    }

    pub fn linked(&self) -> Vec<(u8, GenerationNumber)> {
        self.contents().linked.clone()
    }

    pub fn kept(&self) -> usize {
        self.contents().kept.len()
    }

    /// What the file says, as the daemon's watcher would offer it.
    pub fn offer(&self, file: &str) -> Offer {
        let written = self.read_path(Path::new(file)).expect("the file");
        Offer { origin: written.origin.clone(), written: Ok(written) }
    }

    fn read_path(&self, file: &Path) -> Result<Written, BackendFailure> {
        let contents = self.contents();
        let (driver, settings) = contents.files.get(file).ok_or_else(|| refusal("not-configured"))?.clone();
        let mut content = [7; 32];
        for (place, byte) in driver.display().to_string().bytes().chain(settings.bytes()).enumerate() {
            if let Some(mixed) = content.get_mut(place % 32) {
                *mixed ^= byte.wrapping_add(u8::try_from(place).expect("short"));
            }
        }
        let origin = Origin { file: file.to_owned(), content: Digest::from_bytes(content) };
        Ok(Written { driver, settings, origin })
    }

    fn check(&self, number: u8, step: Step) -> Result<(), BackendFailure> {
        self.contents().failing.get(&(number, step)).map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

pub fn refusal(code: &str) -> BackendFailure {
    BackendFailure { code: code.to_owned(), blame: Blame::Caller, message: "because: of this".to_owned() }
}

pub fn package(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

#[async_trait]
impl DriverLoader for Shelf {
    async fn read(&self, backend: &BackendName, recorded: Option<&Path>) -> Result<Written, BackendFailure> {
        let own = PathBuf::from(format!("/backends/{backend}.toml"));
        let has_own = self.contents().files.contains_key(&own);
        self.read_path(if has_own { &own } else { recorded.unwrap_or(&own) })
    }

    async fn read_file(&self, _: &BackendName, file: &Path) -> Result<Written, BackendFailure> {
        self.read_path(file)
    }

    async fn verify(&self, _: &BackendName, wanted: &Wanted) -> Result<Box<dyn Candidate>, BackendFailure> {
        self.death.step("before", "a package is verified").await;
        let number = match &wanted.package {
            PackageSource::File(path) => {
                *self.contents().packages.get(path).ok_or_else(|| refusal("driver-unreadable"))?
            }
            PackageSource::Kept(digest) if self.contents().kept.contains(digest) => digest.as_bytes()[0],
            PackageSource::Kept(_) => return Err(refusal("package-lost")),
        };
        self.check(number, Step::Verify)?;
        let mut all = [number; 32];
        for (byte, letter) in all[1..].iter_mut().zip(wanted.settings.bytes()) {
            *byte = letter;
        }
        let identity = ConfigurationIdentity {
            digest: Digest::from_bytes(all),
            driver: "fake".parse().expect("a name"),
            driver_version: format!("{number}.0.0"),
            package: package(number),
        };
        Ok(Box::new(OnShelf { shelf: self.clone(), number, identity }))
    }

    async fn keep_only(&self, needed: Needed) {
        let needed = needed();
        self.contents().kept.retain(|package| needed.contains(package));
    }
}

#[derive(Debug)]
struct OnShelf {
    shelf: Shelf,
    number: u8,
    identity: ConfigurationIdentity,
}

#[async_trait]
impl Candidate for OnShelf {
    fn identity(&self) -> &ConfigurationIdentity {
        &self.identity
    }

    async fn keep(&mut self) -> Result<(), BackendFailure> {
        self.shelf.death.step("before", "a package is kept").await;
        self.shelf.check(self.number, Step::Prepare)?;
        self.shelf.contents().kept.insert(self.identity.package);
        self.shelf.death.step("after", "a package was kept").await;
        Ok(())
    }

    async fn compile(&mut self) -> Result<(), BackendFailure> {
        self.shelf.death.step("before", "a package is compiled").await;
        self.shelf.check(self.number, Step::Compile)
    }

    async fn link(
        self: Box<Self>,
        generation: GenerationNumber,
    ) -> Result<(BackendDescription, Arc<dyn Driver>), BackendFailure> {
        self.shelf.death.step("before", "a package is linked").await;
        self.shelf.check(self.number, Step::Link)?;
        let mut driver = FakeDriver::new(&self.shelf.world);
        driver.death = Arc::clone(&self.shelf.death);
        let prepare = self.shelf.contents().prepare.get(&self.number).cloned();
        if let Some(prepare) = prepare {
            prepare(&mut driver);
        }
        self.shelf.contents().linked.push((self.number, generation));
        let description = BackendDescription {
            digest: self.identity.package,
            driver_version: self.identity.driver_version.clone(),
            ..description("nas", generation.0)
        };
        Ok((description, Arc::new(driver)))
    }
}

pub fn nas() -> BackendName {
    "nas".parse().expect("a name")
}

/// Wait until the change has ended; how.
pub async fn ended(manager: &Manager, begun: Result<ChangeView, ManagerError>) -> ChangeView {
    let request = begun.expect("begun").request.to_string();
    let find = || manager.show_change(&nas(), &request).expect("remembered");
    until("the change has ended", async || find().state != ChangeState::Running).await;
    find()
}

pub async fn swap(manager: &Manager, package: Option<&str>) -> ChangeView {
    let begun = manager.swap_backend(&operator(), &nas(), package.map(PathBuf::from)).await;
    ended(manager, begun).await
}

pub async fn roll_back(manager: &Manager, to: Option<u64>) -> ChangeView {
    let begun = manager.roll_back_backend(&operator(), &nas(), to.map(GenerationNumber)).await;
    ended(manager, begun).await
}

/// The generations by number, each with how it stands.
pub fn generations(manager: &Manager) -> Vec<(u64, GenerationState)> {
    let listed = manager.list_generations(&nas()).expect("the backend");
    listed.iter().map(|one| (one.generation.0, one.state)).collect()
}

pub fn generation(manager: &Manager, number: u64) -> GenerationView {
    let listed = manager.list_generations(&nas()).expect("the backend");
    listed.into_iter().find(|one| one.generation.0 == number).expect("the generation")
}

/// The generation that serves, and the one that a restart would serve: none if they differ.
pub fn current(manager: &Manager) -> Option<u64> {
    let recorded = manager.list_generations(&nas()).ok()?;
    let recorded: Vec<_> = recorded.into_iter().filter(|one| one.state == GenerationState::Current).collect();
    assert!(recorded.len() <= 1, "{recorded:?}");
    let serves = manager.show_backend(&nas()).ok()?.loaded?.description.generation;
    recorded.first().filter(|one| one.generation == serves).map(|one| one.generation.0)
}
