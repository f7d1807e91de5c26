//! What the double needs of `driver.toml`: roots, templates, options, counters, and what runs (`running`). It reads leniently: `bulkhead driver build` is the one
//! that checks a manifest.

mod http;
mod running;

pub(super) use http::{BodyFormat, Effect, RequestTemplate};
pub(super) use running::{Bind, Group, Running};

use crate::config::Value;
use std::collections::BTreeMap;
use toml::Table;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootUse {
    Data,
    Config,
    State,
    Kernel,
}

#[derive(Debug)]
pub(super) struct Root {
    pub(super) root_use: RootUse,
    pub(super) paths: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    /// For commands: the program and its words; of a pipeline those of each stage.
    pub(super) stages: Vec<Vec<String>>,
    /// For files: root, path and text.
    pub(super) file: Option<TemplateFile>,
    pub(super) slots: BTreeMap<String, SlotType>,
    /// The path slots that it makes.
    pub(super) creates: Vec<String>,
    /// The path slots that it removes.
    pub(super) destroys: Vec<String>,
    /// What its output holds secrets for.
    pub(super) captures: Vec<String>,
    /// The groups that it runs in.
    pub(super) inside: Vec<String>,
    pub(super) is_repeatable: bool,
}

#[derive(Debug, Clone)]
pub(super) struct TemplateFile {
    pub(super) root: String,
    pub(super) path: String,
    pub(super) text: String,
    pub(super) format: FileFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Plain,
    Json,
    Ganesha,
}

#[derive(Debug, Clone)]
pub(super) enum SlotType {
    Unsigned,
    Port,
    Signed { min: i64, max: i64 },
    Word { choices: Vec<String> },
    Uuid,
    Opaque { most: usize },
    Ip,
    Cidr,
    Path { kind: String, root: String, patterns: Vec<String> },
    Name,
    Secret { of: Vec<String> },
    AccessRules { style: AccessRulesStyle },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessRulesStyle {
    Exports5,
    Ganesha,
    Json,
}

#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) roots: BTreeMap<String, Root>,
    /// Commands and pipelines.
    pub(super) commands: BTreeMap<String, Template>,
    pub(super) files: BTreeMap<String, Template>,
    /// Declared options with their defaults.
    pub(super) options: BTreeMap<String, Option<Value>>,
    /// Those of type `secret`.
    pub(super) secret_options: Vec<String>,
    /// Purposes of secrets, and whether those may be kept.
    pub(super) secrets: BTreeMap<String, bool>,
    pub(super) has_backend_scope: bool,
    pub(super) counters: Vec<String>,
    pub(super) running: Running,
    pub(super) requests: BTreeMap<String, RequestTemplate>,
}

/// Manila's `share_opts`, which every backend has, with the defaults a driver may read.
fn inherited() -> BTreeMap<String, Option<Value>> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let mapping =
        [("ip", "nfs"), ("user", "cifs")].map(|(kind, protocol)| (kind.to_owned(), protocol.to_owned()));
    let options = [
        ("reserved_share_percentage", Some(Value::Integer(0))),
        ("max_over_subscription_ratio", Some(Value::Float(20.0))),
        ("share_backend_name", None),
        ("replication_domain", None),
        ("backend_availability_zone", None),
        ("filter_function", None),
        ("goodness_function", None),
        ("num_shell_tries", Some(Value::Integer(3))),
        ("network_config_group", None),
        ("admin_network_config_group", None),
        ("driver_handles_share_servers", None),
        ("migration_ignore_files", Some(Value::Texts(vec!["lost+found".to_owned()]))),
        ("share_mount_template", text("mount -vt %(proto)s %(options)s %(export)s %(path)s")),
        ("share_unmount_template", text("umount -v %(path)s")),
        ("protocol_access_mapping", Some(Value::Pairs(mapping.to_vec()))),
    ];
    options.into_iter().map(|(name, default)| (name.to_owned(), default)).collect()
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let table: Table = text.parse()?;
        let named = |key: &'static str| tables(&table, key).map(|entry| (text_of(entry, "name"), entry));
        let mut options = inherited();
        options.extend(named("option").map(|(name, entry)| (name, default_of(entry))));
        let mut commands: BTreeMap<_, _> =
            named("execute").map(|(name, entry)| (name, command_of(entry))).collect();
        let pipelines: Vec<_> =
            named("pipeline").map(|(name, entry)| (name, running::pipeline_of(entry, &commands))).collect();
        commands.extend(pipelines);
        let private_data = table.get("private-data").and_then(toml::Value::as_table);
        Ok(Self {
            roots: named("root").map(|(name, entry)| (name, root_of(entry))).collect(),
            commands,
            files: named("file").map(|(name, entry)| (name, file_of(entry))).collect(),
            options,
            secret_options: named("option")
                .filter(|(_, entry)| text_of(entry, "type") == "secret")
                .map(|(name, _)| name)
                .collect(),
            secrets: named("secret")
                .map(|(name, entry)| (name, entry.get("keep").and_then(toml::Value::as_bool) == Some(true)))
                .collect(),
            has_backend_scope: private_data.is_some_and(|declared| declared.contains_key("backend-scope")),
            counters: private_data.map(|declared| texts_of(declared, "counters")).unwrap_or_default(),
            running: Running::parse(&table),
            requests: named("request").map(|(name, entry)| (name, http::request_of(entry))).collect(),
        })
    }
}

fn tables<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = &'a Table> + use<'a> {
    table.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
}

fn text_of(table: &Table, key: &str) -> String {
    table.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
}

fn texts_of(table: &Table, key: &str) -> Vec<String> {
    let listed = table.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    listed.filter_map(toml::Value::as_str).map(str::to_owned).collect()
}

fn root_of(table: &Table) -> Root {
    let root_use = match text_of(table, "use").as_str() {
        "config" => RootUse::Config,
        "state" => RootUse::State,
        "kernel" => RootUse::Kernel,
        _ => RootUse::Data,
    };
    Root { root_use, paths: texts_of(table, "paths") }
}

fn command_of(table: &Table) -> Template {
    let named = |key| table.get(key).and_then(toml::Value::as_str).map(str::to_owned).into_iter().collect();
    let mut words = vec![text_of(table, "program")];
    words.extend(texts_of(table, "args"));
    Template {
        stages: vec![words],
        file: None,
        slots: slots_of(table),
        creates: named("creates"),
        destroys: named("destroys"),
        captures: captures_of(table),
        inside: named("inside"),
        is_repeatable: text_of(table, "repeat") == "safe",
    }
}

/// The purposes that secrets are captured for.
fn captures_of(table: &Table) -> Vec<String> {
    let captures = table.get("captures").and_then(toml::Value::as_table);
    captures.into_iter().flatten().map(|(purpose, _)| purpose.clone()).collect()
}

fn file_of(table: &Table) -> Template {
    let file = TemplateFile {
        root: text_of(table, "root"),
        path: text_of(table, "path"),
        text: text_of(table, "text"),
        format: match text_of(table, "format").as_str() {
            "json" => FileFormat::Json,
            "ganesha" => FileFormat::Ganesha,
            _ => FileFormat::Plain,
        },
    };
    Template { file: Some(file), slots: slots_of(table), is_repeatable: true, ..Template::default() }
}

fn slots_of(table: &Table) -> BTreeMap<String, SlotType> {
    let declared = table.get("slots").and_then(toml::Value::as_table).into_iter().flatten();
    declared.filter_map(|(name, slot)| Some((name.clone(), slot_type(slot.as_table()?)))).collect()
}

fn slot_type(slot: &Table) -> SlotType {
    let number = |key: &str| slot.get(key).and_then(toml::Value::as_integer);
    match text_of(slot, "type").as_str() {
        "bytes" | "gib" => SlotType::Unsigned,
        "port" => SlotType::Port,
        "integer" => SlotType::Signed {
            min: number("min").unwrap_or(i64::MIN),
            max: number("max").unwrap_or(i64::MAX),
        },
        "ip" => SlotType::Ip,
        "cidr" => SlotType::Cidr,
        "path" => SlotType::Path {
            kind: text_of(slot, "kind"),
            root: text_of(slot, "root"),
            patterns: texts_of(slot, "pattern"),
        },
        "name" => SlotType::Name,
        "secret" => SlotType::Secret { of: texts_of(slot, "of") },
        "uuid" => SlotType::Uuid,
        "enum" => SlotType::Word { choices: texts_of(slot, "values") },
        "access-rules" => SlotType::AccessRules {
            style: match text_of(slot, "style").as_str() {
                "ganesha" => AccessRulesStyle::Ganesha,
                "json" => AccessRulesStyle::Json,
                _ => AccessRulesStyle::Exports5,
            },
        },
        _ => SlotType::Opaque {
            most: number("max").and_then(|most| usize::try_from(most).ok()).unwrap_or(4096),
        },
    }
}

fn default_of(option: &Table) -> Option<Value> {
    let secret = text_of(option, "type") == "secret";
    option.get("default").and_then(|value| match value {
        toml::Value::String(name) if secret => Some(Value::Secret(name.clone())),
        toml::Value::String(text) => Some(Value::Text(text.clone())),
        toml::Value::Integer(number) => Some(Value::Integer(*number)),
        toml::Value::Float(number) => Some(Value::Float(*number)),
        toml::Value::Boolean(answer) => Some(Value::Boolean(*answer)),
        toml::Value::Array(_) => Some(Value::Texts(texts_of(option, "default"))),
        toml::Value::Table(pairs) => {
            Some(Value::Pairs(pairs.iter().map(|(key, _)| (key.clone(), text_of(pairs, key))).collect()))
        }
        toml::Value::Datetime(_) => None,
    })
}
