//! From a guest's slots to a request for the helper, and the paths that nobody else may change meanwhile.

use super::policy::{self, Allowed};
use super::provider::CommandRequest;
use crate::call::Call;
use crate::ownership::{self, Reach};
use crate::resolve::ResolvedPath;
use crate::root::{Root, identity};
use crate::slot::{self, Filled, Slot};
use bulkhead_helper::protocol::{RootBinding, SlotArgument};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{CommandEffect, CommandTemplate, PathKind};
use rustix::fs::fstat;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// A command that may run, with what it makes and removes.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: CommandRequest,
    /// What it makes: recorded before.
    pub(super) creates: Option<ResolvedPath>,
    /// What it removes: must be recorded.
    pub(super) destroys: Option<ResolvedPath>,
    /// Paths of the backend as a whole, and how far the command reaches from them.
    backend_wide: Vec<(ResolvedPath, Reach)>,
    /// Paths that it changes, as records name them, sorted.
    changed: Vec<String>,
    /// Its slots, for the ledger.
    pub(super) detail: String,
}

/// Check the slots of an allowed template and put the request together.
///
/// Fails with `invalid-argument` for a slot that is missing, unknown or outside its type, `denied` for what is not of the target.
pub(super) fn prepare(
    call: &Call,
    allowed: &Allowed<'_>,
    given: &[Slot],
) -> Result<Prepared, CapabilityError> {
    let template = allowed.template;
    policy::check_one_share(call.target(), template, given)?;
    let filled = slot::fill(call, &template.slots, given)?;
    policy::check_sources(template, &filled)?;
    let mut roots = BTreeMap::new();
    let mut slots = BTreeMap::new();
    let mut detail = String::new();
    for (label, value) in &filled {
        let argument = argument(label, value)?;
        if let Filled::Path { at, .. } = value {
            roots.insert(at.root.name().clone(), binding(&at.root)?);
        }
        describe(&mut detail, label, value, &argument);
        slots.insert(label.clone(), argument);
    }
    let path_of =
        |name: &Option<Label>| name.as_ref().and_then(|name| filled.get(name)).and_then(path).cloned();
    Ok(Prepared {
        request: CommandRequest {
            template: template.clone(),
            program: allowed.program.clone(),
            unreviewed: allowed.unreviewed,
            roots,
            slots,
            timeout: timeout(call, template)?,
        },
        creates: path_of(&template.creates),
        destroys: path_of(&template.destroys),
        backend_wide: backend_wide(template, &filled),
        changed: changed(template, &filled),
        detail,
    })
}

impl Prepared {
    /// Denied if a path of the backend as a whole is a way to what a share or snapshot owns.
    pub(super) async fn keep_apart(&self, call: &Call) -> Result<(), CapabilityError> {
        for (at, reach) in &self.backend_wide {
            ownership::keep_apart(call, at, *reach).await?;
        }
        Ok(())
    }

    /// Wait until nobody else changes what this command changes. Fails with `timed-out` at the call's deadline.
    pub(super) async fn alone(&self, call: &Call) -> Result<Vec<OwnedMutexGuard<()>>, CapabilityError> {
        let mut guards = Vec::with_capacity(self.changed.len());
        // In one order everywhere, so that two commands never wait for each other.
        for subject in &self.changed {
            guards.push(call.backend().shared().path(subject, call.deadline()).await?);
        }
        Ok(guards)
    }
}

const fn path(value: &Filled) -> Option<&ResolvedPath> {
    match value {
        Filled::Path { at, .. } => Some(at),
        _ => None,
    }
}

/// A command that only reads may look at a directory of the backend, shares inside or not; one that changes, changes all that is inside.
fn backend_wide(template: &CommandTemplate, filled: &BTreeMap<Label, Filled>) -> Vec<(ResolvedPath, Reach)> {
    let reach = if template.effect == CommandEffect::Read { Reach::Place } else { Reach::Tree };
    filled.values().filter_map(path).filter(|at| at.owner.is_none()).map(|at| (at.clone(), reach)).collect()
}

fn changed(template: &CommandTemplate, filled: &BTreeMap<Label, Filled>) -> Vec<String> {
    let mut subjects: Vec<String> = filled
        .values()
        .filter_map(|value| match value {
            Filled::Path { kind: PathKind::New | PathKind::Remove | PathKind::MountTarget, at } => {
                Some(at.subject())
            }
            Filled::Path { kind: PathKind::Existing, at } if policy::changes_existing(template) => {
                Some(at.subject())
            }
            _ => None,
        })
        .collect();
    subjects.sort();
    subjects.dedup();
    subjects
}

fn argument(label: &Label, value: &Filled) -> Result<SlotArgument, CapabilityError> {
    Ok(match value {
        Filled::Unsigned(number) => SlotArgument::Unsigned(*number),
        Filled::Signed(number) => SlotArgument::Signed(*number),
        Filled::Word(text) | Filled::Name(text) | Filled::Opaque(text) => SlotArgument::Text(text.clone()),
        Filled::Ip(address) => SlotArgument::Text(address.to_string()),
        Filled::Cidr(network) => SlotArgument::Text(network.to_string()),
        Filled::Uuid(uuid) => SlotArgument::Text(uuid.as_hyphenated().to_string()),
        Filled::Path { at, .. } => SlotArgument::Path(at.path.clone()),
        Filled::AccessRules(_) => {
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("slot '{label}' is a list of access rules, which stands only in a file template"),
            ));
        }
        Filled::Secret(_) => {
            return Err(CapabilityError::denied(
                format!("the secret slot '{label}'"),
                "no line; this version of the host hands no secrets to commands",
            ));
        }
    })
}

/// The directory as this process holds it: the helper opens the path again and compares.
fn binding(root: &Root) -> Result<RootBinding, CapabilityError> {
    let status = fstat(root.directory()).map_err(|error| {
        CapabilityError::new(
            CapabilityCode::Io,
            format!("root '{}' cannot be looked at: {error}", root.name()),
        )
    })?;
    Ok(RootBinding { path: root.path().to_owned(), identity: Some(identity(&status)) })
}

/// The shorter of what the template may take and what is left of the call.
fn timeout(call: &Call, template: &CommandTemplate) -> Result<Duration, CapabilityError> {
    call.check_time()?;
    let left = call.deadline().saturating_duration_since(Instant::now());
    Ok(Duration::from_secs(template.timeout).min(left))
}

fn describe(detail: &mut String, label: &Label, value: &Filled, argument: &SlotArgument) {
    let shown = match (value, argument) {
        (Filled::Path { at, .. }, _) => at.subject(),
        (_, SlotArgument::Unsigned(number)) => number.to_string(),
        (_, SlotArgument::Signed(number)) => number.to_string(),
        (_, SlotArgument::Text(text)) => text.clone(),
        (_, SlotArgument::Path(path)) => path.to_string(),
    };
    let separator = if detail.is_empty() { "" } else { " " };
    let _never_fails = write!(detail, "{separator}{label}={shown}").is_err();
}
