//! The `secret` interface of one call: references, never text.
//!
//! A reference is the name of an option of type `secret`, which is good in every call; or one that this call was given: captured from an
//! output, made here, kept for its subject earlier, or brought by a security service. A reference that another call was given, of another
//! backend, or made up, is denied.

use super::hold::{Held, Purpose};
use super::redactor::{Redactor, Secret};
use super::vault::VaultError;
use crate::call::Call;
use crate::number::unusable;
use crate::record::Deed;
use crate::slot::{Slot, SlotValue};
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::ShareServerId;
use bulkhead_model::key;
use bulkhead_model::manifest::{SecretAlphabet, SecretDeclaration};
use bulkhead_model::secret::SealedSecret;
use bulkhead_model::text::{GuestText, is_harmless};
use bulkhead_store::{Key, Transaction};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest name that a secret is kept under, in bytes.
pub const NAME_BYTES: usize = 250;
/// How many secrets are kept for one resource, at most.
pub const MOST_KEPT: usize = 64;
/// The longest name shown in a text, in bytes.
const SHOWN: usize = 64;

/// What stands in the store for a secret that is kept.
#[derive(Debug, Serialize, Deserialize)]
struct KeptRecord {
    purpose: Purpose,
    sealed: SealedSecret,
}

/// The `secret` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Secrets<'call> {
    call: &'call Call,
}

impl<'call> Secrets<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Whether there is a text behind this reference.
    ///
    /// Fails with `denied` if the reference is not of this call.
    pub async fn is_set(&self, reference: &str) -> Result<bool, CapabilityError> {
        let work = async {
            self.require()?;
            Ok(self.find(reference).await?.is_some())
        };
        self.call.recorded(deed("secret.is-set", reference), work).await
    }

    /// Whether two references stand for the same text.
    ///
    /// Fails with `denied` if a reference is not of this call, `not-found` if one has no text.
    pub async fn is_same(&self, first: &str, second: &str) -> Result<bool, CapabilityError> {
        let work = async {
            self.require()?;
            Ok(self.text_of(first).await?.secret == self.text_of(second).await?.secret)
        };
        let subject = format!("{}, {}", GuestText::new(first, SHOWN), GuestText::new(second, SHOWN));
        self.call.recorded(Deed::new("secret.is-same", subject), work).await
    }

    /// What the last command or request of this call captured for the purpose `name`; none if it captured nothing.
    ///
    /// Fails with `denied` if no granted template captures that name.
    pub async fn captured(&self, name: &str) -> Result<Option<String>, CapabilityError> {
        let work = async {
            self.require()?;
            let purpose = self.purpose(name)?;
            if !self.call.backend().captures(&purpose.name) {
                return Err(CapabilityError::denied(
                    format!("what is captured as '{}'", purpose.name),
                    format!("grant.templates for a template with captures.{} = …", purpose.name),
                ));
            }
            Ok(self.call.held_secrets().captured(purpose.name.as_str()))
        };
        self.call.recorded(deed("secret.captured", name), work).await
    }

    /// Make a random secret for the declared purpose, with the length and alphabet that it declares. Each call makes another.
    ///
    /// Fails with `denied` if the purpose is not granted.
    pub async fn generate(&self, purpose: &str) -> Result<String, CapabilityError> {
        let work = async {
            self.require()?;
            let declared = self.purpose(purpose)?;
            let text = random(declared.length, declared.alphabet)?;
            let secret = self.call.redactor().secret(text);
            let secret = secret.map_err(|error| limit(error.to_string()))?;
            let purpose = Purpose::Declared(declared.name.clone());
            self.call.held_secrets().hold("generated", Held { purpose, secret })
        };
        self.call.recorded(deed("secret.generate", purpose), work).await
    }

    /// Keep the secret for the call's subject under `name`, sealed, durable when this returns; the reference that stays good. Replaces
    /// what is kept under that name.
    ///
    /// Fails with `denied` if the reference is not of this call or its purpose may not be kept, `not-found` if it has no text,
    /// `invalid-argument` if the name is malformed, `limit-exceeded` above [`MOST_KEPT`] for one resource.
    pub async fn keep(&self, name: &str, reference: &str) -> Result<String, CapabilityError> {
        let work = async {
            self.require()?;
            let key = self.key(name)?;
            let held = self.text_of(reference).await?;
            self.check_keepable(&held.purpose)?;
            let sealed = self.call.backend().vault()?.seal(&key.to_string(), &held.secret);
            let record = KeptRecord {
                purpose: held.purpose.clone(),
                sealed: sealed.map_err(|error| sealing(&error))?,
            };
            let value = serde_json::to_vec(&record).map_err(|error| unreadable(&error))?;
            self.check_room(&key).await?;
            let transaction = Transaction::default().put(key.clone(), value);
            self.call.backend().store().commit(transaction).await.map_err(|error| unusable(&error))?;
            Ok(self.call.held_secrets().remember(name, held))
        };
        self.call.recorded(deed("secret.keep", name), work).await
    }

    /// What is kept for the call's subject under `name`; none if nothing is.
    ///
    /// Fails with `invalid-argument` if the name is malformed.
    pub async fn kept(&self, name: &str) -> Result<Option<String>, CapabilityError> {
        let work = async {
            self.require()?;
            let held = self.read_kept(name).await?;
            Ok(held.map(|held| self.call.held_secrets().remember(name, held)))
        };
        self.call.recorded(deed("secret.kept", name), work).await
    }

    /// Forget what is kept under `name`; succeeds if nothing is.
    ///
    /// Fails with `invalid-argument` if the name is malformed.
    pub async fn forget(&self, name: &str) -> Result<(), CapabilityError> {
        let work = async {
            self.require()?;
            let transaction = Transaction::default().delete(self.key(name)?);
            self.call.backend().store().commit(transaction).await.map_err(|error| unusable(&error))?;
            self.call.held_secrets().forget(name);
            Ok(())
        };
        self.call.recorded(deed("secret.forget", name), work).await
    }

    /// The secret behind a reference, with what it is for; none if an option is not set or nothing is kept any more.
    ///
    /// Fails with `denied` if the reference is not of this call.
    async fn find(&self, reference: &str) -> Result<Option<Held>, CapabilityError> {
        match (self.at_hand(reference)?, super::hold::kept_name(reference)) {
            (None, Some(name)) => self.read_kept(name).await,
            (found, _) => Ok(found),
        }
    }

    /// As `find`, without a look into the store: what is kept must have been [taken out](Self::take_out).
    pub(crate) fn at_hand(&self, reference: &str) -> Result<Option<Held>, CapabilityError> {
        let backend = self.call.backend();
        if backend.manifest().is_secret_option(reference) {
            let secret = backend.secret_option(reference).cloned();
            return Ok(secret.map(|secret| Held { purpose: Purpose::Option(reference.to_owned()), secret }));
        }
        if let Some(held) = self.call.held_secrets().get(reference) {
            return Ok(Some(held));
        }
        if let Some(sealed) = self.call.target().passwords.get(reference) {
            let secret = backend.vault()?.open_text(reference, sealed, self.call.redactor());
            let secret = secret.map_err(|error| unopened(&error))?;
            let held = Held { purpose: Purpose::SecurityService, secret };
            self.call.held_secrets().bring(reference, held.clone());
            return Ok(Some(held));
        }
        match super::hold::kept_name(reference) {
            Some(_) => Ok(None),
            None => Err(CapabilityError::denied(
                format!("the secret '{}'", GuestText::new(reference, SHOWN)),
                "no line; a driver has its own options' secrets, and those that this call was given",
            )),
        }
    }

    /// Know the passwords that the call brings from its beginning, not only once its guest uses them: what an earlier call handed out comes
    /// back in what this one reads. Of one that does not open is told whoever uses it.
    pub(crate) fn know_passwords(&self) {
        for reference in self.call.target().passwords.keys() {
            drop(self.at_hand(reference));
        }
    }

    /// Who also takes out the passwords that the share server `instance` was set up with: its services may say them in calls that do not
    /// bring them. It knows them as long as they are held.
    pub(crate) fn redactor_of_server(&self, instance: Option<&str>) -> (Redactor, Vec<Secret>) {
        let redactor = self.call.redactor().for_call();
        let is_meant = |server: &ShareServerId| Some(server.to_string().as_str()) == instance;
        let of_server = self.call.target().service_passwords.iter().find(|(server, _)| is_meant(server));
        let passwords = of_server.into_iter().flat_map(|(_, passwords)| passwords);
        // One that does not open cannot have been handed to anybody either.
        let open = |(name, sealed): (&String, _)| {
            self.call.backend().vault().ok()?.open_text(name, sealed, &redactor).ok()
        };
        let held = passwords.filter_map(open).collect();
        (redactor, held)
    }

    /// Take out of the store what is kept under the references that slots are filled with.
    pub(crate) async fn take_out(&self, slots: &[Slot]) -> Result<(), CapabilityError> {
        for slot in slots {
            if let SlotValue::Secret(reference) = &slot.value
                && let Some(name) = super::hold::kept_name(reference)
                && self.call.held_secrets().get(reference).is_none()
                && let Some(held) = self.read_kept(name).await?
            {
                self.call.held_secrets().remember(name, held);
            }
        }
        Ok(())
    }

    async fn text_of(&self, reference: &str) -> Result<Held, CapabilityError> {
        self.find(reference).await?.ok_or_else(|| no_text(reference))
    }

    async fn read_kept(&self, name: &str) -> Result<Option<Held>, CapabilityError> {
        let key = self.key(name)?;
        let backend = self.call.backend();
        let found = backend.store().get(&key).await.map_err(|error| unusable(&error))?;
        let Some(found) = found else { return Ok(None) };
        let record: KeptRecord = serde_json::from_slice(&found.value).map_err(|error| unreadable(&error))?;
        let secret = backend.vault()?.open(&key.to_string(), &record.sealed, self.call.redactor());
        Ok(Some(Held { purpose: record.purpose, secret: secret.map_err(|error| sealing(&error))? }))
    }

    fn require(&self) -> Result<(), CapabilityError> {
        self.call.require(Capability::Secret)
    }

    /// A declared and granted purpose.
    fn purpose(&self, name: &str) -> Result<&'call SecretDeclaration, CapabilityError> {
        let shown = GuestText::new(name, SHOWN);
        let backend = self.call.backend();
        let declared = backend.manifest().secret(name).ok_or_else(|| {
            CapabilityError::denied(
                format!("the purpose '{shown}'"),
                format!("[[secret]] name = \"{shown}\" in the driver's manifest"),
            )
        })?;
        backend.require_template(&declared.name, declared.digest())?;
        Ok(declared)
    }

    fn check_keepable(&self, purpose: &Purpose) -> Result<(), CapabilityError> {
        let line = match purpose {
            Purpose::Declared(name) if self.purpose(name.as_str())?.keep => return Ok(()),
            Purpose::Declared(name) => {
                format!("[[secret]] name = \"{name}\" keep = true in the driver's manifest")
            }
            Purpose::Option(_) => "no line; the operator keeps it already".to_owned(),
            Purpose::SecurityService => {
                "no line; it comes with every call that brings its service".to_owned()
            }
        };
        Err(CapabilityError::denied(format!("keeping a secret of {purpose}"), line))
    }

    async fn check_room(&self, key: &Key) -> Result<(), CapabilityError> {
        let store = self.call.backend().store();
        if store.get(key).await.map_err(|error| unusable(&error))?.is_some() {
            return Ok(());
        }
        let kept = store
            .scan_page(&Key::prefix(&[key::KEPT, self.backend(), &self.owner()?]), None, MOST_KEPT)
            .await;
        if kept.map_err(|error| unusable(&error))?.len() < MOST_KEPT {
            return Ok(());
        }
        Err(limit(format!("at most {MOST_KEPT} secrets are kept for a resource; forget one first")))
    }

    fn key(&self, name: &str) -> Result<Key, CapabilityError> {
        let sound = !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(is_harmless);
        if !sound {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!(
                    "a secret is kept under a name of 1 to {NAME_BYTES} bytes without control characters"
                ),
            ));
        }
        Ok(Key::new(&[key::KEPT, self.backend(), &self.owner()?, name]))
    }

    fn backend(&self) -> &'call str {
        self.call.backend().name().as_str()
    }

    fn owner(&self) -> Result<String, CapabilityError> {
        self.call.target().subject().map(|subject| subject.to_string()).ok_or_else(|| {
            CapabilityError::denied("keeping a secret for nobody", "no line; this call is about no resource")
        })
    }
}

/// `length` letters of an alphabet, each as likely as the others.
fn random(length: u32, alphabet: SecretAlphabet) -> Result<Zeroizing<Vec<u8>>, CapabilityError> {
    let letters = alphabet.letters();
    let most = 256 - 256 % letters.len();
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let mut text = Zeroizing::new(Vec::with_capacity(wanted));
    let mut drawn = Zeroizing::new([0_u8; 64]);
    while text.len() < wanted {
        getrandom::fill(&mut *drawn).map_err(|error| sealing(&VaultError::Random(error)))?;
        let fair = drawn.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < most);
        let chosen = fair.filter_map(|byte| letters.get(byte % letters.len()));
        let room = wanted - text.len();
        text.extend(chosen.take(room));
    }
    Ok(text)
}

fn deed(function: &'static str, name: &str) -> Deed {
    Deed::new(function, GuestText::new(name, SHOWN).as_str())
}

pub(crate) fn no_text(reference: &str) -> CapabilityError {
    let shown = GuestText::new(reference, SHOWN);
    CapabilityError::new(CapabilityCode::NotFound, format!("there is no text behind the secret '{shown}'"))
}

fn limit(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::LimitExceeded, message)
}

/// A password that is no use is its tenant's to change; that one does not open is the operator's to mend.
fn unopened(error: &VaultError) -> CapabilityError {
    match error {
        VaultError::Text { source, .. } => CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("the password of the security service cannot be used: {source}"),
        ),
        _ => sealing(error),
    }
}

fn sealing(error: &VaultError) -> CapabilityError {
    tracing::error!(error = error as &dyn std::error::Error, "a secret could not be sealed or opened");
    CapabilityError::new(CapabilityCode::Io, "the host cannot seal or open a secret; see the host's log")
}

fn unreadable(error: &serde_json::Error) -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::Io,
        format!("the host's record of a secret cannot be read or written: {error}"),
    )
}
