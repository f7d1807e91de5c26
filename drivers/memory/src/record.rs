//! Records as text: `pool=gold size=10`. Values hold no blank; every reader names what is damaged.

use bulkhead_sdk::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::str::FromStr;

/// A record that is being read.
#[derive(Debug)]
pub(crate) struct Fields<'text>(BTreeMap<&'text str, &'text str>);

impl<'text> Fields<'text> {
    /// Take a record apart.
    pub(crate) fn parse(text: &'text str) -> Self {
        Self(text.split_ascii_whitespace().filter_map(|field| field.split_once('=')).collect())
    }

    /// A field that is there in every such record. Fails with `internal`.
    pub(crate) fn get<T: FromStr>(&self, key: &str) -> Result<T> {
        self.find(key)?.ok_or_else(|| damaged(key))
    }

    /// A field that need not be there. Fails with `internal` if it is there and makes no sense.
    pub(crate) fn find<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.0.get(key).map(|text| text.parse().map_err(|_| damaged(key))).transpose()
    }
}

fn damaged(key: &str) -> Error {
    Error::internal(format!("a record in private data has no sound field '{key}'; restore the store"))
}

/// A record that is being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(String);

impl Writer {
    /// Add a field. Its value holds no blank.
    pub(crate) fn with(mut self, key: &str, value: impl Display) -> Self {
        let separator = if self.0.is_empty() { "" } else { " " };
        // Writing to a text cannot fail.
        write!(self.0, "{separator}{key}={value}").ok();
        self
    }

    /// Add a field if there is a value for it.
    pub(crate) fn with_some(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The record.
    pub(crate) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Writer};
    use bulkhead_sdk::ErrorCode;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let text = Writer::default().with("pool", "gold").with_some("at", None::<u64>).with("size", 7).text();
        let fields = Fields::parse(&text);
        assert_eq!(fields.get::<String>("pool"), Ok("gold".to_owned()));
        assert_eq!(fields.get::<u64>("size"), Ok(7));
        assert_eq!(fields.find::<u64>("at"), Ok(None));
    }

    #[test]
    fn a_damaged_field_is_named() {
        let error = Fields::parse("size=seven").get::<u64>("size").expect_err("no number");
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(error.message().contains("'size'"), "{error}");
    }
}
