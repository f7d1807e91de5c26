//! The sandbox: wasmtime, limits, bindings, and one fresh instance for every call of a driver.

mod driver;

pub use driver::{Driver, ENSURE_BATCH};
