//! Free keys with values, where the contract itself has them.

use crate::bindings::base::bulkhead::driver::types::KeyValue;

pub(crate) fn into_wit(pairs: Vec<(String, String)>) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| KeyValue { key, value }).collect()
}

pub(crate) fn from_wit(pairs: Vec<KeyValue>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}
