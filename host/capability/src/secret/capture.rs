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
                Capture::Json(pointer) => self.json(purpose, pointer)?,
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

    /// The text or number at a pointer; none where nothing was printed. What cannot be read may hold a secret that nobody knows. The tree
    /// is not overwritten when it is dropped: what parses JSON makes copies of its own.
    fn json(&self, purpose: &Label, pointer: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CapabilityError> {
        if self.bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let at = (purpose, pointer);
        // What the parser says may hold what stands there.
        let value: Value =
            serde_json::from_slice(self.bytes).map_err(|_| self.unread(at, &"it is no JSON"))?;
        let text = match value.pointer(pointer) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.as_bytes().to_vec(),
            Some(Value::Number(number)) => number.to_string().into_bytes(),
            Some(_) => return Err(self.unread(at, &"it is neither a text nor a number")),
        };
        Ok(Some(Zeroizing::new(text)))
    }

    /// The text at a path, as [`Self::json`].
    fn xml(&self, purpose: &Label, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, CapabilityError> {
        if self.bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        let at = (purpose, path);
        let path: XmlPath = path.parse().map_err(|error| self.unread(at, &error))?;
        let found = crate::xml::find(self.bytes, &path).map_err(|error| self.unread(at, &error))?;
        Ok(found.map(|text| Zeroizing::new(text.as_bytes().to_vec())))
    }

    fn unread(&self, (purpose, place): (&Label, &str), reason: &dyn fmt::Display) -> CapabilityError {
        let template = self.template;
        let message =
            format!("the '{purpose}' at {place} in what '{template}' gives cannot be read: {reason}");
        CapabilityError::new(CapabilityCode::Io, message)
    }
}

/// The rest of the first line that begins so, blanks around it aside.
fn line(output: &[u8], beginning: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = output.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let rest = lines.find_map(|line| line.trim_ascii_start().strip_prefix(beginning.trim_ascii_start()))?;
    Some(Zeroizing::new(rest.trim_ascii().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(found: Option<Zeroizing<Vec<u8>>>) -> Option<String> {
        found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_line_is_found_by_its_beginning() {
        let output = b"[client.blue]\n\tkey = AQD1==  \n\tcaps = all\n";
        assert_eq!(text(line(output, b"key = ")).as_deref(), Some("AQD1=="));
        assert_eq!(text(line(b"\n  AQD2==\n", b"")).as_deref(), Some("AQD2=="));
        assert_eq!(text(line(output, b"secret = ")), None);
    }

    /// What is captured at this place of `bytes`.
    fn captured(capture: &Capture, bytes: &[u8]) -> Result<Option<String>, CapabilityError> {
        let (template, purpose): (Label, Label) =
            ("print".parse().expect("a label"), "key".parse().expect("a label"));
        let captures = BTreeMap::from([(purpose, capture.clone())]);
        let output = Output { template: &template, captures: &captures, bytes, truncated: false };
        let found = output.secrets(&Redactor::default())?;
        Ok(found.first().map(|(_, secret)| String::from_utf8_lossy(secret.expose()).into_owned()))
    }

    #[test]
    fn a_text_or_number_in_json_is_found_by_a_pointer_and_what_cannot_be_read_is_told() {
        let at = Capture::Json("/0/key".to_owned());
        let read = |output: &str| captured(&at, output.as_bytes());
        assert_eq!(read(r#"[{"entity": "client.blue", "key": "AQD3=="}]"#), Ok(Some("AQD3==".to_owned())));
        assert_eq!(
            read(r#"[{"key": 1234567}]"#),
            Ok(Some("1234567".to_owned())),
            "a number is no less a secret"
        );
        for nothing in [
            "",
            "
",
            "[]",
            r#"[{"key": null}]"#,
        ] {
            assert_eq!(read(nothing), Ok(None), "{nothing}");
        }
        for unread in ["AQD3==", r#"[{"key": "AQD3=="}] and more"#, r#"[{"key": ["AQD3=="]}]"#] {
            let error = read(unread).expect_err("cannot be read");
            assert_eq!(error.code, CapabilityCode::Io);
            assert!(!error.message.contains("AQD"), "{error}");
        }
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
