//! Endpoints as the operator binds them.

use crate::id::Digest;
use crate::network::AllocationLabel;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use std::path::PathBuf;

/// How the certificate of a controller is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// Against `ca` or `fingerprint`.
    #[default]
    Full,
    /// Not at all, or without TLS: whoever is on the way reads and changes everything, credentials too.
    Off,
}

/// What a management interface speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointScheme {
    /// HTTP with TLS.
    #[default]
    Https,
    /// HTTP alone: with [`Verification::Off`] only.
    Http,
}

impl EndpointScheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// Where it listens unless something else is said.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// That each share server is its own management, at the addresses that the host keeps for it: `{ network = "admin", port = 8443 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table with the network whose addresses of the server are meant: { network = \"admin\", port = 8443 }"
)]
pub struct ShareServerEndpoint {
    /// Which of its addresses: those from the tenants' network or those from the administrators'. Several are tried in their order.
    pub network: AllocationLabel,
    /// At which port; none: the scheme's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// What it speaks there (`https`).
    #[serde(default)]
    pub scheme: EndpointScheme,
}

/// An endpoint that the operator binds:
/// `array = { controllers = ["https://10.0.0.5"], ca = "/etc/bulkhead/array.pem" }`, or
/// `server = { share-server = { network = "admin" }, ca = "/etc/bulkhead/servers.pem" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table with the controllers and what they are known by: { controllers = [\"https://10.0.0.5\"], ca = \"/absolute/file.pem\" }"
)]
pub struct EndpointGrant {
    /// The controllers in the order in which they are tried: `https://ADDRESS`, `https://ADDRESS:PORT`, or `http://` with `verify = "off"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// Instead of controllers: the share server that a call is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_server: Option<ShareServerEndpoint>,
    /// A file with the certificates, in PEM, that a controller's chain ends at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The SHA-256 of the controllers' own certificates, in DER: one of these it must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<Digest>,
    /// A file with the certificate that the host shows, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// A file with its key, in PEM, readable by nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// How certificates are checked.
    #[serde(default)]
    pub verify: Verification,
    /// Where the names among the controllers may lead: networks. Empty: anywhere but to this machine and its own link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// How many requests are under way at once (4).
    #[serde(default = "four")]
    pub concurrency: u32,
}

const fn four() -> u32 {
    4
}

impl EndpointGrant {
    /// An endpoint at these controllers, with everything else as it is by default.
    #[must_use]
    pub fn at(controllers: impl IntoIterator<Item = String>) -> Self {
        Self {
            controllers: controllers.into_iter().collect(),
            share_server: None,
            ca: None,
            fingerprints: Vec::new(),
            client_certificate: None,
            client_key: None,
            verify: Verification::Full,
            addresses: Vec::new(),
            concurrency: four(),
        }
    }

    /// An endpoint at addresses of the share server that a call is about, with everything else as it is by default.
    #[must_use]
    pub fn of_share_server(at: ShareServerEndpoint) -> Self {
        Self { share_server: Some(at), ..Self::at([]) }
    }
}
