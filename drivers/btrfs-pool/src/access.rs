//! Access rules: one file an export, written anew by the host whenever they change, and the running server told of it.

use crate::export::{Clients, Export};
use crate::place::{SHARE, SNAPSHOT};
use crate::{share, subvolume};
use bulkhead_sdk::{
    AccessRule, AccessType, AccessUpdate, Error, Result, RuleOutcome, Share, Snapshot, SnapshotAccessRule,
    log,
};

/// Make the export of a share say what `update.rules` says. NFS with `sec=sys` knows clients by address: every other rule is reported
/// as an error, and changes nothing for the rest.
pub fn update(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
    // A replica that is not active is exported to nobody; its rules come into force when it is promoted.
    if share::is_served(share) {
        if update.rules.is_empty() && !subvolume::is_there(SHARE, &share.into())? {
            // Somebody deleted the subvolume: there is nothing that anybody could be let into, and the share shall be removable.
            share::shut(share)?;
        } else {
            share::admit(share)?;
        }
    }
    for rule in update.rules.iter().filter(|rule| !is_client(rule.access_type, &rule.access_to)) {
        log::warning(&no_client(&rule.access_to));
    }
    Ok(outcomes(&update.rules))
}

fn no_client(access_to: &str) -> String {
    format!(
        "'{access_to}' is no client for the NFS server, which knows IPv4 and IPv6 addresses and networks, of IPv6 up to /99"
    )
}

/// What becomes of each rule of a share.
pub fn outcomes(rules: &[AccessRule]) -> Vec<RuleOutcome> {
    let outcome = |rule: &AccessRule| {
        if is_client(rule.access_type, &rule.access_to) {
            RuleOutcome::active(rule)
        } else {
            RuleOutcome::error(rule)
        }
    };
    rules.iter().map(outcome).collect()
}

/// Make the export of a mountable snapshot say what `rules` says.
///
/// Fails with `invalid-access-type` if one of them names nobody that the server knows: here no rule can fail alone.
pub fn update_snapshot(snapshot: &Snapshot, rules: &[SnapshotAccessRule]) -> Result<()> {
    let export = Export::of_snapshot(snapshot);
    let _held = export.hold()?;
    if rules.is_empty() && !subvolume::is_there(SNAPSHOT, &snapshot.into())? {
        return export.suspend();
    }
    export.publish(Clients::OfCall)?;
    match rules.iter().find(|rule| !is_client(rule.access_type, &rule.access_to)) {
        Some(rule) => Err(Error::invalid_access_type(no_client(&rule.access_to))),
        None => Ok(()),
    }
}

/// Whether the server can let this client in. It reads no IPv6 network with a prefix of three digits; a single address it does.
pub fn is_client(access_type: AccessType, access_to: &str) -> bool {
    if access_type != AccessType::Ip {
        return false;
    }
    match access_to.split_once('/') {
        Some((address, prefix)) if address.contains(':') => prefix.len() < 3 || prefix == "128",
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_that_the_server_can_read() {
        for (access_to, expected) in [
            ("10.0.0.9", true),
            ("10.0.0.0/8", true),
            ("2001:db8::1", true),
            ("2001:db8::1/128", true),
            ("2001:db8::/32", true),
            ("2001:db8::/99", true),
            ("2001:db8::/100", false),
            ("2001:db8::/127", false),
        ] {
            assert_eq!(is_client(AccessType::Ip, access_to), expected, "{access_to}");
        }
        assert!(!is_client(AccessType::User, "10.0.0.9"));
    }
}
