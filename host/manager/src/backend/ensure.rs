//! Ensuring: the backend's exports are brought in line with the records (contract 4.1), at a start where the fingerprint changed, and
//! whenever [`reconcile`](super::reconcile) says so.
//!
//! Decided on purpose, where Manila has quirks:
//! * (a) rules on their way are queued again for every share by recovery, whatever the driver can ensure, so none is ever stuck;
//! * (b) no share gets a status of its own while it is ensured, so none keeps it when the driver leaves it out;
//! * (c) that includes rules whose level was changing;
//! * (d) resources in a transient status are left to their operations, which recovery resumes;
//! * (e) a share that is not sound goes to `error` and comes back by itself: it is asked about again, and is `available` as soon as the
//!   driver says that it is sound. Shares that are in `error` for any other reason are not asked about;
//! * shares on servers whose network changes are left to that change, and asked about after it;
//! * the fingerprint is remembered only after all shares were asked about and all batches have succeeded: else it is tried again.
//!
//! At any time one ensuring runs for each backend; the next one waits for it.

use super::Serving;
use super::supervisor::{failure_of, reason};
use crate::access::state::{self, Reapply};
use crate::access::{self, list::RuleList};
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Freshness, Initiator};
use crate::manager::{Inner, Proposal};
use crate::mountable;
use crate::pool;
use crate::records::{BackendRecord, Cause, Change, Expect, Row, Tables};
use crate::replica;
use crate::runner::launch;
use crate::share::{find, for_driver};
use crate::share_server::network_change;
use crate::view::{BackendDescription, BackendFailure};
use bulkhead_model::error::CallError;
use bulkhead_model::export::StoredExportLocation;
use bulkhead_model::id::{BackendName, OperationId, ShareId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{EnsuredShare, ShareForDriver, ShareInstance};
use bulkhead_model::status::ShareStatus;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::ENSURE_BATCH;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What ensuring the shares of a backend found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EnsureReport {
    /// How many shares the driver was asked about.
    pub asked: usize,
    /// How many it says are sound.
    pub healthy: usize,
    /// How many it said nothing about; they stay as they are.
    pub unanswered: usize,
    /// Those it says are not sound: they are in `error`.
    pub broken: Vec<ShareId>,
    /// Those that were not sound and are `available` again.
    pub recovered: Vec<ShareId>,
    /// Those whose access rules are sent again.
    pub reapplied: Vec<ShareId>,
    /// Why it was not completed; what was found until then stands above.
    pub failure: Option<BackendFailure>,
}

impl EnsureReport {
    /// Whether the driver said of each share how it is.
    pub(super) const fn is_complete(&self) -> bool {
        self.failure.is_none() && self.unanswered == 0
    }
}

/// Ensure the backend's shares unless its fingerprint says that nothing changed: then there is no report. Fails only if the fingerprint
/// cannot be read; what goes wrong with shares is logged and leaves them as they are.
pub(super) async fn ensure(inner: &Arc<Inner>, serving: &Serving) -> Result<Option<EnsureReport>, CallError> {
    let fingerprint = fingerprint(serving).await?;
    if fingerprint.is_some() && fingerprint == known(inner, serving) {
        return Ok(None);
    }
    Ok(Some(ensure_all(inner, serving, fingerprint).await))
}

/// Ensure the backend's shares whatever its fingerprint says.
pub(super) async fn ensure_anyhow(inner: &Arc<Inner>, serving: &Serving) -> EnsureReport {
    match fingerprint(serving).await {
        Ok(fingerprint) => ensure_all(inner, serving, fingerprint).await,
        Err(error) => {
            tracing::warn!(backend.name = %serving.description.name, "the fingerprint cannot be read: {error}");
            EnsureReport { failure: Some(failure_of(&error)), ..EnsureReport::default() }
        }
    }
}

/// Send the rules of mountable snapshots again although the driver, which is not asked about snapshots, knows of nothing that is wrong:
/// somebody may have taken away the export of a snapshot alone. Those that go with the rules of their shares anyway are left out.
pub(super) async fn resend_snapshot_rules(inner: &Arc<Inner>, backend: &BackendName, report: &EnsureReport) {
    let shares: Vec<ShareId> = {
        let tables = inner.records.read();
        tables
            .instances_on(backend)
            .filter(|instance| instance.status == ShareStatus::Available)
            .filter_map(|instance| {
                let share = tables.share(&Scope::Everything, instance.share)?;
                replica::is_exported(share, instance).then_some(instance.share)
            })
            .filter(|share| !report.reapplied.contains(share))
            .collect()
    };
    for share in shares {
        mountable::reapply(inner, share).await;
    }
}

/// Whether the backend has another fingerprint than when its shares were last ensured.
pub(super) async fn has_changed(inner: &Inner, serving: &Serving) -> bool {
    match fingerprint(serving).await {
        Ok(None) => false,
        Ok(found) => found != known(inner, serving),
        Err(error) => {
            tracing::warn!(backend.name = %serving.description.name, "the fingerprint cannot be read: {error}");
            false
        }
    }
}

async fn fingerprint(serving: &Serving) -> Result<Option<String>, CallError> {
    match serving.driver.backend_info(&reason("ensure")).await {
        Ok(info) => Ok(Some(digest(&info))),
        Err(error) if error.is_not_implemented() => Ok(None),
        Err(error) => Err(error),
    }
}

fn known(inner: &Inner, serving: &Serving) -> Option<String> {
    let tables = inner.records.read();
    tables.backend(&serving.description.name).and_then(|record| record.fingerprint.clone())
}

async fn ensure_all(inner: &Arc<Inner>, serving: &Serving, fingerprint: Option<String>) -> EnsureReport {
    let name = &serving.description.name;
    let backend = inner.backends.get(name);
    let _alone = match backend.as_deref() {
        Some(backend) => Some(backend.ensuring.lock().await),
        None => None,
    };
    let mut report = EnsureReport::default();
    let (mut candidates, are_all) = candidates(inner, name);
    pool::fill(inner, serving, &reason("ensure"), &mut candidates).await;
    for batch in candidates.chunks(ENSURE_BATCH) {
        match serving.driver.ensure_shares(&reason("ensure"), batch).await {
            Ok(answers) => {
                report.asked += batch.len();
                report.unanswered += batch.len().saturating_sub(answers.len());
                for answer in answers {
                    take_in(inner, name, batch, &answer, &mut report).await;
                }
            }
            Err(error) if error.is_not_implemented() => break,
            Err(error) => {
                tracing::warn!(backend.name = %name, "ensuring shares failed, they stay as they are: {error}");
                report.failure = Some(failure_of(&error));
                return report;
            }
        }
    }
    if !are_all {
        // The others are asked about at the next look, which finds a fingerprint that nobody remembers.
        return report;
    }
    if let Err(error) = remember(inner, serving, fingerprint).await {
        tracing::error!(backend.name = %name, "the fingerprint was not stored: {error}");
    }
    report
}

/// The digest of a fingerprint: of its sorted items.
fn digest(info: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in info {
        for part in [key, value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a share is asked about: it rests and is usable, or would be if it were sound.
fn is_candidate(instance: &ShareInstance) -> bool {
    match instance.status {
        ShareStatus::Available => true,
        ShareStatus::Error => instance.unsound_since.is_some(),
        _ => false,
    }
}

/// The shares to ask about, and whether these are all: those on a server whose network changes are left to the operation that changes it.
fn candidates(inner: &Inner, backend: &BackendName) -> (Vec<ShareForDriver>, bool) {
    let tables = inner.records.read();
    let (left, asked): (Vec<_>, Vec<_>) = tables
        .instances_on(backend)
        .filter(|instance| is_candidate(instance))
        .partition(|instance| network_change::in_flight_under(&tables, instance.share).is_some());
    let shown = asked.into_iter().filter_map(|instance| {
        let share = tables.share(&Scope::Everything, instance.share)?;
        replica::is_exported(share, instance).then(|| for_driver(&tables, share, instance))
    });
    (shown.collect(), left.is_empty())
}

async fn take_in(
    inner: &Arc<Inner>,
    backend: &BackendName,
    asked: &[ShareForDriver],
    answer: &EnsuredShare,
    report: &mut EnsureReport,
) {
    let id = answer.id;
    let Some(asked) = asked.iter().find(|share| share.id == id) else {
        tracing::warn!(backend.name = %backend, share_instance.id = %id, "the driver ensured a share it was not asked about; passed over");
        return;
    };
    let share = asked.share;
    match inner.transact(|tables| settle(inner, tables, (backend, asked), answer)).await {
        Ok(found) => {
            if let Some(operation) = found.operation {
                launch(inner, operation, Freshness::Repeat);
            }
            match found.health {
                Health::Sound => report.healthy += 1,
                Health::Recovered => {
                    report.healthy += 1;
                    report.recovered.push(share);
                }
                Health::Broken => report.broken.push(share),
                Health::MovedOn => return,
            }
            if answer.healthy && answer.reapply_access_rules {
                report.reapplied.push(share);
                mountable::reapply(inner, share).await;
            }
        }
        Err(error) => tracing::error!(share_instance.id = %id, "an ensured share was not recorded: {error}"),
    }
}

/// How a share is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    Recovered,
    Broken,
    /// Gone, or an operation began on it or has changed it, which knows better.
    MovedOn,
}

/// What an answer came to, with the operation that carries the rules, if they are to be sent again.
#[derive(Debug, Clone, Copy)]
struct Found {
    health: Health,
    operation: Option<OperationId>,
}

fn settle(
    inner: &Inner,
    tables: &Tables,
    (backend, asked): (&BackendName, &ShareForDriver),
    answer: &EnsuredShare,
) -> Result<Proposal<Found>, ManagerError> {
    let moved_on = Found { health: Health::MovedOn, operation: None };
    let Some(stored) = tables.instance(answer.id) else { return Ok(Proposal::Settled(moved_on)) };
    let locations = stored.export_locations.iter().map(|one| &one.location);
    let is_as_asked = locations.eq(&asked.export_locations);
    if !is_candidate(stored)
        || !is_as_asked
        || network_change::in_flight_under(tables, stored.share).is_some()
    {
        return Ok(Proposal::Settled(moved_on));
    }
    let cause = Cause::host("ensure");
    let (mut change, mut operation) = (Change::default(), None);
    let mut instance = (*stored.value).clone();
    if let Some(locations) = &answer.export_locations {
        let replaced = export::replace(&instance.export_locations, locations.clone());
        if !are_same(&replaced, &instance.export_locations) {
            instance.export_locations = replaced;
        }
    }
    let health = judge(&mut instance, answer);
    if answer.healthy && answer.reapply_access_rules {
        let mut rules = RuleList::read(tables, instance.id);
        state::requeue(&mut rules, Reapply::All);
        if state::has_queued(&rules) {
            let (share, _) = find(tables, &Scope::Everything, instance.share)?;
            instance.access_rules_status = rules.status();
            let queued = access::enqueue(inner, tables, share, rules, &Initiator::host("ensure"))?;
            (change, operation) = (queued.0, Some(queued.1));
        }
    }
    let found = Found { health, operation };
    if operation.is_none() && instance == *stored.value {
        // Nothing to write: most shares are as they were, every time.
        return Ok(Proposal::Settled(found));
    }
    note(&mut change, &cause, stored, &instance);
    instance.updated_at = Timestamp::now();
    change.put(Expect::Unchanged(stored.revision), Row::Instance(instance));
    Ok(Proposal::Commit(backend.clone(), change, found))
}

fn judge(instance: &mut ShareInstance, answer: &EnsuredShare) -> Health {
    match (answer.healthy, instance.status) {
        (true, ShareStatus::Error) => {
            instance.status = ShareStatus::Available;
            instance.unsound_since = None;
            Health::Recovered
        }
        (true, _) => Health::Sound,
        (false, ShareStatus::Error) => Health::Broken,
        (false, _) => {
            instance.status = ShareStatus::Error;
            instance.unsound_since = Some(Timestamp::now());
            Health::Broken
        }
    }
}

fn note(change: &mut Change, cause: &Cause, before: &ShareInstance, after: &ShareInstance) {
    let words = match (before.status, after.status) {
        (ShareStatus::Available, ShareStatus::Error) => "available -> error: not sound at its backend",
        (ShareStatus::Error, ShareStatus::Available) => "error -> available: sound at its backend again",
        _ => return,
    };
    change.note(cause, format_args!("share/{}", after.share), words);
}

/// Whether two lists say the same to clients, whenever it was reported.
fn are_same(one: &[StoredExportLocation], other: &[StoredExportLocation]) -> bool {
    let is_same = |(one, other): (&StoredExportLocation, &StoredExportLocation)| {
        one.id == other.id && one.location == other.location
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

async fn remember(inner: &Inner, serving: &Serving, fingerprint: Option<String>) -> Result<(), ManagerError> {
    let BackendDescription { name, generation, .. } = &serving.description;
    inner
        .transact(|tables| {
            let stored = tables.backend(name);
            if stored.is_some_and(|stored| stored.fingerprint == fingerprint) {
                return Ok(Proposal::Settled(()));
            }
            let mut record = match stored {
                Some(stored) => (*stored.value).clone(),
                None => BackendRecord::new(name.clone(), *generation),
            };
            record.fingerprint.clone_from(&fingerprint);
            let mut change = Change::default();
            let expect = stored.map_or(Expect::Absent, |stored| Expect::Unchanged(stored.revision));
            change.put(expect, Row::Backend(record));
            let words = format_args!("ensured on generation {generation}");
            change.note(&Cause::host("ensure"), format_args!("backend/{name}"), words);
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}
