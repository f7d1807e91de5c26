//! Secrets: where they are kept, how they are held, and who takes them out of everything that leaves the host.
//!
//! An operator writes a [`SecretReference`]; [`SecretSource`] reads the [`Secret`] when a generation is
//! loaded. Only a [`Redactor`] makes secrets, and it knows each of its own that is alive: what passes it holds none. There is one of the
//! daemon, for log lines, the ledger and what the API answers; one of each backend, for what commands and arrays answer to its driver; and
//! one of each call, for what came with it. `reach` says who takes out what.

mod answer;
mod capture;
mod cut;
mod forms;
mod handle;
mod hold;
mod known;
mod reach;
mod redactor;
mod source;
mod vault;
mod view;

pub(crate) use capture::Output;
pub(crate) use handle::no_text;
pub use handle::{MOST_KEPT, NAME_BYTES, Secrets};
pub use hold::{Held, HeldSecrets, Purpose};
pub use redactor::{
    LONGEST_BYTES, MOST_BYTES, MOST_BYTES_OF_CALL, REDACTED, Redactor, SHORTEST_BYTES, Secret, SecretError,
};
pub use source::{Environment, SecretSource, SourceError};
pub use vault::{Vault, VaultError};

use bulkhead_model::id::Digest;
use bulkhead_model::manifest::{OptionDeclaration, OptionType, OptionValue};
use bulkhead_model::secret::{InvalidSecretReference, SecretReference};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a backend has of secrets.
#[derive(Debug, Clone, Default)]
pub struct BackendSecrets {
    /// Who takes them out of what returns to the backend's guest: the backend's own.
    pub redactor: Redactor,
    /// What its options of type `secret` refer to, by the option's name.
    pub options: BTreeMap<String, Secret>,
    /// What seals the secrets that are kept; none where nothing is kept beyond the process.
    pub vault: Option<Arc<Vault>>,
}

impl BackendSecrets {
    /// The same, of a backend that is served from the machine whose logins `machine` knows.
    #[must_use]
    pub fn served_from(self, machine: &Redactor) -> Self {
        Self { redactor: self.redactor.with(machine), ..self }
    }

    /// What tells the secrets of the options from others, by the option's name: one that was changed has another. Empty without a vault.
    #[must_use]
    pub fn fingerprints(&self) -> BTreeMap<String, Digest> {
        let of = |vault: &Arc<Vault>| {
            self.options.iter().map(|(name, secret)| (name.clone(), vault.fingerprint(secret))).collect()
        };
        self.vault.as_ref().map(of).unwrap_or_default()
    }
}

/// Why an option has no secret.
#[derive(Debug, thiserror::Error)]
pub enum OptionSecretError {
    /// It holds no reference.
    #[error("option '{option}' does not say where its secret is kept")]
    Reference {
        /// Which.
        option: String,
        /// What is wrong.
        #[source]
        source: InvalidSecretReference,
    },
    /// Its secret cannot be had.
    #[error("the secret of option '{option}' cannot be had")]
    Source {
        /// Which.
        option: String,
        /// Why.
        #[source]
        source: SourceError,
    },
}

impl SecretSource {
    /// What a backend with these options has of secrets, with a redactor of its own. Reads every secret that an option refers to; blocks on a few system calls.
    ///
    /// # Errors
    /// The first that cannot be had.
    pub fn of_options(
        &self,
        declared: &[OptionDeclaration],
        values: &BTreeMap<String, OptionValue>,
    ) -> Result<BackendSecrets, OptionSecretError> {
        let redactor = self.redactor().narrowed();
        let source = self.telling(redactor.clone());
        let mut options = BTreeMap::new();
        for declared in declared.iter().filter(|option| option.option_type == OptionType::Secret) {
            let option = declared.name.clone();
            let Some(OptionValue::Text(written)) = values.get(&option) else { continue };
            let reference: SecretReference = match written.parse() {
                Ok(reference) => reference,
                Err(source) => return Err(OptionSecretError::Reference { option, source }),
            };
            match source.resolve(&reference) {
                Ok(secret) => options.insert(option, secret),
                Err(source) => return Err(OptionSecretError::Source { option, source }),
            };
        }
        Ok(BackendSecrets { redactor, options, vault: self.vault().cloned() })
    }
}
