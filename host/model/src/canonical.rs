//! The canonical form of what is pinned by its digest (templates, configurations): JSON with sorted keys and no blanks, behind a prefix
//! that keeps kinds apart.

use crate::id::Digest;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The digest of `value` as something of `kind`. A value that has no JSON form digests as `null`; no type of this crate is one.
#[must_use]
pub fn digest<T: Serialize>(kind: &str, value: &T) -> Digest {
    let mut text = String::new();
    write(&serde_json::to_value(value).unwrap_or(Value::Null), &mut text);
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// Sorts keys itself: whether a JSON object keeps its order depends on features that any other crate may switch on.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (place, (key, value)) in pairs.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_blanks_left_out() {
        let value = serde_json::json!({ "b": [1, "x y"], "a": { "d": null, "c": true } });
        let mut text = String::new();
        write(&value, &mut text);
        assert_eq!(text, r#"{"a":{"c":true,"d":null},"b":[1,"x y"]}"#);
    }

    #[test]
    fn kinds_do_not_meet() {
        assert_ne!(digest("file", &1), digest("execute", &1));
    }
}
