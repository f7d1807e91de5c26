//! The imports of a component.

use super::{Answer, Host, convert};
use crate::bindings::base::bulkhead::host::{
    clock, config, dbus, execute, files, http, job, lock, log, network_allocation, private_data, secret,
    service,
};
use crate::config::Value;
use crate::dbus::Reply;
use crate::execute::Output;
use crate::files::{DirectoryEntry, FileStatus, Path, Space};
use crate::http::{Moved, Response};
use crate::job::{Entry as JobEntry, State as JobState};
use crate::log::Level;
use crate::network::NetworkAllocation;
use crate::network_allocation::Request;
use crate::private_data::{Entry, Expected, Owner};
use crate::service::{Instance, Status};
use crate::slots::Slots;

pub(super) struct Component;

impl Host for Component {
    fn status(&self, at: &Path) -> Answer<FileStatus> {
        files::status(&convert::path(at)).map(convert::file_status).map_err(convert::error)
    }

    fn list_directory(&self, at: &Path) -> Answer<Vec<DirectoryEntry>> {
        files::list_directory(&convert::path(at))
            .map(|entries| entries.into_iter().map(convert::directory_entry).collect())
            .map_err(convert::error)
    }

    fn usage(&self, at: &Path) -> Answer<u64> {
        files::usage(&convert::path(at)).map_err(convert::error)
    }

    fn read(&self, at: &Path) -> Answer<Vec<u8>> {
        files::read(&convert::path(at)).map_err(convert::error)
    }

    fn read_kernel(&self, root: &str, pattern: &str, numbers: &[u64]) -> Answer<Vec<u8>> {
        files::read_kernel(root, pattern, numbers).map_err(convert::error)
    }

    fn create_directory(&self, at: &Path) -> Answer<()> {
        files::create_directory(&convert::path(at)).map_err(convert::error)
    }

    fn remove(&self, at: &Path) -> Answer<()> {
        files::remove(&convert::path(at)).map_err(convert::error)
    }

    fn rename(&self, source: &Path, destination: &Path) -> Answer<()> {
        files::rename(&convert::path(source), &convert::path(destination)).map_err(convert::error)
    }

    fn exchange(&self, first: &Path, second: &Path) -> Answer<()> {
        files::exchange(&convert::path(first), &convert::path(second)).map_err(convert::error)
    }

    fn copy_tree(&self, source: &Path, destination: &Path) -> Answer<()> {
        files::copy_tree(&convert::path(source), &convert::path(destination)).map_err(convert::error)
    }

    fn root_space(&self, root: &str) -> Answer<Space> {
        files::root_space(root).map(convert::space).map_err(convert::error)
    }

    fn location(&self, at: &Path) -> Answer<String> {
        files::location(&convert::path(at)).map_err(convert::error)
    }

    fn write_template(&self, template: &str, slots: Slots) -> Answer<()> {
        files::write_template(template, &convert::slots(slots)).map_err(convert::error)
    }

    fn remove_template(&self, template: &str, slots: Slots) -> Answer<()> {
        files::remove_template(template, &convert::slots(slots)).map_err(convert::error)
    }

    fn write(&self, at: &Path, content: &[u8]) -> Answer<()> {
        files::write(&convert::path(at), content).map_err(convert::error)
    }

    fn run(&self, template: &str, slots: Slots) -> Answer<Output> {
        execute::run(template, &convert::slots(slots)).map(convert::output).map_err(convert::error)
    }

    fn run_with_retries(&self, template: &str, slots: Slots) -> Answer<Output> {
        execute::run_with_retries(template, &convert::slots(slots))
            .map(convert::output)
            .map_err(convert::error)
    }

    fn start_service(&self, name: &str, instance: &Instance, slots: Slots) -> Answer<Status> {
        service::start(name, &convert::service_instance(instance), &convert::slots(slots))
            .map(convert::service_status)
            .map_err(convert::error)
    }

    fn service_status(&self, name: &str, instance: &Instance) -> Answer<Status> {
        service::status(name, &convert::service_instance(instance))
            .map(convert::service_status)
            .map_err(convert::error)
    }

    fn stop_service(&self, name: &str, instance: &Instance) -> Answer<()> {
        service::stop(name, &convert::service_instance(instance)).map_err(convert::error)
    }

    fn stop_group(&self, group: &str, instance: &Instance) -> Answer<()> {
        service::stop_group(group, &convert::service_instance(instance)).map_err(convert::error)
    }

    fn bind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        service::bind(group, &convert::service_instance(instance), bind, &convert::path(source))
            .map_err(convert::error)
    }

    fn unbind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()> {
        service::unbind(group, &convert::service_instance(instance), bind, &convert::path(source))
            .map_err(convert::error)
    }

    fn call_dbus(&self, template: &str, owner: &Instance, slots: Slots) -> Answer<Reply> {
        dbus::call(template, &convert::bus_owner(owner), &convert::slots(slots))
            .map(convert::dbus_reply)
            .map_err(convert::error)
    }

    fn send_request(&self, template: &str, slots: Slots) -> Answer<Response> {
        http::send(template, &convert::slots(slots)).map(convert::response).map_err(convert::error)
    }

    fn upload(&self, template: &str, slots: Slots, source: &Path) -> Answer<Moved> {
        http::upload(template, &convert::slots(slots), &convert::path(source))
            .map(convert::moved)
            .map_err(convert::error)
    }

    fn download(&self, template: &str, slots: Slots, destination: &Path) -> Answer<Moved> {
        http::download(template, &convert::slots(slots), &convert::path(destination))
            .map(convert::moved)
            .map_err(convert::error)
    }

    fn start_job(&self, name: &str, key: &str, slots: Slots) -> Answer<JobState> {
        job::start(name, key, &convert::slots(slots)).map(convert::job_state).map_err(convert::error)
    }

    fn poll_job(&self, name: &str, key: &str) -> Answer<JobState> {
        job::poll(name, key).map(convert::job_state).map_err(convert::error)
    }

    fn jobs(&self) -> Answer<Vec<JobEntry>> {
        job::entries()
            .map(|entries| entries.into_iter().map(convert::job_entry).collect())
            .map_err(convert::error)
    }

    fn cancel_job(&self, name: &str, key: &str) -> Answer<()> {
        job::cancel(name, key).map_err(convert::error)
    }

    fn forget_job(&self, name: &str, key: &str) -> Answer<()> {
        job::forget(name, key).map_err(convert::error)
    }

    fn option_of_peer(&self, backend: &str, name: &str) -> Answer<Option<Value>> {
        config::get_of_peer(backend, name).map(|value| value.map(convert::value)).map_err(convert::error)
    }

    fn allocate_addresses(&self, request: &Request) -> Answer<Vec<NetworkAllocation>> {
        network_allocation::allocate(&convert::allocation_request(request))
            .map(NetworkAllocation::list_from_wit)
            .map_err(convert::error)
    }

    fn addresses(&self, server: &str) -> Answer<Vec<NetworkAllocation>> {
        network_allocation::allocations(&server.to_owned())
            .map(NetworkAllocation::list_from_wit)
            .map_err(convert::error)
    }

    fn release_addresses(&self, server: &str, purpose: &str) -> Answer<()> {
        network_allocation::release(&server.to_owned(), purpose).map_err(convert::error)
    }

    fn option(&self, name: &str) -> Answer<Option<Value>> {
        config::get(name).map(|value| value.map(convert::value)).map_err(convert::error)
    }

    fn private_data(&self, owner: &Owner, key: &str) -> Answer<Option<Entry>> {
        private_data::get(&convert::owner(owner), key)
            .map(|entry| entry.map(convert::entry))
            .map_err(convert::error)
    }

    fn all_private_data(&self, owner: &Owner) -> Answer<Vec<Entry>> {
        private_data::get_all(&convert::owner(owner))
            .map(|entries| entries.into_iter().map(convert::entry).collect())
            .map_err(convert::error)
    }

    fn set_private_data(&self, owner: &Owner, key: &str, value: &str, expected: Expected) -> Answer<u64> {
        private_data::set(&convert::owner(owner), key, value, convert::expected(expected))
            .map_err(convert::error)
    }

    fn remove_private_data(&self, owner: &Owner, key: &str) -> Answer<()> {
        private_data::remove(&convert::owner(owner), key).map_err(convert::error)
    }

    fn next_number(&self, counter: &str) -> Answer<u64> {
        private_data::next_number(counter).map_err(convert::error)
    }

    fn is_secret_set(&self, secret: &str) -> Answer<bool> {
        secret::is_set(&convert::secret(secret)).map_err(convert::error)
    }

    fn are_secrets_same(&self, first: &str, second: &str) -> Answer<bool> {
        secret::is_same(&convert::secret(first), &convert::secret(second)).map_err(convert::error)
    }

    fn captured_secret(&self, purpose: &str) -> Answer<Option<String>> {
        Ok(secret::captured(purpose).map_err(convert::error)?.map(|secret| secret.name))
    }

    fn generate_secret(&self, purpose: &str) -> Answer<String> {
        secret::generate(purpose).map(|secret| secret.name).map_err(convert::error)
    }

    fn keep_secret(&self, name: &str, secret: &str) -> Answer<String> {
        let kept = secret::keep(name, &convert::secret(secret));
        kept.map(|secret| secret.name).map_err(convert::error)
    }

    fn kept_secret(&self, name: &str) -> Answer<Option<String>> {
        Ok(secret::kept(name).map_err(convert::error)?.map(|secret| secret.name))
    }

    fn forget_secret(&self, name: &str) -> Answer<()> {
        secret::forget(name).map_err(convert::error)
    }

    fn acquire(&self, name: &str, wait_ms: u64) -> Answer<u64> {
        lock::acquire(name, wait_ms).map_err(convert::error)
    }

    fn release(&self, name: &str) -> Answer<()> {
        lock::release(name).map_err(convert::error)
    }

    fn log(&self, level: Level, message: &str) {
        log::write(convert::level(level), message);
    }

    fn now_ms(&self) -> u64 {
        clock::now_ms()
    }

    fn monotonic_ms(&self) -> u64 {
        clock::monotonic_ms()
    }

    fn time_left_ms(&self) -> u64 {
        clock::time_left_ms()
    }

    fn sleep(&self, duration_ms: u64) -> u64 {
        clock::sleep(duration_ms)
    }

    fn new_id(&self) -> String {
        clock::new_id()
    }
}
