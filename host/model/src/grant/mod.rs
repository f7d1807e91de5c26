//! What an operator allows a backend, and the ceiling a site sets for all.

use crate::ability::Capability;
use crate::id::{BackendName, Digest, Label};
use crate::network::NetworkGrants;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

mod endpoint;

pub use endpoint::{EndpointGrant, EndpointScheme, ShareServerEndpoint, Verification};

/// What the operator allows one backend. Empty by default: nothing is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// The capabilities the component may import beside `log`, `clock` and `config`.
    pub capabilities: BTreeSet<Capability>,
    /// Roots by name.
    pub roots: BTreeMap<Label, RootGrant>,
    /// Programs by name, each an absolute file.
    pub programs: BTreeMap<String, PathBuf>,
    /// Endpoints by name, each bound to the addresses of its controllers, or to those of each share server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<Label, EndpointGrant>,
    /// Templates of every kind by name, each pinned by the hash of its canonical form: the same name with other words is another
    /// template.
    pub templates: BTreeMap<Label, Digest>,
    /// Addresses and host names that export locations may name. Empty: whatever the option named by the manifest's
    /// `[export-addresses]` says.
    pub export_addresses: Vec<String>,
    /// Other backends of this host whose options marked `peer` may be read.
    pub peers: BTreeSet<BackendName>,
    /// Whether the host itself may copy shares of this backend to and from others, where its driver cannot move them. The driver gets no
    /// right by it.
    pub migration_copy: bool,
    /// The networks that addresses of its share servers come from. None: it makes no server that needs one.
    #[serde(skip_serializing_if = "NetworkGrants::is_unsaid")]
    pub networks: NetworkGrants,
}

/// A root that the operator binds: `shares = { path = "/srv/shares", pin = "sha256:…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a table with the directory and the declaration's digest: { path = \"/absolute/directory\", pin = \"sha256:…\" }"
)]
pub struct RootGrant {
    /// The directory, absolute.
    pub path: PathBuf,
    /// The hash of the root's declaration: the same name with another use or other paths is another root.
    pub pin: Digest,
}

/// What no grant of this site may exceed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ceiling {
    /// Capabilities that may be granted at all.
    pub capabilities: BTreeSet<Capability>,
    /// Programs that may be granted although the reviewed table does not know them.
    pub unreviewed_programs: BTreeSet<String>,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self { capabilities: Capability::ALL.iter().copied().collect(), unreviewed_programs: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_its_pin_is_refused_with_the_form_it_should_have() {
        for text in [r#"{ "roots": { "shares": "/srv/shares" } }"#, r#"{ "roots": { "shares": 1 } }"#] {
            let error = serde_json::from_str::<Grant>(text).expect_err("no pin").to_string();
            assert!(error.contains(r#"{ path = "/absolute/directory", pin = "sha256:…" }"#), "{error}");
        }
        let error = serde_json::from_str::<Grant>(r#"{ "roots": { "shares": { "path": "/srv" } } }"#);
        assert!(error.expect_err("no pin").to_string().contains("pin"));
    }

    #[test]
    fn an_endpoint_at_share_servers_says_which_of_their_addresses_and_the_rest_is_as_usual() {
        let read =
            |text: &str| serde_json::from_str::<EndpointGrant>(text).map_err(|error| error.to_string());
        let bound = read(r#"{ "share-server": { "network": "admin" } }"#).expect("a binding");
        assert_eq!(
            bound.share_server,
            Some(ShareServerEndpoint {
                network: crate::network::AllocationLabel::Admin,
                port: None,
                scheme: EndpointScheme::Https
            })
        );
        let written = serde_json::to_string(&bound).expect("JSON");
        assert_eq!(read(&written), Ok(bound), "{written}");
        for (text, told) in [
            (r#"{ "share-server": true }"#, r#"{ network = "admin", port = 8443 }"#),
            (r#"{ "share-server": {} }"#, "network"),
            (r#"{ "share-server": { "network": "storage" } }"#, "admin"),
            (r#"{ "share-server": { "network": "user", "port": 0 } }"#, "nonzero"),
            (r#"{ "share-server": { "network": "user", "port": 65536 } }"#, "65536"),
            (r#"{ "share-server": { "network": "user", "address": "10.0.0.1" } }"#, "address"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
