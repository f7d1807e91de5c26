//! Secrets by reference: the text stays in the host, which puts it into standard input, requests and files that nobody else reads. A
//! driver holds names.

use crate::capability::CapabilityError;
use crate::host::{Host, host};

/// A secret by name. It comes from an option of type `secret`, from a record, or from this module; it is good for the call it came in,
/// unless it is of an option or kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Secret {
    name: String,
}

impl Secret {
    /// The secret of the option `option`, which must be of type `secret`. That it has a text is not asked: see [`is_set`].
    #[must_use]
    pub fn of_option(option: &str) -> Self {
        Self { name: option.to_owned() }
    }

    pub(crate) const fn from_name(name: String) -> Self {
        Self { name }
    }

    /// Its name: for slots of type `secret`, and for `RuleOutcome::access_key`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.name
    }
}

/// Whether there is a text behind this reference.
///
/// Reads only. Fails with `denied` if the reference is not of this call.
pub fn is_set(secret: &Secret) -> Result<bool, CapabilityError> {
    host().is_secret_set(secret.name())
}

/// Whether two references stand for the same text, for example to see whether a password changed.
///
/// Reads only. Fails with `denied` if a reference is not of this call, `not-found` if one has no text.
pub fn is_same(first: &Secret, second: &Secret) -> Result<bool, CapabilityError> {
    host().are_secrets_same(first.name(), second.name())
}

/// What the last command or request of this call captured for `purpose`, as its template's `captures` declares; none if it captured
/// nothing.
///
/// Reads only. Fails with `denied` if no granted template captures for that purpose.
pub fn captured(purpose: &str) -> Result<Option<Secret>, CapabilityError> {
    Ok(host().captured_secret(purpose)?.map(Secret::from_name))
}

/// A random secret for the declared purpose, with the length and alphabet that it declares.
///
/// Not idempotent: each call makes another; [`keep`] it before using it. Fails with `denied` if the purpose is not granted.
pub fn generate(purpose: &str) -> Result<Secret, CapabilityError> {
    host().generate_secret(purpose).map(Secret::from_name)
}

/// Keep `secret` for the call's subject under `name` (at most 250 bytes), durable when this returns; the reference that stays good.
///
/// Idempotent: replaces what is kept under that name. Fails with `denied` if the reference is not of this call or its purpose may not be
/// kept, `not-found` if it has no text, `limit-exceeded` above 64 for one resource.
pub fn keep(name: &str, secret: &Secret) -> Result<Secret, CapabilityError> {
    host().keep_secret(name, secret.name()).map(Secret::from_name)
}

/// What is kept for the call's subject under `name`; none if nothing is.
///
/// Reads only. Fails with `invalid-argument` if the name is malformed.
pub fn kept(name: &str) -> Result<Option<Secret>, CapabilityError> {
    Ok(host().kept_secret(name)?.map(Secret::from_name))
}

/// Forget what is kept under `name`. What is kept for a resource goes with it by itself.
///
/// Idempotent. Fails with `invalid-argument` if the name is malformed.
pub fn forget(name: &str) -> Result<(), CapabilityError> {
    host().forget_secret(name)
}
