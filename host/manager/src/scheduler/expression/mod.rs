//! The language of filter and goodness functions (contract 4.11): what an operator or a driver says about where shares shall go.
//!
//! Manila's grammar, with its surprises mended where they can only be mistakes: a chain of `and` looks at every operand, a nested
//! `a ? b : c` does too, `and` and `or` stop as soon as they know, floating-point names are not cut to whole numbers, and a number that
//! grows beyond a double is an error instead of a scheduler that hangs. `not` binds more tightly than a comparison, as there.
//!
//! A text is parsed once, of at most 4 KiB, 64 levels and 1,000 parts; evaluating it allocates nothing but the texts it compares.

mod evaluate;
mod parse;

pub(crate) use evaluate::{Names, Value};

/// A parsed function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression(Node);

/// Why there is no result. The backend then does not pass the filter, or scores nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExpressionError {
    /// It is no expression.
    #[error("cannot be read at '{rest}': {expected}")]
    Syntax {
        /// What stands there, the beginning of it.
        rest: String,
        /// What should.
        expected: &'static str,
    },
    /// It is larger than any that a person writes.
    #[error("has more than {0}")]
    TooLarge(&'static str),
    /// A name that nobody knows.
    #[error("names '{0}', which is not known here")]
    UnknownName(String),
    /// A function that there is not.
    #[error("calls '{0}'; there are abs, max and min")]
    UnknownFunction(String),
    /// A function with too few or too many arguments.
    #[error("calls {name} with {found} arguments")]
    Arguments {
        /// Which.
        name: String,
        /// How many.
        found: usize,
    },
    /// Values that do not go together.
    #[error("{0}")]
    Type(&'static str),
    /// A division by zero, or a number beyond a double.
    #[error("{0}")]
    Arithmetic(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Number(f64),
    Text(String),
    Name {
        map: String,
        key: String,
    },
    Not(Box<Self>),
    Sign(Sign, Box<Self>),
    Arithmetic(Box<Self>, Arithmetic, Box<Self>),
    /// Each neighbouring pair is compared: `1 < 2 < 3`.
    Chain(Box<Self>, Vec<(Comparison, Self)>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Call {
        name: String,
        arguments: Vec<Self>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Power,
    Times,
    Over,
    Plus,
    Minus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

impl Expression {
    /// Read a function.
    pub(crate) fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::parse(text).map(Self)
    }

    /// What it comes to with these names.
    pub(crate) fn evaluate(&self, names: &impl Names) -> Result<Value, ExpressionError> {
        evaluate::evaluate(&self.0, names)
    }

    /// Whether a filter lets through. An error does not.
    pub(crate) fn passes(&self, names: &impl Names) -> Result<bool, ExpressionError> {
        self.evaluate(names).map(|value| value.is_true())
    }

    /// The score of a goodness function, 0 to 100: true is 100; what lies outside, no number and an error are 0.
    pub(crate) fn score(&self, names: &impl Names) -> f64 {
        match self.evaluate(names) {
            Ok(Value::Boolean(true)) => 100.0,
            Ok(Value::Number(score)) if (0.0..=100.0).contains(&score) => score,
            Ok(Value::Boolean(false) | Value::Number(_) | Value::Text(_)) | Err(_) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
