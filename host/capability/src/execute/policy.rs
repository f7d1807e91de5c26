//! Whether a call may run a template, and with which program. Pure: nothing is opened, started or recorded here.

use crate::backend::Backend;
use crate::call::Call;
use crate::slot::{Filled, Slot, SlotValue};
use bulkhead_helper::program;
use bulkhead_helper::protocol::Unreviewed;
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

/// A template that this backend may run.
#[derive(Debug, Clone)]
pub(super) struct Allowed<'backend> {
    pub(super) template: &'backend CommandTemplate,
    pub(super) program: String,
    pub(super) unreviewed: Unreviewed,
}

/// The template `name` if capability, template, program and words are all allowed.
///
/// Fails with `invalid-argument` if it is not declared, else with `denied`, naming the line that would allow it.
pub(super) fn allow<'call>(call: &'call Call, name: &str) -> Result<Allowed<'call>, CapabilityError> {
    call.require(Capability::Execute)?;
    let backend = call.backend();
    let shown = GuestText::new(name, SHOWN);
    let template = backend.manifest().command(name).ok_or_else(|| {
        CapabilityError::new(
            CapabilityCode::InvalidArgument,
            format!(
                "no command template '{shown}' is declared; declare it as [[execute]] name = \"{shown}\""
            ),
        )
    })?;
    backend.require_template(&template.name, template.digest())?;
    let program = bound_program(backend, template)?;
    let listed = backend.ceiling().unreviewed_programs.contains(&template.program);
    let unreviewed = if listed { Unreviewed::Allowed } else { Unreviewed::Refused };
    program::check(template, unreviewed)?;
    check_roots(backend, template)?;
    Ok(Allowed { template, program, unreviewed })
}

/// As [`allow`], and the template may be repeated.
pub(super) fn allow_repeated<'call>(
    call: &'call Call,
    name: &str,
) -> Result<Allowed<'call>, CapabilityError> {
    let allowed = allow(call, name)?;
    match allowed.template.repeat {
        Repeat::Safe => Ok(allowed),
        Repeat::Once => Err(CapabilityError::denied(
            format!("repeating template '{}'", allowed.template.name),
            "repeat = \"safe\" in the driver's manifest",
        )),
    }
}

fn bound_program(backend: &Backend, template: &CommandTemplate) -> Result<String, CapabilityError> {
    let name = &template.program;
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

/// Slots of one command speak of one share, its snapshots, and what it is made from: so that a call about many shares cannot bring the
/// bytes of one tenant into the share of another.
pub(super) fn check_one_share(
    target: &CallTarget,
    template: &CommandTemplate,
    given: &[Slot],
) -> Result<(), CapabilityError> {
    if template.scope == TemplateScope::Backend {
        return Ok(());
    }
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
            Some(first) if first.share != names.share => {
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

/// What a share is made from may be read; a template that changes what its `existing` slots name may not name it.
pub(super) fn check_sources(
    template: &CommandTemplate,
    filled: &BTreeMap<Label, Filled>,
) -> Result<(), CapabilityError> {
    if !changes_existing(template) {
        return Ok(());
    }
    for value in filled.values() {
        match value {
            Filled::Path { kind: PathKind::Existing, at } if at.is_source => {
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
