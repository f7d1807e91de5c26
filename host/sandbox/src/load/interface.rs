//! Full names of interfaces, `bulkhead:driver/shares@0.1.0`, and which versions this host speaks.

use bulkhead_model::ability::{CONTRACT_VERSION, DRIVER_PACKAGE, HOST_PACKAGE};
use semver::Version;

/// The name of an interface, cut into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InterfaceName<'name> {
    /// The whole name.
    pub(super) full: &'name str,
    /// Namespace and package, `bulkhead:driver`.
    pub(super) package: &'name str,
    /// The interface, `shares`.
    pub(super) interface: &'name str,
    /// The version, if it has one that can be read.
    pub(super) version: Option<Version>,
}

impl<'name> InterfaceName<'name> {
    /// Cut a full name; none if it is a plain name, as of a function exported by itself.
    pub(super) fn parse(full: &'name str) -> Option<Self> {
        let (path, version) = match full.split_once('@') {
            Some((path, version)) => (path, version.parse().ok()),
            None => (full, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.contains(':').then_some(Self { full, package, interface, version })
    }

    /// Whether it is of the contract, in whatever version.
    pub(super) fn is_of_contract(&self) -> bool {
        self.package == DRIVER_PACKAGE || self.package == HOST_PACKAGE
    }

    /// Whether this host speaks the version: its own or an older one that is compatible. A later one may use what this host lacks.
    pub(super) fn is_spoken(&self) -> bool {
        let Ok(spoken) = CONTRACT_VERSION.parse::<Version>() else { return false };
        self.version.as_ref().is_some_and(|version| {
            version.major == spoken.major
                && version.minor == spoken.minor
                && version.patch <= spoken.patch
                && version.pre.is_empty()
        })
    }

    /// Whether its version is later than this host's.
    pub(super) fn is_newer(&self) -> bool {
        let spoken = CONTRACT_VERSION.parse::<Version>();
        matches!((&self.version, spoken), (Some(version), Ok(spoken)) if *version > spoken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_up_to_this_hosts_own_are_spoken() {
        let spoken = |text| InterfaceName::parse(text).is_some_and(|name| name.is_spoken());
        assert!(spoken("bulkhead:driver/shares@0.1.0"));
        for text in ["a:b/c@0.1.1", "a:b/c@0.2.0", "a:b/c@1.1.0", "a:b/c@0.1.0-rc.1", "a:b/c", "a:b/c@x"] {
            assert!(!spoken(text), "{text}");
        }
        assert_eq!(InterfaceName::parse("create-share"), None);
    }
}
