//! Secrets in what commands print and requests are answered with: found as the template's `captures` say, and held for the call by
//! reference. From then on the redactor knows them, so that the output which the guest sees holds none.

use super::redactor::{Redactor, Secret};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::Capture;
use bulkhead_model::xml_path::XmlPath;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// An output, and what its template says of it. Not to be printed.
#[derive(Clone, Copy)]
pub(crate) struct Output<'output> {
    /// The template's name.
    pub(crate) template: &'output Label,
    /// Where secrets stand in it, by purpose.
    pub(crate) captures: &'output BTreeMap<Label, Capture>,
    /// The bytes that are kept of it.
    pub(crate) bytes: &'output [u8],
    /// Whether there were more.
    pub(crate) truncated: bool,
}

impl Output<'_> {
    /// The secrets in it.
    ///
    /// Fails with `io` if what stands where a secret should cannot be one, `limit-exceeded` if the output was cut: a secret that was cut is
    /// another one, and one behind the cut is not known.
    pub(crate) fn secrets(&self, redactor: &Redactor) -> Result<Vec<(Label, Secret)>, CapabilityError> {
        if self.truncated && !self.captures.is_empty() {
            return Err(CapabilityError::new(
                CapabilityCode::LimitExceeded,
                format!(
                    "the output of '{}' is longer than its `capture`, so what it holds of secrets is not known",
                    self.template
                ),
            ));
        }
        let mut found = Vec::new();
        for (purpose, capture) in self.captures {
            let text = match capture {
                Capture::Line(beginning) => line(self.bytes, beginning.as_bytes()),
                Capture::Json(pointer) => json(self.bytes, pointer),
                Capture::Xml(path) => self.xml(purpose, path)?,
            };
            let Some(text) = text else { continue };
            let secret = redactor.secret(text).map_err(|error| {
                CapabilityError::new(
                    CapabilityCode::Io,
                    format!("what '{}' gives as its '{purpose}' cannot be used: {error}", self.template),
                )
            })?;
            found.push((purpose.clone(), secret));
        }
        Ok(found)
    }

    /// The text at a path; none where nothing was printed. What cannot be read as a document may hold a secret that nobody knows.
    fn xml(&self, purpose: &Label, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CapabilityError> {
        if self.bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let unread = |reason: &dyn fmt::Display| {
            CapabilityError::new(
                CapabilityCode::Io,
                format!(
                    "the '{purpose}' at {path} in what '{}' gives cannot be read: {reason}",
                    self.template
                ),
            )
        };
        let path: XmlPath = path.parse().map_err(|error| unread(&error))?;
        let found = crate::xml::find(self.bytes, &path).map_err(|error| unread(&error))?;
        Ok(found.map(|text| Zeroizing::new(text.as_bytes().to_vec())))
    }
}

/// The rest of the first line that begins so, blanks around it aside.
fn line(output: &[u8], beginning: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = output.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let rest = lines.find_map(|line| line.trim_ascii_start().strip_prefix(beginning.trim_ascii_start()))?;
    Some(Zeroizing::new(rest.trim_ascii().to_vec()))
}

/// The text at a pointer. The tree is not overwritten when it is dropped: what parses JSON makes copies of its own.
fn json(output: &[u8], pointer: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value: Value = serde_json::from_slice(output).ok()?;
    let text = value.pointer(pointer)?.as_str()?;
    Some(Zeroizing::new(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(found: Option<Zeroizing<Vec<u8>>>) -> Option<String> {
        found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_line_is_found_by_its_beginning_and_json_by_a_pointer() {
        let output = b"[client.blue]\n\tkey = AQD1==  \n\tcaps = all\n";
        assert_eq!(text(line(output, b"key = ")).as_deref(), Some("AQD1=="));
        assert_eq!(text(line(b"\n  AQD2==\n", b"")).as_deref(), Some("AQD2=="));
        assert_eq!(text(line(output, b"secret = ")), None);
        let output = br#"[{"entity": "client.blue", "key": "AQD3=="}]"#;
        assert_eq!(text(json(output, "/0/key")).as_deref(), Some("AQD3=="));
        assert_eq!(text(json(output, "/1/key")), None);
        assert_eq!(text(json(b"no JSON", "/0/key")), None);
    }

    #[test]
    fn a_key_in_xml_is_found_and_a_document_that_cannot_be_read_is_told() {
        let (template, purpose): (Label, Label) =
            ("print".parse().expect("a label"), "key".parse().expect("a label"));
        let captures = BTreeMap::from([(purpose, Capture::Xml("/keys/blue/@key".to_owned()))]);
        let redactor = Redactor::default();
        let secrets = |bytes: &[u8]| {
            let output = Output { template: &template, captures: &captures, bytes, truncated: false };
            output.secrets(&redactor)
        };
        let printed = b"<keys><blue key='AQD4&amp;=='/></keys>";
        let found = secrets(printed).expect("found");
        assert_eq!(found[0].1.expose(), b"AQD4&==");
        assert_eq!(&*redactor.redact_bytes(printed), b"<keys><blue key='[secret]'/></keys>");
        for nothing in ["", " \n", "<keys/>", "<keys><red key='AQD5=='/></keys>"] {
            assert!(secrets(nothing.as_bytes()).expect("nothing to find").is_empty(), "{nothing}");
        }
        for unread in ["<keys>", "AQD6==", "<keys><blue key='AQD7=='/><blue key='AQD8=='/></keys>"] {
            let error = secrets(unread.as_bytes()).expect_err("cannot be read");
            assert_eq!(error.code, CapabilityCode::Io);
            assert!(!error.message.contains("AQD"), "{error}");
        }
    }

    #[test]
    fn of_an_output_that_was_cut_nothing_is_taken_for_a_secret() {
        let (template, purpose): (Label, Label) =
            ("print".parse().expect("a label"), "key".parse().expect("a label"));
        let captures = BTreeMap::from([(purpose, Capture::Line("key = ".to_owned()))]);
        let output =
            Output { template: &template, captures: &captures, bytes: b"key = AQD1", truncated: true };
        let error = output.secrets(&Redactor::default()).expect_err("cut");
        assert_eq!(error.code, CapabilityCode::LimitExceeded);
        let none = BTreeMap::new();
        let output = Output { captures: &none, ..output };
        assert!(output.secrets(&Redactor::default()).expect("nothing to find").is_empty());
    }
}
