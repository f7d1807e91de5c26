//! What callers ask for of networks and security services.

use crate::error::ManagerError;
use crate::request::{check_metadata, check_text};
use bulkhead_model::network::SecurityServiceType;
use bulkhead_model::secret::SHORTEST_BYTES;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The most bytes of a subnet's metadata.
pub(super) const METADATA_BYTES: usize = 16 * 1024;

/// A share network to be made, with its first subnet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NewShareNetwork {
    /// What the tenant calls it, at most 255 letters.
    pub name: Option<String>,
    /// The tenant's words about it, at most 255 letters.
    pub description: Option<String>,
    /// The network in Neutron; only with the next.
    pub neutron_net_id: Option<String>,
    /// The subnet in Neutron; only with the one before.
    pub neutron_subnet_id: Option<String>,
}

impl NewShareNetwork {
    pub(super) fn check(&self) -> Result<(), ManagerError> {
        check_text("name", self.name.as_deref())?;
        check_text("description", self.description.as_deref())?;
        check_neutron(self.neutron_net_id.as_deref(), self.neutron_subnet_id.as_deref())
    }
}

/// A subnet to be added to a share network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NewSubnet {
    /// The network in Neutron; only with the next.
    pub neutron_net_id: Option<String>,
    /// The subnet in Neutron; only with the one before.
    pub neutron_subnet_id: Option<String>,
    /// The tenant's metadata on it.
    pub metadata: BTreeMap<String, String>,
}

impl NewSubnet {
    pub(super) fn check(&self) -> Result<(), ManagerError> {
        check_metadata(&self.metadata, METADATA_BYTES)?;
        check_neutron(self.neutron_net_id.as_deref(), self.neutron_subnet_id.as_deref())
    }
}

pub(super) fn check_neutron(network: Option<&str>, subnet: Option<&str>) -> Result<(), ManagerError> {
    check_text("neutron_net_id", network)?;
    check_text("neutron_subnet_id", subnet)?;
    if network.is_some() == subnet.is_some() {
        return Ok(());
    }
    Err(ManagerError::invalid("neutron_net_id", "name both neutron_net_id and neutron_subnet_id, or neither"))
}

/// What may be changed of a share network. None leaves a field as it is; `Some(None)` takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ShareNetworkUpdate {
    /// What the tenant calls it.
    pub name: Option<Option<String>>,
    /// The tenant's words about it.
    pub description: Option<Option<String>>,
}

impl ShareNetworkUpdate {
    pub(super) fn check(&self) -> Result<(), ManagerError> {
        check_text("name", given(&self.name))?;
        check_text("description", given(&self.description))
    }
}

/// A password on its way to be sealed. Says nothing when printed or written down.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password, as a tenant wrote it.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<(), ManagerError> {
        if self.0.len() < SHORTEST_BYTES {
            let reason = format!(
                "at least {SHORTEST_BYTES} bytes: a shorter one could not be told from ordinary words and kept out of logs"
            );
            return Err(ManagerError::invalid("password", reason));
        }
        if self.0.chars().count() <= 255 && !self.0.contains(['\0', '\n', '\r']) {
            return Ok(());
        }
        Err(ManagerError::invalid("password", "at most 255 letters without line breaks"))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

// What is written down here becomes a digest that recognizes a repeated request: a password must not be found from it.
impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("Password")
    }
}

/// A security service to be made. Texts are at most 255 letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewSecurityService {
    /// Which directory it speaks.
    pub service_type: SecurityServiceType,
    /// What the tenant calls it.
    pub name: Option<String>,
    /// The tenant's words about it; never reach a backend.
    pub description: Option<String>,
    /// Address of the name server for the domain.
    pub dns_ip: Option<String>,
    /// Host name or address of the directory server; not with `default_ad_site`.
    pub server: Option<String>,
    /// The domain.
    pub domain: Option<String>,
    /// The account that joins.
    pub user: Option<String>,
    /// That account's password.
    pub password: Option<Password>,
    /// The organizational unit to join.
    pub organizational_unit: Option<String>,
    /// The Active Directory site to prefer; not with `server`.
    pub default_ad_site: Option<String>,
}

impl NewSecurityService {
    /// One of this type, and nothing else said.
    #[must_use]
    pub const fn of_type(service_type: SecurityServiceType) -> Self {
        Self {
            service_type,
            name: None,
            description: None,
            dns_ip: None,
            server: None,
            domain: None,
            user: None,
            password: None,
            organizational_unit: None,
            default_ad_site: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), ManagerError> {
        let texts = [
            ("name", &self.name),
            ("description", &self.description),
            ("dns_ip", &self.dns_ip),
            ("server", &self.server),
            ("domain", &self.domain),
            ("user", &self.user),
            ("ou", &self.organizational_unit),
            ("default_ad_site", &self.default_ad_site),
        ];
        texts.into_iter().try_for_each(|(field, text)| check_text(field, text.as_deref()))?;
        self.password.as_ref().map_or(Ok(()), Password::check)?;
        check_site(self.server.as_deref(), self.default_ad_site.as_deref())
    }
}

/// A server and a site contradict each other.
pub(super) fn check_site(server: Option<&str>, site: Option<&str>) -> Result<(), ManagerError> {
    if server.is_some() && site.is_some() {
        return Err(ManagerError::invalid(
            "default_ad_site",
            "name a server or a site to take one from, not both",
        ));
    }
    Ok(())
}

/// What may be changed of a security service. None leaves a field as it is; `Some(None)` takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SecurityServiceUpdate {
    /// What the tenant calls it.
    pub name: Option<Option<String>>,
    /// The tenant's words about it.
    pub description: Option<Option<String>>,
    /// Address of the name server for the domain.
    pub dns_ip: Option<Option<String>>,
    /// Host name or address of the directory server.
    pub server: Option<Option<String>>,
    /// The domain.
    pub domain: Option<Option<String>>,
    /// The account that joins.
    pub user: Option<Option<String>>,
    /// That account's password.
    pub password: Option<Option<Password>>,
    /// The organizational unit to join.
    pub organizational_unit: Option<Option<String>>,
    /// The Active Directory site to prefer.
    pub default_ad_site: Option<Option<String>>,
}

impl SecurityServiceUpdate {
    pub(super) fn check(&self) -> Result<(), ManagerError> {
        let texts = [
            ("name", &self.name),
            ("description", &self.description),
            ("dns_ip", &self.dns_ip),
            ("server", &self.server),
            ("domain", &self.domain),
            ("user", &self.user),
            ("ou", &self.organizational_unit),
            ("default_ad_site", &self.default_ad_site),
        ];
        texts.into_iter().try_for_each(|(field, text)| check_text(field, given(text)))?;
        self.password.iter().flatten().try_for_each(Password::check)
    }
}

fn given(text: &Option<Option<String>>) -> Option<&str> {
    text.as_ref().and_then(Option::as_deref)
}
