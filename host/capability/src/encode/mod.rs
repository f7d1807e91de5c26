//! How a checked value is written at its place: a printer for each type and place. Used by `files` and `execute`.
//!
//! That no value leaves its place is a matter of alphabets, not of quoting: what [`print()`] answers for a place holds none of the
//! letters that end it. A type whose alphabet holds one may not stand there and is refused.

mod access;
#[cfg(test)]
mod ganesha;

pub use access::NOBODY;
pub(crate) use access::access_rules;

use crate::slot::Filled;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::PathKind;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A whole argument of a command. Ends at NUL; must not look like an option.
    Argument,
    /// Inside the literal text of an argument, as in `--size={size}`: separated there by whatever the program takes for separators.
    InsideArgument,
    /// Standard input of a command.
    StandardInput,
    /// A word of a file of lines. Ends at a blank, a line end, a quote, a backslash or `#`.
    Lines,
    /// A value of a JSON text.
    Json,
    /// A value in NFS-Ganesha's configuration. Numbers, addresses and words stand plain, names and paths in quotes.
    Ganesha,
    /// Inside quotes that stand in the template itself, which end at a quote.
    GaneshaQuotes,
}

/// Write `value` at `place`. Fails with `invalid-argument` if its type may not stand there.
pub fn print(value: &Filled, place: Place) -> Result<String, CapabilityError> {
    let text = match value {
        Filled::Unsigned(number) => return Ok(number.to_string()),
        Filled::Signed(number) => return print_signed(*number, place),
        Filled::Word(text) | Filled::Name(text) => text.clone(),
        Filled::Ip(address) => address.to_string(),
        Filled::Cidr(network) => network.to_string(),
        Filled::Uuid(uuid) => uuid.as_hyphenated().to_string(),
        Filled::Path { kind: PathKind::Text, at } => at.absolute(),
        Filled::Path { .. } => return Err(misplaced("path of another kind than text", place)),
        Filled::AccessRules(clients) => match place {
            Place::Lines | Place::Json | Place::Ganesha => clients.clone(),
            _ => return Err(misplaced("access-rules", place)),
        },
        Filled::Opaque(text) => match place {
            Place::Argument => text.clone(),
            _ => return Err(misplaced("opaque", place)),
        },
        Filled::Secret(_) => return Err(misplaced("secret", place)),
    };
    match (place, value) {
        (Place::Json, _) => Ok(serde_json::Value::from(text).to_string()),
        (_, Filled::AccessRules(_) | Filled::Opaque(_)) => Ok(text),
        (Place::Ganesha, Filled::Name(_) | Filled::Uuid(_) | Filled::Path { .. }) if stays(&text) => {
            Ok(format!("\"{text}\""))
        }
        _ if stays(&text) => Ok(text),
        _ => Err(misplaced("a wider alphabet than its place allows", place)),
    }
}

/// Whether a text holds no separator of any place but JSON, which quotes, and does not look like an option. Every printer above keeps
/// to this; what the manifest itself brings, the words of an enum, is held to it as well.
fn stays(text: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-+@:/".contains(letter);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

/// A negative number is the one value that may begin with `-`, and only as a whole argument or where no option can stand.
fn print_signed(number: i64, place: Place) -> Result<String, CapabilityError> {
    match place {
        Place::InsideArgument if number < 0 => Err(misplaced("negative integer", place)),
        _ => Ok(number.to_string()),
    }
}

fn misplaced(what: &str, place: Place) -> CapabilityError {
    let place = match place {
        Place::Argument => "as an argument",
        Place::InsideArgument => "inside an argument",
        Place::StandardInput => "in standard input",
        Place::Lines => "in a file of lines",
        Place::Json => "in JSON",
        Place::Ganesha => "in a file of NFS-Ganesha's",
        Place::GaneshaQuotes => "in quotes in a file of NFS-Ganesha's",
    };
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("a slot of type {what} cannot stand {place}"),
    )
}

#[cfg(test)]
mod tests {
    use super::ganesha::{self, Token};
    use super::*;
    use crate::slot::{LONGEST_TEXT, check_text};
    use bulkhead_model::id::Label;
    use bulkhead_model::manifest::SlotType;
    use proptest::prelude::*;

    const PLACES: [Place; 7] = [
        Place::Argument,
        Place::InsideArgument,
        Place::StandardInput,
        Place::Lines,
        Place::Json,
        Place::Ganesha,
        Place::GaneshaQuotes,
    ];

    fn text_types() -> impl Strategy<Value = SlotType> {
        prop_oneof![
            Just(SlotType::Enum { values: vec!["on".to_owned(), "v4.1".to_owned()] }),
            Just(SlotType::Ip),
            Just(SlotType::Cidr),
            Just(SlotType::Uuid),
            Just(SlotType::Opaque { max: 255 }),
        ]
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            ".{0,40}",
            "[0-9a-f:./]{1,40}",
            Just("on".to_owned()),
            any::<std::net::IpAddr>().prop_map(|address| address.to_string()),
            any::<std::net::Ipv4Addr>().prop_map(|address| format!("{address}/32")),
            any::<[u8; 16]>().prop_map(|bytes| uuid::Uuid::from_bytes(bytes).to_string()),
        ]
    }

    fn numbers() -> impl Strategy<Value = Filled> {
        prop_oneof![any::<u64>().prop_map(Filled::Unsigned), any::<i64>().prop_map(Filled::Signed)]
    }

    fn label() -> Label {
        "slot".parse().expect("a label")
    }

    fn assert_stays(value: &Filled, place: Place) -> Result<(), TestCaseError> {
        let Ok(text) = print(value, place) else { return Ok(()) };
        match place {
            Place::Json => {
                let read: Result<serde_json::Value, _> = serde_json::from_str(&text);
                prop_assert!(read.is_ok_and(|value| value.is_string() || value.is_number()), "{text}");
            }
            Place::Argument => {
                prop_assert!(!text.contains('\0'), "{text}");
                prop_assert!(!text.starts_with('-') || matches!(value, Filled::Signed(_)), "{text}");
            }
            Place::Ganesha => {
                let tokens = ganesha::tokens(&text);
                prop_assert!(matches!(tokens.as_deref(), Ok([Token::Word(_) | Token::Quoted(_)])), "{text}");
            }
            Place::GaneshaQuotes => {
                let quoted = format!("\"{text}\"");
                prop_assert_eq!(ganesha::tokens(&quoted), Ok(vec![Token::Quoted(text)]));
            }
            Place::InsideArgument | Place::StandardInput | Place::Lines => {
                let separators = " \t\r\n\0\"'\\\\#;,=$`|&<>(){}*?![]~%";
                prop_assert!(!text.contains(|letter| separators.contains(letter)), "{text}");
                prop_assert!(text.is_ascii(), "{text}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(slot_type in text_types(), text in texts()) {
            if let Ok(value) = check_text(&label(), &slot_type, &text) {
                for place in PLACES {
                    assert_stays(&value, place)?;
                }
            }
        }

        #[test]
        fn no_number_leaves_its_place(value in numbers()) {
            for place in PLACES {
                assert_stays(&value, place)?;
            }
        }

        #[test]
        fn no_word_of_a_careless_manifest_leaves_its_place(word in ".{0,20}") {
            for place in PLACES {
                assert_stays(&Filled::Word(word.clone()), place)?;
            }
        }
    }

    #[test]
    fn hostile_texts_are_of_no_type_but_opaque_and_never_options() {
        let hostile =
            ["; id", "$(id)", "`id`", "a\nb", "a\0b", "a\rb", "%0a", "\u{2028}", "", "../x", "@file", "*"];
        let options = ["-rf", "--help", "-oProxyCommand=id", "-"];
        for text in hostile.iter().chain(&options) {
            for slot_type in [
                SlotType::Ip,
                SlotType::Cidr,
                SlotType::Uuid,
                SlotType::Enum { values: vec!["on".to_owned()] },
            ] {
                assert!(check_text(&label(), &slot_type, text).is_err(), "{text:?} as {slot_type:?}");
            }
        }
        for text in options.iter().chain(&["", "a\nb", "a\0b", "a\rb", "\u{2028}"]) {
            assert!(check_text(&label(), &SlotType::Opaque { max: 100 }, text).is_err(), "{text:?}");
        }
        let long = "a".repeat(LONGEST_TEXT + 1);
        assert!(check_text(&label(), &SlotType::Opaque { max: u32::MAX }, &long).is_err());
    }

    #[test]
    fn opaque_text_and_secrets_stand_in_no_file() {
        for place in PLACES.into_iter().filter(|place| *place != Place::Argument) {
            assert!(print(&Filled::Opaque("a b".to_owned()), place).is_err());
            assert!(print(&Filled::Secret("password".to_owned()), place).is_err());
        }
        assert!(print(&Filled::Secret("password".to_owned()), Place::Argument).is_err());
    }
}
