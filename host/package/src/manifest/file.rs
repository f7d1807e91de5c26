//! `[[file]]`.

use super::slot::{self, Place, Text};
use super::{below, plain_text, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::manifest::{AccessRulesStyle, FileFormat, FileTemplate, Manifest, RootUse, SlotType};
use bulkhead_model::pattern::{Part, parts};

/// The longest text of a template, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// Stands for a slot while a JSON template is checked: it is a value, is no key, and ends any string it is put into.
const JSON_STAND_IN: &str = "[\"\"]";

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, template) in manifest.files.iter().enumerate() {
        let table = steps!("file", place);
        let at = |key: &str| below!(table.as_slice(), key);
        if template.path.is_backend_wide() {
            reason(&template.reason, at("reason"), findings);
        } else {
            plain_text(&template.reason, at("reason"), findings);
        }
        if template.path.is_source() {
            let message =
                format!("'{}' names what a new share is made from, which may only be read", template.path);
            findings.push(Finding::new(at("path"), message));
        }
        slot::unknown_root(manifest, &template.root, at("root"), findings);
        root_use(manifest, template, at("root"), findings);
        if template.path.is_managed() {
            let message = format!("'{}' names what nobody owns yet", template.path);
            findings.push(Finding::new(at("path"), message).hint("use {share} or {snapshot}"));
        }
        let text = Text { text: &template.text, path: at("text"), place: |_| Place::File };
        slot::check(&template.slots, &[text], &table, findings);
        slot::types(manifest, &template.slots, &table, findings);
        text_of(template, at("text"), findings);
        secrets(manifest, template, &table, findings);
    }
}

fn root_use(manifest: &Manifest, template: &FileTemplate, path: Vec<Step>, findings: &mut Vec<Finding>) {
    let message = match manifest.root(&template.root).map(|root| root.root_use) {
        Some(RootUse::Data) => {
            format!("the root '{}' holds tenants' data: a tenant could replace the file", template.root)
        }
        Some(RootUse::Kernel) => {
            format!("the root '{}' is the kernel's: nothing is written there", template.root)
        }
        Some(RootUse::Config | RootUse::State) | None => return,
    };
    findings.push(Finding::new(path, message).hint("use a root with use = \"config\" or use = \"state\""));
}

fn text_of(template: &FileTemplate, path: Vec<Step>, findings: &mut Vec<Finding>) {
    if template.text.len() > LONGEST_TEXT {
        findings
            .push(Finding::new(path.clone(), format!("a template's text has at most {LONGEST_TEXT} bytes")));
    }
    let harmless = |letter: char| matches!(letter, '\n' | '\t') || bulkhead_model::text::is_harmless(letter);
    if !template.text.chars().all(harmless) {
        let message =
            "control characters other than line ends and tabs, and direction marks, are not allowed here";
        findings.push(Finding::new(path.clone(), message));
    }
    styles(template, &path, findings);
    if template.format != FileFormat::Json {
        return;
    }
    let filled: String = parts(&template.text)
        .into_iter()
        .map(|part| match part {
            Part::Literal(text) => text,
            Part::Place(_) => JSON_STAND_IN.to_owned(),
        })
        .collect();
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&filled) {
        findings.push(
            Finding::new(path, format!("with values in its slots this is no JSON: {error}"))
                .hint("a slot stands where a value stands, without quotes around it"),
        );
    }
}

/// Which access rules, and which types at all, a format has a spelling for.
fn styles(template: &FileTemplate, path: &[Step], findings: &mut Vec<Finding>) {
    for (name, slot) in &template.slots {
        let message = match (template.format, slot) {
            (FileFormat::Lines, SlotType::AccessRules { style: AccessRulesStyle::Exports5, .. })
            | (FileFormat::Ganesha, SlotType::AccessRules { style: AccessRulesStyle::Ganesha, .. }) => {
                continue;
            }
            (_, SlotType::AccessRules { style: AccessRulesStyle::Exports5, .. }) => {
                "is a list of access rules in the style 'exports5', which stands only in a file of format 'lines'"
            }
            (_, SlotType::AccessRules { style: AccessRulesStyle::Ganesha, .. }) => {
                "is a list of access rules in the style 'ganesha', which stands only in a file of format 'ganesha'"
            }
            (FileFormat::Ganesha, SlotType::Secret { .. }) => {
                "is a secret, which has no place in this format"
            }
            (_, SlotType::AccessRules { style: AccessRulesStyle::Json, .. }) => {
                "is a list of access rules in the style 'json', which stands only in the body of a [[request]]"
            }
            _ => continue,
        };
        findings.push(Finding::new(path.to_vec(), format!("the slot '{name}' {message}")));
    }
}

/// A file with a secret lies where no guest reads.
fn secrets(manifest: &Manifest, template: &FileTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let readable = manifest.root(&template.root).is_some_and(|root| !root.paths.is_empty());
    for (name, slot) in &template.slots {
        if matches!(slot, SlotType::Secret { .. }) && readable {
            let path = below!(table, "slots", name.as_str());
            let message = format!(
                "the driver itself can read in the root '{}', so no secret may stand there",
                template.root
            );
            findings.push(Finding::new(path, message).hint("use a root without `paths`"));
        }
    }
}
