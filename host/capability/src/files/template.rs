//! Named file templates: literal text of the manifest with checked values at its places, in the format's own writing. Pure.

use crate::encode::{Place, print};
use crate::slot::Filled;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{FileFormat, FileTemplate};
use bulkhead_model::pattern::{Part, parts};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// The longest text a template may become, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

/// The text of a template with its slots filled. A file of lines ends with a line end; a JSON text is one.
///
/// Fails with `invalid-argument`, `limit-exceeded`.
pub(super) fn render(
    template: &FileTemplate,
    filled: &BTreeMap<Label, Filled>,
) -> Result<String, CapabilityError> {
    let place = |before: &str| match template.format {
        FileFormat::Lines => Place::Lines,
        FileFormat::Json => Place::Json,
        // No value brings a quote that is not closed again, so that counting tells whether the template opened one.
        FileFormat::Ganesha if before.matches('"').count() % 2 == 1 => Place::GaneshaQuotes,
        FileFormat::Ganesha => Place::Ganesha,
    };
    let mut text = String::new();
    for part in parts(&template.text) {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Place(label) => {
                let value = filled.get(&label).ok_or_else(|| {
                    invalid(format!(
                        "the text of template '{}' names the slot '{label}', which it does not declare",
                        template.name
                    ))
                })?;
                let printed = print(value, place(&text))?;
                text.push_str(&printed);
            }
        }
    }
    match template.format {
        FileFormat::Lines if !text.ends_with('\n') => text.push('\n'),
        FileFormat::Lines | FileFormat::Ganesha => {}
        FileFormat::Json => {
            serde_json::from_str::<IgnoredAny>(&text).map_err(|error| {
                invalid(format!("template '{}' does not become JSON: {error}", template.name))
            })?;
        }
    }
    if text.len() > LONGEST {
        return Err(CapabilityError::new(
            CapabilityCode::LimitExceeded,
            format!("template '{}' becomes {} bytes, more than {LONGEST}", template.name, text.len()),
        ));
    }
    Ok(text)
}

fn invalid(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::InvalidArgument, message)
}
