//! `[[dbus]]`.

use super::service::undeclared;
use super::slot::{self, Place, Text};
use super::{below, plain_text, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::manifest::{DbusArgument, DbusTemplate, DbusType, Manifest, PathKind, SlotType};
use bulkhead_model::pattern::{Part, parts};

/// The longest answer time, in seconds.
const LONGEST_TIMEOUT: u64 = 600;
/// The most arguments of a call.
const MOST_ARGUMENTS: usize = 32;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, template) in manifest.dbus_calls.iter().enumerate() {
        let table = steps!("dbus", place);
        reason(&template.reason, below!(table.as_slice(), "reason"), findings);
        group(manifest, template, &table, findings);
        names(template, &table, findings);
        if template.args.len() > MOST_ARGUMENTS {
            let message = format!("a call has at most {MOST_ARGUMENTS} arguments");
            findings.push(Finding::new(below!(table.as_slice(), "args"), message));
        }
        for (number, argument) in template.args.iter().enumerate() {
            self::argument(template, argument, &below!(table.as_slice(), "args", number), findings);
        }
        let texts: Vec<Text<'_>> = template
            .args
            .iter()
            .enumerate()
            .map(|(number, argument)| Text {
                text: &argument.value,
                path: below!(table.as_slice(), "args", number, "value"),
                // The service takes a text apart by rules of its own: whatever stands in it has an alphabet.
                place: |_| Place::PartOfArgument,
            })
            .collect();
        slot::check(&template.slots, &texts, &table, findings);
        slot::types(manifest, &template.slots, &table, findings);
        paths(template, &table, findings);
        if !(1..=LONGEST_TIMEOUT).contains(&template.timeout) {
            let message = format!("a timeout is from 1 to {LONGEST_TIMEOUT} seconds");
            findings.push(Finding::new(below!(table.as_slice(), "timeout"), message));
        }
    }
}

fn group(manifest: &Manifest, template: &DbusTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let path = below!(table, "group");
    match manifest.group(template.group.as_str()) {
        None => {
            let groups = manifest.groups.iter().map(|group| group.name.as_str());
            findings.push(undeclared("[[group]]", &template.group, groups, path));
        }
        Some(group) if group.bus.is_none() => {
            let finding = Finding::new(path, format!("the group '{}' has no bus", group.name));
            findings.push(finding.hint("bus = \"/run/dbus/system_bus_socket\" in its [[group]]"));
        }
        Some(_) => {}
    }
}

fn names(template: &DbusTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let wanted = [
        (
            "destination",
            &template.destination,
            is_bus_name(&template.destination),
            "a name on a bus: \"org.example.server\"",
        ),
        ("path", &template.path, is_object_path(&template.path), "an object: \"/org/example/server\""),
        (
            "interface",
            &template.interface,
            is_bus_name(&template.interface),
            "an interface: \"org.example.server\"",
        ),
        ("method", &template.method, is_member(&template.method), "a method: letters, digits and '_'"),
    ];
    for (key, text, sound, hint) in wanted {
        if !sound {
            findings
                .push(Finding::new(below!(table, key), format!("'{text}' is not allowed here")).hint(hint));
        }
    }
    if template.destination.starts_with("org.freedesktop.DBus") {
        let message = "the bus itself is the host's: a driver does not steer it";
        findings.push(Finding::new(below!(table, "destination"), message));
    }
}

fn argument(template: &DbusTemplate, argument: &DbusArgument, path: &[Step], findings: &mut Vec<Finding>) {
    plain_text(&argument.value, below!(path, "value"), findings);
    if argument.argument_type == DbusType::Text {
        return;
    }
    let found = parts(&argument.value);
    let sound = match (argument.argument_type, found.as_slice()) {
        (DbusType::Boolean, [Part::Literal(text)]) => matches!(text.as_str(), "true" | "false"),
        (DbusType::Boolean, _) => false,
        (_, [Part::Literal(text)]) => text.parse::<i64>().is_ok(),
        (_, [Part::Place(name)]) => template.slots.get(name).is_none_or(is_number),
        _ => false,
    };
    if !sound {
        let finding =
            Finding::new(below!(path, "value"), format!("'{}' is not of this type", argument.value));
        findings.push(
            finding.hint("a number is digits or one slot of a number's type; a boolean is true or false"),
        );
    }
}

const fn is_number(slot: &SlotType) -> bool {
    matches!(slot, SlotType::Bytes | SlotType::Gib | SlotType::Integer { .. } | SlotType::Port)
}

/// Whoever is called resolves a path by itself.
fn paths(template: &DbusTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    for (name, slot) in &template.slots {
        if matches!(slot, SlotType::Path { kind, .. } if *kind != PathKind::Text) {
            let path = below!(table, "slots", name.as_str(), "kind");
            let finding = Finding::new(path, format!("the slot '{name}' is read by another process"));
            findings.push(finding.hint("kind = \"text\""));
        }
    }
}

fn is_member(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A well-known name or an interface: at least two members joined by dots.
pub(super) fn is_bus_name(text: &str) -> bool {
    text.len() <= 255 && text.contains('.') && text.split('.').all(is_member)
}

fn is_object_path(text: &str) -> bool {
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_element))
}

fn is_element(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
