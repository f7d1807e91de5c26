//! `[[group]]` and `[[service]]`.

use super::command::{environment, program};
use super::slot::{self, Place, Text};
use super::{below, plain_text, reason, steps};
use crate::toml_file::{Finding, Step};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    BindTemplate, GroupInstance, GroupNetwork, GroupTemplate, Manifest, PathKind, RootUse, ServiceTemplate,
    SlotType,
};
use bulkhead_model::pattern::{Part, Pattern, Variable, parts};
use bulkhead_model::suggestion::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// The longest a service may take to become ready or to stop, in seconds.
const LONGEST_WAIT: u64 = 600;
/// Directories that no group may hide from its programs: without them nothing runs.
const NEEDED: [&str; 8] = ["/", "/bin", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"];

pub(super) fn check(manifest: &Manifest, findings: &mut Vec<Finding>) {
    for (place, group) in manifest.groups.iter().enumerate() {
        check_group(manifest, group, &[Step::from("group"), Step::from(place)], findings);
    }
    for (place, service) in manifest.services.iter().enumerate() {
        check_service(manifest, service, &[Step::from("service"), Step::from(place)], findings);
    }
    for group in &manifest.groups {
        circles(manifest, &group.name, findings);
    }
}

fn check_group(manifest: &Manifest, group: &GroupTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    reason(&group.reason, below!(table, "reason"), findings);
    check_instance(manifest, group, table, findings);
    for (number, directory) in group.tmpfs.iter().enumerate() {
        let path = below!(table, "tmpfs", number);
        if !is_absolute(directory) {
            findings.push(
                Finding::new(path, format!("'{directory}' is no directory"))
                    .hint("an absolute path of letters, digits, '.', '_', '-', without '..': \"/run\""),
            );
        } else if NEEDED.contains(&directory.as_str()) || beneath(directory, "/proc") {
            let message = format!("without '{directory}' no program runs: it cannot be hidden by a tmpfs");
            findings.push(Finding::new(path, message));
        }
    }
    if let Some(bus) = &group.bus
        && !group.tmpfs.iter().any(|directory| beneath(bus, directory))
    {
        findings.push(below_no_tmpfs("bus", bus, below!(table, "bus")));
    }
    let mut names = BTreeSet::new();
    for (number, bind) in group.binds.iter().enumerate() {
        let path = below!(table, "bind", number);
        if !names.insert(&bind.name) {
            let message = format!("a bind '{}' is declared above", bind.name);
            findings.push(Finding::new(below!(path.as_slice(), "name"), message));
        }
        check_bind(manifest, group, bind, &path, findings);
    }
}

/// A group of share servers needs a driver that handles them, and a network of its own needs addresses, which only share servers have.
fn check_instance(manifest: &Manifest, group: &GroupTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    if group.instance == GroupInstance::ShareServer && !manifest.driver.dhss.contains(&true) {
        let finding = Finding::new(below!(table, "instance"), "this driver never has a share server");
        findings.push(finding.hint("dhss = [true] in [driver], or instance = \"backend\""));
    }
    if group.network == GroupNetwork::Own && group.instance != GroupInstance::ShareServer {
        let message =
            "a network of its own takes its addresses from a share server, and this group is the backend's";
        let finding = Finding::new(below!(table, "network"), message);
        findings.push(finding.hint("instance = \"share-server\""));
    }
}

fn below_no_tmpfs(what: &str, text: &str, path: Vec<Step>) -> Finding {
    Finding::new(path, format!("{what} '{text}' is not below one of the group's tmpfs"))
        .hint("what only the group shall see stands in a tmpfs of its own: tmpfs = [\"/run\"]")
}

fn check_bind(
    manifest: &Manifest,
    group: &GroupTemplate,
    bind: &BindTemplate,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    slot::unknown_root(manifest, &bind.root, below!(table, "root"), findings);
    slot::patterns(manifest, &bind.root, &bind.pattern, below!(table, "pattern"), findings);
    if manifest.root(&bind.root).is_some_and(|root| root.root_use != RootUse::Data) {
        let finding = Finding::new(below!(table, "root"), "only a root of tenants' data is shown to a group");
        findings.push(finding.hint("a service reads a config root where it stands"));
    }
    for (number, pattern) in bind.pattern.iter().enumerate() {
        if pattern.is_backend_wide() || pattern.is_managed() {
            let message = format!("'{pattern}' is no share's or snapshot's own");
            let finding = Finding::new(below!(table, "pattern", number), message);
            findings.push(finding.hint("put {share} or {snapshot} into it"));
        }
    }
    let at = below!(table, "at");
    let Some(place) = below_root(&bind.at) else {
        let finding = Finding::new(at, format!("'{}' is no place to show a directory at", bind.at));
        findings.push(finding.hint("an absolute path below a tmpfs: \"/run/exports/{share}\""));
        return;
    };
    if !group.tmpfs.iter().any(|directory| beneath(&bind.at, directory)) {
        findings.push(below_no_tmpfs("at", &bind.at, at.clone()));
    }
    let names: BTreeSet<Variable> = place.variables().collect();
    if names.is_empty() {
        let finding = Finding::new(at.clone(), format!("'{}' is one place for all", bind.at));
        findings.push(finding.hint("put {share} or {snapshot} into it"));
    }
    for name in names {
        if !bind.pattern.iter().all(|pattern| pattern.variables().any(|variable| variable == name)) {
            let message = format!("{{{}}} does not stand in every pattern of the bind", name.name());
            findings.push(Finding::new(at.clone(), message));
        }
    }
}

/// What stands behind the first `/`, as a pattern.
fn below_root(path: &str) -> Option<Pattern> {
    path.strip_prefix('/')?.parse().ok()
}

fn is_absolute(path: &str) -> bool {
    path == "/" || below_root(path).is_some_and(|pattern| pattern.is_backend_wide())
}

fn beneath(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

fn check_service(
    manifest: &Manifest,
    service: &ServiceTemplate,
    table: &[Step],
    findings: &mut Vec<Finding>,
) {
    reason(&service.reason, below!(table, "reason"), findings);
    program(&service.program, &service.args, table, findings);
    environment(&service.env, table, findings);
    for (number, word) in service.args.iter().enumerate() {
        plain_text(word, below!(table, "args", number), findings);
    }
    used_slots(service, table, findings);
    slot::types(manifest, &service.slots, table, findings);
    for (name, slot) in &service.slots {
        service_slot(name, slot, table, findings);
    }
    let Some(group) = manifest.group(service.group.as_str()) else {
        let groups = manifest.groups.iter().map(|group| group.name.as_str());
        findings.push(undeclared("[[group]]", &service.group, groups, below!(table, "group")));
        return;
    };
    readiness(service, group, table, findings);
    for (number, after) in service.after.iter().enumerate() {
        let beside = manifest.services.iter().filter(|other| other.group == service.group);
        let mut beside =
            beside.map(|other| other.name.as_str()).filter(|name| *name != service.name.as_str());
        if !beside.clone().any(|name| name == after.as_str()) {
            let path = below!(table, "after", number);
            findings.push(undeclared("other [[service]] of the group", after, beside.by_ref(), path));
        }
    }
    if service.stop_seconds > LONGEST_WAIT {
        let message = format!("a service may take at most {LONGEST_WAIT} seconds to stop");
        findings.push(Finding::new(below!(table, "stop-seconds"), message));
    }
}

/// A slot stands in the words, or is what readiness looks at.
fn used_slots(service: &ServiceTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let looked_at = [&service.ready.address, &service.ready.port];
    let in_words: BTreeMap<Label, SlotType> = service
        .slots
        .iter()
        .filter(|(name, _)| !looked_at.contains(&&Some((*name).clone())) || stands_in(service, name))
        .map(|(name, slot)| (name.clone(), slot.clone()))
        .collect();
    let words: Vec<Text<'_>> = service
        .args
        .iter()
        .enumerate()
        .map(|(number, text)| Text {
            text,
            path: below!(table, "args", number),
            place: |whole| if whole { Place::WholeArgument } else { Place::PartOfArgument },
        })
        .collect();
    slot::check(&in_words, &words, table, findings);
}

fn stands_in(service: &ServiceTemplate, name: &Label) -> bool {
    service.args.iter().any(|word| parts(word).contains(&Part::Place(name.clone())))
}

fn service_slot(name: &Label, slot: &SlotType, table: &[Step], findings: &mut Vec<Finding>) {
    let message = match slot {
        SlotType::Path { kind: PathKind::Text, .. } => return,
        SlotType::Path { .. } => {
            "is a path of another kind than 'text': a service opens it again whenever it likes"
        }
        SlotType::Opaque { .. } => {
            "is opaque: what runs for ever is told nothing that nobody can read beforehand"
        }
        SlotType::AccessRules { .. } | SlotType::Secret { .. } => {
            "is of no type that a service's words may have"
        }
        _ => return,
    };
    let path = below!(table, "slots", name.as_str());
    findings.push(Finding::new(path, format!("the slot '{name}' {message}")));
}

fn readiness(service: &ServiceTemplate, group: &GroupTemplate, table: &[Step], findings: &mut Vec<Finding>) {
    let ready = below!(table, "ready");
    let at = |key: &str| below!(ready.as_slice(), key);
    if let Some(socket) = &service.ready.socket
        && !group.tmpfs.iter().any(|directory| is_absolute(socket) && beneath(socket, directory))
    {
        findings.push(below_no_tmpfs("socket", socket, at("socket")));
    }
    if let Some(name) = &service.ready.bus_name {
        if group.bus.is_none() {
            let finding = Finding::new(at("bus-name"), format!("the group '{}' has no bus", group.name));
            findings.push(finding.hint("bus = \"/run/dbus/system_bus_socket\" in its [[group]]"));
        }
        if !super::dbus::is_bus_name(name) {
            findings.push(Finding::new(at("bus-name"), format!("'{name}' is no name on a bus")));
        }
    }
    if service.ready.address.is_some() != service.ready.port.is_some() {
        let finding = Finding::new(ready.clone(), "address and port go together");
        findings.push(finding.hint("ready = { address = \"address\", port = \"port\" } names two slots"));
    }
    let wanted = [
        ("address", &service.ready.address, SlotType::Ip, "ip"),
        ("port", &service.ready.port, SlotType::Port, "port"),
    ];
    for (key, slot, wanted, word) in wanted {
        if let Some(name) = slot
            && service.slots.get(name) != Some(&wanted)
        {
            let finding = Finding::new(at(key), format!("no slot '{name}' of type '{word}' is declared"));
            findings.push(finding.hint(format!("slots.{name} = {{ type = \"{word}\" }}")));
        }
    }
    if !(1..=LONGEST_WAIT).contains(&service.ready.seconds) {
        let message = format!("a service may take 1 to {LONGEST_WAIT} seconds to become ready");
        findings.push(Finding::new(at("seconds"), message));
    }
}

pub(super) fn undeclared<'a>(
    what: &str,
    name: &Label,
    known: impl Iterator<Item = &'a str>,
    path: Vec<Step>,
) -> Finding {
    let finding = Finding::new(path, format!("no {what} is named '{name}'"));
    match nearest(name.as_str(), known) {
        Some(near) => finding.hint(format!("did you mean '{near}'?")),
        None => finding,
    }
}

/// Services that wait for each other never start.
fn circles(manifest: &Manifest, group: &Label, findings: &mut Vec<Finding>) {
    let of_group = || manifest.services.iter().enumerate().filter(|(_, service)| service.group == *group);
    let mut started: BTreeSet<&Label> = BTreeSet::new();
    loop {
        let before = started.len();
        for (_, service) in of_group() {
            if service.after.iter().all(|after| started.contains(after)) {
                started.insert(&service.name);
            }
        }
        if started.len() == before {
            break;
        }
    }
    let known: BTreeSet<&Label> = of_group().map(|(_, service)| &service.name).collect();
    for (place, service) in of_group() {
        let waits_for_known = service.after.iter().all(|after| known.contains(after));
        if waits_for_known && !started.contains(&service.name) {
            let message = format!("'{}' waits for services that wait for it", service.name);
            findings.push(Finding::new(steps!("service", place, "after"), message));
        }
    }
}
