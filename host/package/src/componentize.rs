//! From what cargo builds to a package: the core module becomes a component, the manifest goes in as its one custom section.

use crate::manifest::{self, ManifestError};
use crate::structure::MANIFEST_SECTION;
use std::borrow::Cow;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::ComponentEncoder;

/// Why a module does not become a package.
#[derive(Debug, thiserror::Error)]
pub enum ComponentizeError {
    /// The manifest is not accepted.
    #[error("the manifest is not accepted\n{0}")]
    Manifest(ManifestError),
    /// The module cannot be wrapped.
    #[error(
        "the module cannot be wrapped into a component: {reason}\n\
         hint: a driver is a library of crate-type \"cdylib\" for wasm32-unknown-unknown that exports with the SDK's macro"
    )]
    Wrap {
        /// What the encoder says.
        reason: String,
    },
}

/// Wrap `core_module` and embed `manifest_toml`; `manifest_file` is what problems call it. The same input gives the same bytes.
///
/// # Errors
/// The manifest or the module is not sound.
pub fn encode(
    core_module: &[u8],
    manifest_toml: &str,
    manifest_file: &str,
) -> Result<Vec<u8>, ComponentizeError> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(core_module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| ComponentizeError::Wrap { reason: format!("{error:#}") })?;
    embed(component, manifest_toml, manifest_file)
}

/// Embed `manifest_toml` in a component that another language's tools have made; `manifest_file` is what problems call it.
///
/// # Errors
/// The manifest is not sound. Whether the component is, [`crate::Package::read`] says.
pub fn embed(
    mut component: Vec<u8>,
    manifest_toml: &str,
    manifest_file: &str,
) -> Result<Vec<u8>, ComponentizeError> {
    manifest::parse(manifest_toml, manifest_file).map_err(ComponentizeError::Manifest)?;
    let section = CustomSection {
        name: Cow::Borrowed(MANIFEST_SECTION),
        data: Cow::Borrowed(manifest_toml.as_bytes()),
    };
    section.append_to_component(&mut component);
    Ok(component)
}
