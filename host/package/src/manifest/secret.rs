//! `[[secret]]`, and what commands capture.

use super::{below, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::manifest::{Capture, Manifest};
use bulkhead_model::suggestion::nearest;

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
        if manifest.is_secret_option(secret.name.as_str()) {
            let message = format!("'{}' is an option of type secret already", secret.name);
            findings
                .push(Finding::new(at("name"), message).hint("a slot's `of` could not tell the two apart"));
        }
    }
    for (place, command) in manifest.commands.iter().enumerate() {
        for (purpose, capture) in &command.captures {
            let path = steps!("execute", place, "captures", purpose.as_str());
            if manifest.secret(purpose.as_str()).is_none() {
                findings.push(undeclared(manifest, purpose.as_str(), path.clone()));
            }
            captured(capture, &path, findings);
        }
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
    let (key, text, sound, wanted) = match capture {
        Capture::Line(text) => ("line", text, true, ""),
        Capture::Json(text) => ("json", text, text.starts_with('/'), "a JSON pointer begins with '/'"),
    };
    if !sound {
        findings.push(Finding::new(below!(path, key), wanted));
    }
    super::plain_text(text, below!(path, key), findings);
}
