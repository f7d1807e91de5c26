//! How far shares are that the backend goes on making or reverting by itself.

use crate::bindings::share_status::exports::bulkhead::driver::share_status as wit_status;
use crate::driver::Driver;
use crate::error::Result;
use crate::share::{ExportLocation, Share};

/// How far shares are that the backend goes on making or reverting by itself. A driver that answers
/// [`Creation::Pending`](crate::Creation::Pending) or [`Reversion::Pending`](crate::Reversion::Pending) has this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `share_status` but does not implement `ShareStatus`",
    note = "implement `bulkhead_sdk::ShareStatus` for it, or leave `share_status` out of `export_driver!`"
)]
pub trait ShareStatus: Driver {
    /// How far `share` is, which an earlier call left pending.
    ///
    /// Idempotent; called every 60 s, after a restart of the host too, and so keeps what it needs in
    /// [`private_data`](crate::private_data) or at the backend. May take the next small step. After
    /// [`Error::busy`](crate::Error::busy), [`Error::outcome_unknown`](crate::Error::outcome_unknown) and
    /// [`Error::backend_unreachable`](crate::Error::backend_unreachable) the host asks again; every other error is as
    /// [`ShareProgress::Failed`]. Never two calls at once for one share.
    fn share_status(share: &Share) -> Result<ShareProgress>;
}

/// How far a share is that the backend makes or reverts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareProgress {
    /// The backend is still at it; percent, 0 to 100. The host asks again.
    Pending(u32),
    /// Done: the host sets the share `available`, after a revert the snapshot too.
    Available(FinishedShare),
    /// It failed at the backend: the share goes to `error`, after a revert to `reverting_error`.
    Failed,
}

/// A share that the backend has finished.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedShare {
    /// Where clients find it; none leaves its export locations.
    pub export_locations: Option<Vec<ExportLocation>>,
    /// Its size in GiB after a revert; none takes the snapshot's.
    pub size_gib: Option<u64>,
}

impl ShareProgress {
    pub(crate) fn into_wit(self) -> wit_status::ShareProgress {
        match self {
            Self::Pending(percent) => wit_status::ShareProgress::Pending(percent),
            Self::Available(finished) => wit_status::ShareProgress::Available(wit_status::FinishedShare {
                export_locations: finished.export_locations.map(ExportLocation::list_into_wit),
                size_gib: finished.size_gib,
            }),
            Self::Failed => wit_status::ShareProgress::Failed,
        }
    }
}
