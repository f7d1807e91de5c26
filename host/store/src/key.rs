//! Keys: parts joined by `/`, each percent-encoded, so that no part can pretend to be two.

use std::fmt;

/// Where a value stands. Keys sort by their encoded text, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// The beginning that the keys of a scan share: whole parts only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPrefix(String);

impl Key {
    /// The key of these parts. Letters, digits and `- _ . @ : =` stay as they are; every other byte becomes `%XX`.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                text.push('/');
            }
            encode(part, &mut text);
        }
        Self(text)
    }

    /// What all keys that begin with these parts, and have more, share. No parts: everything.
    #[must_use]
    pub fn prefix(parts: &[&str]) -> KeyPrefix {
        let mut text = String::new();
        for part in parts {
            encode(part, &mut text);
            text.push('/');
        }
        KeyPrefix(text)
    }

    /// The parts, decoded.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        self.0.split('/').map(decode).collect()
    }

    /// The key as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key that a back end stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl KeyPrefix {
    /// The prefix as it is stored: empty, or ending with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `key` lies below this prefix.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        key.0.starts_with(&self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn encode(part: &str, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.@:=".contains(letter) {
            text.push(letter);
        } else {
            text.push('%');
            text.extend(
                [byte >> 4, byte & 0xf]
                    .iter()
                    .filter_map(|digit| DIGITS.get(usize::from(*digit)))
                    .map(|digit| char::from(*digit)),
            );
        }
    }
}

fn decode(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).unwrap_or(0);
            let value = digit() * 16 + digit();
            bytes.push(u8::try_from(value).unwrap_or(0));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_went_in() {
        for parts in
            [&["a", "b/c", "d"][..], &["ä%2F", "", " \n"], &["owned", "nas-1", "root", "x/y@z"], &["~"]]
        {
            assert_eq!(Key::new(parts).parts(), parts, "{parts:?}");
        }
    }

    #[test]
    fn a_separator_inside_a_part_is_no_separator() {
        assert_ne!(Key::new(&["a/b"]), Key::new(&["a", "b"]));
        assert_eq!(Key::new(&["owned", "a/b"]).as_str(), "owned/a%2Fb");
        assert_ne!(Key::new(&["a%2Fb"]), Key::new(&["a/b"]));
    }

    #[test]
    fn a_prefix_holds_whole_parts_only() {
        let prefix = Key::prefix(&["a", "b"]);
        assert!(prefix.contains(&Key::new(&["a", "b", "c"])));
        assert!(!prefix.contains(&Key::new(&["a", "b"])));
        assert!(!prefix.contains(&Key::new(&["a", "bc", "d"])));
        assert!(Key::prefix(&[]).contains(&Key::new(&["a"])));
    }
}
