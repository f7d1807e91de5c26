//! Full names of interfaces, `bulkhead:driver/shares@0.1.0`, and which versions this host speaks.

use crate::ability::{Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE, HOST_PACKAGE};
use semver::Version;
use std::fmt;

/// The name of an interface, cut into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceName<'name> {
    /// The whole name.
    full: &'name str,
    /// Namespace and package, `bulkhead:driver`.
    pub package: &'name str,
    /// The interface, `shares`.
    pub interface: &'name str,
    /// The version, if it has one.
    pub version: Option<Version>,
}

impl<'name> InterfaceName<'name> {
    /// Cut a full name; none if it is a plain name, as of a function exported by itself.
    #[must_use]
    pub fn parse(full: &'name str) -> Option<Self> {
        let (path, version) = match full.split_once('@') {
            Some((path, version)) => (path, Some(version.parse().ok()?)),
            None => (full, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.contains(':').then_some(Self { full, package, interface, version })
    }

    /// Whether it is of the contract, in whatever version.
    #[must_use]
    pub fn is_of_contract(&self) -> bool {
        self.package == DRIVER_PACKAGE || self.package == HOST_PACKAGE
    }

    /// What a driver can do that exports it, in whatever version.
    #[must_use]
    pub fn ability(&self) -> Option<Ability> {
        Ability::from_interface(self.interface).filter(|_| self.package == DRIVER_PACKAGE)
    }

    /// What a driver wants that imports it, in whatever version.
    #[must_use]
    pub fn capability(&self) -> Option<Capability> {
        Capability::from_interface(self.interface).filter(|_| self.package == HOST_PACKAGE)
    }

    /// Whether this host speaks the version: its own or an older one that is compatible. A later one may use what this host lacks.
    #[must_use]
    pub fn is_spoken(&self) -> bool {
        let Ok(spoken) = CONTRACT_VERSION.parse::<Version>() else { return false };
        self.version.as_ref().is_some_and(|version| {
            version.major == spoken.major
                && version.minor == spoken.minor
                && version.patch <= spoken.patch
                && version.pre.is_empty()
        })
    }

    /// Whether its version is later than this host's.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        let spoken = CONTRACT_VERSION.parse::<Version>();
        matches!((&self.version, spoken), (Some(version), Ok(spoken)) if *version > spoken)
    }
}

impl fmt::Display for InterfaceName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_prints_as_it_parses() {
        let text = "bulkhead:driver/share-from-snapshot@0.1.0";
        let name = InterfaceName::parse(text).expect("a full name");
        assert_eq!(name.to_string(), text);
        assert_eq!((name.package, name.interface), ("bulkhead:driver", "share-from-snapshot"));
        assert_eq!(name.version, Some(Version::new(0, 1, 0)));
        assert_eq!(InterfaceName::parse("create-share"), None);
        assert_eq!(InterfaceName::parse("a:b/c@x"), None);
    }

    #[test]
    fn only_versions_up_to_this_hosts_own_are_spoken() {
        let spoken = |text| InterfaceName::parse(text).is_some_and(|name| name.is_spoken());
        assert!(spoken("bulkhead:driver/shares@0.1.0"));
        for text in ["a:b/c@0.1.1", "a:b/c@0.2.0", "a:b/c@1.1.0", "a:b/c@0.1.0-rc.1", "a:b/c", "a:b/c@x"] {
            assert!(!spoken(text), "{text}");
        }
    }

    #[test]
    fn an_interface_of_another_package_is_neither_ability_nor_capability() {
        let parts = |text| InterfaceName::parse(text).map(|name| (name.ability(), name.capability()));
        assert_eq!(parts("bulkhead:driver/shares@0.1.0"), Some((Some(Ability::Shares), None)));
        assert_eq!(parts("bulkhead:host/files@0.1.0"), Some((None, Some(Capability::Files))));
        for text in ["acme:driver/shares@0.1.0", "bulkhead:driver/files@0.1.0", "bulkhead:host/shares@0.1.0"]
        {
            assert_eq!(parts(text), Some((None, None)), "{text}");
        }
    }
}
