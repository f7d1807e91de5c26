//! What an expression comes to.

use super::{Arithmetic, Comparison, ExpressionError, Node, Sign};
use std::cmp::Ordering;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Text(String),
    Boolean(bool),
}

/// Who knows what names stand for.
pub(crate) trait Names {
    /// The value of `map.key`; none if there is none. A text that is a number counts as one.
    fn value(&self, map: &str, key: &str) -> Option<Value>;
}

impl Value {
    /// A text as names have it: a number where it is one.
    pub(crate) fn of_text(text: &str) -> Self {
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// Zero, an empty text and false are not.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Boolean(boolean) => *boolean,
        }
    }

    fn number(&self) -> Result<f64, ExpressionError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Boolean(boolean) => Ok(f64::from(u8::from(*boolean))),
            Self::Text(_) => Err(ExpressionError::Type("calculates with a text")),
        }
    }

    /// None where a text meets a number.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Text(_), _) | (_, Self::Text(_)) => None,
            _ => self.number().ok()?.partial_cmp(&other.number().ok()?),
        }
    }
}

pub(super) fn evaluate(node: &Node, names: &impl Names) -> Result<Value, ExpressionError> {
    Ok(match node {
        Node::Number(number) if number.is_finite() => Value::Number(*number),
        Node::Number(_) => return Err(ExpressionError::Arithmetic("has a number that is too large")),
        Node::Text(text) => Value::Text(text.clone()),
        Node::Name { map, key } => {
            names.value(map, key).ok_or_else(|| ExpressionError::UnknownName(format!("{map}.{key}")))?
        }
        Node::Not(operand) => Value::Boolean(!evaluate(operand, names)?.is_true()),
        Node::Sign(sign, operand) => {
            let number = evaluate(operand, names)?.number()?;
            Value::Number(if *sign == Sign::Minus { -number } else { number })
        }
        Node::Arithmetic(left, operator, right) => {
            let (left, right) = (evaluate(left, names)?.number()?, evaluate(right, names)?.number()?);
            calculate(left, *operator, right)?
        }
        Node::Chain(first, rest) => chain(first, rest, names)?,
        Node::Choice(condition, then, otherwise) => {
            let chosen = if evaluate(condition, names)?.is_true() { then } else { otherwise };
            evaluate(chosen, names)?
        }
        Node::All(operands) => first_that(operands, |value| !value.is_true(), names)?,
        Node::Any(operands) => first_that(operands, Value::is_true, names)?,
        Node::Call { name, arguments } => Value::Number(call(name, arguments, names)?),
    })
}

fn calculate(left: f64, operator: Arithmetic, right: f64) -> Result<Value, ExpressionError> {
    let result = match operator {
        Arithmetic::Power => left.powf(right),
        Arithmetic::Times => left * right,
        Arithmetic::Over if right == 0.0 => return Err(ExpressionError::Arithmetic("divides by zero")),
        Arithmetic::Over => left / right,
        Arithmetic::Plus => left + right,
        Arithmetic::Minus => left - right,
    };
    if result.is_finite() {
        Ok(Value::Number(result))
    } else {
        Err(ExpressionError::Arithmetic("comes to a number that is too large, or to none"))
    }
}

fn chain(first: &Node, rest: &[(Comparison, Node)], names: &impl Names) -> Result<Value, ExpressionError> {
    let mut left = evaluate(first, names)?;
    for (comparison, right) in rest {
        let right = evaluate(right, names)?;
        if !holds(&left, *comparison, &right)? {
            return Ok(Value::Boolean(false));
        }
        left = right;
    }
    Ok(Value::Boolean(true))
}

fn holds(left: &Value, comparison: Comparison, right: &Value) -> Result<bool, ExpressionError> {
    let order = left.compare(right);
    match (comparison, order) {
        (Comparison::Equal, order) => Ok(order == Some(Ordering::Equal)),
        (Comparison::Unequal, order) => Ok(order != Some(Ordering::Equal)),
        (_, None) => Err(ExpressionError::Type("compares a text with a number")),
        (Comparison::Less, Some(order)) => Ok(order.is_lt()),
        (Comparison::LessOrEqual, Some(order)) => Ok(order.is_le()),
        (Comparison::Greater, Some(order)) => Ok(order.is_gt()),
        (Comparison::GreaterOrEqual, Some(order)) => Ok(order.is_ge()),
    }
}

/// The first operand that `decides`, else the last: as Python's `and` and `or` answer an operand, not its truth.
fn first_that(
    operands: &[Node],
    decides: fn(&Value) -> bool,
    names: &impl Names,
) -> Result<Value, ExpressionError> {
    // There are always two operands or more.
    let mut value = Value::Boolean(false);
    for operand in operands {
        value = evaluate(operand, names)?;
        if decides(&value) {
            break;
        }
    }
    Ok(value)
}

fn call(name: &str, arguments: &[Node], names: &impl Names) -> Result<f64, ExpressionError> {
    let wrong = || ExpressionError::Arguments { name: name.to_owned(), found: arguments.len() };
    let numbers = arguments.iter().map(|argument| evaluate(argument, names)?.number());
    let numbers = numbers.collect::<Result<Vec<f64>, _>>()?;
    match (name, numbers.as_slice()) {
        ("abs", [number]) => Ok(number.abs()),
        ("max", [_, ..]) => numbers.into_iter().reduce(f64::max).ok_or_else(wrong),
        ("min", [_, ..]) => numbers.into_iter().reduce(f64::min).ok_or_else(wrong),
        ("abs" | "max" | "min", _) => Err(wrong()),
        _ => Err(ExpressionError::UnknownFunction(name.to_owned())),
    }
}
