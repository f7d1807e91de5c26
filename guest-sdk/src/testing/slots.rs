//! Slots: each value is checked against its declared type, then printed.

use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::{AccessRulesStyle, FileFormat, SlotType, Template};
use super::place::Place;
use crate::access::{AccessLevel, AccessRule, AccessType};
use crate::capability::CapabilityCode;
use crate::resource::Resource;
use crate::slots::{SlotValue, Slots};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Who is let in where nobody shall be: in exports(5) a path without clients is open to everybody.
const NOBODY: &str = "0.0.0.0/32(ro)";

/// The printed slots of a template, and the places its path slots name.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) values: BTreeMap<String, Printed>,
    pub(super) places: BTreeMap<String, (String, Place)>,
    pub(super) paths: BTreeMap<String, PathBuf>,
}

/// A value as it stands in words and lines, and what it is to a format that quotes.
#[derive(Debug)]
pub(super) struct Printed {
    pub(super) text: String,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A number, a word, an address.
    Plain,
    /// A path, a name, an id.
    Text,
    /// Access rules.
    Rules,
    /// What no file takes.
    Free,
}

/// Whether path slots must hold what their kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The template is about to run.
    AtPaths,
    /// It ran already: its paths may have changed with it.
    Nowhere,
}

impl Printed {
    /// The name of a resource.
    pub(super) const fn name(text: String) -> Self {
        Self { text, form: Form::Text }
    }

    /// As it stands in a file, behind the text `before`. What its format has no place for is refused.
    pub(super) fn in_file(&self, slot: &str, format: FileFormat, before: &str) -> Answer<String> {
        let in_quotes = before.matches('"').count() % 2 == 1;
        match (format, self.form) {
            (_, Form::Free) => invalid(format!("slot {slot} is of a type that cannot stand in a file")),
            (FileFormat::Json, Form::Text | Form::Rules) => Ok(format!("\"{}\"", self.text)),
            (FileFormat::Ganesha, Form::Rules) if in_quotes => {
                invalid(format!("slot {slot} is of a type that cannot stand in quotes"))
            }
            (FileFormat::Ganesha, Form::Text) if !in_quotes => Ok(format!("\"{}\"", self.text)),
            _ => Ok(self.text.clone()),
        }
    }
}

impl State {
    pub(super) fn fill(&self, name: &str, template: &Template, slots: Slots) -> Answer<Filled> {
        self.fill_looking(Look::AtPaths, name, template, slots)
    }

    pub(super) fn fill_looking(
        &self,
        look: Look,
        name: &str,
        template: &Template,
        slots: Slots,
    ) -> Answer<Filled> {
        let mut given: BTreeMap<String, SlotValue> = BTreeMap::new();
        for (slot, value) in slots.into_values() {
            if !template.slots.contains_key(&slot) {
                return invalid(format!("template {name} has no slot {slot}"));
            }
            if given.insert(slot.clone(), value).is_some() {
                return invalid(format!("slot {slot} of template {name} is filled twice"));
            }
        }
        let mut filled = Filled::default();
        for (slot, slot_type) in &template.slots {
            let text = match (slot_type, given.remove(slot)) {
                (SlotType::AccessRules { style }, None) => self.access_rules(*style)?,
                (SlotType::AccessRules { .. }, Some(_)) => {
                    return invalid(format!("slot {slot} is filled by the host with the rules of the call"));
                }
                (_, None) => return invalid(format!("slot {slot} of template {name} is not filled")),
                (SlotType::Path { kind, root, patterns }, Some(SlotValue::Path { pattern, of })) => {
                    let place = self.path_slot(slot, patterns, &pattern, of.as_ref())?;
                    self.check_nobodys(root, &place)?;
                    let full = self.root_directory(root).join(&place.relative);
                    let text = slot_path(kind, &full, &place, look)?;
                    filled.places.insert(slot.clone(), (root.clone(), place));
                    filled.paths.insert(slot.clone(), full);
                    text
                }
                (declared, Some(value)) => self.print(slot, declared, value)?,
            };
            filled.values.insert(slot.clone(), Printed { text, form: slot_type.into() });
        }
        Ok(filled)
    }

    fn path_slot(
        &self,
        slot: &str,
        patterns: &[String],
        pattern: &str,
        of: Option<&Resource>,
    ) -> Answer<Place> {
        if !patterns.iter().any(|declared| declared == pattern) {
            return deny(
                &format!("slot {slot} does not declare '{pattern}'"),
                &format!("slots.{slot} = {{ pattern = [\"{pattern}\"], … }}"),
            );
        }
        self.target().place(pattern, of)
    }

    fn print(&self, slot: &str, declared: &SlotType, value: SlotValue) -> Answer<String> {
        match (declared, value) {
            (SlotType::Unsigned, SlotValue::Unsigned(number)) => Ok(number.to_string()),
            (SlotType::Port, SlotValue::Unsigned(port)) if (1..=65_535).contains(&port) => {
                Ok(port.to_string())
            }
            (SlotType::Signed { min, max }, SlotValue::Signed(number)) if (*min..=*max).contains(&number) => {
                Ok(number.to_string())
            }
            (SlotType::Ip, SlotValue::Text(text)) if text.parse::<IpAddr>().is_ok() => Ok(text),
            (SlotType::Cidr, SlotValue::Text(text)) if is_network(&text) => Ok(text),
            (SlotType::Word { choices }, SlotValue::Text(text)) if choices.contains(&text) => Ok(text),
            (SlotType::Uuid, SlotValue::Text(text)) if is_uuid(&text) => Ok(text.to_lowercase()),
            (SlotType::Opaque { most }, SlotValue::Text(text)) => {
                let is_printable = !text.starts_with('-') && !text.chars().any(char::is_control);
                if is_printable && !text.is_empty() && text.len() <= *most {
                    Ok(text)
                } else {
                    invalid(format!("slot {slot} may not hold {text:?}"))
                }
            }
            (SlotType::Name, SlotValue::NameOf(resource)) => self.target().name_of(&resource),
            (SlotType::Secret { of }, SlotValue::Secret(name)) => self.secret_for_slot(slot, of, &name),
            (_, value) => invalid(format!("slot {slot} is of another type than {value:?}")),
        }
    }

    /// As exports(5) or NFS-Ganesha list clients. Rules that are no addresses have no place there.
    fn access_rules(&self, style: AccessRulesStyle) -> Answer<String> {
        let Some(rules) = self.target().rules else {
            return invalid("this call carries no access rules");
        };
        let addresses = rules.iter().filter(|rule| rule.access_type == AccessType::Ip);
        let clients = addresses.map(|rule| (rule.access_to.as_str(), rule.access_level));
        Ok(match style {
            AccessRulesStyle::Exports5 => exports5(clients),
            AccessRulesStyle::Ganesha => ganesha(clients),
            AccessRulesStyle::Json => json(&rules),
        })
    }
}

impl From<&SlotType> for Form {
    fn from(slot_type: &SlotType) -> Self {
        match slot_type {
            SlotType::Path { .. } | SlotType::Name | SlotType::Uuid => Self::Text,
            SlotType::AccessRules { .. } => Self::Rules,
            SlotType::Opaque { .. } | SlotType::Secret { .. } => Self::Free,
            SlotType::Unsigned
            | SlotType::Port
            | SlotType::Signed { .. }
            | SlotType::Word { .. }
            | SlotType::Ip
            | SlotType::Cidr => Self::Plain,
        }
    }
}

/// What a path slot brings: the path, or the directory in which the program makes the name by itself.
fn slot_path(kind: &str, full: &std::path::Path, place: &Place, look: Look) -> Answer<String> {
    match (kind, full.symlink_metadata().is_ok()) {
        ("existing" | "remove", false) if look == Look::AtPaths => {
            fail(CapabilityCode::NotFound, format!("{} is not there", place.relative))
        }
        ("new" | "new-inside", true) if look == Look::AtPaths => {
            fail(CapabilityCode::AlreadyExists, format!("{} is there already", place.relative))
        }
        ("new-inside", _) => Ok(full.parent().unwrap_or(full).display().to_string()),
        _ => Ok(full.display().to_string()),
    }
}

fn exports5<'a>(clients: impl Iterator<Item = (&'a str, AccessLevel)>) -> String {
    let client = |(address, level)| {
        let level = match level {
            AccessLevel::Rw => "rw",
            AccessLevel::Ro => "ro",
        };
        format!("{address}({level})")
    };
    let clients: Vec<String> = clients.map(client).collect();
    if clients.is_empty() { NOBODY.to_owned() } else { clients.join(" ") }
}

/// Every rule, as an object of an array.
fn json(rules: &[AccessRule]) -> String {
    let rule = |rule: &AccessRule| {
        let kind = match rule.access_type {
            AccessType::Ip => "ip",
            AccessType::User => "user",
            AccessType::Cert => "cert",
            AccessType::Cephx => "cephx",
        };
        let level = match rule.access_level {
            AccessLevel::Rw => "rw",
            AccessLevel::Ro => "ro",
        };
        format!(r#"{{"type":"{kind}","to":{},"level":"{level}"}}"#, json_text(&rule.access_to))
    };
    format!("[{}]", rules.iter().map(rule).collect::<Vec<_>>().join(","))
}

/// A text as JSON writes it.
pub(super) fn json_text(text: &str) -> String {
    let mut written = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            control if control.is_control() => written.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => written.push(plain),
        }
    }
    written.push('"');
    written
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.chars().all(|digit| digit.is_ascii_hexdigit()))
}

/// One block a client, the longest prefix first: the server takes the first that fits. A network that it cannot read is left out.
fn ganesha<'a>(clients: impl Iterator<Item = (&'a str, AccessLevel)>) -> String {
    let network = |(text, level): (&str, AccessLevel)| {
        let (address, length) = text.split_once('/').map_or((text, None), |(to, length)| (to, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        Some((Reverse(length.map_or(Some(longest), |length| length.parse().ok())?), address, level))
    };
    let mut networks: Vec<(Reverse<u8>, IpAddr, AccessLevel)> = clients.filter_map(network).collect();
    networks.sort_by_key(|(length, address, _)| (*length, *address));
    let block = |(Reverse(length), address, level): (Reverse<u8>, IpAddr, AccessLevel)| {
        let access = match level {
            AccessLevel::Rw => "RW",
            AccessLevel::Ro => "RO",
        };
        let clients = match (length, address) {
            (32, IpAddr::V4(address)) => address.to_string(),
            (128, IpAddr::V6(address)) => address.to_string(),
            (0, IpAddr::V4(_)) => "0.0.0.0/1, 128.0.0.0/1".to_owned(),
            (0, IpAddr::V6(_)) => "::/1, 8000::/1".to_owned(),
            (1..=99, address) => format!("{address}/{length}"),
            _ => return None,
        };
        Some(format!("CLIENT {{ Clients = {clients}; Access_Type = {access}; Protocols = 3, 4; }}"))
    };
    networks.into_iter().filter_map(block).collect::<Vec<_>>().join(" ")
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}
