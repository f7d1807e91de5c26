//! The structure of a component: sound or not, how large its parts are, and the manifest sections it carries. Nothing is compiled.

use crate::error::PackageError;
use bulkhead_model::contract::{Kind, Misfit};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

/// The custom section that carries the manifest.
pub(crate) const MANIFEST_SECTION: &str = "bulkhead:manifest";
/// Core modules in one component: a Python driver has some 40.
const MOST_MODULES: usize = 256;
/// Nested components.
const MOST_COMPONENTS: usize = 64;
/// Instances, core and component ones: a Python driver has some 80.
const MOST_INSTANCES: u32 = 1024;
/// Linear memories defined in all core modules.
const MOST_MEMORIES: u32 = 64;

/// What was found in a sound component.
pub(crate) struct Structure<'bytes> {
    /// The manifest sections at the top level.
    pub(crate) manifests: Vec<&'bytes [u8]>,
}

/// Validate and measure a component.
pub(crate) fn read(bytes: &[u8]) -> Result<Structure<'_>, PackageError> {
    // First the measure, which is cheap: validating a hundred thousand modules is not.
    let structure = measure(bytes)?;
    let mut validator = Validator::new_with_features(features());
    validator.validate_all(bytes).map_err(|error| malformed(&error))?;
    Ok(structure)
}

/// What the engine is configured for; anything else would be refused later with a less friendly word.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
}

fn malformed(error: &wasmparser::BinaryReaderError) -> PackageError {
    PackageError::Malformed { offset: error.offset(), reason: error.message().to_owned() }
}

#[derive(Default)]
struct Counts {
    modules: usize,
    components: usize,
    instances: u32,
    memories: u32,
}

impl Counts {
    fn check(&self) -> Result<(), PackageError> {
        let limit = |what, found: u64, most: u64| match found > most {
            true => Err(PackageError::LimitExceeded { what, found, most }),
            false => Ok(()),
        };
        limit("core modules", self.modules as u64, MOST_MODULES as u64)?;
        limit("nested components", self.components as u64, MOST_COMPONENTS as u64)?;
        limit("instances", u64::from(self.instances), u64::from(MOST_INSTANCES))?;
        limit("linear memories", u64::from(self.memories), u64::from(MOST_MEMORIES))
    }
}

fn measure(bytes: &[u8]) -> Result<Structure<'_>, PackageError> {
    let mut counts = Counts::default();
    let mut manifests = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| malformed(&error))? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(Misfit::NotAComponent { kind: Kind::CoreModule }.into());
            }
            Payload::ModuleSection { .. } => {
                counts.modules += 1;
                depth += 1;
            }
            Payload::ComponentSection { .. } => {
                counts.components += 1;
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => {
                counts.instances = counts.instances.saturating_add(section.count());
            }
            Payload::ComponentInstanceSection(section) => {
                counts.instances = counts.instances.saturating_add(section.count());
            }
            Payload::MemorySection(section) => {
                counts.memories = counts.memories.saturating_add(section.count());
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => {
                manifests.push(section.data());
            }
            _ => {}
        }
        counts.check()?;
    }
    Ok(Structure { manifests })
}
