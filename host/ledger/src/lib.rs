//! The ledger: every effect of a driver and every change of state, in one keyed hash chain for each backend.
//!
//! `manager` commits its changes of state through [`Ledger::commit`]: the change and its record are one transaction of the store.
//! `capability` hands over effects with [`Ledger::effect`], which waits for no disk; they are written in groups within 100 ms, and no
//! later than the next change of state: its commit carries them.
//!
//! ```text
//! ledger/<chain>/<sequence, 20 digits>   {"sequence":7,…,"previous_hash":"…","hash":"…"}
//! ledger/<chain>/head                    {"sequence":7,"hash":"…"}
//! ```
//!
//! A record's hash is HMAC-SHA256 with the ledger's key over all bytes before its `,"hash"`; they hold the hash of the record
//! before. Every write compares the head that it follows, so that two writers cannot fork a chain. [`Ledger::verify`] names the
//! first record that was changed, moved or taken away. Who holds the store can put it back whole to an earlier day; checkpoints
//! that leave the host will show that.
//!
//! When the store fails, nothing is lost silently: waiting effects stay and are tried again while nothing was written, and once the
//! store is unusable every further effect, flush and commit of the chain is refused.
#![forbid(unsafe_code)]

mod chain;
mod cut;
mod effects;
mod error;
mod head;
mod key;
mod ledger;
mod record;
mod verify;

pub use error::LedgerError;
pub use key::LedgerKey;
pub use ledger::{HOST_CHAIN, Ledger};
pub use record::{Break, LedgerRecord, RecordHash};
pub use verify::Verification;
