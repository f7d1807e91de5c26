//! How a checked value is written at its place: a printer for each type and place. Used by `files` and `execute`.
//!
//! That no value leaves its place is a matter of alphabets, not of quoting: what [`print`] answers for a place holds none of the
//! letters that end it. A type whose alphabet holds one may not stand there and is refused.

use crate::slot::Filled;
use bulkhead_model::access::{AccessRule, AccessTo};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::{AccessRulesStyle, PathKind};

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A whole argument of a command. Ends at NUL; must not look like an option.
    Argument,
    /// Inside the literal text of an argument, as in `--size={size}`: separated there by whatever the program takes for separators.
    InsideArgument,
    /// Standard input of a command.
    StandardInput,
    /// A word of a file of lines. Ends at a blank, a line end, a quote, a backslash or `#`.
    Lines,
    /// A value of a JSON text.
    Json,
}

/// Who is let in where nobody shall be. In exports(5) a path without clients is open to everybody, so that an empty list must name a
/// client that no packet comes from.
pub const NOBODY: &str = "0.0.0.0/32(ro)";

/// Write `value` at `place`. Fails with `invalid-argument` if its type may not stand there.
pub fn print(value: &Filled, place: Place) -> Result<String, CapabilityError> {
    let text = match value {
        Filled::Unsigned(number) => return Ok(number.to_string()),
        Filled::Signed(number) => return print_signed(*number, place),
        Filled::Word(text) | Filled::Name(text) => text.clone(),
        Filled::Ip(address) => address.to_string(),
        Filled::Cidr(network) => network.to_string(),
        Filled::Uuid(uuid) => uuid.as_hyphenated().to_string(),
        Filled::Path { kind: PathKind::Text, at } => at.absolute(),
        Filled::Path { .. } => return Err(misplaced("path of another kind than text", place)),
        Filled::AccessRules(clients) => match place {
            Place::Lines | Place::Json => clients.clone(),
            _ => return Err(misplaced("access-rules", place)),
        },
        Filled::Opaque(text) => match place {
            Place::Argument => text.clone(),
            _ => return Err(misplaced("opaque", place)),
        },
        Filled::Secret(_) => return Err(misplaced("secret", place)),
    };
    match place {
        Place::Json => Ok(serde_json::Value::from(text).to_string()),
        Place::Argument | Place::InsideArgument | Place::StandardInput | Place::Lines => Ok(text),
    }
}

/// A negative number is the one value that may begin with `-`, and only as a whole argument or where no option can stand.
fn print_signed(number: i64, place: Place) -> Result<String, CapabilityError> {
    match place {
        Place::InsideArgument if number < 0 => Err(misplaced("negative integer", place)),
        _ => Ok(number.to_string()),
    }
}

/// Write access rules in a style. Fails with `invalid-argument`, naming the rule, if the style cannot express it.
pub fn access_rules(style: AccessRulesStyle, rules: &[AccessRule]) -> Result<String, CapabilityError> {
    match style {
        AccessRulesStyle::Exports5 => exports5(rules),
    }
}

/// As exports(5) lists clients: `10.0.0.0/24(rw) 10.0.0.9(ro)`, IPv6 without brackets; [`NOBODY`] for no rules.
fn exports5(rules: &[AccessRule]) -> Result<String, CapabilityError> {
    if rules.is_empty() {
        return Ok(NOBODY.to_owned());
    }
    let mut clients = Vec::with_capacity(rules.len());
    for rule in rules {
        match &rule.access_to {
            AccessTo::Ip(_) => clients.push(format!("{}({})", rule.access_to, rule.level.as_str())),
            other => {
                return Err(CapabilityError::new(
                    CapabilityCode::InvalidArgument,
                    format!(
                        "rule {} is of type {}, and exports5 lists only ip clients; answer its state as error",
                        rule.id,
                        other.type_str()
                    ),
                ));
            }
        }
    }
    Ok(clients.join(" "))
}

fn misplaced(what: &str, place: Place) -> CapabilityError {
    let place = match place {
        Place::Argument => "as an argument",
        Place::InsideArgument => "inside an argument",
        Place::StandardInput => "in standard input",
        Place::Lines => "in a file of lines",
        Place::Json => "in JSON",
    };
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("a slot of type {what} cannot stand {place}"),
    )
}
