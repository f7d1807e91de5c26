//! Slots: what a guest puts into a template, checked against the type the manifest declares. Used by `files` and `execute`.
//!
//! What comes out, a [`Filled`], is a value of its type and nothing else; how it is written at its place is `encode`'s business.

use crate::call::Call;
use crate::resolve::{PathSlot, ResolvedPath};
use crate::secret::{Secret, no_text};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{PathKind, SlotType};
use bulkhead_model::target::Resource;
use bulkhead_model::text::{GuestText, is_harmless};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use uuid::Uuid;

/// The longest text a guest may put into a slot, in bytes.
pub const LONGEST_TEXT: usize = 4096;
/// The longest word that names a pattern, a slot or a template, in an error's text, in bytes.
const SHOWN: usize = 64;

/// A choice among the patterns that a path slot declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChoice {
    /// One of the declared patterns, letter by letter.
    pub pattern: String,
    /// Whose names fill it; none: the call's subject.
    pub of: Option<Resource>,
}

/// A path below a root, for the `files` interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// A `[[root]]` of the manifest.
    pub root: String,
    /// One of the patterns in its `paths`, letter by letter.
    pub pattern: String,
    /// Whose names fill it; none: the call's subject.
    pub of: Option<Resource>,
}

/// What a guest puts into a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotValue {
    /// For `bytes`, `gib` and `port`.
    Unsigned(u64),
    /// For `integer`.
    Signed(i64),
    /// For `enum`, `ip`, `cidr`, `uuid` and `opaque`; at most [`LONGEST_TEXT`] bytes.
    Text(String),
    /// For `path`.
    Path(PathChoice),
    /// For `name`.
    NameOf(Resource),
    /// For `secret`: its name.
    Secret(String),
}

/// A slot of a template, as the guest filled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The slot's name in the manifest.
    pub name: String,
    /// Its value.
    pub value: SlotValue,
}

/// A slot's value that is of its type.
#[derive(Debug, Clone)]
pub enum Filled {
    /// A number of bytes or GiB, or a port.
    Unsigned(u64),
    /// A whole number inside its range.
    Signed(i64),
    /// One of the declared words.
    Word(String),
    /// An IP address.
    Ip(IpAddr),
    /// An IP network without host bits.
    Cidr(IpNet),
    /// A UUID.
    Uuid(Uuid),
    /// The derived name of a resource of the target.
    Name(String),
    /// A path of the target.
    Path {
        /// How it reaches the program.
        kind: PathKind,
        /// Where it is.
        at: ResolvedPath,
    },
    /// The clients of an access list, written in the slot's style.
    AccessRules(String),
    /// Printable free text that does not begin with `-`.
    Opaque(String),
    /// A secret, and the reference that the guest has.
    Secret {
        /// The reference.
        reference: String,
        /// The secret.
        secret: Secret,
    },
}

/// Check the slots of a template: each declared slot filled once, none beside them, each value of its type.
///
/// `access-rules` slots are filled by the host from the rules this call carries. Fails with `invalid-argument` or `denied`.
pub fn fill(
    call: &Call,
    declared: &BTreeMap<Label, SlotType>,
    given: &[Slot],
) -> Result<BTreeMap<Label, Filled>, CapabilityError> {
    let mut values = BTreeMap::new();
    for slot in given {
        let shown = GuestText::new(&slot.name, SHOWN);
        let Some((label, slot_type)) = declared.iter().find(|(label, _)| label.as_str() == slot.name) else {
            let known: Vec<&str> = declared.keys().map(Label::as_str).collect();
            return Err(invalid(format!(
                "the template has no slot '{shown}'; it has: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        if matches!(slot_type, SlotType::AccessRules { .. }) {
            return Err(invalid(format!("slot '{shown}' is filled by the host; leave it out")));
        }
        let value = check(call, label, slot_type, &slot.value)?;
        if values.insert(label.clone(), value).is_some() {
            return Err(invalid(format!("slot '{shown}' is filled twice")));
        }
    }
    for (label, slot_type) in declared {
        if let SlotType::AccessRules { style, .. } = slot_type {
            let rules = call.target().access_rules.as_deref().ok_or_else(|| {
                invalid(format!(
                    "slot '{label}' takes the rules of the call, and this call carries no access rules"
                ))
            })?;
            let clients = crate::encode::access_rules(*style, rules);
            values.insert(label.clone(), Filled::AccessRules(clients));
        } else if !values.contains_key(label) {
            return Err(invalid(format!("slot '{label}' is not filled")));
        }
    }
    Ok(values)
}

/// The one resource that the slots name; none if they leave it to the call's subject.
///
/// A template is about one resource: slots that name several fail with `invalid-argument`, so that one share's file never carries
/// another share's path.
pub fn resource_of(given: &[Slot]) -> Result<Option<Resource>, CapabilityError> {
    let mut found = None;
    for slot in given {
        let named = match &slot.value {
            SlotValue::Path(choice) => choice.of,
            SlotValue::NameOf(resource) => Some(*resource),
            _ => None,
        };
        match (found, named) {
            (Some(first), Some(other)) if first != other => {
                return Err(invalid(format!(
                    "the slots name both {first} and {other}; a file is about one resource"
                )));
            }
            (_, Some(_)) => found = named,
            (_, None) => {}
        }
    }
    Ok(found)
}

/// The same slots, all of them of the one resource that some name: what is left to the call's subject beside another resource's name
/// would bring one share's path into another share's file.
///
/// Fails as [`resource_of`] does.
pub fn of_one_resource(given: &[Slot]) -> Result<Vec<Slot>, CapabilityError> {
    let of = resource_of(given)?;
    let named = |slot: &Slot| match &slot.value {
        SlotValue::Path(choice) => {
            let choice = PathChoice { pattern: choice.pattern.clone(), of };
            Slot { name: slot.name.clone(), value: SlotValue::Path(choice) }
        }
        _ => slot.clone(),
    };
    Ok(given.iter().map(named).collect())
}

/// Check one value against its type.
fn check(
    call: &Call,
    label: &Label,
    slot_type: &SlotType,
    value: &SlotValue,
) -> Result<Filled, CapabilityError> {
    match (slot_type, value) {
        (SlotType::Bytes | SlotType::Gib, SlotValue::Unsigned(number)) => Ok(Filled::Unsigned(*number)),
        (SlotType::Port, SlotValue::Unsigned(port)) if (1..=65_535).contains(port) => {
            Ok(Filled::Unsigned(*port))
        }
        (SlotType::Port, SlotValue::Unsigned(port)) => {
            Err(invalid(format!("slot '{label}' is a port from 1 to 65535, not {port}")))
        }
        (SlotType::Integer { min, max }, SlotValue::Signed(number)) if (min..=max).contains(&number) => {
            Ok(Filled::Signed(*number))
        }
        (SlotType::Integer { min, max }, SlotValue::Signed(number)) => {
            Err(invalid(format!("slot '{label}' is a number from {min} to {max}, not {number}")))
        }
        (SlotType::Name, SlotValue::NameOf(resource)) => {
            call.names(Some(*resource))?;
            Ok(Filled::Name(resource.to_string()))
        }
        (SlotType::Path { kind, root, pattern }, SlotValue::Path(choice)) => {
            let at = call.resolve_slot(&PathSlot { label, kind: *kind, root, patterns: pattern }, choice)?;
            Ok(Filled::Path { kind: *kind, at })
        }
        (SlotType::Secret { of }, SlotValue::Secret(reference)) => secret(call, (label, of), reference),
        (_, SlotValue::Text(text)) => check_text(label, slot_type, text),
        (wanted, _) => Err(invalid(format!("slot '{label}' is of type {}", type_name(wanted)))),
    }
}

/// A secret goes only where its template names what it is for.
fn secret(call: &Call, (label, of): (&Label, &[String]), reference: &str) -> Result<Filled, CapabilityError> {
    let held = call.secrets().at_hand(reference)?.ok_or_else(|| no_text(reference))?;
    if held.purpose.is_one_of(of) {
        return Ok(Filled::Secret { reference: reference.to_owned(), secret: held.secret });
    }
    Err(CapabilityError::denied(
        format!("a secret of {} in slot '{label}'", held.purpose),
        format!("its name among slots.{label}.of in the driver's manifest"),
    ))
}

/// Check a text against its type.
pub(crate) fn check_text(label: &Label, slot_type: &SlotType, text: &str) -> Result<Filled, CapabilityError> {
    if text.len() > LONGEST_TEXT {
        return Err(invalid(format!(
            "slot '{label}' holds at most {LONGEST_TEXT} bytes, not {}",
            text.len()
        )));
    }
    let wrong = || {
        invalid(format!(
            "slot '{label}' is of type {}, and '{}' is not one",
            type_name(slot_type),
            GuestText::new(text, SHOWN)
        ))
    };
    match slot_type {
        SlotType::Enum { values } if values.iter().any(|value| value == text) => {
            Ok(Filled::Word(text.to_owned()))
        }
        SlotType::Enum { values } => Err(invalid(format!(
            "slot '{label}' is one of {}, not '{}'",
            values.join(", "),
            GuestText::new(text, SHOWN)
        ))),
        SlotType::Ip => text.parse().map(Filled::Ip).map_err(|_| wrong()),
        SlotType::Cidr => {
            let network: IpNet = text.parse().map_err(|_| wrong())?;
            if network.trunc() == network { Ok(Filled::Cidr(network)) } else { Err(wrong()) }
        }
        SlotType::Uuid if text.len() == 36 => Uuid::try_parse(text).map(Filled::Uuid).map_err(|_| wrong()),
        SlotType::Opaque { max } => {
            let fits = u32::try_from(text.len()).is_ok_and(|length| length <= *max);
            let printable = !text.is_empty() && text.chars().all(is_harmless);
            if !fits {
                Err(invalid(format!("slot '{label}' holds at most {max} bytes, not {}", text.len())))
            } else if !printable || text.starts_with('-') {
                Err(invalid(format!("slot '{label}' is printable text that does not begin with '-'")))
            } else {
                Ok(Filled::Opaque(text.to_owned()))
            }
        }
        _ => Err(wrong()),
    }
}

/// A slot type, as the manifest spells it.
const fn type_name(slot_type: &SlotType) -> &'static str {
    match slot_type {
        SlotType::Bytes => "bytes",
        SlotType::Gib => "gib",
        SlotType::Integer { .. } => "integer",
        SlotType::Enum { .. } => "enum",
        SlotType::Ip => "ip",
        SlotType::Cidr => "cidr",
        SlotType::Port => "port",
        SlotType::Uuid => "uuid",
        SlotType::Name => "name",
        SlotType::Path { .. } => "path",
        SlotType::AccessRules { .. } => "access-rules",
        SlotType::Opaque { .. } => "opaque",
        SlotType::Secret { .. } => "secret",
    }
}

fn invalid(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::InvalidArgument, message)
}
