//! This crate's types of the imports to and from the contract's.

use crate::bindings::base::bulkhead::host::{
    config, dbus, execute, files, http, job, log, network_allocation, private_data, service, types,
};
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::config::Value;
use crate::dbus::{Fault, Item, Reply, Value as DbusValue};
use crate::execute::{Completeness, Output};
use crate::files::{DirectoryEntry, FileKind, FileStatus, Ownership, Path, Space};
use crate::http::{Moved, Response};
use crate::job::{Entry as JobEntry, Exit, Progress, State as JobState};
use crate::log::Level;
use crate::network::AllocationLabel;
use crate::network_allocation::Request;
use crate::private_data::{Entry, Expected, Owner};
use crate::resource::Resource;
use crate::service::{Instance, Origin, State as ServiceState, Status};
use crate::slots::{SlotValue, Slots};
use crate::statistics::IpVersion;
use std::time::Duration;

fn resource(resource: &Resource) -> types::TargetResource {
    match resource {
        Resource::Share(id) => types::TargetResource::Share(id.clone()),
        Resource::Snapshot(id) => types::TargetResource::Snapshot(id.clone()),
        Resource::ShareGroup(id) => types::TargetResource::ShareGroup(id.clone()),
        Resource::ShareServer(id) => types::TargetResource::ShareServer(id.clone()),
    }
}

pub(super) fn allocation_request(request: &Request) -> network_allocation::AllocationRequest {
    network_allocation::AllocationRequest {
        server: request.server.clone(),
        label: match request.label {
            AllocationLabel::User => types::AllocationLabel::User,
            AllocationLabel::Admin => types::AllocationLabel::Admin,
        },
        version: request.version.map(|version| match version {
            IpVersion::V4 => types::IpVersion::V4,
            IpVersion::V6 => types::IpVersion::V6,
        }),
        subnet_id: request.subnet_id.clone(),
        count: request.count,
        purpose: request.purpose.clone(),
    }
}

pub(super) fn path(path: &Path) -> types::Path {
    types::Path {
        root: path.root.clone(),
        pattern: path.pattern.clone(),
        of_resource: path.of.as_ref().map(resource),
    }
}

pub(super) fn secret(name: &str) -> types::SecretRef {
    types::SecretRef { name: name.to_owned() }
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
        Some(exit) => CapabilityError::command_failed(error.message, command_exit(exit)),
        None => CapabilityError::new(code(error.code), error.message),
    }
}

fn command_exit(exit: types::CommandExit) -> CommandExit {
    CommandExit { exit_code: exit.exit_code, signal: exit.signal, stdout: exit.stdout, stderr: exit.stderr }
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

pub(super) fn service_instance(instance: &Instance) -> service::ServiceInstance {
    match instance {
        Instance::Backend => service::ServiceInstance::Backend,
        Instance::Of(named) => service::ServiceInstance::OfResource(resource(named)),
    }
}

pub(super) fn service_status(status: service::ServiceStatus) -> Status {
    Status {
        state: match status.state {
            service::ServiceState::Starting => ServiceState::Starting,
            service::ServiceState::Ready => ServiceState::Ready,
            service::ServiceState::Stopped => ServiceState::Stopped,
            service::ServiceState::Failed => ServiceState::Failed,
        },
        started_at_ms: status.started_at_ms,
        origin: if status.adopted { Origin::Adopted } else { Origin::ThisHost },
        exit: status.exit.map(command_exit),
    }
}

pub(super) fn bus_owner(owner: &Instance) -> dbus::BusOwner {
    match owner {
        Instance::Backend => dbus::BusOwner::Backend,
        Instance::Of(named) => dbus::BusOwner::OfResource(resource(named)),
    }
}

fn dbus_item(item: dbus::DbusItem) -> Item {
    let value = match item.value {
        dbus::DbusValue::Unsigned(number) => DbusValue::Unsigned(number),
        dbus::DbusValue::Signed(number) => DbusValue::Signed(number),
        dbus::DbusValue::Double(number) => DbusValue::Double(number),
        dbus::DbusValue::Boolean(answer) => DbusValue::Boolean(answer),
        dbus::DbusValue::Text(text) => DbusValue::Text(text),
    };
    Item { position: item.position, value }
}

pub(super) fn dbus_reply(reply: dbus::DbusReply) -> Reply {
    match reply {
        dbus::DbusReply::Results(items) => Reply::Results(items.into_iter().map(dbus_item).collect()),
        dbus::DbusReply::Fault(fault) => Reply::Fault(Fault { name: fault.name, message: fault.message }),
    }
}

pub(super) fn response(response: http::Response) -> Response {
    Response {
        status: response.status,
        headers: response.headers.into_iter().map(|header| (header.name, header.value)).collect(),
        body: response.body,
        completeness: if response.truncated { Completeness::Cut } else { Completeness::Whole },
        controller: response.controller,
        retry_after: response.retry_after_ms.map(Duration::from_millis),
        duration: Duration::from_millis(response.duration_ms),
    }
}

pub(super) fn moved(outcome: http::StreamOutcome) -> Moved {
    Moved {
        status: outcome.status,
        bytes: outcome.bytes_done,
        duration: Duration::from_millis(outcome.duration_ms),
    }
}

fn job_exit(exit: job::JobExit) -> Exit {
    Exit {
        exit: command_exit(exit.exit),
        bytes_done: exit.bytes_done,
        duration: Duration::from_millis(exit.duration_ms),
    }
}

pub(super) fn job_state(state: job::JobState) -> JobState {
    match state {
        job::JobState::Running(progress) => JobState::Running(Progress {
            bytes_done: progress.bytes_done,
            running: Duration::from_millis(progress.running_ms),
        }),
        job::JobState::Succeeded(exit) => JobState::Succeeded(job_exit(exit)),
        job::JobState::Failed(exit) => JobState::Failed(job_exit(exit)),
        job::JobState::Lost => JobState::Lost,
    }
}

pub(super) fn job_entry(entry: job::JobEntry) -> JobEntry {
    JobEntry { name: entry.name, key: entry.key, state: job_state(entry.state) }
}
