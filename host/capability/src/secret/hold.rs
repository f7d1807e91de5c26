//! The secrets that one call was given, by the references that its guest has. They end with the call.

use super::redactor::Secret;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::SECURITY_SERVICE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How the reference to a kept secret begins.
const KEPT: &str = "kept/";
/// How many secrets one call is given, at most.
const MOST_HELD: usize = 1024;

/// What a secret is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// What the option of this name is for.
    Option(String),
    /// A purpose that the manifest declares as `[[secret]]`.
    Declared(Label),
    /// A security service's: what a server of the tenant's network joins it with.
    SecurityService,
}

impl Purpose {
    /// Whether a slot that takes secrets `of` these takes this one.
    pub(crate) fn is_one_of(&self, of: &[String]) -> bool {
        let name = match self {
            Self::Option(name) => name.as_str(),
            Self::Declared(name) => name.as_str(),
            Self::SecurityService => SECURITY_SERVICE,
        };
        of.iter().any(|allowed| allowed == name)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(formatter, "option '{name}'"),
            Self::Declared(name) => write!(formatter, "the purpose '{name}'"),
            Self::SecurityService => formatter.write_str("a security service"),
        }
    }
}

/// A secret and what it is for.
#[derive(Debug, Clone)]
pub struct Held {
    /// What it is for.
    pub purpose: Purpose,
    /// The secret.
    pub secret: Secret,
}

/// The secrets that a call was given. Clones are of the same call.
#[derive(Debug, Clone, Default)]
pub struct HeldSecrets(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    by_reference: BTreeMap<String, Held>,
    /// What the last command or request captured, by purpose.
    captured: BTreeMap<Label, String>,
    numbers: u64,
}

impl HeldSecrets {
    /// The secret behind a reference of this call.
    #[must_use]
    pub fn get(&self, reference: &str) -> Option<Held> {
        self.table().by_reference.get(reference).cloned()
    }

    /// Hold a secret; its reference.
    ///
    /// Fails with `limit-exceeded` for more than a driver has a use for.
    pub fn hold(&self, kind: &str, held: Held) -> Result<String, CapabilityError> {
        let mut table = self.table();
        if table.by_reference.len() >= MOST_HELD {
            return Err(CapabilityError::new(
                CapabilityCode::LimitExceeded,
                format!("one call is given at most {MOST_HELD} secrets"),
            ));
        }
        table.numbers += 1;
        let reference = format!("{kind}/{}", table.numbers);
        table.by_reference.insert(reference.clone(), held);
        Ok(reference)
    }

    /// Hold what a record of this call brought under a reference of its own.
    pub(crate) fn bring(&self, reference: &str, held: Held) {
        self.table().by_reference.insert(reference.to_owned(), held);
    }

    /// Hold what is kept under `name`; its reference, which is the same in every call.
    pub(crate) fn remember(&self, name: &str, held: Held) -> String {
        let reference = format!("{KEPT}{name}");
        self.table().by_reference.insert(reference.clone(), held);
        reference
    }

    /// What was kept under `name` is no more.
    pub(crate) fn forget(&self, name: &str) {
        self.table().by_reference.remove(&format!("{KEPT}{name}"));
    }

    /// Replace what was captured: by the last command or request alone.
    pub(crate) fn capture(&self, captured: Vec<(Label, Secret)>) -> Result<(), CapabilityError> {
        let mut references = BTreeMap::new();
        for (name, secret) in captured {
            let held = Held { purpose: Purpose::Declared(name.clone()), secret };
            references.insert(name, self.hold("captured", held)?);
        }
        self.table().captured = references;
        Ok(())
    }

    /// The reference to what was last captured for a purpose.
    pub(crate) fn captured(&self, purpose: &str) -> Option<String> {
        let table = self.table();
        table
            .captured
            .iter()
            .find(|(name, _)| name.as_str() == purpose)
            .map(|(_, reference)| reference.clone())
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that a reference to a kept secret was kept under.
pub(crate) fn kept_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(KEPT)
}
