//! Patterns over names that the host derives, and words with slots: the two small languages of a manifest.

use crate::id::{InvalidId, Label};
use crate::target::{Names, Resource};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part of a text with places to fill.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Stands as it is.
    Literal(String),
    /// To be filled.
    Place(Label),
}

/// Cut `text` at its places: `{label}` with nothing else between the braces. Any other brace is literal text.
#[must_use]
pub fn parts(text: &str) -> Vec<Part> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        match after.split_once('}').and_then(|(name, tail)| Some((name.parse::<Label>().ok()?, tail))) {
            Some((label, tail)) => {
                if !literal.is_empty() {
                    found.push(Part::Literal(std::mem::take(&mut literal)));
                }
                found.push(Part::Place(label));
                rest = tail;
            }
            None => {
                literal.push('{');
                rest = after;
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        found.push(Part::Literal(literal));
    }
    found
}

/// A name that the host derives from the call's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    /// `{share}`: `share-<id>` of the subject, or of the share the subject snapshot was taken of.
    Share,
    /// `{snapshot}`: `share-snapshot-<id>` of the subject.
    Snapshot,
    /// `{source-share}`: the share that the source snapshot was taken of.
    SourceShare,
    /// `{source-snapshot}`: the snapshot a share is made from.
    SourceSnapshot,
    /// `{server}`: `share-server-<id>` of the subject, or of the share server that the subject lives on.
    Server,
    /// `{managed}`: what the operator named in a manage call.
    Managed,
    /// `{number}`: a number that the driver gives; only in roots of use `kernel`.
    Number,
}

impl Variable {
    const ALL: [Self; 7] = [
        Self::Share,
        Self::Snapshot,
        Self::SourceShare,
        Self::SourceSnapshot,
        Self::Server,
        Self::Managed,
        Self::Number,
    ];

    /// As it stands between braces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Snapshot => "snapshot",
            Self::SourceShare => "source-share",
            Self::SourceSnapshot => "source-snapshot",
            Self::Server => "server",
            Self::Managed => "managed",
            Self::Number => "number",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PatternPart {
    Literal(String),
    Variable(Variable),
}

/// A relative path over derived names, for example `{share}@{snapshot}`. The guest picks one; the host fills it.
///
/// Literal text is of `A-Z a-z 0-9 . _ @ - /`; no component is empty, `.` or `..`, whatever the names are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    parts: Vec<PatternPart>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// A place that names nothing the host derives.
    #[error(
        "'{{{0}}}' is not a name the host derives; use {{share}}, {{snapshot}}, {{source-share}}, {{source-snapshot}}, {{server}}, {{managed}} or {{number}}"
    )]
    Variable(String),
    /// Literal text outside the alphabet.
    #[error("'{0}' may hold only letters, digits, '.', '_', '@', '-' and '/' beside names in braces")]
    Alphabet(String),
    /// A component that is empty, `.` or `..`.
    #[error("'{0}' has a component that is empty, '.' or '..'")]
    Component(String),
    /// Nothing, or too much.
    #[error("a pattern is 1 to 255 bytes long")]
    Length,
}

impl Pattern {
    /// The pattern as the manifest spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names it needs.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.parts.iter().filter_map(|part| match part {
            PatternPart::Variable(variable) => Some(*variable),
            PatternPart::Literal(_) => None,
        })
    }

    /// Whether it names something of the backend rather than of a resource. Such a pattern must be declared with a reason.
    #[must_use]
    pub fn is_backend_wide(&self) -> bool {
        self.variables().next().is_none()
    }

    /// Whether it names what the call may only read: the source of a new share.
    #[must_use]
    pub fn is_source(&self) -> bool {
        self.variables().any(|variable| matches!(variable, Variable::SourceShare | Variable::SourceSnapshot))
    }

    /// Whether it names an object that the operator asked to take over, which nobody owns yet.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.variables().any(|variable| variable == Variable::Managed)
    }

    /// Fill in `numbers`, in order; none unless every place is a number and there is one for each.
    #[must_use]
    pub fn fill_numbers(&self, numbers: &[u64]) -> Option<RelativePath> {
        let mut numbers = numbers.iter();
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                PatternPart::Literal(text) => filled.push_str(text),
                PatternPart::Variable(Variable::Number) => filled.push_str(&numbers.next()?.to_string()),
                PatternPart::Variable(_) => return None,
            }
        }
        numbers.next().is_none().then_some(RelativePath(filled))
    }

    /// Fill in the names; none if the target lacks one of them.
    #[must_use]
    pub fn fill(&self, names: &Names) -> Option<RelativePath> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                PatternPart::Literal(text) => filled.push_str(text),
                PatternPart::Variable(variable) => filled.push_str(&names.name_of(*variable)?),
            }
        }
        Some(RelativePath(filled))
    }

    /// The resource that what stands at this path belongs to: the snapshot if the pattern names one, else the share, else
    /// the share server.
    #[must_use]
    pub fn owner(&self, names: &Names) -> Option<Resource> {
        let has = |wanted| self.variables().any(|variable| variable == wanted);
        if has(Variable::Snapshot) {
            names.snapshot.map(Resource::Snapshot)
        } else if has(Variable::Share) {
            names.share.map(Resource::Share)
        } else if has(Variable::SourceSnapshot) {
            names.source_snapshot.map(Resource::Snapshot)
        } else if has(Variable::SourceShare) {
            names.source_share.map(Resource::Share)
        } else if has(Variable::Server) {
            names.server.map(Resource::ShareServer)
        } else {
            None
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 255 {
            return Err(InvalidPattern::Length);
        }
        let mut found = Vec::new();
        // What components look like once names are in: a name is never empty, '.' or '..'.
        let mut sample = String::new();
        for part in parts(text) {
            match part {
                Part::Literal(literal) => {
                    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._@-/".contains(letter);
                    if !literal.chars().all(allowed) {
                        return Err(InvalidPattern::Alphabet(text.to_owned()));
                    }
                    sample.push_str(&literal);
                    found.push(PatternPart::Literal(literal));
                }
                Part::Place(label) => {
                    let variable = Variable::ALL
                        .into_iter()
                        .find(|variable| variable.name() == label.as_str())
                        .ok_or_else(|| InvalidPattern::Variable(label.to_string()))?;
                    sample.push_str("name");
                    found.push(PatternPart::Variable(variable));
                }
            }
        }
        if sample.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(InvalidPattern::Component(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts: found })
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A path below a root: components joined by `/`, none empty, `.` or `..`, each at most 255 bytes, of a small alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

impl RelativePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Its last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RelativePath {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._@-".contains(letter);
        let sound = |component: &str| {
            !matches!(component, "" | "." | "..") && component.len() <= 255 && component.chars().all(allowed)
        };
        if text.len() <= 4000 && text.split('/').all(sound) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId::new(text, "relative path (letters, digits, '.', '_', '@', '-', no '..')"))
        }
    }
}

impl TryFrom<String> for RelativePath {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_label_in_braces_and_nothing_else() {
        assert_eq!(
            parts("EXPORT { Path = {path}; }"),
            vec![
                Part::Literal("EXPORT { Path = ".to_owned()),
                Part::Place("path".parse().expect("a label")),
                Part::Literal("; }".to_owned())
            ]
        );
        assert_eq!(parts("{"), vec![Part::Literal("{".to_owned())]);
        assert_eq!(parts(""), vec![]);
    }

    #[test]
    fn a_pattern_never_climbs() {
        for text in
            ["..", "a/..", "../{share}", "/etc", "a//b", "{share}/", ".", "{share}\n", "{other}", "a b", ""]
        {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
        for text in ["{share}", ".{share}.new", "{share}@{snapshot}", "sub/{share}", "..{share}"] {
            assert!(text.parse::<Pattern>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_filled_pattern_is_a_relative_path() {
        let names = Names { share: Some(crate::id::ShareInstanceId::random()), ..Names::default() };
        let pattern: Pattern = ".{share}.new".parse().expect("a pattern");
        let path = pattern.fill(&names).expect("the share is there");
        assert_eq!(path.as_str().parse(), Ok(path.clone()));
        assert_eq!("{share}@{snapshot}".parse::<Pattern>().expect("a pattern").fill(&names), None);
    }
}
