//! Records: what is read back, and how one is written down so that its hash can be checked from the stored bytes alone.

use crate::head::Head;
use crate::key::LedgerKey;
use bulkhead_model::effect::{Chain, LedgerEntry};
use bulkhead_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRecord {
    /// Its place: 1 for a chain's first, without gaps. Order is by this, never by time.
    pub sequence: u64,
    /// When it was handed over, by the host's wall clock.
    pub at: Timestamp,
    /// Whose chain.
    pub chain: Chain,
    /// What happened.
    pub entry: LedgerEntry,
    /// The hash of the record before; of zeros for the first.
    pub previous_hash: RecordHash,
    /// HMAC-SHA256 over everything above.
    pub hash: RecordHash,
}

/// The keyed hash of a record, 64 hexadecimal digits in print.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordHash(pub(crate) [u8; 32]);

impl RecordHash {
    /// What stands in the place of a hash before the first record.
    pub(crate) const NONE: Self = Self([0; 32]);
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It is no record.
    #[error("cannot be read")]
    Unreadable,
    /// Its hash is not what the key gives for its bytes.
    #[error("was changed, or written with another key")]
    Hash,
    /// It says that it belongs elsewhere.
    #[error("stands in the place of another record")]
    Place,
    /// It does not name the record before it.
    #[error("does not follow the record before it")]
    Order,
    /// It is not what the head of the chain names, or stands after it.
    #[error("is not the one that the head of the chain names")]
    Head,
}

/// What becomes a record when its place is known.
#[derive(Debug, Clone)]
pub(crate) struct Unplaced {
    pub(crate) at: Timestamp,
    pub(crate) entry: LedgerEntry,
}

#[derive(Serialize)]
struct Body<'a> {
    sequence: u64,
    at: Timestamp,
    chain: &'a Chain,
    entry: &'a LedgerEntry,
    previous_hash: RecordHash,
}

const HASH_BEGIN: &[u8] = b",\"hash\":\"";
const HASH_END: &[u8] = b"\"}";
const HASH_DIGITS: usize = 64;

/// The bytes of the record that follows `head`, and the head after it.
pub(crate) fn write(
    key: &LedgerKey,
    chain: &Chain,
    head: Head,
    unplaced: &Unplaced,
) -> Result<(Vec<u8>, Head), serde_json::Error> {
    let sequence = head.sequence.saturating_add(1);
    let body = Body { sequence, at: unplaced.at, chain, entry: &unplaced.entry, previous_hash: head.hash };
    let mut bytes = serde_json::to_vec(&body)?;
    // The closing brace: the hash goes before it, and covers what goes before the hash.
    bytes.pop();
    let hash = key.hash(&bytes);
    bytes.extend_from_slice(HASH_BEGIN);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(HASH_END);
    Ok((bytes, Head { sequence, hash }))
}

/// The record in `bytes`, unchecked.
pub(crate) fn read(bytes: &[u8]) -> Result<LedgerRecord, Break> {
    serde_json::from_slice(bytes).map_err(|_| Break::Unreadable)
}

/// The record in `bytes`, if it was written with `key` for this place.
pub(crate) fn check(
    key: &LedgerKey,
    chain: &Chain,
    sequence: u64,
    bytes: &[u8],
) -> Result<LedgerRecord, Break> {
    let tail = HASH_BEGIN.len() + HASH_DIGITS + HASH_END.len();
    let hashed =
        bytes.len().checked_sub(tail).and_then(|length| bytes.get(..length)).ok_or(Break::Unreadable)?;
    let record = read(bytes)?;
    if key.hash(hashed) != record.hash {
        return Err(Break::Hash);
    }
    if record.sequence != sequence || record.chain != *chain {
        return Err(Break::Place);
    }
    Ok(record)
}

impl fmt::Display for RecordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for RecordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A text that is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record's hash is 64 lower-case hexadecimal digits")]
pub struct InvalidHash;

impl TryFrom<String> for RecordHash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // One hash has one spelling: else a record could be changed without its hash showing it.
        let digit = |letter: u8| match letter {
            b'0'..=b'9' => Ok(letter - b'0'),
            b'a'..=b'f' => Ok(letter - b'a' + 10),
            _ => Err(InvalidHash),
        };
        let mut hash = [0; 32];
        if text.len() != HASH_DIGITS {
            return Err(InvalidHash);
        }
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for letter in pair {
                *byte = (*byte << 4) | digit(*letter)?;
            }
        }
        Ok(Self(hash))
    }
}

impl From<RecordHash> for String {
    fn from(hash: RecordHash) -> String {
        hash.to_string()
    }
}
