//! Reading a package: the one door through which drivers come in.

use crate::contract::Contract;
use crate::error::PackageError;
use crate::interface::InterfaceName;
use crate::kind::Kind;
use crate::manifest;
use crate::signature;
use crate::structure;
use bulkhead_model::ability::{
    Abilities, Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE, HOST_PACKAGE,
};
use bulkhead_model::id::Digest;
use bulkhead_model::manifest::Manifest;
use bulkhead_model::suggestion::nearest;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{InterfaceId, Resolve, WorldItem};

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
        let kind = Kind::of(&bytes);
        if kind != Kind::Component {
            return Err(PackageError::NotAComponent { kind });
        }
        let structure = structure::read(&bytes)?;
        let interfaces = Interfaces::decode(&bytes)?;
        let (abilities, other_exports, imports) = interfaces.check()?;
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

type Found = (Abilities, BTreeSet<String>, BTreeMap<Capability, BTreeSet<String>>);

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
    fn full_name(&self) -> Option<InterfaceName> {
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
            DecodedWasm::WitPackage(..) => return Err(PackageError::NotAComponent { kind: Kind::Wit }),
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

    fn check(&self) -> Result<Found, PackageError> {
        let contract =
            Contract::get().map_err(|reason| PackageError::Contract { reason: reason.to_owned() })?;
        self.check_versions()?;
        let imports = self.check_imports(contract)?;
        let (abilities, other_exports) = self.check_exports(contract)?;
        Ok((abilities, other_exports, imports))
    }

    fn check_versions(&self) -> Result<(), PackageError> {
        let items = self.exports.iter().chain(&self.imports).filter_map(Item::full_name);
        let ours = |name: &InterfaceName| name.package == DRIVER_PACKAGE || name.package == HOST_PACKAGE;
        match items.filter(ours).find(|name| !name.is_spoken()) {
            None => Ok(()),
            Some(name) => Err(PackageError::ContractVersion {
                interface: name.to_string(),
                found: name.version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
                advice: "run a host that speaks it, or build the driver with the SDK that this host's 'bulkhead driver new' unpacks",
            }),
        }
    }

    fn check_imports(
        &self,
        contract: &Contract,
    ) -> Result<BTreeMap<Capability, BTreeSet<String>>, PackageError> {
        let mut imports = BTreeMap::new();
        let (mut wasi, mut unknown, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
        for item in &self.imports {
            let used: Vec<_> =
                item.interface.into_iter().flat_map(|id| signature::functions(&self.resolve, id)).collect();
            let name = item.full_name();
            match &name {
                Some(name) if name.package.starts_with("wasi:") => wasi.push(item.name.clone()),
                // An interface that only lends types asks for nothing.
                Some(name)
                    if used.is_empty() && [HOST_PACKAGE, DRIVER_PACKAGE].contains(&name.package.as_str()) => {
                }
                Some(name) if name.package == HOST_PACKAGE => {
                    let served = Capability::from_interface(&name.interface)
                        .filter(|capability| Capability::SERVED.contains(capability));
                    match served {
                        Some(capability) => {
                            mismatches.extend(self.mismatches(contract, name, &used));
                            imports.insert(capability, used.iter().map(|used| used.name.clone()).collect());
                        }
                        None => unknown.push(item.name.clone()),
                    }
                }
                _ if item.name.starts_with("wasi_") => wasi.push(item.name.clone()),
                _ => unknown.push(item.name.clone()),
            }
        }
        if !wasi.is_empty() {
            return Err(PackageError::Wasi { imports: wasi });
        }
        if !unknown.is_empty() {
            let known: Vec<_> = Capability::SERVED.iter().map(ToString::to_string).collect();
            let later = served_later(&unknown);
            return Err(PackageError::UnknownImports { imports: unknown, known: known.join(", "), later });
        }
        if mismatches.is_empty() { Ok(imports) } else { Err(PackageError::Signature { mismatches }) }
    }

    fn check_exports(&self, contract: &Contract) -> Result<(Abilities, BTreeSet<String>), PackageError> {
        let mut abilities = BTreeSet::new();
        let mut others = BTreeSet::new();
        let mut mismatches = Vec::new();
        for item in &self.exports {
            let name = item.full_name().filter(|name| name.package == DRIVER_PACKAGE);
            let ability = name.as_ref().and_then(|name| Ability::from_interface(&name.interface));
            match (name, ability, item.interface) {
                (Some(name), Some(ability), Some(interface)) => {
                    let found: Vec<_> = signature::functions(&self.resolve, interface).collect();
                    mismatches.extend(self.mismatches(contract, &name, &found));
                    mismatches.extend(missing_functions(contract, &name, &found));
                    abilities.insert(ability);
                }
                _ => {
                    others.insert(item.name.clone());
                }
            }
        }
        let missing = missing_exports(&abilities);
        if !missing.is_empty() {
            return Err(PackageError::MissingExports { near: self.near(&missing, &others), missing });
        }
        if mismatches.is_empty() {
            Ok((Abilities(abilities), others))
        } else {
            Err(PackageError::Signature { mismatches })
        }
    }

    /// Functions whose types are not those of the contract.
    fn mismatches(
        &self,
        contract: &Contract,
        name: &InterfaceName,
        found: &[&wit_parser::Function],
    ) -> Vec<String> {
        let Some(interface) = contract.interface(&name.package, &name.interface) else { return Vec::new() };
        let differing = |found: &&wit_parser::Function| {
            let wanted = contract.functions(interface).find(|wanted| wanted.name == found.name);
            let reason = match wanted {
                Some(wanted) => signature::difference(contract, wanted, &self.resolve, found)?,
                None => "the contract has no such function".to_owned(),
            };
            Some(format!("  {name}: {}: {reason}", found.name))
        };
        found.iter().filter_map(differing).collect()
    }

    /// What the component exports that looks like what is missing.
    fn near(&self, missing: &[String], others: &BTreeSet<String>) -> String {
        if self.exports.is_empty() {
            return "\nit exports nothing at all\n\
                    hint: a Rust driver exports with the SDK's macro, see 'bulkhead driver new'"
                .to_owned();
        }
        let close = missing.iter().find_map(|wanted| nearest(wanted, others.iter().map(String::as_str)));
        let listed: Vec<&str> = self.exports.iter().map(|item| item.name.as_str()).take(8).collect();
        let close = close.map(|near| format!("\nhint: did you mean to export it where '{near}' is?"));
        format!("\nit exports {}{}", listed.join(", "), close.unwrap_or_default())
    }
}

fn served_later(unknown: &[String]) -> String {
    let names = unknown.iter().filter_map(|name| InterfaceName::parse(name));
    let later: Vec<String> = names
        .filter(|name| name.package == HOST_PACKAGE && Capability::from_interface(&name.interface).is_some())
        .map(|name| name.interface)
        .collect();
    match later.as_slice() {
        [] => String::new(),
        [one] => format!("\nhint: {one} is of the contract, but a later release serves it"),
        several => {
            format!("\nhint: {} are of the contract, but a later release serves them", several.join(", "))
        }
    }
}

fn full(interface: Ability) -> String {
    format!("{DRIVER_PACKAGE}/{interface}@{CONTRACT_VERSION}")
}

fn missing_exports(abilities: &BTreeSet<Ability>) -> Vec<String> {
    let required = [Ability::Lifecycle, Ability::Shares];
    let mut missing: Vec<String> =
        required.into_iter().filter(|ability| !abilities.contains(ability)).map(full).collect();
    if !abilities.contains(&Ability::Access) && !abilities.contains(&Ability::AccessByRule) {
        missing.push(format!("{} (or access-by-rule)", full(Ability::Access)));
    }
    missing
}

fn missing_functions(
    contract: &Contract,
    name: &InterfaceName,
    found: &[&wit_parser::Function],
) -> Vec<String> {
    let wanted = contract.interface(&name.package, &name.interface);
    wanted
        .into_iter()
        .flat_map(|interface| contract.functions(interface))
        .filter(|wanted| !found.iter().any(|found| found.name == wanted.name))
        .map(|wanted| format!("  {name}: {}: the component has no such function", wanted.name))
        .collect()
}
