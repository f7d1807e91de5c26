//! What callers ask for, and the checks of what they wrote.

use crate::error::ManagerError;
use bulkhead_model::access::{AccessLevel, AccessTo};
use bulkhead_model::id::{ShareGroupId, ShareId, ShareNetworkId, SnapshotId};
use bulkhead_model::share::Protocol;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::text::is_harmless;
use serde::Serialize;
use std::collections::BTreeMap;

/// The longest name or description, in letters; Manila's column.
pub const TEXT_LETTERS: usize = 255;
/// The longest metadata key, in letters.
pub const METADATA_KEY_LETTERS: usize = 255;
/// The longest metadata value, in letters.
pub const METADATA_VALUE_LETTERS: usize = 1023;
/// The most metadata pairs of one resource, so that its record stays far below what the store takes.
pub const METADATA_PAIRS: usize = 64;

/// A share to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewShare {
    /// Its size; at least the snapshot's if it is made from one.
    pub size: Gibibytes,
    /// How it shall be exported.
    pub protocol: Protocol,
    /// The tenant's name for it, at most 255 letters.
    pub display_name: Option<String>,
    /// The tenant's words about it, at most 255 letters.
    pub display_description: Option<String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
    /// The share type by name or id; none takes the built-in `default`.
    pub share_type: Option<String>,
    /// The snapshot to make it from; none makes an empty share.
    pub source_snapshot: Option<SnapshotId>,
    /// The share group to make it in; none makes a share outside groups. Left out of the words of a repeated request if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ShareGroupId>,
    /// The share network it shall be reached through, where its type asks for share servers; none elsewhere, and where the snapshot or group
    /// says which. Left out of the words of a repeated request if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_network: Option<ShareNetworkId>,
    /// Whether other projects shall see it.
    pub is_public: bool,
}

/// What a tenant may change of a share or snapshot without its backend. None leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Update {
    /// A new name; `Some(None)` takes it away.
    pub display_name: Option<Option<String>>,
    /// A new description; `Some(None)` takes it away.
    pub display_description: Option<Option<String>>,
    /// The whole new metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether other projects shall see it; shares only.
    pub is_public: Option<bool>,
}

/// A snapshot to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewSnapshot {
    /// The share to take it of.
    pub share: ShareId,
    /// The tenant's name for it, at most 255 letters.
    pub display_name: Option<String>,
    /// The tenant's words about it, at most 255 letters.
    pub display_description: Option<String>,
    /// The tenant's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// An access rule to be brought in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewAccessRule {
    /// Who, checked for its type.
    pub access_to: AccessTo,
    /// What.
    pub level: AccessLevel,
    /// The tenant's metadata; all of it at most 1,024 bytes.
    pub metadata: BTreeMap<String, String>,
}

/// Whether a failure of the driver or an unfit status stands in the way of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Force {
    /// It does.
    No,
    /// It does not: the resource is forgotten even if the driver could not remove it. For operators.
    Yes,
}

impl Force {
    pub(crate) const fn is_forced(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// Check a name or description.
pub(crate) fn check_text(field: &'static str, text: Option<&str>) -> Result<(), ManagerError> {
    let Some(text) = text else { return Ok(()) };
    // Bytes first: the letters of a 10 MB name are not worth counting.
    if text.len() > TEXT_LETTERS * 4 || text.chars().count() > TEXT_LETTERS {
        return Err(ManagerError::invalid(field, format_args!("at most {TEXT_LETTERS} letters")));
    }
    // A description may have several lines.
    let fits =
        |letter: char| is_harmless(letter) || (field == "description" && matches!(letter, '\n' | '\t'));
    if !text.chars().all(fits) {
        return Err(ManagerError::invalid(field, "control characters and direction marks are not accepted"));
    }
    Ok(())
}

/// Check metadata: at most `limit_bytes` in all.
pub(crate) fn check_metadata(
    metadata: &BTreeMap<String, String>,
    limit_bytes: usize,
) -> Result<(), ManagerError> {
    if metadata.len() > METADATA_PAIRS {
        return Err(ManagerError::invalid("metadata", format_args!("at most {METADATA_PAIRS} pairs")));
    }
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > limit_bytes {
        return Err(ManagerError::invalid("metadata", format_args!("at most {limit_bytes} bytes in all")));
    }
    for (key, value) in metadata {
        if key.is_empty()
            || key.chars().count() > METADATA_KEY_LETTERS
            || value.chars().count() > METADATA_VALUE_LETTERS
        {
            return Err(ManagerError::invalid(
                "metadata",
                format_args!(
                    "a key is 1 to {METADATA_KEY_LETTERS} letters, a value at most {METADATA_VALUE_LETTERS}"
                ),
            ));
        }
        if !key.chars().chain(value.chars()).all(is_harmless) {
            return Err(ManagerError::invalid("metadata", "control characters are not accepted"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ten_megabytes_or_with_control_characters_is_refused() {
        assert!(check_text("name", Some(&"a".repeat(10_000_000))).is_err());
        assert!(check_text("name", Some("a\u{1b}[31m")).is_err());
        assert!(check_text("name", Some("two\nlines")).is_err());
        assert!(check_text("description", Some("two\nlines")).is_ok());
        assert!(check_text("name", Some(&"ä".repeat(255))).is_ok());
        assert!(check_text("name", None).is_ok());
    }

    #[test]
    fn metadata_has_bounds_in_number_length_and_letters() {
        let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(check_metadata(&pair("a", "b"), 100).is_ok());
        assert!(check_metadata(&pair("", "b"), 100).is_err());
        assert!(check_metadata(&pair("a", "\0"), 100).is_err());
        assert!(check_metadata(&pair("a", &"b".repeat(1024)), 100_000).is_err());
        assert!(check_metadata(&pair("a", &"b".repeat(101)), 100).is_err());
        let many = (0..65).map(|number| (number.to_string(), String::new())).collect();
        assert!(check_metadata(&many, 100_000).is_err());
    }
}
