//! Where the capability modules go: into the component's imports, or, in native tests, into the double of
//! [`testing`](crate::testing). One trait, so that neither side can lack a function.

use crate::capability::CapabilityError;
use crate::config::Value;
use crate::dbus::Reply;
use crate::execute::Output;
use crate::files::{DirectoryEntry, FileStatus, Path, Space};
use crate::http::{Moved, Response};
use crate::job;
use crate::log::Level;
use crate::network::NetworkAllocation;
use crate::network_allocation::Request;
use crate::private_data::{Entry, Expected, Owner};
use crate::service::{Instance, Status};
use crate::slots::Slots;

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
mod convert;

#[cfg(target_arch = "wasm32")]
pub(crate) fn host() -> impl Host {
    component::Component
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn host() -> impl Host {
    crate::testing::Double
}

type Answer<T> = Result<T, CapabilityError>;

pub(crate) trait Host {
    fn status(&self, at: &Path) -> Answer<FileStatus>;
    fn list_directory(&self, at: &Path) -> Answer<Vec<DirectoryEntry>>;
    fn usage(&self, at: &Path) -> Answer<u64>;
    fn read(&self, at: &Path) -> Answer<Vec<u8>>;
    fn read_kernel(&self, root: &str, pattern: &str, numbers: &[u64]) -> Answer<Vec<u8>>;
    fn create_directory(&self, at: &Path) -> Answer<()>;
    fn remove(&self, at: &Path) -> Answer<()>;
    fn rename(&self, source: &Path, destination: &Path) -> Answer<()>;
    fn exchange(&self, first: &Path, second: &Path) -> Answer<()>;
    fn copy_tree(&self, source: &Path, destination: &Path) -> Answer<()>;
    fn root_space(&self, root: &str) -> Answer<Space>;
    fn location(&self, at: &Path) -> Answer<String>;
    fn write_template(&self, template: &str, slots: Slots) -> Answer<()>;
    fn remove_template(&self, template: &str, slots: Slots) -> Answer<()>;
    fn write(&self, at: &Path, content: &[u8]) -> Answer<()>;
    fn run(&self, template: &str, slots: Slots) -> Answer<Output>;
    fn run_with_retries(&self, template: &str, slots: Slots) -> Answer<Output>;
    fn start_service(&self, name: &str, instance: &Instance, slots: Slots) -> Answer<Status>;
    fn service_status(&self, name: &str, instance: &Instance) -> Answer<Status>;
    fn stop_service(&self, name: &str, instance: &Instance) -> Answer<()>;
    fn stop_group(&self, group: &str, instance: &Instance) -> Answer<()>;
    fn bind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()>;
    fn unbind(&self, group: &str, instance: &Instance, bind: &str, source: &Path) -> Answer<()>;
    fn call_dbus(&self, template: &str, owner: &Instance, slots: Slots) -> Answer<Reply>;
    fn send_request(&self, template: &str, slots: Slots) -> Answer<Response>;
    fn upload(&self, template: &str, slots: Slots, source: &Path) -> Answer<Moved>;
    fn download(&self, template: &str, slots: Slots, destination: &Path) -> Answer<Moved>;
    fn start_job(&self, name: &str, key: &str, slots: Slots) -> Answer<job::State>;
    fn poll_job(&self, name: &str, key: &str) -> Answer<job::State>;
    fn jobs(&self) -> Answer<Vec<job::Entry>>;
    fn cancel_job(&self, name: &str, key: &str) -> Answer<()>;
    fn forget_job(&self, name: &str, key: &str) -> Answer<()>;
    fn allocate_addresses(&self, request: &Request) -> Answer<Vec<NetworkAllocation>>;
    fn addresses(&self, server: &str) -> Answer<Vec<NetworkAllocation>>;
    fn release_addresses(&self, server: &str, purpose: &str) -> Answer<()>;
    fn option(&self, name: &str) -> Answer<Option<Value>>;
    fn option_of_peer(&self, backend: &str, name: &str) -> Answer<Option<Value>>;
    fn private_data(&self, owner: &Owner, key: &str) -> Answer<Option<Entry>>;
    fn all_private_data(&self, owner: &Owner) -> Answer<Vec<Entry>>;
    fn set_private_data(&self, owner: &Owner, key: &str, value: &str, expected: Expected) -> Answer<u64>;
    fn remove_private_data(&self, owner: &Owner, key: &str) -> Answer<()>;
    fn next_number(&self, counter: &str) -> Answer<u64>;
    fn is_secret_set(&self, secret: &str) -> Answer<bool>;
    fn are_secrets_same(&self, first: &str, second: &str) -> Answer<bool>;
    fn captured_secret(&self, purpose: &str) -> Answer<Option<String>>;
    fn generate_secret(&self, purpose: &str) -> Answer<String>;
    fn keep_secret(&self, name: &str, secret: &str) -> Answer<String>;
    fn kept_secret(&self, name: &str) -> Answer<Option<String>>;
    fn forget_secret(&self, name: &str) -> Answer<()>;
    fn acquire(&self, name: &str, wait_ms: u64) -> Answer<u64>;
    fn release(&self, name: &str) -> Answer<()>;
    fn log(&self, level: Level, message: &str);
    fn now_ms(&self) -> u64;
    fn monotonic_ms(&self) -> u64;
    fn time_left_ms(&self) -> u64;
    fn sleep(&self, duration_ms: u64) -> u64;
    fn new_id(&self) -> String;
}
