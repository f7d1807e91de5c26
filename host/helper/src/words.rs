//! The words of a command and its standard input: built here from a template and checked slots, and nowhere else.

use crate::path::{OpenedPath, PathSlot, Roots};
use crate::protocol::{LARGEST_INPUT, MOST_PATHS, Refusal, RootBinding, RunRequest, SlotArgument};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandTemplate, SlotType};
use bulkhead_model::pattern::{Part, parts};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;

/// The number of the first descriptor that a command is given beside its streams.
pub(crate) const FIRST_DESCRIPTOR: i32 = 3;

/// What a command is started with.
#[derive(Debug)]
pub(crate) struct Words {
    /// The arguments behind the program's name.
    pub(crate) arguments: Vec<String>,
    /// What it reads on standard input; none: nothing.
    pub(crate) input: Option<Vec<u8>>,
    /// The descriptors that it finds from [`FIRST_DESCRIPTOR`] on.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Whether one of them is a file, which the words name as a link in `/proc`.
    pub(crate) files: Files,
}

/// Whether a command is handed files by descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    None,
    Some,
}

/// Check every slot, open the path slots, and build the words.
///
/// Fails with `invalid-argument` for a slot that is missing, unknown, of another type or misplaced; else as opening a path does.
pub(crate) fn build(template: &CommandTemplate, request: &RunRequest) -> Result<Words, Refusal> {
    let slots = Slots::print(&template.slots, &request.slots, &request.roots)?;
    let printed = &slots.printed;
    let arguments = template.args.iter().map(|word| argument(word, printed)).collect::<Result<_, _>>()?;
    let input = template.stdin.as_ref().map(|text| input(text, printed)).transpose()?;
    Ok(Words { arguments, input, descriptors: slots.descriptors, files: slots.files })
}

/// What a command line without descriptors is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextWords {
    /// The arguments behind the program's name.
    pub arguments: Vec<String>,
    /// What it reads on standard input; none: nothing.
    pub input: Option<Vec<u8>>,
}

/// The words of a template for an array's own command line: checked as a helper checks them, and no path among them.
///
/// Fails with `invalid-argument` as the words of a helper's command do, and with `denied` for a path slot.
pub fn text_words(
    template: &CommandTemplate,
    values: &BTreeMap<Label, SlotArgument>,
) -> Result<TextWords, Refusal> {
    let is_path = |slot: &SlotType| matches!(slot, SlotType::Path { .. });
    if let Some((label, _)) = template.slots.iter().find(|(_, slot)| is_path(slot)) {
        return Err(Refusal::denied(
            format!("the path slot '{label}' on an array's own command line"),
            "slots of type name, bytes and the like in the driver's manifest, or a place 'ssh:TARGET'",
        ));
    }
    let slots = Slots::print(&template.slots, values, &BTreeMap::new())?;
    let printed = &slots.printed;
    let arguments = template.args.iter().map(|word| argument(word, printed)).collect::<Result<_, _>>()?;
    let input = template.stdin.as_ref().map(|text| input(text, printed)).transpose()?;
    Ok(TextWords { arguments, input })
}

/// The values of a template's slots as text.
#[derive(Debug)]
pub(crate) struct Slots<'template> {
    printed: BTreeMap<&'template Label, Printed<'template>>,
    descriptors: Vec<OwnedFd>,
    files: Files,
}

impl<'template> Slots<'template> {
    /// Check every slot and open the path slots. Fails as [`build`] does.
    pub(crate) fn print(
        declared: &'template BTreeMap<Label, SlotType>,
        values: &BTreeMap<Label, SlotArgument>,
        bindings: &BTreeMap<Label, RootBinding>,
    ) -> Result<Self, Refusal> {
        if let Some(unknown) = values.keys().find(|label| !declared.contains_key(label)) {
            return Err(Refusal::invalid(format!("the template has no slot '{unknown}'")));
        }
        let mut roots = Roots::default();
        let mut slots = Self { printed: BTreeMap::new(), descriptors: Vec::new(), files: Files::None };
        for (label, slot) in declared {
            let value = values.get(label);
            let value = value.ok_or_else(|| Refusal::invalid(format!("slot '{label}' is not filled")))?;
            crate::slot::check(label, slot, value)?;
            let text = match (slot, value) {
                (SlotType::Path { kind, root, .. }, SlotArgument::Path(path)) => {
                    slots.word_of(roots.open(bindings, &PathSlot { kind: *kind, root, path })?)
                }
                (_, SlotArgument::Unsigned(number)) => number.to_string(),
                (_, SlotArgument::Signed(number)) => number.to_string(),
                (_, SlotArgument::Text(text)) => text.clone(),
                (_, SlotArgument::Secret(text)) => text.expose().to_owned(),
                (_, SlotArgument::Path(_)) => {
                    return Err(Refusal::invalid(format!("slot '{label}' is no path")));
                }
            };
            slots.printed.insert(label, Printed { slot, text });
        }
        if slots.descriptors.len() > MOST_PATHS {
            return Err(Refusal::invalid(format!("a template has at most {MOST_PATHS} path slots")));
        }
        Ok(slots)
    }

    fn word_of(&mut self, opened: OpenedPath) -> String {
        match opened {
            OpenedPath::Text(text) => text,
            OpenedPath::Descriptor { descriptor, rest } => {
                let place = i32::try_from(self.descriptors.len()).unwrap_or(i32::MAX);
                self.descriptors.push(descriptor);
                if rest.is_empty() {
                    self.files = Files::Some;
                }
                format!("/proc/self/fd/{}{rest}", FIRST_DESCRIPTOR.saturating_add(place))
            }
        }
    }

    /// A word with values in its places. Fails for a value that may not stand there.
    pub(crate) fn argument(&self, word: &str) -> Result<String, Refusal> {
        argument(word, &self.printed)
    }

    /// The slot with its value.
    pub(crate) fn get(&self, label: &Label) -> Result<&Printed<'template>, Refusal> {
        value_of(&self.printed, label)
    }

    /// Whether a value is a descriptor's path, which means something only to a command that is given the descriptor.
    pub(crate) fn hold_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }
}

/// A slot's value as text.
#[derive(Debug)]
pub(crate) struct Printed<'template> {
    /// Its type.
    pub(crate) slot: &'template SlotType,
    /// Its value.
    pub(crate) text: String,
}

/// One argument. No value begins one with `-` unless it is a whole number by itself.
fn argument(word: &str, printed: &BTreeMap<&Label, Printed<'_>>) -> Result<String, Refusal> {
    let found = parts(word);
    let whole = found.len() == 1;
    let mut text = String::new();
    for part in found {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Place(label) => {
                let value = value_of(printed, &label)?;
                let misplaced = match value.slot {
                    SlotType::Secret { .. } | SlotType::AccessRules { .. } => true,
                    SlotType::Opaque { .. } => !whole,
                    SlotType::Integer { .. } => !whole && value.text.starts_with('-'),
                    _ => value.text.starts_with('-'),
                };
                if misplaced {
                    return Err(Refusal::invalid(format!("slot '{label}' may not stand in '{word}'")));
                }
                text.push_str(&value.text);
            }
        }
    }
    check_text(&text)?;
    Ok(text)
}

fn input(template: &str, printed: &BTreeMap<&Label, Printed<'_>>) -> Result<Vec<u8>, Refusal> {
    let found = parts(template);
    let whole = found.len() == 1;
    let mut text = String::new();
    for part in found {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Place(label) => {
                let value = value_of(printed, &label)?;
                if matches!(value.slot, SlotType::Opaque { .. }) {
                    return Err(Refusal::invalid(format!(
                        "slot '{label}' may stand only as a whole argument"
                    )));
                }
                // A line end in it would begin a line of its own among those of the template.
                let is_secret = matches!(value.slot, SlotType::Secret { .. });
                if is_secret && !whole && value.text.chars().any(char::is_control) {
                    return Err(Refusal::invalid(format!(
                        "the secret in slot '{label}' holds a line end or another control character, which stands only where \
                         it is the whole of standard input"
                    )));
                }
                text.push_str(&value.text);
            }
        }
    }
    if text.len() > LARGEST_INPUT {
        return Err(Refusal::invalid(format!("standard input is at most {LARGEST_INPUT} bytes long")));
    }
    Ok(text.into_bytes())
}

fn value_of<'map, 'template>(
    printed: &'map BTreeMap<&Label, Printed<'template>>,
    label: &Label,
) -> Result<&'map Printed<'template>, Refusal> {
    printed.get(label).ok_or_else(|| Refusal::invalid(format!("'{{{label}}}' is not a slot of the template")))
}

fn check_text(text: &str) -> Result<(), Refusal> {
    if text.chars().any(char::is_control) {
        return Err(Refusal::invalid("a word of the template holds a control character"));
    }
    Ok(())
}

/// The environment: what is always there, and what the template declares.
///
/// Fails with `invalid-argument` for a variable that would change which code runs.
pub(crate) fn environment(template: &CommandTemplate) -> Result<BTreeMap<String, String>, Refusal> {
    fixed_environment(&template.env)
}

/// What is always there, and these.
///
/// Fails as [`environment`] does.
pub(crate) fn fixed_environment(
    declared: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut variables = BTreeMap::from([
        ("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("LC_ALL".to_owned(), "C".to_owned()),
    ]);
    for (name, value) in declared {
        let sound = name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && name
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
        if !sound || steers_code(name) || value.contains('\0') {
            return Err(Refusal::denied(
                format!("the variable '{name}'"),
                "no line; it may change which code runs",
            ));
        }
        variables.insert(name.clone(), value.clone());
    }
    Ok(variables)
}

/// Whether a loader, an allocator, a shell or an interpreter takes code or places from this variable.
fn steers_code(name: &str) -> bool {
    const PREFIXES: [&str; 9] =
        ["LD_", "GLIBC_", "MALLOC_", "PYTHON", "PERL", "RUBY", "NODE_", "BASH", "LC_"];
    const NAMES: [&str; 14] = [
        "PATH",
        "IFS",
        "ENV",
        "SHELL",
        "SHELLOPTS",
        "PS4",
        "EDITOR",
        "VISUAL",
        "PAGER",
        "GCONV_PATH",
        "NLSPATH",
        "TMPDIR",
        "HOME",
        "SSH_AUTH_SOCK",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Unreviewed;
    use proptest::prelude::*;

    fn template(value: serde_json::Value) -> CommandTemplate {
        let mut whole = serde_json::json!({
            "name": "tried", "reason": "a test", "effect": "read", "repeat": "safe", "program": "tried",
        });
        let (Some(whole_map), serde_json::Value::Object(more)) = (whole.as_object_mut(), value) else {
            panic!("objects");
        };
        whole_map.extend(more);
        serde_json::from_value(whole).expect("a template")
    }

    fn request(slots: &[(&str, SlotArgument)]) -> RunRequest {
        RunRequest {
            id: 1,
            template: String::new(),
            program: "/usr/bin/tried".to_owned(),
            unreviewed: Unreviewed::Refused,
            roots: BTreeMap::new(),
            slots: slots
                .iter()
                .map(|(name, value)| (name.parse().expect("a label"), value.clone()))
                .collect(),
            inside: None,
            timeout_ms: 1000,
        }
    }

    #[test]
    fn words_come_from_the_template_and_values_stay_in_them() {
        let template = template(serde_json::json!({
            "args": ["--size={size}", "--", "{text}", "{shift}"],
            "stdin": "{size} {address}\n",
            "slots": {
                "size": { "type": "bytes" }, "text": { "type": "opaque", "max": 100 },
                "shift": { "type": "integer", "min": -9, "max": 9 }, "address": { "type": "ip" },
            },
        }));
        let request = request(&[
            ("size", SlotArgument::Unsigned(42)),
            ("text", SlotArgument::Text("; id > {size} $(id)".to_owned())),
            ("shift", SlotArgument::Signed(-3)),
            ("address", SlotArgument::Text("10.0.0.1".to_owned())),
        ]);
        let words = build(&template, &request).expect("they fit");
        assert_eq!(words.arguments, ["--size=42", "--", "; id > {size} $(id)", "-3"]);
        assert_eq!(words.input.as_deref(), Some(b"42 10.0.0.1\n".as_slice()));
    }

    #[test]
    fn a_slot_that_is_missing_or_unknown_is_refused() {
        let template =
            template(serde_json::json!({ "args": ["{size}"], "slots": { "size": { "type": "bytes" } } }));
        assert!(build(&template, &request(&[])).is_err());
        let more = [("size", SlotArgument::Unsigned(1)), ("other", SlotArgument::Unsigned(1))];
        assert!(build(&template, &request(&more)).is_err());
    }

    #[test]
    fn a_negative_number_stands_only_by_itself_and_a_secret_nowhere() {
        let slots = serde_json::json!({ "n": { "type": "integer", "min": -9, "max": 9 } });
        let joined = template(serde_json::json!({ "args": ["{n}x"], "slots": slots }));
        assert!(build(&joined, &request(&[("n", SlotArgument::Signed(-1))])).is_err());
        assert!(build(&joined, &request(&[("n", SlotArgument::Signed(1))])).is_ok());
        let secret = template(
            serde_json::json!({ "args": ["{n}"], "slots": { "n": { "type": "secret", "of": ["password"] } } }),
        );
        assert!(build(&secret, &request(&[("n", SlotArgument::Text("hunter2".to_owned()))])).is_err());
    }

    #[test]
    fn variables_that_steer_code_are_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "GLIBC_TUNABLES",
            "PYTHONPATH",
            "BASH_ENV",
            "IFS",
            "LC_ALL",
            "PATH",
            "SSH_AUTH_SOCK",
            "HOME",
            "path",
            "A=B",
        ] {
            let template = template(serde_json::json!({ "env": { name: "x" } }));
            assert!(environment(&template).is_err(), "{name}");
        }
        let template = template(serde_json::json!({ "env": { "BTRFS_OUTPUT": "raw" } }));
        let names: Vec<_> = environment(&template).expect("it is harmless").into_keys().collect();
        assert_eq!(names, ["BTRFS_OUTPUT", "LC_ALL", "PATH"]);
    }

    proptest! {
        #[test]
        fn a_value_never_changes_the_number_of_words_nor_begins_an_option(text in "[\\PC\\n\\x00-]{0,30}", number: i64) {
            let template = template(serde_json::json!({
                "args": ["first", "{text}", "{n}", "last"],
                "slots": {
                    "text": { "type": "opaque", "max": 4096 },
                    "n": { "type": "integer", "min": i64::MIN, "max": i64::MAX },
                },
            }));
            let slots = [("text", SlotArgument::Text(text.clone())), ("n", SlotArgument::Signed(number))];
            if let Ok(words) = build(&template, &request(&slots)) {
                prop_assert_eq!(words.arguments.len(), 4);
                prop_assert_eq!(&words.arguments[1], &text);
                prop_assert!(!words.arguments[1].starts_with('-') && !words.arguments[1].is_empty());
                prop_assert_eq!(words.arguments[2].parse::<i64>(), Ok(number));
                prop_assert!(words.arguments.iter().all(|word| !word.chars().any(char::is_control)));
            }
        }
    }
}
