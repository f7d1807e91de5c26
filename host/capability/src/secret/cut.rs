//! The parts of secrets where a text was cut: at its end the beginning of a spelling, at its beginning the end of one. Escapes are undone as
//! for whole secrets; one that was cut itself hides nothing of what stands beside it.

use super::forms::Form;
use super::redactor::{DEEPEST, SHORTEST_BYTES};
use super::view::{Escape, LONGEST_ESCAPE, View};
use std::ops::Range;

/// The shortest part of a secret that is taken out.
const SHORTEST_PART: usize = 3;
/// How many bytes one letter of a secret takes in the spellings that are looked at here, at most: more only as an escape of an escape.
const WIDEST: usize = 24;

/// Where in `text` a beginning of one of `forms` stands that it ends with; the longest.
pub(super) fn at_end(forms: &[Form], text: &[u8]) -> Option<Range<usize>> {
    let first = text.len().saturating_sub(window(forms));
    let tail = text.get(first..)?;
    let mut begins = beginning(forms, tail);
    each_view(tail, &mut |view| {
        let found = beginning(forms, &view.bytes).map(|at| view.origin(at..view.bytes.len()).start);
        begins = begins.into_iter().chain(found).min();
    });
    begins.map(|at| first + at..text.len())
}

/// Where in `text` an end of one of `forms` stands that it begins with; the longest.
pub(super) fn at_beginning(forms: &[Form], text: &[u8]) -> Option<Range<usize>> {
    let head = text.get(..window(forms).min(text.len()))?;
    let mut ends = end(forms, head);
    each_view(head, &mut |view| {
        let found = end(forms, &view.bytes).map(|at| view.origin(0..at).end);
        ends = ends.into_iter().chain(found).max();
    });
    ends.map(|at| 0..at)
}

fn window(forms: &[Form]) -> usize {
    forms.iter().map(|form| form.len()).max().unwrap_or_default().saturating_mul(WIDEST)
}

/// `text` with its escapes undone, in every way and as deep as they are looked for.
fn each_view(text: &[u8], look: &mut dyn FnMut(&View)) {
    for view in Escape::ALL.into_iter().filter_map(|escape| View::of(text, escape)) {
        with_further(&view, DEEPEST, look);
    }
}

fn with_further(view: &View, depth: usize, look: &mut dyn FnMut(&View)) {
    look(view);
    if depth > 1 {
        for view in Escape::ALL.into_iter().filter_map(|escape| view.further(escape)) {
            with_further(&view, depth - 1, look);
        }
    }
}

/// Where the longest beginning of a form begins that `text` ends with, an escape that was cut behind it aside.
fn beginning(forms: &[Form], text: &[u8]) -> Option<usize> {
    let cuts = Escape::ALL.into_iter().filter_map(|escape| escape.cut_at_end(text));
    let longest = |end: usize| {
        let text = text.get(..end)?;
        let ends_so =
            |form: &Form, length: usize| form.get(..length).is_some_and(|part| text.ends_with(part));
        Some(end - longest_part(forms, text, ends_so)?)
    };
    cuts.chain([text.len()]).filter_map(longest).min()
}

/// Where the longest end of a form ends that `text` begins with. What is left of an escape may stand before it; then a short one is taken for
/// chance.
fn end(forms: &[Form], text: &[u8]) -> Option<usize> {
    let longest = |begin: usize| {
        let text = text.get(begin..)?;
        let begins_so = |form: &Form, length: usize| {
            form.get(form.len() - length..).is_some_and(|part| text.starts_with(part))
        };
        let length = longest_part(forms, text, begins_so)?;
        (begin == 0 || length >= SHORTEST_BYTES).then_some(begin + length)
    };
    let left = (0..LONGEST_ESCAPE).filter(|begin| text.get(..*begin).is_some_and(is_left_of_escape));
    left.filter_map(longest).max()
}

/// Whether `part` may be the end of an escape: nothing, one letter, what an entity ends with, or hexadecimal digits. A word is not.
fn is_left_of_escape(part: &[u8]) -> bool {
    match part {
        [] | [_] => true,
        [entity @ .., b';'] => entity.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#'),
        [b'\\', rest @ ..] => is_left_of_escape(rest),
        [b'u' | b'x', digits @ ..] | digits => {
            digits.iter().all(|byte| byte.is_ascii_hexdigit() || b"{}".contains(byte))
        }
    }
}

fn longest_part(forms: &[Form], text: &[u8], is_there: impl Fn(&Form, usize) -> bool) -> Option<usize> {
    let longest = |form: &Form| {
        let most = form.len().saturating_sub(1).min(text.len());
        (SHORTEST_PART..=most).rev().find(|length| is_there(form, *length))
    };
    forms.iter().filter_map(longest).max()
}

#[cfg(test)]
mod tests {
    use crate::secret::Redactor;

    const SECRET: &str = "pqo\"rs%tu&vw\\xyzklm";

    fn cleaned(text: &str) -> String {
        let redactor = Redactor::default();
        let _secret = redactor.secret(SECRET.as_bytes().to_vec()).expect("a secret");
        String::from_utf8_lossy(&redactor.redact_cut_bytes(text.as_bytes())).into_owned()
    }

    fn spellings() -> [String; 5] {
        let json = |text: &str| {
            let quoted = serde_json::to_string(text).expect("JSON");
            quoted.get(1..quoted.len() - 1).expect("quotes").to_owned()
        };
        let percent = SECRET.bytes().map(|byte| match byte {
            b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        });
        let numbers = SECRET.chars().map(|letter| format!("&#{};", u32::from(letter)));
        [
            json(SECRET),
            json(&json(SECRET)),
            percent.collect(),
            numbers.collect(),
            SECRET.replace('&', "&amp;").replace('"', "&quot;"),
        ]
    }

    #[test]
    fn whatever_of_an_escaped_secret_a_cut_leaves_is_taken_out() {
        for spelling in spellings() {
            // Behind three letters of it: fewer are taken for chance.
            let third = ["pqo", "&#112;&#113;&#111;"].into_iter().find(|begin| spelling.starts_with(begin));
            for end in third.expect("its beginning").len()..spelling.len() {
                let cut = spelling.get(..end).expect("ASCII");
                assert_eq!(cleaned(&format!("it is {cut}")), "it is [secret]", "{cut}");
            }
        }
    }

    #[test]
    fn what_of_an_escaped_secret_follows_a_cut_is_taken_out() {
        for spelling in spellings() {
            let last = ["xyzklm", "&#120;&#121;&#122;"].into_iter().find_map(|end| spelling.find(end));
            for begin in 1..=last.expect("its end") {
                let cut = spelling.get(begin..).expect("ASCII");
                assert_eq!(cleaned(&format!("{cut}, it was")), "[secret], it was", "{cut}");
            }
        }
    }

    #[test]
    fn a_secret_in_utf_16_is_taken_out_whole_or_cut() {
        let redactor = Redactor::default();
        let _secret = redactor.secret(SECRET.as_bytes().to_vec()).expect("a secret");
        let wide =
            |text: &str, write: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(write).collect::<Vec<u8>>();
        for write in [u16::to_le_bytes, u16::to_be_bytes] {
            let whole = redactor.redact_bytes(&wide(&format!("it is {SECRET}!"), write)).into_owned();
            assert!(String::from_utf8_lossy(&whole).contains("[secret]"), "{whole:?}");
            assert!(!redactor.finds_in(&whole), "{whole:?}");
            let text = wide(&format!("it is {SECRET}"), write);
            let cut = redactor.redact_cut_bytes(text.get(..text.len() - 9).expect("a part"));
            assert!(cut.ends_with(b"[secret]"), "{cut:?}");
        }
    }

    #[test]
    fn base64_that_is_broken_into_lines_is_taken_out() {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("user:{SECRET}"));
        for width in 1..encoded.len() {
            let lines: Vec<&str> = encoded
                .as_bytes()
                .chunks(width)
                .map(|line| std::str::from_utf8(line).expect("ASCII"))
                .collect();
            for separator in ["\n", "\r\n", "\n  "] {
                let text = cleaned(&lines.join(separator));
                let left: String = text.replace("[secret]", "").split_whitespace().collect();
                assert!(text.contains("[secret]") && left.len() <= 12, "{width}: {text}");
            }
        }
    }
}
