//! The filter and goodness functions of a backend: the operator's, else the driver's (contract 3.15).

use super::expression::{Expression, ExpressionError};
use crate::view::BackendDescription;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_sandbox::Driver;
use std::fmt;
use std::str::FromStr;

/// A filter or goodness function as somebody wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    text: String,
    pub(super) expression: Expression,
}

impl FromStr for Function {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned(), expression: Expression::parse(text)? })
    }
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What decides beside room and capabilities whether shares go to a backend.
#[derive(Debug, Clone, Default)]
pub(crate) struct Functions {
    /// Lets through or refuses; one that cannot be read refuses everything. None lets everything through.
    pub(super) filter: Option<Result<Function, ExpressionError>>,
    /// Scores 0 to 100; none scores 0.
    pub(super) goodness: Option<Function>,
}

impl Functions {
    /// The operator's functions, and for those that are missing what the driver has for them. Called at set-up.
    pub(crate) async fn find(
        description: &BackendDescription,
        driver: &dyn Driver,
        reason: &CallReason,
    ) -> Result<Self, CallError> {
        let filter = match &description.filter_function {
            Some(function) => Some(Ok(function.clone())),
            None => read(driver.default_filter_function(reason).await)?,
        };
        let goodness = match &description.goodness_function {
            Some(function) => Some(Ok(function.clone())),
            None => read(driver.default_goodness_function(reason).await)?,
        };
        let goodness = goodness.transpose().unwrap_or_else(|error| {
            tracing::warn!(
                backend.name = %description.name, "the driver's goodness function {error}; every pool scores 0"
            );
            None
        });
        Ok(Self { filter, goodness })
    }
}

type Read = Option<Result<Function, ExpressionError>>;

/// An empty text is no function, as in Manila.
fn read(answer: Result<Option<String>, CallError>) -> Result<Read, CallError> {
    match answer {
        Ok(text) => Ok(text.filter(|text| !text.trim().is_empty()).map(|text| text.parse())),
        Err(error) if error.is_not_implemented() => Ok(None),
        Err(error) => Err(error),
    }
}
