//! The part of the report about what runs beside and beyond a call: pipelines, jobs, groups, services and calls on their buses.

use super::report::{SlotReport, slots};
use bulkhead_model::id::{Digest, Label};
use bulkhead_model::manifest::{
    BindTemplate, CommandEffect, DbusTemplate, DbusType, GroupInstance, GroupNetwork, GroupTemplate,
    JobTemplate, PipelineTemplate, Readiness, Repeat, ServiceTemplate, TemplateScope,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Commands that feed each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PipelineReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// Its commands, first to last.
    pub stages: Vec<Label>,
}

/// What runs on when its call has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// The command or pipeline.
    pub runs: Label,
    /// Whether bytes between stages are counted.
    pub counts_bytes: bool,
}

/// What services share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Why the driver needs it.
    pub reason: String,
    /// Of what there is one.
    pub instance: GroupInstance,
    /// Whose network it has.
    pub network: GroupNetwork,
    /// Directories that are empty and its own.
    pub tmpfs: Vec<String>,
    /// Where its bus listens.
    pub bus: Option<String>,
    /// Directories it may be shown.
    pub binds: Vec<BindTemplate>,
}

/// A long-running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceReport {
    /// Its name.
    pub name: Label,
    /// The hash that a grant pins.
    pub digest: Digest,
    /// Its group.
    pub group: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// The program and its words.
    pub words: Vec<String>,
    /// The environment beside `PATH` and `LC_ALL`.
    pub environment: BTreeMap<String, String>,
    /// Its slots.
    pub slots: Vec<SlotReport>,
    /// What it starts after.
    pub after: Vec<Label>,
    /// When it counts as ready.
    pub ready: Vec<String>,
    /// How long that may take, in seconds.
    pub ready_seconds: u64,
    /// Whether it is started again when it ends.
    pub restart: bool,
    /// How long it may take to stop, in seconds.
    pub stop_seconds: u64,
}

/// A call on a group's own bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DbusReport {
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
    /// The group whose bus it goes to.
    pub group: Label,
    /// Who is called.
    pub destination: String,
    /// The object.
    pub path: String,
    /// The interface.
    pub interface: String,
    /// The method.
    pub method: String,
    /// Its arguments, each as `type value`.
    pub arguments: Vec<String>,
    /// Its slots.
    pub slots: Vec<SlotReport>,
    /// How long the answer may take, in seconds.
    pub timeout_seconds: u64,
}

pub(super) fn pipeline(template: &PipelineTemplate) -> PipelineReport {
    PipelineReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        stages: template.stages.clone(),
    }
}

pub(super) fn job(template: &JobTemplate) -> JobReport {
    JobReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        runs: template.runs.clone(),
        counts_bytes: template.counts_bytes,
    }
}

pub(super) fn group(template: &GroupTemplate) -> GroupReport {
    GroupReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        instance: template.instance,
        network: template.network,
        tmpfs: template.tmpfs.clone(),
        bus: template.bus.clone(),
        binds: template.binds.clone(),
    }
}

pub(super) fn service(template: &ServiceTemplate) -> ServiceReport {
    ServiceReport {
        name: template.name.clone(),
        digest: template.digest(),
        group: template.group.clone(),
        reason: template.reason.clone(),
        words: std::iter::once(&template.program).chain(&template.args).cloned().collect(),
        environment: template.env.clone(),
        slots: slots(&template.slots),
        after: template.after.clone(),
        ready: conditions(&template.ready),
        ready_seconds: template.ready.seconds,
        restart: template.restart,
        stop_seconds: template.stop_seconds,
    }
}

fn conditions(ready: &Readiness) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some(socket) = &ready.socket {
        conditions.push(format!("{socket} takes connections"));
    }
    if let Some(name) = &ready.bus_name {
        conditions.push(format!("{name} is on the group's bus"));
    }
    if let (Some(address), Some(port)) = (&ready.address, &ready.port) {
        conditions.push(format!("{{{address}}} port {{{port}}} takes connections"));
    }
    if conditions.is_empty() {
        conditions.push("it runs".to_owned());
    }
    conditions
}

pub(super) fn dbus(template: &DbusTemplate) -> DbusReport {
    let arguments = template.args.iter();
    DbusReport {
        name: template.name.clone(),
        digest: template.digest(),
        reason: template.reason.clone(),
        effect: template.effect,
        repeat: template.repeat,
        scope: template.scope,
        group: template.group.clone(),
        destination: template.destination.clone(),
        path: template.path.clone(),
        interface: template.interface.clone(),
        method: template.method.clone(),
        arguments: arguments
            .map(|argument| format!("{} {:?}", letter(argument.argument_type), argument.value))
            .collect(),
        slots: slots(&template.slots),
        timeout_seconds: template.timeout,
    }
}

const fn letter(argument_type: DbusType) -> char {
    match argument_type {
        DbusType::Text => 's',
        DbusType::Boolean => 'b',
        DbusType::Byte => 'y',
        DbusType::Unsigned16 => 'q',
        DbusType::Unsigned32 => 'u',
        DbusType::Unsigned64 => 't',
        DbusType::Signed16 => 'n',
        DbusType::Signed32 => 'i',
        DbusType::Signed64 => 'x',
    }
}
