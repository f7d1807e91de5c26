//! How a checked value is written at its place: a printer for each type and place. Used by `files` and `execute`.
//!
//! That no value leaves its place is a matter of alphabets, not of quoting: what [`print()`] answers for a place holds none of the
//! letters that end it. A type whose alphabet holds one may not stand there and is refused.

use crate::slot::Filled;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::{AccessRulesStyle, PathKind};
use ipnet::IpNet;
use std::cmp::Reverse;

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

/// Who is let in where nobody shall be. In exports(5) a path without clients is open to everybody, so that an empty list must name a
/// client that no packet comes from.
pub const NOBODY: &str = "0.0.0.0/32(ro)";

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

/// Write access rules in a style. A rule that the style cannot say is left out, which grants nothing: the driver answers it as an error.
pub(crate) fn access_rules(style: AccessRulesStyle, rules: &[AccessRule]) -> String {
    match style {
        AccessRulesStyle::Exports5 => exports5(rules),
        AccessRulesStyle::Ganesha => ganesha(rules),
    }
}

/// As `CLIENT` blocks of NFS-Ganesha, one a client, the most specific first: the server takes the first block that fits an address, so
/// that one address may be let in otherwise than its network. Without any rule there is no block, and nobody is let in.
fn ganesha(rules: &[AccessRule]) -> String {
    let mut clients: Vec<(IpNet, AccessLevel)> = rules
        .iter()
        .filter_map(|rule| match &rule.access_to {
            AccessTo::Ip(network) => Some((network.trunc(), rule.level)),
            AccessTo::User(_) | AccessTo::Cert(_) | AccessTo::Cephx(_) => None,
        })
        .collect();
    clients.sort_by_key(|(network, _)| (Reverse(network.prefix_len()), *network));
    let block = |(network, level): (IpNet, AccessLevel)| {
        let access = match level {
            AccessLevel::Rw => "RW",
            AccessLevel::Ro => "RO",
        };
        let clients = ganesha_clients(network)?;
        Some(format!("CLIENT {{ Clients = {clients}; Access_Type = {access}; Protocols = 3, 4; }}"))
    };
    clients.into_iter().filter_map(block).collect::<Vec<_>>().join(" ")
}

/// A network as NFS-Ganesha reads one; none if it cannot: it takes prefixes of one or two digits and not `0`. It would pass over the
/// whole block and report success.
fn ganesha_clients(network: IpNet) -> Option<String> {
    match network.prefix_len() {
        length if length == network.max_prefix_len() => Some(network.addr().to_string()),
        0 => {
            let halves: Vec<String> = network.subnets(1).ok()?.map(|half| half.to_string()).collect();
            Some(halves.join(", "))
        }
        1..=99 => Some(network.to_string()),
        _ => None,
    }
}

/// As exports(5) lists clients: `10.0.0.0/24(rw) 10.0.0.9(ro)`, IPv6 without brackets; only addresses are clients there, and
/// [`NOBODY`] stands where no rule names one.
fn exports5(rules: &[AccessRule]) -> String {
    let client = |rule: &AccessRule| match &rule.access_to {
        AccessTo::Ip(_) => Some(format!("{}({})", rule.access_to, rule.level.as_str())),
        AccessTo::User(_) | AccessTo::Cert(_) | AccessTo::Cephx(_) => None,
    };
    let clients: Vec<String> = rules.iter().filter_map(client).collect();
    if clients.is_empty() { NOBODY.to_owned() } else { clients.join(" ") }
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
    use super::*;
    use crate::slot::{LONGEST_TEXT, check_text};
    use bulkhead_model::access::AccessLevel;
    use bulkhead_model::id::{AccessMappingId, AccessRuleId, Label};
    use bulkhead_model::manifest::SlotType;
    use proptest::prelude::*;

    const PLACES: [Place; 5] =
        [Place::Argument, Place::InsideArgument, Place::StandardInput, Place::Lines, Place::Json];

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

        #[test]
        fn a_list_of_clients_stays_in_its_line(addresses in prop::collection::vec(any::<std::net::IpAddr>(), 0..20)) {
            let rules: Vec<_> = addresses.iter().map(|address| rule("ip", &address.to_string())).collect();
            let clients = access_rules(AccessRulesStyle::Exports5, &rules);
            prop_assert!(clients.chars().all(|letter| letter.is_ascii_alphanumeric() || ".:/() ".contains(letter)));
            prop_assert_eq!(clients.split(' ').count(), addresses.len().max(1));
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
        for place in [Place::Lines, Place::Json, Place::InsideArgument, Place::StandardInput] {
            assert!(print(&Filled::Opaque("a b".to_owned()), place).is_err());
            assert!(print(&Filled::Secret("password".to_owned()), place).is_err());
        }
        assert!(print(&Filled::Secret("password".to_owned()), Place::Argument).is_err());
    }

    #[test]
    fn clients_are_listed_as_exports5_has_them() {
        let rules = [rule("ip", "10.0.0.0/24"), rule("ip", "10.0.0.9"), rule("ip", "2001:db8::/32")];
        let rules: Vec<_> = rules
            .into_iter()
            .zip([AccessLevel::Rw, AccessLevel::Ro, AccessLevel::Rw])
            .map(|(rule, level)| AccessRule { level, ..rule })
            .collect();
        assert_eq!(
            access_rules(AccessRulesStyle::Exports5, &rules),
            "10.0.0.0/24(rw) 10.0.0.9(ro) 2001:db8::/32(rw)"
        );
    }

    #[test]
    fn no_rules_let_nobody_in() {
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &[]), NOBODY);
    }

    #[test]
    fn a_rule_that_the_style_cannot_say_lets_nobody_in_and_changes_nothing_for_the_rest() {
        let strangers = [rule("user", "alice"), rule("cert", "host1"), rule("cephx", "bob")];
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &strangers), NOBODY);
        let [user, cert, cephx] = strangers;
        let mixed = [user, rule("ip", "10.0.0.9"), cert, rule("ip", "10.1.0.0/16"), cephx];
        assert_eq!(access_rules(AccessRulesStyle::Exports5, &mixed), "10.0.0.9(rw) 10.1.0.0/16(rw)");
    }

    #[test]
    fn a_network_is_written_as_ganesha_reads_one_and_left_out_where_it_cannot() {
        for (access_to, clients) in [
            ("10.0.0.9", Some("10.0.0.9")),
            ("10.0.0.0/24", Some("10.0.0.0/24")),
            ("0.0.0.0/0", Some("0.0.0.0/1, 128.0.0.0/1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::/99", Some("2001:db8::/99")),
            ("2001:db8::/100", None),
            ("2001:db8::/127", None),
            ("::/0", Some("::/1, 8000::/1")),
        ] {
            let block =
                |clients| format!("CLIENT {{ Clients = {clients}; Access_Type = RW; Protocols = 3, 4; }}");
            let written = access_rules(AccessRulesStyle::Ganesha, &[rule("ip", access_to)]);
            assert_eq!(written, clients.map(block).unwrap_or_default(), "{access_to}");
        }
    }

    fn rule(access_type: &str, access_to: &str) -> AccessRule {
        AccessRule {
            id: AccessRuleId::random(),
            mapping_id: AccessMappingId::random(),
            access_to: AccessTo::parse(access_type, access_to).expect("a rule"),
            level: AccessLevel::Rw,
        }
    }
}
