//! The options of this backend: as the operator set them, checked against `driver.toml` before `setup`. Manila's `share_opts` are
//! there for every driver.

use crate::capability::{CapabilityCode, CapabilityError};
use crate::host::{Host, host};

/// A typed option value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of type `string` or `enum`.
    Text(String),
    /// Of type `integer`.
    Integer(i64),
    /// Of type `float`; always finite.
    Float(f64),
    /// Of type `boolean`.
    Boolean(bool),
    /// Of type `list`.
    Texts(Vec<String>),
    /// Of type `map`.
    Pairs(Vec<(String, String)>),
    /// Of type `secret`: the name, never the text.
    Secret(String),
}

/// The value of an option: what the operator set, else the declared default; none if it has neither.
///
/// Reads only; the answer does not change during a generation. Fails with `invalid-argument` if no such option is declared.
pub fn get(name: &str) -> Result<Option<Value>, CapabilityError> {
    host().option(name)
}

/// The value of an option of another backend, `HOST@BACKEND`: only options that its manifest marks `peer`, only of backends that the
/// grant names in `peers`.
///
/// Reads only; the answer may change between calls. Fails with `denied`, `not-found` if there is no such backend here,
/// `invalid-argument` if no such option is declared.
pub fn get_of_peer(backend: &str, name: &str) -> Result<Option<Value>, CapabilityError> {
    host().option_of_peer(backend, name)
}

/// An option of type `string` or `enum`. Fails with `invalid-argument` also if it is of another type.
pub fn text(name: &str) -> Result<Option<String>, CapabilityError> {
    typed(name, |value| match value {
        Value::Text(text) => Some(text),
        _ => None,
    })
}

/// An option of type `integer`. Fails with `invalid-argument` also if it is of another type.
pub fn integer(name: &str) -> Result<Option<i64>, CapabilityError> {
    typed(name, |value| match value {
        Value::Integer(number) => Some(number),
        _ => None,
    })
}

/// An option of type `float`. Fails with `invalid-argument` also if it is of another type.
pub fn float(name: &str) -> Result<Option<f64>, CapabilityError> {
    typed(name, |value| match value {
        Value::Float(number) => Some(number),
        _ => None,
    })
}

/// An option of type `boolean`. Fails with `invalid-argument` also if it is of another type.
pub fn boolean(name: &str) -> Result<Option<bool>, CapabilityError> {
    typed(name, |value| match value {
        Value::Boolean(answer) => Some(answer),
        _ => None,
    })
}

fn typed<T>(name: &str, convert: impl FnOnce(Value) -> Option<T>) -> Result<Option<T>, CapabilityError> {
    let Some(value) = get(name)? else {
        return Ok(None);
    };
    convert(value).map(Some).ok_or_else(|| {
        CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!("option {name} is declared with another type than the driver reads"),
        )
    })
}
