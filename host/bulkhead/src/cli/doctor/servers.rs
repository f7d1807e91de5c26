//! What share servers are given addresses from.

use super::Findings;
use crate::config::BackendConfiguration;
use bulkhead_model::manifest::{GroupNetwork, Manifest, OptionValue};
use bulkhead_package::mode;
use std::collections::BTreeMap;

/// Whether a backend that makes share servers has addresses for them. How many its driver wants is known when it makes one: a driver that
/// wants none needs no network, so it is told and lacks nothing.
pub(super) fn look_at_addresses(
    findings: &Findings<'_>,
    manifest: &Manifest,
    (backend, options): (&BackendConfiguration, &BTreeMap<String, OptionValue>),
) {
    // Where servers are in networks of their own, that these are missing is told with their bridges.
    let is_told = manifest.groups.iter().any(|group| group.network == GroupNetwork::Own);
    if is_told
        || !mode::share_servers(&manifest.driver.dhss, options).is_ok_and(|makes_servers| makes_servers)
    {
        return;
    }
    let networks = &backend.grant.networks;
    let missing = if networks.user.is_empty() {
        "there is no [[grant.networks.user]]; bind one with gateway and mask"
    } else if networks.most_addresses == 0 || networks.most_addresses_per_project == 0 {
        "grant.networks allows none; raise most-addresses and most-addresses-per-project"
    } else {
        return;
    };
    findings.worth_knowing(&format!(
        "  no address for a share server, so no share can be made unless the driver wants none: {missing}"
    ));
}
