//! The networks of a backend's share servers, and the bridges that they are plugged into.

use super::{Findings, reason};
use crate::config::BackendConfiguration;
use bulkhead_capability::backend::check_plugs;
use bulkhead_helper::{PlugState, look_at_plug};
use bulkhead_model::manifest::{GroupNetwork, GroupTemplate};
use bulkhead_model::network::{AllocationLabel, NetworkPlug};
use bulkhead_model::place::Place;
use bulkhead_package::Package;

/// Whether the bridges are there that a backend's networks name.
pub(super) fn look_at_networks(findings: &mut Findings<'_>, backend: &BackendConfiguration) {
    let grants = &backend.grant.networks;
    for label in [AllocationLabel::User, AllocationLabel::Admin] {
        // What is no network was refused with the file.
        for network in grants.networks(label).unwrap_or_default() {
            let Some(plug) = &network.plug else { continue };
            let cidr = network.data.cidr.to_string();
            if backend.place == Place::Local {
                look_at_bridge(findings, plug, (&cidr, network.data.mtu));
            } else {
                findings.worth_knowing(&format!("  {plug} for {cidr} is at {}: look there", backend.place));
            }
        }
    }
}

/// Whether the backend would load with these networks, as its loader says, and whether its share servers would have any. Looks at nothing
/// but the grant, wherever the backend's place is.
pub(super) fn look_at_plugs(findings: &mut Findings<'_>, package: &Package, backend: &BackendConfiguration) {
    if let Err(error) = check_plugs(&package.manifest, &backend.grant) {
        return findings.lacks(&format!("  sound networks: {}", reason(error)), "correct [grant.networks]");
    }
    let networks = &backend.grant.networks;
    let has_own = |group: &GroupTemplate| {
        group.network == GroupNetwork::Own && backend.grant.templates.contains_key(&group.name)
    };
    if networks.user.is_empty() && networks.admin.is_empty() && package.manifest.groups.iter().any(has_own) {
        findings.lacks(
            "  a network for share servers, which have networks of their own",
            "bind one: [[grant.networks.user]] with gateway, mask and bridge = \"br0\"",
        );
    }
}

fn look_at_bridge(findings: &mut Findings<'_>, plug: &NetworkPlug, (cidr, wanted): (&str, u32)) {
    let (bridge, namespace) = (&plug.bridge, plug.namespace.as_deref());
    let ip = namespace.map_or_else(|| "ip".to_owned(), |namespace| format!("ip -n {namespace}"));
    let up = format!("{ip} link set {bridge} up");
    match look_at_plug(plug) {
        Ok(PlugState::NoNamespace) => {
            let namespace = namespace.unwrap_or_default();
            findings.lacks(
                &format!("  network namespace {namespace}, where {cidr} has its bridge {bridge}"),
                &format!(
                    "make both: ip netns add {namespace} && {ip} link add {bridge} type bridge && {up}; or correct namespace in grant.networks"
                ),
            );
        }
        Ok(PlugState::Nothing) => findings.lacks(
            &format!("  {plug} for {cidr}"),
            &format!("make it: {ip} link add {bridge} type bridge && {up}"),
        ),
        Ok(PlugState::NoBridge) => findings.lacks(
            &format!("  {plug} for {cidr}: that device is no bridge"),
            "name a bridge in grant.networks",
        ),
        Ok(PlugState::Down) => {
            findings.lacks(
                &format!("  {plug} for {cidr}: it is down, and passes nothing on"),
                &format!("type: {up}"),
            );
        }
        Ok(PlugState::Up { mtu }) if mtu < wanted => findings.lacks(
            &format!("  {plug} for {cidr}: it takes packets of {mtu} bytes, the network has {wanted}"),
            &format!("type: {ip} link set {bridge} mtu {wanted}; or set mtu = {mtu} in grant.networks"),
        ),
        Ok(PlugState::Up { .. }) => findings.good(&format!("  {plug} is there for {cidr}")),
        Err(error) => findings.worth_knowing(&format!(
            "  {plug} for {cidr} cannot be looked at: {error}; ask again as the user that runs the helper"
        )),
    }
}
