//! The spellings of a secret that are looked for as they stand. What escapes letters one by one is undone by `view` instead.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// The shortest line of a secret of several lines that is looked for by itself, in bytes.
const SHORTEST_LINE: usize = 16;
/// How a line begins that every key in armour has.
const ARMOUR: &[u8] = b"-----";

/// A spelling of a secret.
pub(super) type Form = Zeroizing<Vec<u8>>;

/// All spellings of `value`: plain, as a form's field, Base64 at every distance from its beginning, hexadecimal. Of a value of several
/// lines, a key for example, they are those of its lines: they stand in every spelling of the whole, and what prints it prints lines.
pub(super) fn of(value: &[u8]) -> Vec<Form> {
    let mut forms = Vec::new();
    let lines = value.split(|byte| matches!(byte, b'\n' | b'\r'));
    for line in lines.filter(|line| line.len() < value.len()) {
        if line.len() >= SHORTEST_LINE && !line.starts_with(ARMOUR) {
            spell(line, &mut forms);
        }
    }
    if forms.is_empty() {
        spell(value, &mut forms);
    } else {
        forms.push(Zeroizing::new(value.to_vec()));
    }
    forms
}

fn spell(value: &[u8], forms: &mut Vec<Form>) {
    forms.push(Zeroizing::new(value.to_vec()));
    if value.contains(&b' ') {
        let spaced = value.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte });
        forms.push(Zeroizing::new(spaced.collect()));
    }
    for distance in 0..3 {
        let standard = base64(value, distance, &STANDARD_NO_PAD);
        let safe = base64(value, distance, &URL_SAFE_NO_PAD);
        if *standard != *safe {
            forms.push(safe);
        }
        forms.push(standard);
    }
    let lower = hexadecimal(value);
    forms.push(Zeroizing::new(lower.to_ascii_uppercase()));
    forms.push(lower);
}

/// The letters that `value` alone decides when it begins `distance` bytes after a multiple of three.
fn base64(value: &[u8], distance: usize, engine: &impl base64::Engine) -> Form {
    let mut shifted = Zeroizing::new(vec![0; distance]);
    shifted.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(&*shifted));
    let first = (distance * 8).div_ceil(6);
    let end = shifted.len() * 8 / 6;
    Zeroizing::new(text.as_bytes().get(first..end).unwrap_or_default().to_vec())
}

fn hexadecimal(value: &[u8]) -> Form {
    // With its room from the beginning, so that no shorter copy is left behind.
    let mut text = String::with_capacity(value.len() * 2);
    for byte in value {
        let _never_fails = write!(text, "{byte:02x}").is_err();
    }
    Zeroizing::new(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn base64_is_found_wherever_the_secret_begins_and_ends() {
        let forms = of(b"hunter-222");
        for before in 0..7 {
            for after in 0..4 {
                let text = [vec![b'u'; before], b"hunter-222".to_vec(), vec![b'x'; after]].concat();
                let encoded = STANDARD.encode(text).into_bytes();
                let found = |form: &Form| encoded.windows(form.len()).any(|window| window == form.as_slice());
                assert!(forms.iter().any(found), "{before} bytes before, {after} after");
            }
        }
    }

    #[test]
    fn no_form_is_so_short_that_it_would_be_found_everywhere() {
        for form in of(b"abc de") {
            assert!(form.len() >= 6, "{:?}", String::from_utf8_lossy(&form));
        }
    }

    #[test]
    fn lines_of_a_key_are_forms_and_its_armour_is_none() {
        let key: &[u8] = b"-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA1234\nshort\n-----END KEY-----";
        let forms = of(key);
        let is_form = |text: &[u8]| forms.iter().any(|form| form.as_slice() == text);
        assert!(is_form(key) && is_form(b"MIIEpAIBAAKCAQEA1234"));
        assert!(!is_form(b"short") && !is_form(b"-----BEGIN KEY-----"));
    }
}
