//! Lists: filters that only narrow, pages, all projects for those who may.

use super::filters::Filters;
use crate::error::ApiError;
use crate::request::Reach;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What list routes understand.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListQuery {
    all_tenants: Option<String>,
    /// Of this share.
    pub(crate) share_id: Option<String>,
    /// Shares that clients find under this id.
    pub(crate) export_location_id: Option<String>,
    /// Shares that clients find there.
    pub(crate) export_location_path: Option<String>,
    /// In the recycle bin: there is none, so nothing is in it.
    pub(crate) is_soft_deleted: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
    /// Whether the answer counts what there is.
    pub(crate) with_count: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

impl ListQuery {
    pub(crate) fn reach(&self) -> Reach {
        Reach::of(self.all_tenants.as_deref())
    }

    /// Whether it asks for what lies in the recycle bin.
    pub(crate) fn wants_soft_deleted(&self) -> bool {
        is_true(self.is_soft_deleted.as_deref())
    }

    pub(crate) fn wants_count(&self) -> bool {
        is_true(self.with_count.as_deref())
    }

    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        self.filters_and(&[])
    }

    /// The filters that all lists have, and `own` ones: fields of the query, and the fields of the resource that have to be the same.
    pub(crate) fn filters_and(&self, own: &[(&str, &'static str)]) -> Result<Filters, ApiError> {
        Filters::of(&self.others, own)
    }

    /// The asked part of `items`.
    pub(crate) fn page<T>(&self, items: Vec<T>) -> Result<Vec<T>, ApiError> {
        let offset = number("offset", self.offset.as_deref())?.unwrap_or(0);
        let limit = number("limit", self.limit.as_deref())?.unwrap_or(usize::MAX);
        Ok(items.into_iter().skip(offset).take(limit).collect())
    }
}

fn is_true(text: Option<&str>) -> bool {
    text.is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"))
}

fn number(field: &str, text: Option<&str>) -> Result<Option<usize>, ApiError> {
    text.map(|text| {
        text.parse().map_err(|_| ApiError::BadRequest(format!("{field} is a whole number from 0 up")))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_asked_part_and_never_panics() {
        let query = |limit: &str, offset: &str| ListQuery {
            limit: Some(limit.to_owned()),
            offset: Some(offset.to_owned()),
            ..ListQuery::default()
        };
        assert_eq!(query("2", "1").page(vec![1, 2, 3, 4]).ok(), Some(vec![2, 3]));
        assert_eq!(query("9", "9").page(vec![1]).ok(), Some(vec![]));
        assert!(query("-1", "0").page(vec![1]).is_err());
        assert!(query("99999999999999999999", "0").page(vec![1]).is_err());
    }
}
