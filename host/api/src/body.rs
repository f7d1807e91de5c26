//! Bodies of requests: read within a bound, parsed once, refused in words.

use crate::error::ApiError;
use crate::json::{Unambiguous, by_name};
use bulkhead_model::size::Gibibytes;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The largest body, in bytes: the largest honest one (metadata with 255 pairs) has a third of it.
pub(crate) const LARGEST_BYTES: usize = 1 << 20;

/// A JSON body in which no key stands twice, and whose fields have names.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .and_then(|Unambiguous| serde_json::from_slice(bytes))
        .and_then(by_name)
        .map_err(|error| ApiError::BadRequest(format!("the body is not what this call takes: {error}")))
}

/// A name or description: empty means none, as the stock client sends it.
pub(crate) fn display_text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A size in GiB: a JSON number, or digits as a string, as Manila accepts them.
pub(crate) fn size(field: &str, value: Option<&Value>) -> Result<Gibibytes, ApiError> {
    let number = match value {
        None | Some(Value::Null) => return Err(ApiError::BadRequest(format!("{field} is missing"))),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => String::new(),
    };
    let invalid = || {
        let shown: String = number.chars().take(32).collect();
        ApiError::BadRequest(format!(
            "{field} is a whole number of GiB from 1 to {}, not {}",
            Gibibytes::LARGEST,
            if shown.is_empty() { "something else" } else { &shown }
        ))
    };
    number.parse::<u64>().ok().and_then(|gib| Gibibytes::new(gib).ok()).ok_or_else(invalid)
}

/// Metadata: text by text. Its bounds are the manager's.
pub(crate) fn metadata(given: Option<BTreeMap<String, Value>>) -> Result<BTreeMap<String, String>, ApiError> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(value) => Ok((key, value)),
            _ => Err(ApiError::BadRequest("metadata values are strings".to_owned())),
        })
        .collect()
}

/// A yes or no: a JSON boolean, or its words as a string, as Manila accepts them. Missing means no.
pub(crate) fn flag(field: &str, value: Option<&Value>) -> Result<bool, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(yes)) => Ok(*yes),
        Some(Value::String(text)) if matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes") => {
            Ok(true)
        }
        Some(Value::String(text)) if matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "no") => {
            Ok(false)
        }
        Some(_) => Err(ApiError::BadRequest(format!("{field} is true or false"))),
    }
}

/// A field that is there: null is a value of its own, missing is not.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// An id in a path or body; what is no id names nothing.
pub(crate) fn id<T: FromStr>(kind: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_size_is_a_whole_number_from_one_up() {
        assert_eq!(size("size", Some(&json!(1))).map(Gibibytes::get).ok(), Some(1));
        assert_eq!(size("size", Some(&json!("7"))).map(Gibibytes::get).ok(), Some(7));
        for bad in
            [json!(0), json!(-1), json!(9_223_372_036_854_775_808_u64), json!(1.5), json!("x"), json!([])]
        {
            let refusal = size("size", Some(&bad)).expect_err("no size");
            assert!(refusal.to_string().contains("whole number of GiB"), "{bad}: {refusal}");
        }
        assert!(size("size", None).is_err());
    }

    #[test]
    fn metadata_values_are_text() {
        assert!(metadata(Some(BTreeMap::from([("a".to_owned(), json!(1))]))).is_err());
        assert_eq!(metadata(None).ok(), Some(BTreeMap::new()));
    }

    #[test]
    fn an_array_is_no_body_whose_fields_have_names() {
        for array in [&b"[null]"[..], b"[[\"a\", null]]", b"[{\"name\": \"a\"}]"] {
            assert!(parse::<Named>(array).is_err(), "{}", String::from_utf8_lossy(array));
        }
        assert_eq!(
            parse::<Named>(b"{\"name\": \"a\"}").map(|body| body.name).ok(),
            Some(Some("a".to_owned()))
        );
    }

    #[derive(Debug, serde::Deserialize)]
    struct Named {
        name: Option<String>,
    }

    #[test]
    fn a_deeply_nested_body_is_refused() {
        let body = "[".repeat(10_000);
        assert!(parse::<Value>(body.as_bytes()).is_err());
    }
}
