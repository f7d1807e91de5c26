//! The records of generations: which there are, which is current, and how that changes.
//!
//! ```text
//!   prepare --> prepared --promote--> current <--promote (rollback)--+
//!                  |                     |                           |
//!                  +--fail--> failed     +--another is promoted--> retired --too old--> forgotten
//! ```
//!
//! Which generation is current stands in one field of the backend's record: there is never more than one, and what a restart finds
//! there serves. A number is durable before anything of the generation runs and never given twice, so that the ledger's "generation 3"
//! means one package with one set of options, grant and limits for ever. Each change of state is one transaction with its words for
//! the ledger.

use super::change::Step;
use super::loader::ConfigurationIdentity;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::records::{
    BackendRecord, Cause, Change, Expect, GenerationRecord, Origin, Row, RowKey, Stage, Stored, Tables,
};
use crate::view::BackendFailure;
use bulkhead_model::error::Blame;
use bulkhead_model::id::{BackendName, Digest, GenerationNumber, RequestId};
use bulkhead_model::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GenerationState {
    /// On its way; nothing but its own set-up runs on it.
    Prepared,
    /// It serves.
    Current,
    /// It served, and can be gone back to.
    Retired,
    /// It never served.
    Failed,
}

/// A generation of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationView {
    /// Its number.
    pub generation: GenerationNumber,
    /// How it stands.
    pub state: GenerationState,
    /// Driver, version, package and the digest of everything.
    #[serde(flatten)]
    pub identity: ConfigurationIdentity,
    /// Options, grant and limits.
    pub settings: String,
    /// Who asked for it.
    pub asked_by: String,
    /// The request.
    pub request: RequestId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it last became current.
    pub current_since: Option<Timestamp>,
    /// When another one took its place.
    pub retired_at: Option<Timestamp>,
    /// The step at which the last attempt to make it current failed.
    pub failed_step: Option<Step>,
    /// Why.
    pub failure: Option<BackendFailure>,
    /// Calls for shares that run on it now.
    pub running_calls: usize,
}

impl GenerationView {
    pub(super) fn of(record: &GenerationRecord, current: Option<GenerationNumber>, calls: usize) -> Self {
        let state = match record.stage {
            _ if current == Some(record.number) => GenerationState::Current,
            Stage::Prepared => GenerationState::Prepared,
            Stage::Accepted => GenerationState::Retired,
            Stage::Failed => GenerationState::Failed,
        };
        let (failed_step, failure) = record.failure.clone().unzip();
        Self {
            generation: record.number,
            state,
            identity: record.identity.clone(),
            settings: record.settings.clone(),
            asked_by: record.asked_by.clone(),
            request: record.request.clone(),
            asked_at: record.asked_at,
            current_since: record.current_since,
            retired_at: record.retired_at,
            failed_step,
            failure,
            running_calls: calls,
        }
    }
}

/// A new generation, before it has a number.
#[derive(Debug)]
pub(super) struct NewGeneration<'a> {
    pub(super) identity: &'a ConfigurationIdentity,
    pub(super) settings: &'a str,
}

/// Record a generation as prepared. The number is the next one; a configuration that has just failed, and is tried again, keeps its own.
pub(super) async fn prepare(
    inner: &Inner,
    name: &BackendName,
    new: &NewGeneration<'_>,
    cause: &Cause,
) -> Result<GenerationNumber, ManagerError> {
    inner
        .transact(|tables| {
            let stored = tables.backend(name);
            let newest = stored.map_or(GenerationNumber(0), |stored| stored.generation);
            let is_again = stored.is_some_and(|stored| stored.configuration == Some(new.identity.digest));
            let earlier = tables.generation(name, newest);
            // A version that kept no generations gave the number to this configuration, if it has no row.
            let is_free = earlier.is_none_or(|earlier| earlier.stage != Stage::Accepted);
            let number =
                if is_again && is_free { newest } else { GenerationNumber(newest.0.saturating_add(1)) };
            let mut record =
                stored.map_or_else(|| BackendRecord::new(name.clone(), number), |one| (*one.value).clone());
            record.generation = number;
            record.configuration = Some(new.identity.digest);
            let mut change = Change::default();
            let ConfigurationIdentity { driver, driver_version, package, digest } = new.identity;
            let words = format_args!(
                "generation {number}: {driver} {driver_version} {package}, configuration {digest}"
            );
            change.note(cause, format_args!("backend/{name}"), words);
            change.put(expect(stored), Row::Backend(record));
            let row = GenerationRecord {
                backend: name.clone(),
                number,
                identity: new.identity.clone(),
                settings: new.settings.to_owned(),
                stage: Stage::Prepared,
                asked_by: cause.actor.clone(),
                request: cause.request.clone(),
                asked_at: Timestamp::now(),
                current_since: None,
                retired_at: None,
                failure: None,
            };
            change.put(expect(tables.generation(name, number)), Row::Generation(row));
            Ok(Proposal::Commit(name.clone(), change, number))
        })
        .await
}

/// Make a generation current. From the moment this commits a restart serves it.
pub(super) async fn promote(
    inner: &Inner,
    name: &BackendName,
    number: GenerationNumber,
    file: Option<&Origin>,
    cause: &Cause,
) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let (Some(stored), Some(row)) = (tables.backend(name), tables.generation(name, number)) else {
                return Err(ManagerError::not_found("generation", number));
            };
            let now = Timestamp::now();
            let mut change = Change::default();
            let words = match stored.current {
                Some(before) if before != number => {
                    format!("generation {number} is current, generation {before} retires")
                }
                _ => format!("generation {number} is current"),
            };
            change.note(cause, format_args!("backend/{name}"), words);
            if let Some(before) = tables.current_generation(name).filter(|before| before.number != number) {
                let retired = GenerationRecord { retired_at: Some(now), ..(*before.value).clone() };
                change.put(Expect::Unchanged(before.revision), Row::Generation(retired));
            }
            let promoted = GenerationRecord {
                stage: Stage::Accepted,
                current_since: Some(now),
                retired_at: None,
                failure: None,
                ..(*row.value).clone()
            };
            change.put(Expect::Unchanged(row.revision), Row::Generation(promoted));
            let mut record = BackendRecord { current: Some(number), ..(*stored.value).clone() };
            if let Some(file) = file {
                record.file = Some(file.clone());
            }
            change.put(Expect::Unchanged(stored.revision), Row::Backend(record));
            forget_surplus(tables, &mut change, name, inner.settings.kept_generations);
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}

/// Record why a generation did not become current. One that has been current before stays what it was.
pub(super) async fn fail(
    inner: &Inner,
    name: &BackendName,
    number: Option<GenerationNumber>,
    failure: (Step, &BackendFailure),
    cause: &Cause,
) -> Result<(), ManagerError> {
    let (step, why) = failure;
    inner
        .transact(|tables| {
            let mut change = Change::default();
            let what = number.map_or_else(|| "no generation".to_owned(), |one| format!("generation {one}"));
            let words =
                format_args!("{what}: {step} failed: {} (blame: {}): {}", why.code, why.blame, why.message);
            change.note(cause, format_args!("backend/{name}"), words);
            if let Some(row) = number.and_then(|number| tables.generation(name, number)) {
                let stage = if row.stage == Stage::Prepared { Stage::Failed } else { row.stage };
                let failed =
                    GenerationRecord { stage, failure: Some((step, why.clone())), ..(*row.value).clone() };
                change.put(Expect::Unchanged(row.revision), Row::Generation(failed));
            }
            forget_surplus(tables, &mut change, name, inner.settings.kept_generations);
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}

/// Say in the ledger that a step begins.
pub(super) async fn note(
    inner: &Inner,
    name: &BackendName,
    words: &str,
    cause: &Cause,
) -> Result<(), ManagerError> {
    inner
        .transact(|_| {
            let mut change = Change::default();
            change.note(cause, format_args!("backend/{name}"), words);
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}

/// Remember that the content of the backend's file has been taken or overruled; none forgets it, so that the same content is new again.
pub(super) async fn remember_file(
    inner: &Inner,
    name: &BackendName,
    file: Option<&Origin>,
) -> Result<(), ManagerError> {
    inner
        .transact(|tables| {
            let Some(stored) = tables.backend(name).filter(|stored| stored.file.as_ref() != file) else {
                return Ok(Proposal::Settled(()));
            };
            let mut change = Change::default();
            let record = BackendRecord { file: file.cloned(), ..(*stored.value).clone() };
            change.put(Expect::Unchanged(stored.revision), Row::Backend(record));
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}

/// What the daemon before this one had prepared when it ended did not become current.
pub(super) async fn fail_interrupted(inner: &Inner) -> Result<(), ManagerError> {
    let names: Vec<_> = inner.records.read().backends().map(|backend| backend.name.clone()).collect();
    let why = BackendFailure {
        code: "interrupted".to_owned(),
        blame: Blame::Host,
        message: "the daemon ended before the generation was current".to_owned(),
    };
    for name in names {
        let left: Vec<_> = {
            let tables = inner.records.read();
            let prepared = tables.generations(&name).filter(|row| row.stage == Stage::Prepared);
            prepared.map(|row| row.number).collect()
        };
        for number in left {
            fail(inner, &name, Some(number), (Step::Commit, &why), &Cause::host("start")).await?;
        }
    }
    Ok(())
}

/// The packages that a restart or a way back needs.
pub(super) fn needed_packages(tables: &Tables) -> BTreeSet<Digest> {
    tables
        .backends()
        .flat_map(|backend| tables.generations(&backend.name))
        .filter(|row| row.stage != Stage::Failed)
        .map(|row| row.identity.package)
        .collect()
}

/// The generation that served before the current one.
pub(super) fn previous(tables: &Tables, name: &BackendName) -> Option<GenerationNumber> {
    let current = tables.backend(name)?.current;
    tables
        .generations(name)
        .filter(|row| row.stage == Stage::Accepted && Some(row.number) != current)
        .max_by_key(|row| (row.retired_at, row.number))
        .map(|row| row.number)
}

fn expect<T>(stored: Option<&Stored<T>>) -> Expect {
    stored.map_or(Expect::Absent, |stored| Expect::Unchanged(stored.revision))
}

/// Take away the rows beyond the newest `most` of those that served and of those that failed, as they are after `change`.
fn forget_surplus(tables: &Tables, change: &mut Change, name: &BackendName, most: usize) {
    let current = match change.rows.get(&RowKey::Backend(name.clone())) {
        Some((_, Some(Row::Backend(record)))) => record.current,
        _ => tables.backend(name).and_then(|record| record.current),
    };
    let mut retired = Vec::new();
    let mut failed = Vec::new();
    for stored in tables.generations(name) {
        let altered = match change.rows.get(&RowKey::Generation(name.clone(), stored.number)) {
            Some((_, Some(Row::Generation(row)))) => row,
            _ => &*stored.value,
        };
        match altered.stage {
            Stage::Accepted if Some(altered.number) != current => {
                retired.push((altered.retired_at, altered.number, stored.revision));
            }
            Stage::Failed => failed.push((Some(altered.asked_at), altered.number, stored.revision)),
            Stage::Accepted | Stage::Prepared => {}
        }
    }
    for mut rows in [retired, failed] {
        rows.sort_unstable_by_key(|(at, number, _)| (*at, *number));
        let surplus = rows.len().saturating_sub(most);
        for (_, number, revision) in rows.into_iter().take(surplus) {
            change.delete(RowKey::Generation(name.clone(), number), revision);
        }
    }
}
