//! Reading a whole chain to see whether it is still what was written.

use crate::chain::Chain;
use crate::error::LedgerError;
use crate::head::{Head, record_key, records_of};
use crate::record::{self, Break};

/// What became of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Every record stands as it was written, up to the one that the head names.
    Sound {
        /// How many there are.
        records: u64,
    },
    /// The first record that does not.
    Broken {
        /// Its place.
        sequence: u64,
        /// What is wrong with it.
        what: Break,
    },
}

const PAGE: usize = 256;

impl Chain {
    /// Read the records up to the head of this moment.
    pub(crate) async fn verify(&self) -> Result<Verification, LedgerError> {
        let broken = |sequence, what| Ok(Verification::Broken { sequence, what });
        let head = match self.stored_head().await {
            Ok(head) => head,
            Err(LedgerError::Altered { sequence, what, .. }) => return broken(sequence, what),
            Err(error) => return Err(error),
        };
        let mut last = Head::NONE;
        let mut after = record_key(&self.name, 0);
        while last.sequence < head.sequence {
            let page = self.store.scan_page(&records_of(&self.name), Some(&after), PAGE).await?;
            let Some((newest, _)) = page.last() else {
                return broken(last.sequence + 1, Break::Missing);
            };
            after = newest.clone();
            for (key, found) in page {
                if last.sequence == head.sequence {
                    break;
                }
                let sequence = last.sequence + 1;
                if key != record_key(&self.name, sequence) {
                    return broken(sequence, Break::Missing);
                }
                match record::check(&self.key, &self.name, sequence, &found.value) {
                    Ok(record) if record.previous_hash != last.hash => return broken(sequence, Break::Order),
                    Ok(record) => last = Head { sequence, hash: record.hash },
                    Err(what) => return broken(sequence, what),
                }
            }
        }
        if last.hash != head.hash {
            return broken(last.sequence, Break::Head);
        }
        Ok(Verification::Sound { records: last.sequence })
    }
}
