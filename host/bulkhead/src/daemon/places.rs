//! The places of backends: this machine, and those that are reached over SSH, each made when a backend first names it.

use super::load_failure::LoadFailure;
use super::switch::Switch;
use crate::config::{self, SshAlgorithms, SshConfiguration, SshQuoting};
use bulkhead_capability::execute::{CommandRunner, HelperClient, HelperPlace};
use bulkhead_capability::secret::{Redactor, Secret, SecretSource};
use bulkhead_model::id::Label;
use bulkhead_model::place::Place;
use bulkhead_model::secret::SecretReference;
use bulkhead_model::suggestion::nearest;
use bulkhead_ssh::{
    Algorithms, Credential, CredentialError, Dialogue, DialogueError, FarHelper, HostKey, Login, PlainPlace,
    Pool, Quoting, Target, TargetError, Way,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Nobody declares the target.
    #[error(
        "'{place}' names a target that the configuration does not declare; write [ssh.{target}] with host, user, host-keys and key{meant}"
    )]
    Unknown {
        /// The place.
        place: Place,
        /// The target.
        target: Label,
        /// Empty, or what was perhaps meant.
        meant: String,
    },
    /// What is declared cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A host key is none.
    #[error(transparent)]
    HostKey(#[from] bulkhead_ssh::HostKeyError),
    /// A text to wait for is none.
    #[error(transparent)]
    Dialogue(#[from] DialogueError),
}

/// A target that was made, and of what.
struct Made {
    of: SshConfiguration,
    switch: Arc<Switch>,
    /// Where its logins come from. Its backends' guests are told none of them.
    secrets: SecretSource,
}

/// All places of this daemon.
pub(super) struct Places {
    local: Arc<dyn CommandRunner>,
    far: Mutex<BTreeMap<Place, Made>>,
    secrets: SecretSource,
}

impl Places {
    pub(super) fn new(local: Arc<dyn CommandRunner>, secrets: SecretSource) -> Self {
        Self { local, far: Mutex::default(), secrets }
    }

    /// The place, as the configuration `main_file` declares its target now, for this backend and for those that serve from it; beside it who
    /// knows what it is logged into with. Reads the file; must be called inside a runtime.
    pub(super) fn find(
        &self,
        place: &Place,
        main_file: &Path,
    ) -> Result<(Arc<dyn CommandRunner>, Redactor), LoadFailure> {
        let secrets = self.secrets.telling(self.secrets.redactor().narrowed());
        let (Place::Ssh(target) | Place::SshPlain(target)) = place else {
            return Ok((Arc::clone(&self.local), secrets.redactor().clone()));
        };
        let mut targets = config::load_main(main_file)?.ssh;
        let Some(of) = targets.remove(target) else {
            return Err(LoadFailure::Place(undeclared(place, target, &targets)));
        };
        let mut far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = far.get_mut(place) {
            self.follow(place, made, of).map_err(LoadFailure::Place)?;
            return Ok((Arc::<Switch>::clone(&made.switch), made.secrets.redactor().clone()));
        }
        let switch = make(place, target, (&of, &secrets)).map_err(LoadFailure::Place)?;
        let switch = Arc::new(Switch::new(switch));
        let redactor = secrets.redactor().clone();
        far.insert(place.clone(), Made { of, switch: Arc::clone(&switch), secrets });
        Ok((switch, redactor))
    }

    /// Let what serves reach its targets as they are declared now. One that is declared no more, or cannot be used as it is declared, stays
    /// as it was, and is told. Must be called inside a runtime.
    pub(super) fn take_in(&self, targets: &BTreeMap<Label, SshConfiguration>) {
        let mut far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, made) in far.iter_mut() {
            let (Place::Ssh(target) | Place::SshPlain(target)) = place else { continue };
            let followed = match targets.get(target) {
                Some(of) => self.follow(place, made, of.clone()).map_err(|error| error.to_string()),
                None => Err("its target is not declared any more".to_owned()),
            };
            if let Err(problem) = followed {
                tracing::error!("place {place} is reached as before: {problem}");
            }
        }
    }

    fn follow(&self, place: &Place, made: &mut Made, of: SshConfiguration) -> Result<(), PlaceError> {
        let (Place::Ssh(target) | Place::SshPlain(target)) = place else { return Ok(()) };
        if made.of != of {
            made.switch.turn(make(place, target, (&of, &made.secrets))?);
            made.of = of;
        }
        Ok(())
    }
}

/// That none of `targets` is the place's.
pub(crate) fn undeclared(
    place: &Place,
    target: &Label,
    targets: &BTreeMap<Label, SshConfiguration>,
) -> PlaceError {
    let meant = nearest(target.as_str(), targets.keys().map(Label::as_str));
    let meant = meant.map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
    PlaceError::Unknown { place: place.clone(), target: target.clone(), meant }
}

/// Begin to reach a place; what goes wrong on the way is told to whoever asks it for something.
pub(crate) fn make(
    place: &Place,
    name: &Label,
    (of, secrets): (&SshConfiguration, &SecretSource),
) -> Result<Arc<dyn CommandRunner>, PlaceError> {
    let target = target(name, of, secrets)?;
    target.check()?;
    let target = Arc::new(target);
    if matches!(place, Place::SshPlain(_)) {
        let quoting = match of.quoting {
            SshQuoting::Posix => Quoting::Posix,
            SshQuoting::Plain => Quoting::Plain,
        };
        return Ok(Arc::new(PlainPlace::new(target, quoting, dialogue(of)?)));
    }
    let helper =
        FarHelper { program: of.helper.clone(), runtime: of.runtime.clone(), policy: of.policy.clone() };
    Ok(Arc::new(HelperClient::start(HelperPlace::Far(Arc::new(Way::new(target, helper))))))
}

/// Whether a place is declared so that it could be reached. Nobody is connected to, and no secret is read.
pub(crate) fn check(place: &Place, name: &Label, of: &SshConfiguration) -> Result<(), PlaceError> {
    target(name, of, &SecretSource::new(Redactor::default(), config::environment()))?.check()?;
    if matches!(place, Place::SshPlain(_)) {
        dialogue(of)?;
    }
    Ok(())
}

fn dialogue(of: &SshConfiguration) -> Result<Option<Dialogue>, PlaceError> {
    let Some(prompt) = &of.prompt else { return Ok(None) };
    let dialogue = Dialogue::new(prompt)?.with_errors(&of.errors)?;
    match &of.pager {
        Some(pager) => Ok(Some(dialogue.with_pager(pager, &of.pager_answer)?)),
        None => Ok(Some(dialogue)),
    }
}

fn target(name: &Label, of: &SshConfiguration, secrets: &SecretSource) -> Result<Target, PlaceError> {
    let login = |reference: &SecretReference| {
        Arc::new(Referenced {
            secrets: secrets.clone(),
            reference: reference.clone(),
            last: Mutex::default(),
        })
    };
    let key = of.key.as_ref().map(|reference| Login::Key(login(reference)));
    let password = of.password.as_ref().map(|reference| Login::Password(login(reference)));
    Ok(Target {
        name: name.to_string(),
        host: of.host.clone(),
        port: of.port,
        user: of.user.clone(),
        host_keys: of.host_keys.iter().map(|text| text.parse::<HostKey>()).collect::<Result<_, _>>()?,
        logins: key.into_iter().chain(password).collect(),
        connect_timeout: Duration::from_secs(of.connect_timeout_seconds),
        pool: Pool { min: of.min_connections, max: of.max_connections, ..Pool::default() },
        algorithms: match of.algorithms {
            SshAlgorithms::Modern => Algorithms::Modern,
            SshAlgorithms::Legacy => Algorithms::Legacy,
        },
    })
}

/// A secret that the configuration refers to.
#[derive(Debug)]
struct Referenced {
    secrets: SecretSource,
    reference: SecretReference,
    /// What was read last. The connection holds it too, but what a command said is cleaned after its connection may have ended.
    last: Mutex<Option<Secret>>,
}

impl Credential for Referenced {
    fn reveal(&self) -> Result<Secret, CredentialError> {
        let secret = self.secrets.resolve(&self.reference);
        let secret = secret.map_err(|error| CredentialError::new(error.to_string()))?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret.clone());
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_capability::secret::Redactor;

    #[test]
    fn what_a_place_was_logged_into_with_stays_known_until_the_place_is_gone() {
        let redactor = Redactor::default();
        let environment = Arc::new(|name: &str| (name == "ARRAY").then(|| "correct horse".into()));
        let referenced = Referenced {
            secrets: SecretSource::new(redactor.clone(), environment),
            reference: "secret://env/ARRAY".parse().expect("a reference"),
            last: Mutex::default(),
        };
        drop(referenced.reveal().expect("a secret"));
        assert_eq!(
            redactor.redact("account root, password correct horse"),
            "account root, password [secret]"
        );
        drop(referenced);
        // What was known is forgotten with the next secret.
        let _next = redactor.secret(b"another one".to_vec()).expect("a secret");
        assert!(!redactor.finds_in(b"correct horse"));
    }
}
