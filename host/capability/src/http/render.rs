//! A template with its values: path, headers and body as they are sent. Pure.
//!
//! Every value is encoded for its place, so that none ends it. What comes out may hold secrets and is shown to nobody.

use crate::encode::{Place, print, print_text};
use crate::secret::Secret;
use crate::slot::Filled;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::BodyFormat;
use bulkhead_model::pattern::{Part, parts};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The largest body made from a template, in bytes.
const LARGEST_BODY: usize = 1 << 20;
/// The longest path and query, in bytes.
const LONGEST_TARGET: usize = 8 << 10;

/// What may stand at a template's places.
pub(super) enum Value<'value> {
    /// A slot that the guest or the host filled.
    Filled(&'value Filled),
    /// A text that the operator configured.
    Text(&'value str),
    /// A secret.
    Secret(&'value Secret),
}

/// The values by slot.
pub(super) type Values<'value> = BTreeMap<&'value Label, Value<'value>>;

/// Path and query.
pub(super) fn target(path: &str, values: &Values<'_>) -> Result<String, CapabilityError> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut target = String::new();
    fill(path, values, Place::UrlPath, &mut target)?;
    // A literal may join a value to another step: `{a}` beside `.`.
    if target.split('/').skip(1).any(|step| matches!(step, "." | "..")) {
        return Err(invalid("a path of a request has no steps '.' and '..'".to_owned()));
    }
    if let Some(query) = query {
        target.push('?');
        fill(query, values, Place::Form, &mut target)?;
    }
    if target.len() > LONGEST_TARGET {
        return Err(CapabilityError::new(
            CapabilityCode::LimitExceeded,
            format!("path and query become {} bytes, more than {LONGEST_TARGET}", target.len()),
        ));
    }
    Ok(target)
}

/// The headers that a template sets, and the type of its body.
pub(super) fn headers(
    headers: &BTreeMap<String, String>,
    format: BodyFormat,
    values: &Values<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, CapabilityError> {
    let mut rendered = Vec::new();
    for (name, text) in headers {
        let mut value = Zeroizing::new(String::new());
        fill(text, values, Place::Header, &mut value)?;
        rendered.push(header(name, &value)?);
    }
    let content_type = match format {
        BodyFormat::None => return Ok(rendered),
        BodyFormat::Json => "application/json",
        BodyFormat::Form => "application/x-www-form-urlencoded",
        BodyFormat::Xml => "application/xml",
        BodyFormat::File => "application/octet-stream",
    };
    rendered.push((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    Ok(rendered)
}

/// One header; its value is kept out of debug output.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), CapabilityError> {
    let wrong = || invalid(format!("the header '{name}' has a value that no header can hold"));
    let name = HeaderName::try_from(name).map_err(|_| wrong())?;
    let printable = value.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic());
    let mut value = HeaderValue::try_from(value).ok().filter(|_| printable).ok_or_else(wrong)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The body; empty where there is none.
pub(super) fn body(
    format: BodyFormat,
    text: Option<&str>,
    values: &Values<'_>,
) -> Result<Vec<u8>, CapabilityError> {
    let place = match format {
        BodyFormat::None | BodyFormat::File => return Ok(Vec::new()),
        BodyFormat::Json => Place::JsonBody,
        BodyFormat::Form => Place::Form,
        BodyFormat::Xml => Place::Xml,
    };
    let mut body = String::new();
    fill(text.unwrap_or_default(), values, place, &mut body)?;
    if body.len() > LARGEST_BODY {
        return Err(CapabilityError::new(
            CapabilityCode::LimitExceeded,
            format!("the body becomes {} bytes, more than {LARGEST_BODY}", body.len()),
        ));
    }
    if format == BodyFormat::Json && serde_json::from_str::<IgnoredAny>(&body).is_err() {
        return Err(invalid("the body does not become JSON".to_owned()));
    }
    Ok(body.into_bytes())
}

fn fill(text: &str, values: &Values<'_>, place: Place, filled: &mut String) -> Result<(), CapabilityError> {
    for part in parts(text) {
        match part {
            Part::Literal(literal) => filled.push_str(&literal),
            Part::Place(label) => {
                let value = values.get(&label).ok_or_else(|| {
                    invalid(format!("the template names the slot '{label}', which it does not declare"))
                })?;
                filled.push_str(&Zeroizing::new(printed(&label, value, place)?));
            }
        }
    }
    Ok(())
}

fn printed(label: &Label, value: &Value<'_>, place: Place) -> Result<String, CapabilityError> {
    match value {
        Value::Filled(value) => print(value, place),
        Value::Text(text) => configured(text, place),
        Value::Secret(secret) => {
            if place == Place::UrlPath {
                return Err(invalid(format!("the secret '{label}' may not stand in a path")));
            }
            let text = secret.expose_text().ok_or_else(|| {
                invalid(format!("the secret '{label}' is not UTF-8, and a request holds text"))
            })?;
            configured(text, place)
        }
    }
}

/// What an operator configured may hold anything; a header takes it as it is, and is checked as a whole.
fn configured(text: &str, place: Place) -> Result<String, CapabilityError> {
    if place == Place::Header { Ok(text.to_owned()) } else { print_text(text, place) }
}

fn invalid(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> Label {
        name.parse().expect("a label")
    }

    #[test]
    fn values_are_encoded_for_where_they_stand() {
        let (name, tag) = (label("name"), label("tag"));
        let (first, second) = (Filled::Name("share-1".to_owned()), Filled::Opaque("a&b/..".to_owned()));
        let values = Values::from([(&name, Value::Filled(&first)), (&tag, Value::Filled(&second))]);
        assert_eq!(
            target("/v/{name}?tag={tag}&all=1", &values).expect("a target"),
            "/v/share-1?tag=a%26b%2F..&all=1"
        );
        let json = body(BodyFormat::Json, Some(r#"{"n":{name},"t":{tag}}"#), &values).expect("a body");
        assert_eq!(json, br#"{"n":"share-1","t":"a&b/.."}"#);
        let form = body(BodyFormat::Form, Some("n={name}&t={tag}"), &values).expect("a body");
        assert_eq!(form, b"n=share-1&t=a%26b%2F..");
    }

    #[test]
    fn no_value_makes_a_step_up_together_with_its_neighbours() {
        let (one, dot) = (label("one"), Filled::Opaque(".".to_owned()));
        let values = Values::from([(&one, Value::Filled(&dot))]);
        for path in ["/a/{one}/b", "/a/{one}./b", "/a/.{one}"] {
            assert!(target(path, &values).is_err(), "{path}");
        }
    }

    #[test]
    fn what_no_header_can_hold_is_refused_without_being_shown() {
        let name = label("key");
        for text in ["a\r\nx-admin: 1", "a\0b", "ä"] {
            let values = Values::from([(&name, Value::Text(text))]);
            let given = BTreeMap::from([("x-key".to_owned(), "{key}".to_owned())]);
            let error = headers(&given, BodyFormat::None, &values).expect_err("no header");
            assert!(!error.message.contains("admin"), "{error}");
        }
    }
}
