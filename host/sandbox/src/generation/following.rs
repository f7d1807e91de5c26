//! Calls about what goes on beside a share's operations: pending work, hooks, metadata.

use super::Generation;
use crate::bindings::convert::hook::hook_answer_from_wit;
use crate::bindings::convert::metadata::supplied_from_wit;
use crate::bindings::convert::pairs_to_wit;
use crate::bindings::convert::server::with_server;
use crate::bindings::convert::share::share_to_wit;
use crate::bindings::convert::status::progress_from_wit;
use crate::driver::HOOK_BATCH;
use crate::export::{PeriodicHookData, ShareCreationMetadata, ShareStatus, UpdateShareFromMetadata};
use crate::target;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::{HookAnswer, PendingWork, ShareForDriver, ShareProgress, SuppliedMetadata};
use std::collections::BTreeMap;

impl Generation {
    pub(super) async fn share_status_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        work: &PendingWork,
    ) -> Result<ShareProgress, CallError> {
        let (arguments, server) = with_server(share);
        let (why, arguments) = ((reason, target::pending(share, work)), (&arguments, server.as_ref()));
        self.call_at::<ShareStatus, _>(share.server.as_ref(), why, arguments, progress_from_wit).await
    }

    pub(super) async fn periodic_hook_data_of(
        &self,
        reason: &CallReason,
        shares: &[ShareForDriver],
    ) -> Result<HookAnswer, CallError> {
        if shares.len() > HOOK_BATCH {
            let reason =
                format!("periodic-hook-data takes at most {HOOK_BATCH} shares a call, not {}", shares.len());
            return Err(CallError::Host { reason });
        }
        let convert = |answer| hook_answer_from_wit(shares, answer);
        let arguments: Vec<_> = shares.iter().map(share_to_wit).collect();
        self.call::<PeriodicHookData, _>(reason, target::shares(shares), (&arguments,), convert).await
    }

    pub(super) async fn share_creation_metadata_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
    ) -> Result<SuppliedMetadata, CallError> {
        let convert = |metadata| supplied_from_wit(&self.metadata_keys.supplied, metadata);
        let (arguments, server) = with_server(share);
        let arguments = (&arguments, server.as_ref());
        self.call::<ShareCreationMetadata, _>(reason, target::share(share), arguments, convert).await
    }

    pub(super) async fn update_share_from_metadata_of(
        &self,
        reason: &CallReason,
        share: &ShareForDriver,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), CallError> {
        let ((arguments, server), metadata) = (with_server(share), pairs_to_wit(metadata));
        let arguments = (&arguments, &metadata[..], server.as_ref());
        self.call::<UpdateShareFromMetadata, _>(reason, target::share(share), arguments, Ok).await
    }
}
