//! Whether a call may run a template, and with which programs. Pure: nothing is opened, started or recorded here.

use super::request;
use crate::backend::Backend;
use crate::call::Call;
use crate::slot::{Filled, Slot, SlotValue};
use bulkhead_helper::program;
use bulkhead_helper::protocol::{GroupKey, Unreviewed};
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    CommandEffect, CommandTemplate, PathKind, Repeat, RootUse, SlotType, TemplateScope,
};
use bulkhead_model::target::{CallTarget, Names};
use bulkhead_model::text::GuestText;
use std::collections::BTreeMap;

const SHOWN: usize = 64;

/// A command or pipeline that this backend may run.
#[derive(Debug, Clone)]
pub(crate) struct Allowed<'backend> {
    /// Its name.
    pub(crate) name: &'backend Label,
    /// First to last; a command has one.
    pub(crate) stages: Vec<Stage<'backend>>,
    slots: BTreeMap<Label, SlotType>,
}

/// A template that this backend may run.
#[derive(Debug, Clone)]
pub(crate) struct Stage<'backend> {
    pub(crate) template: &'backend CommandTemplate,
    pub(crate) program: String,
    pub(crate) unreviewed: Unreviewed,
    /// The group in whose namespaces it runs.
    pub(crate) inside: Option<GroupKey>,
}

impl Allowed<'_> {
    /// The slots of all stages.
    pub(crate) fn slots(&self) -> BTreeMap<Label, SlotType> {
        self.slots.clone()
    }

    /// Whether it may be repeated blindly: as its most careful stage says.
    pub(crate) fn repeat(&self) -> Repeat {
        let once = |stage: &Stage<'_>| stage.template.repeat == Repeat::Once;
        if self.stages.iter().any(once) { Repeat::Once } else { Repeat::Safe }
    }

    /// Whether it reaches the backend as a whole: only if every stage does.
    fn scope(&self) -> TemplateScope {
        let whole = |stage: &Stage<'_>| stage.template.scope == TemplateScope::Backend;
        if self.stages.iter().all(whole) { TemplateScope::Backend } else { TemplateScope::Target }
    }
}

/// The command or pipeline `name` if capability, templates, programs and words are all allowed.
///
/// Fails with `invalid-argument` if it is not declared, else with `denied`, naming the line that would allow it.
pub(super) fn allow<'call>(call: &'call Call, name: &str) -> Result<Allowed<'call>, CapabilityError> {
    call.require(Capability::Execute)?;
    allow_template(call, name)
}

/// As [`allow`], whatever the capability that asks.
pub(crate) fn allow_template<'call>(
    call: &'call Call,
    name: &str,
) -> Result<Allowed<'call>, CapabilityError> {
    let backend = call.backend();
    let manifest = backend.manifest();
    let shown = GuestText::new(name, SHOWN);
    let undeclared = || {
        CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!(
                "no command template '{shown}' is declared; declare it as [[execute]] name = \"{shown}\""
            ),
        )
    };
    let (name, stages) = match (manifest.command(name), manifest.pipeline(name)) {
        (Some(template), _) => (&template.name, vec![allow_stage(backend, template)?]),
        (None, Some(pipeline)) => {
            backend.require_template(&pipeline.name, pipeline.digest())?;
            let stage = |stage: &Label| {
                let template = manifest.command(stage.as_str()).ok_or_else(undeclared)?;
                allow_stage(backend, template)
            };
            (&pipeline.name, pipeline.stages.iter().map(stage).collect::<Result<_, _>>()?)
        }
        (None, None) => return Err(undeclared()),
    };
    let words: Vec<_> = stages.iter().map(|stage| (stage.template, stage.unreviewed)).collect();
    program::check_stages(&words)?;
    let slots = request::union(stages.iter().map(|stage| stage.template))?;
    Ok(Allowed { name, stages, slots })
}

fn allow_stage<'call>(
    backend: &'call Backend,
    template: &'call CommandTemplate,
) -> Result<Stage<'call>, CapabilityError> {
    backend.require_template(&template.name, template.digest())?;
    let program = bound_program(backend, &template.program)?;
    let unreviewed = unreviewed(backend, &template.program);
    check_roots(backend, template)?;
    let inside = match &template.inside {
        Some(group) => Some(crate::service::allow_group(backend, group.as_str())?.key),
        None => None,
    };
    Ok(Stage { template, program, unreviewed, inside })
}

/// As [`allow`], and the template may be repeated.
pub(super) fn allow_repeated<'call>(
    call: &'call Call,
    name: &str,
) -> Result<Allowed<'call>, CapabilityError> {
    let allowed = allow(call, name)?;
    match allowed.repeat() {
        Repeat::Safe => Ok(allowed),
        Repeat::Once => Err(CapabilityError::denied(
            format!("repeating template '{}'", allowed.name),
            "repeat = \"safe\" in the driver's manifest",
        )),
    }
}

/// Whether the site's ceiling lets a program run that the reviewed table does not know.
pub(crate) fn unreviewed(backend: &Backend, program: &str) -> Unreviewed {
    if backend.ceiling().unreviewed_programs.contains(program) {
        Unreviewed::Allowed
    } else {
        Unreviewed::Refused
    }
}

/// The file that the operator bound a program to.
pub(crate) fn bound_program(backend: &Backend, name: &str) -> Result<String, CapabilityError> {
    let path = backend.grant().programs.get(name).and_then(|path| path.to_str());
    path.map(str::to_owned).ok_or_else(|| {
        CapabilityError::denied(
            format!("program '{name}'"),
            format!("grant.programs.{name} = \"/usr/bin/{name}\""),
        )
    })
}

/// What a privileged program reads is written by file templates only.
fn check_roots(backend: &Backend, template: &CommandTemplate) -> Result<(), CapabilityError> {
    for (label, slot) in &template.slots {
        let SlotType::Path { kind, root, .. } = slot else { continue };
        let touches = match kind {
            PathKind::Text => false,
            PathKind::Existing => template.effect != CommandEffect::Read,
            PathKind::New | PathKind::NewInside | PathKind::Remove | PathKind::MountTarget => true,
        };
        let declared = backend.manifest().root(root);
        if touches && declared.is_some_and(|root| root.root_use == RootUse::Config) {
            return Err(CapabilityError::denied(
                format!("slot '{label}': a command that changes what a privileged program reads"),
                format!("[[root]] name = \"{root}\" use = \"data\" in the driver's manifest"),
            ));
        }
    }
    Ok(())
}

/// Slots of one command or pipeline speak of one share, its snapshots, and what it is made from: so that a call about many shares cannot
/// bring the bytes of one tenant into the share of another.
pub(super) fn check_one_share(
    target: &CallTarget,
    allowed: &Allowed<'_>,
    given: &[Slot],
) -> Result<(), CapabilityError> {
    if allowed.scope() == TemplateScope::Backend {
        return Ok(());
    }
    of_one_share(target, given)
}

/// Fails with `invalid-argument` if slots name resources of two shares.
pub(crate) fn of_one_share(target: &CallTarget, given: &[Slot]) -> Result<(), CapabilityError> {
    let mut first: Option<Names> = None;
    for slot in given {
        let named = match &slot.value {
            SlotValue::Path(choice) => choice.of,
            SlotValue::NameOf(resource) => Some(*resource),
            _ => continue,
        };
        // Whoever is not of the target is denied where the slot is filled.
        let Ok(names) = target.names(named) else { continue };
        match first {
            Some(first) if !target.is_one_share(first.share, names.share) => {
                return Err(CapabilityError::new(
                    CapabilityCode::InvalidArgument,
                    "the slots name resources of two shares; a command is about one",
                ));
            }
            _ => first = Some(names),
        }
    }
    Ok(())
}

/// What a share is made from may be read; a template that changes what its `existing` slots name may not name it. What the operator asked
/// to take over is looked at by templates that only read.
pub(super) fn check_read_only(
    template: &CommandTemplate,
    filled: &BTreeMap<Label, Filled>,
) -> Result<(), CapabilityError> {
    for value in filled.values() {
        match value {
            Filled::Path { at, .. } if at.is_managed && template.effect != CommandEffect::Read => {
                return Err(crate::resolve::managed_is_looked_at(at));
            }
            Filled::Path { kind: PathKind::Existing, at } if at.is_source && changes_existing(template) => {
                return Err(crate::resolve::source_is_read_only(at));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A template that makes something reads what exists; one that makes and removes nothing changes what exists, unless it only reads.
pub(super) fn changes_existing(template: &CommandTemplate) -> bool {
    template.effect != CommandEffect::Read && template.creates.is_none() && template.destroys.is_none()
}
