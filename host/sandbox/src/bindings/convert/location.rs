//! Export locations: what a driver answers reaches tenants, so it is a right like any other.

use super::address::{self, Address, addresses_of};
use super::{Breach, check_count, check_text, pairs_from_wit, pairs_to_wit, shown};
use crate::bindings::v0_1::bulkhead::driver::types as wit;
use bulkhead_capability::backend::Backend;
use bulkhead_model::export::ExportLocation;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::share_server::ServerForDriver;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The most metadata of one location.
const MOST_METADATA: usize = 32;

/// Which export locations a backend may answer: fixed for a generation, but for the addresses of the share servers that a call is about.
#[derive(Debug, Clone)]
pub(crate) struct LocationRights {
    addresses: BTreeSet<Address>,
    metadata_keys: BTreeSet<String>,
    servers: BTreeMap<ShareServerId, BTreeSet<Address>>,
}

impl LocationRights {
    /// The rights that grant, options and manifest leave.
    pub(crate) fn of(backend: &Backend) -> Self {
        let keys = backend.manifest().metadata_keys.iter().flat_map(|declared| &declared.export_location);
        Self {
            addresses: address::allowed(backend),
            metadata_keys: keys.cloned().collect(),
            servers: BTreeMap::new(),
        }
    }

    /// The same where these servers have these addresses now, those with them that the driver allocated itself.
    pub(crate) fn with_servers(&self, kept: &BTreeMap<ShareServerId, BTreeSet<IpAddr>>) -> Cow<'_, Self> {
        if kept.is_empty() {
            return Cow::Borrowed(self);
        }
        let servers = kept.iter().map(|(server, kept)| (*server, addresses_in(kept).collect()));
        Cow::Owned(Self { servers: servers.collect(), ..self.clone() })
    }

    /// The same for what lives on `server`: it is reached at the addresses of its server too, and of no other one.
    pub(crate) fn at(&self, server: Option<&ServerForDriver>) -> Cow<'_, Self> {
        let Some(server) = server else { return Cow::Borrowed(self) };
        let mut rights = self.clone();
        rights.addresses.extend(addresses_in(&server.addresses));
        rights.addresses.extend(self.servers.get(&server.id).into_iter().flatten().cloned());
        Cow::Owned(rights)
    }

    fn check_path(&self, path: &str) -> Result<(), Breach> {
        check_text("export-location.path", path, ExportLocation::PATH_BYTES)?;
        let addresses = addresses_of(path);
        if addresses.is_empty() {
            return Err(Breach(format!(
                "export-location.path names the address that clients mount from, unlike '{}'",
                shown(path)
            )));
        }
        match addresses.iter().find(|address| !self.addresses.contains(address)) {
            None => Ok(()),
            Some(_) => Err(Breach(format!(
                "export locations are at granted addresses only, unlike '{}'; what would allow it: grant.export_addresses, or \
                 the option that the manifest's [export-addresses] names",
                shown(path)
            ))),
        }
    }

    fn location(&self, location: wit::ExportLocation) -> Result<ExportLocation, Breach> {
        self.check_path(&location.path)?;
        let metadata = pairs_from_wit("export-location.metadata", location.metadata, MOST_METADATA)?;
        if let Some(key) = metadata.keys().find(|key| !self.metadata_keys.contains(*key)) {
            return Err(Breach(format!(
                "export-location.metadata has declared keys only, unlike '{0}'; what would allow it: [metadata-keys] \
                 export-location = [\"{0}\"] in the driver's manifest",
                shown(key)
            )));
        }
        Ok(ExportLocation {
            path: location.path,
            admin_only: location.admin_only,
            preferred: location.preferred,
            metadata,
        })
    }
}

fn addresses_in(addresses: &BTreeSet<IpAddr>) -> impl Iterator<Item = Address> {
    addresses.iter().map(|address| Address::Ip(address.to_canonical()))
}

/// Locations in the driver's order.
pub(crate) fn locations_from_wit(
    rights: &LocationRights,
    locations: Vec<wit::ExportLocation>,
) -> Result<Vec<ExportLocation>, Breach> {
    check_count("a list of export locations", &locations, ExportLocation::MOST)?;
    let mut paths = BTreeSet::new();
    let mut found = Vec::with_capacity(locations.len());
    for location in locations {
        let location = rights.location(location)?;
        if !paths.insert(location.path.clone()) {
            return Err(Breach(format!(
                "export locations differ, unlike '{}', which comes twice",
                shown(&location.path)
            )));
        }
        found.push(location);
    }
    Ok(found)
}

/// A location as a driver call carries it.
pub(crate) fn location_to_wit(location: &ExportLocation) -> wit::ExportLocation {
    wit::ExportLocation {
        path: location.path.clone(),
        admin_only: location.admin_only,
        preferred: location.preferred,
        metadata: pairs_to_wit(&location.metadata),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Rights to `10.0.0.5` and the metadata key `colour`.
    pub(crate) fn rights() -> LocationRights {
        LocationRights {
            addresses: BTreeSet::from([Address::new("10.0.0.5")]),
            metadata_keys: BTreeSet::from(["colour".to_owned()]),
            servers: BTreeMap::new(),
        }
    }

    /// A location without metadata.
    pub(crate) fn location(path: &str) -> wit::ExportLocation {
        wit::ExportLocation {
            path: path.to_owned(),
            admin_only: false,
            preferred: true,
            metadata: Vec::new(),
        }
    }

    fn refused(locations: Vec<wit::ExportLocation>) -> String {
        locations_from_wit(&rights(), locations).expect_err("a breach").0
    }

    #[test]
    fn granted_addresses_pass_in_the_drivers_order() {
        let paths = ["10.0.0.5:/b", "10.0.0.5:/a"];
        let found = locations_from_wit(&rights(), paths.iter().map(|path| location(path)).collect())
            .expect("granted");
        assert_eq!(found.iter().map(|location| location.path.as_str()).collect::<Vec<_>>(), paths);
    }

    #[test]
    fn a_foreign_address_is_refused_with_the_line_that_would_allow_it() {
        assert!(refused(vec![location("10.0.0.6:/a")]).contains("grant.export_addresses"));
        assert!(refused(vec![location("/shares/a")]).contains("names the address"));
    }

    #[test]
    fn a_share_is_at_the_addresses_of_its_own_server_and_of_no_other() {
        let (own, other) = (crate::fixture::server(), crate::fixture::server());
        let [own_address, other_address] = [&own, &other].map(|server| server.addresses.first().copied());
        let found = |address: Option<std::net::IpAddr>| {
            let address = address.expect("an address");
            locations_from_wit(&rights().at(Some(&own)), vec![location(&format!("{address}:/a"))])
        };
        assert!(found(own_address).is_ok());
        assert!(found(other_address).is_err());
        let granted = vec![location("10.0.0.5:/a")];
        assert!(locations_from_wit(&rights().at(Some(&own)), granted).is_ok(), "granted ones stay");
    }

    #[test]
    fn a_share_is_also_at_what_its_server_has_by_the_end_of_the_call_and_nothing_else_is() {
        let (own, other) = (crate::fixture::server(), crate::fixture::server());
        let extra: IpAddr = "10.9.0.7".parse().expect("an address");
        let rights = rights();
        let now = rights.with_servers(&BTreeMap::from([(own.id, BTreeSet::from([extra]))]));
        let found = |rights: &LocationRights, server| {
            locations_from_wit(&rights.at(server), vec![location(&format!("{extra}:/a"))]).is_ok()
        };
        assert!(found(&now, Some(&own)));
        assert!(!found(&now, Some(&other)), "another server's");
        assert!(!found(&now, None), "what lives on no server");
        let given_back = rights.with_servers(&BTreeMap::from([(own.id, BTreeSet::new())]));
        assert!(!found(&given_back, Some(&own)), "given back");
    }

    #[test]
    fn paths_are_bounded_clean_and_distinct() {
        assert!(refused(vec![location(&format!("10.0.0.5:/{}", "a".repeat(2000)))]).contains("2000 bytes"));
        assert!(refused(vec![location("10.0.0.5:/a\nb")]).contains("control characters"));
        assert!(refused(vec![location("10.0.0.5:/a"), location("10.0.0.5:/a")]).contains("twice"));
        assert!(
            refused((0..65).map(|number| location(&format!("10.0.0.5:/{number}"))).collect())
                .contains("64 entries")
        );
    }

    #[test]
    fn metadata_keys_are_declared_ones() {
        let with = |key: &str| wit::ExportLocation {
            metadata: vec![wit::KeyValue { key: key.to_owned(), value: "x".to_owned() }],
            ..location("10.0.0.5:/a")
        };
        assert!(locations_from_wit(&rights(), vec![with("colour")]).is_ok());
        assert!(refused(vec![with("is_admin_only")]).contains("[metadata-keys]"));
    }
}
