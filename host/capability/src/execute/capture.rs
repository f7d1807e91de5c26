//! Secrets in what the commands of a pipeline printed.

use super::policy::Allowed;
use crate::call::Call;
use crate::secret::{Output, Secret};
use bulkhead_helper::protocol::{Ending, Finished};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::id::Label;

/// Hold what the command or pipeline that has `ended` captured; nothing if it failed. Replaces what the one before captured.
///
/// Answers what the output holds, also of one that failed: while that is alive the redactor knows it.
///
/// Fails as [`Output::secrets`] does.
pub(super) fn hold(
    call: &Call,
    allowed: &Allowed<'_>,
    ended: &[(Label, Finished)],
) -> Result<Vec<Secret>, CapabilityError> {
    let succeeded = ended.iter().all(|(_, finished)| finished.ending == Ending::Exited(0));
    let mut captured = Vec::new();
    for (stage, (_, finished)) in allowed.stages.iter().zip(ended) {
        let output = Output {
            template: &stage.template.name,
            captures: &stage.template.captures,
            bytes: &finished.stdout,
            truncated: finished.truncated,
        };
        match output.secrets(call.redactor()) {
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
