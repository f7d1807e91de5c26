//! `[[execute]]`.

use super::service::undeclared;
use super::slot::{self, Place, Text};
use super::{below, plain_text, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    CommandEffect, CommandTemplate, GroupInstance, Manifest, PathKind, RootUse, SlotType, TemplateScope,
};
use bulkhead_model::pattern::{Part, Pattern, parts};
use bulkhead_model::suggestion::nearest;
use std::collections::BTreeMap;

/// The most output of a command that is kept, in bytes: what a guest can hold beside its own memory.
const LARGEST_CAPTURE: u64 = 16 << 20;
/// The longest a command may take, in seconds: the longest deadline a backend may configure is a day.
const LONGEST_TIMEOUT: u64 = 86_400;
/// The most words and the most bytes in them.
const MOST_WORDS: usize = 256;
/// Variables that change what is run, not how.
const FORBIDDEN_VARIABLES: [&str; 5] = ["PATH", "LC_ALL", "IFS", "ENV", "BASH_ENV"];

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, template) in manifest.commands.iter().enumerate() {
        let table = steps!("execute", place);
        reason(&template.reason, at(&table, "reason"), findings);
        program(&template.program, &template.args, &table, findings);
        environment(&template.env, &table, findings);
        inside(manifest, template, &table, findings);
        limits(template, &table, findings);
        slot::check(&template.slots, &texts(template, &table), &table, findings);
        slot::types(manifest, &template.slots, &table, findings);
        options_from_slots(template, &table, findings);
        for (name, slot) in &template.slots {
            if let SlotType::Path { kind, root, pattern } = slot {
                let path = PathSlot { name, kind: *kind, root, patterns: pattern };
                path_slot(manifest, template, &path, &table, findings);
            }
        }
        named_paths(template, &table, findings);
    }
}

fn at(table: &[Step], key: &str) -> Vec<Step> {
    below!(table, key)
}

fn texts<'a>(template: &'a CommandTemplate, table: &[Step]) -> Vec<Text<'a>> {
    let argument = |whole| if whole { Place::WholeArgument } else { Place::PartOfArgument };
    let words = template.args.iter().enumerate();
    let mut texts: Vec<Text<'a>> = words
        .map(|(number, text)| Text { text, path: below!(table, "args", number), place: argument })
        .collect();
    texts.extend(template.stdin.iter().map(|text| Text {
        text,
        path: at(table, "stdin"),
        place: |_| Place::StandardInput,
    }));
    texts
}

/// The group in whose namespaces it runs.
fn inside(manifest: &Manifest, template: &CommandTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let Some(name) = &template.inside else { return };
    match manifest.group(name.as_str()) {
        Some(group) if group.instance == GroupInstance::Backend => {}
        Some(_) => {
            let message = format!("of group '{name}' there are many, and a command says not inside which");
            findings.push(Finding::new(at(table, "inside"), message));
        }
        None => {
            let groups = manifest.groups.iter().map(|group| group.name.as_str());
            findings.push(undeclared("[[group]]", name, groups, at(table, "inside")));
        }
    }
}

/// A program's name and its words.
pub(super) fn program(name: &str, args: &[String], table: &[Step], findings: &mut Vec<Finding>) {
    let sound = name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.len() <= 63
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._+-".contains(letter));
    if !sound {
        findings.push(
            Finding::new(at(table, "program"), format!("'{name}' is not a program's name"))
                .hint("name it without a directory; the operator binds the name to a file"),
        );
    }
    if args.len() > MOST_WORDS {
        findings.push(Finding::new(at(table, "args"), format!("a command has at most {MOST_WORDS} words")));
    }
    for (number, word) in args.iter().enumerate() {
        plain_text(word, below!(table, "args", number), findings);
    }
}

/// A fixed environment.
pub(super) fn environment(variables: &BTreeMap<String, String>, table: &[Step], findings: &mut Vec<Finding>) {
    for (name, value) in variables {
        let path = below!(table, "env", name.as_str());
        let sound = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !sound {
            findings.push(Finding::new(path.clone(), "a variable's name is of letters, digits and '_'"));
        }
        if FORBIDDEN_VARIABLES.contains(&name.as_str()) || name.starts_with("LD_") {
            let message = format!("'{name}' changes which code runs; the host sets it or leaves it out");
            findings.push(Finding::new(path.clone(), message));
        }
        if parts(value).iter().any(|part| matches!(part, Part::Place(_))) {
            let finding = Finding::new(path.clone(), "the environment is fixed: no slot may stand in it");
            findings.push(finding.hint("use an argument or standard input"));
        }
        plain_text(value, path, findings);
    }
}

fn limits(template: &CommandTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if template.capture > LARGEST_CAPTURE {
        let message = format!("at most {LARGEST_CAPTURE} bytes of output are kept");
        findings.push(Finding::new(at(table, "capture"), message));
    }
    if !(1..=LONGEST_TIMEOUT).contains(&template.timeout) {
        findings.push(Finding::new(
            at(table, "timeout"),
            format!("a timeout is from 1 to {LONGEST_TIMEOUT} seconds"),
        ));
    }
}

/// A negative number at the beginning of a word would be an option.
fn options_from_slots(template: &CommandTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    for (number, word) in template.args.iter().enumerate().take_while(|(_, word)| *word != "--") {
        if let Some(Part::Place(name)) = parts(word).first()
            && let Some(SlotType::Integer { min, .. }) = template.slots.get(name)
            && *min < 0
        {
            let path = below!(table, "args", number);
            let finding = Finding::new(
                path,
                format!("the slot '{name}' may be negative and would be taken for an option"),
            );
            findings.push(finding.hint("put \"--\" before it, or join it to its option as \"--size={n}\""));
        }
    }
}

struct PathSlot<'a> {
    name: &'a Label,
    kind: PathKind,
    root: &'a Label,
    patterns: &'a [Pattern],
}

fn path_slot(
    manifest: &Manifest,
    template: &CommandTemplate,
    slot: &PathSlot<'_>,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    let path = below!(table, "slots", slot.name.as_str());
    let changes = slot.kind.changes_its_name();
    let touches = slot.kind != PathKind::Text && (changes || template.effect != CommandEffect::Read);
    if touches && manifest.root(slot.root).is_some_and(|root| root.root_use == RootUse::Config) {
        let finding = Finding::new(
            below!(path.as_slice(), "root"),
            format!(
                "the root '{}' is read by a privileged program: no command may change what stands in it",
                slot.root
            ),
        );
        findings.push(finding.hint("write there with a [[file]] template"));
    }
    for (number, pattern) in slot.patterns.iter().enumerate() {
        let path = || below!(path.as_slice(), "pattern", number);
        if pattern.is_managed() && (changes || template.effect != CommandEffect::Read) {
            let message = format!("'{pattern}' names what nobody owns yet, which a command may only read");
            findings.push(Finding::new(path(), message).hint("take it over with files.rename first"));
        }
        if changes && pattern.is_source() {
            let message = format!("'{pattern}' names what a new share is made from, which may only be read");
            findings.push(Finding::new(path(), message));
        }
        if pattern.is_backend_wide() && template.scope == TemplateScope::Target {
            let message = format!("'{pattern}' is the same for every tenant");
            let finding = Finding::new(path(), message);
            findings.push(finding.hint("put {share} or {snapshot} into it, or declare scope = \"backend\""));
        }
    }
    let declared = match slot.kind {
        PathKind::New | PathKind::NewInside => Some(("creates", &template.creates)),
        PathKind::Remove => Some(("destroys", &template.destroys)),
        _ => None,
    };
    if let Some((key, value)) = declared
        && value.as_ref() != Some(slot.name)
    {
        let kind = if key == "creates" { "new" } else { "remove" };
        let message = format!(
            "a path of kind '{kind}' must be what the template `{key}`, so that its owner is recorded"
        );
        findings.push(Finding::new(path, message).hint(format!("{key} = \"{}\"", slot.name)));
    }
}

/// What `creates` and `destroys` name.
fn named_paths(template: &CommandTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let creates: &[PathKind] = &[PathKind::New, PathKind::NewInside];
    let destroys: &[PathKind] = &[PathKind::Remove];
    for (key, value, wanted) in
        [("creates", &template.creates, creates), ("destroys", &template.destroys, destroys)]
    {
        let Some(name) = value else { continue };
        match template.slots.get(name) {
            Some(SlotType::Path { kind, .. }) if wanted.contains(kind) => {}
            Some(_) => {
                let kind = if key == "creates" { "new" } else { "remove" };
                findings.push(Finding::new(
                    at(table, key),
                    format!("the slot '{name}' is not a path of kind '{kind}'"),
                ));
            }
            None => {
                let finding = Finding::new(at(table, key), format!("the slot '{name}' is not declared"));
                let near = nearest(name.as_str(), template.slots.keys().map(Label::as_str));
                findings.push(match near {
                    Some(near) => finding.hint(format!("did you mean '{near}'?")),
                    None => finding,
                });
            }
        }
    }
    let least = match (&template.creates, &template.destroys) {
        (_, Some(_)) => Some((CommandEffect::Destroy, "destroys something", "destroy")),
        (Some(_), None) => Some((CommandEffect::Change, "creates something", "change")),
        (None, None) => None,
    };
    if let Some((least, does, word)) = least
        && template.effect < least
    {
        let finding =
            Finding::new(at(table, "effect"), format!("the template {does}, which is more than this effect"));
        findings.push(finding.hint(format!("effect = \"{word}\"")));
    }
}
