//! What runs beside and beyond a call, as `driver.toml` declares it: groups with their services, D-Bus calls, pipelines and jobs.

use super::{Template, slots_of, tables, text_of, texts_of};
use std::collections::BTreeMap;
use toml::Table;

#[derive(Debug)]
pub(in crate::testing) struct Group {
    /// Whether there is one of each share server, rather than one of the backend.
    pub(in crate::testing) is_of_servers: bool,
    pub(in crate::testing) has_bus: bool,
    pub(in crate::testing) binds: BTreeMap<String, Bind>,
}

#[derive(Debug)]
pub(in crate::testing) struct Bind {
    pub(in crate::testing) root: String,
    pub(in crate::testing) patterns: Vec<String>,
    pub(in crate::testing) at: String,
}

#[derive(Debug)]
pub(in crate::testing) struct Service {
    pub(in crate::testing) group: String,
    pub(in crate::testing) after: Vec<String>,
    pub(in crate::testing) template: Template,
}

#[derive(Debug)]
pub(in crate::testing) struct DbusTemplate {
    pub(in crate::testing) group: String,
    /// Its arguments are its words.
    pub(in crate::testing) template: Template,
}

#[derive(Debug, Default)]
pub(in crate::testing) struct Running {
    pub(in crate::testing) groups: BTreeMap<String, Group>,
    pub(in crate::testing) services: BTreeMap<String, Service>,
    pub(in crate::testing) dbus: BTreeMap<String, DbusTemplate>,
    /// What each job runs, by the job's name.
    pub(in crate::testing) jobs: BTreeMap<String, String>,
}

impl Running {
    pub(super) fn parse(table: &Table) -> Self {
        let named = |key: &'static str| tables(table, key).map(|entry| (text_of(entry, "name"), entry));
        Self {
            groups: named("group").map(|(name, entry)| (name, group_of(entry))).collect(),
            services: named("service").map(|(name, entry)| (name, service_of(entry))).collect(),
            dbus: named("dbus").map(|(name, entry)| (name, dbus_of(entry))).collect(),
            jobs: named("job").map(|(name, entry)| (name, text_of(entry, "runs"))).collect(),
        }
    }
}

fn group_of(table: &Table) -> Group {
    let bind = |entry: &Table| Bind {
        root: text_of(entry, "root"),
        patterns: texts_of(entry, "pattern"),
        at: text_of(entry, "at"),
    };
    Group {
        is_of_servers: text_of(table, "instance") == "share-server",
        has_bus: table.contains_key("bus"),
        binds: tables(table, "bind").map(|entry| (text_of(entry, "name"), bind(entry))).collect(),
    }
}

fn service_of(table: &Table) -> Service {
    Service {
        group: text_of(table, "group"),
        after: texts_of(table, "after"),
        template: Template { slots: slots_of(table), ..Template::default() },
    }
}

fn dbus_of(table: &Table) -> DbusTemplate {
    let arguments = tables(table, "args").map(|argument| text_of(argument, "value")).collect();
    let template = Template { stages: vec![arguments], slots: slots_of(table), ..Template::default() };
    DbusTemplate { group: text_of(table, "group"), template }
}

/// A pipeline as one template: its slots, and what it makes and removes, are those of all its stages.
pub(super) fn pipeline_of(table: &Table, commands: &BTreeMap<String, Template>) -> Template {
    let mut whole = Template { is_repeatable: true, ..Template::default() };
    for stage in texts_of(table, "stages").iter().filter_map(|stage| commands.get(stage)) {
        whole.stages.extend(stage.stages.iter().cloned());
        whole.slots.extend(stage.slots.iter().map(|(slot, declared)| (slot.clone(), declared.clone())));
        whole.creates.extend(stage.creates.iter().cloned());
        whole.destroys.extend(stage.destroys.iter().cloned());
        whole.captures.extend(stage.captures.iter().cloned());
        whole.inside.extend(stage.inside.iter().cloned());
        whole.is_repeatable &= stage.is_repeatable;
    }
    whole
}
