//! TOML whose every mistake is told with file, line, column, the offending key and a suggestion.
//!
//! Manifests and the daemon's configuration are read through this. A mistake that serde finds is placed by its path, so that errors
//! inside tagged enums, which serde buffers, still have their line.

use bulkhead_model::suggestion::nearest;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step on the way to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// A place in an array, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Something wrong at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: Vec<Step>,
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint.
    #[must_use]
    pub fn new(path: Vec<Step>, message: impl Into<String>) -> Self {
        Self { path, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A finding with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in letters, from 1.
    pub column: usize,
    /// The key, for example `execute[copy-tree].slots.from`; empty if the file is no TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A parsed TOML file.
#[derive(Debug)]
pub struct TomlFile<'text> {
    file: &'text str,
    text: &'text str,
    tree: Spanned<DeValue<'text>>,
}

impl<'text> TomlFile<'text> {
    /// Parse `text`; `file` is what problems call it.
    ///
    /// # Errors
    /// The text is no TOML: every place where it is not.
    pub fn parse(text: &'text str, file: &'text str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let span = table.span();
        let this = Self { file, text, tree: Spanned::new(span, DeValue::Table(table.into_inner())) };
        if errors.is_empty() {
            return Ok(this);
        }
        let problem = |error: toml::de::Error| {
            let (line, column) = this.line_and_column(error.span().unwrap_or_default().start);
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            Problem { file: file.to_owned(), line, column, key: String::new(), message, hint: None }
        };
        Err(errors.into_iter().map(problem).collect())
    }

    /// The value as `T`.
    ///
    /// # Errors
    /// It has not the shape of `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Box<Problem>> {
        let parse_again = toml::Deserializer::parse(self.text)
            .map_err(|error| Box::new(self.misfit(Vec::new(), &error)))?;
        serde_path_to_error::deserialize(parse_again).map_err(|error| {
            let path = error.path().iter().filter_map(step).collect();
            Box::new(self.misfit(path, error.inner()))
        })
    }

    /// Where a finding stands.
    #[must_use]
    pub fn place(&self, finding: Finding) -> Problem {
        let (span, key) = self.walk(&finding.path);
        let (line, column) = self.line_and_column(span.start);
        Problem {
            file: self.file.to_owned(),
            line,
            column,
            key,
            message: finding.message,
            hint: finding.hint,
        }
    }

    /// The parsed value.
    #[must_use]
    pub fn tree(&self) -> &DeValue<'text> {
        self.tree.get_ref()
    }

    fn misfit(&self, mut path: Vec<Step>, error: &toml::de::Error) -> Problem {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let unknown = quoted_after(&message, "unknown field ");
        if let Some(key) = unknown
            && path.last() != Some(&Step::from(key))
        {
            path.push(Step::from(key));
        }
        let hint = unknown.or_else(|| quoted_after(&message, "unknown variant ")).and_then(|word| {
            let known = message.split_once("expected").map(|(_, rest)| rest).unwrap_or_default();
            nearest(word, known.split('`').skip(1).step_by(2)).map(|near| format!("did you mean '{near}'?"))
        });
        let message = match unknown {
            Some(key) => message.replacen(&format!("unknown field `{key}`"), "unknown key", 1),
            None => message,
        };
        self.place(Finding { path, message: message.replace('`', "'"), hint })
    }

    /// The span of the deepest step that exists, and the key as people read it.
    fn walk(&self, path: &[Step]) -> (Range<usize>, String) {
        let mut value = Some(&self.tree);
        let mut span = self.tree.span().start..self.tree.span().start;
        let mut key = String::new();
        for step in path {
            let next = value.and_then(|value| child(value.get_ref(), step));
            match step {
                Step::Key(name) => {
                    if !key.is_empty() {
                        key.push('.');
                    }
                    key.push_str(name);
                }
                Step::Index(index) => {
                    let name =
                        next.as_ref().and_then(|(_, value)| value.get_ref().get("name")?.get_ref().as_str());
                    match name {
                        Some(name) => key.push_str(&format!("[{name}]")),
                        None => key.push_str(&format!("[{index}]")),
                    }
                }
            }
            if let Some((found, _)) = &next {
                span = found.clone();
            }
            value = next.map(|(_, value)| value);
        }
        (span, key)
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// What stands at `step`: the span of its key, or of the value in an array, and the value.
fn child<'a, 'text>(
    value: &'a DeValue<'text>,
    step: &Step,
) -> Option<(Range<usize>, &'a Spanned<DeValue<'text>>)> {
    match (value, step) {
        (DeValue::Table(table), Step::Key(name)) => table
            .iter()
            .find(|(key, _)| key.get_ref().as_ref() == name)
            .map(|(key, value)| (key.span(), value)),
        (DeValue::Array(array), Step::Index(index)) => array.get(*index).map(|value| (value.span(), value)),
        _ => None,
    }
}

fn quoted_after<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.split_once(prefix)?.1.strip_prefix('`')?.split_once('`').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Shape {
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        name: String,
        size: u8,
    }

    #[test]
    fn an_unknown_key_is_placed_named_and_corrected() {
        let text = "[[list]]\nname = 'a'\nsize = 1\n[[list]]\nname = 'b'\n  sise = 2\nsize = 1\n";
        let file = TomlFile::parse(text, "x.toml").expect("TOML");
        let problem = file.deserialize::<Shape>().expect_err("an unknown key");
        assert_eq!(
            problem.to_string(),
            "x.toml:6:3: list[b].sise: unknown key, expected 'name' or 'size'\n  hint: did you mean 'size'?"
        );
    }

    #[test]
    fn a_wrong_value_and_a_missing_key_are_placed() {
        let text = "[[list]]\nname = 'a'\nsize = 300\n";
        let file = TomlFile::parse(text, "x.toml").expect("TOML");
        let problem = file.deserialize::<Shape>().expect_err("too large");
        assert_eq!((problem.line, problem.key.as_str()), (3, "list[a].size"));
        let file = TomlFile::parse("\n[[list]]\nname = 'a'\n", "x.toml").expect("TOML");
        let problem = file.deserialize::<Shape>().expect_err("a key is missing");
        assert_eq!((problem.line, problem.message.as_str()), (2, "missing field 'size'"));
    }

    #[test]
    fn a_section_that_stands_twice_is_placed() {
        let problems = TomlFile::parse("[a]\nb = 1\n[a]\nc = 1\n", "x.toml").expect_err("a duplicate");
        assert_eq!(
            problems.first().map(|problem| (problem.line, problem.message.as_str())),
            Some((3, "duplicate key"))
        );
    }
}
