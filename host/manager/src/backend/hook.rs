//! What the driver tells the operator's periodic hooks about its shares, where the operator wants it (contract 4.2).
//!
//! Manila hands it to hook classes that run inside its manager; here it is kept for whoever asks for it by the operator's door, with a line in
//! the log for each round. It lives in memory: after a start it is there again with the first round. A share that the driver leaves out
//! stands there with its record alone; a round that fails leaves what the last one told. Called by the backend's supervisor, one round
//! after the other.

use super::supervisor::{failure_of, reason};
use super::usage::shares_on;
use super::{Backend, Serving};
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::view::BackendFailure;
use bulkhead_model::ability::Ability;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{BackendName, ShareId, ShareInstanceId};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::HOOK_BATCH;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// What a backend's driver told the operator's hooks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HookView {
    /// When the last round that succeeded ended; none before one has, or where hooks are off.
    pub told_at: Option<Timestamp>,
    /// Why the last round failed; none if it did not.
    pub failure: Option<BackendFailure>,
    /// The shares of that round, those that are gone left out.
    pub shares: Vec<HookShareView>,
}

/// What a driver told of one share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookShareView {
    /// The share.
    pub share: ShareId,
    /// The driver's own keys and values; empty if it told nothing.
    pub data: BTreeMap<String, String>,
}

/// What is kept of the rounds.
#[derive(Debug, Default)]
pub(super) struct Told {
    at: Option<Timestamp>,
    failure: Option<BackendFailure>,
    shares: BTreeMap<ShareInstanceId, BTreeMap<String, String>>,
}

impl Manager {
    /// What a backend's driver told the operator's hooks; empty where hooks are off. Fails with [`ManagerError::NotFound`].
    pub fn hook_data(&self, name: &BackendName) -> Result<HookView, ManagerError> {
        let backend =
            self.inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
        let tables = self.inner.records.read();
        let told = backend.told.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(id, data): (&ShareInstanceId, &BTreeMap<String, String>)| {
            Some(HookShareView { share: tables.instance(*id)?.share, data: data.clone() })
        };
        Ok(HookView {
            told_at: told.at,
            failure: told.failure.clone(),
            shares: told.shares.iter().filter_map(view).collect(),
        })
    }
}

/// Ask for ever, if anybody wants it and the driver can.
pub(super) async fn repeat(inner: &Inner, backend: &Backend, serving: &Serving) {
    let Some(period) = inner.settings.hook_period else { return };
    if !serving.driver.abilities().has(Ability::PeriodicHook) {
        return;
    }
    loop {
        run(inner, backend, serving).await;
        tokio::time::sleep(period).await;
    }
}

async fn run(inner: &Inner, backend: &Backend, serving: &Serving) {
    let outcome = round(inner, backend, serving).await;
    let mut told = backend.told.lock().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(shares) => {
            tracing::info!(backend.name = %backend.name, shares = shares.len(), "the hooks were told of the shares");
            *told = Told { at: Some(Timestamp::now()), failure: None, shares };
        }
        Err(error) => {
            let failure = failure_of(&error);
            tracing::warn!(
                backend.name = %backend.name, code = %failure.code,
                "the hooks were told nothing this time: {}", failure.message
            );
            told.failure = Some(failure);
        }
    }
}

/// All shares with what the driver says of them.
async fn round(
    inner: &Inner,
    backend: &Backend,
    serving: &Serving,
) -> Result<BTreeMap<ShareInstanceId, BTreeMap<String, String>>, CallError> {
    let mut told = BTreeMap::new();
    for batch in shares_on(inner, &backend.name).chunks(HOOK_BATCH) {
        told.extend(batch.iter().map(|share| (share.id, BTreeMap::new())));
        let answer = serving.driver.periodic_hook_data(&reason("hook"), batch).await?;
        if answer.dropped > 0 {
            tracing::warn!(
                backend.name = %backend.name, dropped = answer.dropped,
                "the driver told the hooks of shares it was not asked about; that is dropped"
            );
        }
        told.extend(answer.shares.into_iter().map(|share| (share.id, share.data)));
    }
    Ok(told)
}
