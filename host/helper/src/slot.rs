//! Whether a value is of its slot's type: the same alphabets as the daemon's, checked where the words are built.

use crate::protocol::{Refusal, SlotArgument};
use bulkhead_model::id::{Label, ShareInstanceId, ShareServerId, SnapshotInstanceId};
use bulkhead_model::manifest::SlotType;
use bulkhead_model::pattern::{Part, Pattern, RelativePath, parts};
use bulkhead_model::share::share_name;
use bulkhead_model::snapshot::snapshot_name;
use bulkhead_model::target::{ManagedName, Resource};
use bulkhead_model::text::is_harmless;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

const SHARE_NAME_BYTES: usize = "share-".len() + 36;
const SNAPSHOT_NAME_BYTES: usize = "share-snapshot-".len() + 36;
const SERVER_NAME_BYTES: usize = "share-server-".len() + 36;

/// Fails with `invalid-argument` unless `value` is of the type, in the one spelling that the type has.
pub(crate) fn check(label: &Label, slot: &SlotType, value: &SlotArgument) -> Result<(), Refusal> {
    let sound = match (slot, value) {
        (SlotType::Bytes | SlotType::Gib, SlotArgument::Unsigned(_)) => true,
        (SlotType::Port, SlotArgument::Unsigned(port)) => (1..=65_535).contains(port),
        (SlotType::Integer { min, max }, SlotArgument::Signed(number)) => (min..=max).contains(&number),
        (SlotType::Enum { values }, SlotArgument::Text(text)) => values.contains(text) && is_word(text),
        (SlotType::Ip, SlotArgument::Text(text)) => {
            text.parse::<IpAddr>().is_ok_and(|address| address.to_string() == *text)
        }
        (SlotType::Cidr, SlotArgument::Text(text)) => {
            text.parse::<IpNet>().is_ok_and(|network| network.trunc().to_string() == *text)
        }
        (SlotType::Uuid, SlotArgument::Text(text)) => is_uuid(text),
        (SlotType::Name, SlotArgument::Text(text)) => is_name(text),
        (SlotType::Opaque { max }, SlotArgument::Text(text)) => {
            u32::try_from(text.len()).is_ok_and(|length| (1..=*max).contains(&length))
                && !text.starts_with('-')
                && text.chars().all(is_harmless)
        }
        (SlotType::Secret { .. }, SlotArgument::Secret(text)) => !text.expose().is_empty(),
        (SlotType::Path { pattern, .. }, SlotArgument::Path(path)) => {
            pattern.iter().any(|pattern| matches(pattern, path))
        }
        _ => false,
    };
    if sound {
        Ok(())
    } else {
        Err(Refusal::invalid(format!("the value of slot '{label}' is not of its type")))
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

fn is_uuid(text: &str) -> bool {
    text.parse::<ShareInstanceId>().is_ok_and(|id| id.to_string() == text)
}

/// A name that the host derives from a resource.
fn is_name(text: &str) -> bool {
    is_share_name(text) || is_snapshot_name(text) || is_server_name(text)
}

fn is_share_name(text: &str) -> bool {
    let id = text.strip_prefix("share-").map(str::parse::<ShareInstanceId>);
    matches!(id, Some(Ok(id)) if share_name(id) == text)
}

fn is_snapshot_name(text: &str) -> bool {
    let id = text.strip_prefix("share-snapshot-").map(str::parse::<SnapshotInstanceId>);
    matches!(id, Some(Ok(id)) if snapshot_name(id) == text)
}

fn is_server_name(text: &str) -> bool {
    let id = text.strip_prefix("share-server-").map(str::parse::<ShareServerId>);
    matches!(id, Some(Ok(id)) if Resource::ShareServer(id).to_string() == text)
}

/// Whether `path` is `pattern` with names of resources in its places.
fn matches(pattern: &Pattern, path: &RelativePath) -> bool {
    names_in(pattern, path).is_some()
}

/// The names of resources in the places of `pattern` that make it `path`; none if nothing does.
pub(crate) fn names_in(pattern: &Pattern, path: &RelativePath) -> Option<BTreeMap<Label, String>> {
    let mut names = BTreeMap::new();
    let mut rest = path.as_str();
    for part in parts(pattern.as_str()) {
        let (length, fits): (usize, fn(&str) -> bool) = match &part {
            Part::Literal(text) => {
                rest = rest.strip_prefix(text.as_str())?;
                continue;
            }
            Part::Place(label) if label.as_str() == "managed" => {
                let end = rest.find('/').unwrap_or(rest.len());
                (end, |name| name.parse::<ManagedName>().is_ok())
            }
            Part::Place(label) if label.as_str().ends_with("snapshot") => {
                (SNAPSHOT_NAME_BYTES, is_snapshot_name)
            }
            Part::Place(label) if label.as_str() == "server" => (SERVER_NAME_BYTES, is_server_name),
            Part::Place(_) => (SHARE_NAME_BYTES, is_share_name),
        };
        let (name, after) = rest.split_at_checked(length).filter(|(name, _)| fits(name))?;
        rest = after;
        if let Part::Place(label) = part
            && names.insert(label, name.to_owned()).is_some_and(|other| other != name)
        {
            return None;
        }
    }
    rest.is_empty().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label() -> Label {
        "tried".parse().expect("a label")
    }

    fn takes(slot: &SlotType, text: &str) -> bool {
        check(&label(), slot, &SlotArgument::Text(text.to_owned())).is_ok()
    }

    fn path_slot(pattern: &str) -> SlotType {
        serde_json::from_value(
            serde_json::json!({ "type": "path", "kind": "existing", "root": "pool", "pattern": [pattern] }),
        )
        .expect("a slot type")
    }

    #[test]
    fn a_value_has_one_spelling() {
        let uuid = "0b8a9d3e-5b7c-4f0a-9d53-1f2e3a4b5c6d";
        assert!(takes(&SlotType::Uuid, uuid) && !takes(&SlotType::Uuid, &uuid.to_uppercase()));
        assert!(takes(&SlotType::Ip, "2001:db8::1") && !takes(&SlotType::Ip, "2001:DB8:0::1"));
        assert!(!takes(&SlotType::Ip, "010.0.0.1") && !takes(&SlotType::Ip, "10.0.0.1\n"));
        assert!(takes(&SlotType::Cidr, "10.0.0.0/8") && !takes(&SlotType::Cidr, "10.0.0.1/8"));
        assert!(takes(&SlotType::Name, &format!("share-{uuid}")) && !takes(&SlotType::Name, "share-../x"));
    }

    #[test]
    fn a_path_fits_its_pattern_or_is_refused() {
        let share = share_name(ShareInstanceId::random());
        let snapshot = snapshot_name(SnapshotInstanceId::random());
        let takes = |pattern: &str, path: &str| {
            let path = SlotArgument::Path(path.parse().expect("a relative path"));
            check(&label(), &path_slot(pattern), &path).is_ok()
        };
        assert!(takes("{share}", &share));
        assert!(takes("{share}@{snapshot}", &format!("{share}@{snapshot}")));
        assert!(takes(".{share}.new", &format!(".{share}.new")));
        let server = Resource::ShareServer(ShareServerId::random()).to_string();
        assert!(takes("{server}/exports/{share}.conf", &format!("{server}/exports/{share}.conf")));
        assert!(!takes("{server}/exports/{share}.conf", &format!("{share}/exports/{share}.conf")));
        assert!(!takes("{share}", &server) && !takes("{server}", &share));
        assert!(!takes("{share}", &format!("{share}/etc")));
        assert!(!takes("{share}", "etc"));
        assert!(!takes("{share}", &snapshot));
        assert!(!takes("{share}@{snapshot}", &format!("{share}@{share}")));
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        assert!(check(&label(), &SlotType::Bytes, &SlotArgument::Text("1".to_owned())).is_err());
        assert!(check(&label(), &SlotType::Port, &SlotArgument::Unsigned(0)).is_err());
        assert!(check(&label(), &SlotType::Port, &SlotArgument::Unsigned(65_536)).is_err());
        assert!(check(&label(), &SlotType::Integer { min: 1, max: 2 }, &SlotArgument::Signed(3)).is_err());
        assert!(!takes(&SlotType::Secret { of: vec!["password".to_owned()] }, "hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_that_is_taken_begins_with_a_hyphen_or_holds_a_control_character(text in "(-|)\\PC{0,20}[\\x00-\\x7f\\u{2028}\\u{202e}]{0,3}") {
            let enumeration = SlotType::Enum { values: vec![text.clone()] };
            for slot in [SlotType::Opaque { max: 4096 }, enumeration, SlotType::Ip, SlotType::Cidr, SlotType::Uuid, SlotType::Name] {
                if takes(&slot, &text) {
                    prop_assert!(!text.starts_with('-') && !text.is_empty());
                    prop_assert!(text.chars().all(is_harmless));
                }
            }
        }
    }
}
