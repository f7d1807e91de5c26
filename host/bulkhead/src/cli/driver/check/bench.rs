//! Two backends of the driver under test, with everything in memory but their roots.

use super::place::FakePlace;
use super::tape::Tape;
use super::{NAMES, eye};
use crate::cli::driver::call;
use crate::cli::driver::lab::{Lab, bind_roots, trial_networks};
use async_trait::async_trait;
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::execute::CommandRunner;
use bulkhead_capability::http::{Network, Transport};
use bulkhead_capability::intercept::{Interceptor, TapedAnswer, Verdict};
use bulkhead_capability::lock::Locks;
use bulkhead_capability::network_allocation::AddressBook;
use bulkhead_capability::record::Deed;
use bulkhead_capability::secret::SecretSource;
use bulkhead_conformance::{Fault, Faults, Holdings, HostCall, World, WorldError};
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::grant::{Ceiling, Grant};
use bulkhead_model::id::{BackendName, GenerationNumber};
use bulkhead_model::manifest::{Manifest, OptionValue};
use bulkhead_model::target::Resource;
use bulkhead_package::Package;
use bulkhead_sandbox::{Component, Driver, Engine, Generation};
use bulkhead_store::{MemoryStore, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One backend, as its generations are made.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: BackendName,
    pub(super) grant: Grant,
    options: BTreeMap<String, OptionValue>,
}

/// The driver on its backends, and what the kit may see of them.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) manifest: Arc<Manifest>,
    pub(super) sites: Vec<Site>,
    pub(super) store: Arc<dyn Store>,
    /// Whether data that are written shall take space.
    pub(super) is_real: bool,
    ledger: Ledger,
    addresses: AddressBook,
    pub(super) runner: Arc<dyn CommandRunner>,
    transport: Arc<dyn Transport>,
    fake: Option<Arc<FakePlace>>,
    ceiling: Ceiling,
    limits: DriverLimits,
    secrets: SecretSource,
    /// Where the place's logins come from.
    logins: SecretSource,
    engine: Arc<Engine>,
    component: Component,
    strikes: Arc<Strikes>,
    generations: Mutex<Vec<Arc<dyn Driver>>>,
}

impl Bench {
    /// On fakes: a directory for each root, and commands that only do to it what their templates declare. Where a tape is played even
    /// these are not asked.
    pub(super) async fn faked(
        (engine, package): (Arc<Engine>, Package),
        mut lab: Lab,
        scratch: &Path,
        (tape, backends): (Tape, usize),
    ) -> anyhow::Result<Arc<Self>> {
        let manifest = &package.manifest;
        let fake = Arc::new(FakePlace::new(std::mem::take(&mut lab.answers), manifest.sessions.clone()));
        for program in manifest.programs() {
            let nowhere = Path::new("/usr/bin").join(program);
            lab.grant.programs.entry(program.to_owned()).or_insert(nowhere);
        }
        let new_roots = |name: &str| {
            let at = scratch.join(name);
            std::fs::create_dir(&at)?;
            bind_roots(&BTreeMap::new(), manifest, Path::new("."), &at)
        };
        let [here, peer] = NAMES;
        lab.grant.roots = new_roots(here)?;
        if lab.grant.networks.is_unsaid() {
            lab.grant.networks = trial_networks()?;
        }
        let options = lab.peer.take().map_or_else(|| lab.options.clone(), |peer| peer.options);
        let grant = Grant { roots: new_roots(peer)?, ..lab.grant.clone() };
        let peer = if backends > 1 { Some(Site { name: peer.parse()?, grant, options }) } else { None };
        let unreviewed_programs = manifest.programs().into_iter().map(str::to_owned).collect();
        let ceiling = Ceiling { unreviewed_programs, ..Ceiling::default() };
        let runner = Arc::clone(&fake) as _;
        let places = (runner, Some(fake), tape);
        Self::set_up((engine, package), lab, places, (peer, ceiling), call::secrets()).await
    }

    /// On the real place that `lab` names, through the helper.
    pub(super) async fn real(
        (engine, package): (Arc<Engine>, Package),
        mut lab: Lab,
        scratch: &Path,
        tape: Tape,
    ) -> anyhow::Result<Arc<Self>> {
        let secrets = call::secrets();
        let runner = call::runner(&package.manifest, &lab, scratch, &secrets.1).await?;
        let peer = match lab.peer.take() {
            Some(peer) => Some(Site { name: NAMES[1].parse()?, grant: peer.grant, options: peer.options }),
            None => None,
        };
        let ceiling = lab.ceiling.clone();
        Self::set_up((engine, package), lab, (runner, None, tape), (peer, ceiling), secrets).await
    }

    async fn set_up(
        (engine, package): (Arc<Engine>, Package),
        lab: Lab,
        (runner, fake, tape): (Arc<dyn CommandRunner>, Option<Arc<FakePlace>>, Tape),
        (peer, ceiling): (Option<Site>, Ceiling),
        (secrets, logins): (SecretSource, SecretSource),
    ) -> anyhow::Result<Arc<Self>> {
        let here = Site { name: NAMES[0].parse()?, grant: lab.grant, options: lab.options };
        let mut sites = vec![here];
        sites.extend(peer);
        let names: Vec<BackendName> = sites.iter().map(|site| site.name.clone()).collect();
        for site in &mut sites {
            site.grant.peers.extend(names.iter().filter(|name| **name != site.name).cloned());
        }
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        // Nothing of it outlives this process: the keys protect nothing.
        let ledger = Ledger::open(Arc::clone(&store), LedgerKey::new([0; 32])).await?;
        let component = engine.load(package.digest, &package.bytes)?;
        let bench = Self {
            manifest: Arc::new(package.manifest),
            sites,
            addresses: AddressBook::open(Arc::clone(&store), ledger.clone()).await?,
            store,
            is_real: fake.is_none(),
            ledger,
            runner,
            transport: match &fake {
                Some(fake) => Arc::clone(fake) as _,
                None => Arc::new(Network),
            },
            fake,
            ceiling,
            limits: lab.limits,
            engine,
            component,
            secrets,
            logins,
            strikes: Arc::new(Strikes { faults: Faults::default(), tape }),
            generations: Mutex::default(),
        };
        bench.load().await?;
        Ok(Arc::new(bench))
    }

    /// Make a generation for each backend, with nothing of the earlier ones but what is stored.
    async fn load(&self) -> anyhow::Result<()> {
        let locks = Arc::new(Locks::default());
        let mut made: Vec<Arc<dyn Driver>> = Vec::new();
        for site in &self.sites {
            let secrets = self.secrets.of_options(&self.manifest.options, &site.options)?;
            let parts = BackendParts {
                name: site.name.clone(),
                generation: GenerationNumber(1),
                manifest: Arc::clone(&self.manifest),
                grant: site.grant.clone(),
                ceiling: self.ceiling.clone(),
                options: site.options.clone(),
                secrets: secrets.served_from(self.logins.redactor()),
                limits: self.limits.clone(),
                store: Arc::clone(&self.store),
                ledger: self.ledger.clone(),
                helper: Arc::clone(&self.runner),
                http: Arc::clone(&self.transport),
                locks: Arc::clone(&locks),
                addresses: self.addresses.clone(),
                tenure: None,
            };
            let backend = Backend::reach(parts, Some(Arc::clone(&self.strikes) as _)).await?;
            made.push(Arc::new(Generation::new(&self.engine, self.component.clone(), backend)?));
        }
        *self.generations.lock().unwrap_or_else(PoisonError::into_inner) = made;
        Ok(())
    }

    /// Where answers are recorded or come from.
    pub(super) fn tape(&self) -> &Tape {
        &self.strikes.tape
    }

    pub(super) fn generation(&self, place: usize) -> Option<Arc<dyn Driver>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// End what runs beside calls.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        for place in 0..self.sites.len() {
            if let Some(driver) = self.generation(place) {
                driver.end_services().await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl World for Bench {
    #[expect(
        clippy::expect_used,
        reason = "the first backend is there from the start: without it there is no bench"
    )]
    fn driver(&self) -> Arc<dyn Driver> {
        self.generation(0).expect("a bench has a backend")
    }

    fn peer(&self) -> Option<Arc<dyn Driver>> {
        self.generation(1)
    }

    fn faults(&self) -> &Faults {
        &self.strikes.faults
    }

    async fn holdings(&self) -> Result<Holdings, WorldError> {
        self.tape().seen(("see", "holdings"), eye::holdings(self)).await
    }

    async fn mentions(&self, text: &str) -> Result<Vec<String>, WorldError> {
        self.tape().seen(("see", text), eye::mentions(self, text)).await
    }

    async fn write_data(&self, resource: Resource, name: &str, content: &str) -> Result<bool, WorldError> {
        let about = resource.to_string();
        self.tape().seen(("write", &about), eye::write(self, resource, (name, content))).await
    }

    async fn fill_data(&self, resource: Resource, name: &str, bytes: u64) -> Result<bool, WorldError> {
        let about = resource.to_string();
        self.tape().seen(("fill", &about), eye::fill(self, resource, (name, bytes))).await
    }

    async fn read_data(&self, resource: Resource, name: &str) -> Result<Option<String>, WorldError> {
        let about = resource.to_string();
        self.tape().seen(("read", &about), eye::read(self, resource, name)).await
    }

    async fn restart(&self) -> Result<(), WorldError> {
        // A killed host leaves its sessions to expire; so often in a row they would fill an array that has only a few.
        for place in 0..self.sites.len() {
            if let Some(driver) = self.generation(place) {
                driver.end_sessions().await;
            }
        }
        self.load().await.map_err(|error| WorldError::new("the backends cannot be loaded again", error))
    }

    async fn pause(&self, time: Duration) {
        // What a recording answers takes no time.
        if !self.tape().plays() {
            tokio::time::sleep(time).await;
        }
    }

    fn guesses(&self) -> Vec<String> {
        self.fake.as_ref().map(|fake| fake.guesses()).unwrap_or_default()
    }
}

/// Strikes host calls as the kit has armed it, and answers the others from a tape where one is played.
#[derive(Debug)]
struct Strikes {
    faults: Faults,
    tape: Tape,
}

impl Interceptor for Strikes {
    fn decide(&self, deed: &Deed) -> Verdict {
        let call = HostCall { capability: deed.capability.to_owned(), subject: deed.subject.clone() };
        match self.faults.next(call) {
            None => Verdict::Proceed,
            Some(Fault::Fail) => Verdict::Instead(struck(CapabilityCode::Unavailable)),
            Some(Fault::TimeOut) => Verdict::After(struck(CapabilityCode::TimedOut)),
            Some(Fault::Cut) => Verdict::Never,
        }
    }

    fn left_unanswered(&self, _deed: &Deed) {
        self.faults.has_cut();
    }

    fn replayed(&self, deed: &Deed) -> Option<TapedAnswer> {
        self.tape.play((deed.capability, &deed.subject))
    }

    fn keeps_answers(&self) -> bool {
        self.tape.keeps()
    }

    fn keep(&self, deed: &Deed, answer: TapedAnswer) {
        self.tape.keep((deed.capability, &deed.subject), answer);
    }
}

fn struck(code: CapabilityCode) -> CapabilityError {
    CapabilityError::new(code, "the conformance kit let this host call fail")
}
