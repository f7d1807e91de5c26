//! Loading, set-up and statistics of one backend, for as long as it is configured.

use super::ensure::EnsureReport;
use super::{Backend, Serving, Term, concurrent_calls, ensure, hook, reconcile, usage};
use crate::begun;
use crate::failure::describe;
use crate::kept;
use crate::manager::Inner;
use crate::records::Stored;
use crate::scheduler::Functions;
use crate::view::{BackendDescription, BackendFailure, BackendState};
use crate::wait::Waits;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{RequestId, ShareServerId};
use bulkhead_model::network::AllocationLabel;
use bulkhead_model::share_server::{ShareServer, ShareServerStatus};
use bulkhead_model::statistics::{IpVersion, Statistics};
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::Driver;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a backend that starts waits for the pools of its share servers. A server whose pools are not known yet reaches all of them.
const FIRST_LOOK_AT_SERVERS: Duration = Duration::from_secs(10);

/// Load the driver of the backend's recorded generation: again and again, until it can be.
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
    term: Term,
    (description, driver): (BackendDescription, Arc<dyn Driver>),
) {
    if backend.serving().is_none() {
        let starting = BackendState::Starting { failed_attempts: 0, failure: None, next_attempt_at: None };
        backend.set_state(starting);
    }
    let mut waits = Waits::new(inner.settings.first_setup_repeat, inner.settings.longest_setup_repeat);
    let mut failed_attempts: u32 = 0;
    let (serving, found) = loop {
        match bring_up(&inner, &description, &driver).await {
            Ok(brought_up) => break brought_up,
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
    let pause = measure(&inner, &backend, &serving, &mut waits).await;
    let first_look = measure_servers(&inner, &backend, &serving);
    if tokio::time::timeout(FIRST_LOOK_AT_SERVERS, first_look).await.is_err() {
        tracing::warn!(backend.name = %backend.name, "share servers do not say their pools in time; the backend does not wait for them");
    }
    tracing::info!(
        backend.name = %backend.name, generation = %serving.description.generation, "backend is ready"
    );
    serving.driver.lead();
    backend.publish(term, &serving);
    inner.backends.changed();
    watch_over(&inner, &backend, &serving, (pause, found)).await;
}

/// Let a generation that is set up and measured serve from now on, and bring the shares in line with it beside their calls: what it
/// changes there is as if the daemon had been restarted with it.
pub(super) fn move_pointer(
    inner: &Arc<Inner>,
    backend: &Arc<Backend>,
    serving: Arc<Serving>,
    statistics: Statistics,
) {
    let (within, supervised) = (Arc::clone(inner), Arc::clone(backend));
    backend.supervise_with(|_| {
        serving.driver.lead();
        backend.set_loaded(&serving.description, &*serving.driver);
        backend.take_statistics(statistics);
        backend.point_to(Some(&serving));
        backend.set_state(BackendState::Ready);
        async move {
            let found = ensure::ensure(&within, &serving).await.unwrap_or_else(|error| {
                tracing::warn!(
                    backend.name = %supervised.name, "the shares were not ensured on the new generation: {error}"
                );
                None
            });
            let pause = within.settings.statistics_period;
            watch_over(&within, &supervised, &serving, (pause, found)).await;
        }
    });
    inner.backends.changed();
}

/// Look after a backend that serves: its statistics, its shares, what they use, what the operator's hooks are told. `found` is what was
/// found of the shares so far.
async fn watch_over(
    inner: &Arc<Inner>,
    backend: &Backend,
    serving: &Serving,
    (first_pause, found): (Duration, Option<EnsureReport>),
) {
    tokio::join!(
        read_statistics(inner, backend, serving, first_pause),
        read_pools_of_servers(inner, backend, serving),
        reconcile::repeat(inner, backend, serving, found),
        usage::gather(inner, backend, serving),
        hook::repeat(inner, backend, serving),
    );
}

/// Read the statistics for ever. A fingerprint that has changed since the last ensuring is told with them.
async fn read_statistics(inner: &Arc<Inner>, backend: &Backend, serving: &Serving, first_pause: Duration) {
    let mut waits = Waits::new(inner.settings.first_setup_repeat, inner.settings.longest_setup_repeat);
    let mut pause = first_pause;
    loop {
        begun::sweep(inner, &backend.name).await;
        kept::sweep(inner, &backend.name).await;
        tokio::time::sleep(pause).await;
        pause = measure(inner, backend, serving, &mut waits).await;
        if ensure::has_changed(inner, serving).await {
            backend.has_other_fingerprint.notify_one();
        }
    }
}

/// Set up, and bring the shares in line (contract 4.1).
async fn bring_up(
    inner: &Arc<Inner>,
    description: &BackendDescription,
    driver: &Arc<dyn Driver>,
) -> Result<(Arc<Serving>, Option<EnsureReport>), CallError> {
    let serving = set_up(description, driver).await?;
    let found = ensure::ensure(inner, &serving).await?;
    Ok((serving, found))
}

/// Call `setup` and ask for the addresses it exports on.
pub(super) async fn set_up(
    description: &BackendDescription,
    driver: &Arc<dyn Driver>,
) -> Result<Arc<Serving>, CallError> {
    let reason = reason("setup");
    driver.setup(&reason).await?;
    let ip_versions = served_versions(description, &**driver, driver.exported_versions(&reason).await?);
    let functions = Functions::find(description, &**driver, &reason).await?;
    Ok(Arc::new(Serving {
        functions,
        description: description.clone(),
        driver: Arc::clone(driver),
        ip_versions,
        slots: Arc::new(Semaphore::new(concurrent_calls(description))),
    }))
}

/// The versions that shares are exported with: the driver's, and on a backend that makes share servers those of them that its networks
/// have too (contract 3.14).
fn served_versions(
    description: &BackendDescription,
    driver: &dyn Driver,
    of_driver: BTreeSet<IpVersion>,
) -> BTreeSet<IpVersion> {
    if !description.handles_share_servers {
        return of_driver;
    }
    let of_networks = driver.networks().map(|networks| networks.ip_versions(AllocationLabel::User));
    let served = common_versions(&of_driver, &of_networks.unwrap_or_default());
    if served.is_empty() {
        tracing::error!(
            backend.name = %description.name,
            "shares of backend {} are exported with no version of the Internet Protocol: its driver and the networks bound to it, \
             [[grant.networks.user]], have none in common",
            description.name
        );
    }
    if let (Some(first), true) = (served.first(), served.len() > 1) {
        tracing::warn!(
            backend.name = %description.name,
            "networks of both versions are bound to backend {}: its share servers get addresses of {first} from the host, and of the \
             other only what its driver asks for by itself",
            description.name
        );
    }
    served
}

fn common_versions(
    of_driver: &BTreeSet<IpVersion>,
    of_networks: &BTreeSet<IpVersion>,
) -> BTreeSet<IpVersion> {
    of_driver.intersection(of_networks).copied().collect()
}

/// Ask for the pools of share servers for ever, as often as for the statistics and beside them: servers that do not answer hold nothing up.
async fn read_pools_of_servers(inner: &Inner, backend: &Backend, serving: &Serving) {
    if !serving.description.handles_share_servers {
        return;
    }
    loop {
        tokio::time::sleep(inner.settings.statistics_period).await;
        measure_servers(inner, backend, serving).await;
    }
}

/// Ask for the pools of each share server that serves, two at once. One whose driver does not say keeps those it said last.
async fn measure_servers(inner: &Inner, backend: &Backend, serving: &Serving) {
    if !serving.description.handles_share_servers {
        return;
    }
    let servers: Vec<_> = {
        let tables = inner.records.read();
        let active = |server: &&Stored<ShareServer>| server.status == ShareServerStatus::Active;
        tables.servers_at(&backend.name).filter(active).map(|server| server.for_driver()).collect()
    };
    let still: BTreeSet<_> = servers.iter().map(|server| server.id).collect();
    backend.change_server_pools(|known| known.retain(|id, _| still.contains(id)));
    let next = Mutex::new(servers.into_iter());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let ask = async || {
        while let Some(server) = take() {
            match serving.driver.share_server_pools(&reason("statistics"), &server).await {
                Ok(pools) => backend.change_server_pools(|known| {
                    known.insert(server.id, pools);
                }),
                Err(error) => tracing::warn!(
                    share_server.id = %server.id, "the pools of a share server are not known: {error}"
                ),
            }
        }
    };
    tokio::join!(ask(), ask());
}

/// Read the statistics once; returns when to read them next. A failure keeps the last good ones until they are stale, and is tried
/// again sooner than the next reading is due.
async fn measure(inner: &Inner, backend: &Backend, serving: &Serving, waits: &mut Waits) -> Duration {
    let answer = statistics(backend, &*serving.driver).await;
    let pause = match &answer {
        Ok(_) => {
            waits.reset();
            inner.settings.statistics_period
        }
        Err(_) => waits.next().min(inner.settings.statistics_period),
    };
    match answer {
        Ok(statistics) => {
            backend.take_statistics(statistics);
        }
        Err(error) => {
            let failure = failure_of(&error);
            tracing::warn!(
                backend.name = %backend.name, code = %failure.code, pause_ms = pause.as_millis(),
                "statistics failed: {}", failure.message
            );
            backend.change_reported(|reported| reported.failure = Some(failure));
        }
    }
    pause
}

/// The statistics, with the unit in which groups are consistent: the last one that was told if it cannot be told now.
pub(super) async fn statistics(backend: &Backend, driver: &dyn Driver) -> Result<Statistics, CallError> {
    let reason = reason("statistics");
    let statistics = driver.stats(&reason).await?;
    let consistency = match driver.consistency_unit(&reason).await {
        Ok(unit) => unit,
        Err(error) if error.is_not_implemented() => None,
        Err(error) => {
            tracing::warn!(backend.name = %backend.name, "the unit of consistency is not known: {error}");
            backend.consistency()
        }
    };
    Ok(Statistics { consistency, ..statistics })
}

impl Backend {
    fn change_server_pools(&self, change: impl FnOnce(&mut BTreeMap<ShareServerId, BTreeSet<String>>)) {
        change(&mut self.server_pools.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn take_statistics(&self, statistics: Statistics) {
        self.change_reported(|reported| {
            reported.statistics = Some(Arc::new(statistics));
            reported.at = Some((Timestamp::now(), Instant::now()));
            reported.failure = None;
            reported.placed_gib.clear();
        });
    }
}

pub(super) fn reason(task: &str) -> CallReason {
    CallReason { request: RequestId::internal(task), operation: None, earlier_attempts: 0 }
}

pub(super) fn failure_of(error: &CallError) -> BackendFailure {
    let failure = describe(error);
    BackendFailure { code: failure.code, blame: failure.blame, message: failure.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract D-43.
    #[test]
    fn with_share_servers_the_versions_are_those_that_driver_and_network_have_in_common() {
        let (four, six) = (IpVersion::V4, IpVersion::V6);
        let cases: [(&[IpVersion], &[IpVersion], &[IpVersion]); 9] = [
            (&[four], &[four], &[four]),
            (&[six], &[four], &[]),
            (&[four, six], &[four], &[four]),
            (&[four], &[six], &[]),
            (&[six], &[six], &[six]),
            (&[four, six], &[six], &[six]),
            (&[four], &[four, six], &[four]),
            (&[six], &[four, six], &[six]),
            (&[four, six], &[four, six], &[four, six]),
        ];
        for (networks, driver, served) in cases {
            let set = |versions: &[IpVersion]| BTreeSet::from_iter(versions.iter().copied());
            assert_eq!(common_versions(&set(driver), &set(networks)), set(served), "{networks:?} {driver:?}");
        }
    }
}
