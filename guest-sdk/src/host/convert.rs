//! This crate's types of the imports to and from the contract's.

use crate::bindings::base::bulkhead::host::{config, execute, files, log, private_data, types};
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::config::Value;
use crate::execute::{Completeness, Output};
use crate::files::{DirectoryEntry, FileKind, FileStatus, Ownership, Path, Space};
use crate::log::Level;
use crate::private_data::{Entry, Expected, Owner};
use crate::resource::Resource;
use crate::slots::{SlotValue, Slots};
use std::time::Duration;

fn resource(resource: &Resource) -> types::TargetResource {
    match resource {
        Resource::Share(id) => types::TargetResource::Share(id.clone()),
        Resource::Snapshot(id) => types::TargetResource::Snapshot(id.clone()),
    }
}

pub(super) fn path(path: &Path) -> types::Path {
    types::Path {
        root: path.root.clone(),
        pattern: path.pattern.clone(),
        of_resource: path.of.as_ref().map(resource),
    }
}

pub(super) fn slots(slots: Slots) -> Vec<types::Slot> {
    let value = |value| match value {
        SlotValue::Unsigned(number) => types::SlotValue::Unsigned(number),
        SlotValue::Signed(number) => types::SlotValue::Signed(number),
        SlotValue::Text(text) => types::SlotValue::Text(text),
        SlotValue::Path { pattern, of } => {
            types::SlotValue::Path(types::PathChoice { pattern, of_resource: of.as_ref().map(resource) })
        }
        SlotValue::NameOf(named) => types::SlotValue::NameOf(resource(&named)),
        SlotValue::Secret(name) => types::SlotValue::Secret(types::SecretRef { name }),
    };
    slots.into_values().into_iter().map(|(name, given)| types::Slot { name, value: value(given) }).collect()
}

fn code(code: types::CapabilityCode) -> CapabilityCode {
    match code {
        types::CapabilityCode::Denied => CapabilityCode::Denied,
        types::CapabilityCode::InvalidArgument => CapabilityCode::InvalidArgument,
        types::CapabilityCode::NotFound => CapabilityCode::NotFound,
        types::CapabilityCode::AlreadyExists => CapabilityCode::AlreadyExists,
        types::CapabilityCode::NotOwned => CapabilityCode::NotOwned,
        types::CapabilityCode::Conflict => CapabilityCode::Conflict,
        types::CapabilityCode::LimitExceeded => CapabilityCode::LimitExceeded,
        types::CapabilityCode::NoSpace => CapabilityCode::NoSpace,
        types::CapabilityCode::Busy => CapabilityCode::Busy,
        types::CapabilityCode::TimedOut => CapabilityCode::TimedOut,
        types::CapabilityCode::Unavailable => CapabilityCode::Unavailable,
        types::CapabilityCode::OutcomeUnknown => CapabilityCode::OutcomeUnknown,
        types::CapabilityCode::CommandFailed => CapabilityCode::CommandFailed,
        types::CapabilityCode::Io => CapabilityCode::Io,
    }
}

pub(super) fn error(error: types::CapabilityError) -> CapabilityError {
    match error.exit {
        Some(exit) => CapabilityError::command_failed(
            error.message,
            CommandExit {
                exit_code: exit.exit_code,
                signal: exit.signal,
                stdout: exit.stdout,
                stderr: exit.stderr,
            },
        ),
        None => CapabilityError::new(code(error.code), error.message),
    }
}

fn file_kind(kind: files::FileKind) -> FileKind {
    match kind {
        files::FileKind::File => FileKind::File,
        files::FileKind::Directory => FileKind::Directory,
        files::FileKind::SymbolicLink => FileKind::SymbolicLink,
        files::FileKind::Other => FileKind::Other,
    }
}

pub(super) fn file_status(status: files::FileStatus) -> FileStatus {
    FileStatus {
        kind: file_kind(status.kind),
        size_bytes: status.size_bytes,
        ownership: if status.owned { Ownership::Owned } else { Ownership::Foreign },
    }
}

pub(super) fn directory_entry(entry: files::DirectoryEntry) -> DirectoryEntry {
    DirectoryEntry { name: entry.name, kind: file_kind(entry.kind) }
}

pub(super) fn space(space: files::Space) -> Space {
    Space { total_bytes: space.total_bytes, free_bytes: space.free_bytes }
}

pub(super) fn output(output: execute::Output) -> Output {
    Output {
        stdout: output.stdout,
        stderr: output.stderr,
        completeness: if output.truncated { Completeness::Cut } else { Completeness::Whole },
        duration: Duration::from_millis(output.duration_ms),
    }
}

pub(super) fn value(value: config::Value) -> Value {
    match value {
        config::Value::Text(text) => Value::Text(text),
        config::Value::Integer(number) => Value::Integer(number),
        config::Value::Float(number) => Value::Float(number),
        config::Value::Boolean(answer) => Value::Boolean(answer),
        config::Value::Texts(texts) => Value::Texts(texts),
        config::Value::Pairs(pairs) => Value::Pairs(pairs),
        config::Value::Secret(secret) => Value::Secret(secret.name),
    }
}

pub(super) fn owner(owner: &Owner) -> private_data::Owner {
    match owner {
        Owner::Subject => private_data::Owner::Subject,
        Owner::Of(named) => private_data::Owner::OfResource(resource(named)),
        Owner::Backend => private_data::Owner::Backend,
    }
}

pub(super) fn entry(entry: private_data::Entry) -> Entry {
    Entry { key: entry.key, value: entry.value, revision: entry.revision }
}

pub(super) fn expected(expected: Expected) -> private_data::Expected {
    match expected {
        Expected::Absent => private_data::Expected::Absent,
        Expected::Revision(revision) => private_data::Expected::Revision(revision),
        Expected::Anything => private_data::Expected::Anything,
    }
}

pub(super) fn level(level: Level) -> log::Level {
    match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warning => log::Level::Warning,
        Level::Error => log::Level::Error,
    }
}
