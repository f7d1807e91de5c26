//! WIT <-> `model`, one pair of functions for each type that crosses. What comes from a guest is checked here: lengths, letters, ids and
//! everything the contract says of an answer. What does not hold is a [`Breach`], which becomes `CallError::InvalidAnswer`.

pub(crate) mod access;
pub(crate) mod address;
pub(crate) mod capability;
pub(crate) mod error;
pub(crate) mod group;
pub(crate) mod hook;
pub(crate) mod location;
pub(crate) mod manage;
pub(crate) mod metadata;
pub(crate) mod migration;
pub(crate) mod network;
pub(crate) mod replica;
pub(crate) mod server;
pub(crate) mod server_update;
pub(crate) mod share;
pub(crate) mod snapshot;
pub(crate) mod statistics;
pub(crate) mod status;
pub(crate) mod usage;

use crate::bindings::v0_1::bulkhead::driver::types::KeyValue;
use bulkhead_model::text::{GuestText, is_harmless};
use std::collections::BTreeMap;

/// The longest text of a field without a length of its own, in bytes.
pub(crate) const TEXT_BYTES: usize = 255;
/// The longest key, in bytes.
pub(crate) const KEY_BYTES: usize = 255;
/// The longest value, in bytes.
pub(crate) const VALUE_BYTES: usize = 1023;
/// The most bytes of a guest's text that a message repeats.
const SHOWN_BYTES: usize = 64;

/// A sentence of the contract that an answer breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach(pub(crate) String);

impl Breach {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// A guest's text as a message repeats it.
pub(crate) fn shown(text: &str) -> GuestText {
    GuestText::new(text, SHOWN_BYTES)
}

/// Text of at most `most` bytes that steers no terminal.
pub(crate) fn check_text(what: &str, text: &str, most: usize) -> Result<(), Breach> {
    if text.len() > most {
        return Err(Breach(format!("{what} is at most {most} bytes, not {}", text.len())));
    }
    if !text.chars().all(is_harmless) {
        return Err(Breach(format!("{what} holds no control characters, unlike '{}'", shown(text))));
    }
    Ok(())
}

/// A list of at most `most` entries.
pub(crate) fn check_count<T>(what: &str, list: &[T], most: usize) -> Result<(), Breach> {
    if list.len() > most {
        return Err(Breach(format!("{what} has at most {most} entries, not {}", list.len())));
    }
    Ok(())
}

/// Pairs with distinct keys, at most `most` of them.
pub(crate) fn pairs_from_wit(
    what: &str,
    pairs: Vec<KeyValue>,
    most: usize,
) -> Result<BTreeMap<String, String>, Breach> {
    check_count(what, &pairs, most)?;
    let mut map = BTreeMap::new();
    for KeyValue { key, value } in pairs {
        check_text(&format!("a key of {what}"), &key, KEY_BYTES)?;
        check_text(&format!("a value of {what}"), &value, VALUE_BYTES)?;
        if key.is_empty() {
            return Err(Breach(format!("no key of {what} is empty")));
        }
        if map.contains_key(&key) {
            return Err(Breach(format!("{what} has '{}' twice", shown(&key))));
        }
        map.insert(key, value);
    }
    Ok(map)
}

/// Pairs in order of their keys.
pub(crate) fn pairs_to_wit(map: &BTreeMap<String, String>) -> Vec<KeyValue> {
    map.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn text_is_measured_in_bytes_and_never_steers_a_terminal() {
        assert!(check_text("a name", &"ä".repeat(127), 255).is_ok());
        assert!(check_text("a name", &"ä".repeat(128), 255).is_err());
        let Breach(sentence) = check_text("a name", "a\u{1b}[31m", 255).expect_err("an escape");
        assert!(sentence.contains("\\u{1b}"), "{sentence}");
    }

    #[test]
    fn a_key_comes_once_and_is_not_empty() {
        let of = |pairs| pairs_from_wit("capabilities", pairs, 2);
        assert!(of(vec![pair("a", "1"), pair("b", "2")]).is_ok());
        assert!(of(vec![pair("a", "1"), pair("a", "2")]).is_err());
        assert!(of(vec![pair("", "1")]).is_err());
        assert!(of(vec![pair("a", "1"), pair("b", "2"), pair("c", "3")]).is_err());
        assert!(of(vec![pair("a", &"x".repeat(1024))]).is_err());
    }
}
