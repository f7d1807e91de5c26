//! A failed call, as journals and views keep it.

use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::operation::OperationFailure;
use bulkhead_model::text::GuestText;
use std::error::Error;

/// The failure with a stable word, the blame and the whole chain of reasons. For operators: it carries the driver's text, cleaned.
pub(crate) fn describe(error: &CallError) -> OperationFailure {
    let code = match error {
        CallError::Answered(answered) => word(answered.code),
        CallError::NotExported { .. } => "not-implemented".to_owned(),
        CallError::Trapped { .. } => "trapped".to_owned(),
        CallError::DeadlineExceeded { .. } => "deadline-exceeded".to_owned(),
        CallError::LimitExceeded { .. } => "limit-exceeded".to_owned(),
        CallError::InvalidAnswer { .. } => "invalid-answer".to_owned(),
        CallError::Host { .. } => "host".to_owned(),
    };
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    OperationFailure { code, blame: error.blame(), message: GuestText::message(&message).to_string() }
}

fn word(code: DriverErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "internal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::error::{Blame, DriverError};

    #[test]
    fn a_drivers_answer_keeps_its_code_its_blame_and_its_cleaned_words() {
        let failure = describe(&CallError::Answered(DriverError {
            code: DriverErrorCode::NoSpace,
            message: GuestText::message("pool\nfull"),
            detail: None,
        }));
        assert_eq!(failure.code, "no-space");
        assert_eq!(failure.blame, Blame::Backend);
        assert!(failure.message.ends_with(": pool\\u{a}full"), "{}", failure.message);
    }
}
