//! The vendor's manifest, `driver.toml`: what a driver wants to touch, in terms a reviewer can read. Parsing and checking live in
//! `package`; these are the types that every capability is scoped by.

mod dbus;
mod http;
mod job;
mod option;
mod secret;
mod service;
mod slot;

pub use dbus::{DbusArgument, DbusTemplate, DbusType};
pub use http::{
    AnswerKind, BodyFormat, EndpointTemplate, ExpiredTemplate, HttpMethod, RequestTemplate, SessionRequest,
    SessionTemplate, TokenPlace, TokenSource, TokenTemplate, TokenUse,
};
pub use job::{JobTemplate, PipelineTemplate};
pub use option::{OptionDeclaration, OptionType, OptionValue};
pub use secret::{Capture, SECURITY_SERVICE, SecretAlphabet, SecretDeclaration};
pub use service::{BindTemplate, GroupInstance, GroupNetwork, GroupTemplate, Readiness, ServiceTemplate};
pub use slot::{AccessRulesOf, AccessRulesStyle, PathKind, SlotType};

use crate::id::{Digest, DriverName, Label};
use crate::pattern::Pattern;
use crate::share::Protocol;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Who this driver is.
    pub driver: DriverDeclaration,
    /// Options the operator may set.
    #[serde(default, rename = "option", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionDeclaration>,
    /// Purposes of secrets that are made or captured.
    #[serde(default, rename = "secret", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretDeclaration>,
    /// Directories the operator binds.
    #[serde(default, rename = "root", skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<RootDeclaration>,
    /// Command templates.
    #[serde(default, rename = "execute", skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandTemplate>,
    /// File templates.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileTemplate>,
    /// Commands that feed each other.
    #[serde(default, rename = "pipeline", skip_serializing_if = "Vec::is_empty")]
    pub pipelines: Vec<PipelineTemplate>,
    /// Commands that outlive their call.
    #[serde(default, rename = "job", skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobTemplate>,
    /// What long-running processes share.
    #[serde(default, rename = "group", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupTemplate>,
    /// Long-running processes.
    #[serde(default, rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceTemplate>,
    /// Calls on the private buses of groups.
    #[serde(default, rename = "dbus", skip_serializing_if = "Vec::is_empty")]
    pub dbus_calls: Vec<DbusTemplate>,
    /// Management interfaces that requests go to.
    #[serde(default, rename = "endpoint", skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointTemplate>,
    /// HTTP requests.
    #[serde(default, rename = "request", skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestTemplate>,
    /// How the host logs in.
    #[serde(default, rename = "session", skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionTemplate>,
    /// What private data it needs beyond its own resources'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_data: Option<PrivateDataDeclaration>,
    /// Which addresses export locations may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_addresses: Option<ExportAddressesDeclaration>,
    /// Which metadata keys export locations and shares may carry for the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_keys: Option<MetadataKeysDeclaration>,
}

/// `[driver]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DriverDeclaration {
    /// Its name.
    pub name: DriverName,
    /// Who publishes it.
    pub vendor: String,
    /// Its own version.
    pub version: semver::Version,
    /// The contract it was built for: `0.1`.
    pub contract: String,
    /// Which modes it runs in: `false`, `true` or both.
    pub dhss: Vec<bool>,
    /// What it exports shares with.
    pub protocols: Vec<Protocol>,
    /// The schema of its private data; grows when an older driver could not read them.
    #[serde(default = "one")]
    pub private_data_schema: u32,
    /// How many calls it wants at once, at most; none takes the host's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
}

const fn one() -> u32 {
    1
}

/// What stands in a root, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootUse {
    /// Tenants' data.
    Data,
    /// Read by a privileged program: file templates only.
    Config,
    /// The driver's own bytes.
    State,
    /// What the kernel tells, below `/sys` or `/proc`: read only, by `files.read-kernel` alone.
    Kernel,
}

/// `[[root]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RootDeclaration {
    /// Its name.
    pub name: Label,
    /// What stands in it.
    #[serde(rename = "use")]
    pub root_use: RootUse,
    /// Why the driver needs it.
    pub reason: String,
    /// The paths below it that the `files` interface may name, as patterns over derived names. Empty: only templates reach into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Pattern>,
}

/// What a command does to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandEffect {
    /// Reads only.
    Read,
    /// Makes or changes.
    Change,
    /// Removes.
    Destroy,
}

/// Whether a command may be repeated after an attempt whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// As often as need be.
    Safe,
    /// Never blindly.
    Once,
}

/// How far a template reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateScope {
    /// The call's target.
    #[default]
    Target,
    /// The whole backend: tops the review.
    Backend,
}

/// `[[execute]]`: a named command with typed slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CommandTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    pub reason: String,
    /// What it does.
    pub effect: CommandEffect,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// The program's name in the reviewed table; the operator binds it to a file.
    pub program: String,
    /// Its words; `{slot}` is a place to fill.
    #[serde(default)]
    pub args: Vec<String>,
    /// Fixed environment beyond `PATH` and `LC_ALL`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it reads on standard input; `{slot}` is a place to fill. None: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The types of its slots.
    #[serde(default)]
    pub slots: BTreeMap<Label, SlotType>,
    /// How far it reaches.
    #[serde(default)]
    pub scope: TemplateScope,
    /// The path slot that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates: Option<Label>,
    /// The path slot that it removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroys: Option<Label>,
    /// The group in whose namespaces it runs; none: the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Label>,
    /// The secrets that stand in its standard output, by purpose: taken out of it, and handed to the driver by reference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub captures: BTreeMap<Label, Capture>,
    /// How much of its output is kept, in bytes (1 MiB).
    #[serde(default = "one_mebibyte")]
    pub capture: u64,
    /// How long it may take, in seconds (600).
    #[serde(default = "ten_minutes")]
    pub timeout: u64,
}

const fn one_mebibyte() -> u64 {
    1 << 20
}

const fn ten_minutes() -> u64 {
    600
}

/// How a file template quotes what stands in its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// Lines of words: no slot brings a line end, quote or blank.
    Lines,
    /// JSON: slots stand where values stand, and are encoded as such.
    Json,
    /// NFS-Ganesha's configuration: slots stand where values stand; text is quoted, and none can end its quotes.
    Ganesha,
}

/// `[[file]]`: a named file with typed slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileTemplate {
    /// Its name.
    pub name: Label,
    /// Why the driver needs it.
    #[serde(default)]
    pub reason: String,
    /// The root it stands in.
    pub root: Label,
    /// Its path below that root.
    pub path: Pattern,
    /// How slots are quoted.
    pub format: FileFormat,
    /// Its text; `{slot}` is a place to fill.
    pub text: String,
    /// The types of its slots.
    #[serde(default)]
    pub slots: BTreeMap<Label, SlotType>,
}

/// `[private-data]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PrivateDataDeclaration {
    /// Why it keeps data of the backend as a whole; none: it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_scope: Option<String>,
    /// The counters it draws numbers from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Label>,
}

/// `[export-addresses]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExportAddressesDeclaration {
    /// The option whose value is the address, or a list of them.
    pub from_option: String,
}

/// `[metadata-keys]`: each a list of keys of 1 to 255 bytes, each key once a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetadataKeysDeclaration {
    /// Keys that export locations may carry.
    #[serde(default)]
    pub export_location: Vec<String>,
    /// Keys of a share's metadata that the driver may set when it has made the share.
    #[serde(default)]
    pub supplied: Vec<String>,
    /// Keys of a share's metadata that the driver acts on when the tenant sets or changes them.
    #[serde(default)]
    pub updatable: Vec<String>,
    /// Keys of a share network subnet's metadata that the driver acts on when the tenant sets or changes them.
    #[serde(default)]
    pub updatable_subnet: Vec<String>,
}

impl Manifest {
    /// The root with this name.
    #[must_use]
    pub fn root(&self, name: &Label) -> Option<&RootDeclaration> {
        self.roots.iter().find(|root| root.name == *name)
    }

    /// The command template with this name.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&CommandTemplate> {
        self.commands.iter().find(|template| template.name.as_str() == name)
    }

    /// The file template with this name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&FileTemplate> {
        self.files.iter().find(|template| template.name.as_str() == name)
    }

    /// The pipeline with this name.
    #[must_use]
    pub fn pipeline(&self, name: &str) -> Option<&PipelineTemplate> {
        self.pipelines.iter().find(|template| template.name.as_str() == name)
    }

    /// The job with this name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&JobTemplate> {
        self.jobs.iter().find(|template| template.name.as_str() == name)
    }

    /// The group with this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupTemplate> {
        self.groups.iter().find(|template| template.name.as_str() == name)
    }

    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceTemplate> {
        self.services.iter().find(|template| template.name.as_str() == name)
    }

    /// The D-Bus call with this name.
    #[must_use]
    pub fn dbus(&self, name: &str) -> Option<&DbusTemplate> {
        self.dbus_calls.iter().find(|template| template.name.as_str() == name)
    }

    /// The endpoint with this name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&EndpointTemplate> {
        self.endpoints.iter().find(|template| template.name.as_str() == name)
    }

    /// The request with this name.
    #[must_use]
    pub fn request(&self, name: &str) -> Option<&RequestTemplate> {
        self.requests.iter().find(|template| template.name.as_str() == name)
    }

    /// The session with this name.
    #[must_use]
    pub fn session(&self, name: &str) -> Option<&SessionTemplate> {
        self.sessions.iter().find(|template| template.name.as_str() == name)
    }

    /// Every template that a grant pins, with the hash it is pinned by. Names are unique over all tables.
    pub fn templates(&self) -> impl Iterator<Item = (&Label, Digest)> {
        let commands = self.commands.iter().map(|template| (&template.name, template.digest()));
        let files = self.files.iter().map(|template| (&template.name, template.digest()));
        let pipelines = self.pipelines.iter().map(|template| (&template.name, template.digest()));
        let jobs = self.jobs.iter().map(|template| (&template.name, template.digest()));
        let groups = self.groups.iter().map(|template| (&template.name, template.digest()));
        let services = self.services.iter().map(|template| (&template.name, template.digest()));
        let dbus = self.dbus_calls.iter().map(|template| (&template.name, template.digest()));
        let endpoints = self.endpoints.iter().map(|template| (&template.name, template.digest()));
        let requests = self.requests.iter().map(|template| (&template.name, template.digest()));
        let sessions = self.sessions.iter().map(|template| (&template.name, template.digest()));
        let processes =
            commands.chain(files).chain(pipelines).chain(jobs).chain(groups).chain(services).chain(dbus);
        let secrets = self.secrets.iter().map(|secret| (&secret.name, secret.digest()));
        processes.chain(endpoints).chain(requests).chain(sessions).chain(secrets)
    }

    /// The purpose `name`.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&SecretDeclaration> {
        self.secrets.iter().find(|secret| secret.name.as_str() == name)
    }

    /// Whether `name` is an option of type `secret`.
    #[must_use]
    pub fn is_secret_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name && option.option_type == OptionType::Secret)
    }

    /// The slots of every template that has some: its table, its name, and the slots.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, &Label, &BTreeMap<Label, SlotType>)> {
        let commands = self.commands.iter().map(|template| ("execute", &template.name, &template.slots));
        let files = self.files.iter().map(|template| ("file", &template.name, &template.slots));
        let services = self.services.iter().map(|template| ("service", &template.name, &template.slots));
        let dbus = self.dbus_calls.iter().map(|template| ("dbus", &template.name, &template.slots));
        let requests = self.requests.iter().map(|template| ("request", &template.name, &template.slots));
        commands.chain(files).chain(services).chain(dbus).chain(requests)
    }

    /// Every program that the driver runs, without repetition.
    #[must_use]
    pub fn programs(&self) -> BTreeSet<&str> {
        let commands = self.commands.iter().map(|template| template.program.as_str());
        commands.chain(self.services.iter().map(|template| template.program.as_str())).collect()
    }
}

impl RootDeclaration {
    /// The hash of its canonical form, by which a grant pins it: another use or other paths are another root.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:root", self)
    }
}

impl CommandTemplate {
    /// The hash of its canonical form, by which a grant pins it: any other word, slot, type or limit is another template.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:execute", self)
    }
}

impl FileTemplate {
    /// The hash of its canonical form, by which a grant pins it: any other text, path, slot or type is another template.
    #[must_use]
    pub fn digest(&self) -> Digest {
        crate::canonical::digest("bulkhead:template:file", self)
    }
}

#[cfg(test)]
mod tests;
