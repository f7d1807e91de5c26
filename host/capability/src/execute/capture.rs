//! Secrets in what a command printed: found as its template's `captures` say, and held for the call by reference. From then on the
//! redactor knows them, so that the output which the guest sees holds none.

use super::policy::Allowed;
use crate::call::Call;
use crate::secret::{Redactor, Secret};
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{Capture, CommandTemplate};
use serde_json::Value;
use zeroize::Zeroizing;

/// Hold what the command or pipeline that has `ended` captured; nothing if it failed. Replaces what the one before captured.
///
/// Answers what the output holds, also of one that failed: while that is alive the redactor knows it.
///
/// Fails with `io` if what stands where a secret should cannot be one.
pub(super) fn hold(
    call: &Call,
    allowed: &Allowed<'_>,
    ended: &[(Label, Finished)],
) -> Result<Vec<Secret>, CapabilityError> {
    let succeeded = ended.iter().all(|(_, finished)| finished.ending == Ending::Exited(0));
    let mut captured = Vec::new();
    for (stage, (_, finished)) in allowed.stages.iter().zip(ended) {
        match of(stage.template, finished, call.backend().redactor()) {
            Ok(found) => captured.extend(found),
            Err(error) if succeeded => return Err(error),
            // The failure of the command itself is what has to be told.
            Err(_) => {}
        }
    }
    let alive = captured.iter().map(|(_, secret)| secret.clone()).collect();
    call.held_secrets().capture(if succeeded { captured } else { Vec::new() })?;
    Ok(alive)
}

fn of(
    template: &CommandTemplate,
    finished: &Finished,
    redactor: &Redactor,
) -> Result<Vec<(Label, Secret)>, CapabilityError> {
    let mut found = Vec::new();
    for (purpose, capture) in &template.captures {
        let text = match capture {
            Capture::Line(beginning) => line(&finished.stdout, beginning.as_bytes()),
            Capture::Json(pointer) => json(&finished.stdout, pointer),
        };
        let Some(text) = text else { continue };
        let secret = redactor.secret(text).map_err(|error| {
            CapabilityError::new(
                CapabilityCode::Io,
                format!("what '{}' printed as its '{purpose}' cannot be used: {error}", template.name),
            )
        })?;
        found.push((purpose.clone(), secret));
    }
    Ok(found)
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
}
