//! `[[secret]]`, and what commands and requests capture.

use super::{below, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{AnswerKind, Capture, Manifest, SECURITY_SERVICE};
use bulkhead_model::suggestion::nearest;
use bulkhead_model::xml_path::XmlPath;
use std::collections::BTreeMap;

/// How many letters a secret has: enough to be random, few enough for whatever takes it.
const LENGTHS: std::ops::RangeInclusive<u32> = 8..=255;

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, secret) in manifest.secrets.iter().enumerate() {
        let at = |key: &str| steps!("secret", place, key);
        reason(&secret.reason, at("reason"), findings);
        if !LENGTHS.contains(&secret.length) {
            let message = format!("a secret has {} to {} letters", LENGTHS.start(), LENGTHS.end());
            findings.push(Finding::new(at("length"), message));
        }
        if secret.name.as_str() == SECURITY_SERVICE {
            findings.push(taken(at("name")));
        }
        if manifest.is_secret_option(secret.name.as_str()) {
            let message = format!("'{}' is an option of type secret already", secret.name);
            findings
                .push(Finding::new(at("name"), message).hint("a slot's `of` could not tell the two apart"));
        }
    }
    for (place, command) in manifest.commands.iter().enumerate() {
        let path = steps!("execute", place, "captures");
        captures(manifest, &command.captures, &path, findings);
    }
    for (place, request) in manifest.requests.iter().enumerate() {
        let path = steps!("request", place, "captures");
        captures(manifest, &request.captures, &path, findings);
        if !request.captures.is_empty() && request.answer == AnswerKind::File {
            let finding = Finding::new(path, "the answer goes into a file, so nothing is captured of it");
            findings.push(finding.hint("leave out either `captures` or `answer = \"file\"`"));
        }
    }
}

/// A name that a slot's `of` could not tell from the host's own.
pub(super) fn taken(path: Vec<Step>) -> Finding {
    let message = format!("'{SECURITY_SERVICE}' is what the passwords of security services are for");
    Finding::new(path, message).hint("choose another name")
}

fn captures(
    manifest: &Manifest,
    captures: &BTreeMap<Label, Capture>,
    path: &[Step],
    findings: &mut Vec<Finding>,
) {
    for (purpose, capture) in captures {
        let path = below!(path, purpose.as_str());
        if manifest.secret(purpose.as_str()).is_none() {
            findings.push(undeclared(manifest, purpose.as_str(), path.clone()));
        }
        captured(capture, &path, findings);
    }
}

fn undeclared(manifest: &Manifest, purpose: &str, path: Vec<Step>) -> Finding {
    let known = manifest.secrets.iter().map(|secret| secret.name.as_str());
    let finding = Finding::new(path, format!("the purpose '{purpose}' is not declared"));
    finding.hint(match nearest(purpose, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("[[secret]] name = \"{purpose}\" says what the secret is for"),
    })
}

fn captured(capture: &Capture, path: &[Step], findings: &mut Vec<Finding>) {
    let (key, text, error) = match capture {
        Capture::Line(text) => ("line", text, None),
        Capture::Json(text) => {
            ("json", text, (!text.starts_with('/')).then(|| "a JSON pointer begins with '/'".to_owned()))
        }
        Capture::Xml(text) => ("xml", text, text.parse::<XmlPath>().err().map(|error| error.to_string())),
    };
    if let Some(error) = error {
        findings.push(Finding::new(below!(path, key), error));
    }
    super::plain_text(text, below!(path, key), findings);
}
