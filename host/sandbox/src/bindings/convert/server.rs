//! Share servers and the networks they are in, and what drivers answer about them.

use super::group::{group_snapshot_to_wit, group_to_wit};
use super::network::{allocations_to_wit, network_type_to_wit, version_to_wit};
use super::share::share_to_wit;
use super::snapshot::snapshot_to_wit;
use super::{
    Breach, KEY_BYTES, TEXT_BYTES, VALUE_BYTES, check_count, check_text, pairs_from_wit, pairs_to_wit, shown,
};
use crate::bindings::v0_1::bulkhead::driver::share_servers as wit_servers;
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use crate::bindings::v0_1::bulkhead::host::types as wit_host;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::network::{
    NetworkInfo, SecurityService, SecurityServiceType, ServerNetwork, ShareNetwork, ShareNetworkSubnet,
};
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_server::{
    ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver, ServerOutcome, ServerRequest,
};
use bulkhead_model::text::is_harmless;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The most addresses of one label that a server may need in a subnet.
const MOST_ADDRESSES: u32 = 64;
/// The most details of a server.
const MOST_DETAILS: usize = 64;
/// The most pools a server may name.
const MOST_POOLS: usize = 1000;

/// A server as a driver call carries it.
pub(crate) fn server_to_wit(server: &ServerForDriver) -> wit::ShareServer {
    wit::ShareServer {
        id: server.id.to_string(),
        identifier: server.identifier.clone(),
        share_network_id: server.share_network.to_string(),
        backend_details: pairs_to_wit(&server.backend_details),
    }
}

/// The server that something lives on, if it lives on one.
pub(crate) fn server_of(server: Option<&ServerForDriver>) -> Option<wit::ShareServer> {
    server.map(server_to_wit)
}

/// A share as a driver call carries it, with the server it lives on beside it.
pub(crate) fn with_server(share: &ShareForDriver) -> (wit::Share, Option<wit::ShareServer>) {
    (share_to_wit(share), server_of(share.server.as_ref()))
}

/// What is asked when a server for a share is chosen.
pub(crate) fn choice_for_share_to_wit(choice: &ServerChoiceForShare) -> wit_servers::ServerChoiceForShare {
    wit_servers::ServerChoiceForShare {
        candidates: choice.candidates.iter().map(server_to_wit).collect(),
        share: share_to_wit(&choice.share),
        source: choice.source.as_ref().map(snapshot_to_wit),
        share_group: choice.group.as_ref().map(group_to_wit),
        encryption_key: None,
    }
}

/// What is asked when a server for a group is chosen.
pub(crate) fn choice_for_group_to_wit(choice: &ServerChoiceForGroup) -> wit_servers::ServerChoiceForGroup {
    wit_servers::ServerChoiceForGroup {
        candidates: choice.candidates.iter().map(server_to_wit).collect(),
        share_group: group_to_wit(&choice.group),
        source: choice.source.as_ref().map(group_snapshot_to_wit),
    }
}

/// Why a server is made.
pub(crate) fn request_to_wit(request: &ServerRequest) -> wit_servers::ServerRequest {
    wit_servers::ServerRequest {
        request_host: request.request_host.clone(),
        share_type_id: request.share_type.map(|id| id.to_string()),
        extra_specs: pairs_to_wit(&request.extra_specs),
        qos_type_id: None,
        encryption_key: None,
        migration_source: None,
    }
}

/// All that is known of a server's network.
pub(crate) fn network_to_wit(network: &ServerNetwork) -> wit::ServerNetwork {
    wit::ServerNetwork {
        server_id: network.server_id.to_string(),
        networks: network.networks.iter().map(info_to_wit).collect(),
        admin_network_allocations: allocations_to_wit(&network.admin_network_allocations),
        security_services: security_services_to_wit(&network.security_services),
        backend_details: pairs_to_wit(&network.backend_details),
    }
}

fn info_to_wit(info: &NetworkInfo) -> wit::NetworkInfo {
    wit::NetworkInfo {
        subnet: subnet_to_wit(&info.subnet),
        network_allocations: allocations_to_wit(&info.network_allocations),
    }
}

/// A tenant's network with all its subnets.
pub(crate) fn share_network_to_wit(
    network: &ShareNetwork,
    services: &[SecurityService],
) -> wit::ShareNetwork {
    wit::ShareNetwork {
        id: network.id.to_string(),
        project_id: network.project_id.as_str().to_owned(),
        name: network.name.clone(),
        subnets: network.subnets.iter().map(subnet_to_wit).collect(),
        security_services: security_services_to_wit(services),
    }
}

/// A subnet of a tenant's network.
pub(crate) fn subnet_to_wit(subnet: &ShareNetworkSubnet) -> wit::ShareNetworkSubnet {
    wit::ShareNetworkSubnet {
        id: subnet.id.to_string(),
        share_network_id: subnet.share_network_id.to_string(),
        neutron_net_id: subnet.neutron_net_id.clone(),
        neutron_subnet_id: subnet.neutron_subnet_id.clone(),
        network_type: subnet.network_type.map(network_type_to_wit),
        segmentation_id: subnet.segmentation_id,
        cidr: subnet.cidr.map(|cidr| cidr.to_string()),
        gateway: subnet.gateway.map(|address| address.to_string()),
        mtu: subnet.mtu,
        ip_version: subnet.ip_version().map(version_to_wit),
        availability_zone: subnet.availability_zone.clone(),
        metadata: pairs_to_wit(&subnet.metadata),
    }
}

/// Security services in their order; a password crosses as the name it is known by.
pub(crate) fn security_services_to_wit(services: &[SecurityService]) -> Vec<wit::SecurityService> {
    services.iter().map(security_service_to_wit).collect()
}

/// A security service; its password crosses as the name it is known by.
pub(crate) fn security_service_to_wit(service: &SecurityService) -> wit::SecurityService {
    wit::SecurityService {
        id: service.id.to_string(),
        service_type: match service.service_type {
            SecurityServiceType::ActiveDirectory => wit::SecurityServiceType::ActiveDirectory,
            SecurityServiceType::Ldap => wit::SecurityServiceType::Ldap,
            SecurityServiceType::Kerberos => wit::SecurityServiceType::Kerberos,
        },
        project_id: service.project_id.as_str().to_owned(),
        name: service.name.clone(),
        dns_ip: service.dns_ip.clone(),
        server: service.server.clone(),
        domain: service.domain.clone(),
        user: service.user.clone(),
        password: service.secret_name().map(|name| wit_host::SecretRef { name }),
        organizational_unit: service.organizational_unit.clone(),
        default_ad_site: service.default_ad_site.clone(),
    }
}

/// How many addresses a server needs.
pub(crate) fn count_from_wit(function: &str, count: u32) -> Result<u32, Breach> {
    if count <= MOST_ADDRESSES {
        return Ok(count);
    }
    Err(Breach(format!("{function} is at most {MOST_ADDRESSES}, not {count}")))
}

/// What a driver says of a server it made or took over.
pub(crate) fn outcome_from_wit(outcome: wit::ServerOutcome) -> Result<ServerOutcome, Breach> {
    if let Some(identifier) = &outcome.identifier {
        check_text("server-outcome.identifier", identifier, TEXT_BYTES)?;
        if identifier.is_empty() {
            return Err(Breach::new("server-outcome.identifier is none rather than empty"));
        }
    }
    let details = details_from_wit("server-outcome.backend-details", outcome.backend_details)?;
    Ok(ServerOutcome { identifier: outcome.identifier, backend_details: details })
}

/// Details of a server that are kept.
pub(crate) fn details_from_wit(
    what: &str,
    details: Vec<wit::KeyValue>,
) -> Result<BTreeMap<String, String>, Breach> {
    pairs_from_wit(what, details, MOST_DETAILS)
}

/// What a failed set-up leaves: the pairs that can be kept. Those that cannot are passed over, so that tear-down gets as much as there is.
pub(crate) fn details_left_from_wit(details: Vec<wit::KeyValue>) -> BTreeMap<String, String> {
    let is_sound = |text: &str, most: usize| text.len() <= most && text.chars().all(is_harmless);
    let can_be_kept = |pair: &wit::KeyValue| {
        !pair.key.is_empty() && is_sound(&pair.key, KEY_BYTES) && is_sound(&pair.value, VALUE_BYTES)
    };
    let kept = details.into_iter().filter(can_be_kept).take(MOST_DETAILS);
    kept.map(|pair| (pair.key, pair.value)).collect()
}

/// Whom a driver chose: one of the candidates, or none of them.
pub(crate) fn choice_from_wit(
    candidates: &[ServerForDriver],
    chosen: Option<String>,
) -> Result<ServerChoice, Breach> {
    let Some(text) = chosen else { return Ok(ServerChoice::New) };
    let id = text.parse::<ShareServerId>().ok();
    let found = candidates.iter().find(|candidate| Some(candidate.id) == id);
    let of_found = found.map(|candidate| ServerChoice::Existing(candidate.id));
    of_found
        .ok_or_else(|| Breach(format!("a chosen server is one of the candidates, unlike '{}'", shown(&text))))
}

/// The pools of a server, each once.
pub(crate) fn pools_from_wit(pools: Vec<String>) -> Result<BTreeSet<String>, Breach> {
    check_count("the answer of share-server-pools", &pools, MOST_POOLS)?;
    for pool in &pools {
        check_text("a pool of a share server", pool, TEXT_BYTES)?;
    }
    Ok(pools.into_iter().collect())
}

/// The addresses of a server that is to be taken over, each once.
pub(crate) fn addresses_from_wit(addresses: Vec<String>) -> Result<BTreeSet<IpAddr>, Breach> {
    let most = usize::try_from(MOST_ADDRESSES).unwrap_or(usize::MAX).saturating_mul(2);
    check_count("the answer of share-server-network-info", &addresses, most)?;
    let mut found = BTreeSet::new();
    for text in addresses {
        let address = text.parse::<IpAddr>().map_err(|_| {
            Breach(format!(
                "share-server-network-info answers with plain IPv4 and IPv6 addresses, unlike '{}'",
                shown(&text)
            ))
        })?;
        if !found.insert(address.to_canonical()) {
            return Err(Breach(format!("share-server-network-info has '{}' twice", shown(&text))));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn pair(key: &str, value: &str) -> wit::KeyValue {
        wit::KeyValue { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_network_crosses_with_its_addresses_and_a_password_as_a_name() {
        let network = fixture::server_network();
        let crossed = network_to_wit(&network);
        assert_eq!(crossed.server_id, network.server_id.to_string());
        let allocation = &crossed.networks[0].network_allocations[0];
        assert_eq!((allocation.ip_address.as_str(), allocation.cidr.as_str()), ("10.1.0.2", "10.1.0.0/24"));
        assert_eq!(crossed.networks[0].subnet.cidr.as_deref(), Some("10.1.0.0/24"));
        let service = &crossed.security_services[0];
        let password = service.password.as_ref().expect("a reference");
        assert_eq!(Some(password.name.clone()), network.security_services[0].secret_name());
        assert!(!format!("{crossed:?}").contains("sealed"), "the text itself stays here");
    }

    #[test]
    fn only_a_candidate_is_chosen() {
        let candidates = [fixture::server(), fixture::server()];
        let chosen = |id: Option<String>| choice_from_wit(&candidates, id);
        assert_eq!(chosen(None), Ok(ServerChoice::New));
        let second = candidates[1].id;
        assert_eq!(chosen(Some(second.to_string())), Ok(ServerChoice::Existing(second)));
        assert!(chosen(Some(ShareServerId::random().to_string())).is_err());
        assert!(chosen(Some("../other".to_owned())).is_err());
        assert!(choice_from_wit(&[], Some(second.to_string())).is_err());
    }

    #[test]
    fn what_a_server_needs_and_is_has_bounds() {
        assert_eq!(count_from_wit("network-allocations-number", 64), Ok(64));
        assert!(count_from_wit("network-allocations-number", 65).is_err());
        let outcome = |identifier: Option<&str>, details| {
            outcome_from_wit(wit::ServerOutcome {
                identifier: identifier.map(str::to_owned),
                backend_details: details,
            })
        };
        assert!(outcome(Some("vserver1"), vec![pair("a", "1")]).is_ok());
        assert!(outcome(None, Vec::new()).is_ok());
        assert!(outcome(Some(""), Vec::new()).is_err());
        assert!(outcome(Some(&"x".repeat(256)), Vec::new()).is_err());
        assert!(outcome(None, vec![pair("a", &"x".repeat(1024))]).is_err());
        assert!(outcome(None, vec![pair("a", "1"), pair("a", "2")]).is_err());
        let many = (0..=MOST_DETAILS).map(|number| pair(&number.to_string(), "x")).collect();
        assert!(outcome(None, many).is_err());
    }

    /// Contract M-03.
    #[test]
    fn what_can_be_kept_of_a_failed_set_up_is_and_the_rest_is_passed_over() {
        let left =
            vec![pair("vlan", "7"), pair("", "x"), pair("long", &"x".repeat(1024)), pair("e", "\u{1b}")];
        assert_eq!(details_left_from_wit(left), BTreeMap::from([("vlan".to_owned(), "7".to_owned())]));
    }

    #[test]
    fn addresses_of_a_server_are_addresses_and_each_comes_once() {
        let found =
            |texts: &[&str]| addresses_from_wit(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(found(&["10.0.0.1", "fd00::1"]).map(|found| found.len()), Ok(2));
        assert_eq!(found(&[]), Ok(BTreeSet::new()));
        for bad in [&["10.0.0.1/24"][..], &["host"], &["10.0.0.1", "::ffff:10.0.0.1"]] {
            assert!(found(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pools_of_a_server_are_bounded() {
        assert_eq!(
            pools_from_wit(vec!["gold".to_owned(), "gold".to_owned()]).map(|found| found.len()),
            Ok(1)
        );
        assert!(pools_from_wit(vec!["x".repeat(256)]).is_err());
        assert!(pools_from_wit(vec!["gold".to_owned(); 1001]).is_err());
    }
}
