//! Groups, their services, what is shown to them, and calls on their buses. Nothing is started: a service is ready at once, and the
//! test says when one fails or the machine starts anew.

use super::command::Command;
use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::{Bind, Group};
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::dbus::Reply;
use crate::files::Path;
use crate::service::{self, Instance, Origin, Status};
use crate::slots::Slots;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A directory that a group is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The name of its bind in `driver.toml`.
    pub bind: String,
    /// The directory.
    pub source: PathBuf,
    /// Where the group sees it.
    pub at: String,
}

/// Groups and services as they are.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Groups that run, with what they are shown.
    groups: BTreeMap<String, Vec<Shown>>,
    services: BTreeMap<String, Started>,
    /// What a start fails with.
    pub(super) refusals: BTreeMap<String, CapabilityError>,
}

#[derive(Debug, Clone)]
struct Started {
    command: Command,
    since_ms: u64,
    origin: Origin,
    /// How it ended by itself, if it did.
    exit: Option<CommandExit>,
}

impl Started {
    fn status(&self) -> Status {
        Status {
            state: if self.exit.is_some() { service::State::Failed } else { service::State::Ready },
            started_at_ms: self.exit.is_none().then_some(self.since_ms),
            origin: self.origin,
            exit: self.exit.clone(),
        }
    }
}

impl Services {
    pub(super) fn status(&self, name: &str) -> Status {
        self.services.get(name).map_or(
            Status {
                state: service::State::Stopped,
                started_at_ms: None,
                origin: Origin::ThisHost,
                exit: None,
            },
            Started::status,
        )
    }

    pub(super) fn shown(&self, group: &str) -> Vec<Shown> {
        self.groups.get(group).cloned().unwrap_or_default()
    }

    pub(super) fn end(&mut self, name: &str, exit: CommandExit) {
        if let Some(started) = self.services.get_mut(name) {
            started.exit = Some(exit);
        }
    }

    /// Another host process looks after the services.
    pub(super) fn adopt(&mut self) {
        for started in self.services.values_mut() {
            started.origin = Origin::Adopted;
        }
    }

    pub(super) fn stop_all(&mut self) {
        self.groups.clear();
        self.services.clear();
    }
}

impl State {
    pub(super) fn start_service(&self, name: &str, instance: &Instance, slots: Slots) -> Answer<Status> {
        check_instance(instance)?;
        let order = self.start_order(name)?;
        let mut commands = Vec::new();
        for service in &order {
            let Some(declared) = self.manifest.running.services.get(service) else { continue };
            let own = slots.only(|slot| declared.template.slots.contains_key(slot));
            let filled = self.fill(service, &declared.template, own)?;
            commands.push((service, &declared.group, Command::new(service, &declared.template, filled)));
        }
        self.check_all_known(name, &order, &slots)?;
        for (service, group, command) in commands {
            if let Some(refusal) = self.services.borrow().refusals.get(service) {
                return Err(refusal.clone());
            }
            let mut services = self.services.borrow_mut();
            services.groups.entry(group.clone()).or_default();
            match services.services.get(service) {
                Some(found) if found.exit.is_none() && found.command != command => {
                    return fail(
                        CapabilityCode::Conflict,
                        format!("service {service} runs with other slots: stop it first"),
                    );
                }
                Some(found) if found.exit.is_none() => {}
                _ => {
                    let since_ms = self.clock_ms.get();
                    let started = Started { command, since_ms, origin: Origin::ThisHost, exit: None };
                    services.services.insert(service.clone(), started);
                }
            }
        }
        Ok(self.services.borrow().status(name))
    }

    /// The services that `name` comes after, in order, then itself.
    fn start_order(&self, name: &str) -> Answer<Vec<String>> {
        let mut order = Vec::new();
        self.visit(name, &mut order, &mut BTreeSet::new())?;
        Ok(order)
    }

    fn visit(&self, name: &str, order: &mut Vec<String>, visited: &mut BTreeSet<String>) -> Answer<()> {
        let Some(declared) = self.manifest.running.services.get(name) else {
            return invalid(format!("no service '{name}' is declared; declare it as [[service]]"));
        };
        if visited.insert(name.to_owned()) {
            for earlier in &declared.after {
                self.visit(earlier, order, visited)?;
            }
            order.push(name.to_owned());
        }
        Ok(())
    }

    fn check_all_known(&self, name: &str, order: &[String], slots: &Slots) -> Answer<()> {
        let declared = |slot: &str| {
            let of = order.iter().filter_map(|service| self.manifest.running.services.get(service));
            of.into_iter().any(|service| service.template.slots.contains_key(slot))
        };
        match slots.names().find(|slot| !declared(slot)) {
            Some(slot) => invalid(format!("service {name} has no slot {slot}")),
            None => Ok(()),
        }
    }

    pub(super) fn service_status(&self, name: &str, instance: &Instance) -> Answer<Status> {
        check_instance(instance)?;
        self.start_order(name)?;
        Ok(self.services.borrow().status(name))
    }

    pub(super) fn stop_service(&self, name: &str, instance: &Instance) -> Answer<()> {
        check_instance(instance)?;
        self.start_order(name)?;
        for (other, declared) in &self.manifest.running.services {
            if declared.after.iter().any(|earlier| earlier == name) {
                self.stop_service(other, instance)?;
            }
        }
        self.services.borrow_mut().services.remove(name);
        Ok(())
    }

    pub(super) fn stop_group(&self, group: &str, instance: &Instance) -> Answer<()> {
        check_instance(instance)?;
        self.group(group)?;
        let mut services = self.services.borrow_mut();
        let of_group = |name: &String| {
            self.manifest.running.services.get(name).is_some_and(|declared| declared.group == group)
        };
        services.services.retain(|name, _| !of_group(name));
        services.groups.remove(group);
        Ok(())
    }

    fn group(&self, group: &str) -> Answer<&Group> {
        self.manifest
            .running
            .groups
            .get(group)
            .map_or_else(|| invalid(format!("no group '{group}' is declared; declare it as [[group]]")), Ok)
    }

    /// Fails with `unavailable` unless the group runs.
    pub(super) fn check_runs(&self, group: &str) -> Answer<()> {
        self.group(group)?;
        if self.services.borrow().groups.contains_key(group) {
            return Ok(());
        }
        fail(CapabilityCode::Unavailable, format!("group {group} does not run: start one of its services"))
    }

    fn shown(&self, group: &str, bind: &str, source: &Path) -> Answer<(String, Shown)> {
        let Some(declared) = self.group(group)?.binds.get(bind) else {
            return invalid(format!("group {group} declares no bind '{bind}'; declare it as [[group.bind]]"));
        };
        let (key, place) = self.bind_source(bind, declared, source)?;
        let at = self.target().place(&declared.at, source.of.as_ref())?.relative;
        self.check_place_owned(&key.0, &place)?;
        let source = self.root_directory(&key.0).join(&key.1);
        Ok((key.1, Shown { bind: bind.to_owned(), source, at }))
    }

    fn bind_source(
        &self,
        bind: &str,
        declared: &Bind,
        source: &Path,
    ) -> Answer<((String, String), super::place::Place)> {
        if declared.root != source.root || !declared.patterns.contains(&source.pattern) {
            let line = format!(
                "[[group.bind]] name = \"{bind}\", root = \"{}\", pattern = [\"{}\"]",
                source.root, source.pattern
            );
            return deny(
                &format!("bind {bind} does not declare '{}/{}'", source.root, source.pattern),
                &line,
            );
        }
        let place = self.target().place(&source.pattern, source.of.as_ref())?;
        Ok(((source.root.clone(), place.relative.clone()), place))
    }

    pub(super) fn bind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        check_instance(instance)?;
        let (relative, wanted) = self.shown(group, bind, source)?;
        if !wanted.source.is_dir() {
            return fail(CapabilityCode::NotFound, format!("{relative} is not there"));
        }
        let mut services = self.services.borrow_mut();
        let Some(shown) = services.groups.get_mut(group) else {
            return fail(CapabilityCode::NotFound, format!("group {group} does not run"));
        };
        match shown.iter().find(|other| other.at == wanted.at) {
            Some(other) if other.source == wanted.source => Ok(()),
            Some(other) => {
                let other = other.source.display();
                fail(CapabilityCode::Conflict, format!("{other} is shown at {}", wanted.at))
            }
            None => {
                shown.push(wanted);
                Ok(())
            }
        }
    }

    pub(super) fn unbind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        check_instance(instance)?;
        let Some(declared) = self.group(group)?.binds.get(bind) else {
            return invalid(format!("group {group} declares no bind '{bind}'; declare it as [[group.bind]]"));
        };
        self.bind_source(bind, declared, source)?;
        let at = self.target().place(&declared.at, source.of.as_ref())?.relative;
        if let Some(shown) = self.services.borrow_mut().groups.get_mut(group) {
            shown.retain(|one| one.at != at);
        }
        Ok(())
    }

    pub(super) fn call_dbus(&self, template: &str, owner: &Instance, slots: Slots) -> Answer<Reply> {
        check_instance(owner)?;
        let Some(declared) = self.manifest.running.dbus.get(template) else {
            return invalid(format!("no D-Bus call '{template}' is declared; declare it as [[dbus]]"));
        };
        if !self.group(&declared.group)?.has_bus {
            let line = format!("[[group]] name = \"{}\", bus = \"/run/…\"", declared.group);
            return deny(&format!("group {} has no bus", declared.group), &line);
        }
        let filled = self.fill(template, &declared.template, slots)?;
        self.check_runs(&declared.group)?;
        let call = Command::new(template, &declared.template, filled);
        self.dbus_calls.borrow_mut().push(call.clone());
        let answer = self.dbus_answers.borrow().get(template).cloned();
        match answer {
            Some(answer) => (answer.0)(&call),
            None => fail(
                CapabilityCode::Unavailable,
                format!("the test does not say what {template} answers: use Lab::answer_dbus"),
            ),
        }
    }
}

/// A backend has one instance of each group it declares.
fn check_instance(instance: &Instance) -> Answer<()> {
    match instance {
        Instance::Backend => Ok(()),
        Instance::Of(resource) => deny(
            &format!("the group has one instance, of the backend, and none of {resource:?}"),
            "nothing: ask for the backend's",
        ),
    }
}
