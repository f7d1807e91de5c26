//! Reconciling: a backend is asked again and again whether it is as the records say, and brought back in line.
//!
//! ```text
//!   soon after the start, see below ------+
//!   every reconcile period, with jitter --+
//!   another fingerprint than the last ----+--> ensure all shares --> what was found: broken, recovered, rules sent again
//!   an operator's word -------------------+--> and the rules of all mountable snapshots are sent again
//! ```
//!
//! Drivers are not asked whether snapshots are sound. Where a driver says that a share's rules are lost, those of its snapshots go with
//! them; whatever else may have happened to them, an operator's word mends.
//!
//! A fingerprint is of what the driver thought of: what a start of the machine undid need not be in it. So shares that nobody asked about
//! when their backend became ready are asked about soon after, once. As long as the driver leaves some out they are asked about again,
//! after pauses that grow up to the period: a bridge or a pool may come up later than the daemon.
//!
//! All but an operator's run in the supervisor's task of the backend and end with it; an operator's is a task of its own. They never overlap:
//! ensuring takes the backend's turn. The failure path: what fails is in the log and in what is shown of it, and is tried again at the
//! next occasion.

use super::ensure::{EnsureReport, ensure_anyhow, resend_snapshot_rules};
use super::{Backend, Serving};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use crate::wait::Waits;
use bulkhead_model::id::{BackendName, RequestId};
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tracing::Instrument as _;

/// How many ensurings that operators asked for are remembered for each backend.
const REMEMBERED: usize = 16;

/// Why shares are ensured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// It is due.
    Periodic,
    /// The backend's fingerprint has changed.
    Changed,
    /// An operator asked.
    Asked,
}

impl fmt::Display for Occasion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Periodic => "periodic",
            Self::Changed => "changed",
            Self::Asked => "asked",
        })
    }
}

/// An ensuring of a backend's shares, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnsureView {
    /// The request that asked for it, or the host's own name for it.
    pub request: RequestId,
    /// Why.
    pub occasion: Occasion,
    /// Who asked.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// When it ended; none while it waits or runs.
    pub ended_at: Option<Timestamp>,
    /// What it found; none before its end.
    pub report: Option<EnsureReport>,
}

impl EnsureView {
    fn begin(request: RequestId, occasion: Occasion, asked_by: String) -> Self {
        Self { request, occasion, asked_by, asked_at: Timestamp::now(), ended_at: None, report: None }
    }
}

/// The ensurings of one backend since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Ensurings {
    asked: VecDeque<EnsureView>,
    latest: Option<EnsureView>,
}

impl Ensurings {
    fn begin(&mut self, view: EnsureView) {
        self.asked.truncate(REMEMBERED.saturating_sub(1));
        self.asked.push_front(view);
    }

    fn end(&mut self, view: &EnsureView) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.request == view.request) {
            asked.clone_from(view);
        }
        self.latest = Some(view.clone());
    }
}

impl Manager {
    /// Begin to ensure the shares of a backend now, whatever its fingerprint says. How it stands is asked with
    /// [`Manager::show_ensuring`]; it goes on if nobody asks. For operators.
    ///
    /// Fails with [`ManagerError::NotFound`] for an unknown backend and [`ManagerError::BackendUnreachable`] for one that is not set up.
    pub async fn ensure_backend(
        &self,
        context: &RequestContext,
        name: &BackendName,
    ) -> Result<EnsureView, ManagerError> {
        context.require_operator()?;
        let backend =
            self.inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
        let serving =
            backend.serving().ok_or_else(|| super::unreachable(&self.inner.records.read(), name))?;
        let asked_by = context.actor.user.to_string();
        let begun = EnsureView::begin(context.request.clone(), Occasion::Asked, asked_by);
        backend.with_ensurings(|ensurings| ensurings.begin(begun.clone()));
        let view = begun.clone();
        self.detached(async move |inner| {
            let span = tracing::info_span!(parent: None, "backend.ensure", backend.name = %backend.name);
            tokio::spawn(async move { drop(run(&inner, &backend, &serving, begun).await) }.instrument(span));
            Ok(())
        })
        .await?;
        Ok(view)
    }

    /// An ensuring that an operator asked for, by the id of the request. Fails if it is not remembered.
    pub fn show_ensuring(&self, name: &BackendName, request: &str) -> Result<EnsureView, ManagerError> {
        let backend =
            self.inner.backends.get(name).ok_or_else(|| ManagerError::not_found("backend", name))?;
        let is_meant = |view: &&EnsureView| view.request.to_string() == request;
        let found = backend.with_ensurings(|ensurings| ensurings.asked.iter().find(is_meant).cloned());
        found.ok_or_else(|| ManagerError::not_found("ensuring", request))
    }
}

impl Backend {
    fn with_ensurings<T>(&self, look: impl FnOnce(&mut Ensurings) -> T) -> T {
        look(&mut self.ensurings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ensuring that ended last.
    pub(super) fn last_ensured(&self) -> Option<EnsureView> {
        self.with_ensurings(|ensurings| ensurings.latest.clone())
    }
}

/// Ensure for ever, whenever it is due and whenever the fingerprint has changed. `found` is what was found when the backend became ready,
/// if anybody looked.
pub(super) async fn repeat(
    inner: &Arc<Inner>,
    backend: &Backend,
    serving: &Serving,
    found: Option<EnsureReport>,
) {
    let period = inner.settings.reconcile_period;
    let mut waits = Waits::new(inner.settings.first_reconcile, period);
    let mut are_known = found.is_some_and(|report| report.is_complete());
    loop {
        let pause = if are_known {
            waits.reset();
            jittered(period)
        } else {
            waits.next()
        };
        let occasion = tokio::select! {
            () = tokio::time::sleep(pause) => Occasion::Periodic,
            () = backend.has_other_fingerprint.notified() => Occasion::Changed,
        };
        let begun = EnsureView::begin(RequestId::internal("ensure"), occasion, "host".to_owned());
        are_known = run(inner, backend, serving, begun).await.is_complete();
    }
}

async fn run(inner: &Arc<Inner>, backend: &Backend, serving: &Serving, mut view: EnsureView) -> EnsureReport {
    let report = ensure_anyhow(inner, serving).await;
    if report.failure.is_none() && view.occasion == Occasion::Asked {
        resend_snapshot_rules(inner, &backend.name, &report).await;
    }
    if report.failure.is_none() {
        tracing::info!(
            backend.name = %backend.name, occasion = %view.occasion, asked = report.asked, healthy = report.healthy,
            broken = report.broken.len(), recovered = report.recovered.len(), reapplied = report.reapplied.len(),
            "shares were ensured"
        );
    }
    view.ended_at = Some(Timestamp::now());
    view.report = Some(report.clone());
    backend.with_ensurings(|ensurings| ensurings.end(&view));
    report
}

/// Up to a tenth less or more, so that backends that started together do not stay together.
fn jittered(period: Duration) -> Duration {
    // A random id is as good a die as any.
    let [die, ..] = *uuid::Uuid::new_v4().as_bytes();
    period.mul_f64(0.9 + f64::from(die) / f64::from(u8::MAX) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_takes_or_adds_at_most_a_tenth() {
        let period = Duration::from_secs(300);
        for _ in 0..1000 {
            let due = jittered(period);
            assert!(due >= period.mul_f64(0.899) && due <= period.mul_f64(1.101), "{due:?}");
        }
    }
}
