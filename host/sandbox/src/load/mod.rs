//! From bytes to a driver that can be called: is it a component, does it speak the contract, do its functions have the right types.
//!
//! `package` asks much of this before, without an engine; what the engine sees here decides, by the same rules. Nothing of the guest runs.

mod contract;
mod error;

pub use error::LoadError;

use crate::component::{Component, Loaded};
use crate::engine::LARGEST_COMPONENT;
use crate::state::State;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::contract::{Misfit, check_beginning};
use bulkhead_model::id::Digest;
use bulkhead_model::text::GuestText;
use wasmtime::component::Linker;

/// The longest text of the engine that is passed on, in bytes: one screen.
const REASON_BYTES: usize = 1024;

/// A page of linear memory, in bytes.
const PAGE_BYTES: u64 = 64 << 10;

/// Refuse bytes that cannot be a component, before anything is done with them.
pub(crate) fn check_bytes(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.len() > LARGEST_COMPONENT {
        return Err(LoadError::TooLarge { found: bytes.len(), most: LARGEST_COMPONENT });
    }
    Ok(check_beginning(bytes)?)
}

/// Check a compiled component against the contract, and link it.
pub(crate) fn link(
    engine: &wasmtime::Engine,
    linker: &Linker<State>,
    digest: Digest,
    compiled: &wasmtime::component::Component,
) -> Result<Component, LoadError> {
    let abilities = contract::abilities(engine, &compiled.component_type())?;
    let functions = contract::functions(compiled, &abilities)?;
    // Every import is one this host serves; what the linker still refuses is a function or a type of it that differs.
    let prepared = linker
        .instantiate_pre(compiled)
        .map_err(|error| Misfit::Signature { mismatches: vec![format!("  {}", reason(&error))] })?;
    // The first memory is mapped from an image; made now, not in the first call. Without it, calls copy.
    if let Err(error) = compiled.initialize_copy_on_write_image() {
        tracing::warn!(driver.digest = %digest, reason = %error, "memory images cannot be made; calls of this driver are slower");
    }
    Ok(Component::new(Loaded { digest, abilities, prepared, functions }))
}

/// Refuse a driver whose bare instance is beyond `limits`: every call would fail.
pub(crate) fn check_limits(component: &Component, limits: &DriverLimits) -> Result<(), LoadError> {
    let Some(needs) = component.prepared().component().resources_required() else { return Ok(()) };
    let memory_bytes = needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if memory_bytes > limits.memory_mib.saturating_mul(1 << 20) {
        return Err(LoadError::LimitExceeded {
            limit: "memory-mib",
            what: "MiB of memory",
            needed: memory_bytes.div_ceil(1 << 20),
            most: limits.memory_mib,
        });
    }
    let elements = needs.max_initial_table_size.unwrap_or(0);
    if elements > limits.table_elements {
        return Err(LoadError::LimitExceeded {
            limit: "table-elements",
            what: "table elements",
            needed: elements,
            most: limits.table_elements,
        });
    }
    Ok(())
}

/// What the engine says, with its causes, in one line.
pub(crate) fn reason(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    GuestText::new(&one_line, REASON_BYTES).as_str().to_owned()
}

#[cfg(test)]
mod tests;
