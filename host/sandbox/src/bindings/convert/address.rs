//! The addresses that an export location sends clients to. A driver may name its own only: whoever could name another would send a
//! tenant's data to a server of its choice.

use bulkhead_capability::backend::Backend;
use bulkhead_model::base_option::share_opts;
use bulkhead_model::grant::Grant;
use bulkhead_model::manifest::{Manifest, OptionValue};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// An IP address in any spelling, or a host name in any letter case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    /// An address.
    Ip(IpAddr),
    /// A name, in lower case, without a dot at its end.
    Name(String),
}

impl Address {
    /// Take `text` for an address if it is one, else for a name.
    pub(crate) fn new(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(
            |_| Self::Name(bare.trim_end_matches('.').to_ascii_lowercase()),
            |address: IpAddr| Self::Ip(address.to_canonical()),
        )
    }
}

/// The addresses that a backend's export locations may name: those of the grant, else those of the option that the manifest's
/// `[export-addresses]` names.
pub(crate) fn allowed(backend: &Backend) -> BTreeSet<Address> {
    allowed_by(backend.grant(), backend.manifest(), backend.options())
}

fn allowed_by(
    grant: &Grant,
    manifest: &Manifest,
    options: &BTreeMap<String, OptionValue>,
) -> BTreeSet<Address> {
    if !grant.export_addresses.is_empty() {
        return grant.export_addresses.iter().map(|text| Address::new(text)).collect();
    }
    let Some(declared) = &manifest.export_addresses else { return BTreeSet::new() };
    let name = &declared.from_option;
    let inherited = share_opts();
    let default = manifest.options.iter().chain(&inherited).find(|option| option.name == *name);
    match options.get(name).or_else(|| default.and_then(|option| option.default.as_ref())) {
        Some(OptionValue::Text(text)) => BTreeSet::from([Address::new(text)]),
        Some(OptionValue::List(texts)) => texts.iter().map(|text| Address::new(text)).collect(),
        _ => BTreeSet::new(),
    }
}

/// The addresses in what a client mounts; none if it names none. Every protocol of the contract writes them in one of these ways:
///
/// ```text
/// \\host\share   //host/share           CIFS
/// hdfs://host:8020/share                HDFS
/// host:/path   [fe80::1]:/path          NFS and most others
/// host1:6789,host2:6789:/path           CephFS
/// host@tcp:/fs                          Lustre
/// ```
pub(crate) fn addresses_of(path: &str) -> Vec<Address> {
    if let Some(rest) = path.strip_prefix("\\\\").or_else(|| path.strip_prefix("//")) {
        return before(rest, ['\\', '/']).into_iter().map(Address::new).collect();
    }
    if let Some((scheme, rest)) = path.split_once("://")
        && !scheme.is_empty()
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
    {
        let host = before(rest, ['/', '/']).unwrap_or(rest);
        return vec![Address::new(without_port(host))];
    }
    let Some((hosts, _)) = path.split_once(":/") else { return Vec::new() };
    hosts.split(',').map(|host| Address::new(without_network(without_port(host)))).collect()
}

fn before(text: &str, ends: [char; 2]) -> Option<&str> {
    text.split_once(ends).map(|(host, _)| host).filter(|host| !host.is_empty())
}

fn without_port(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Without Lustre's network, `@tcp0` or `@o2ib1`. Anything else behind an `@` stays, and makes an address that nobody allowed.
fn without_network(host: &str) -> &str {
    match host.split_once('@') {
        Some((name, network)) => {
            let number = network.strip_prefix("tcp").or_else(|| network.strip_prefix("o2ib"));
            let is_network = number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
            if is_network { name } else { host }
        }
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use bulkhead_model::manifest::ExportAddressesDeclaration;

    #[test]
    fn the_address_is_found_in_every_protocols_way_of_writing() {
        let one = [
            ("10.0.0.5:/shares/a", "10.0.0.5"),
            ("NAS.example.org:/a", "nas.example.org"),
            ("[fe80::1]:/a", "fe80::1"),
            ("fe80::1:/a", "fe80::1"),
            ("\\\\nas\\share", "nas"),
            ("//nas/share", "nas"),
            ("hdfs://nas:8020/share", "nas"),
            ("10.0.0.5@tcp:/fs", "10.0.0.5"),
            ("::ffff:10.0.0.5:/a", "10.0.0.5"),
        ];
        for (path, address) in one {
            assert_eq!(addresses_of(path), [Address::new(address)], "{path}");
        }
        let monitors = addresses_of("10.0.0.1:6789,10.0.0.2:6789:/volumes/a");
        assert_eq!(monitors, [Address::new("10.0.0.1"), Address::new("10.0.0.2")]);
    }

    #[test]
    fn nothing_hides_another_address_behind_an_allowed_one() {
        let allowed = Address::new("10.0.0.5");
        for path in [
            "10.0.0.5@evil:/a",
            "//10.0.0.5@evil/a",
            "hdfs://10.0.0.5@evil/a",
            "10.0.0.5,evil:/a",
            "evil:/x://10.0.0.5/",
        ] {
            assert!(addresses_of(path).iter().any(|address| *address != allowed), "{path}");
        }
        for path in ["", "/shares/a", "10.0.0.5", "//", "\\\\", "//nas"] {
            assert!(addresses_of(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn the_grant_decides_before_the_option_and_the_option_before_its_default() {
        let mut manifest = fixture::manifest();
        let mut grant = Grant::default();
        let mut options = BTreeMap::new();
        assert!(allowed_by(&grant, &manifest, &options).is_empty());
        manifest.export_addresses = Some(ExportAddressesDeclaration { from_option: "address".to_owned() });
        manifest.options = vec![fixture::text_option("address", "127.0.0.1")];
        assert_eq!(allowed_by(&grant, &manifest, &options), BTreeSet::from([Address::new("127.0.0.1")]));
        options.insert(
            "address".to_owned(),
            OptionValue::List(vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()]),
        );
        assert_eq!(allowed_by(&grant, &manifest, &options).len(), 2);
        grant.export_addresses = vec!["10.9.9.9".to_owned()];
        assert_eq!(allowed_by(&grant, &manifest, &options), BTreeSet::from([Address::new("10.9.9.9")]));
    }
}
