//! The double of the host: the capability modules end here on every target but WebAssembly.

use super::denial::{Answer, deny, fail, invalid};
use super::lab::{State, current};
use crate::capability::CapabilityCode;
use crate::config::Value;
use crate::dbus::Reply;
use crate::execute::Output;
use crate::files::{DirectoryEntry, FileStatus, Path, Space};
use crate::host::Host;
use crate::http::{Moved, Response};
use crate::job;
use crate::log::Level;
use crate::network::NetworkAllocation;
use crate::network_allocation::Request;
use crate::private_data::{Entry, Expected, Owner};
use crate::resource::Resource;
use crate::service::{Instance, Status};
use crate::slots::Slots;

pub(crate) struct Double;

/// One host call of the lab in this thread.
fn call<T>(function: impl FnOnce(&State) -> Answer<T>) -> Answer<T> {
    let state = current()?;
    state.faults.apply(|| function(&state))
}

impl Host for Double {
    fn status(&self, at: &Path) -> Answer<FileStatus> {
        call(|state| state.status(at))
    }

    fn list_directory(&self, at: &Path) -> Answer<Vec<DirectoryEntry>> {
        call(|state| state.list_directory(at))
    }

    fn usage(&self, at: &Path) -> Answer<u64> {
        call(|state| state.usage(at))
    }

    fn read(&self, at: &Path) -> Answer<Vec<u8>> {
        call(|state| state.read(at))
    }

    fn read_kernel(&self, root: &str, pattern: &str, numbers: &[u64]) -> Answer<Vec<u8>> {
        call(|state| state.read_kernel(root, pattern, numbers))
    }

    fn create_directory(&self, at: &Path) -> Answer<()> {
        call(|state| state.create_directory(at))
    }

    fn remove(&self, at: &Path) -> Answer<()> {
        call(|state| state.remove(at))
    }

    fn rename(&self, source: &Path, destination: &Path) -> Answer<()> {
        call(|state| state.rename(source, destination))
    }

    fn exchange(&self, first: &Path, second: &Path) -> Answer<()> {
        call(|state| state.exchange(first, second))
    }

    fn copy_tree(&self, source: &Path, destination: &Path) -> Answer<()> {
        call(|state| state.copy_tree(source, destination))
    }

    fn root_space(&self, root: &str) -> Answer<Space> {
        call(|state| match state.spaces.borrow().get(root) {
            Some(space) => Ok(*space),
            None => deny(&format!("root {root} is not declared"), &format!("[[root]] name = \"{root}\"")),
        })
    }

    fn location(&self, at: &Path) -> Answer<String> {
        call(|state| state.location(at))
    }

    fn write_template(&self, template: &str, slots: Slots) -> Answer<()> {
        call(|state| state.write_template(template, slots))
    }

    fn remove_template(&self, template: &str, slots: Slots) -> Answer<()> {
        call(|state| state.remove_template(template, &slots))
    }

    fn write(&self, at: &Path, content: &[u8]) -> Answer<()> {
        call(|state| state.write(at, content))
    }

    fn run(&self, template: &str, slots: Slots) -> Answer<Output> {
        call(|state| state.run(template, slots))
    }

    fn run_with_retries(&self, template: &str, slots: Slots) -> Answer<Output> {
        call(|state| state.run_with_retries(template, slots))
    }

    fn start_service(&self, name: &str, instance: &Instance, slots: Slots) -> Answer<Status> {
        call(|state| state.start_service(name, instance, slots))
    }

    fn service_status(&self, name: &str, instance: &Instance) -> Answer<Status> {
        call(|state| state.service_status(name, instance))
    }

    fn stop_service(&self, name: &str, instance: &Instance) -> Answer<()> {
        call(|state| state.stop_service(name, instance))
    }

    fn stop_group(&self, group: &str, instance: &Instance) -> Answer<()> {
        call(|state| state.stop_group(group, instance))
    }

    fn bind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        call(|state| state.bind(group, instance, bind, source))
    }

    fn unbind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        call(|state| state.unbind(group, instance, bind, source))
    }

    fn call_dbus(&self, template: &str, owner: &Instance, slots: Slots) -> Answer<Reply> {
        call(|state| state.call_dbus(template, owner, slots))
    }

    fn send_request(&self, template: &str, slots: Slots) -> Answer<Response> {
        call(|state| state.send_request(template, slots))
    }

    fn upload(&self, template: &str, slots: Slots, source: &Path) -> Answer<Moved> {
        call(|state| state.upload(template, slots, source))
    }

    fn download(&self, template: &str, slots: Slots, destination: &Path) -> Answer<Moved> {
        call(|state| state.download(template, slots, destination))
    }

    fn start_job(&self, name: &str, key: &str, slots: Slots) -> Answer<job::State> {
        call(|state| state.start_job(name, key, slots))
    }

    fn poll_job(&self, name: &str, key: &str) -> Answer<job::State> {
        call(|state| state.poll_job(name, key))
    }

    fn jobs(&self) -> Answer<Vec<job::Entry>> {
        call(State::job_entries)
    }

    fn cancel_job(&self, name: &str, key: &str) -> Answer<()> {
        call(|state| state.cancel_job(name, key))
    }

    fn forget_job(&self, name: &str, key: &str) -> Answer<()> {
        call(|state| state.forget_job(name, key))
    }

    fn allocate_addresses(&self, request: &Request) -> Answer<Vec<NetworkAllocation>> {
        call(|state| state.allocate_addresses(request))
    }

    fn addresses(&self, server: &str) -> Answer<Vec<NetworkAllocation>> {
        call(|state| state.addresses_of(server))
    }

    fn release_addresses(&self, server: &str, purpose: &str) -> Answer<()> {
        call(|state| state.release_addresses(server, purpose))
    }

    fn option_of_peer(&self, backend: &str, name: &str) -> Answer<Option<Value>> {
        call(|state| {
            let known = (backend.to_owned(), name.to_owned());
            let value = state.peer_options.borrow().get(&known).cloned();
            match value {
                Some(value) => Ok(Some(value)),
                None => deny(
                    &format!("option {name} of backend {backend}"),
                    &format!(
                        "grant.peers = [\"{backend}\"], and peer = true at the peer's [[option]] {name}"
                    ),
                ),
            }
        })
    }

    fn option(&self, name: &str) -> Answer<Option<Value>> {
        call(|state| {
            let Some(default) = state.manifest.options.get(name) else {
                return invalid(format!("option {name} is not declared"));
            };
            Ok(state.options.borrow().get(name).or(default.as_ref()).cloned())
        })
    }

    fn private_data(&self, owner: &Owner, key: &str) -> Answer<Option<Entry>> {
        call(|state| state.private_data.borrow().get(&state.data_owner(owner)?, key))
    }

    fn all_private_data(&self, owner: &Owner) -> Answer<Vec<Entry>> {
        call(|state| Ok(state.private_data.borrow().get_all(&state.data_owner(owner)?)))
    }

    fn set_private_data(&self, owner: &Owner, key: &str, value: &str, expected: Expected) -> Answer<u64> {
        call(|state| {
            let owner = state.data_owner(owner)?;
            state.private_data.borrow_mut().set(owner, key, value, expected)
        })
    }

    fn remove_private_data(&self, owner: &Owner, key: &str) -> Answer<()> {
        call(|state| {
            let owner = state.data_owner(owner)?;
            state.private_data.borrow_mut().remove(owner, key)
        })
    }

    fn next_number(&self, counter: &str) -> Answer<u64> {
        call(|state| {
            if !state.manifest.counters.iter().any(|declared| declared == counter) {
                let line = format!("private-data.counters = [\"{counter}\"]");
                return deny(&format!("counter {counter} is not declared"), &line);
            }
            state.private_data.borrow_mut().next_number(counter)
        })
    }

    fn is_secret_set(&self, secret: &str) -> Answer<bool> {
        call(|state| Ok(state.secret(secret)?.is_some()))
    }

    fn are_secrets_same(&self, first: &str, second: &str) -> Answer<bool> {
        call(|state| state.are_secrets_same(first, second))
    }

    fn captured_secret(&self, purpose: &str) -> Answer<Option<String>> {
        call(|state| state.captured_secret(purpose))
    }

    fn generate_secret(&self, purpose: &str) -> Answer<String> {
        call(|state| state.generate_secret(purpose))
    }

    fn keep_secret(&self, name: &str, secret: &str) -> Answer<String> {
        call(|state| state.keep_secret(name, secret))
    }

    fn kept_secret(&self, name: &str) -> Answer<Option<String>> {
        call(|state| state.kept_secret(name))
    }

    fn forget_secret(&self, name: &str) -> Answer<()> {
        call(|state| state.forget_secret(name))
    }

    fn acquire(&self, name: &str, _wait_ms: u64) -> Answer<u64> {
        call(|state| state.acquire(name))
    }

    fn release(&self, name: &str) -> Answer<()> {
        // Not counted as a host call that fails: giving a lock back has no failure to cope with.
        let state = current()?;
        if let Some(call) = state.call.borrow_mut().as_mut() {
            call.locks.remove(name);
        }
        Ok(())
    }

    fn log(&self, level: Level, message: &str) {
        if let Ok(state) = current() {
            state.log.borrow_mut().push((level, message.to_owned()));
        }
    }

    fn now_ms(&self) -> u64 {
        current().map_or(0, |state| state.clock_ms.get())
    }

    fn monotonic_ms(&self) -> u64 {
        self.now_ms()
    }

    fn time_left_ms(&self) -> u64 {
        900_000
    }

    fn sleep(&self, duration_ms: u64) -> u64 {
        if let Ok(state) = current() {
            state.clock_ms.set(state.clock_ms.get().saturating_add(duration_ms));
        }
        duration_ms
    }

    fn new_id(&self) -> String {
        let number = current().map_or(0, |state| {
            state.fences.set(state.fences.get() + 1);
            state.fences.get()
        });
        format!("00000000-0000-4000-8000-{number:012x}")
    }
}

impl State {
    fn acquire(&self, name: &str) -> Answer<u64> {
        if name.is_empty() || name.len() > 255 {
            return invalid("a lock's name is 1 to 255 bytes long");
        }
        if self.held_by_others.borrow().contains(name) {
            return fail(CapabilityCode::TimedOut, format!("somebody else holds {name}"));
        }
        let mut call = self.call.borrow_mut();
        let locks = &mut call.get_or_insert_default().locks;
        if locks.len() >= 16 {
            return fail(CapabilityCode::LimitExceeded, "a call holds at most 16 locks");
        }
        if !locks.insert(name.to_owned()) {
            return invalid(format!("this call holds {name} already"));
        }
        self.fences.set(self.fences.get() + 1);
        Ok(self.fences.get())
    }

    /// Whose private data; none is the backend's.
    fn data_owner(&self, owner: &Owner) -> Answer<Option<Resource>> {
        match owner {
            Owner::Subject => self.target().resource(None).map(Some),
            Owner::Of(resource) => self.target().resource(Some(resource)).map(Some),
            Owner::Backend if self.manifest.has_backend_scope => Ok(None),
            Owner::Backend => {
                deny("data of the whole backend", "private-data.backend-scope = \"the reason\"")
            }
        }
    }
}
