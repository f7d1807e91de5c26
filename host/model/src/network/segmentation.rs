//! How tenants' networks are kept apart, and which tags that takes (contract 4.4 c).

use crate::status::words;
use crate::suggestion::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

words!(
    /// How a tenant's network is kept apart from others. The words are lower case and nothing else, as in Manila.
    NetworkType {
        /// Not at all; no segmentation id.
        Flat = "flat",
        /// By VLAN tag: 1 to 4094.
        Vlan = "vlan",
        /// By VXLAN network identifier: 1 to 16777215.
        Vxlan = "vxlan",
        /// By GRE key: 1 to 4294967295.
        Gre = "gre",
    }
);

impl NetworkType {
    /// The segmentation ids it may have; none for `flat`, which has none.
    #[must_use]
    pub const fn segmentation_ids(self) -> Option<RangeInclusive<u32>> {
        match self {
            Self::Flat => None,
            Self::Vlan => Some(1..=4094),
            Self::Vxlan => Some(1..=16_777_215),
            Self::Gre => Some(1..=u32::MAX),
        }
    }

    /// The type with this name, or what to write instead.
    pub fn parse(text: &str) -> Result<Self, InvalidSegmentation> {
        text.parse().map_err(|_| {
            let known = Self::ALL.iter().map(|word| word.as_str());
            InvalidSegmentation::Type {
                given: text.chars().take(32).collect(),
                meant: nearest(&text.to_ascii_lowercase(), known).map(ToOwned::to_owned),
            }
        })
    }
}

/// A network type, or a segmentation id that does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSegmentation {
    /// No such type.
    #[error("network type '{given}' is unknown{}; use flat, vlan, vxlan or gre, in lower case", Meant(.meant.as_deref()))]
    Type {
        /// What was given.
        given: String,
        /// What was perhaps meant.
        meant: Option<String>,
    },
    /// An id where there can be none.
    #[error(
        "a flat network has no segmentation id, but {0} is given; leave it out, or name the type: vlan, vxlan or gre"
    )]
    NotSegmented(u32),
    /// No id where one is needed.
    #[error("a network of type {network_type} needs a segmentation id from {} to {}", .ids.start(), .ids.end())]
    Missing {
        /// The type.
        network_type: NetworkType,
        /// What it may be.
        ids: RangeInclusive<u32>,
    },
    /// An id the type does not have.
    #[error("segmentation id {given} does not exist in networks of type {network_type}; use one from {} to {}", .ids.start(), .ids.end())]
    Outside {
        /// The type.
        network_type: NetworkType,
        /// What was given.
        given: u32,
        /// What it may be.
        ids: RangeInclusive<u32>,
    },
}

struct Meant<'a>(Option<&'a str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |word| write!(formatter, " (did you mean '{word}'?)"))
    }
}

/// Whether `segmentation_id` fits `network_type`; no type counts as `flat`, and there 0 counts as none, as Manila has it.
pub fn check_segmentation(
    network_type: Option<NetworkType>,
    segmentation_id: Option<u32>,
) -> Result<(), InvalidSegmentation> {
    let network_type = network_type.unwrap_or(NetworkType::Flat);
    match (network_type.segmentation_ids(), segmentation_id) {
        (None, None | Some(0)) => Ok(()),
        (None, Some(given)) => Err(InvalidSegmentation::NotSegmented(given)),
        (Some(ids), None) => Err(InvalidSegmentation::Missing { network_type, ids }),
        (Some(ids), Some(given)) if ids.contains(&given) => Ok(()),
        (Some(ids), Some(given)) => Err(InvalidSegmentation::Outside { network_type, given, ids }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract N-05.
    #[test]
    fn four_types_are_known_and_only_as_they_are_spelled() {
        for word in ["flat", "vlan", "vxlan", "gre"] {
            assert_eq!(NetworkType::parse(word).map(NetworkType::as_str), Ok(word));
        }
        for word in ["foo", "foovlan", "vlanfoo", "foovlanbar", "None", "Vlan", "vlaN", ""] {
            assert!(NetworkType::parse(word).is_err(), "{word}");
        }
        let told = NetworkType::parse("Vlan").expect_err("in upper case").to_string();
        assert_eq!(
            told,
            "network type 'Vlan' is unknown (did you mean 'vlan'?); use flat, vlan, vxlan or gre, in lower case"
        );
    }

    #[test]
    fn each_type_has_its_range_of_ids_and_flat_has_none() {
        let last =
            [(NetworkType::Vlan, 4094), (NetworkType::Vxlan, 16_777_215), (NetworkType::Gre, u32::MAX)];
        for (network_type, last) in last {
            let check = |id| check_segmentation(Some(network_type), id);
            assert_eq!(check(Some(1)), Ok(()));
            assert_eq!(check(Some(last)), Ok(()));
            assert!(check(Some(0)).is_err() && check(None).is_err(), "{network_type}");
            if let Some(beyond) = last.checked_add(1) {
                assert!(check(Some(beyond)).is_err(), "{network_type}");
            }
        }
        for network_type in [None, Some(NetworkType::Flat)] {
            assert_eq!(check_segmentation(network_type, None), Ok(()));
            assert_eq!(check_segmentation(network_type, Some(0)), Ok(()));
            assert_eq!(check_segmentation(network_type, Some(1)), Err(InvalidSegmentation::NotSegmented(1)));
        }
    }
}
