//! Access rules.

use crate::id::{AccessMappingId, AccessRuleId};
use crate::secret::SealedSecret;
use crate::status::AccessRuleState;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLevel {
    /// Read and write.
    Rw,
    /// Read only.
    Ro,
}

impl AccessLevel {
    /// As the API prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rw => "rw",
            Self::Ro => "ro",
        }
    }
}

/// Who a rule lets in, checked for its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawAccessTo", into = "RawAccessTo")]
pub enum AccessTo {
    /// An address or network; host bits are zero.
    Ip(IpNet),
    /// A user or group: 4 to 255 characters.
    User(String),
    /// The common name of a certificate: 1 to 64 characters.
    Cert(String),
    /// A Ceph client: printable ASCII without a dot.
    Cephx(String),
}

/// Why a rule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccess {
    /// The type is none of the four.
    #[error("access type '{0}' is unknown; use ip, user, cert or cephx")]
    Type(String),
    /// The text is no address or network.
    #[error("'{0}' is not an IPv4 or IPv6 address or network; host names are not accepted")]
    Address(String),
    /// A network with host bits.
    #[error("'{given}' has host bits set; use '{network}'")]
    HostBits {
        /// What was given.
        given: String,
        /// The network it lies in.
        network: String,
    },
    /// A user or group name outside Manila's rule.
    #[error("a user is 4 to 255 characters without any of \" / \\ [ ] : ; | = , + * ? < >")]
    User,
    /// A certificate name outside Manila's rule.
    #[error("a certificate's common name is 1 to 64 printable characters")]
    Cert,
    /// A Ceph client name outside Manila's rule.
    #[error("a Ceph client name is printable ASCII without a dot, at most 255 characters")]
    Cephx,
}

impl AccessTo {
    /// Check what a tenant asked for (contract 2.5). An address becomes a network of one.
    pub fn parse(access_type: &str, access_to: &str) -> Result<Self, InvalidAccess> {
        match access_type {
            "ip" => parse_ip(access_to).map(Self::Ip),
            "user" => parse_user(access_to).map(Self::User),
            "cert" => parse_cert(access_to).map(Self::Cert),
            "cephx" => parse_cephx(access_to).map(Self::Cephx),
            other => Err(InvalidAccess::Type(other.chars().take(32).collect())),
        }
    }

    /// The type, as the API prints it.
    #[must_use]
    pub const fn type_str(&self) -> &'static str {
        match self {
            Self::Ip(_) => "ip",
            Self::User(_) => "user",
            Self::Cert(_) => "cert",
            Self::Cephx(_) => "cephx",
        }
    }
}

impl fmt::Display for AccessTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(formatter)
            }
            Self::Ip(network) => network.fmt(formatter),
            Self::User(text) | Self::Cert(text) | Self::Cephx(text) => formatter.write_str(text),
        }
    }
}

fn parse_ip(text: &str) -> Result<IpNet, InvalidAccess> {
    let invalid = || InvalidAccess::Address(text.chars().take(64).collect());
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text.parse().map_err(|_| invalid())?;
    if network.trunc() != network {
        return Err(InvalidAccess::HostBits {
            given: network.to_string(),
            network: network.trunc().to_string(),
        });
    }
    Ok(network)
}

fn parse_user(text: &str) -> Result<String, InvalidAccess> {
    let forbidden = |letter: char| "\"/\\[]:;|=,+*?<>".contains(letter) || !crate::text::is_harmless(letter);
    let length = text.chars().count();
    let hollow = text.chars().all(|letter| letter == '.' || letter.is_whitespace());
    if !(4..=255).contains(&length) || hollow || text.contains(forbidden) || text.starts_with('-') {
        return Err(InvalidAccess::User);
    }
    Ok(text.to_owned())
}

fn parse_cert(text: &str) -> Result<String, InvalidAccess> {
    let trimmed = text.trim();
    if !(1..=64).contains(&trimmed.chars().count()) || !trimmed.chars().all(crate::text::is_harmless) {
        return Err(InvalidAccess::Cert);
    }
    Ok(trimmed.to_owned())
}

fn parse_cephx(text: &str) -> Result<String, InvalidAccess> {
    let printable = text.chars().all(|letter| (' '..='~').contains(&letter) && letter != '.');
    if text.is_empty() || text.len() > 255 || !printable {
        return Err(InvalidAccess::Cephx);
    }
    Ok(text.to_owned())
}

#[derive(Serialize, Deserialize)]
struct RawAccessTo {
    access_type: String,
    access_to: String,
}

impl TryFrom<RawAccessTo> for AccessTo {
    type Error = InvalidAccess;

    fn try_from(raw: RawAccessTo) -> Result<Self, Self::Error> {
        Self::parse(&raw.access_type, &raw.access_to)
    }
}

impl From<AccessTo> for RawAccessTo {
    fn from(access_to: AccessTo) -> Self {
        Self { access_type: access_to.type_str().to_owned(), access_to: access_to.to_string() }
    }
}

/// A rule as a driver call carries it (contract 2.5, shape A).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// The rule: key of the driver's answer.
    pub id: AccessRuleId,
    /// The rule on this instance.
    pub mapping_id: AccessMappingId,
    /// Who.
    #[serde(flatten)]
    pub access_to: AccessTo,
    /// What.
    pub level: AccessLevel,
}

/// What `update-access` is asked (contract 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessUpdate {
    /// Everything that must be in force afterwards.
    pub rules: Vec<AccessRule>,
    /// New ones among them.
    pub add: Vec<AccessRule>,
    /// To be taken away; not in `rules`.
    pub remove: Vec<AccessRule>,
    /// Those of `rules` whose level changed.
    pub update: Vec<AccessRule>,
}

/// What a driver says became of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessOutcome {
    /// Which rule.
    pub rule: AccessRuleId,
    /// [`AccessRuleState::Active`] or [`AccessRuleState::Error`].
    pub state: AccessRuleState,
    /// A credential the backend made for it, sealed.
    pub access_key: Option<SealedSecret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one_and_prints_as_it_came() {
        let rule = AccessTo::parse("ip", "10.0.0.5").expect("an address");
        assert_eq!(rule.to_string(), "10.0.0.5");
        assert_eq!(AccessTo::parse("ip", "10.0.0.5/32"), Ok(rule));
        assert_eq!(
            AccessTo::parse("ip", "2001:DB8::1").map(|rule| rule.to_string()),
            Ok("2001:db8::1".to_owned())
        );
    }

    #[test]
    fn host_bits_and_host_names_are_refused_with_the_way_out() {
        let error = AccessTo::parse("ip", "10.0.0.1/8").expect_err("host bits");
        assert!(error.to_string().contains("use '10.0.0.0/8'"));
        assert!(AccessTo::parse("ip", "nas.example.org").is_err());
        assert!(AccessTo::parse("ip", "10.0.0.0/33").is_err());
    }

    #[test]
    fn names_carry_no_separator_and_no_control_character() {
        for text in ["abc", "....", "a\nbcd", "ab/cd", "-rfx", &"a".repeat(256)] {
            assert_eq!(AccessTo::parse("user", text), Err(InvalidAccess::User), "{text:?}");
        }
        assert!(AccessTo::parse("user", "alice").is_ok());
        assert!(AccessTo::parse("cephx", "a.b").is_err());
        assert!(AccessTo::parse("cert", "  host1 ").is_ok_and(|rule| rule.to_string() == "host1"));
        assert!(AccessTo::parse("shadow", "x").is_err());
    }
}
