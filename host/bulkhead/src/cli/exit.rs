//! Exit codes: 0 done, 1 the user has to act, 2 something unexpected.

use super::printer::Printer;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

const USER: u8 = 1;
const UNEXPECTED: u8 = 2;

/// A failure that is not the user's to mend: marks an error for exit code 2.
#[derive(Debug)]
pub(crate) struct Unexpected {
    what: String,
    source: Box<dyn Error + Send + Sync>,
}

impl Unexpected {
    /// What failed, and why.
    pub(crate) fn error(
        what: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> anyhow::Error {
        anyhow::Error::new(Self { what: what.into(), source: source.into() })
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl Error for Unexpected {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Wrong usage; or help and version, which are no failure.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(USER) } else { ExitCode::SUCCESS }
}

/// Tell an error with its causes, hints last.
pub(super) fn failure(error: &anyhow::Error, printer: &Printer) -> ExitCode {
    printer.note(&told(error));
    ExitCode::from(if is_unexpected(error) { UNEXPECTED } else { USER })
}

fn is_unexpected(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Unexpected>() || cause.is::<serde_json::Error>() || cause.is::<tokio::task::JoinError>()
    })
}

/// The message, a line for each cause, and after a blank line every hint.
fn told(error: &anyhow::Error) -> String {
    let mut hints = Vec::new();
    let mut lines = Vec::new();
    for (depth, cause) in error.chain().enumerate() {
        let prefix = if depth == 0 { "error: " } else { "  because: " };
        let text = cause.to_string();
        let (own_hints, words): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("hint: "));
        hints.extend(own_hints.into_iter().map(str::to_owned));
        lines.push(format!("{prefix}{}", words.join("\n")));
    }
    if !hints.is_empty() {
        lines.push(String::new());
        lines.extend(hints);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn hints_stand_last_after_a_blank_line() {
        let error = Err::<(), _>(anyhow!("no such file\nhint: look elsewhere"))
            .context("cannot read it")
            .expect_err("fails");
        assert_eq!(told(&error), "error: cannot read it\n  because: no such file\n\nhint: look elsewhere");
    }

    #[test]
    fn only_what_the_user_cannot_mend_is_unexpected() {
        assert!(!is_unexpected(&anyhow!("no such share")));
        let error = Unexpected::error("no threads", std::io::Error::other("limit"));
        assert!(is_unexpected(&error.context("cannot start")));
    }
}
