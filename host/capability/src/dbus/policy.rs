//! Whether a call may be made, and with which values. Nothing is sent here.

use crate::argument::Arguments;
use crate::call::Call;
use crate::encode::{Place, print};
use crate::execute::policy::of_one_share;
use crate::ownership::{self, Reach};
use crate::service::{ServiceInstance, allow_instance, as_text, undeclared};
use crate::slot::{self, Filled, Slot};
use bulkhead_helper::protocol::DbusRequest;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{DbusArgument, DbusTemplate, TemplateScope};
use bulkhead_model::pattern::{Part, parts};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A call that may be made.
#[derive(Debug)]
pub(super) struct Prepared<'call> {
    pub(super) template: &'call DbusTemplate,
    pub(super) request: DbusRequest,
    /// Its slots, for the ledger.
    pub(super) detail: String,
}

/// Check the call `name` and its slots, and put the request together.
///
/// Fails with `invalid-argument` for what is not declared and slots outside their types, `denied` for what is not granted.
pub(super) async fn prepare<'call>(
    call: &'call Call,
    name: &str,
    owner: &ServiceInstance,
    given: &[Slot],
) -> Result<Prepared<'call>, CapabilityError> {
    call.require(Capability::Dbus)?;
    let backend = call.backend();
    let template = backend.manifest().dbus(name).ok_or_else(|| undeclared("dbus", name))?;
    let group = allow_instance(call, template.group.as_str(), owner)?;
    backend.require_template(&template.name, template.digest())?;
    if group.template.bus.is_none() {
        return Err(CapabilityError::denied(
            format!("a bus of group '{}'", group.template.name),
            format!("[[group]] name = \"{}\" bus = \"/run/…\" in the driver's manifest", group.template.name),
        ));
    }
    if template.scope == TemplateScope::Target {
        of_one_share(call.target(), given)?;
    }
    let filled = slot::fill(call, &template.slots, given)?;
    for value in filled.values() {
        if let Filled::Path { at, .. } = value {
            group.require_same_server(call, at)?;
            ownership::keep_apart(call, at, Reach::Place).await?;
        }
    }
    for argument in &template.args {
        check_argument(argument, &filled)?;
    }
    let arguments = Arguments::of(&filled)?;
    let request = DbusRequest {
        group: group.key.clone(),
        group_template: group.text()?,
        template: as_text(template)?,
        roots: arguments.roots,
        slots: arguments.slots,
        timeout_ms: timeout_ms(call, template)?,
    };
    Ok(Prepared { template, request, detail: arguments.detail })
}

/// Every value must be one that cannot leave its place; the helper, which writes the argument, checks it again.
fn check_argument(argument: &DbusArgument, filled: &BTreeMap<Label, Filled>) -> Result<(), CapabilityError> {
    let parts = parts(&argument.value);
    let place = if parts.len() == 1 { Place::Argument } else { Place::InsideArgument };
    for part in &parts {
        let Part::Place(label) = part else { continue };
        let value = filled.get(label).ok_or_else(|| {
            CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!("an argument has a place for '{label}', which is no slot of the call"),
            )
        })?;
        print(value, place)?;
    }
    Ok(())
}

/// The shorter of what the template may take and what is left of the call, in milliseconds.
fn timeout_ms(call: &Call, template: &DbusTemplate) -> Result<u64, CapabilityError> {
    call.check_time()?;
    let left = call.deadline().saturating_duration_since(Instant::now());
    let timeout = Duration::from_secs(template.timeout).min(left);
    Ok(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX))
}
