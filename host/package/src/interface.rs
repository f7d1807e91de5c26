//! Full names of interfaces, `bulkhead:driver/shares@0.1.0`, and which versions fit this host.

use bulkhead_model::ability::CONTRACT_VERSION;
use semver::Version;
use std::fmt;

/// The name of an interface, cut into its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InterfaceName {
    /// Namespace and package, `bulkhead:driver`.
    pub(crate) package: String,
    /// The interface, `shares`.
    pub(crate) interface: String,
    /// The version, if it has one.
    pub(crate) version: Option<Version>,
}

impl InterfaceName {
    /// Cut a full name; none if it is a plain name, as of a function exported by itself.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version.parse().ok()?)),
            None => (text, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.contains(':').then(|| Self {
            package: package.to_owned(),
            interface: interface.to_owned(),
            version,
        })
    }

    /// Whether this host speaks the version. A later minor release may use what this host does not have.
    pub(crate) fn is_spoken(&self) -> bool {
        let Ok(spoken) = CONTRACT_VERSION.parse::<Version>() else { return false };
        self.version.as_ref().is_some_and(|version| {
            version.major == spoken.major
                && version.minor == spoken.minor
                && version.patch <= spoken.patch
                && version.pre.is_empty()
        })
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.package, self.interface)?;
        match &self.version {
            Some(version) => write!(formatter, "@{version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        InterfaceName::parse(text).expect("a full name")
    }

    #[test]
    fn a_full_name_prints_as_it_parses() {
        let text = "bulkhead:driver/share-from-snapshot@0.1.0";
        assert_eq!(name(text).to_string(), text);
        assert_eq!(InterfaceName::parse("create-share"), None);
        assert_eq!(InterfaceName::parse("a:b/c@x"), None);
    }

    #[test]
    fn only_versions_up_to_this_hosts_own_are_spoken() {
        assert!(name("bulkhead:driver/shares@0.1.0").is_spoken());
        for text in ["a:b/c@0.1.1", "a:b/c@0.2.0", "a:b/c@1.1.0", "a:b/c@0.1.0-rc.1", "a:b/c"] {
            assert!(!name(text).is_spoken(), "{text}");
        }
    }
}
