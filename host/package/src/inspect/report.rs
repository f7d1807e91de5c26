//! The report as data: what `inspect --json` prints.

use super::attention;
use super::guarantee::{guarantee, slot_type};
use super::http_report::{self, EndpointReport, RequestReport, SessionReport};
use super::place_report;
use super::process_report::{self, DbusReport, GroupReport, JobReport, PipelineReport, ServiceReport};
use crate::contract::Contract;
use crate::package::Package;
use bulkhead_model::ability::{Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::id::{Digest, Label};
use bulkhead_model::manifest::{
    Capture, CommandEffect, CommandTemplate, DriverDeclaration, FileFormat, FileTemplate, Manifest,
    OptionDeclaration, Repeat, RootDeclaration, RootUse, SecretDeclaration, SlotType, TemplateScope,
};
use bulkhead_model::pattern::{Pattern, Variable};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything a package says about itself, and what this host makes of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Which bytes exactly.
    pub digest: Digest,
    /// How many bytes.
    pub size_bytes: usize,
    /// Who the driver says it is.
    pub driver: DriverDeclaration,
    /// The contract this host speaks.
    pub host_contract: &'static str,
    /// What a reviewer must not overlook: rights beyond the call's target, effects that destroy, text that resolves elsewhere.
    pub attention: Vec<String>,
    /// What it can do: its exports of the contract.
    pub exports: Vec<ExportReport>,
    /// Exports beside the contract; never called.
    pub other_exports: BTreeSet<String>,
    /// What it may ask the host for: its imports.
    pub imports: Vec<ImportReport>,
    /// Where a backend of it can stand; none where it runs no commands and touches no directories.
    pub places: Vec<String>,
    /// Programs it runs, each bound by the operator to a file.
    pub programs: Vec<ProgramReport>,
    /// Directories it reaches into, each bound by the operator.
    pub roots: Vec<RootReport>,
    /// Commands it may run, word by word.
    pub commands: Vec<CommandReport>,
    /// Commands that feed each other.
    pub pipelines: Vec<PipelineReport>,
    /// What runs on when its call has ended.
    pub jobs: Vec<JobReport>,
    /// What its services share.
    pub groups: Vec<GroupReport>,
    /// What runs for as long as the backend does.
    pub services: Vec<ServiceReport>,
    /// Calls on the groups' own buses.
    pub dbus_calls: Vec<DbusReport>,
    /// Management interfaces that its requests go to, each bound by the operator.
    pub endpoints: Vec<EndpointReport>,
    /// How the host logs in for it.
    pub sessions: Vec<SessionReport>,
    /// Requests it may send, letter by letter.
    pub requests: Vec<RequestReport>,
    /// Files it may write, letter by letter.
    pub files: Vec<FileReport>,
    /// What it makes and finds secrets for.
    pub secrets: Vec<SecretReport>,
    /// Why it keeps data of the backend as a whole; none if it keeps data of its resources only.
    pub backend_private_data: Option<String>,
    /// Counters it draws numbers from.
    pub counters: Vec<Label>,
    /// The option that says which addresses export locations may name; none if the grant must say.
    pub export_addresses_from_option: Option<String>,
    /// Metadata keys its export locations may carry.
    pub metadata_keys: Vec<String>,
    /// Metadata keys it may set on shares it has made.
    pub supplied_metadata_keys: Vec<String>,
    /// Metadata keys of shares that it acts on when tenants change them.
    pub updatable_metadata_keys: Vec<String>,
    /// Metadata keys of share network subnets that it acts on when tenants change them.
    pub updatable_subnet_metadata_keys: Vec<String>,
    /// Options the operator may set, beside those every backend has.
    pub options: Vec<OptionReport>,
    /// What bounds its calls unless the operator says otherwise.
    pub limits: DriverLimits,
}

/// An export of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExportReport {
    /// The interface.
    pub interface: Ability,
    /// Whether this host calls it. What it does not call is not reported as a capability either.
    pub driven: bool,
    /// Its functions.
    pub functions: Vec<String>,
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImportReport {
    /// The interface.
    pub capability: Capability,
    /// Whether the operator has to grant it.
    pub needs_grant: bool,
    /// The functions the component can call.
    pub functions: BTreeSet<String>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProgramReport {
    /// Its name; the operator binds it to a file.
    pub name: String,
    /// The command templates that run it.
    pub commands: Vec<Label>,
    /// The services that are it.
    pub services: Vec<Label>,
}

/// A root with every path in it that the driver can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RootReport {
    /// Its name; the operator binds it to a directory.
    pub name: Label,
    /// What stands in it.
    #[serde(rename = "use")]
    pub root_use: RootUse,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// The paths.
    pub paths: Vec<PathReport>,
}

/// A path below a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PathReport {
    /// The pattern; `{share}` and the like are names that the host derives.
    pub pattern: Pattern,
    /// Whose path it is.
    pub reach: &'static str,
    /// What names it: `files`, `execute copy-tree.to`, `file export`.
    pub by: Vec<String>,
}

/// A command template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CommandReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// What it does.
    pub effect: CommandEffect,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// How far it reaches.
    pub scope: TemplateScope,
    /// The program and its words.
    pub words: Vec<String>,
    /// The environment beside `PATH` and `LC_ALL`.
    pub environment: BTreeMap<String, String>,
    /// What it reads on standard input.
    pub standard_input: Option<String>,
    /// The group in whose namespaces it runs.
    pub inside: Option<Label>,
    /// The slot that it makes.
    pub creates: Option<Label>,
    /// The slot that it removes.
    pub destroys: Option<Label>,
    /// Its slots.
    pub slots: Vec<SlotReport>,
    /// The secrets in its output, by purpose.
    pub captures: BTreeMap<Label, Capture>,
    /// How much of its output is kept, in bytes.
    pub capture_bytes: u64,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
}

/// A file template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// The root it stands in.
    pub root: Label,
    /// Its path below that root.
    pub path: Pattern,
    /// How slots are quoted.
    pub format: FileFormat,
    /// Its text.
    pub text: String,
    /// Its slots.
    pub slots: Vec<SlotReport>,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotReport {
    /// Its name.
    pub name: Label,
    /// Its type.
    #[serde(rename = "type")]
    pub slot_type: String,
    /// What holds whatever the driver puts into it.
    pub guarantee: &'static str,
}

/// An option.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OptionReport(pub OptionDeclaration);

/// A purpose of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecretReport {
    /// As declared.
    #[serde(flatten)]
    pub declared: SecretDeclaration,
    /// The hash that a grant pins.
    pub digest: Digest,
}

impl SecretReport {
    fn of(declared: &SecretDeclaration) -> Self {
        Self { declared: declared.clone(), digest: declared.digest() }
    }
}

impl Report {
    /// Look at a package. Runs no code.
    #[must_use]
    pub fn of(package: &Package) -> Self {
        let manifest = &package.manifest;
        let keys = manifest.metadata_keys.clone().unwrap_or_default();
        Self {
            digest: package.digest,
            size_bytes: package.bytes.len(),
            driver: manifest.driver.clone(),
            host_contract: CONTRACT_VERSION,
            attention: attention::of(package),
            exports: package.abilities.0.iter().copied().map(export).collect(),
            other_exports: package.other_exports.clone(),
            imports: package.imports.iter().map(|(capability, used)| import(*capability, used)).collect(),
            places: place_report::places(manifest),
            programs: programs(manifest),
            roots: manifest.roots.iter().map(|one| root(one, manifest)).collect(),
            commands: manifest.commands.iter().map(command).collect(),
            pipelines: manifest.pipelines.iter().map(process_report::pipeline).collect(),
            jobs: manifest.jobs.iter().map(process_report::job).collect(),
            groups: manifest.groups.iter().map(process_report::group).collect(),
            services: manifest.services.iter().map(process_report::service).collect(),
            dbus_calls: manifest.dbus_calls.iter().map(process_report::dbus).collect(),
            endpoints: manifest.endpoints.iter().map(http_report::endpoint).collect(),
            sessions: manifest.sessions.iter().map(http_report::session).collect(),
            requests: manifest.requests.iter().map(http_report::request).collect(),
            files: manifest.files.iter().map(file).collect(),
            secrets: manifest.secrets.iter().map(SecretReport::of).collect(),
            backend_private_data: manifest.private_data.as_ref().and_then(|data| data.backend_scope.clone()),
            counters: manifest.private_data.as_ref().map(|data| data.counters.clone()).unwrap_or_default(),
            export_addresses_from_option: manifest
                .export_addresses
                .as_ref()
                .map(|addresses| addresses.from_option.clone()),
            metadata_keys: keys.export_location,
            supplied_metadata_keys: keys.supplied,
            updatable_metadata_keys: keys.updatable,
            updatable_subnet_metadata_keys: keys.updatable_subnet,
            options: manifest.options.iter().cloned().map(OptionReport).collect(),
            limits: limits(&manifest.driver),
        }
    }
}

impl Report {
    /// Put what only the host's program table knows on top of the report.
    pub fn attend(&mut self, lines: impl IntoIterator<Item = String>) {
        self.attention.splice(0..0, lines);
    }
}

fn export(interface: Ability) -> ExportReport {
    let functions = Contract::get().ok().and_then(|contract| {
        let id = contract.interface(DRIVER_PACKAGE, interface.interface())?;
        Some(contract.functions(id).map(|function| function.name.clone()).collect())
    });
    ExportReport {
        interface,
        driven: Ability::DRIVEN.contains(&interface),
        functions: functions.unwrap_or_default(),
    }
}

fn import(capability: Capability, functions: &BTreeSet<String>) -> ImportReport {
    ImportReport { capability, needs_grant: !capability.is_always_granted(), functions: functions.clone() }
}

fn programs(manifest: &Manifest) -> Vec<ProgramReport> {
    let used = |name: &str| ProgramReport {
        name: name.to_owned(),
        commands: manifest
            .commands
            .iter()
            .filter(|template| template.program == name)
            .map(|template| template.name.clone())
            .collect(),
        services: manifest
            .services
            .iter()
            .filter(|template| template.program == name)
            .map(|template| template.name.clone())
            .collect(),
    };
    manifest.programs().into_iter().map(used).collect()
}

fn root(declaration: &RootDeclaration, manifest: &Manifest) -> RootReport {
    let mut paths: BTreeMap<&str, (&Pattern, Vec<String>)> = BTreeMap::new();
    let mut add =
        |pattern, by| paths.entry(Pattern::as_str(pattern)).or_insert((pattern, Vec::new())).1.push(by);
    for pattern in &declaration.paths {
        add(pattern, "files".to_owned());
    }
    for (table, template, slots) in manifest.slots() {
        for (name, slot) in slots {
            if let SlotType::Path { root, pattern, .. } = slot
                && *root == declaration.name
            {
                pattern.iter().for_each(|pattern| add(pattern, format!("{table} {template}.{name}")));
            }
        }
    }
    for group in &manifest.groups {
        for bind in group.binds.iter().filter(|bind| bind.root == declaration.name) {
            bind.pattern
                .iter()
                .for_each(|pattern| add(pattern, format!("group {}.{}", group.name, bind.name)));
        }
    }
    for template in manifest.files.iter().filter(|template| template.root == declaration.name) {
        add(&template.path, format!("file {}", template.name));
    }
    let paths = paths.into_values().map(|(pattern, by)| path(pattern, by)).collect();
    RootReport {
        name: declaration.name.clone(),
        root_use: declaration.root_use,
        digest: declaration.digest(),
        reason: declaration.reason.clone(),
        paths,
    }
}

fn path(pattern: &Pattern, by: Vec<String>) -> PathReport {
    let reach = if pattern.variables().any(|variable| variable == Variable::Number) {
        "any number, for the whole backend, read only"
    } else if pattern.is_managed() {
        "what the operator asks to take over and nobody owns"
    } else if pattern.is_backend_wide() {
        "the whole backend"
    } else if pattern.is_source() {
        "what the call's new share is made from, read only"
    } else {
        "the call's own resource"
    };
    PathReport { pattern: pattern.clone(), reach, by }
}

pub(super) fn slots(slots: &BTreeMap<Label, SlotType>) -> Vec<SlotReport> {
    let report = |(name, slot): (&Label, &SlotType)| SlotReport {
        name: name.clone(),
        slot_type: slot_type(slot),
        guarantee: guarantee(slot),
    };
    slots.iter().map(report).collect()
}

fn command(template: &CommandTemplate) -> CommandReport {
    CommandReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        effect: template.effect,
        repeat: template.repeat,
        scope: template.scope,
        words: std::iter::once(&template.program).chain(&template.args).cloned().collect(),
        environment: template.env.clone(),
        standard_input: template.stdin.clone(),
        inside: template.inside.clone(),
        creates: template.creates.clone(),
        destroys: template.destroys.clone(),
        slots: slots(&template.slots),
        captures: template.captures.clone(),
        capture_bytes: template.capture,
        timeout_seconds: template.timeout,
    }
}

fn file(template: &FileTemplate) -> FileReport {
    FileReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        root: template.root.clone(),
        path: template.path.clone(),
        format: template.format,
        text: template.text.clone(),
        slots: slots(&template.slots),
    }
}

fn limits(driver: &DriverDeclaration) -> DriverLimits {
    let limits = DriverLimits::default();
    let wanted = driver.max_concurrency.unwrap_or(limits.concurrent_calls);
    DriverLimits { concurrent_calls: limits.concurrent_calls.min(wanted), ..limits }
}
