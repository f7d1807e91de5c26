//! Whether a compiled component speaks the contract: the names at its edge and the types of its functions, as the engine sees them.

use super::reason;
use crate::export::{Declared, EXPORTS};
use bulkhead_model::ability::Abilities;
use bulkhead_model::contract::{Import, Misfit, fit, full_name};
use std::collections::BTreeMap;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

/// What a component can do, by its versions, imports and exports.
pub(super) fn abilities(
    engine: &wasmtime::Engine,
    component: &types::Component,
) -> Result<Abilities, Misfit> {
    let lends_types_only = |item: &ComponentItem| match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, part)| matches!(part.ty, ComponentItem::Type(_)))
        }
        _ => false,
    };
    let imports: Vec<Import<'_>> = component
        .imports(engine)
        .map(|(name, import)| Import { name, lends_types_only: lends_types_only(&import.ty) })
        .collect();
    let exports: Vec<&str> = component.exports(engine).map(|(name, _)| name).collect();
    fit(&exports, &imports)
}

/// Find the functions of every interface that this host drives, and check their types. All differences are told at once.
pub(super) fn functions(
    component: &Component,
    abilities: &Abilities,
) -> Result<BTreeMap<&'static str, ComponentExportIndex>, Misfit> {
    let component_type = component.component_type();
    let mut found = BTreeMap::new();
    let mut mismatches = Vec::new();
    for declared in EXPORTS.iter().filter(|declared| abilities.has(declared.ability)) {
        match function(component, &component_type, declared) {
            Ok(index) => {
                found.insert(declared.label, index);
            }
            Err(difference) => mismatches.push(format!(
                "  {} {}: {difference}",
                full_name(declared.ability),
                declared.function
            )),
        }
    }
    if mismatches.is_empty() { Ok(found) } else { Err(Misfit::Signature { mismatches }) }
}

fn function(
    component: &Component,
    component_type: &types::Component,
    declared: &Declared,
) -> Result<ComponentExportIndex, String> {
    let interface = component.get_export_index(None, full_name(declared.ability));
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
