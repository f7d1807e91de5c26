//! What a driver tells the operator's periodic hooks about its shares.

use crate::bindings::periodic_hook::exports::bulkhead::driver::periodic_hook as wit_hook;
use crate::driver::Driver;
use crate::error::Result;
use crate::pairs;
use crate::share::Share;

/// What a driver tells the operator's periodic hooks about its shares.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `periodic_hook` but does not implement `PeriodicHook`",
    note = "implement `bulkhead_sdk::PeriodicHook` for it, or leave `periodic_hook` out of `export_driver!`"
)]
pub trait PeriodicHook: Driver {
    /// What the operator shall know of these shares, at most 500 a call. Reads only; a share missing from the answer is shown without
    /// data, and what is said of a share that was not asked about is dropped. May overlap with every other call, never with itself.
    fn periodic_hook_data(shares: &[Share]) -> Result<Vec<HookData>>;
}

/// What the operator shall know of one share, beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookData {
    /// The share instance.
    pub id: String,
    /// The data: keys of at most 255 bytes with values of at most 1,023. Keys and values are the driver's own.
    pub data: Vec<(String, String)>,
}

impl HookData {
    pub(crate) fn into_wit(self) -> wit_hook::HookData {
        wit_hook::HookData { share_id: self.id, data: pairs::into_wit(self.data) }
    }
}
