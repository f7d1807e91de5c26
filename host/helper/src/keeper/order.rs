//! From templates and slots to what a keeper is told: everything is checked here.

use super::message::{Condition, Order};
use crate::policy::Policy;
use crate::program;
use crate::protocol::{BindRequest, Refusal, SlotArgument, StartService, StartServices};
use crate::words::{self, Slots};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::{BindTemplate, GroupTemplate, ServiceTemplate};
use bulkhead_model::pattern::{Part, parts};
use rustix::fd::OwnedFd;
use std::net::{IpAddr, SocketAddr};

/// A group's template. Fails with `invalid-argument` if the text is none, or if it would mount where nothing may be hidden.
pub(super) fn group(text: &str) -> Result<GroupTemplate, Refusal> {
    let template: GroupTemplate = serde_json::from_str(text)
        .map_err(|error| Refusal::invalid(format!("the group's template cannot be read: {error}")))?;
    check(&template)?;
    Ok(template)
}

/// Refused with `invalid-argument` for a template that would mount where nothing may be hidden, or whose bus is not the group's own.
pub(super) fn check(template: &GroupTemplate) -> Result<(), Refusal> {
    for directory in &template.tmpfs {
        if !is_plain(directory) || is_needed(directory) {
            return Err(Refusal::invalid(format!("'{directory}' cannot be a tmpfs of a group")));
        }
    }
    if let Some(bus) = &template.bus {
        check_below(template, bus)?;
    }
    Ok(())
}

/// What to start, with an open descriptor of each program.
pub(super) fn make(
    start: &StartServices,
    group: &GroupTemplate,
    policy: &Policy,
) -> Result<(Vec<Order>, Vec<OwnedFd>), Refusal> {
    let mut orders: Vec<Order> = Vec::new();
    let mut programs = Vec::new();
    if start.services.is_empty() || start.services.len() > super::wire::MOST_DESCRIPTORS {
        return Err(Refusal::invalid("1 to 8 services are started at once"));
    }
    for service in &start.services {
        let template: ServiceTemplate = serde_json::from_str(&service.template)
            .map_err(|error| Refusal::invalid(format!("the service's template cannot be read: {error}")))?;
        if template.group != group.name {
            return Err(Refusal::invalid(format!("service '{}' is of another group", template.name)));
        }
        if let Some(after) = template
            .after
            .iter()
            .find(|after| !orders.iter().any(|order: &Order| order.name == after.as_str()))
        {
            return Err(Refusal::invalid(format!("service '{}' comes after '{after}'", template.name)));
        }
        policy.check_service(service, &template)?;
        let review = program::check_service(&template, service.unreviewed)?;
        programs.push(crate::executable::open(&service.program)?);
        orders.push(order(&template, service, (group, review))?);
    }
    Ok((orders, programs))
}

fn order(
    template: &ServiceTemplate,
    service: &StartService,
    (group, privilege): (&GroupTemplate, program::Privilege),
) -> Result<Order, Refusal> {
    let slots = Slots::print(&template.slots, &service.slots, &service.roots)?;
    if slots.hold_descriptors() {
        return Err(Refusal::invalid("a path slot of a service is of kind 'text'"));
    }
    let arguments = template.args.iter().map(|word| slots.argument(word)).collect::<Result<_, _>>()?;
    Ok(Order {
        name: template.name.to_string(),
        program: template.program.clone(),
        arguments,
        environment: words::fixed_environment(&template.env)?,
        privilege,
        after: template.after.iter().map(ToString::to_string).collect(),
        ready: condition(template, service, group)?,
        restart: template.restart,
        stop_seconds: template.stop_seconds,
    })
}

fn condition(
    template: &ServiceTemplate,
    service: &StartService,
    group: &GroupTemplate,
) -> Result<Condition, Refusal> {
    let ready = &template.ready;
    if let Some(socket) = &ready.socket {
        check_below(group, socket)?;
    }
    let bus_name = match (&ready.bus_name, &group.bus) {
        (Some(name), Some(bus)) => Some((bus.clone(), name.clone())),
        (Some(_), None) => return Err(Refusal::invalid(format!("group '{}' has no bus", group.name))),
        (None, _) => None,
    };
    let address = match (&ready.address, &ready.port) {
        (Some(address), Some(port)) => Some(socket_address(service, address, port)?),
        _ => None,
    };
    Ok(Condition { socket: ready.socket.clone(), bus_name, address, seconds: ready.seconds })
}

fn socket_address(service: &StartService, address: &Label, port: &Label) -> Result<SocketAddr, Refusal> {
    let missing = |label: &Label| Refusal::invalid(format!("slot '{label}' says no address or port"));
    let address = match service.slots.get(address) {
        Some(SlotArgument::Text(text)) => text.parse::<IpAddr>().map_err(|_| missing(address))?,
        _ => return Err(missing(address)),
    };
    let port = match service.slots.get(port) {
        Some(SlotArgument::Unsigned(number)) => u16::try_from(*number).map_err(|_| missing(port))?,
        _ => return Err(missing(port)),
    };
    Ok(SocketAddr::new(address, port))
}

/// Whether a bind is the template's: source and place with the same names. Answers whether it is read only.
pub(super) fn check_bind(request: &BindRequest) -> Result<bool, Refusal> {
    let template = group(&request.template)?;
    let bind = bind_of(&template, request)?;
    let refused =
        || Refusal::invalid(format!("what is shown at '{}' is not of bind '{}'", request.at, bind.name));
    check_below(&template, &request.at)?;
    let fits = bind.pattern.iter().any(|pattern| {
        crate::slot::names_in(pattern, &request.source).is_some_and(|names| {
            let filled: Option<String> = parts(&bind.at)
                .into_iter()
                .map(|part| match part {
                    Part::Literal(text) => Some(text),
                    Part::Place(label) => names.get(&label).cloned(),
                })
                .collect();
            filled.as_deref() == Some(request.at.as_str())
        })
    });
    if fits { Ok(bind.read_only) } else { Err(refused()) }
}

/// The root that a bind's sources lie below.
pub(super) fn root_of(template: &GroupTemplate, request: &BindRequest) -> Result<Label, Refusal> {
    bind_of(template, request).map(|bind| bind.root.clone())
}

fn bind_of<'template>(
    template: &'template GroupTemplate,
    request: &BindRequest,
) -> Result<&'template BindTemplate, Refusal> {
    template
        .bind(request.bind.as_str())
        .ok_or_else(|| Refusal::invalid(format!("group '{}' has no bind '{}'", template.name, request.bind)))
}

fn check_below(group: &GroupTemplate, path: &str) -> Result<(), Refusal> {
    let below = |directory: &String| {
        path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
    };
    if is_plain(path) && group.tmpfs.iter().any(below) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("'{path}' is not below a tmpfs of group '{}'", group.name)))
}

/// An absolute path of plain components.
fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.parse::<bulkhead_model::pattern::RelativePath>().is_ok())
}

/// Without these no program runs.
fn is_needed(path: &str) -> bool {
    ["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr"]
        .iter()
        .any(|needed| path == *needed || path.strip_prefix(needed).is_some_and(|rest| rest.starts_with('/')))
}
