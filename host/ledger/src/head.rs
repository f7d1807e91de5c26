//! The head of a chain: its newest record. And where both stand in the store.

use crate::record::RecordHash;
use bulkhead_model::effect::Chain;
use bulkhead_model::key::LEDGER;
use bulkhead_store::{Key, KeyPrefix};
use serde::{Deserialize, Serialize};

/// The newest record of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    pub(crate) hash: RecordHash,
}

impl Head {
    /// The head of a chain without records.
    pub(crate) const NONE: Self = Self { sequence: 0, hash: RecordHash::NONE };

    pub(crate) fn bytes(self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self)
    }
}

/// Sorts after every record and everything else below a chain, so that chains can be found by skipping from one to the next.
const HEAD: &str = "head";

pub(crate) fn head_key(chain: &Chain) -> Key {
    Key::new(&[LEDGER, chain.as_str(), HEAD])
}

pub(crate) fn record_key(chain: &Chain, sequence: u64) -> Key {
    Key::new(&[LEDGER, chain.as_str(), &format!("{sequence:020}")])
}

pub(crate) fn records_of(chain: &Chain) -> KeyPrefix {
    Key::prefix(&[LEDGER, chain.as_str()])
}

pub(crate) fn all() -> KeyPrefix {
    Key::prefix(&[LEDGER])
}
