//! Whether a call may touch a group or service, and with which programs. Pure: nothing is asked, started or recorded here.

use super::ServiceInstance;
use crate::argument::Arguments;
use crate::backend::Backend;
use crate::call::Call;
use crate::execute::policy::{bound_program, of_one_share, unreviewed};
use crate::ownership::{self, Reach};
use crate::resolve::ResolvedPath;
use crate::slot::{self, Filled, Slot};
use bulkhead_helper::protocol::{GroupKey, StartService, StartServices};
use bulkhead_model::ability::Capability;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{Label, ShareServerId};
use bulkhead_model::manifest::{GroupInstance, GroupTemplate, ServiceTemplate};
use bulkhead_model::target::Resource;
use bulkhead_model::text::GuestText;
use std::collections::BTreeSet;

const SHOWN: usize = 64;

/// A group that this backend may have.
#[derive(Debug, Clone)]
pub(crate) struct AllowedGroup<'backend> {
    pub(crate) template: &'backend GroupTemplate,
    pub(crate) key: GroupKey,
    /// The share server it is of; none: the backend's own.
    pub(crate) server: Option<ShareServerId>,
}

impl AllowedGroup<'_> {
    /// Denied unless `at` is of the share server that the group is of, or of nobody. A call may be about shares of many tenants: what
    /// serves one of them is not shown another's.
    pub(crate) fn require_same_server(&self, call: &Call, at: &ResolvedPath) -> Result<(), CapabilityError> {
        let (Some(server), Some(owner)) = (self.server, at.owner) else { return Ok(()) };
        if call.names(Some(owner))?.server == Some(server) {
            return Ok(());
        }
        Err(CapabilityError::denied(
            format!(
                "{} in group '{}' of share server {server}, where it does not live,",
                at.subject(),
                self.template.name
            ),
            "no line; what lives on a share server is served by that one alone",
        ))
    }

    /// The template as the helper takes it.
    pub(crate) fn text(&self) -> Result<String, CapabilityError> {
        as_text(self.template)
    }
}

/// A template as its digest is taken of.
pub(crate) fn as_text<T: serde::Serialize>(template: &T) -> Result<String, CapabilityError> {
    serde_json::to_string(template).map_err(|error| {
        CapabilityError::new(CapabilityCode::InvalidArgument, format!("the template has no text: {error}"))
    })
}

/// The template of the group `name`, if it is declared and pinned.
pub(super) fn allow_template<'backend>(
    backend: &'backend Backend,
    name: &str,
) -> Result<&'backend GroupTemplate, CapabilityError> {
    let template = backend.manifest().group(name).ok_or_else(|| undeclared("group", name))?;
    backend.require_template(&template.name, template.digest())?;
    Ok(template)
}

/// The group of this template that the backend itself has, or one of its share servers.
pub(super) fn instance_of<'backend>(
    backend: &Backend,
    template: &'backend GroupTemplate,
    server: Option<ShareServerId>,
) -> AllowedGroup<'backend> {
    let key = GroupKey {
        backend: backend.name().as_str().to_owned(),
        group: template.name.clone(),
        instance: server.map(|server| server.to_string()),
    };
    AllowedGroup { template, key, server }
}

/// The backend's own group `name`, if it is declared and pinned.
pub(crate) fn allow_group<'backend>(
    backend: &'backend Backend,
    name: &str,
) -> Result<AllowedGroup<'backend>, CapabilityError> {
    let template = allow_template(backend, name)?;
    match template.instance {
        GroupInstance::Backend => Ok(instance_of(backend, template, None)),
        GroupInstance::ShareServer => Err(of_servers(template)),
    }
}

fn of_servers(template: &GroupTemplate) -> CapabilityError {
    CapabilityError::denied(
        format!("the backend's instance of group '{}', which only share servers have,", template.name),
        format!(
            "[[group]] name = \"{}\" with instance = \"backend\" in the driver's manifest",
            template.name
        ),
    )
}

/// As [`allow_group`], for a guest that names an instance.
pub(crate) fn allow_instance<'call>(
    call: &'call Call,
    name: &str,
    instance: &ServiceInstance,
) -> Result<AllowedGroup<'call>, CapabilityError> {
    let template = allow_template(call.backend(), name)?;
    let server = match (template.instance, instance) {
        (GroupInstance::Backend, ServiceInstance::Backend) => None,
        (GroupInstance::ShareServer, ServiceInstance::Backend) => return Err(of_servers(template)),
        (GroupInstance::ShareServer, ServiceInstance::Of(Resource::ShareServer(server))) => {
            call.names(Some(Resource::ShareServer(*server)))?;
            Some(*server)
        }
        (_, ServiceInstance::Of(resource)) => {
            call.names(Some(*resource))?;
            let line = match template.instance {
                GroupInstance::Backend => "no line; there is one instance of a group of the backend, its own",
                GroupInstance::ShareServer => "no line; the group has one instance for each share server",
            };
            return Err(CapabilityError::denied(
                format!("an instance of group '{}' for {resource}", template.name),
                line,
            ));
        }
    };
    Ok(instance_of(call.backend(), template, server))
}

/// The service `name` and its group, if the capability is granted and both are declared and pinned.
pub(super) fn allow<'call>(
    call: &'call Call,
    name: &str,
    instance: &ServiceInstance,
) -> Result<(AllowedGroup<'call>, &'call ServiceTemplate), CapabilityError> {
    call.require(Capability::Service)?;
    let backend = call.backend();
    let service = backend.manifest().service(name).ok_or_else(|| undeclared("service", name))?;
    let group = allow_instance(call, service.group.as_str(), instance)?;
    backend.require_template(&service.name, service.digest())?;
    Ok((group, service))
}

/// The request that starts `service` with all it comes after, without interfaces, and the slots in words.
///
/// Fails with `denied` unless each of these services, its program and its roots are granted, `invalid-argument` for slots.
pub(super) async fn start_request(
    call: &Call,
    (group, service): (&AllowedGroup<'_>, &ServiceTemplate),
    given: &[Slot],
) -> Result<(StartServices, String), CapabilityError> {
    let order = start_order(call.backend(), service)?;
    check_known(&order, given)?;
    of_one_share(call.target(), given)?;
    let (mut services, mut details) = (Vec::with_capacity(order.len()), Vec::new());
    for service in order {
        let backend = call.backend();
        backend.require_template(&service.name, service.digest())?;
        let program = bound_program(backend, &service.program)?;
        let has = |slot: &&Slot| service.slots.keys().any(|label| label.as_str() == slot.name);
        let own: Vec<Slot> = given.iter().filter(has).cloned().collect();
        let filled = slot::fill(call, &service.slots, &own)?;
        for value in filled.values() {
            if let Filled::Path { at, .. } = value {
                group.require_same_server(call, at)?;
            }
        }
        for at in filled.values().filter_map(unowned) {
            ownership::keep_apart(call, at, Reach::Place).await?;
        }
        let arguments = Arguments::of(&filled)?;
        details.push(format!("{} {}", service.name, arguments.detail).trim_end().to_owned());
        services.push(StartService {
            template: as_text(service)?,
            program,
            unreviewed: unreviewed(backend, &service.program),
            roots: arguments.roots,
            slots: arguments.slots,
        });
    }
    let (group, template) = (group.key.clone(), group.text()?);
    let request = StartServices { group, template, interfaces: Vec::new(), services };
    Ok((request, details.join("; ")))
}

/// A path that is no resource's own.
fn unowned(value: &Filled) -> Option<&ResolvedPath> {
    match value {
        Filled::Path { at, .. } if at.owner.is_none() || at.is_managed => Some(at),
        _ => None,
    }
}

/// What `wanted` comes after, each before what comes after it, then itself.
pub(super) fn start_order<'backend>(
    backend: &'backend Backend,
    wanted: &ServiceTemplate,
) -> Result<Vec<&'backend ServiceTemplate>, CapabilityError> {
    let (mut order, mut begun) = (Vec::new(), BTreeSet::new());
    let mut waiting = vec![(&wanted.name, false)];
    while let Some((name, is_next)) = waiting.pop() {
        let service = backend.manifest().service(name.as_str());
        let service = service.ok_or_else(|| undeclared("service", name.as_str()))?;
        if is_next {
            order.push(service);
        } else if begun.insert(&service.name) {
            waiting.push((&service.name, true));
            waiting.extend(service.after.iter().map(|earlier| (earlier, false)));
        }
    }
    Ok(order)
}

fn check_known(order: &[&ServiceTemplate], given: &[Slot]) -> Result<(), CapabilityError> {
    let known: BTreeSet<&Label> = order.iter().flat_map(|service| service.slots.keys()).collect();
    for slot in given {
        if !known.iter().any(|label| label.as_str() == slot.name) {
            let names: Vec<&str> = known.iter().map(|label| label.as_str()).collect();
            return Err(CapabilityError::new(
                CapabilityCode::InvalidArgument,
                format!(
                    "the service and what it comes after have no slot '{}'; they have: {}",
                    GuestText::new(&slot.name, SHOWN),
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                ),
            ));
        }
    }
    Ok(())
}

/// Something that the manifest does not declare.
pub(crate) fn undeclared(table: &str, name: &str) -> CapabilityError {
    let shown = GuestText::new(name, SHOWN);
    CapabilityError::new(
        CapabilityCode::InvalidArgument,
        format!("no {table} '{shown}' is declared; declare it as [[{table}]] name = \"{shown}\""),
    )
}
