//! The part of the report about what runs beside and beyond a call, as text for people.

use super::process_report::{DbusReport, GroupReport, JobReport, PipelineReport, ServiceReport};
use super::text::{nature, shown, slots};
use bulkhead_model::manifest::{GroupInstance, GroupNetwork};
use std::fmt::{self, Formatter};

pub(super) fn pipeline(pipeline: &PipelineReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "  {}: {}", pipeline.name, pipeline.reason)?;
    let stages: Vec<&str> = pipeline.stages.iter().map(|stage| stage.as_str()).collect();
    writeln!(out, "    {}", stages.join(" | "))?;
    writeln!(out, "    pinned as {}", pipeline.digest)
}

pub(super) fn job(job: &JobReport, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "  {}: {}", job.name, job.reason)?;
    let counted = if job.counts_bytes { ", bytes counted" } else { "" };
    writeln!(out, "    runs {}{counted}", job.runs)?;
    writeln!(out, "    pinned as {}", job.digest)
}

pub(super) fn group(group: &GroupReport, out: &mut Formatter<'_>) -> fmt::Result {
    let instance = match group.instance {
        GroupInstance::Backend => "one of the backend",
        GroupInstance::ShareServer => "one of each share server",
    };
    writeln!(out, "  {}, {instance}: {}", group.name, group.reason)?;
    let network = match group.network {
        GroupNetwork::Machine => "mounts and processes of its own, the machine's network",
        GroupNetwork::Own => {
            "mounts, processes and a network of its own: the share server's addresses, on the bridges that the grant names"
        }
    };
    writeln!(out, "    {network}")?;
    if !group.tmpfs.is_empty() {
        writeln!(out, "    empty and its own: {}", group.tmpfs.join(", "))?;
    }
    if let Some(bus) = &group.bus {
        writeln!(out, "    its bus listens at {bus}")?;
    }
    for bind in &group.binds {
        let patterns: Vec<String> =
            bind.pattern.iter().map(|pattern| format!("{}:{pattern}", bind.root)).collect();
        let mode = if bind.read_only { "read only" } else { "read and write" };
        writeln!(out, "    {} shows {} at {}, {mode}", bind.name, patterns.join(" or "), bind.at)?;
    }
    writeln!(out, "    pinned as {}", group.digest)
}

pub(super) fn service(service: &ServiceReport, out: &mut Formatter<'_>) -> fmt::Result {
    let restart = if service.restart { "started again when it ends" } else { "not started again" };
    writeln!(out, "  {} (of group {}, {restart}): {}", service.name, service.group, service.reason)?;
    let words: Vec<String> = service.words.iter().map(|word| shown(word)).collect();
    writeln!(out, "    $ {}", words.join(" "))?;
    for (name, value) in &service.environment {
        writeln!(out, "    environment {name}={}", shown(value))?;
    }
    slots(&service.slots, out)?;
    if !service.after.is_empty() {
        let after: Vec<&str> = service.after.iter().map(|name| name.as_str()).collect();
        writeln!(out, "    after {}", after.join(", "))?;
    }
    for condition in &service.ready {
        writeln!(out, "    ready when {condition}")?;
    }
    writeln!(out, "    at most {} s to be ready, {} s to stop", service.ready_seconds, service.stop_seconds)?;
    writeln!(out, "    pinned as {}", service.digest)
}

pub(super) fn dbus(call: &DbusReport, out: &mut Formatter<'_>) -> fmt::Result {
    let nature = nature(call.effect, call.scope, call.repeat);
    writeln!(out, "  {} (on the bus of group {}, {nature}): {}", call.name, call.group, call.reason)?;
    writeln!(out, "    {} {} {}.{}", call.destination, call.path, call.interface, call.method)?;
    for argument in &call.arguments {
        writeln!(out, "    argument {argument}")?;
    }
    slots(&call.slots, out)?;
    writeln!(out, "    at most {} s", call.timeout_seconds)?;
    writeln!(out, "    pinned as {}", call.digest)
}
