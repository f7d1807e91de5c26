//! The contract this host speaks, parsed once from the text the binary carries.

use crate::embedded::WIT;
use std::sync::LazyLock;
use wit_parser::{Function, InterfaceId, Resolve, SourceMap};

/// The contract, or why the carried text is none: a fault of the build, which a test rules out.
static CONTRACT: LazyLock<Result<Contract, String>> = LazyLock::new(Contract::parse);

/// The contract's packages.
pub(crate) struct Contract {
    pub(crate) resolve: Resolve,
}

impl Contract {
    /// The contract this host speaks.
    pub(crate) fn get() -> Result<&'static Self, &'static str> {
        CONTRACT.as_ref().map_err(String::as_str)
    }

    fn parse() -> Result<Self, String> {
        let mut resolve = Resolve::default();
        for files in packages() {
            let mut sources = SourceMap::default();
            for (path, text) in files {
                sources.push_str(path, text);
            }
            let group = sources.parse().map_err(|(_, error)| error.to_string())?;
            resolve.push_group(group).map_err(|error| error.to_string())?;
        }
        Ok(Self { resolve })
    }

    /// The interface `name` of `package` (without version).
    pub(crate) fn interface(&self, package: &str, name: &str) -> Option<InterfaceId> {
        self.resolve.packages.iter().find_map(|(_, candidate)| {
            let full = format!("{}:{}", candidate.name.namespace, candidate.name.name);
            (full == package).then(|| candidate.interfaces.get(name).copied()).flatten()
        })
    }

    /// The functions of an interface.
    pub(crate) fn functions(&self, interface: InterfaceId) -> impl Iterator<Item = &Function> {
        self.resolve.interfaces.get(interface).into_iter().flat_map(|interface| interface.functions.values())
    }
}

/// The files of each of the contract's packages, path and text; a package comes after those it uses.
pub(crate) fn packages() -> [Vec<(&'static str, &'static str)>; 2] {
    let files = WIT.iter().copied().filter(|(path, _)| path.ends_with(".wit"));
    let (host, driver) = files.partition(|(path, _)| path.starts_with("deps/"));
    [host, driver]
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::ability::{Ability, Capability, DRIVER_PACKAGE, HOST_PACKAGE};

    #[test]
    fn the_carried_contract_has_every_interface_this_host_speaks() {
        let contract = Contract::get().expect("the contract parses");
        for ability in Ability::DRIVEN {
            assert!(contract.interface(DRIVER_PACKAGE, ability.interface()).is_some(), "{ability}");
        }
        for capability in Capability::ALL {
            assert!(contract.interface(HOST_PACKAGE, capability.interface()).is_some(), "{capability}");
        }
    }
}
