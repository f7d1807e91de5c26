//! Whether a compiled component speaks the contract: the versions, imports and exports that the engine sees in it.

use super::interface::InterfaceName;
use super::{LoadError, reason};
use crate::export::{Declared, EXPORTS};
use bulkhead_model::ability::{
    Abilities, Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE, HOST_PACKAGE,
};
use std::collections::BTreeMap;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// What every driver exports beside one of the two access interfaces.
const REQUIRED: [Ability; 2] = [Ability::Lifecycle, Ability::Shares];

/// The names at the edge of a component.
pub(super) struct Edge {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Edge {
    /// Read the names. An import that only lends types asks for nothing and is left out.
    pub(super) fn of(engine: &wasmtime::Engine, component: &types::Component) -> Self {
        let asks = |item: &ComponentItem| match item {
            ComponentItem::ComponentInstance(instance) => {
                instance.exports(engine).any(|(_, part)| !matches!(part.ty, ComponentItem::Type(_)))
            }
            _ => true,
        };
        let imports = component.imports(engine).filter(|(_, import)| asks(&import.ty));
        Self {
            imports: imports.map(|(name, _)| name.to_owned()).collect(),
            exports: component.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Versions, imports, exports, in this order: of several faults the one that explains the others is told.
    pub(super) fn check(&self) -> Result<Abilities, LoadError> {
        self.check_versions()?;
        self.check_imports()?;
        self.check_exports()
    }

    fn check_versions(&self) -> Result<(), LoadError> {
        let names = self.imports.iter().chain(&self.exports).filter_map(|name| InterfaceName::parse(name));
        for name in names.filter(InterfaceName::is_of_contract) {
            if !name.is_spoken() {
                return Err(LoadError::ContractVersion {
                    interface: name.full.to_owned(),
                    found: name.version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
                    advice: if name.is_newer() {
                        "upgrade this host, or build the driver against this release"
                    } else {
                        "build the driver against the WIT of this release, which 'bulkhead driver new' unpacks"
                    },
                });
            }
        }
        Ok(())
    }

    fn check_imports(&self) -> Result<(), LoadError> {
        let capability = |name: &str| {
            InterfaceName::parse(name)
                .filter(|name| name.package == HOST_PACKAGE)
                .and_then(|name| Capability::from_interface(name.interface))
        };
        let is_served = |name: &str| capability(name).is_some_and(|one| Capability::SERVED.contains(&one));
        let unknown: Vec<String> = self.imports.iter().filter(|name| !is_served(name)).cloned().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let wasi: Vec<String> = unknown.iter().filter(|name| name.starts_with("wasi:")).cloned().collect();
        if !wasi.is_empty() {
            return Err(LoadError::Wasi { imports: wasi });
        }
        let later: Vec<&str> =
            unknown.iter().filter_map(|name| capability(name)).map(Capability::interface).collect();
        let later = if later.is_empty() {
            String::new()
        } else {
            format!(
                "\nhint: {} is of the contract, and a later release of this host serves it",
                later.join(", ")
            )
        };
        let known: Vec<&str> = Capability::SERVED.iter().map(|one| one.interface()).collect();
        Err(LoadError::UnknownImports { imports: unknown, known: known.join(", "), later })
    }

    fn check_exports(&self) -> Result<Abilities, LoadError> {
        let own = self.exports.iter().filter_map(|name| InterfaceName::parse(name));
        let own = own.filter(|name| name.package == DRIVER_PACKAGE);
        let abilities = Abilities(own.filter_map(|name| Ability::from_interface(name.interface)).collect());
        let mut missing: Vec<String> =
            REQUIRED.iter().filter(|one| !abilities.has(**one)).map(|one| full(*one)).collect();
        if !abilities.has(Ability::Access) && !abilities.has(Ability::AccessByRule) {
            missing.push(format!("{} (or {})", full(Ability::Access), full(Ability::AccessByRule)));
        }
        if missing.is_empty() {
            Ok(abilities)
        } else {
            Err(LoadError::MissingExports { missing, near: self.near() })
        }
    }

    /// What the component exports instead, so that a wrong world shows at a glance.
    fn near(&self) -> String {
        const SHOWN: usize = 8;
        if self.exports.is_empty() {
            return "\nit exports nothing\nhint: implement the world bulkhead:driver/driver; 'bulkhead driver new' writes one that does"
                .to_owned();
        }
        let shown: Vec<&str> = self.exports.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.exports.len().saturating_sub(SHOWN);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!(
            "\nit exports {}{rest}\nhint: export the whole interface; with the SDK, name it in export_driver!",
            shown.join(", ")
        )
    }
}

/// Find the functions of every interface that this host drives, and check their types. All differences are told at once.
pub(super) fn functions(
    component: &Component,
    abilities: &Abilities,
) -> Result<BTreeMap<&'static str, ComponentExportIndex>, LoadError> {
    let component_type = component.component_type();
    let mut found = BTreeMap::new();
    let mut mismatches = Vec::new();
    for declared in EXPORTS.iter().filter(|declared| abilities.has(declared.ability)) {
        match function(component, &component_type, declared) {
            Ok(index) => {
                found.insert(declared.label, index);
            }
            Err(difference) => {
                mismatches.push(format!("  {} {}: {difference}", full(declared.ability), declared.function))
            }
        }
    }
    if mismatches.is_empty() { Ok(found) } else { Err(LoadError::Signature { mismatches }) }
}

fn function(
    component: &Component,
    component_type: &types::Component,
    declared: &Declared,
) -> Result<ComponentExportIndex, String> {
    let interface = component.get_export_index(None, full(declared.ability));
    let found = interface.and_then(|interface| component.get_export(Some(&interface), declared.function));
    match found {
        Some((ComponentItem::ComponentFunc(function), index)) => {
            (declared.check)(component_type, &function).map_err(|error| reason(&error))?;
            Ok(index)
        }
        Some(_) => Err("is not a function".to_owned()),
        None => Err("is missing".to_owned()),
    }
}

/// The full name of an ability's interface.
fn full(ability: Ability) -> String {
    format!("{DRIVER_PACKAGE}/{ability}@{CONTRACT_VERSION}")
}
