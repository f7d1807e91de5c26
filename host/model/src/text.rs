//! Text from outside: cut, and harmless on a terminal or in a log line.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Text that a guest or a tool wrote, cleaned: at most `limit` bytes, control characters and direction marks escaped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GuestText(String);

impl GuestText {
    /// The longest message kept of a guest's error, in bytes.
    pub const MESSAGE_BYTES: usize = 4096;

    /// Clean `text` and cut it at `limit` bytes.
    #[must_use]
    pub fn new(text: &str, limit: usize) -> Self {
        let mut clean = String::new();
        for letter in text.chars() {
            let before = clean.len();
            if is_harmless(letter) {
                clean.push(letter);
            } else {
                clean.extend(letter.escape_unicode());
            }
            if clean.len() > limit {
                clean.truncate(before);
                clean.push('…');
                break;
            }
        }
        Self(clean)
    }

    /// An error message of a guest.
    #[must_use]
    pub fn message(text: &str) -> Self {
        Self::new(text, Self::MESSAGE_BYTES)
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GuestText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a letter neither steers a terminal nor changes the reading direction of what stands around it.
#[must_use]
pub fn is_harmless(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
        && !('\u{202a}'..='\u{202e}').contains(&letter)
        && !('\u{2066}'..='\u{2069}').contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_escaped() {
        let text = GuestText::new("a\n\u{1b}[31mb\u{202e}c", 100);
        assert_eq!(text.as_str(), "a\\u{a}\\u{1b}[31mb\\u{202e}c");
    }

    #[test]
    fn a_long_text_is_cut_at_a_letter() {
        let text = GuestText::new(&"ä".repeat(100), 11);
        assert_eq!(text.as_str(), "äääää…");
    }
}
