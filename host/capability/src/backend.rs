//! What all calls of one generation of a backend share: the rights that manifest, grant and ceiling leave, and the parts that serve
//! them. Made by the sandbox's owner when a generation is loaded; immutable.

pub use crate::grant::check_plugs;

use crate::call::Call;
use crate::config::PeerOptions;
use crate::execute::{CommandRunner, Directories};
use crate::http::{BoundEndpoint, EndpointError, SessionUser, Transport};
use crate::intercept::Interceptor;
use crate::lock::{BackendLocks, Locks};
use crate::network_allocation::{AddressBook, NetworkProvider, Standalone};
use crate::root::{Root, RootError};
use crate::secret::{BackendSecrets, Redactor, Secret, Vault};
use bulkhead_helper::files::Identity;
use bulkhead_ledger::Ledger;
use bulkhead_model::ability::Capability;
use bulkhead_model::call::{CallOrigin, DriverLimits};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::grant::{Ceiling, Grant};
use bulkhead_model::id::{BackendName, Digest, GenerationNumber, Label};
use bulkhead_model::manifest::{Manifest, OptionValue, RootDeclaration};
use bulkhead_model::network::{AllocationLabel, InvalidNetwork};
use bulkhead_model::target::CallTarget;
use bulkhead_model::tenure::Tenure;
use bulkhead_store::Store;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What a backend is made of.
#[derive(Debug)]
pub struct BackendParts {
    /// Its name.
    pub name: BackendName,
    /// Which configuration of it.
    pub generation: GenerationNumber,
    /// What the driver declares.
    pub manifest: Arc<Manifest>,
    /// What the operator allows.
    pub grant: Grant,
    /// What the site allows at most.
    pub ceiling: Ceiling,
    /// What the operator set, validated; defaults are not filled in.
    pub options: BTreeMap<String, OptionValue>,
    /// What the options of type `secret` refer to, and who keeps secrets from leaving the host.
    pub secrets: BackendSecrets,
    /// What bounds a call.
    pub limits: DriverLimits,
    /// Where private data, ownership and fencing numbers are kept.
    pub store: Arc<dyn Store>,
    /// Where effects are recorded.
    pub ledger: Ledger,
    /// Who runs commands.
    pub helper: Arc<dyn CommandRunner>,
    /// Who sends requests.
    pub http: Arc<dyn Transport>,
    /// What all generations of all backends of this process share.
    pub locks: Arc<Locks>,
    /// The addresses of all backends of this process.
    pub addresses: AddressBook,
    /// Which copy of a state this is, for its roots; none where the state does not outlive the process.
    pub tenure: Option<Tenure>,
}

/// Why a grant does not fit its manifest, or this machine.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The same name, other words.
    #[error(
        "template '{name}' has changed since it was granted: the grant pins {granted}, the driver brings {found}; \
         review it with `bulkhead driver inspect`, then set grant.templates.{name} = \"{found}\""
    )]
    TemplateChanged {
        /// The template.
        name: Label,
        /// What the grant pins.
        granted: Digest,
        /// What the manifest holds.
        found: Digest,
    },
    /// The same root, another use or other paths.
    #[error(
        "root '{name}' has changed since it was granted: the grant pins {granted}, the driver brings {found}; \
         review it with `bulkhead driver inspect`, then set grant.roots.{name} = {{ path = {path:?}, pin = \"{found}\" }}"
    )]
    RootChanged {
        /// The root.
        name: Label,
        /// The directory it is bound to.
        path: String,
        /// What the grant pins.
        granted: Digest,
        /// What the manifest holds.
        found: Digest,
    },
    /// The grant names something that the manifest does not declare.
    #[error("grant.{table} names '{name}', which the driver does not declare{suggestion}")]
    Unknown {
        /// `roots`, `programs`, `endpoints` or `templates`.
        table: &'static str,
        /// What it names.
        name: String,
        /// Empty, or what was perhaps meant.
        suggestion: Suggestion,
    },
    /// The site forbids it.
    #[error(
        "grant.capabilities names '{0}', which the site's ceiling does not allow; add it to ceiling.capabilities or take it out"
    )]
    AboveCeiling(Capability),
    /// A program is looked for nowhere: the grant says which file it is.
    #[error(
        "grant.programs.{name} = \"{path}\" is not an absolute path without '.' or '..'; name the file itself"
    )]
    Program {
        /// The program.
        name: String,
        /// What it is bound to.
        path: String,
    },
    /// A root cannot be used.
    #[error("root '{name}' cannot be used")]
    Root {
        /// The root.
        name: Label,
        /// Why.
        #[source]
        source: RootError,
    },
    /// A network that addresses shall come from is none.
    #[error("grant.networks.{label}[{position}]")]
    Network {
        /// For what it is bound.
        label: AllocationLabel,
        /// Its place in the list.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: InvalidNetwork,
    },
    /// A network that share servers with a network of their own get addresses from is nowhere.
    #[error(
        "grant.networks.{label}[{position}] names no bridge, and group '{group}' of the driver is plugged into it with each share \
         server's addresses; add bridge = \"br0\", and namespace = \"NAME\" where the bridge is in a network namespace of its own"
    )]
    Unplugged {
        /// For what it is bound.
        label: AllocationLabel,
        /// Its place in the list.
        position: usize,
        /// The driver's group.
        group: Label,
    },
    /// An endpoint cannot be bound.
    #[error("endpoint '{name}' cannot be used")]
    Endpoint {
        /// The endpoint.
        name: Label,
        /// Why.
        #[source]
        source: EndpointError,
    },
    /// One root inside another: a right in one would be a right in the other.
    #[error(
        "root '{inner}' lies inside root '{outer}' (or is the same directory); give each its own directory"
    )]
    Nested {
        /// The one inside.
        inner: Label,
        /// The one around it.
        outer: Label,
    },
    /// The backend's place is another machine, and whoever makes the backend does not ask it.
    #[error(
        "the backend's place is another machine, which this use of a driver does not reach; leave `place` out"
    )]
    Elsewhere,
    /// The backend's place runs commands without paths, and nothing else.
    #[error(
        "the backend's place is an array's own command line, which has no place for {0}; leave it out of the grant, or use a place 'ssh:TARGET'"
    )]
    CommandsOnly(String),
    /// The host failed inside.
    #[error("opening the roots ended abruptly")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// A name that was perhaps meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion(Option<String>);

impl fmt::Display for Suggestion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(formatter, "; did you mean '{name}'?"),
            None => Ok(()),
        }
    }
}

/// One generation of a backend, as its calls see it.
#[derive(Debug)]
pub struct Backend {
    parts: BackendParts,
    roots: BTreeMap<Label, Arc<Root>>,
    endpoints: BTreeMap<Label, Arc<BoundEndpoint>>,
    shared: Arc<BackendLocks>,
    session_user: SessionUser,
    networks: Arc<dyn NetworkProvider>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

impl Backend {
    /// Check the grant against the manifest and the ceiling, and open the roots on this machine.
    ///
    /// Blocks on a few system calls; call it where a generation is loaded. Fails with [`GrantError::Elsewhere`] if the backend's place is
    /// another machine: [`Backend::reach`] serves both.
    pub fn new(parts: BackendParts) -> Result<Arc<Self>, GrantError> {
        if parts.helper.directories() != Directories::Here {
            return Err(GrantError::Elsewhere);
        }
        Self::here(parts, None)
    }

    /// As [`Backend::new`] wherever the backend's place is, and, if there is one, with somebody who decides what becomes of every host call.
    pub async fn reach(
        parts: BackendParts,
        interceptor: Option<Arc<dyn Interceptor>>,
    ) -> Result<Arc<Self>, GrantError> {
        match parts.helper.directories() {
            Directories::Here => {
                let opening = tokio::task::spawn_blocking(move || Self::here(parts, interceptor));
                return opening.await.map_err(GrantError::Interrupted)?;
            }
            Directories::Nowhere => crate::grant::check_commands_only(&parts.manifest, &parts.grant)?,
            Directories::There => {}
        }
        crate::grant::check(&parts.manifest, &parts.grant, &parts.ceiling)?;
        let roots =
            crate::grant::reach_roots(&parts.manifest, &parts.grant, (&parts.helper, parts.tenure)).await?;
        crate::grant::check_apart(&roots)?;
        if let Some(tenure) = parts.tenure {
            for (name, root) in &roots {
                let taken = |source| GrantError::Root { name: name.clone(), source };
                crate::claim::claim_there(root, tenure).await.map_err(taken)?;
            }
        }
        let (manifest, grant) = (Arc::clone(&parts.manifest), parts.grant.clone());
        let binding = tokio::task::spawn_blocking(move || crate::grant::bind_endpoints(&manifest, &grant));
        let endpoints = binding.await.map_err(GrantError::Interrupted)??;
        Self::assemble(parts, (roots, endpoints), interceptor)
    }

    fn here(parts: BackendParts, interceptor: Option<Arc<dyn Interceptor>>) -> Result<Arc<Self>, GrantError> {
        crate::grant::check(&parts.manifest, &parts.grant, &parts.ceiling)?;
        let roots = crate::grant::open_roots(&parts.manifest, &parts.grant)?;
        crate::grant::check_apart(&roots)?;
        if let Some(tenure) = parts.tenure {
            for (name, root) in &roots {
                let taken = |source| GrantError::Root { name: name.clone(), source };
                crate::claim::claim(root, tenure).map_err(taken)?;
            }
        }
        let endpoints = crate::grant::bind_endpoints(&parts.manifest, &parts.grant)?;
        Self::assemble(parts, (roots, endpoints), interceptor)
    }

    fn assemble(
        mut parts: BackendParts,
        (roots, endpoints): (BTreeMap<Label, Arc<Root>>, BTreeMap<Label, Arc<BoundEndpoint>>),
        interceptor: Option<Arc<dyn Interceptor>>,
    ) -> Result<Arc<Self>, GrantError> {
        crate::grant::check_plugs(&parts.manifest, &parts.grant)?;
        let networks = Standalone::new(parts.addresses.clone(), parts.name.clone(), &parts.grant.networks)
            .map_err(|(label, position, source)| GrantError::Network { label, position, source })?;
        let shared = parts.locks.of(&parts.name);
        let places = roots.iter().filter_map(|(name, root)| Some((name.clone(), *root.ancestry().first()?)));
        shared.add_roots(places);
        parts.secrets.redactor = parts.secrets.redactor.with(shared.http().redactor(&parts.secrets.redactor));
        let networks = Arc::new(networks);
        let session_user = shared.http().join();
        let backend = Arc::new(Self { parts, roots, endpoints, shared, session_user, networks, interceptor });
        backend.lead();
        Ok(backend)
    }

    /// Let this generation decide what all generations of the backend share: how many commands run at once, and which options peers read.
    /// A generation that was made later, and not taken, had decided it meanwhile.
    pub fn lead(&self) {
        self.shared.command_slots().set_size(self.parts.limits.concurrent_commands);
        for (name, endpoint) in &self.endpoints {
            self.shared.http().set_concurrency(name, endpoint.concurrency);
        }
        self.shared.set_peer_options(PeerOptions::of(&self.parts.manifest, &self.parts.options));
    }

    /// Begin a call: its rights are `target`, and everything it holds ends with it or at `deadline`.
    #[must_use]
    pub fn begin(
        self: &Arc<Self>,
        origin: CallOrigin,
        target: CallTarget,
        deadline: Instant,
        earlier_attempts: u32,
    ) -> Call {
        Call::new(Arc::clone(self), origin, target, deadline, earlier_attempts)
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &BackendName {
        &self.parts.name
    }

    /// Which configuration of it.
    #[must_use]
    pub const fn generation(&self) -> GenerationNumber {
        self.parts.generation
    }

    /// What the driver declares.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.parts.manifest
    }

    /// What the operator allows.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.parts.grant
    }

    /// What the site allows at most.
    #[must_use]
    pub const fn ceiling(&self) -> &Ceiling {
        &self.parts.ceiling
    }

    /// What the operator set.
    #[must_use]
    pub const fn options(&self) -> &BTreeMap<String, OptionValue> {
        &self.parts.options
    }

    /// The secret that the option `name` refers to; none if it is not set, or of another type. For what the host itself does with it: a
    /// login, a key, standard input. A guest has only its name.
    #[must_use]
    pub fn secret_option(&self, name: &str) -> Option<&Secret> {
        self.parts.secrets.options.get(name)
    }

    /// What seals the secrets that are kept.
    ///
    /// Fails with `unavailable` where nothing is kept.
    pub fn vault(&self) -> Result<&Vault, CapabilityError> {
        let nowhere = || {
            CapabilityError::new(CapabilityCode::Unavailable, "this host has no key to keep secrets under")
        };
        self.parts.secrets.vault.as_deref().ok_or_else(nowhere)
    }

    /// Whether a granted command or request captures secrets for `purpose`.
    pub(crate) fn captures(&self, purpose: &Label) -> bool {
        let is_granted = |name: &Label, digest: Digest| self.parts.grant.templates.get(name) == Some(&digest);
        let commands = self.manifest().commands.iter();
        let requests = self.manifest().requests.iter();
        commands
            .filter(|template| template.captures.contains_key(purpose))
            .any(|template| is_granted(&template.name, template.digest()))
            || requests
                .filter(|template| template.captures.contains_key(purpose))
                .any(|template| is_granted(&template.name, template.digest()))
    }

    /// Who knows the backend's own secrets. What a call says and gets is cleaned by the [call's](Call::redactor), which knows more.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.parts.secrets.redactor
    }

    /// Who learns the tokens of sessions, which outlive a generation.
    pub(crate) fn session_redactor(&self) -> &Redactor {
        self.shared.http().redactor(&self.parts.secrets.redactor)
    }

    /// What bounds a call.
    #[must_use]
    pub const fn limits(&self) -> &DriverLimits {
        &self.parts.limits
    }

    /// Whether calls may use `capability`: granted (or always granted) and below the ceiling.
    #[must_use]
    pub fn allows(&self, capability: Capability) -> bool {
        capability.is_always_granted()
            || (self.parts.grant.capabilities.contains(&capability)
                && self.parts.ceiling.capabilities.contains(&capability))
    }

    /// The granted root `name`. Denied if the manifest does not declare it, the grant does not bind it, or a restored copy of this daemon's
    /// state has it.
    pub fn root(&self, name: &Label) -> Result<Arc<Root>, CapabilityError> {
        let root = self.granted_root(name)?;
        if let Some(tenure) = self.parts.tenure {
            crate::claim::check(&root, tenure)?;
        }
        Ok(root)
    }

    fn granted_root(&self, name: &Label) -> Result<Arc<Root>, CapabilityError> {
        self.roots.get(name).cloned().ok_or_else(|| {
            let line = match self.manifest().root(name).map(RootDeclaration::digest) {
                Some(pin) => {
                    format!("grant.roots.{name} = {{ path = \"/absolute/directory\", pin = \"{pin}\" }}")
                }
                None => format!("[[root]] name = \"{name}\" in the driver's manifest"),
            };
            CapabilityError::denied(format!("root '{name}'"), line)
        })
    }

    /// Where addresses of its share servers come from.
    #[must_use]
    pub const fn networks(&self) -> &Arc<dyn NetworkProvider> {
        &self.networks
    }

    /// Denied unless the grant pins the template `name` by `digest`.
    pub fn require_template(&self, name: &Label, digest: Digest) -> Result<(), CapabilityError> {
        if self.parts.grant.templates.get(name) == Some(&digest) {
            return Ok(());
        }
        Err(CapabilityError::denied(
            format!("template '{name}'"),
            format!("grant.templates.{name} = \"{digest}\""),
        ))
    }

    pub(crate) fn interceptor(&self) -> Option<&dyn Interceptor> {
        self.interceptor.as_deref()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.parts.store
    }

    /// The store, for work that outlives its call.
    pub(crate) fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.parts.store)
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    pub(crate) fn runner(&self) -> &dyn CommandRunner {
        &*self.parts.helper
    }

    pub(crate) fn endpoint(&self, name: &Label) -> Option<&Arc<BoundEndpoint>> {
        self.endpoints.get(name)
    }

    pub(crate) const fn transport(&self) -> &Arc<dyn Transport> {
        &self.parts.http
    }

    /// The roots of all backends that are the directory `identity`.
    pub(crate) fn roots_at(&self, identity: Option<Identity>) -> Vec<(BackendName, Label)> {
        identity.map(|identity| self.parts.locks.roots_at(identity)).unwrap_or_default()
    }

    /// What another backend lets its peers read; none if there is no such backend here.
    pub(crate) fn peer_options(&self, backend: &BackendName) -> Option<Arc<PeerOptions>> {
        self.parts.locks.known(backend).map(|shared| shared.peer_options())
    }

    pub(crate) fn shared(&self) -> &BackendLocks {
        &self.shared
    }

    pub(crate) const fn session_user(&self) -> SessionUser {
        self.session_user
    }

    /// One permit for each command that may run at once, in all generations together.
    pub(crate) fn command_slots(&self) -> &Arc<Semaphore> {
        self.shared.command_slots().permits()
    }
}

impl Drop for Backend {
    /// Retired, replaced or never taken, and the last of its calls over.
    fn drop(&mut self) {
        self.shared.http().leave(self.session_user);
    }
}

pub(crate) const fn suggestion(name: Option<String>) -> Suggestion {
    Suggestion(name)
}
