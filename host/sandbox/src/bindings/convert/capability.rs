//! What guests hand to capabilities, and what they get back.

use super::shown;
use crate::bindings::v0_1::bulkhead::host::types as wit;
use bulkhead_capability::slot::{PathChoice, Slot, SlotValue};
use bulkhead_model::error::{CapabilityCode, CapabilityError, CommandExit};
use bulkhead_model::target::{NotOfTarget, Resource};

/// Text that a guest took for an id.
pub(crate) fn malformed_id(id: &str) -> CapabilityError {
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("'{}' is not an id: a lower-case UUID of 36 characters", shown(id)),
    )
}

/// A resource that a guest names. Fails with `invalid-argument` if it is no id, with `denied` for kinds that no call is about yet.
pub(crate) fn resource_from_wit(resource: &wit::TargetResource) -> Result<Resource, CapabilityError> {
    let foreign = |kind: &str, id: &str| {
        CapabilityError::denied(
            NotOfTarget(format!("{kind} {}", shown(id))),
            "no line; a driver reaches only the resources it was called with",
        )
    };
    match resource {
        wit::TargetResource::Share(id) => id.parse().map(Resource::Share).map_err(|_| malformed_id(id)),
        wit::TargetResource::Snapshot(id) => id.parse().map(Resource::Snapshot).map_err(|_| malformed_id(id)),
        wit::TargetResource::ShareServer(id) => {
            id.parse().map(Resource::ShareServer).map_err(|_| malformed_id(id))
        }
        wit::TargetResource::ShareGroup(id) => {
            id.parse().map(Resource::ShareGroup).map_err(|_| malformed_id(id))
        }
        wit::TargetResource::Backup(id) => Err(foreign("backup", id)),
    }
}

/// The resource that a guest names, or none for the call's subject.
pub(crate) fn named_from_wit(
    resource: Option<&wit::TargetResource>,
) -> Result<Option<Resource>, CapabilityError> {
    resource.map(resource_from_wit).transpose()
}

/// The slots of a template.
pub(crate) fn slots_from_wit(slots: Vec<wit::Slot>) -> Result<Vec<Slot>, CapabilityError> {
    slots
        .into_iter()
        .map(|slot| Ok(Slot { name: slot.name, value: slot_value_from_wit(slot.value)? }))
        .collect()
}

fn slot_value_from_wit(value: wit::SlotValue) -> Result<SlotValue, CapabilityError> {
    Ok(match value {
        wit::SlotValue::Unsigned(number) => SlotValue::Unsigned(number),
        wit::SlotValue::Signed(number) => SlotValue::Signed(number),
        wit::SlotValue::Text(text) => SlotValue::Text(text),
        wit::SlotValue::Path(choice) => SlotValue::Path(PathChoice {
            pattern: choice.pattern,
            of: named_from_wit(choice.of_resource.as_ref())?,
        }),
        wit::SlotValue::NameOf(resource) => SlotValue::NameOf(resource_from_wit(&resource)?),
        wit::SlotValue::Secret(secret) => SlotValue::Secret(secret.name),
    })
}

/// A capability's failure, as the guest sees it.
pub(crate) fn error_to_wit(error: CapabilityError) -> wit::CapabilityError {
    wit::CapabilityError {
        code: code_to_wit(error.code),
        message: error.message,
        exit: error.exit.map(exit_to_wit),
    }
}

/// How a command ended, as the guest sees it.
pub(crate) fn exit_to_wit(exit: CommandExit) -> wit::CommandExit {
    wit::CommandExit {
        exit_code: exit.exit_code,
        signal: exit.signal,
        stdout: exit.stdout,
        stderr: exit.stderr,
    }
}

const fn code_to_wit(code: CapabilityCode) -> wit::CapabilityCode {
    match code {
        CapabilityCode::Denied => wit::CapabilityCode::Denied,
        CapabilityCode::InvalidArgument => wit::CapabilityCode::InvalidArgument,
        CapabilityCode::NotFound => wit::CapabilityCode::NotFound,
        CapabilityCode::AlreadyExists => wit::CapabilityCode::AlreadyExists,
        CapabilityCode::NotOwned => wit::CapabilityCode::NotOwned,
        CapabilityCode::Conflict => wit::CapabilityCode::Conflict,
        CapabilityCode::LimitExceeded => wit::CapabilityCode::LimitExceeded,
        CapabilityCode::NoSpace => wit::CapabilityCode::NoSpace,
        CapabilityCode::Busy => wit::CapabilityCode::Busy,
        CapabilityCode::TimedOut => wit::CapabilityCode::TimedOut,
        CapabilityCode::Unavailable => wit::CapabilityCode::Unavailable,
        CapabilityCode::OutcomeUnknown => wit::CapabilityCode::OutcomeUnknown,
        CapabilityCode::CommandFailed => wit::CapabilityCode::CommandFailed,
        CapabilityCode::Io => wit::CapabilityCode::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract P-01.
    #[test]
    fn an_id_that_is_none_is_an_argument_at_fault() {
        let named = wit::TargetResource::Share("../other-tenant".to_owned());
        let error = resource_from_wit(&named).expect_err("no id");
        assert_eq!(error.code, CapabilityCode::InvalidArgument);
    }

    #[test]
    fn kinds_that_no_call_is_about_are_denied() {
        let named = wit::TargetResource::Backup(bulkhead_model::id::ShareId::random().to_string());
        let error = resource_from_wit(&named).expect_err("no target");
        assert_eq!(error.code, CapabilityCode::Denied);
        assert!(error.message.contains("no line"), "{}", error.message);
    }
}
