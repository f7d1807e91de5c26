//! What the steps of a migration do to the records: a draft of everything that one transaction writes, built up and committed if the
//! operation is still this attempt's.

use super::{MOST_SNAPSHOTS, backend_of};
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Attempt, End, cause_of, unfinished};
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Expect, Row, RowKey, Stored, Tables};
use crate::runner;
use crate::share_type;
use bulkhead_model::error::Blame;
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::migration::{Migration, MigrationOutcome, MigrationPhase};
use bulkhead_model::operation::{Operation, OperationFailure, OperationState};
use bulkhead_model::replica::SnapshotProgress;
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{Share, ShareInstance, ShareSupport};
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::{ReplicaState, ShareStatus, SnapshotStatus, TaskState};
use bulkhead_model::time::Timestamp;

/// Everything that a step may change. None for a side takes it away.
pub(super) struct Draft<'a> {
    pub(super) tables: &'a Tables,
    pub(super) cause: &'a Cause,
    pub(super) change: Change,
    pub(super) share: Share,
    pub(super) migration: Migration,
    pub(super) source: Option<ShareInstance>,
    pub(super) destination: Option<ShareInstance>,
    /// How the operation ends with this step; none goes on.
    pub(super) end: Option<End>,
}

/// Take a step: what `alter` makes of the draft is committed, unless the operation has ended or was taken over.
pub(super) async fn advance(
    inner: &Inner,
    attempt: &Attempt,
    alter: impl Fn(&mut Draft<'_>),
) -> Result<runner::Step, ManagerError> {
    let of = &attempt.operation;
    inner
        .transact(|tables| {
            let is_ours = |one: &Stored<Operation>| one.fencing_token == of.fencing_token;
            let Some(stored) = unfinished(tables, of.id).filter(is_ours) else {
                return Ok(Proposal::Settled(runner::Step::Ended));
            };
            let cause = cause_of(&stored.value);
            let Some(mut draft) = Draft::of(tables, &stored.value, &cause) else {
                return Ok(Proposal::Settled(runner::Step::Ended));
            };
            alter(&mut draft);
            let step = if draft.end.is_some() { runner::Step::Ended } else { runner::Step::Again };
            let change = draft.write(inner, &stored);
            Ok(Proposal::Commit(stored.backend.clone(), change, step))
        })
        .await
}

impl<'a> Draft<'a> {
    fn of(tables: &'a Tables, operation: &Operation, cause: &'a Cause) -> Option<Self> {
        let share = (*tables.share(&Scope::Everything, operation.share)?.value).clone();
        let migration = share.migration.clone()?;
        let side = |id| tables.instance(id).map(|stored| (*stored.value).clone());
        Some(Self {
            tables,
            cause,
            change: Change::default(),
            source: side(migration.source),
            destination: side(migration.destination),
            share,
            migration,
            end: None,
        })
    }

    /// Go on to a phase.
    pub(super) fn to(&mut self, phase: MigrationPhase) {
        self.migration.phase = phase;
        self.migration.progress_percent = None;
        if let Some(word) = phase.task_state() {
            self.share.task_state = Some(word);
        }
    }

    /// Whether the share has snapshots, which only a driver can move.
    pub(super) fn has_snapshots(&self) -> bool {
        self.tables.snapshots_of(self.share.id).next().is_some()
    }

    fn snapshot_on(&self, share: ShareInstanceId) -> Vec<&'a Stored<SnapshotInstance>> {
        let of_share = self.tables.snapshots_of(self.share.id);
        let all = of_share.flat_map(|snapshot| self.tables.snapshot_instances_of(snapshot.id));
        all.filter(|one| one.share_instance == share).collect()
    }

    /// Every snapshot gets a twin on the destination. Fails if there are too many for one transaction.
    pub(super) fn pair_snapshots(&mut self) -> Result<(), OperationFailure> {
        let originals = self.snapshot_on(self.migration.source);
        if originals.len() > MOST_SNAPSHOTS {
            return Err(refusal(format!("at most {MOST_SNAPSHOTS} snapshots move along")));
        }
        if let Some(busy) = originals.iter().find(|one| one.status != SnapshotStatus::Available) {
            return Err(refusal(format!("snapshot {} is '{}'", busy.snapshot, busy.status)));
        }
        for original in originals {
            self.change.edit_one_snapshot_instance(original, self.cause, |instance| {
                instance.status = SnapshotStatus::Migrating;
            });
            self.change.insert(Row::SnapshotInstance(SnapshotInstance {
                id: SnapshotInstanceId::random(),
                snapshot: original.snapshot,
                share_instance: self.migration.destination,
                status: SnapshotStatus::MigratingTo,
                provider_location: None,
                export_locations: Vec::new(),
                access_rules: original.access_rules.clone(),
            }));
        }
        Ok(())
    }

    /// The twins are forgotten, the snapshots are usable again.
    fn part_snapshots(&mut self) {
        for twin in self.snapshot_on(self.migration.destination) {
            self.change.delete(RowKey::SnapshotInstance(twin.id), twin.revision);
        }
        for original in self.snapshot_on(self.migration.source) {
            if original.status == SnapshotStatus::Migrating || original.status == SnapshotStatus::Error {
                self.change.edit_one_snapshot_instance(original, self.cause, |instance| {
                    instance.status = SnapshotStatus::Available;
                });
            }
        }
    }

    /// The destination is forgotten; the source gets its rules back, and then the migration ends as `word`.
    pub(super) fn put_back(&mut self, word: TaskState, failure: Option<OperationFailure>) {
        self.part_snapshots();
        self.destination = None;
        self.migration.ends_as = Some(word);
        self.migration.failure = failure.or(self.migration.failure.take());
        self.to(MigrationPhase::Ending);
    }

    /// The destination that the host made is removed first.
    pub(super) fn remove_destination(&mut self, word: TaskState, failure: Option<OperationFailure>) {
        self.migration.ends_as = Some(word);
        self.migration.failure = failure.or(self.migration.failure.take());
        self.to(MigrationPhase::RemovingDestination);
    }

    /// The driver cannot or will not: the host copies, unless something was asked for that a copy cannot keep.
    pub(super) fn fall_back(&mut self, failure: OperationFailure) {
        if self.migration.options.needs_driver() || self.has_snapshots() {
            let why = if self.has_snapshots() { "the share has snapshots" } else { "of what was asked for" };
            let message = format!("{}; the host does not copy instead, because {why}", failure.message);
            return self.put_back(TaskState::MigrationError, Some(OperationFailure { message, ..failure }));
        }
        // A new one, so that nothing of what the driver may have begun is in its way.
        if let Some(old) = &self.destination {
            let renewed = ShareInstance { id: ShareInstanceId::random(), ..old.clone() };
            self.migration.destination = renewed.id;
            self.destination = Some(renewed);
        }
        self.migration.failure = Some(failure);
        self.to(MigrationPhase::CastingForCopy);
    }

    /// The driver has cut over: the destination serves, with the snapshots as the driver said.
    pub(super) fn cut_over(&mut self, outcome: &MigrationOutcome, support: ShareSupport) {
        self.take_snapshots(outcome);
        self.source = None;
        self.serve_from_destination(support);
        if let (Some(destination), Some(locations)) = (&mut self.destination, &outcome.export_locations) {
            destination.export_locations = export::replace(&destination.export_locations, locations.clone());
        }
        if let Some(destination) = &mut self.destination {
            destination.status = ShareStatus::Migrating;
        }
        self.migration.ends_as = Some(TaskState::MigrationSuccess);
        self.to(MigrationPhase::ApplyingRules);
    }

    /// The host has copied and exported: the destination serves, the source goes.
    pub(super) fn cut_over_copy(&mut self, support: ShareSupport) {
        self.serve_from_destination(support);
        if let Some(destination) = &mut self.destination {
            destination.status = ShareStatus::Available;
        }
        if let Some(source) = &mut self.source {
            source.status = ShareStatus::Inactive;
        }
        self.migration.ends_as = Some(TaskState::MigrationSuccess);
        self.to(MigrationPhase::RemovingSource);
    }

    fn serve_from_destination(&mut self, support: ShareSupport) {
        if let Some(new) = self.migration.new_type.take() {
            self.share.share_type = new.id;
            self.share.replication_type = share_type::replication_type(&new.extra_specs);
            self.share.extra_specs = new.extra_specs;
        }
        self.share.support = share_type::support(&self.share.extra_specs, support);
        let is_replicable = self.share.replication_type.is_some();
        let rules = self.source.as_ref().map(|source| source.access_rules_status);
        if let Some(destination) = &mut self.destination {
            destination.replica_state = is_replicable.then_some(ReplicaState::Active);
            destination.progress_percent = Some(100);
            destination.launched_at = Some(Timestamp::now());
            destination.access_rules_status = rules.unwrap_or(destination.access_rules_status);
        }
    }

    fn take_snapshots(&mut self, outcome: &MigrationOutcome) {
        for original in self.snapshot_on(self.migration.source) {
            self.change.delete(RowKey::SnapshotInstance(original.id), original.revision);
        }
        let can_be_mounted = self.share.support.mount_snapshot;
        for twin in self.snapshot_on(self.migration.destination) {
            let update = outcome.snapshots.iter().find(|update| update.id == twin.id);
            self.change.edit_one_snapshot_instance(twin, self.cause, |instance| {
                instance.status = match update.map(|update| update.progress) {
                    None | Some(SnapshotProgress::Available) => SnapshotStatus::Available,
                    Some(_) => SnapshotStatus::Error,
                };
                let Some(update) = update else { return };
                if update.provider_location.is_some() {
                    instance.provider_location.clone_from(&update.provider_location);
                }
                if let Some(locations) = update.export_locations.as_ref().filter(|_| can_be_mounted) {
                    instance.export_locations =
                        export::replace(&instance.export_locations, locations.clone());
                }
            });
        }
    }

    /// The driver failed to cut over: nobody knows what is where.
    pub(super) fn break_off(&mut self, phase: MigrationPhase, failure: &OperationFailure) {
        for side in [&mut self.source, &mut self.destination].into_iter().flatten() {
            side.status = ShareStatus::Error;
        }
        for share in [self.migration.source, self.migration.destination] {
            for snapshot in self.snapshot_on(share) {
                self.change.edit_one_snapshot_instance(snapshot, self.cause, |instance| {
                    instance.status = SnapshotStatus::Error;
                });
            }
        }
        self.migration.wish = None;
        self.to(phase);
        self.end = Some(End::badly(failure.clone()));
    }

    /// It is over: whoever serves is usable, the operation ends as the migration does.
    pub(super) fn finish(&mut self) {
        let word = self.migration.ends_as.unwrap_or(TaskState::MigrationError);
        self.share.task_state = Some(word);
        for side in [&mut self.source, &mut self.destination].into_iter().flatten() {
            side.status = ShareStatus::Available;
        }
        let failure = self.migration.failure.take();
        self.end = Some(match word {
            TaskState::MigrationSuccess => End::well(),
            TaskState::MigrationCancelled => End { state: OperationState::Abandoned, failure },
            _ => End { state: OperationState::Failed, failure },
        });
        self.share.migration = None;
    }

    /// The source is gone, and with it the migration.
    pub(super) fn finish_without_source(&mut self) {
        self.source = None;
        self.finish();
    }

    fn write(mut self, inner: &Inner, operation: &Stored<Operation>) -> Change {
        let before = self.share.migration.take();
        let is_over = before.is_none();
        let id = self.share.id;
        if !is_over {
            self.share.migration = Some(self.migration.clone());
        }
        let was = before.map_or(self.migration.phase, |before| before.phase);
        if was != self.migration.phase {
            let words = format_args!("migration: {}", self.migration.phase.words());
            self.change.note(self.cause, format_args!("share/{id}"), words);
        }
        self.write_sides();
        if let Some(stored) = self.tables.share(&Scope::Everything, id) {
            self.share.updated_at = Timestamp::now();
            self.change.put(Expect::Unchanged(stored.revision), Row::Share(self.share.clone()));
        }
        match self.end.take() {
            Some(end) => {
                if is_over {
                    let word = self.share.task_state.map_or("none", TaskState::as_str);
                    self.change.note(self.cause, format_args!("share/{id}"), word);
                }
                inner.end(self.tables, &mut self.change, &operation.value, end);
            }
            None => self.write_operation(operation),
        }
        self.change
    }

    fn write_sides(&mut self) {
        let stored = self.tables.instances_of(self.share.id);
        let mut sides: Vec<_> = [self.source.take(), self.destination.take()].into_iter().flatten().collect();
        for side in &mut sides {
            side.updated_at = Timestamp::now();
            let before = stored.iter().find(|one| one.id == side.id);
            if before.is_none_or(|before| before.status != side.status) {
                let was = before.map_or("none", |before| before.status.as_str());
                let words = format_args!("{was} -> {} on {}", side.status, side.placement.backend);
                self.change.note(self.cause, format_args!("share/{}", self.share.id), words);
            }
            let expect = before.map_or(Expect::Absent, |before| Expect::Unchanged(before.revision));
            self.change.put(expect, Row::Instance(side.clone()));
        }
        for gone in stored.iter().filter(|one| sides.iter().all(|side| side.id != one.id)) {
            let words = format_args!("{} -> gone from {}", gone.status, gone.placement.backend);
            self.change.note(self.cause, format_args!("share/{}", self.share.id), words);
            self.change.delete(RowKey::Instance(gone.id), gone.revision);
        }
    }

    fn write_operation(&mut self, stored: &Stored<Operation>) {
        let mut operation = (*stored.value).clone();
        let phase = self.migration.phase;
        let is_followed = phase == MigrationPhase::InProgress;
        let rests = is_followed || (phase.may_be_completed() && self.migration.wish.is_none());
        operation.state = if rests { OperationState::Waiting } else { OperationState::Running };
        operation.step = match self.migration.progress_percent {
            Some(percent) => format!("{} ({percent} %)", phase.words()),
            None => phase.words().to_owned(),
        };
        operation.failure.clone_from(&self.migration.failure);
        operation.deadline_at = None;
        // Each step is a call of its own, which has not been tried yet.
        operation.attempts = 0;
        let sides =
            (self.tables.instance(self.migration.source), self.tables.instance(self.migration.destination));
        if let (Some(source), Some(destination)) = sides {
            operation.backend = backend_of(&self.migration, source, destination).clone();
        } else if let (Some(side), _) | (_, Some(side)) = sides {
            operation.backend = side.placement.backend.clone();
        }
        operation.updated_at = Timestamp::now();
        self.change.put(Expect::Unchanged(stored.revision), Row::Operation(operation));
    }
}

/// A failure that nobody's program is to blame for.
pub(super) fn refusal(message: String) -> OperationFailure {
    OperationFailure { code: "migration-refused".to_owned(), blame: Blame::Caller, message }
}

/// An operator gives the operation of a migration up: what is half done stays so until it is cancelled, or completed if it has cut over.
pub(crate) fn abandon(tables: &Tables, operation: &Operation, cause: &Cause, change: &mut Change) {
    let Some(mut draft) = Draft::of(tables, operation, cause) else { return };
    let phase = draft.migration.phase;
    if !phase.has_cut_over() && phase != MigrationPhase::Ending {
        let next = match phase {
            MigrationPhase::FirstPhaseDone | MigrationPhase::Completing | MigrationPhase::Broken => {
                MigrationPhase::Broken
            }
            phase if phase.is_of_copy() => MigrationPhase::RemovingDestination,
            _ => MigrationPhase::Abandoned,
        };
        draft.migration.ends_as = Some(TaskState::MigrationCancelled);
        draft.to(next);
        draft.share.task_state = Some(TaskState::MigrationError);
    }
    draft.migration.wish = None;
    for side in [&mut draft.source, &mut draft.destination].into_iter().flatten() {
        if side.status.is_transient() {
            side.status = ShareStatus::Error;
        }
    }
    for share in [draft.migration.source, draft.migration.destination] {
        for snapshot in draft.snapshot_on(share).into_iter().filter(|one| one.status.is_transient()) {
            draft.change.edit_one_snapshot_instance(snapshot, cause, |instance| {
                instance.status = SnapshotStatus::Error;
            });
        }
    }
    draft.share.migration = Some(draft.migration.clone());
    draft.write_sides();
    if let Some(stored) = tables.share(&Scope::Everything, operation.share) {
        draft.change.put(Expect::Unchanged(stored.revision), Row::Share(draft.share.clone()));
    }
    change.append(draft.change);
}
