//! The report as text for people.

use super::http_text;
use super::process_text::{dbus, group, job, pipeline, service};
use super::report::{CommandReport, FileReport, OptionReport, Report, RootReport, SecretReport, SlotReport};
use bulkhead_model::call::DriverLimits;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{
    Capture, CommandEffect, FileFormat, OptionType, OptionValue, Repeat, RootUse, TemplateScope,
};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.head(out)?;
        section(out, "look at this first", &self.attention, |line, out| writeln!(out, "  ! {line}"))?;
        self.interfaces(out)?;
        section(out, "places (the operator gives a backend one)", &self.places, |place, out| {
            writeln!(out, "  {place}")
        })?;
        section(
            out,
            "programs it runs (the operator binds each to a file)",
            &self.programs,
            |program, out| {
                let users = program.commands.iter().chain(&program.services);
                let users: Vec<&str> = users.map(|name| name.as_str()).collect();
                writeln!(out, "  {:<16} {}", program.name, users.join(", "))
            },
        )?;
        section(out, "paths it reaches (the operator binds each root to a directory)", &self.roots, root)?;
        section(out, "commands", &self.commands, command)?;
        section(out, "pipelines (commands that feed each other)", &self.pipelines, pipeline)?;
        section(out, "jobs (what runs on when its call has ended)", &self.jobs, job)?;
        section(out, "groups (namespaces of their own)", &self.groups, group)?;
        section(out, "services (what runs for as long as the backend does)", &self.services, service)?;
        section(out, "calls on a group's own bus", &self.dbus_calls, dbus)?;
        section(
            out,
            "endpoints (the operator binds each to addresses)",
            &self.endpoints,
            http_text::endpoint,
        )?;
        section(out, "sessions (the host logs in and keeps the tokens)", &self.sessions, http_text::session)?;
        section(out, "requests", &self.requests, http_text::request)?;
        section(out, "files it writes", &self.files, file)?;
        section(out, "secrets it makes or finds, and never sees", &self.secrets, secret)?;
        self.data(out)?;
        section(out, "options, beside those every backend has", &self.options, option)?;
        limits(&self.limits, out)
    }
}

fn section<T>(
    out: &mut Formatter<'_>,
    title: &str,
    items: &[T],
    print: impl Fn(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    items.iter().try_for_each(|item| print(item, out))
}

impl Report {
    fn head(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let driver = &self.driver;
        let protocols: Vec<&str> = driver.protocols.iter().map(|protocol| protocol.as_str()).collect();
        let modes: Vec<&str> = driver
            .dhss
            .iter()
            .map(|handles| if *handles { "with share servers" } else { "without share servers" })
            .collect();
        writeln!(out, "{} {} by {}", driver.name, driver.version, driver.vendor)?;
        writeln!(out, "  digest    {}", self.digest)?;
        writeln!(out, "  size      {} bytes", self.size_bytes)?;
        writeln!(out, "  contract  {} (this host speaks {})", driver.contract, self.host_contract)?;
        writeln!(out, "  shares    {}, {}", protocols.join(", "), modes.join(" or "))?;
        writeln!(out, "  data      private data of schema {}", driver.private_data_schema)
    }

    fn interfaces(&self, out: &mut Formatter<'_>) -> fmt::Result {
        section(out, "what it can do (exports)", &self.exports, |export, out| {
            let used = if export.driven { "" } else { " (not used by this host)" };
            writeln!(out, "  {:<19} {}{used}", export.interface.interface(), export.functions.join(", "))
        })?;
        for other in &self.other_exports {
            writeln!(out, "  {other} (not of the contract, never called)")?;
        }
        section(out, "what it may ask the host for (imports)", &self.imports, |import, out| {
            let functions: Vec<&str> = import.functions.iter().map(String::as_str).collect();
            let granted = if import.needs_grant { "" } else { " (always granted)" };
            writeln!(out, "  {:<13} {}{granted}", import.capability.interface(), functions.join(", "))
        })
    }

    fn data(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "\nwhat it hands back and keeps")?;
        match &self.export_addresses_from_option {
            Some(option) => writeln!(out, "  export locations only at the addresses in option {option}")?,
            None => writeln!(out, "  export locations only at addresses the grant names")?,
        }
        for (words, keys) in [
            ("metadata keys of export locations", &self.metadata_keys),
            ("metadata keys it may set on new shares", &self.supplied_metadata_keys),
            ("metadata keys of shares it acts on when tenants change them", &self.updatable_metadata_keys),
            (
                "metadata keys of subnets it acts on when tenants change them",
                &self.updatable_subnet_metadata_keys,
            ),
        ] {
            if !keys.is_empty() {
                writeln!(out, "  {words}: {}", keys.join(", "))?;
            }
        }
        match &self.backend_private_data {
            Some(reason) => writeln!(out, "  private data of its resources and of the backend: {reason}")?,
            None => writeln!(out, "  private data of its own resources only")?,
        }
        let counters: Vec<&str> = self.counters.iter().map(|counter| counter.as_str()).collect();
        if counters.is_empty() { Ok(()) } else { writeln!(out, "  counters: {}", counters.join(", ")) }
    }
}

fn root(root: &RootReport, out: &mut Formatter<'_>) -> fmt::Result {
    let holds = match root.root_use {
        RootUse::Data => "tenants' data",
        RootUse::Config => "read by a privileged program: file templates only",
        RootUse::State => "the driver's own bytes",
        RootUse::Kernel => "what the kernel tells, read only",
    };
    writeln!(out, "  {} ({holds}): {}", root.name, root.reason)?;
    for path in &root.paths {
        writeln!(out, "    {}/{}", root.name, path.pattern)?;
        writeln!(out, "      {}; by {}", path.reach, path.by.join(", "))?;
    }
    writeln!(out, "    pinned as {}", root.digest)
}

/// What a template does, how far it reaches, and whether it may be repeated.
pub(super) fn nature(effect: CommandEffect, scope: TemplateScope, repeat: Repeat) -> String {
    let effect = match effect {
        CommandEffect::Read => "reads",
        CommandEffect::Change => "changes",
        CommandEffect::Destroy => "DESTROYS",
    };
    let scope = match scope {
        TemplateScope::Target => "of the call's target",
        TemplateScope::Backend => "of the WHOLE BACKEND",
    };
    let repeat = match repeat {
        Repeat::Safe => "may be repeated",
        Repeat::Once => "never repeated blindly",
    };
    format!("{effect}, {scope}, {repeat}")
}

fn command(command: &CommandReport, out: &mut Formatter<'_>) -> fmt::Result {
    let nature = nature(command.effect, command.scope, command.repeat);
    writeln!(out, "  {} ({nature}): {}", command.name, command.reason)?;
    let words: Vec<String> = command.words.iter().map(|word| shown(word)).collect();
    writeln!(out, "    $ {}", words.join(" "))?;
    for (name, value) in &command.environment {
        writeln!(out, "    environment {name}={}", shown(value))?;
    }
    if let Some(text) = &command.standard_input {
        writeln!(out, "    standard input {}", quoted(text))?;
    }
    if let Some(group) = &command.inside {
        writeln!(out, "    in the namespaces of group {group}")?;
    }
    slots(&command.slots, out)?;
    let named = [("creates", &command.creates), ("destroys", &command.destroys)];
    for (verb, slot) in named {
        if let Some(slot) = slot {
            writeln!(out, "    {verb} {{{slot}}}")?;
        }
    }
    captures("its output", &command.captures, out)?;
    let (seconds, bytes) = (command.timeout_seconds, command.capture_bytes);
    writeln!(out, "    at most {seconds} s, {bytes} bytes of output")?;
    writeln!(out, "    pinned as {}", command.digest)
}

/// The secrets in what comes back.
pub(super) fn captures(
    output: &str,
    captures: &BTreeMap<Label, Capture>,
    out: &mut Formatter<'_>,
) -> fmt::Result {
    for (purpose, capture) in captures {
        let place = match capture {
            Capture::Line(beginning) => format!("behind {} on a line", quoted(beginning)),
            Capture::Json(pointer) => format!("at {pointer} in JSON"),
            Capture::Xml(path) => format!("at {path} in XML"),
        };
        writeln!(out, "    {output} holds a secret, {purpose}, {place}: taken out")?;
    }
    Ok(())
}

fn secret(SecretReport { declared, digest }: &SecretReport, out: &mut Formatter<'_>) -> fmt::Result {
    let kept = if declared.keep { ", kept for a resource" } else { "" };
    writeln!(out, "  {}: {} ({} letters{kept})", declared.name, declared.reason, declared.length)?;
    writeln!(out, "    pinned as {digest}")
}

fn file(file: &FileReport, out: &mut Formatter<'_>) -> fmt::Result {
    let format = match file.format {
        FileFormat::Lines => "lines",
        FileFormat::Json => "json",
        FileFormat::Ganesha => "ganesha",
    };
    write!(out, "  {} ({format}) at {}/{}", file.name, file.root, file.path)?;
    if file.reason.is_empty() {
        writeln!(out)?
    } else {
        writeln!(out, ": {}", file.reason)?
    }
    for line in file.text.lines() {
        writeln!(out, "    | {line}")?;
    }
    slots(&file.slots, out)?;
    writeln!(out, "    pinned as {}", file.digest)
}

pub(super) fn slots(slots: &[SlotReport], out: &mut Formatter<'_>) -> fmt::Result {
    for slot in slots {
        writeln!(out, "    {{{}}} {}", slot.name, slot.slot_type)?;
        writeln!(out, "      {}", slot.guarantee)?;
    }
    Ok(())
}

fn option(option: &OptionReport, out: &mut Formatter<'_>) -> fmt::Result {
    let option = &option.0;
    let kind = match option.option_type {
        OptionType::String => "string".to_owned(),
        OptionType::Integer => "integer".to_owned(),
        OptionType::Float => "float".to_owned(),
        OptionType::Boolean => "boolean".to_owned(),
        OptionType::List => "list".to_owned(),
        OptionType::Map => "map".to_owned(),
        OptionType::Enum => format!("one of {}", option.choices.join(", ")),
        OptionType::Secret => "secret, by reference".to_owned(),
    };
    let bounds = match (option.min, option.max) {
        (None, None) => String::new(),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (Some(min), Some(max)) => format!(", {min} to {max}"),
    };
    let need = match (&option.default, option.required) {
        (Some(value), _) => format!(", default {}", value_text(value)),
        (None, true) => ", required".to_owned(),
        (None, false) => String::new(),
    };
    writeln!(out, "  {} ({kind}{bounds}{need}): {}", option.name, option.help)
}

fn value_text(value: &OptionValue) -> String {
    match value {
        OptionValue::Boolean(value) => value.to_string(),
        OptionValue::Integer(value) => value.to_string(),
        OptionValue::Float(value) => value.to_string(),
        OptionValue::Text(text) => quoted(text),
        OptionValue::List(texts) => format!("[{}]", texts.join(", ")),
        OptionValue::Map(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn limits(limits: &DriverLimits, out: &mut Formatter<'_>) -> fmt::Result {
    writeln!(out, "\nlimits, unless the operator says otherwise")?;
    writeln!(
        out,
        "  seconds a call: set-up {}, statistics {}, access {}, change {}, ensure {}, server {}",
        limits.setup_seconds,
        limits.statistics_seconds,
        limits.access_seconds,
        limits.change_seconds,
        limits.ensure_seconds,
        limits.server_seconds
    )?;
    writeln!(
        out,
        "  {} MiB of memory, {} table elements, {} KiB a host call, {} KiB of log a call",
        limits.memory_mib, limits.table_elements, limits.host_call_kib, limits.log_kib
    )?;
    writeln!(out, "  {} calls and {} commands at once", limits.concurrent_calls, limits.concurrent_commands)
}

/// A word as a shell would need it, so that blanks inside words show.
pub(super) fn shown(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:@%+{}".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quoted(word) }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
