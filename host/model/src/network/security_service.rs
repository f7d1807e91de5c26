//! Security services: the directories that a tenant's share servers join (contract 2.10).

use crate::id::{ProjectId, SecurityServiceId};
use crate::status::words;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

words!(
    /// Which directory a security service speaks.
    SecurityServiceType {
        /// Microsoft Active Directory.
        ActiveDirectory = "active_directory",
        /// LDAP.
        Ldap = "ldap",
        /// Kerberos.
        Kerberos = "kerberos",
    }
);

/// Text that only the host's key opens: how a secret stands in the store. Says nothing when printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedText(String);

impl SealedText {
    /// What the host's key made of a secret.
    #[must_use]
    pub const fn new(sealed: String) -> Self {
        Self(sealed)
    }

    /// What the host's key opens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SealedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealedText")
    }
}

/// A directory that a tenant's share servers join. A share server keeps a copy of those it was set up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityService {
    /// Its id.
    pub id: SecurityServiceId,
    /// Which directory it speaks.
    pub service_type: SecurityServiceType,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub description: Option<String>,
    /// Address of the name server for the domain; none if the network's own serves.
    pub dns_ip: Option<String>,
    /// Host name or address of the directory server; none lets the domain name it.
    pub server: Option<String>,
    /// The domain; none where the directory needs none.
    pub domain: Option<String>,
    /// The account that joins; none where the directory lets anybody.
    pub user: Option<String>,
    /// That account's password, sealed; none if it has none. Drivers get a reference to it, [`SecurityService::secret_name`].
    pub password: Option<SealedText>,
    /// The organizational unit to join (Manila's `ou`); none takes the directory's default.
    pub organizational_unit: Option<String>,
    /// The Active Directory site to prefer; none takes the nearest.
    pub default_ad_site: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl SecurityService {
    /// The name by which a driver refers to its password; none if it has none.
    #[must_use]
    pub fn secret_name(&self) -> Option<String> {
        self.password.as_ref().map(|_| Self::secret_name_of(self.id))
    }

    /// The passwords of those that have one, sealed, by the names that drivers refer to them by.
    pub fn passwords_of(services: &[Self]) -> impl Iterator<Item = (String, SealedText)> {
        services.iter().filter_map(|service| Some((service.secret_name()?, service.password.clone()?)))
    }

    /// The name of the password of a security service, which is also what it is sealed for.
    #[must_use]
    pub fn secret_name_of(id: SecurityServiceId) -> String {
        format!("security-service/{id}/password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_says_nothing_when_printed() {
        assert_eq!(format!("{:?}", SealedText::new("canary".to_owned())), "SealedText");
    }

    #[test]
    fn the_types_are_manilas_words() {
        let words: Vec<_> = SecurityServiceType::ALL.iter().map(|word| word.as_str()).collect();
        assert_eq!(words, ["active_directory", "ldap", "kerberos"]);
    }
}
