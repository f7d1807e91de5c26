//! Where the text of a secret is kept: what an operator writes in place of it.

use crate::id::AccessRuleId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// How a reference to a secret begins.
pub const SECRET_PREFIX: &str = "secret://";

/// The shortest secret, in bytes: a shorter one would be found, and taken out, in the middle of ordinary words.
pub const SHORTEST_BYTES: usize = 6;

/// The longest reference, in bytes.
const LONGEST: usize = 1024;
/// The longest name of a variable or credential, in bytes.
const LONGEST_NAME: usize = 255;

/// Where the text of a secret is kept. Never the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretReference {
    /// `secret://file/ABSOLUTE/PATH`: a file that only its owner reads.
    File(PathBuf),
    /// `secret://env/NAME`: a variable of the daemon's environment.
    Environment(String),
    /// `secret://credential/NAME`: a file in the directory of credentials that systemd made for the service.
    Credential(String),
}

/// A secret as it is stored: sealed under the host's key, in Base64. What it holds, only that host can tell.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedSecret(String);

impl SealedSecret {
    /// What was sealed, as text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the credential of an access rule is sealed for.
#[must_use]
pub fn access_key_place(rule: AccessRuleId) -> String {
    format!("access-key/{rule}")
}

/// Takes secrets out of what leaves the host, for crates that do not see who knows them. By default it knows none.
#[derive(Clone, Default)]
pub struct Cleaner(Option<Arc<Clean>>);

type Clean = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

impl Cleaner {
    /// Cleans with `clean`, which answers none for what holds no secret.
    pub fn new(clean: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(clean)))
    }

    /// `bytes` without secrets; none if they hold none.
    #[must_use]
    pub fn clean(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.0.as_ref().and_then(|clean| clean(bytes))
    }

    /// Take secrets out of a text.
    pub fn clean_text(&self, text: &mut String) {
        if let Some(clean) = self.clean(text.as_bytes()) {
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cleaner")
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedSecret")
    }
}

/// Text that is no reference to a secret. It does not say what the text was: it may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecretReference {
    /// No reference at all.
    #[error(
        "a secret is written as a reference, secret://file/ABSOLUTE/PATH, secret://env/NAME or secret://credential/NAME; \
         the secret itself does not belong in this file"
    )]
    NoReference,
    /// A place that is not known.
    #[error("a reference to a secret begins with secret://file/, secret://env/ or secret://credential/")]
    UnknownPlace,
    /// A path that is none.
    #[error(
        "the path of secret://file/ABSOLUTE/PATH has at most 1024 bytes, names a file and holds neither '.', '..' nor \
         control characters"
    )]
    Path,
    /// A variable that cannot be.
    #[error("the name in secret://env/NAME is one of letters, digits and '_' that begins with no digit")]
    Variable,
    /// A credential that cannot be.
    #[error("the name in secret://credential/NAME is that of a file: letters, digits, '-', '_', '.' and ':'")]
    Credential,
}

impl FromStr for SecretReference {
    type Err = InvalidSecretReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = text.strip_prefix(SECRET_PREFIX).ok_or(InvalidSecretReference::NoReference)?;
        if let Some(path) = place.strip_prefix("file") {
            return file(path);
        }
        if let Some(name) = place.strip_prefix("env/") {
            return if is_variable(name) {
                Ok(Self::Environment(name.to_owned()))
            } else {
                Err(InvalidSecretReference::Variable)
            };
        }
        match place.strip_prefix("credential/") {
            Some(name) if is_credential(name) => Ok(Self::Credential(name.to_owned())),
            Some(_) => Err(InvalidSecretReference::Credential),
            None => Err(InvalidSecretReference::UnknownPlace),
        }
    }
}

fn file(path: &str) -> Result<SecretReference, InvalidSecretReference> {
    if !path.starts_with('/') {
        return Err(InvalidSecretReference::UnknownPlace);
    }
    let plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
    // A component '.' in the middle is not told by the iterator.
    let dotted = path.split('/').any(|part| part == "." || part == "..");
    let sound = path.len() <= LONGEST
        && !path.ends_with('/')
        && !dotted
        && Path::new(path).components().all(plain)
        && path.chars().all(crate::text::is_harmless);
    if sound { Ok(SecretReference::File(PathBuf::from(path))) } else { Err(InvalidSecretReference::Path) }
}

fn is_variable(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn is_credential(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name != "."
        && name != ".."
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.:".contains(letter))
}

impl fmt::Display for SecretReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{SECRET_PREFIX}file{}", path.display()),
            Self::Environment(name) => write!(formatter, "{SECRET_PREFIX}env/{name}"),
            Self::Credential(name) => write!(formatter, "{SECRET_PREFIX}credential/{name}"),
        }
    }
}

impl TryFrom<String> for SecretReference {
    type Error = InvalidSecretReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SecretReference> for String {
    fn from(reference: SecretReference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_printed_as_it_was_written() {
        for text in [
            "secret://file/etc/bulkhead/array password",
            "secret://env/ARRAY_PASSWORD",
            "secret://credential/array.key",
        ] {
            let reference: SecretReference = text.parse().expect("a reference");
            assert_eq!(reference.to_string(), text);
            let json = serde_json::to_string(&reference).expect("JSON");
            assert_eq!(serde_json::from_str::<SecretReference>(&json).expect("the same"), reference);
        }
        assert_eq!(
            "secret://file/etc/key".parse(),
            Ok(SecretReference::File(PathBuf::from("/etc/key"))),
            "the path is absolute"
        );
    }

    #[test]
    fn what_is_no_reference_is_told_without_being_shown() {
        use InvalidSecretReference::{Credential, NoReference, Path, UnknownPlace, Variable};
        for (text, expected) in [
            ("hunter2-hunter2", NoReference),
            ("", NoReference),
            ("SECRET://env/A", NoReference),
            ("secret://hunter2", UnknownPlace),
            ("secret://vault/hunter2", UnknownPlace),
            ("secret://filehunter2", UnknownPlace),
            ("secret://file", UnknownPlace),
            ("secret://file/", Path),
            ("secret://file/etc/", Path),
            ("secret://file/etc/../hunter2", Path),
            ("secret://file/etc/./hunter2", Path),
            ("secret://file/hunter2\n", Path),
            ("secret://env/", Variable),
            ("secret://env/2HUNTER", Variable),
            ("secret://env/HUNTER=2", Variable),
            ("secret://credential/..", Credential),
            ("secret://credential/a/hunter2", Credential),
            ("secret://credential/", Credential),
        ] {
            let error = text.parse::<SecretReference>().expect_err(text);
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(format!("secret://file/{}", "a".repeat(1100)).parse::<SecretReference>().is_err());
    }
}
