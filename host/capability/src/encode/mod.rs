//! How a checked value is written at its place: a printer for each type and place. Used by `files` and `execute`.
//!
//! That no value leaves its place is a matter of alphabets, not of quoting: what [`print()`] answers for a place holds none of the
//! letters that end it. A type whose alphabet holds one may not stand there and is refused.

mod access;
#[cfg(test)]
mod ganesha;

pub use access::NOBODY;
pub(crate) use access::access_rules;

use crate::secret::Secret;
use crate::slot::Filled;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::PathKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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
    /// A value in the JSON body of a request.
    JsonBody,
    /// A value in a form, or in the query of a URL. Ends at `&`; percent-encoded.
    Form,
    /// In a path of a URL. Ends at `/`, `?` or `#`; percent-encoded, and never a step up.
    UrlPath,
    /// Text or a quoted attribute in the XML body of a request. Escaped.
    Xml,
    /// In a header of a request.
    Header,
}

impl Place {
    /// Whether its encoder quotes whatever is printable, so that even free text stays in it.
    const fn quotes_everything(self) -> bool {
        matches!(self, Self::JsonBody | Self::Form | Self::UrlPath | Self::Xml)
    }
}

/// What stands unencoded in a URL or a form: RFC 3986's unreserved letters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
        Filled::AccessRules(rules) if place == Place::JsonBody => return Ok(rules.clone()),
        Filled::AccessRules(clients) => match place {
            Place::Lines | Place::Json | Place::Ganesha => clients.clone(),
            _ => return Err(misplaced("access-rules", place)),
        },
        Filled::Opaque(text) => match place {
            Place::Argument => text.clone(),
            _ if place.quotes_everything() => return print_text(text, place),
            _ => return Err(misplaced("opaque", place)),
        },
        Filled::Secret { secret, .. } => return print_secret(secret, place),
    };
    match (place, value) {
        (Place::Json, _) => Ok(serde_json::Value::from(text).to_string()),
        _ if place.quotes_everything() => print_text(&text, place),
        (_, Filled::AccessRules(_) | Filled::Opaque(_)) => Ok(text),
        (Place::Ganesha, Filled::Name(_) | Filled::Uuid(_) | Filled::Path { .. }) if stays(&text) => {
            Ok(format!("\"{text}\""))
        }
        _ if stays(&text) => Ok(text),
        _ => Err(misplaced("a wider alphabet than its place allows", place)),
    }
}

/// Write a text, whatever it holds, in a place of a request that quotes. Also for what operators configured: credentials.
///
/// Fails with `invalid-argument` for what a path of a URL cannot hold: `.` and `..`, which servers take for steps, and nothing at all.
pub(crate) fn print_text(text: &str, place: Place) -> Result<String, CapabilityError> {
    match place {
        Place::JsonBody => Ok(serde_json::Value::from(text).to_string()),
        Place::UrlPath if matches!(text, "" | "." | "..") => Err(misplaced("empty or dots", place)),
        Place::UrlPath | Place::Form => Ok(utf8_percent_encode(text, ENCODED).to_string()),
        Place::Xml => Ok(escape_xml(text)),
        _ => Err(misplaced("free text", place)),
    }
}

/// Control characters have no writing in XML 1.0; a value with one never gets here, and a configured one loses it.
fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// A secret is the operator's or the host's text, and must not leave its place either: in JSON it is quoted, in a file of lines it is a word.
/// What goes into a request is printed there.
fn print_secret(secret: &Secret, place: Place) -> Result<String, CapabilityError> {
    let unfit = |message: &str| Err(CapabilityError::new(CapabilityCode::InvalidArgument, message));
    let Some(text) = secret.expose_text() else {
        return unfit("the secret is not UTF-8, which files here are");
    };
    let ends_no_word = |letter: char| letter.is_ascii_graphic() && !"\"'\\#".contains(letter);
    match place {
        Place::Json => Ok(serde_json::Value::from(text).to_string()),
        Place::Lines if text.chars().all(ends_no_word) => Ok(text.to_owned()),
        Place::Lines => unfit(
            "the secret holds a blank, quote, '#' or another letter that ends a word of a line; set another one",
        ),
        _ => Err(misplaced("secret", place)),
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
        Place::JsonBody => "in the JSON body of a request",
        Place::Form => "in a form or a query",
        Place::UrlPath => "in the path of a request",
        Place::Xml => "in the XML body of a request",
        Place::Header => "in a header of a request",
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
    use crate::secret::Redactor;
    use crate::slot::{LONGEST_TEXT, check_text};
    use bulkhead_model::id::Label;
    use bulkhead_model::manifest::SlotType;
    use proptest::prelude::*;

    const PLACES: [Place; 12] = [
        Place::Argument,
        Place::InsideArgument,
        Place::StandardInput,
        Place::Lines,
        Place::Json,
        Place::Ganesha,
        Place::GaneshaQuotes,
        Place::JsonBody,
        Place::Form,
        Place::UrlPath,
        Place::Xml,
        Place::Header,
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
            Place::Json | Place::JsonBody => {
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
            Place::Form | Place::UrlPath => {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~%".contains(letter);
                prop_assert!(text.chars().all(plain), "{text}");
                prop_assert!(place == Place::Form || !matches!(text.as_str(), "" | "." | ".."), "{text}");
            }
            Place::Xml => {
                prop_assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
                prop_assert!(!text.contains(char::is_control), "{text}");
                let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"];
                let without = entities.iter().fold(text.clone(), |text, entity| text.replace(entity, ""));
                prop_assert!(!without.contains('&'), "{text}");
            }
            Place::Header => prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text}"),
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
    fn opaque_text_stands_in_no_file() {
        let stays = |place: &Place| *place != Place::Argument && !place.quotes_everything();
        for place in PLACES.into_iter().filter(stays) {
            assert!(print(&Filled::Opaque("a b".to_owned()), place).is_err());
        }
    }

    #[test]
    fn free_text_is_quoted_where_a_request_has_it() {
        let value = Filled::Opaque("a/b?c=d&\"e\" <f>".to_owned());
        for (place, written) in [
            (Place::JsonBody, r#""a/b?c=d&\"e\" <f>""#),
            (Place::Form, "a%2Fb%3Fc%3Dd%26%22e%22%20%3Cf%3E"),
            (Place::UrlPath, "a%2Fb%3Fc%3Dd%26%22e%22%20%3Cf%3E"),
            (Place::Xml, "a/b?c=d&amp;&quot;e&quot; &lt;f&gt;"),
        ] {
            assert_eq!(print(&value, place).expect("a text"), written);
        }
        assert!(print(&Filled::Opaque("..".to_owned()), Place::UrlPath).is_err());
    }

    #[test]
    fn a_secret_stands_in_json_and_lines_and_never_ends_its_word() {
        let redactor = Redactor::default();
        let at = |text: &str, place| {
            let secret = redactor.secret(text.as_bytes().to_vec()).expect("a secret");
            print(&Filled::Secret { reference: "password".to_owned(), secret }, place)
        };
        assert_eq!(at("correct-horse!", Place::Lines).as_deref(), Ok("correct-horse!"));
        assert_eq!(at("a \"word\"\n", Place::Json).as_deref(), Ok(r#""a \"word\"\n""#));
        for text in ["correct horse", "horse\nPath", "horse\"s", "horse's", "horse\\s", "horse#s"] {
            assert!(at(text, Place::Lines).is_err(), "{text}");
        }
        for place in PLACES.into_iter().filter(|place| !matches!(place, Place::Lines | Place::Json)) {
            assert!(at("correct-horse", place).is_err());
        }
    }
}
