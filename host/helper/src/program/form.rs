//! One way to call a program: its subcommand, the options that were found harmless, and what may stand as operands.

use super::Privilege;
use crate::protocol::Refusal;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandEffect, CommandTemplate, PathKind, SlotType};
use bulkhead_model::pattern::{Part, parts};

/// One way to call a program.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) subcommand: &'static [&'static str],
    pub(super) effect: CommandEffect,
    pub(super) separator: Separator,
    pub(super) options: &'static [Flag],
    pub(super) operands: &'static [Operand],
    pub(super) joint: Joint,
    /// What it may do; none: what its program may.
    pub(super) privilege: Option<Privilege>,
}

/// What a form has to do with the commands before and behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// Nothing.
    Any,
    /// Its output is for the form that receives it, and for nobody else: it is the content of a share.
    Sends,
    /// It makes what the form right before it sends, under the name that this one says.
    Receives,
}

/// Whether `--` must stand before the operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Required,
    /// Every operand is a descriptor's path, a number or a word of the table: none can look like an option.
    Optional,
}

/// An option that was found harmless.
#[derive(Debug)]
pub(super) enum Flag {
    /// Alone: `-r`, `--archive`.
    Alone(&'static str),
    /// Joined to a value: `--reflink=auto`.
    Joined(&'static str, Value),
    /// Before a value: `-c %s`.
    Before(&'static str, Value),
}

/// What may stand as an option's value.
#[derive(Debug)]
pub(super) enum Value {
    OneOf(&'static [&'static str]),
    /// A slot that is a number, or digits.
    Number,
    /// Words of the template, without a slot.
    Fixed,
    /// A path slot of kind `existing`.
    Existing,
}

/// What may stand as an operand.
#[derive(Debug)]
pub(super) enum Operand {
    Existing,
    New,
    NewInside,
    Remove,
    NumberOr(&'static str),
    OneOf(&'static [&'static str]),
}

impl Form {
    pub(super) fn check(&self, template: &CommandTemplate, words: &[String]) -> Result<(), Refusal> {
        let mut rest = words.iter();
        let mut separated = Separator::Optional;
        let mut operands = Vec::new();
        while let Some(word) = rest.next() {
            if word == "--" {
                separated = Separator::Required;
                break;
            }
            if !word.starts_with('-') || word == "-" {
                operands.push(word);
                break;
            }
            self.option(template, word, &mut rest)?;
        }
        operands.extend(rest);
        if self.separator == Separator::Required && separated != Separator::Required && !operands.is_empty() {
            return Err(Refusal::denied(
                format!("template '{}': an operand where an option could stand", template.name),
                "\"--\" before the first slot, in the driver's manifest",
            ));
        }
        if operands.len() != self.operands.len() {
            let wanted = self.operands.len();
            return Err(not_in_table(
                template,
                format!("it takes {wanted} operands, not {}", operands.len()),
            ));
        }
        for (word, operand) in operands.into_iter().zip(self.operands) {
            if !operand.fits(template, word) {
                return Err(not_in_table(
                    template,
                    format!("'{word}' may not stand where {} does", operand.name()),
                ));
            }
        }
        Ok(())
    }

    fn option<'word>(
        &self,
        template: &CommandTemplate,
        word: &str,
        rest: &mut impl Iterator<Item = &'word String>,
    ) -> Result<(), Refusal> {
        let known = self.options.iter().find_map(|flag| match flag {
            Flag::Alone(name) => (word == *name).then_some(None),
            Flag::Joined(name, value) => {
                let joined = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
                joined.map(|text| Some((text.to_owned(), value)))
            }
            Flag::Before(name, value) => (word == *name).then(|| Some((String::new(), value))),
        });
        match known {
            Some(None) => Ok(()),
            Some(Some((text, value))) => {
                let text = if word.contains('=') { text } else { rest.next().cloned().unwrap_or_default() };
                if value.fits(template, &text) {
                    Ok(())
                } else {
                    Err(not_in_table(template, format!("'{text}' is not a value for '{word}'")))
                }
            }
            None => Err(not_in_table(template, format!("the option '{word}' is not among those reviewed"))),
        }
    }
}

impl Value {
    fn fits(&self, template: &CommandTemplate, text: &str) -> bool {
        match self {
            Self::OneOf(words) => words.contains(&text),
            Self::Number => is_number(template, text),
            Self::Fixed => {
                !text.is_empty() && parts(text).iter().all(|part| matches!(part, Part::Literal(_)))
            }
            Self::Existing => path_kind(template, text) == Some(PathKind::Existing),
        }
    }
}

impl Operand {
    fn fits(&self, template: &CommandTemplate, word: &str) -> bool {
        match self {
            Self::Existing => path_kind(template, word) == Some(PathKind::Existing),
            Self::New => path_kind(template, word) == Some(PathKind::New),
            Self::NewInside => path_kind(template, word) == Some(PathKind::NewInside),
            Self::Remove => path_kind(template, word) == Some(PathKind::Remove),
            Self::NumberOr(other) => word == *other || is_number(template, word),
            Self::OneOf(words) => words.contains(&word),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Existing => "a path slot of kind 'existing'",
            Self::New => "a path slot of kind 'new'",
            Self::NewInside => "a path slot of kind 'new-inside'",
            Self::Remove => "a path slot of kind 'remove'",
            Self::NumberOr(_) => "a number",
            Self::OneOf(_) => "a word of the table",
        }
    }
}

fn slot_of<'template>(template: &'template CommandTemplate, word: &str) -> Option<&'template SlotType> {
    let found: Vec<Part> = parts(word);
    let label: &Label = match found.as_slice() {
        [Part::Place(label)] => label,
        _ => return None,
    };
    template.slots.get(label)
}

fn path_kind(template: &CommandTemplate, word: &str) -> Option<PathKind> {
    match slot_of(template, word) {
        Some(SlotType::Path { kind, .. }) => Some(*kind),
        _ => None,
    }
}

fn is_number(template: &CommandTemplate, word: &str) -> bool {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let slot = match slot_of(template, word) {
        Some(SlotType::Bytes | SlotType::Gib | SlotType::Port) => true,
        Some(SlotType::Integer { min, .. }) => *min >= 0,
        _ => false,
    };
    digits || slot
}

pub(super) fn not_in_table(template: &CommandTemplate, why: String) -> Refusal {
    Refusal::denied(
        format!("template '{}' as a call of '{}'", template.name, template.program),
        format!("no line of a grant; {why}"),
    )
}
