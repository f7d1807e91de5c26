//! Slots: each value is checked against its declared type, then printed.

use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::{SlotType, Template};
use super::place::Place;
use crate::access::{AccessLevel, AccessType};
use crate::capability::CapabilityCode;
use crate::resource::Resource;
use crate::slots::{SlotValue, Slots};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who is let in where nobody shall be: in exports(5) a path without clients is open to everybody.
const NOBODY: &str = "0.0.0.0/32(ro)";

/// The printed slots of a template, and the places its path slots name.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) values: BTreeMap<String, String>,
    pub(super) places: BTreeMap<String, (String, Place)>,
}

impl State {
    pub(super) fn fill(&self, name: &str, template: &Template, slots: Slots) -> Answer<Filled> {
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
                (SlotType::AccessRules, None) => self.access_rules()?,
                (SlotType::AccessRules, Some(_)) => {
                    return invalid(format!("slot {slot} is filled by the host with the rules of the call"));
                }
                (_, None) => return invalid(format!("slot {slot} of template {name} is not filled")),
                (SlotType::Path { kind, root, patterns }, Some(SlotValue::Path { pattern, of })) => {
                    let place = self.path_slot(slot, patterns, &pattern, of.as_ref())?;
                    let path = self.slot_path(kind, root, &place)?;
                    filled.places.insert(slot.clone(), (root.clone(), place));
                    path
                }
                (declared, Some(value)) => self.print(slot, declared, value)?,
            };
            filled.values.insert(slot.clone(), text);
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

    fn slot_path(&self, kind: &str, root: &str, place: &Place) -> Answer<String> {
        let path = self.root_directory(root).join(&place.relative);
        match (kind, path.symlink_metadata().is_ok()) {
            ("existing" | "remove", false) => {
                fail(CapabilityCode::NotFound, format!("{} is not there", place.relative))
            }
            ("new", true) => {
                fail(CapabilityCode::AlreadyExists, format!("{} is there already", place.relative))
            }
            _ => Ok(path.display().to_string()),
        }
    }

    fn print(&self, slot: &str, declared: &SlotType, value: SlotValue) -> Answer<String> {
        match (declared, value) {
            (SlotType::Unsigned, SlotValue::Unsigned(number)) => Ok(number.to_string()),
            (SlotType::Signed { min, max }, SlotValue::Signed(number)) if (*min..=*max).contains(&number) => {
                Ok(number.to_string())
            }
            (SlotType::Ip, SlotValue::Text(text)) if text.parse::<IpAddr>().is_ok() => Ok(text),
            (SlotType::Cidr, SlotValue::Text(text)) if is_network(&text) => Ok(text),
            (SlotType::Text { choices, most }, SlotValue::Text(text)) => {
                let is_choice = choices.is_empty() || choices.contains(&text);
                let is_printable = !text.starts_with('-') && !text.chars().any(char::is_control);
                if is_choice && is_printable && !text.is_empty() && text.len() <= *most {
                    Ok(text)
                } else {
                    invalid(format!("slot {slot} may not hold {text:?}"))
                }
            }
            (SlotType::Name, SlotValue::NameOf(resource)) => self.target().name_of(&resource),
            (SlotType::Secret, SlotValue::Secret(name)) => Ok(format!("secret:{name}")),
            (_, value) => invalid(format!("slot {slot} is of another type than {value:?}")),
        }
    }

    /// As exports(5) lists clients. Rules that are no addresses have no place there.
    fn access_rules(&self) -> Answer<String> {
        let Some(rules) = self.target().rules else {
            return invalid("this call carries no access rules");
        };
        let addresses = rules.iter().filter(|rule| rule.access_type == AccessType::Ip);
        let clients: Vec<String> = addresses
            .map(|rule| {
                let level = match rule.access_level {
                    AccessLevel::Rw => "rw",
                    AccessLevel::Ro => "ro",
                };
                format!("{}({level})", rule.access_to)
            })
            .collect();
        Ok(if clients.is_empty() { NOBODY.to_owned() } else { clients.join(" ") })
    }
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
