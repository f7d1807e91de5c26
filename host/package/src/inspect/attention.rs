//! What stands on top of a report.

use crate::package::Package;
use bulkhead_model::ability::Capability;
use bulkhead_model::manifest::{
    CommandEffect, CommandTemplate, GroupNetwork, Manifest, PathKind, SlotType, TemplateScope,
};

/// What a reviewer must not overlook, the farthest-reaching first.
pub(super) fn of(package: &Package) -> Vec<String> {
    let manifest = &package.manifest;
    let mut lines = backend_wide(manifest);
    lines.extend(runs_on(manifest));
    lines.extend(destroys(&manifest.commands));
    lines.extend(destroys_at_the_array(manifest));
    lines.extend(resolved_elsewhere(manifest));
    lines.extend(secrets(manifest));
    lines.extend(useless(package));
    lines
}

fn backend_wide(manifest: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    for template in manifest.commands.iter().filter(|template| template.scope == TemplateScope::Backend) {
        lines.push(format!("execute {} reaches the whole backend: {}", template.name, template.reason));
    }
    for template in manifest.dbus_calls.iter().filter(|template| template.scope == TemplateScope::Backend) {
        lines.push(format!("dbus {} reaches the whole backend: {}", template.name, template.reason));
    }
    for template in manifest.requests.iter().filter(|template| template.scope == TemplateScope::Backend) {
        lines.push(format!("request {} reaches the whole backend: {}", template.name, template.reason));
    }
    for template in manifest.files.iter().filter(|template| template.path.is_backend_wide()) {
        let (name, root, path) = (&template.name, &template.root, &template.path);
        lines.push(format!(
            "file {name} writes {root}:{path}, one for the whole backend: {}",
            template.reason
        ));
    }
    for root in &manifest.roots {
        for pattern in root.paths.iter().filter(|pattern| pattern.is_backend_wide()) {
            lines.push(format!(
                "files reaches {}:{pattern}, one for the whole backend: {}",
                root.name, root.reason
            ));
        }
    }
    if let Some(reason) = manifest.private_data.as_ref().and_then(|data| data.backend_scope.as_ref()) {
        lines.push(format!("private data of the whole backend: {reason}"));
    }
    lines
}

/// What goes on when no call does.
fn runs_on(manifest: &Manifest) -> impl Iterator<Item = String> {
    let services = manifest.services.iter().map(|service| {
        let (name, program, reason) = (&service.name, &service.program, &service.reason);
        format!("service {name} keeps {program} running, outside every call's limits: {reason}")
    });
    let networks = manifest.groups.iter().filter(|group| group.network == GroupNetwork::Own).map(|group| {
        let (name, reason) = (&group.name, &group.reason);
        format!("group {name} stands in the tenant's network with each share server's addresses: {reason}")
    });
    let jobs = manifest
        .jobs
        .iter()
        .map(|job| format!("job {} goes on when its call has ended: {}", job.name, job.reason));
    services.chain(networks).chain(jobs)
}

fn destroys(commands: &[CommandTemplate]) -> impl Iterator<Item = String> {
    commands.iter().filter(|template| template.effect == CommandEffect::Destroy).map(|template| {
        let what = match &template.destroys {
            Some(slot) => format!("its slot {slot}, which the call's resource must own"),
            None => "something that no ownership record names".to_owned(),
        };
        format!("execute {} destroys {what}: {}", template.name, template.reason)
    })
}

/// What an array removes has no record of ownership here.
fn destroys_at_the_array(manifest: &Manifest) -> impl Iterator<Item = String> {
    let destroying = manifest.requests.iter().filter(|template| template.effect == CommandEffect::Destroy);
    destroying.map(|template| {
        let what = match template.scope {
            TemplateScope::Target => "what the array has under the call's own name",
            TemplateScope::Backend => "something at the array that no name of the call bounds",
        };
        format!("request {} destroys {what}: {}", template.name, template.reason)
    })
}

fn resolved_elsewhere(manifest: &Manifest) -> Vec<String> {
    let is_text = |slot: &SlotType| matches!(slot, SlotType::Path { kind: PathKind::Text, .. });
    let mut lines = Vec::new();
    for (table, template, slots) in manifest.slots() {
        for (name, _) in slots.iter().filter(|(_, slot)| is_text(slot)) {
            lines.push(format!(
                "{table} {template}.{name} is a path that another process resolves: its parents must be closed to tenants"
            ));
        }
    }
    lines
}

fn secrets(manifest: &Manifest) -> Vec<String> {
    let used = manifest
        .slots()
        .filter(|(_, _, slots)| slots.values().any(|slot| matches!(slot, SlotType::Secret { .. })));
    used.map(|(table, template, _)| format!("{table} {template} is handed a secret")).collect()
}

/// Declared rights and imports that do not meet: nothing dangerous, but not what the vendor meant.
fn useless(package: &Package) -> Vec<String> {
    let manifest = &package.manifest;
    let imports = |capability| package.imports.contains_key(&capability);
    let mut lines = Vec::new();
    let mut compare = |capability: Capability, declared: bool, table: &str| {
        if declared && !imports(capability) {
            lines.push(format!(
                "{table} is declared, but the component does not import {capability}: it is of no use"
            ));
        }
        if !declared && imports(capability) {
            lines.push(format!(
                "{capability} is imported, but no {table} is declared: every call will be denied"
            ));
        }
    };
    // A command may be declared for a job alone.
    let by_itself = manifest.jobs.is_empty();
    let declared = !manifest.commands.is_empty() && (by_itself || imports(Capability::Execute));
    compare(Capability::Execute, declared, "[[execute]]");
    compare(Capability::Service, !manifest.services.is_empty(), "[[service]]");
    compare(Capability::Job, !manifest.jobs.is_empty(), "[[job]]");
    compare(Capability::Dbus, !manifest.dbus_calls.is_empty(), "[[dbus]]");
    compare(Capability::Http, !manifest.requests.is_empty(), "[[request]]");
    let reaches = !manifest.files.is_empty() || manifest.roots.iter().any(|root| !root.paths.is_empty());
    compare(Capability::Files, reaches, "[[file]] or [[root]] with paths");
    lines
}
