//! The bridges that a backend's share servers are plugged into.

use super::Findings;
use crate::config::BackendConfiguration;
use bulkhead_helper::{PlugState, look_at_plug};
use bulkhead_model::manifest::GroupNetwork;
use bulkhead_model::network::{AllocationLabel, NetworkGrants, NetworkPlug};
use bulkhead_model::place::Place;
use bulkhead_package::Package;

/// Whether the bridges are there that a backend's networks name, and whether one is named where the driver's servers need it.
pub(super) fn look_at_networks(
    findings: &mut Findings<'_>,
    package: &Package,
    backend: &BackendConfiguration,
) {
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
    if wants_bridge(package) && !names_bridge(grants) {
        findings.lacks(
            "  a bridge for share servers, which have networks of their own",
            "add bridge = \"br0\" to each [[grant.networks.user]] that they are in",
        );
    }
}

fn wants_bridge(package: &Package) -> bool {
    package.manifest.groups.iter().any(|group| group.network == GroupNetwork::Own)
}

fn names_bridge(grants: &NetworkGrants) -> bool {
    grants.user.iter().any(|network| network.bridge.is_some())
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
