//! How much of their size shares use.

use crate::bindings::usage::exports::bulkhead::driver::usage as wit_usage;
use crate::driver::Driver;
use crate::error::Result;
use crate::share::Share;

/// How much of their size shares use.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `usage` but does not implement `Usage`",
    note = "implement `bulkhead_sdk::Usage` for it, or leave `usage` out of `export_driver!`"
)]
pub trait Usage: Driver {
    /// What these shares use, at most 500 a call. Reads only; a share missing from the answer keeps its last value. May overlap with
    /// every other call.
    fn share_usage_sizes(shares: &[Share]) -> Result<Vec<ShareUsage>>;
}

/// What a share uses.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareUsage {
    /// The share instance.
    pub id: String,
    /// What it uses, in GiB; finite and not negative.
    pub used_gib: f64,
    /// When it was measured, in milliseconds since 1970-01-01 UTC.
    pub gathered_at_ms: u64,
}

impl ShareUsage {
    pub(crate) fn into_wit(self) -> wit_usage::ShareUsage {
        wit_usage::ShareUsage {
            share_id: self.id,
            used_gib: self.used_gib,
            gathered_at_ms: self.gathered_at_ms,
        }
    }
}
