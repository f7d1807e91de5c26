//! Access rules in the writing of the servers that read them. Pure.
//!
//! What comes out holds validated addresses and words of this file, nothing that a guest or a tenant spelled.

use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::manifest::AccessRulesStyle;
use ipnet::IpNet;
use std::cmp::Reverse;

/// Who is let in where nobody shall be. In exports(5) a path without clients is open to everybody, so that an empty list must name a
/// client that no packet comes from.
pub const NOBODY: &str = "0.0.0.0/32(ro)";

/// Write access rules in a style. A rule that the style cannot say is left out, which grants nothing: the driver answers it as an error.
pub(crate) fn access_rules(style: AccessRulesStyle, rules: &[AccessRule]) -> String {
    match style {
        AccessRulesStyle::Exports5 => exports5(rules),
        AccessRulesStyle::Ganesha => ganesha(rules),
        AccessRulesStyle::Json => json(rules),
    }
}

/// As a JSON array of objects. Every type of rule can be said here.
fn json(rules: &[AccessRule]) -> String {
    let rule = |rule: &AccessRule| {
        serde_json::json!({
            "type": rule.access_to.type_str(), "to": rule.access_to.to_string(), "level": rule.level.as_str(),
        })
    };
    serde_json::Value::Array(rules.iter().map(rule).collect()).to_string()
}

/// As `CLIENT` blocks of NFS-Ganesha, one a client, the most specific first: the server takes the first block that fits an address, so
/// that one address may be let in otherwise than its network. Without any rule there is no block, and nobody is let in.
fn ganesha(rules: &[AccessRule]) -> String {
    let mut clients: Vec<(IpNet, AccessLevel)> = rules
        .iter()
        .filter_map(|rule| match &rule.access_to {
            AccessTo::Ip(network) => Some((network.trunc(), rule.level)),
            AccessTo::User(_) | AccessTo::Cert(_) | AccessTo::Cephx(_) => None,
        })
        .collect();
    clients.sort_by_key(|(network, _)| (Reverse(network.prefix_len()), *network));
    let block = |(network, level): (IpNet, AccessLevel)| {
        let access = match level {
            AccessLevel::Rw => "RW",
            AccessLevel::Ro => "RO",
        };
        let clients = ganesha_clients(network)?;
        Some(format!("CLIENT {{ Clients = {clients}; Access_Type = {access}; Protocols = 3, 4; }}"))
    };
    clients.into_iter().filter_map(block).collect::<Vec<_>>().join(" ")
}

/// A network as NFS-Ganesha reads one; none if it cannot: it takes prefixes of one or two digits and not `0`. It would pass over the
/// whole block and report success.
fn ganesha_clients(network: IpNet) -> Option<String> {
    match network.prefix_len() {
        length if length == network.max_prefix_len() => Some(network.addr().to_string()),
        0 => {
            let halves: Vec<String> = network.subnets(1).ok()?.map(|half| half.to_string()).collect();
            Some(halves.join(", "))
        }
        1..=99 => Some(network.to_string()),
        _ => None,
    }
}

/// As exports(5) lists clients: `10.0.0.0/24(rw) 10.0.0.9(ro)`, IPv6 without brackets; only addresses are clients there, and
/// [`NOBODY`] stands where no rule names one.
fn exports5(rules: &[AccessRule]) -> String {
    let client = |rule: &AccessRule| match &rule.access_to {
        AccessTo::Ip(_) => Some(format!("{}({})", rule.access_to, rule.level.as_str())),
        AccessTo::User(_) | AccessTo::Cert(_) | AccessTo::Cephx(_) => None,
    };
    let clients: Vec<String> = rules.iter().filter_map(client).collect();
    if clients.is_empty() { NOBODY.to_owned() } else { clients.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::super::ganesha::{self, Block, Item};
    use super::*;
    use bulkhead_model::id::{AccessMappingId, AccessRuleId};
    use proptest::prelude::*;
    use std::net::IpAddr;

    proptest! {
        #[test]
        fn a_list_of_clients_stays_in_its_line(addresses in prop::collection::vec(any::<std::net::IpAddr>(), 0..20)) {
            let rules: Vec<_> = addresses.iter().map(|address| rule("ip", &address.to_string())).collect();
            let clients = access_rules(AccessRulesStyle::Exports5, &rules);
            prop_assert!(clients.chars().all(|letter| letter.is_ascii_alphanumeric() || ".:/() ".contains(letter)));
            prop_assert_eq!(clients.split(' ').count(), addresses.len().max(1));
        }

        #[test]
        fn clients_of_ganesha_are_blocks_of_addresses_and_nothing_else(
            rules in prop::collection::vec((any::<IpAddr>(), 0_u8..=128, any::<bool>()), 0..20)
        ) {
            let rules: Vec<_> = rules
                .into_iter()
                .map(|(address, length, writes)| {
                    let length = length.min(if address.is_ipv4() { 32 } else { 128 });
                    let network = IpNet::new(address, length).expect("a network").trunc();
                    let level = if writes { AccessLevel::Rw } else { AccessLevel::Ro };
                    AccessRule { level, ..rule("ip", &network.to_string()) }
                })
                .collect();
            let text = access_rules(AccessRulesStyle::Ganesha, &rules);
            let items = ganesha::parse(&text).map_err(TestCaseError::fail)?;
            let mut last = u8::MAX;
            for item in items {
                let Item::Block(Block { name, items }) = item else {
                    return Err(TestCaseError::fail("no block"));
                };
                prop_assert_eq!(name, "CLIENT");
                let keys: Vec<_> = items.iter().map(Item::name).collect();
                prop_assert_eq!(keys, ["Clients", "Access_Type", "Protocols"]);
                let Some(Item::Value { values, .. }) = items.first() else {
                    return Err(TestCaseError::fail("no clients"));
                };
                for client in values {
                    let network: Option<IpNet> = client.parse().ok();
                    let address: Option<IpNet> = client.parse::<IpAddr>().ok().map(IpNet::from);
                    let length = network.or(address).map(|network| network.prefix_len());
                    prop_assert!(length.is_some_and(|length| length <= last), "{}", text);
                    last = length.unwrap_or(last);
                }
            }
        }
    }

    #[test]
    fn clients_are_listed_as_exports5_has_them() {
        let rules = [rule("ip", "10.0.0.0/24"), rule("ip", "10.0.0.9"), rule("ip", "2001:db8::/32")];
        let rules: Vec<_> = rules
            .into_iter()
            .zip([AccessLevel::Rw, AccessLevel::Ro, AccessLevel::Rw])
            .map(|(rule, level)| AccessRule { level, ..rule })
            .collect();
        assert_eq!(
            access_rules(AccessRulesStyle::Exports5, &rules),
            "10.0.0.0/24(rw) 10.0.0.9(ro) 2001:db8::/32(rw)"
        );
    }

    #[test]
    fn one_host_may_be_let_in_otherwise_than_its_network() {
        let level = |level, to: &str| AccessRule { level, ..rule("ip", to) };
        let rules = [
            level(AccessLevel::Rw, "0.0.0.0/0"),
            level(AccessLevel::Rw, "10.0.0.0/24"),
            level(AccessLevel::Ro, "10.0.0.9"),
            level(AccessLevel::Rw, "2001:db8::/32"),
        ];
        assert_eq!(
            access_rules(AccessRulesStyle::Ganesha, &rules),
            "CLIENT { Clients = 10.0.0.9; Access_Type = RO; Protocols = 3, 4; } \
             CLIENT { Clients = 2001:db8::/32; Access_Type = RW; Protocols = 3, 4; } \
             CLIENT { Clients = 10.0.0.0/24; Access_Type = RW; Protocols = 3, 4; } \
             CLIENT { Clients = 0.0.0.0/1, 128.0.0.0/1; Access_Type = RW; Protocols = 3, 4; }"
        );
        let shuffled: Vec<_> = rules.iter().rev().cloned().collect();
        assert_eq!(
            access_rules(AccessRulesStyle::Ganesha, &shuffled),
            access_rules(AccessRulesStyle::Ganesha, &rules),
            "whatever the order of the rules"
        );
        assert_eq!(access_rules(AccessRulesStyle::Ganesha, &[]), "");
        assert_eq!(access_rules(AccessRulesStyle::Ganesha, &[rule("user", "alice")]), "");
    }

    #[test]
    fn every_rule_stands_in_a_json_array() {
        let rules = [rule("ip", "10.0.0.0/24"), rule("user", "alice")];
        let text = access_rules(AccessRulesStyle::Json, &rules);
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            read.pointer("/0"),
            Some(&serde_json::json!({ "type": "ip", "to": "10.0.0.0/24", "level": "rw" }))
        );
        assert_eq!(read.pointer("/1/type"), Some(&serde_json::json!("user")));
        assert_eq!(access_rules(AccessRulesStyle::Json, &[]), "[]");
    }

    #[test]
    fn no_rules_let_nobody_in() {
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &[]), NOBODY);
    }

    #[test]
    fn a_rule_that_the_style_cannot_say_lets_nobody_in_and_changes_nothing_for_the_rest() {
        let strangers = [rule("user", "alice"), rule("cert", "host1"), rule("cephx", "bob")];
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &strangers), NOBODY);
        let [user, cert, cephx] = strangers;
        let mixed = [user, rule("ip", "10.0.0.9"), cert, rule("ip", "10.1.0.0/16"), cephx];
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &mixed), "10.0.0.9(rw) 10.1.0.0/16(rw)");
    }

    #[test]
    fn a_network_is_written_as_ganesha_reads_one_and_left_out_where_it_cannot() {
        for (access_to, clients) in [
            ("10.0.0.9", Some("10.0.0.9")),
            ("10.0.0.0/24", Some("10.0.0.0/24")),
            ("0.0.0.0/0", Some("0.0.0.0/1, 128.0.0.0/1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::/99", Some("2001:db8::/99")),
            ("2001:db8::/100", None),
            ("2001:db8::/127", None),
            ("::/0", Some("::/1, 8000::/1")),
        ] {
            let block =
                |clients| format!("CLIENT {{ Clients = {clients}; Access_Type = RW; Protocols = 3, 4; }}");
            let written = access_rules(AccessRulesStyle::Ganesha, &[rule("ip", access_to)]);
            assert_eq!(written, clients.map(block).unwrap_or_default(), "{access_to}");
        }
    }

    fn rule(access_type: &str, access_to: &str) -> AccessRule {
        AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: AccessTo::parse(access_type, access_to).expect("a rule"),
            level: AccessLevel::Rw,
        }
    }
}
