//! The edge to WebAssembly: generated types, their conversion to the words of `model`, and the imports.

pub(crate) mod convert;
mod host;
pub(crate) mod v0_1;
