//! What shares use, read from the driver every now and then where the operator wants it.
//!
//! The figures are for operators and live in memory: after a start they are there again with the next reading. A share that the driver
//! leaves out keeps its last figure; a reading that fails leaves all of them. Called by the backend's supervisor.

use super::supervisor::{failure_of, reason};
use super::{Backend, Serving};
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::replica;
use crate::share::for_driver;
use bulkhead_model::ability::Ability;
use bulkhead_model::id::{BackendName, ShareId, ShareInstanceId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{ShareForDriver, ShareUsage};
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::ShareStatus;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::USAGE_BATCH;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// What one share uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageView {
    /// The share.
    pub share: ShareId,
    /// Its size.
    pub size: Gibibytes,
    /// What it uses, in GiB.
    pub used_gib: f64,
    /// When that was measured.
    pub gathered_at: Timestamp,
}

/// The last figure of each share.
pub(super) type Figures = BTreeMap<ShareInstanceId, ShareUsage>;

impl Manager {
    /// The last figures of a backend's shares; empty where usage is not gathered. Fails with [`ManagerError::NotFound`].
    pub fn share_usage(&self, name: &BackendName) -> Result<Vec<UsageView>, ManagerError> {
        let backend =
            self.inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
        let tables = self.inner.records.read();
        let figures = backend.usage.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |usage: &ShareUsage| {
            let share = tables.instance(usage.id)?.share;
            let size = tables.share(&Scope::Everything, share)?.size;
            Some(UsageView { share, size, used_gib: usage.used_gib, gathered_at: usage.gathered_at })
        };
        Ok(figures.values().filter_map(view).collect())
    }
}

/// Read for ever, if anybody wants it and the driver can.
pub(super) async fn gather(inner: &Inner, backend: &Backend, serving: &Serving) {
    let Some(period) = inner.settings.usage_period else { return };
    if !serving.driver.abilities().has(Ability::Usage) {
        return;
    }
    loop {
        read(inner, backend, serving).await;
        tokio::time::sleep(period).await;
    }
}

async fn read(inner: &Inner, backend: &Backend, serving: &Serving) {
    let shares = shares_on(inner, &backend.name);
    for batch in shares.chunks(USAGE_BATCH) {
        match serving.driver.share_usage_sizes(&reason("usage"), batch).await {
            Ok(found) => {
                let mut figures = backend.usage.lock().unwrap_or_else(PoisonError::into_inner);
                figures.extend(found.into_iter().map(|usage| (usage.id, usage)));
            }
            Err(error) => {
                let failure = failure_of(&error);
                tracing::warn!(
                    backend.name = %backend.name, code = %failure.code,
                    "what shares use was not read: {}", failure.message
                );
                return;
            }
        }
    }
    let mut figures = backend.usage.lock().unwrap_or_else(PoisonError::into_inner);
    figures.retain(|id, _| inner.records.read().instance(*id).is_some());
}

/// The shares of a backend that serve clients.
pub(super) fn shares_on(inner: &Inner, backend: &BackendName) -> Vec<ShareForDriver> {
    let tables = inner.records.read();
    tables
        .instances_on(backend)
        .filter(|instance| instance.status == ShareStatus::Available)
        .filter_map(|instance| {
            let share = tables.share(&Scope::Everything, instance.share)?;
            replica::is_exported(share, instance).then(|| for_driver(&tables, share, instance))
        })
        .collect()
}
