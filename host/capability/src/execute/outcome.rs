//! From the end of a command to what the guest sees. Pure.

use super::Output;
use bulkhead_helper::protocol::{Ending, FLOOD_BYTES, Finished, STANDARD_ERROR_BYTES};
use bulkhead_model::error::{CapabilityCode, CapabilityError, CommandExit};
use bulkhead_model::id::Label;
use bulkhead_model::text::GuestText;

/// How much of standard error stands in a failure's message, in bytes.
const MESSAGE_BYTES: usize = 512;

/// The signal of a command whose reader has ended: never the cause of a pipeline's failure.
const BROKEN_PIPE: i32 = 13;

/// The output of the last stage if all left with 0; else the failure of the first that failed by itself: neither because its reader had
/// ended, nor because the helper ended it when another failed.
pub(super) fn judge_all(ended: Vec<(Label, Finished)>) -> Result<Output, CapabilityError> {
    let failed = |finished: &Finished| finished.ending != Ending::Exited(0);
    let cause = |finished: &Finished| {
        failed(finished) && !matches!(finished.ending, Ending::Signalled(BROKEN_PIPE) | Ending::Cancelled)
    };
    let first = ended.iter().position(|(_, finished)| cause(finished));
    let chosen = first.or_else(|| ended.iter().position(|(_, finished)| failed(finished)));
    let chosen = chosen.unwrap_or_else(|| ended.len().saturating_sub(1));
    match ended.into_iter().nth(chosen) {
        Some((name, finished)) => judge(&name, finished),
        None => Err(CapabilityError::new(CapabilityCode::Io, "the helper told of no command that ended")),
    }
}

/// The output of a command that left with 0, or the failure that any other end is.
pub(super) fn judge(name: &Label, finished: Finished) -> Result<Output, CapabilityError> {
    let failure = |code, message: String| Err(CapabilityError::new(code, message));
    match finished.ending {
        Ending::Exited(0) => Ok(Output {
            stderr: clean(&finished.stderr),
            stdout: finished.stdout,
            truncated: finished.truncated,
            duration_ms: finished.duration_ms,
        }),
        Ending::Exited(code) => Err(exit(name, (Some(code), None), finished)),
        Ending::Signalled(signal) => Err(exit(name, (None, Some(signal)), finished)),
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

fn exit(
    name: &Label,
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
        message: format!("'{name}' ended with {how}: {said}"),
        exit: Some(CommandExit { exit_code, signal, stdout: finished.stdout, stderr }),
    }
}

/// Line ends stay; everything else that could steer a terminal is escaped, and the whole is cut.
pub(crate) fn clean(bytes: &[u8]) -> String {
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
    use super::super::provider::RunError;
    use super::*;

    fn copy() -> Label {
        "copy".parse().expect("a label")
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
        let output = judge(&copy(), finished(Ending::Exited(0))).expect("a success");
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
            let error = judge(&copy(), finished(ending)).expect_err("a failure");
            assert_eq!(error.code, code, "{ending:?}");
            assert_eq!(error.exit.is_some(), code == CapabilityCode::CommandFailed);
        }
    }

    #[test]
    fn a_pipeline_fails_with_the_stage_that_broke_it_and_succeeds_with_its_last() {
        let named = |name: &str, ending| (name.parse().expect("a label"), finished(ending));
        let (sent, received) = (named("send", Ending::Exited(0)), named("receive", Ending::Exited(0)));
        assert!(judge_all(vec![sent.clone(), received.clone()]).is_ok());
        for (stages, first) in [
            (vec![named("send", Ending::Exited(1)), named("receive", Ending::Exited(2))], "'send'"),
            (vec![named("send", Ending::Signalled(13)), named("receive", Ending::Exited(2))], "'receive'"),
            (vec![named("send", Ending::Signalled(13)), received], "'send'"),
            (vec![named("send", Ending::Cancelled), named("receive", Ending::Exited(2))], "'receive'"),
            (vec![named("send", Ending::Exited(1)), named("receive", Ending::Cancelled)], "'send'"),
            (vec![named("send", Ending::Cancelled), named("receive", Ending::Cancelled)], "'send'"),
            (vec![sent, named("receive", Ending::TimedOut)], "'receive'"),
        ] {
            let error = judge_all(stages).expect_err("a failure");
            assert!(error.message.contains(first), "{}", error.message);
        }
        assert!(judge_all(Vec::new()).is_err());
    }

    #[test]
    fn a_lost_helper_is_not_a_failed_command() {
        let lost = RunError::OutcomeUnknown { reason: "it was killed".to_owned() };
        assert_eq!(CapabilityError::from(lost).code, CapabilityCode::OutcomeUnknown);
        let away = RunError::Unavailable { reason: "it is not there".to_owned() };
        assert_eq!(CapabilityError::from(away).code, CapabilityCode::Unavailable);
    }

    #[test]
    fn standard_error_keeps_its_lines_and_nothing_that_steers_a_terminal() {
        assert_eq!(clean(b"one\n\x1b[31mtwo\xff\n"), "one\n\\u{1b}[31mtwo\u{fffd}\n");
        assert!(clean(&vec![b'x'; 200_000]).len() <= (64 << 10) + 3);
    }
}
