//! A text with its escapes undone, each byte still knowing where it came from: however letters are escaped, and however many of them, a
//! secret is found where it stands.

use std::ops::Range;

/// The longest escape, in bytes; what looks like a longer one is none.
pub(super) const LONGEST_ESCAPE: usize = 12;

/// A text, or one with its escapes undone.
#[derive(Debug)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// Where in the text each byte stands.
    origins: Vec<Range<usize>>,
}

/// A way to write letters with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// `%41`: addresses and forms.
    Percent,
    /// `\n`, `\"`, `\u0041`, `\u{41}`, `\x41`, `\101`: JSON, debug prints, mount tables.
    Backslash,
    /// `&amp;`, `&#65;`: XML.
    Entity,
    /// The end of a line, and the blanks that the next begins with: Base64 and what else is broken into lines.
    Line,
    /// A zero beside each letter: UTF-16, of which letters of ASCII are looked for.
    Zero,
}

impl Escape {
    pub(super) const ALL: [Self; 5] = [Self::Percent, Self::Backslash, Self::Entity, Self::Line, Self::Zero];

    const fn mark(self) -> u8 {
        match self {
            Self::Percent => b'%',
            Self::Backslash => b'\\',
            Self::Entity => b'&',
            Self::Line => b'\n',
            Self::Zero => 0,
        }
    }

    /// Where in the last bytes of `text` an escape begins that is cut at its end; none if none is.
    pub(super) fn cut_at_end(self, text: &[u8]) -> Option<usize> {
        let first = text.len().saturating_sub(LONGEST_ESCAPE);
        let tail = text.get(first..).unwrap_or_default();
        let begins = tail.iter().rposition(|byte| *byte == self.mark())?;
        let is_whole = self.undo(tail.get(begins..).unwrap_or_default()).is_some();
        (!is_whole).then_some(first + begins)
    }

    /// What the escape at the beginning of `bytes` stands for, and its length; none if there is none.
    fn undo(self, bytes: &[u8]) -> Option<(Undone, usize)> {
        match self {
            Self::Percent => Some((Undone::Byte(number(bytes.get(1..3)?, 16)?.try_into().ok()?), 3)),
            Self::Backslash => backslash(bytes),
            Self::Entity => entity(bytes),
            Self::Line => {
                let blanks = bytes.iter().skip(1).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                Some((Undone::Nothing, 1 + blanks))
            }
            Self::Zero => Some((Undone::Nothing, 1)),
        }
    }
}

/// What an escape stood for.
enum Undone {
    Byte(u8),
    Letter(char),
    Nothing,
}

impl View {
    /// `text` with its escapes of this kind undone; none if it has none.
    pub(super) fn of(text: &[u8], escape: Escape) -> Option<Self> {
        Self::undone(text, escape, |range| range)
    }

    /// This view with escapes of another kind, or of the same once more, undone; none if it has none.
    pub(super) fn further(&self, escape: Escape) -> Option<Self> {
        Self::undone(&self.bytes, escape, |range| self.origin(range))
    }

    /// Where in the text the bytes at `range` of this view stand.
    pub(super) fn origin(&self, range: Range<usize>) -> Range<usize> {
        let at = |place: usize| self.origins.get(place).cloned().unwrap_or_default();
        // Up to the end of the last byte, not to the next one: what is left out between the two is no part of it.
        at(range.start).start..range.end.checked_sub(1).map_or(0, |last| at(last).end)
    }

    fn undone(text: &[u8], escape: Escape, origin: impl Fn(Range<usize>) -> Range<usize>) -> Option<Self> {
        if !text.contains(&escape.mark()) {
            return None;
        }
        let mut view =
            Self { bytes: Vec::with_capacity(text.len()), origins: Vec::with_capacity(text.len()) };
        let mut place = 0;
        let mut any = false;
        while let Some(byte) = text.get(place) {
            let rest = text.get(place..).unwrap_or_default();
            let undone = (*byte == escape.mark()).then(|| escape.undo(rest)).flatten();
            let (value, length) = undone.unwrap_or((Undone::Byte(*byte), 1));
            any |= length > 1 || matches!(value, Undone::Nothing);
            let before = view.bytes.len();
            match value {
                // What ends lines in two bytes.
                Undone::Nothing if escape == Escape::Line && view.bytes.last() == Some(&b'\r') => {
                    view.bytes.pop();
                    view.origins.pop();
                }
                Undone::Nothing => {}
                Undone::Byte(byte) => view.bytes.push(byte),
                Undone::Letter(letter) => {
                    view.bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            let stood = origin(place..place + length);
            view.origins.extend(std::iter::repeat_n(stood, view.bytes.len().saturating_sub(before)));
            place += length;
        }
        any.then_some(view)
    }
}

fn backslash(bytes: &[u8]) -> Option<(Undone, usize)> {
    let simple = match bytes.get(1)? {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => return unicode(bytes),
        b'x' => return Some((Undone::Byte(number(bytes.get(2..4)?, 16)?.try_into().ok()?), 4)),
        b'0'..=b'7' => {
            let octal = bytes.get(1..4).and_then(|digits| number(digits, 8));
            return match octal.and_then(|byte| u8::try_from(byte).ok()) {
                Some(byte) => Some((Undone::Byte(byte), 4)),
                None => (bytes.get(1) == Some(&b'0')).then_some((Undone::Byte(0), 2)),
            };
        }
        other @ (b'"' | b'\\' | b'/' | b'\'' | b' ' | b'$' | b'`') => *other,
        _ => return None,
    };
    Some((Undone::Byte(simple), 2))
}

fn unicode(bytes: &[u8]) -> Option<(Undone, usize)> {
    if bytes.get(2) == Some(&b'{') {
        let end = bytes.iter().take(LONGEST_ESCAPE).position(|byte| *byte == b'}')?;
        let letter = char::from_u32(number(bytes.get(3..end)?, 16)?)?;
        return Some((Undone::Letter(letter), end + 1));
    }
    let first = number(bytes.get(2..6)?, 16)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((Undone::Letter(letter), 6));
    }
    // Half of a pair: JSON writes letters beyond the basic plane as two.
    let second = bytes.get(6..8).filter(|begin| *begin == b"\\u").and(bytes.get(8..12))?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(number(second, 16)?).ok()?];
    let letter = char::decode_utf16(pair).next()?.ok()?;
    Some((Undone::Letter(letter), 12))
}

fn entity(bytes: &[u8]) -> Option<(Undone, usize)> {
    let end = bytes.iter().take(LONGEST_ESCAPE).position(|byte| *byte == b';')?;
    let letter = match bytes.get(1..end)? {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(digits, 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(digits, 10)?)?,
        _ => return None,
    };
    Some((Undone::Letter(letter), end + 1))
}

/// A number of digits only.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    if !text.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(text: &str, escape: Escape) -> String {
        let view = View::of(text.as_bytes(), escape).expect("escapes");
        String::from_utf8(view.bytes).expect("text")
    }

    #[test]
    fn every_escape_is_undone_and_what_only_looks_like_one_is_left() {
        assert_eq!(undone("a%2Fb%3f%zz%4", Escape::Percent), "a/b?%zz%4");
        assert_eq!(
            undone(r#"\"\n\u0041\u{1f600}\ud83d\ude00\x41\101\q\u12"#, Escape::Backslash),
            "\"\nA\u{1f600}\u{1f600}AA\\q\\u12"
        );
        assert_eq!(undone("&amp;&#65;&#x42;&nope;&", Escape::Entity), "&AB&nope;&");
        assert!(
            View::of(b"nothing", Escape::Percent).is_none() && View::of(b"100%", Escape::Percent).is_none()
        );
    }

    #[test]
    fn lines_are_joined_with_the_blanks_that_begin_them() {
        assert_eq!(undone("ab\ncd\r\n  ef\n\tg\r\n", Escape::Line), "abcdefg");
        let text = b"ab\r\n cd\n";
        let view = View::of(text, Escape::Line).expect("lines");
        // The line's end behind the last letter stays.
        assert_eq!((view.origin(1..3), view.origin(0..4)), (1..6, 0..text.len() - 1));
    }

    #[test]
    fn letters_of_two_bytes_are_letters_of_one() {
        for bytes in
            ["secret".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), b"s\0ecret\0".to_vec()]
        {
            let view = View::of(&bytes, Escape::Zero).expect("zeros");
            // Up to the last letter: the zero beside it hides nothing.
            let whole = 0..bytes.len() - 1;
            assert_eq!((view.bytes.as_slice(), view.origin(0..6)), (b"secret".as_slice(), whole));
        }
    }

    #[test]
    fn an_escape_that_is_cut_at_the_end_is_seen() {
        let cut = |text: &str, escape: Escape| escape.cut_at_end(text.as_bytes());
        assert_eq!((cut("ab%2", Escape::Percent), cut("ab%", Escape::Percent)), (Some(2), Some(2)));
        assert_eq!((cut("ab%2f", Escape::Percent), cut("ab", Escape::Percent)), (None, None));
        assert_eq!((cut(r"ab\u00", Escape::Backslash), cut(r"ab\u00e4", Escape::Backslash)), (Some(2), None));
        assert_eq!(
            (cut("ab&quo", Escape::Entity), cut("a&b, and much more", Escape::Entity)),
            (Some(2), None)
        );
    }

    #[test]
    fn every_byte_of_a_view_knows_where_it_stood() {
        let text = br"x\u00e4%41y";
        let once = View::of(text, Escape::Backslash).expect("escapes");
        let twice = once.further(Escape::Percent).expect("escapes");
        assert_eq!(twice.bytes, "xäAy".as_bytes());
        assert_eq!(twice.origin(1..3), 1..7, "the letter in two bytes");
        assert_eq!(twice.origin(3..4), 7..10, "the escape behind it");
        assert_eq!(twice.origin(0..5), 0..text.len());
    }
}
