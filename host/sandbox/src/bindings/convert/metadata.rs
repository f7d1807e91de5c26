//! Metadata that drivers supply for shares they have made.

use super::{Breach, pairs_from_wit, shown};
use crate::bindings::v0_1::bulkhead::driver::types::KeyValue;
use bulkhead_model::share::SuppliedMetadata;

/// The most pairs for one share, as many as one can carry.
const MOST_PAIRS: usize = 64;

/// The pairs whose keys the manifest lists as supplied. Others are left out and named.
pub(crate) fn supplied_from_wit(
    listed: &[String],
    metadata: Vec<KeyValue>,
) -> Result<SuppliedMetadata, Breach> {
    let all = pairs_from_wit("the answer of share-creation-metadata", metadata, MOST_PAIRS)?;
    let (kept, dropped): (Vec<_>, Vec<_>) = all.into_iter().partition(|(key, _)| listed.contains(key));
    Ok(SuppliedMetadata {
        pairs: kept.into_iter().collect(),
        dropped: dropped.into_iter().map(|(key, _)| shown(&key)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: "x".to_owned() }
    }

    #[test]
    fn keys_that_the_manifest_does_not_list_are_left_out_and_named() {
        let listed = ["mount-options".to_owned()];
        let supplied = supplied_from_wit(&listed, vec![pair("mount-options"), pair("owner")]).expect("sound");
        assert_eq!(supplied.pairs.keys().collect::<Vec<_>>(), ["mount-options"]);
        assert_eq!(supplied.dropped.iter().map(ToString::to_string).collect::<Vec<_>>(), ["owner"]);
        assert!(supplied_from_wit(&listed, vec![pair("mount-options"), pair("mount-options")]).is_err());
        let many = (0..65).map(|number| pair(&number.to_string())).collect();
        assert!(supplied_from_wit(&listed, many).is_err());
    }
}
