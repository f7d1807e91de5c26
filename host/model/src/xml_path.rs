//! Where something stands in an XML document: `/answer/session/token`, or `/answer/session/@token` for an attribute.

use std::fmt;
use std::str::FromStr;

/// The most elements that a path names.
const MOST_STEPS: usize = 32;
/// The longest path, in bytes.
const LONGEST: usize = 255;

/// A path from the outermost element to an element or one of its attributes. Names are local ones: prefixes of namespaces are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlPath {
    elements: Vec<String>,
    attribute: Option<String>,
}

/// A text that is no such path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a path in XML is '/' and the name of each element from the outermost, without prefixes, at most {MOST_STEPS} of them and {LONGEST} \
     bytes; it may end with '/@' and the name of an attribute: \"/answer/session/@token\""
)]
pub struct InvalidXmlPath;

impl XmlPath {
    /// The names of the elements, from the outermost; at least one.
    #[must_use]
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// The attribute of the last element that is meant; none: its text.
    #[must_use]
    pub fn attribute(&self) -> Option<&str> {
        self.attribute.as_deref()
    }
}

impl fmt::Display for XmlPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements.iter().try_for_each(|name| write!(formatter, "/{name}"))?;
        self.attribute.iter().try_for_each(|name| write!(formatter, "/@{name}"))
    }
}

impl FromStr for XmlPath {
    type Err = InvalidXmlPath;

    fn from_str(text: &str) -> Result<Self, InvalidXmlPath> {
        let (steps, attribute) = match text.rsplit_once("/@") {
            Some((steps, attribute)) => (steps, Some(attribute.to_owned())),
            None => (text, None),
        };
        let steps = steps.strip_prefix('/').ok_or(InvalidXmlPath)?;
        let elements: Vec<String> = steps.split('/').map(str::to_owned).collect();
        let is_short = text.len() <= LONGEST && elements.len() <= MOST_STEPS;
        if is_short && elements.iter().chain(&attribute).all(|name| is_name(name)) {
            Ok(Self { elements, attribute })
        } else {
            Err(InvalidXmlPath)
        }
    }
}

/// A name of ASCII letters, digits, `.`, `_` and `-`, not beginning as a number or a sign.
fn is_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_elements_from_the_outermost_and_perhaps_an_attribute() {
        for (text, elements, attribute) in [
            ("/token", "token", None),
            ("/answer/session.v2/_token-1", "answer session.v2 _token-1", None),
            ("/answer/session/@id", "answer session", Some("id")),
        ] {
            let path: XmlPath = text.parse().expect(text);
            assert_eq!(
                (path.elements().join(" "), path.attribute()),
                (elements.to_owned(), attribute),
                "{text}"
            );
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_an_example() {
        let deep = "/a".repeat(MOST_STEPS + 1);
        let long = format!("/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "/",
            "token",
            "//token",
            "/token/",
            "/@id",
            "/a/@",
            "/a/@id/b",
            "/a/@b/@c",
            "/soap:Body",
            "/a[1]",
            "/a/*",
            "/a/text()",
            "/1a",
            "/ä",
            deep.as_str(),
            long.as_str(),
        ] {
            let error = text.parse::<XmlPath>().expect_err(text);
            assert!(error.to_string().contains("/answer/session/@token"), "{error}");
        }
    }
}
