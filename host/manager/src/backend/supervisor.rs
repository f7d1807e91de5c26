//! Loading, set-up and statistics of one backend, for as long as it is configured.

use super::{Backend, Serving, ensure};
use crate::begun;
use crate::failure::describe;
use crate::manager::Inner;
use crate::view::{BackendDescription, BackendFailure, BackendState};
use crate::wait::Waits;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::RequestId;
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::Driver;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Load the backend's driver: again and again, until it can be.
pub(super) async fn load<Loading>(
    inner: &Inner,
    backend: &Backend,
    load: impl Fn() -> Loading,
) -> (BackendDescription, Arc<dyn Driver>)
where
    Loading: Future<Output = Result<(BackendDescription, Arc<dyn Driver>), BackendFailure>>,
{
    let mut waits = Waits::new(inner.settings.first_setup_repeat, inner.settings.longest_setup_repeat);
    let mut failed_attempts: u32 = 0;
    loop {
        let failure = match load().await {
            Ok(loaded) => break loaded,
            Err(failure) => failure,
        };
        failed_attempts = failed_attempts.saturating_add(1);
        let pause = waits.next();
        tracing::error!(
            backend.name = %backend.name, attempts = failed_attempts, code = %failure.code, blame = %failure.blame,
            pause_ms = pause.as_millis(), "backend {} cannot be loaded, the others go on: {}", backend.name, failure.message
        );
        // While another generation serves, the backend stays ready; the failure is in the log.
        if backend.serving().is_none() {
            let next_attempt_at = Timestamp::after_now(pause);
            backend.set_state(BackendState::Unusable { failed_attempts, failure, next_attempt_at });
        }
        tokio::time::sleep(pause).await;
    }
}

/// Set the backend up, make its driver the one that serves, then read its statistics for ever.
pub(super) async fn supervise(
    inner: Arc<Inner>,
    backend: Arc<Backend>,
    description: BackendDescription,
    driver: Arc<dyn Driver>,
) {
    if backend.serving().is_none() {
        let starting = BackendState::Starting { failed_attempts: 0, failure: None, next_attempt_at: None };
        backend.set_state(starting);
    }
    let mut waits = Waits::new(inner.settings.first_setup_repeat, inner.settings.longest_setup_repeat);
    let mut failed_attempts: u32 = 0;
    let serving = loop {
        match set_up(&inner, &description, &driver).await {
            Ok(serving) => break serving,
            Err(error) => {
                failed_attempts = failed_attempts.saturating_add(1);
                let pause = waits.next();
                let failure = failure_of(&error);
                tracing::warn!(
                    backend.name = %backend.name, attempts = failed_attempts, code = %failure.code,
                    pause_ms = pause.as_millis(), "set-up of the backend failed: {}", failure.message
                );
                // While another generation serves, the backend stays ready; the failure is in the log.
                if backend.serving().is_none() {
                    backend.set_state(BackendState::Starting {
                        failed_attempts,
                        failure: Some(failure),
                        next_attempt_at: Some(Timestamp::after_now(pause)),
                    });
                }
                tokio::time::sleep(pause).await;
            }
        }
    };
    waits.reset();
    let mut pause = measure(&inner, &backend, &serving, &mut waits).await;
    tracing::info!(
        backend.name = %backend.name, generation = %serving.description.generation, "backend is ready"
    );
    backend.serving.send_replace(Some(Arc::clone(&serving)));
    backend.set_state(BackendState::Ready);
    inner.backends.changed();
    loop {
        begun::sweep(&inner, &backend.name).await;
        tokio::time::sleep(pause).await;
        pause = measure(&inner, &backend, &serving, &mut waits).await;
    }
}

/// Call `setup`, ask for the addresses it exports on, and bring its shares in line (contract 4.1).
async fn set_up(
    inner: &Arc<Inner>,
    description: &BackendDescription,
    driver: &Arc<dyn Driver>,
) -> Result<Arc<Serving>, CallError> {
    let reason = reason("setup");
    driver.setup(&reason).await?;
    let ip_versions = match driver.ip_versions(&reason).await {
        Ok(versions) => versions,
        Err(error) if error.is_not_implemented() => BTreeSet::from([IpVersion::V4]),
        Err(error) => return Err(error),
    };
    let calls = usize::try_from(description.limits.concurrent_calls).unwrap_or(usize::MAX);
    let serving = Arc::new(Serving {
        description: description.clone(),
        driver: Arc::clone(driver),
        ip_versions,
        slots: Arc::new(Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS))),
    });
    ensure::ensure(inner, &serving).await?;
    Ok(serving)
}

/// Read the statistics once; returns when to read them next. A failure keeps the last good ones until they are stale, and is tried
/// again sooner than the next reading is due.
async fn measure(inner: &Inner, backend: &Backend, serving: &Serving, waits: &mut Waits) -> Duration {
    let answer = serving.driver.stats(&reason("statistics")).await;
    let pause = match &answer {
        Ok(_) => {
            waits.reset();
            inner.settings.statistics_period
        }
        Err(_) => waits.next().min(inner.settings.statistics_period),
    };
    backend.change_reported(|reported| match answer {
        Ok(statistics) => {
            reported.statistics = Some(Arc::new(statistics));
            reported.at = Some((Timestamp::now(), Instant::now()));
            reported.failure = None;
            reported.placed_gib.clear();
        }
        Err(error) => {
            let failure = failure_of(&error);
            tracing::warn!(
                backend.name = %backend.name, code = %failure.code, pause_ms = pause.as_millis(),
                "statistics failed: {}", failure.message
            );
            reported.failure = Some(failure);
        }
    });
    pause
}

pub(super) fn reason(task: &str) -> CallReason {
    CallReason { request: RequestId::internal(task), operation: None, earlier_attempts: 0 }
}

fn failure_of(error: &CallError) -> BackendFailure {
    let failure = describe(error);
    BackendFailure { code: failure.code, blame: failure.blame, message: failure.message }
}
