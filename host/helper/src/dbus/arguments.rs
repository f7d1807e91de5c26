//! The arguments of a call: built from its template and checked slots, and nowhere else.

use crate::protocol::{DbusRequest, Refusal};
use crate::words::Slots;
use bulkhead_model::manifest::{DbusArgument, DbusTemplate, DbusType, SlotType};
use bulkhead_model::pattern::{Part, parts};
use std::str::FromStr;

/// The longest text argument, in bytes.
const LONGEST_TEXT: usize = 64 << 10;
/// The most arguments.
const MOST: usize = 64;
/// The longest name of a bus, an interface or a method, in bytes.
const LONGEST_NAME: usize = 255;

/// A value of a basic type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Boolean(bool),
    Byte(u8),
    Unsigned16(u16),
    Unsigned32(u32),
    Unsigned64(u64),
    Signed16(i16),
    Signed32(i32),
    Signed64(i64),
}

impl Argument {
    /// Its type's letter.
    pub(super) const fn letter(&self) -> char {
        match self {
            Self::Text(_) => 's',
            Self::Boolean(_) => 'b',
            Self::Byte(_) => 'y',
            Self::Unsigned16(_) => 'q',
            Self::Unsigned32(_) => 'u',
            Self::Unsigned64(_) => 't',
            Self::Signed16(_) => 'n',
            Self::Signed32(_) => 'i',
            Self::Signed64(_) => 'x',
        }
    }
}

/// Check every slot and build the arguments.
///
/// Fails with `invalid-argument` for a name that is none, a slot that is missing, unknown, of another type or misplaced, and a number
/// outside its type; as opening a path does for a path slot.
pub(super) fn build(template: &DbusTemplate, request: &DbusRequest) -> Result<Vec<Argument>, Refusal> {
    check_names(template)?;
    if template.args.len() > MOST {
        return Err(Refusal::invalid(format!("a call has at most {MOST} arguments")));
    }
    let slots = Slots::print(&template.slots, &request.slots, &request.roots)?;
    if slots.hold_descriptors() {
        return Err(Refusal::invalid("a path slot of a call on a bus is of kind 'text'"));
    }
    template.args.iter().map(|argument| value(argument, &slots)).collect()
}

fn value(argument: &DbusArgument, slots: &Slots<'_>) -> Result<Argument, Refusal> {
    let text = filled(&argument.value, slots)?;
    let not = |what: &str| Refusal::invalid(format!("'{}' is not {what}", argument.value));
    Ok(match argument.argument_type {
        DbusType::Text => Argument::Text(text),
        DbusType::Boolean => Argument::Boolean(text.parse().map_err(|_| not("true or false"))?),
        DbusType::Byte => Argument::Byte(number(&text).ok_or_else(|| not("a number of 8 bits"))?),
        DbusType::Unsigned16 => {
            Argument::Unsigned16(number(&text).ok_or_else(|| not("a number of 16 bits"))?)
        }
        DbusType::Unsigned32 => {
            Argument::Unsigned32(number(&text).ok_or_else(|| not("a number of 32 bits"))?)
        }
        DbusType::Unsigned64 => {
            Argument::Unsigned64(number(&text).ok_or_else(|| not("a number of 64 bits"))?)
        }
        DbusType::Signed16 => {
            Argument::Signed16(number(&text).ok_or_else(|| not("a number of 16 bits with a sign"))?)
        }
        DbusType::Signed32 => {
            Argument::Signed32(number(&text).ok_or_else(|| not("a number of 32 bits with a sign"))?)
        }
        DbusType::Signed64 => {
            Argument::Signed64(number(&text).ok_or_else(|| not("a number of 64 bits with a sign"))?)
        }
    })
}

/// A number in the one spelling it has.
fn number<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}

/// The template's text with the slots filled in. Beside other text stands only what has an alphabet without separators.
fn filled(template: &str, slots: &Slots<'_>) -> Result<String, Refusal> {
    let found = parts(template);
    let whole = found.len() == 1;
    let mut text = String::new();
    for part in found {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Place(label) => {
                let value = slots.get(&label)?;
                let fits = match value.slot {
                    SlotType::Secret { .. } | SlotType::AccessRules { .. } => false,
                    SlotType::Opaque { .. } | SlotType::Path { .. } => whole,
                    _ => true,
                };
                if !fits {
                    return Err(Refusal::invalid(format!("slot '{label}' may not stand in '{template}'")));
                }
                text.push_str(&value.text);
            }
        }
    }
    if text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "'{template}' becomes longer than {LONGEST_TEXT} bytes, or holds a control character"
        )));
    }
    Ok(text)
}

fn check_names(template: &DbusTemplate) -> Result<(), Refusal> {
    let sound = [
        ("destination", &template.destination, is_bus_name(&template.destination)),
        ("path", &template.path, is_object_path(&template.path)),
        ("interface", &template.interface, is_interface(&template.interface)),
        ("method", &template.method, is_member(&template.method)),
    ];
    match sound.into_iter().find(|(_, name, sound)| !sound || name.len() > LONGEST_NAME) {
        Some((what, name, _)) => Err(Refusal::invalid(format!("'{name}' is no {what} of D-Bus"))),
        None => Ok(()),
    }
}

fn is_bus_name(text: &str) -> bool {
    let element = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|letter: char| letter.is_ascii_digit())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
    };
    text.contains('.') && text.split('.').all(element)
}

fn is_interface(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_member)
}

fn is_member(text: &str) -> bool {
    !text.starts_with(|letter: char| letter.is_ascii_digit()) && is_word(text)
}

fn is_object_path(text: &str) -> bool {
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_word))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{GroupKey, SlotArgument};
    use std::collections::BTreeMap;

    fn template(args: serde_json::Value, slots: serde_json::Value) -> DbusTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "tried", "reason": "a test", "effect": "change", "repeat": "safe", "group": "nfs",
            "destination": "org.ganesha.nfsd", "path": "/org/ganesha/nfsd/ExportMgr",
            "interface": "org.ganesha.nfsd.exportmgr", "method": "AddExport", "args": args, "slots": slots,
        }))
        .expect("a template")
    }

    fn built(
        args: serde_json::Value,
        slot_type: serde_json::Value,
        value: SlotArgument,
    ) -> Result<Vec<Argument>, Refusal> {
        let template = template(args, serde_json::json!({ "slot": slot_type }));
        let request = DbusRequest {
            group: GroupKey {
                backend: "b".to_owned(),
                group: "nfs".parse().expect("a label"),
                instance: None,
            },
            group_template: String::new(),
            template: String::new(),
            roots: BTreeMap::new(),
            slots: BTreeMap::from([("slot".parse().expect("a label"), value)]),
            timeout_ms: 1,
        };
        build(&template, &request)
    }

    fn number_as(letter: &str, slot: i64) -> Result<Vec<Argument>, Refusal> {
        let slot_type = serde_json::json!({ "type": "integer", "min": i64::MIN, "max": i64::MAX });
        let args = serde_json::json!([{ "type": letter, "value": "{slot}" }]);
        built(args, slot_type, SlotArgument::Signed(slot))
    }

    #[test]
    fn a_number_is_of_its_type_or_refused() {
        assert_eq!(number_as("q", 65_535).expect("it fits"), [Argument::Unsigned16(65_535)]);
        assert_eq!(number_as("n", -32_768).expect("it fits"), [Argument::Signed16(-32_768)]);
        for (letter, number) in [
            ("y", 256),
            ("y", -1),
            ("q", 65_536),
            ("u", 1 << 32),
            ("t", -1),
            ("n", 32_768),
            ("i", 1 << 31),
            ("b", 1),
        ] {
            assert!(number_as(letter, number).is_err(), "{letter} {number}");
        }
    }

    #[test]
    fn a_number_has_one_spelling() {
        let slot = || (serde_json::json!({ "type": "port" }), SlotArgument::Unsigned(1));
        for value in ["01", "+1", " 1", "0x1", "1{slot}x", "", "18446744073709551616"] {
            let (slot_type, argument) = slot();
            let args = serde_json::json!([{ "type": "t", "value": value }]);
            assert!(built(args, slot_type, argument).is_err(), "{value}");
        }
        let (slot_type, argument) = slot();
        let args = serde_json::json!([{ "type": "t", "value": "18446744073709551615" }]);
        assert_eq!(built(args, slot_type, argument).expect("it fits"), [Argument::Unsigned64(u64::MAX)]);
    }

    #[test]
    fn beside_other_text_stands_only_what_cannot_end_it() {
        let args = serde_json::json!([{ "type": "s", "value": "EXPORT(Export_Id={slot})" }]);
        let found = built(args.clone(), serde_json::json!({ "type": "port" }), SlotArgument::Unsigned(7));
        assert_eq!(found.expect("it fits"), [Argument::Text("EXPORT(Export_Id=7)".to_owned())]);
        let opaque = serde_json::json!({ "type": "opaque", "max": 100 });
        let hostile = SlotArgument::Text("1);EXPORT(Export_Id=2".to_owned());
        assert!(built(args, opaque.clone(), hostile.clone()).is_err());
        let whole = serde_json::json!([{ "type": "s", "value": "{slot}" }]);
        assert!(built(whole.clone(), opaque, hostile).is_ok());
        let secret = SlotArgument::Text("hunter2".to_owned());
        assert!(built(whole, serde_json::json!({ "type": "secret", "of": ["password"] }), secret).is_err());
    }

    #[test]
    fn a_path_reaches_another_process_only_as_text() {
        let slot = |kind: &str| serde_json::json!({ "type": "path", "kind": kind, "root": "pool", "pattern": ["fixed"] });
        let args = serde_json::json!([{ "type": "s", "value": "{slot}" }]);
        let path = SlotArgument::Path("fixed".parse().expect("a path"));
        let refused = built(args, slot("text"), path).expect_err("the root is not bound");
        assert!(refused.message.contains("grant.roots.pool"), "{refused}");
    }

    #[test]
    fn names_are_of_the_alphabets_of_the_protocol() {
        let sound = template(serde_json::json!([]), serde_json::json!({}));
        assert_eq!(check_names(&sound), Ok(()));
        for (key, names) in [
            ("destination", vec!["", ":1.5", "org", "org..x", "org.1x", "org.a b", "org.a\0"]),
            ("path", vec!["", "org", "/org/", "//", "/a-b", "/a\0"]),
            ("interface", vec!["", "org", "org.a-b", "org.1"]),
            ("method", vec!["", "1st", "a.b", "a-b", "a\n"]),
        ] {
            for name in names {
                let mut unsound = sound.clone();
                match key {
                    "destination" => unsound.destination = name.to_owned(),
                    "path" => unsound.path = name.to_owned(),
                    "interface" => unsound.interface = name.to_owned(),
                    _ => unsound.method = name.to_owned(),
                }
                assert!(check_names(&unsound).is_err(), "{key} {name:?}");
            }
        }
    }
}
