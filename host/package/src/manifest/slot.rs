//! Slots: their types, and the places they may stand in.

use super::{below, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    AccessRulesStyle, Manifest, OptionType, PathKind, RootUse, SECURITY_SERVICE, SlotType,
};
use bulkhead_model::pattern::{Part, Pattern, Variable, parts};
use bulkhead_model::suggestion::nearest;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// The longest text a guest may put into a slot, in bytes: WIT `slot-value.text`.
const LONGEST_TEXT: u32 = 4096;

/// Where in a template a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An argument of a command, the slot and nothing else.
    WholeArgument,
    /// An argument of a command, beside literal text or another slot.
    PartOfArgument,
    /// The standard input of a command.
    StandardInput,
    /// The text of a file.
    File,
    /// A part of a request.
    Request(RequestPart),
}

/// Where in a request a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestPart {
    /// The path.
    Path,
    /// The query.
    Query,
    /// A header.
    Header,
    /// The body, as JSON.
    Json,
    /// The body, as a form.
    Form,
    /// The body, as XML.
    Xml,
}

/// A text of a template with what is told about it.
pub(super) struct Text<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// Where it stands.
    pub(super) path: Vec<Step>,
    /// What a slot in it stands in.
    pub(super) place: fn(whole: bool) -> Place,
}

/// Check a template's slots against the texts they stand in; `table` is the way to the template.
pub(super) fn check(
    slots: &BTreeMap<Label, SlotType>,
    texts: &[Text<'_>],
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    let mut used = BTreeSet::new();
    for text in texts {
        let found = parts(text.text);
        let whole = found.len() == 1;
        for part in &found {
            let Part::Place(name) = part else { continue };
            match slots.get_key_value(name) {
                None => findings.push(undeclared(name, slots, text.path.clone())),
                Some((name, slot)) => {
                    used.insert(name);
                    if let Some(finding) = misplaced(name, slot, (text.place)(whole), text.path.clone()) {
                        findings.push(finding);
                    }
                }
            }
        }
    }
    for name in slots.keys().filter(|name| !used.contains(name)) {
        let path = below!(table, "slots", name.as_str());
        let finding = Finding::new(path, format!("the slot '{name}' is declared but stands nowhere"));
        findings.push(finding.hint(format!("write {{{name}}} where it shall stand, or take it away")));
    }
}

fn undeclared(name: &Label, slots: &BTreeMap<Label, SlotType>, path: Vec<Step>) -> Finding {
    let finding = Finding::new(path, format!("the slot '{{{name}}}' is not declared"));
    finding.hint(match nearest(name.as_str(), slots.keys().map(Label::as_str)) {
        Some(near) => format!("did you mean '{{{near}}}'?"),
        None => format!("slots.{name} = {{ type = \"…\" }}"),
    })
}

fn misplaced(name: &Label, slot: &SlotType, place: Place, path: Vec<Step>) -> Option<Finding> {
    if let Place::Request(part) = place {
        let message = misplaced_in_request(slot, part)?;
        return Some(Finding::new(path, format!("the slot '{name}' {message}")));
    }
    let in_argument = matches!(place, Place::WholeArgument | Place::PartOfArgument);
    let message = match slot {
        SlotType::Opaque { .. } if place != Place::WholeArgument => {
            "is opaque: it may stand only as a whole argument"
        }
        SlotType::Secret { .. } if in_argument => {
            "is a secret: it may stand only in standard input or a file, never in an argument"
        }
        SlotType::AccessRules { .. } if place != Place::File => {
            "is a list of access rules: it may stand only in a file"
        }
        SlotType::Path { kind, .. } if kind.changes_its_name() && !in_argument => {
            "is a path that the program makes or removes: it may stand only in an argument"
        }
        SlotType::Path { kind: PathKind::Existing, .. } if place == Place::File => {
            "is an open descriptor, which means nothing to whoever reads the file: use kind = \"text\""
        }
        _ => return None,
    };
    Some(Finding::new(path, format!("the slot '{name}' {message}")))
}

fn misplaced_in_request(slot: &SlotType, part: RequestPart) -> Option<&'static str> {
    match (slot, part) {
        (SlotType::Path { .. }, _) => {
            Some("is a path of this machine, which means nothing to a backend: use type = \"name\"")
        }
        (SlotType::AccessRules { style: AccessRulesStyle::Json, .. }, RequestPart::Json) => None,
        (SlotType::AccessRules { .. }, _) => {
            Some("is a list of access rules: in a request it stands only in a JSON body, in the style 'json'")
        }
        (SlotType::Secret { .. }, RequestPart::Path | RequestPart::Query) => Some(
            "is a secret: it may stand only in a header or the body, because servers write down where requests go",
        ),
        (SlotType::Opaque { .. }, RequestPart::Header) => {
            Some("is opaque: it may stand in the path, the query or the body of a request, not in a header")
        }
        _ => None,
    }
}

/// Check the types themselves.
pub(super) fn types(
    manifest: &Manifest,
    slots: &BTreeMap<Label, SlotType>,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    for (name, slot) in slots {
        let path = below!(table, "slots", name.as_str());
        match slot {
            SlotType::Integer { min, max } if min > max => {
                findings.push(Finding::new(path, format!("min {min} is more than max {max}")));
            }
            SlotType::Opaque { max } if !(1..=LONGEST_TEXT).contains(max) => {
                findings.push(Finding::new(path, format!("max is from 1 to {LONGEST_TEXT} bytes")));
            }
            SlotType::Enum { values } => words(values, path, findings),
            SlotType::Secret { of } => secrets(manifest, of, below!(path.as_slice(), "of"), findings),
            SlotType::Path { root, pattern, .. } => {
                unknown_root(manifest, root, below!(path.as_slice(), "root"), findings);
                patterns(manifest, root, pattern, below!(path.as_slice(), "pattern"), findings);
            }
            _ => {}
        }
    }
}

/// What a secret is for stands where it goes: a slot takes the secrets that it names, and no other.
fn secrets(manifest: &Manifest, of: &[String], path: Vec<Step>, findings: &mut Vec<Finding>) {
    let options = manifest.options.iter().filter(|option| option.option_type == OptionType::Secret);
    let purposes = manifest.secrets.iter().map(|purpose| purpose.name.as_str());
    let known: Vec<&str> =
        options.map(|option| option.name.as_str()).chain(purposes).chain([SECURITY_SERVICE]).collect();
    if of.is_empty() {
        let finding = Finding::new(path.clone(), "the slot does not say which secrets it takes");
        findings.push(finding.hint("name options of type secret, for example of = [\"password\"]"));
    }
    for (number, name) in of.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
        let finding = Finding::new(
            below!(path.as_slice(), number),
            format!("'{name}' is neither an option of type secret nor a purpose"),
        );
        findings.push(match nearest(name, known.iter().copied()) {
            Some(near) => finding.hint(format!("did you mean '{near}'?")),
            None => {
                finding.hint(format!("declare [[option]] name = \"{name}\" type = \"secret\", or [[secret]]"))
            }
        });
    }
}

fn words(values: &[String], path: Vec<Step>, findings: &mut Vec<Finding>) {
    if values.is_empty() {
        findings.push(Finding::new(path.clone(), "an enum needs at least one value"));
    }
    let mut seen = BTreeSet::new();
    for (number, value) in values.iter().enumerate() {
        let sound = !value.is_empty()
            && !value.starts_with('-')
            && value.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        let path = || below!(path.as_slice(), "values", number);
        if !sound {
            let message =
                format!("'{value}' may hold only letters, digits, '-', '_', '.', and not begin with '-'");
            findings.push(Finding::new(path(), message));
        }
        if !seen.insert(value) {
            findings.push(Finding::new(path(), format!("'{value}' is listed twice")));
        }
    }
}

/// Check the patterns of a path slot or a bind.
pub(super) fn patterns(
    manifest: &Manifest,
    root: &Label,
    list: &[Pattern],
    path: Vec<Step>,
    findings: &mut Vec<Finding>,
) {
    if manifest.root(root).is_some_and(|root| root.root_use == RootUse::Kernel) {
        let message = format!("the root '{root}' is the kernel's: only files.read-kernel reaches into it");
        findings.push(Finding::new(path.clone(), message).hint("list the pattern in the root's `paths`"));
    }
    if list.is_empty() {
        findings.push(
            Finding::new(path.clone(), "a path needs at least one pattern").hint("pattern = [\"{share}\"]"),
        );
    }
    let mut seen = BTreeSet::new();
    for (number, pattern) in list.iter().enumerate() {
        let path = || below!(path.as_slice(), number);
        if !seen.insert(pattern.as_str()) {
            findings.push(Finding::new(path(), format!("'{pattern}' is listed twice")));
        }
        if pattern.variables().any(|variable| variable == Variable::Number) {
            let message =
                format!("'{pattern}' has a number, which stands only in the `paths` of a kernel root");
            findings.push(Finding::new(path(), message));
        }
    }
}

/// A root that is not declared.
pub(super) fn unknown_root(manifest: &Manifest, root: &Label, path: Vec<Step>, findings: &mut Vec<Finding>) {
    if manifest.root(root).is_some() {
        return;
    }
    let finding = Finding::new(path, format!("no [[root]] is named '{root}'"));
    let near = nearest(root.as_str(), manifest.roots.iter().map(|root| root.name.as_str()));
    findings.push(match near {
        Some(near) => finding.hint(format!("did you mean '{near}'?")),
        None => finding.hint(format!(
            "[[root]]\n        name = \"{root}\"\n        use = \"…\"\n        reason = \"…\""
        )),
    });
}

/// Keys of slots that their type does not have. Serde passes over them where a type has no key of its own, and has no line for them
/// where it has.
pub(super) fn stray_keys(tree: &DeValue<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in ["execute", "file", "service", "dbus", "request"] {
        let templates = tree.get(table).and_then(|value| value.get_ref().as_array());
        for (place, template) in templates.into_iter().flatten().enumerate() {
            let slots = template.get_ref().get("slots").and_then(|slots| slots.get_ref().as_table());
            for (name, slot) in slots.into_iter().flatten() {
                let path = steps!(table, place, "slots", name.get_ref().as_ref());
                stray_keys_of(slot.get_ref(), &path, &mut findings);
            }
        }
    }
    findings
}

fn stray_keys_of(slot: &DeValue<'_>, path: &[Step], findings: &mut Vec<Finding>) {
    let Some(kind) = slot.get("type").and_then(|kind| kind.get_ref().as_str()) else { return };
    let known: &[&str] = match kind {
        "integer" => &["type", "min", "max"],
        "enum" => &["type", "values"],
        "path" => &["type", "kind", "root", "pattern"],
        "access-rules" => &["type", "of", "style"],
        "opaque" => &["type", "max"],
        "secret" => &["type", "of"],
        _ => &["type"],
    };
    for (key, _) in slot.as_table().into_iter().flatten() {
        let key = key.get_ref().as_ref();
        if known.contains(&key) {
            continue;
        }
        let path = below!(path, key);
        let finding = Finding::new(path, format!("unknown key for a slot of type '{kind}'"));
        findings.push(match nearest(key, known.iter().copied()) {
            Some(near) => finding.hint(format!("did you mean '{near}'?")),
            None => finding.hint(format!("it has {}", known.join(", "))),
        });
    }
}
