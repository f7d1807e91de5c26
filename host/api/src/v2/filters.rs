//! Filters of lists, by the names the stock client gives them. They compare what the caller sees, so they tell nobody more than that.

use crate::error::ApiError;
use bulkhead_model::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// A field of the query, and the field of the resource that has to be the same.
const SAME: [(&str, &str); 25] = [
    ("name", "name"),
    ("display_name", "name"),
    ("description", "description"),
    ("display_description", "description"),
    ("status", "status"),
    ("size", "size"),
    ("share_proto", "share_proto"),
    ("snapshot_id", "snapshot_id"),
    ("share_type_id", "share_type"),
    ("project_id", "project_id"),
    ("user_id", "user_id"),
    ("host", "host"),
    ("share_network_id", "share_network_id"),
    ("share_server_id", "share_server_id"),
    ("identifier", "identifier"),
    ("is_auto_deletable", "is_auto_deletable"),
    ("share_group_id", "share_group_id"),
    ("share_group_type_id", "share_group_type_id"),
    ("resource_type", "resource_type"),
    ("resource_id", "resource_id"),
    ("action_id", "action_id"),
    ("detail_id", "detail_id"),
    ("message_level", "message_level"),
    ("request_id", "request_id"),
    ("source_share_group_snapshot_id", "source_share_group_snapshot_id"),
];
/// A field of the query, and the field of the resource that has to hold its text.
const HOLDS: [(&str, &str); 4] = [
    ("name~", "name"),
    ("display_name~", "name"),
    ("description~", "description"),
    ("display_description~", "description"),
];
/// Filters that the stock client can send and nothing here can answer: a list that passed over them would be wrong.
const UNSERVED: [&str; 3] = ["extra_specs", "usage", "encryption_key_ref"];

/// What a list is narrowed to.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    same: Vec<(&'static str, String)>,
    created_since: Option<String>,
    created_before: Option<String>,
    holds: Vec<(&'static str, String)>,
    metadata: BTreeMap<String, String>,
}

impl Filters {
    /// The filters among the fields of a query; what is no filter is passed over, as Manila does. `own` are those which only this list has.
    pub(crate) fn of(
        query: &BTreeMap<String, String>,
        own: &[(&str, &'static str)],
    ) -> Result<Self, ApiError> {
        if let Some(unserved) = UNSERVED.iter().find(|name| query.contains_key(**name)) {
            return Err(ApiError::BadRequest(format!("lists cannot be filtered by {unserved} here")));
        }
        let asked = |known: &[(&str, &'static str)]| {
            let given = known.iter().filter_map(|(name, field)| Some((*field, query.get(*name)?.clone())));
            given.collect::<Vec<_>>()
        };
        let metadata = match query.get("metadata") {
            Some(text) => pairs(text).ok_or_else(|| {
                ApiError::BadRequest("metadata is written {'key': 'value'} in a filter".to_owned())
            })?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            same: [asked(&SAME), asked(own)].concat(),
            created_since: moment(query, "created_since")?,
            created_before: moment(query, "created_before")?,
            holds: asked(&HOLDS),
            metadata,
        })
    }

    /// Whether a resource, as the caller sees it in full, passes. Without filters `view` is not looked at.
    pub(crate) fn admit(&self, view: impl FnOnce() -> Value) -> bool {
        if self.are_none() {
            return true;
        }
        let view = view();
        let is = |(field, wanted): &(&str, String)| match view.get(field) {
            Some(Value::Array(several)) => several.iter().any(|one| is_same(one, wanted)),
            Some(one) => is_same(one, wanted),
            None => false,
        };
        // Moments are printed with the same digits everywhere, so their texts stand in their order.
        let created = view.get("created_at").and_then(Value::as_str).unwrap_or_default();
        let is_in_time = self.created_since.as_deref().is_none_or(|since| created >= since)
            && self.created_before.as_deref().is_none_or(|before| created <= before);
        let holds = |(field, part): &(&str, String)| {
            view.get(field).and_then(Value::as_str).is_some_and(|text| text.contains(part.as_str()))
        };
        let has = |(key, value): (&String, &String)| {
            view.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str)
                == Some(value.as_str())
        };
        is_in_time
            && self.same.iter().all(is)
            && self.holds.iter().all(holds)
            && self.metadata.iter().all(has)
    }

    fn are_none(&self) -> bool {
        let Self { same, created_since, created_before, holds, metadata } = self;
        same.is_empty()
            && created_since.is_none()
            && created_before.is_none()
            && holds.is_empty()
            && metadata.is_empty()
    }
}

fn is_same(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(text) => text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(is) => is.to_string().eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

/// A moment in a query, as resources print theirs.
fn moment(query: &BTreeMap<String, String>, field: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = query.get(field) else { return Ok(None) };
    match Timestamp::from_openstack(text) {
        Some(moment) => Ok(Some(moment.openstack())),
        None => Err(ApiError::BadRequest(format!(
            "{field} is a day or a moment in UTC, such as 2026-11-22 or 2026-11-22T13:20:21"
        ))),
    }
}

/// A flat dictionary of text as Python writes one, which is how the stock client sends metadata; JSON is the same with other quotes.
fn pairs(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = literal(rest)?;
        let (value, after) = literal(after.trim_start().strip_prefix(':')?.trim_start())?;
        found.insert(key, value);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(found)
}

/// A text in single or double quotes, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut letters = text.chars();
    let quote = letters.next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut content = String::new();
    loop {
        match letters.next()? {
            '\\' => content.push(letters.next().filter(|letter| matches!(letter, '\\' | '\'' | '"'))?),
            letter if letter == quote => return Some((content, letters.as_str())),
            letter => content.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: [(&str, &str); 2] = [("cidr", "cidr"), ("type", "type")];

    fn filters(query: &[(&str, &str)]) -> Result<Filters, ApiError> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Filters::of(&query, &OWN)
    }

    fn admits(query: &[(&str, &str)]) -> bool {
        let share = json!({
            "name": "one two", "size": 3, "share_group_id": null, "is_auto_deletable": true, "metadata": { "a": "it's" },
            "created_at": "2026-11-22T13:20:21.910759", "cidr": ["10.0.0.0/24", "10.0.1.0/24"],
        });
        filters(query).expect("filters").admit(|| share)
    }

    #[test]
    fn a_list_is_narrowed_by_what_the_caller_sees() {
        assert!(admits(&[]) && admits(&[("is_public", "True")]));
        assert!(admits(&[("name", "one two"), ("size", "3"), ("name~", "e t")]));
        assert!(admits(&[("is_auto_deletable", "True")]) && !admits(&[("is_auto_deletable", "False")]));
        assert!(!admits(&[("name", "one")]) && !admits(&[("name~", "three")]));
        assert!(!admits(&[("host", "h")]) && !admits(&[("share_group_id", "g")]));
    }

    #[test]
    fn a_list_that_has_filters_of_its_own_compares_each_of_several_values() {
        assert!(admits(&[("cidr", "10.0.1.0/24")]) && !admits(&[("cidr", "10.0.2.0/24")]));
        assert!(!admits(&[("type", "ldap")]), "what is not shown is not the same");
    }

    #[test]
    fn a_list_is_narrowed_to_what_was_made_in_a_time() {
        assert!(admits(&[("created_since", "2026-11-22"), ("created_before", "2026-11-23")]));
        assert!(admits(&[("created_since", "2026-11-22T13:20:21.910759")]));
        assert!(!admits(&[("created_since", "2026-11-22T13:20:22")]));
        assert!(!admits(&[("created_before", "2026-11-22")]));
        assert!(filters(&[("created_before", "yesterday")]).is_err());
    }

    #[test]
    fn metadata_comes_as_python_writes_a_dictionary() {
        assert!(admits(&[("metadata", r#"{'a': "it's"}"#)]) && admits(&[("metadata", r"{'a': 'it\'s'}")]));
        assert!(!admits(&[("metadata", "{'a': 'b'}")]) && !admits(&[("metadata", "{'a': 'it', 'b': 'c'}")]));
        for malformed in ["a", "{a}", "{'a'}", "{'a': 'b'", "{'a': 'b' 'c': 'd'}", "{'a': 1}", "{'a': '\\"] {
            assert!(pairs(malformed).is_none(), "{malformed}");
        }
    }
}
