//! The key of the ledger.

use crate::record::RecordHash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// The secret that hashes the records: who does not have it cannot write a record that [`crate::Ledger::verify`] believes.
#[derive(Clone)]
pub struct LedgerKey(Hmac<Sha256>);

impl LedgerKey {
    /// The key of these bytes, which must be random and secret.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        // HMAC pads a short key with zeros to the length of a block.
        let mut block = [0; 64];
        for (place, byte) in block.iter_mut().zip(bytes) {
            *place = byte;
        }
        Self(Hmac::new(&block.into()))
    }

    pub(crate) fn hash(&self, bytes: &[u8]) -> RecordHash {
        RecordHash(self.0.clone().chain_update(bytes).finalize().into_bytes().into())
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LedgerKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_standard_hmac_sha256() {
        // RFC 4231 has no 32-byte key; this value is of `openssl dgst -sha256 -mac HMAC -macopt hexkey:0b…0b`.
        let hash = LedgerKey::new([0x0b; 32]).hash(b"Hi There");
        assert_eq!(hash.to_string(), "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7");
        assert!(!format!("{:?}", LedgerKey::new([7; 32])).contains('7'));
    }
}
