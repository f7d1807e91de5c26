//! What a check finds out.

use bulkhead_model::error::CallError;
use std::error::Error;
use std::fmt;

/// Why a check did not simply succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The sentence does not hold: what was seen.
    Broken(String),
    /// Nobody can tell: what would have to be so.
    Unjudged(String),
}

/// How a check ends that did not find out that its sentence holds.
pub(crate) type Found<T = ()> = Result<T, Finding>;

pub(crate) fn broken<T>(what: impl Into<String>) -> Found<T> {
    Err(Finding::Broken(what.into()))
}

pub(crate) fn unjudged<T>(why: impl Into<String>) -> Found<T> {
    Err(Finding::Unjudged(why.into()))
}

/// Fails with `what` unless it is so.
#[expect(clippy::fn_params_excessive_bools, reason = "a condition is all that is asked")]
pub(crate) fn require(is_so: bool, what: impl FnOnce() -> String) -> Found {
    if is_so { Ok(()) } else { broken(what()) }
}

/// What to make of a driver call that failed.
pub(crate) trait Judge<T> {
    /// The call is the one that is judged: that it fails breaks the sentence.
    fn judge(self, what: impl fmt::Display) -> Found<T>;

    /// The call only prepares what is judged, and has its own check.
    fn prepare(self, what: impl fmt::Display) -> Found<T>;
}

impl<T> Judge<T> for Result<T, CallError> {
    fn judge(self, what: impl fmt::Display) -> Found<T> {
        self.map_err(|error| Finding::Broken(format!("{what} failed: {}", told(&error))))
    }

    fn prepare(self, what: impl fmt::Display) -> Found<T> {
        self.map_err(|error| {
            Finding::Unjudged(format!("{what} failed, which has to come before: {}", told(&error)))
        })
    }
}

/// An error with its causes in one line.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
