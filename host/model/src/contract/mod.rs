//! Whether a component fits the contract, by its first bytes and by the names at its edge.
//!
//! `package` asks with what it decodes of the bytes, `sandbox` with what the engine sees in the compiled component: one answer for
//! both, a [`Misfit`] with what to do. The types of functions are compared by each with its own view of them.

mod interface;
mod kind;
mod misfit;

pub use interface::InterfaceName;
pub use kind::Kind;
pub use misfit::Misfit;

use crate::ability::{Abilities, Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE};
use crate::suggestion::nearest;

/// What every driver exports beside one of the two access interfaces.
const REQUIRED: [Ability; 2] = [Ability::Lifecycle, Ability::Shares];

/// The most exports that a message lists.
const MOST_LISTED: usize = 8;

/// One import of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import<'name> {
    /// Its full name.
    pub name: &'name str,
    /// Whether it is an interface of which the component uses types only. Of the contract, such an import asks for nothing.
    pub lends_types_only: bool,
}

impl Import<'_> {
    fn is_offered(&self) -> bool {
        InterfaceName::parse(self.name).is_some_and(|name| match self.lends_types_only {
            true => name.is_of_contract(),
            false => name.capability().is_some(),
        })
    }

    fn is_wasi(&self) -> bool {
        ["wasi:", "wasi_"].iter().any(|start| self.name.starts_with(start))
    }
}

/// Refuse bytes that do not begin as a component.
///
/// # Errors
/// [`Misfit::NotAComponent`] with what they are.
pub fn check_beginning(bytes: &[u8]) -> Result<(), Misfit> {
    match Kind::of(bytes) {
        Kind::Component => Ok(()),
        kind => Err(Misfit::NotAComponent { kind }),
    }
}

/// What a driver with these exports and imports can do.
///
/// # Errors
/// A version, an import or a missing export, looked at in this order: of several faults the one that explains the others is told.
pub fn fit(exports: &[&str], imports: &[Import<'_>]) -> Result<Abilities, Misfit> {
    check_versions(exports.iter().copied().chain(imports.iter().map(|import| import.name)))?;
    check_imports(imports)?;
    let own = exports.iter().filter_map(|name| InterfaceName::parse(name)?.ability());
    let abilities = Abilities(own.collect());
    let missing = missing_exports(&abilities);
    if missing.is_empty() {
        Ok(abilities)
    } else {
        Err(Misfit::MissingExports { near: near(&missing, exports), missing })
    }
}

/// The full name of an ability's interface in this host's version.
#[must_use]
pub fn full_name(ability: Ability) -> String {
    format!("{DRIVER_PACKAGE}/{ability}@{CONTRACT_VERSION}")
}

fn check_versions<'name>(names: impl Iterator<Item = &'name str>) -> Result<(), Misfit> {
    let mut names = names.filter_map(InterfaceName::parse).filter(InterfaceName::is_of_contract);
    let Some(name) = names.find(|name| !name.is_spoken()) else { return Ok(()) };
    Err(Misfit::ContractVersion {
        interface: name.to_string(),
        found: name.version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
        advice: if name.is_newer() {
            "upgrade this host, or build the driver against this release"
        } else {
            "build the driver against the WIT of this release, which 'bulkhead driver new' unpacks"
        },
    })
}

fn check_imports(imports: &[Import<'_>]) -> Result<(), Misfit> {
    let names = |one: &Import<'_>| one.name.to_owned();
    let wasi: Vec<String> = imports.iter().filter(|one| one.is_wasi()).map(names).collect();
    if !wasi.is_empty() {
        return Err(Misfit::Wasi { imports: wasi });
    }
    let unknown: Vec<String> = imports.iter().filter(|one| !one.is_offered()).map(names).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = Capability::ALL.iter().map(|one| one.interface()).collect();
    Err(Misfit::UnknownImports { imports: unknown, known: known.join(", ") })
}

fn missing_exports(abilities: &Abilities) -> Vec<String> {
    let required = REQUIRED.into_iter().filter(|ability| !abilities.has(*ability));
    let mut missing: Vec<String> = required.map(full_name).collect();
    if !abilities.has(Ability::Access) && !abilities.has(Ability::AccessByRule) {
        missing.push(format!("{} (or {})", full_name(Ability::Access), Ability::AccessByRule));
    }
    missing
}

/// What the component exports instead, so that a wrong world shows at a glance, and what to do.
fn near(missing: &[String], exports: &[&str]) -> String {
    if exports.is_empty() {
        return "\nit exports nothing at all\n\
                hint: a Rust driver exports with the SDK's macro, see 'bulkhead driver new'"
            .to_owned();
    }
    let others = || {
        exports
            .iter()
            .copied()
            .filter(|name| InterfaceName::parse(name).is_none_or(|name| name.ability().is_none()))
    };
    let hint = match missing.iter().find_map(|wanted| nearest(wanted, others())) {
        Some(close) => format!("did you mean to export it where '{close}' is?"),
        None => "export the whole interface; with the SDK, name it in export_driver!".to_owned(),
    };
    let listed: Vec<&str> = exports.iter().copied().take(MOST_LISTED).collect();
    let more = match exports.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\nit exports {}{more}\nhint: {hint}", listed.join(", "))
}

#[cfg(test)]
mod tests;
