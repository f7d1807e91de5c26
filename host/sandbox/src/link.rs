//! What a component may import: the interfaces this host serves, and nothing else. No WASI, no clock of the engine, no file.

use crate::bindings::v0_1::bulkhead::{driver, host};
use crate::state::State;
use wasmtime::component::{HasSelf, Linker};

/// A linker with every interface this host serves. One for all drivers: what a call may do is decided by its rights, not by its links.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    host::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::execute::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::service::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::job::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::dbus::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::files::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::http::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::config::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::private_data::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::secret::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::lock::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::network_allocation::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    host::clock::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    driver::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
