//! From the end of a command to what the guest sees. Pure.

use super::Output;
use super::provider::RunError;
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished, STANDARD_ERROR_BYTES};
use bulkhead_model::error::{CapabilityCode, CapabilityError, CommandExit};
use bulkhead_model::manifest::CommandTemplate;
use bulkhead_model::text::GuestText;

/// How much of standard error stands in a failure's message, in bytes.
const MESSAGE_BYTES: usize = 512;

/// The output of a command that left with 0, or the failure that any other end is.
pub(super) fn judge(
    template: &CommandTemplate,
    ended: Result<Finished, RunError>,
) -> Result<Output, CapabilityError> {
    let name = &template.name;
    let finished = ended.map_err(failed)?;
    let failure = |code, message: String| Err(CapabilityError::new(code, message));
    match finished.ending {
        Ending::Exited(0) => Ok(Output {
            stderr: clean(&finished.stderr),
            stdout: finished.stdout,
            truncated: finished.truncated,
            duration_ms: finished.duration_ms,
        }),
        Ending::Exited(code) => Err(exit(template, (Some(code), None), finished)),
        Ending::Signalled(signal) => Err(exit(template, (None, Some(signal)), finished)),
        Ending::LimitExceeded => failure(
            CapabilityCode::LimitExceeded,
            format!("'{name}' broke its limit of processor time or file size and was ended"),
        ),
        Ending::TimedOut | Ending::Cancelled => failure(
            CapabilityCode::TimedOut,
            format!("'{name}' was ended with everything it started after {} ms", finished.duration_ms),
        ),
        Ending::Flooded => failure(
            CapabilityCode::LimitExceeded,
            format!("'{name}' wrote more than {FLOOD_BYTES} bytes and was ended"),
        ),
        Ending::KillPending => failure(
            CapabilityCode::OutcomeUnknown,
            format!("'{name}' was killed, but the kernel has not let go of it: a device does not answer"),
        ),
    }
}

fn failed(error: RunError) -> CapabilityError {
    match error {
        RunError::Refused(refusal) => refusal.into(),
        RunError::Unavailable { .. } => CapabilityError::new(CapabilityCode::Unavailable, error.to_string()),
        RunError::OutcomeUnknown { .. } => {
            CapabilityError::new(CapabilityCode::OutcomeUnknown, error.to_string())
        }
    }
}

fn exit(
    template: &CommandTemplate,
    (exit_code, signal): (Option<i32>, Option<i32>),
    finished: Finished,
) -> CapabilityError {
    let how = match (exit_code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    let stderr = clean(&finished.stderr);
    let said = GuestText::new(stderr.trim(), MESSAGE_BYTES);
    CapabilityError {
        code: CapabilityCode::CommandFailed,
        message: format!("'{}' ended with {how}: {said}", template.name),
        exit: Some(CommandExit { exit_code, signal, stdout: finished.stdout, stderr }),
    }
}

/// Line ends stay; everything else that could steer a terminal is escaped, and the whole is cut.
fn clean(bytes: &[u8]) -> String {
    let limit = usize::try_from(STANDARD_ERROR_BYTES).unwrap_or(usize::MAX);
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::new();
    for line in text.split_inclusive('\n') {
        let room = limit.saturating_sub(clean.len());
        if room == 0 {
            break;
        }
        clean.push_str(GuestText::new(line.trim_end_matches('\n'), room).as_str());
        if line.ends_with('\n') {
            clean.push('\n');
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> CommandTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "copy", "reason": "a test", "effect": "read", "repeat": "safe", "program": "cp",
        }))
        .expect("a template")
    }

    fn finished(ending: Ending) -> Finished {
        Finished {
            ending,
            stdout: b"out".to_vec(),
            stderr: b"cp: no\n".to_vec(),
            truncated: true,
            duration_ms: 7,
        }
    }

    #[test]
    fn only_exit_code_0_is_a_success() {
        let output = judge(&template(), Ok(finished(Ending::Exited(0)))).expect("a success");
        assert_eq!((output.stdout.as_slice(), output.stderr.as_str()), (b"out".as_slice(), "cp: no\n"));
        assert_eq!((output.truncated, output.duration_ms), (true, 7));
        for (ending, code) in [
            (Ending::Exited(1), CapabilityCode::CommandFailed),
            (Ending::Signalled(9), CapabilityCode::CommandFailed),
            (Ending::LimitExceeded, CapabilityCode::LimitExceeded),
            (Ending::TimedOut, CapabilityCode::TimedOut),
            (Ending::Cancelled, CapabilityCode::TimedOut),
            (Ending::Flooded, CapabilityCode::LimitExceeded),
            (Ending::KillPending, CapabilityCode::OutcomeUnknown),
        ] {
            let error = judge(&template(), Ok(finished(ending))).expect_err("a failure");
            assert_eq!(error.code, code, "{ending:?}");
            assert_eq!(error.exit.is_some(), code == CapabilityCode::CommandFailed);
        }
    }

    #[test]
    fn a_lost_helper_is_not_a_failed_command() {
        let lost = RunError::OutcomeUnknown { reason: "it was killed".to_owned() };
        assert_eq!(
            judge(&template(), Err(lost)).expect_err("a failure").code,
            CapabilityCode::OutcomeUnknown
        );
        let away = RunError::Unavailable { reason: "it is not there".to_owned() };
        assert_eq!(judge(&template(), Err(away)).expect_err("a failure").code, CapabilityCode::Unavailable);
    }

    #[test]
    fn standard_error_keeps_its_lines_and_nothing_that_steers_a_terminal() {
        assert_eq!(clean(b"one\n\x1b[31mtwo\xff\n"), "one\n\\u{1b}[31mtwo\u{fffd}\n");
        assert!(clean(&vec![b'x'; 200_000]).len() <= (64 << 10) + 3);
    }
}
