//! Reading a package: the one door through which drivers come in.

use crate::contract::Contract;
use crate::error::PackageError;
use crate::manifest;
use crate::signature;
use crate::structure;
use bulkhead_model::ability::{Abilities, Ability, Capability};
use bulkhead_model::contract::{Import, InterfaceName, Kind, Misfit, check_beginning, fit};
use bulkhead_model::id::Digest;
use bulkhead_model::manifest::Manifest;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, InterfaceId, Resolve, WorldItem};

/// The largest package, in bytes: a Python driver has some 40 MiB.
pub const LARGEST_BYTES: usize = 64 << 20;
/// What a manifest inside a component is called in problems.
const MANIFEST_FILE: &str = "driver.toml";

/// A driver's bytes with what they say about themselves. Nothing of it has run.
#[derive(Debug, Clone)]
pub struct Package {
    /// Which bytes exactly.
    pub digest: Digest,
    /// What the driver asks for.
    pub manifest: Manifest,
    /// What it exports of the contract.
    pub abilities: Abilities,
    /// What it exports beside the contract: this host never calls it.
    pub other_exports: BTreeSet<String>,
    /// What it imports, with the functions it uses.
    pub imports: BTreeMap<Capability, BTreeSet<String>>,
    /// The bytes themselves.
    pub bytes: Arc<[u8]>,
}

impl Package {
    /// Read a package from a file of at most [`LARGEST_BYTES`].
    ///
    /// # Errors
    /// The file cannot be read, or as [`Package::read`].
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let read = |source| PackageError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(read)?;
        Self::read(bytes)
    }

    /// Read a package from its bytes. Runs no code, needs no engine.
    ///
    /// # Errors
    /// It is no sound component, carries no sound manifest, was built for another contract, exports too little or imports too much.
    pub fn read(bytes: Vec<u8>) -> Result<Self, PackageError> {
        if bytes.len() > LARGEST_BYTES {
            return Err(PackageError::TooLarge { most: LARGEST_BYTES });
        }
        check_beginning(&bytes)?;
        let structure = structure::read(&bytes)?;
        let interfaces = Interfaces::decode(&bytes)?;
        let abilities = interfaces.check()?;
        let (other_exports, imports) = (interfaces.other_exports(), interfaces.capabilities());
        let manifest = only_manifest(&structure.manifests)?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(Self { digest, manifest, abilities, other_exports, imports, bytes: bytes.into() })
    }

    /// The exports that this host does not drive yet.
    #[must_use]
    pub fn undriven(&self) -> Vec<Ability> {
        self.abilities.0.iter().copied().filter(|ability| !Ability::DRIVEN.contains(ability)).collect()
    }
}

fn only_manifest(sections: &[&[u8]]) -> Result<Manifest, PackageError> {
    match sections {
        [] => Err(PackageError::NoManifest),
        [section] => {
            let text = std::str::from_utf8(section).map_err(|_| PackageError::ManifestNotText)?;
            manifest::parse(text, MANIFEST_FILE).map_err(PackageError::Manifest)
        }
        several => Err(PackageError::ManyManifests { count: several.len() }),
    }
}

/// What a component exports and imports.
struct Interfaces {
    resolve: Resolve,
    exports: Vec<Item>,
    imports: Vec<Item>,
}

/// One export or import.
struct Item {
    name: String,
    interface: Option<InterfaceId>,
}

impl Item {
    fn full_name(&self) -> Option<InterfaceName<'_>> {
        InterfaceName::parse(&self.name)
    }
}

impl Interfaces {
    fn decode(bytes: &[u8]) -> Result<Self, PackageError> {
        // The bytes are validated. A decoder that still gives up with a panic must not take the daemon along.
        let decoded = std::panic::catch_unwind(|| decode(bytes))
            .map_err(|_| PackageError::Undecodable { reason: "the decoder gave up".to_owned() })?
            .map_err(|error| PackageError::Undecodable { reason: format!("{error:#}") })?;
        let (resolve, world) = match decoded {
            DecodedWasm::Component(resolve, world) => (resolve, world),
            DecodedWasm::WitPackage(..) => return Err(Misfit::NotAComponent { kind: Kind::Wit }.into()),
        };
        let items = |exports: bool| -> Vec<Item> {
            let Some(world) = resolve.worlds.get(world) else { return Vec::new() };
            let items = if exports { &world.exports } else { &world.imports };
            items
                .iter()
                .map(|(key, item)| Item {
                    name: resolve.name_world_key(key),
                    interface: match item {
                        WorldItem::Interface { id, .. } => Some(*id),
                        WorldItem::Function(_) | WorldItem::Type { .. } => None,
                    },
                })
                .collect()
        };
        let (exports, imports) = (items(true), items(false));
        Ok(Self { resolve, exports, imports })
    }

    /// Whether it fits the contract: by its names first, then by the types of all functions.
    fn check(&self) -> Result<Abilities, PackageError> {
        let contract =
            Contract::get().map_err(|reason| PackageError::Contract { reason: reason.to_owned() })?;
        let exports: Vec<&str> = self.exports.iter().map(|item| item.name.as_str()).collect();
        let imports: Vec<Import<'_>> = self
            .imports
            .iter()
            .map(|item| Import { name: &item.name, lends_types_only: self.functions(item).is_empty() })
            .collect();
        let abilities = fit(&exports, &imports)?;
        let mismatches = self.all_mismatches(contract);
        if mismatches.is_empty() { Ok(abilities) } else { Err(Misfit::Signature { mismatches }.into()) }
    }

    fn functions(&self, item: &Item) -> Vec<&Function> {
        item.interface.into_iter().flat_map(|id| signature::functions(&self.resolve, id)).collect()
    }

    fn other_exports(&self) -> BTreeSet<String> {
        let is_other = |item: &&Item| item.full_name().and_then(|name| name.ability()).is_none();
        self.exports.iter().filter(is_other).map(|item| item.name.clone()).collect()
    }

    /// What it imports of the host to call it, with the functions.
    fn capabilities(&self) -> BTreeMap<Capability, BTreeSet<String>> {
        let asked = |item: &Item| {
            let used: BTreeSet<String> =
                self.functions(item).into_iter().map(|used| used.name.clone()).collect();
            item.full_name()?.capability().filter(|_| !used.is_empty()).map(|capability| (capability, used))
        };
        self.imports.iter().filter_map(asked).collect()
    }

    fn all_mismatches(&self, contract: &Contract) -> Vec<String> {
        let mut mismatches = Vec::new();
        for item in &self.imports {
            if let Some(name) = item.full_name() {
                mismatches.extend(self.mismatches(contract, &name, &self.functions(item)));
            }
        }
        for item in &self.exports {
            if let Some(name) = item.full_name().filter(|name| name.ability().is_some()) {
                let found = self.functions(item);
                mismatches.extend(self.mismatches(contract, &name, &found));
                mismatches.extend(missing_functions(contract, &name, &found));
            }
        }
        mismatches
    }

    /// Functions whose types are not those of the contract.
    fn mismatches(&self, contract: &Contract, name: &InterfaceName<'_>, found: &[&Function]) -> Vec<String> {
        let Some(interface) = contract.interface(name.package, name.interface) else { return Vec::new() };
        let differing = |found: &&Function| {
            let wanted = contract.functions(interface).find(|wanted| wanted.name == found.name);
            let reason = match wanted {
                Some(wanted) => signature::difference(contract, wanted, &self.resolve, found)?,
                None => "the contract has no such function".to_owned(),
            };
            Some(format!("  {name}: {}: {reason}", found.name))
        };
        found.iter().filter_map(differing).collect()
    }
}

fn missing_functions(contract: &Contract, name: &InterfaceName<'_>, found: &[&Function]) -> Vec<String> {
    let wanted = contract.interface(name.package, name.interface);
    wanted
        .into_iter()
        .flat_map(|interface| contract.functions(interface))
        .filter(|wanted| !found.iter().any(|found| found.name == wanted.name))
        .map(|wanted| format!("  {name}: {}: the component has no such function", wanted.name))
        .collect()
}
