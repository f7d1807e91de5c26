//! From a guest's slots to requests for the helper, one a stage, and the paths that nobody else may change meanwhile.

use super::policy::{self, Allowed, Stage};
use super::provider::CommandRequest;
use crate::argument::Arguments;
use crate::call::Call;
use crate::ownership::{self, Reach};
use crate::resolve::ResolvedPath;
use crate::slot::{self, Filled, Slot};
use bulkhead_helper::protocol::SlotArgument;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandEffect, CommandTemplate, PathKind, SlotType};
use bulkhead_model::text::GuestText;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// The longest name in an error's text, in bytes.
const SHOWN: usize = 64;

/// A command or pipeline that may run, with what it makes and removes.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// First to last; a command has one.
    pub(crate) stages: Vec<CommandRequest>,
    /// What it makes: recorded before.
    pub(crate) creates: Vec<ResolvedPath>,
    /// What it removes: must be recorded.
    pub(crate) destroys: Vec<ResolvedPath>,
    /// The values of all its slots, as they may be written down.
    pub(crate) slots: BTreeMap<Label, SlotArgument>,
    /// Paths of the backend as a whole and those to be taken over, and how far the command reaches from them.
    unowned: Vec<(ResolvedPath, Reach)>,
    /// Paths that it changes, as records name them, sorted.
    changed: Vec<String>,
    /// Its slots, for the ledger.
    pub(crate) detail: String,
}

/// Check the slots of what is allowed and put the requests together.
///
/// Fails with `invalid-argument` for a slot that is missing, unknown or outside its type, `denied` for what is not of the target.
pub(crate) fn prepare(
    call: &Call,
    allowed: &Allowed<'_>,
    given: &[Slot],
) -> Result<Prepared, CapabilityError> {
    policy::check_one_share(call.target(), allowed, given)?;
    let declared = allowed.slots();
    let filled = slot::fill(call, &declared, given)?;
    let mut prepared = Prepared {
        stages: Vec::with_capacity(allowed.stages.len()),
        creates: Vec::new(),
        destroys: Vec::new(),
        slots: BTreeMap::new(),
        unowned: Vec::new(),
        changed: Vec::new(),
        detail: Arguments::of(&filled)?.detail,
    };
    for stage in &allowed.stages {
        let own = filled.iter().filter(|(label, _)| stage.template.slots.contains_key(*label));
        let own = own.map(|(label, value)| (label.clone(), value.clone())).collect();
        prepared.add(call, stage, &own)?;
    }
    prepared.changed.sort();
    prepared.changed.dedup();
    Ok(prepared)
}

impl Prepared {
    fn add(
        &mut self,
        call: &Call,
        stage: &Stage<'_>,
        filled: &BTreeMap<Label, Filled>,
    ) -> Result<(), CapabilityError> {
        let template = stage.template;
        policy::check_read_only(template, filled)?;
        let arguments = Arguments::of(filled)?;
        let path_of = |name: &Option<Label>| name.as_ref().and_then(|name| filled.get(name)).and_then(path);
        for (known, name) in
            [(&mut self.creates, &template.creates), (&mut self.destroys, &template.destroys)]
        {
            if let Some(at) = path_of(name)
                && !known.iter().any(|other| other.subject() == at.subject())
            {
                known.push(at.clone());
            }
        }
        self.unowned.extend(unowned(template, filled));
        self.changed.extend(changed(template, filled));
        self.slots.extend(
            arguments.slots.iter().map(|(label, value)| (label.clone(), named(filled, label, value))),
        );
        self.stages.push(CommandRequest {
            template: template.clone(),
            program: stage.program.clone(),
            unreviewed: stage.unreviewed,
            roots: arguments.roots,
            slots: arguments.slots,
            inside: stage.inside.clone(),
            timeout: timeout(call, template)?,
        });
        Ok(())
    }

    /// Denied if a path of the backend as a whole is a way to what a share or snapshot owns; `not-owned` if one to be taken over is
    /// somebody's.
    pub(crate) async fn keep_apart(&self, call: &Call) -> Result<(), CapabilityError> {
        for (at, reach) in &self.unowned {
            ownership::keep_apart(call, at, *reach).await?;
        }
        Ok(())
    }

    /// Wait until nobody else changes what this command changes. Fails with `timed-out` at the call's deadline.
    pub(crate) async fn alone(&self, call: &Call) -> Result<Vec<OwnedMutexGuard<()>>, CapabilityError> {
        let mut guards = Vec::with_capacity(self.changed.len());
        // In one order everywhere, so that two commands never wait for each other.
        for subject in &self.changed {
            guards.push(call.backend().shared().path(subject, call.deadline()).await?);
        }
        Ok(guards)
    }
}

/// Slots by name; one name in two templates must be of one type.
pub(super) fn union<'manifest>(
    stages: impl Iterator<Item = &'manifest CommandTemplate>,
) -> Result<BTreeMap<Label, SlotType>, CapabilityError> {
    let mut union: BTreeMap<Label, SlotType> = BTreeMap::new();
    for (label, slot_type) in stages.flat_map(|stage| &stage.slots) {
        match union.get(label) {
            Some(known) if known != slot_type => {
                let shown = GuestText::new(label.as_str(), SHOWN);
                return Err(CapabilityError::new(
                    CapabilityCode::InvalidArgument,
                    format!("slot '{shown}' is of two types in two stages; one name is one value"),
                ));
            }
            _ => {
                union.insert(label.clone(), slot_type.clone());
            }
        }
    }
    Ok(union)
}

/// A value as it may be written down: of a secret, its reference.
fn named(filled: &BTreeMap<Label, Filled>, label: &Label, value: &SlotArgument) -> SlotArgument {
    match filled.get(label) {
        Some(Filled::Secret { reference, .. }) => SlotArgument::Text(reference.clone()),
        _ => value.clone(),
    }
}

const fn path(value: &Filled) -> Option<&ResolvedPath> {
    match value {
        Filled::Path { at, .. } => Some(at),
        _ => None,
    }
}

/// A command that only reads may look at a directory of the backend, shares inside or not; one that changes, changes all that is inside.
fn unowned(template: &CommandTemplate, filled: &BTreeMap<Label, Filled>) -> Vec<(ResolvedPath, Reach)> {
    let reach = if template.effect == CommandEffect::Read { Reach::Place } else { Reach::Tree };
    let paths = filled.values().filter_map(path);
    paths.filter(|at| at.owner.is_none() || at.is_managed).map(|at| (at.clone(), reach)).collect()
}

fn changed(template: &CommandTemplate, filled: &BTreeMap<Label, Filled>) -> Vec<String> {
    let changes = |value: &Filled| match value {
        Filled::Path { kind: PathKind::Existing, at } if policy::changes_existing(template) => {
            Some(at.subject())
        }
        Filled::Path { kind, at } if kind.changes_its_name() => Some(at.subject()),
        _ => None,
    };
    filled.values().filter_map(changes).collect()
}

/// The shorter of what the template may take and what is left of the call.
fn timeout(call: &Call, template: &CommandTemplate) -> Result<Duration, CapabilityError> {
    call.check_time()?;
    let left = call.deadline().saturating_duration_since(Instant::now());
    Ok(Duration::from_secs(template.timeout).min(left))
}
