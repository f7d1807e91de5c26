//! Driver packages: the manifest, what a component exports and imports, and the vendor's tools that need no engine.
//!
//! A package is read by looking, never by running: its bytes are validated, its manifest is parsed, its interfaces are compared with
//! the contract this host speaks. The daemon calls [`package::Package::read`] on every load, the vendor commands call the rest. Every
//! error says what the thing is and what to do about it.
#![forbid(unsafe_code)]

pub mod componentize;
mod contract;
mod embedded;
mod error;
#[cfg(test)]
mod fixture;
pub mod inspect;
pub mod manifest;
pub mod mode;
pub mod options;
mod package;
pub mod scaffold;
mod signature;
mod structure;
#[cfg(test)]
mod tests;
pub mod toml_file;

pub use error::PackageError;
pub use package::{LARGEST_BYTES, Package};
