//! Groups, their services, what is shown to them, and calls on their buses. Nothing is started: a service is ready at once, and the
//! test says when one fails or the machine starts anew.

use super::command::Command;
use super::denial::{Answer, deny, fail, invalid};
use super::lab::State;
use super::manifest::{Bind, Group};
use crate::capability::{CapabilityCode, CapabilityError, CommandExit};
use crate::dbus::Reply;
use crate::files::Path;
use crate::resource::Resource;
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

/// A group or service by its name, and the share server that this instance of it is of; none: the backend's.
type Key = (String, Option<String>);

/// Which instance is meant.
fn key(name: &str, instance: &Instance) -> Key {
    let server = match instance {
        Instance::Of(Resource::ShareServer(server)) => Some(server.clone()),
        Instance::Backend | Instance::Of(_) => None,
    };
    (name.to_owned(), server)
}

/// Groups and services as they are.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Groups that run, with what they are shown.
    groups: BTreeMap<Key, Vec<Shown>>,
    services: BTreeMap<Key, Started>,
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
    pub(super) fn status(&self, name: &str, instance: &Instance) -> Status {
        self.services.get(&key(name, instance)).map_or(
            Status {
                state: service::State::Stopped,
                started_at_ms: None,
                origin: Origin::ThisHost,
                exit: None,
            },
            Started::status,
        )
    }

    pub(super) fn shown(&self, group: &str, instance: &Instance) -> Vec<Shown> {
        self.groups.get(&key(group, instance)).cloned().unwrap_or_default()
    }

    /// End a group and all in it at once, as somebody with a shell would.
    pub(super) fn kill(&mut self, group: &str, instance: &Instance, of_group: impl Fn(&str) -> bool) {
        let killed = key(group, instance);
        self.services.retain(|(name, server), _| !(of_group(name) && *server == killed.1));
        self.groups.remove(&killed);
    }

    pub(super) fn end(&mut self, name: &str, instance: &Instance, exit: CommandExit) {
        if let Some(started) = self.services.get_mut(&key(name, instance)) {
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
        let order = self.start_order(name)?;
        self.check_service_instance(name, instance)?;
        let mut commands = Vec::new();
        for service in &order {
            let Some(declared) = self.manifest.running.services.get(service) else { continue };
            let own = slots.only(|slot| declared.template.slots.contains_key(slot));
            self.check_places(&own, instance)?;
            let filled = self.fill(service, &declared.template, own)?;
            commands.push((service, &declared.group, Command::new(service, &declared.template, filled)));
        }
        self.check_all_known(name, &order, &slots)?;
        for (service, group, command) in commands {
            let mut services = self.services.borrow_mut();
            services.groups.entry(key(group, instance)).or_default();
            match services.services.get(&key(service, instance)) {
                Some(found) if found.exit.is_none() && found.command != command => {
                    return fail(
                        CapabilityCode::Conflict,
                        format!("service {service} runs with other slots: stop it first"),
                    );
                }
                Some(found) if found.exit.is_none() => {}
                _ => {
                    if let Some(refusal) = services.refusals.get(service) {
                        return Err(refusal.clone());
                    }
                    let since_ms = self.clock_ms.get();
                    let started = Started { command, since_ms, origin: Origin::ThisHost, exit: None };
                    services.services.insert(key(service, instance), started);
                }
            }
        }
        Ok(self.services.borrow().status(name, instance))
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
        self.check_service_instance(name, instance)?;
        Ok(self.services.borrow().status(name, instance))
    }

    pub(super) fn stop_service(&self, name: &str, instance: &Instance) -> Answer<()> {
        self.check_service_instance(name, instance)?;
        for (other, declared) in &self.manifest.running.services {
            if declared.after.iter().any(|earlier| earlier == name) {
                self.stop_service(other, instance)?;
            }
        }
        self.services.borrow_mut().services.remove(&key(name, instance));
        Ok(())
    }

    pub(super) fn stop_group(&self, group: &str, instance: &Instance) -> Answer<()> {
        self.check_instance(group, instance)?;
        self.kill_group(group, instance);
        Ok(())
    }

    /// End a group and all in it at once.
    pub(super) fn kill_group(&self, group: &str, instance: &Instance) {
        let of_group = |name: &str| {
            self.manifest.running.services.get(name).is_some_and(|declared| declared.group == group)
        };
        self.services.borrow_mut().kill(group, instance, of_group);
    }

    fn check_service_instance(&self, name: &str, instance: &Instance) -> Answer<()> {
        self.start_order(name)?;
        match self.manifest.running.services.get(name) {
            Some(declared) => self.check_instance(&declared.group, instance),
            None => Ok(()),
        }
    }

    /// The backend has one instance of a group, or each share server has one: those of the call's servers are reached.
    fn check_instance(&self, group: &str, instance: &Instance) -> Answer<()> {
        let is_of_servers = self.group(group)?.is_of_servers;
        match instance {
            Instance::Backend if is_of_servers => deny(
                &format!("only share servers have an instance of group {group}"),
                "nothing: ask for one of those",
            ),
            Instance::Backend => Ok(()),
            Instance::Of(resource) => {
                self.target().resource(Some(resource))?;
                if is_of_servers && matches!(resource, Resource::ShareServer(_)) {
                    return Ok(());
                }
                deny(&format!("group {group} has no instance of {resource:?}"), "nothing: ask for one it has")
            }
        }
    }

    /// What lives on a share server is shown to that one's groups alone.
    fn check_same_server(&self, instance: &Instance, owner: Option<&Resource>) -> Answer<()> {
        let (Instance::Of(Resource::ShareServer(server)), Some(owner)) = (instance, owner) else {
            return Ok(());
        };
        if self.target().server_of(owner)?.as_ref() == Some(server) {
            return Ok(());
        }
        deny(&format!("{owner:?} does not live on share server {server}"), "nothing")
    }

    /// The same for the paths among the slots of a service or a call on a bus.
    fn check_places(&self, slots: &Slots, instance: &Instance) -> Answer<()> {
        for (pattern, of) in slots.paths() {
            let owner = self.target().place(pattern, of)?.owner;
            self.check_same_server(instance, owner.as_ref())?;
        }
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
    pub(super) fn check_runs(&self, group: &str, instance: &Instance) -> Answer<()> {
        self.group(group)?;
        if self.services.borrow().groups.contains_key(&key(group, instance)) {
            return Ok(());
        }
        fail(CapabilityCode::Unavailable, format!("group {group} does not run: start one of its services"))
    }

    fn shown(
        &self,
        group: &str,
        instance: &Instance,
        (bind, source): (&str, &Path),
    ) -> Answer<(String, Shown)> {
        let Some(declared) = self.group(group)?.binds.get(bind) else {
            return invalid(format!("group {group} declares no bind '{bind}'; declare it as [[group.bind]]"));
        };
        let (key, place) = self.bind_source(bind, declared, source)?;
        let at = self.target().place(&declared.at, source.of.as_ref())?.relative;
        self.check_same_server(instance, place.owner.as_ref())?;
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
        self.check_instance(group, instance)?;
        let (relative, wanted) = self.shown(group, instance, (bind, source))?;
        if !wanted.source.is_dir() {
            return fail(CapabilityCode::NotFound, format!("{relative} is not there"));
        }
        let mut services = self.services.borrow_mut();
        let Some(shown) = services.groups.get_mut(&key(group, instance)) else {
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
        self.check_instance(group, instance)?;
        let Some(declared) = self.group(group)?.binds.get(bind) else {
            return invalid(format!("group {group} declares no bind '{bind}'; declare it as [[group.bind]]"));
        };
        let (_, place) = self.bind_source(bind, declared, source)?;
        self.check_same_server(instance, place.owner.as_ref())?;
        let at = self.target().place(&declared.at, source.of.as_ref())?.relative;
        if let Some(shown) = self.services.borrow_mut().groups.get_mut(&key(group, instance)) {
            shown.retain(|one| one.at != at);
        }
        Ok(())
    }

    pub(super) fn call_dbus(&self, template: &str, owner: &Instance, slots: Slots) -> Answer<Reply> {
        let Some(declared) = self.manifest.running.dbus.get(template) else {
            return invalid(format!("no D-Bus call '{template}' is declared; declare it as [[dbus]]"));
        };
        self.check_instance(&declared.group, owner)?;
        if !self.group(&declared.group)?.has_bus {
            let line = format!("[[group]] name = \"{}\", bus = \"/run/…\"", declared.group);
            return deny(&format!("group {} has no bus", declared.group), &line);
        }
        self.check_places(&slots, owner)?;
        let filled = self.fill(template, &declared.template, slots)?;
        self.check_runs(&declared.group, owner)?;
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
