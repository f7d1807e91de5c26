//! The parsed contract, as the tests look at it.

use std::path::{Path, PathBuf};
use wit_parser::{
    Docs, Function, Interface, InterfaceId, PackageId, Resolve, Stability, Type, TypeDef, TypeDefKind,
    TypeOwner, World, WorldItem,
};

/// The two packages of `wit/`.
pub(crate) struct Contract {
    pub(crate) resolve: Resolve,
    pub(crate) driver: PackageId,
    pub(crate) host: PackageId,
}

/// Something with a name, documentation and a version.
pub(crate) struct Item<'a> {
    pub(crate) name: String,
    pub(crate) docs: &'a Docs,
    pub(crate) stability: Option<&'a Stability>,
}

/// The folder of the contract.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

impl Contract {
    pub(crate) fn read() -> Self {
        let mut resolve = Resolve::new();
        let (driver, _) = resolve.push_dir(folder()).expect("wit/ parses");
        let (host, _) = resolve
            .packages
            .iter()
            .find(|(_, package)| package.name.name == "host")
            .expect("wit/deps holds the host package");
        Self { resolve, driver, host }
    }

    /// `driver` or `host`.
    pub(crate) fn package_name(&self, package: PackageId) -> &str {
        &self.resolve.packages[package].name.name
    }

    /// All interfaces of a package, in order of names.
    pub(crate) fn interfaces(&self, package: PackageId) -> Vec<(&str, &Interface)> {
        let mut found: Vec<_> = self.resolve.packages[package]
            .interfaces
            .iter()
            .map(|(name, id)| (name.as_str(), &self.resolve.interfaces[*id]))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }

    /// The interfaces of a package that have functions: `types` has none.
    pub(crate) fn services(&self, package: PackageId) -> Vec<(&str, &Interface)> {
        self.interfaces(package).into_iter().filter(|(name, _)| *name != "types").collect()
    }

    /// All functions of a package with the name of their interface.
    pub(crate) fn functions(&self, package: PackageId) -> Vec<(&str, &Function)> {
        self.interfaces(package)
            .into_iter()
            .flat_map(|(name, interface)| interface.functions.values().map(move |function| (name, function)))
            .collect()
    }

    /// All types that an interface defines; what it borrows with `use` is left out.
    pub(crate) fn own_types<'a>(&'a self, interface: &'a Interface) -> Vec<&'a TypeDef> {
        let types = interface.types.values().map(|id| &self.resolve.types[*id]);
        types.filter(|definition| self.lender(definition).is_none()).collect()
    }

    /// The interface a type was borrowed from with `use`, if it was.
    pub(crate) fn lender(&self, definition: &TypeDef) -> Option<InterfaceId> {
        let TypeDefKind::Type(Type::Id(target)) = definition.kind else { return None };
        match self.resolve.types[target].owner {
            owner if owner == definition.owner => None,
            TypeOwner::Interface(lender) => Some(lender),
            TypeOwner::World(_) | TypeOwner::None => None,
        }
    }

    /// All worlds of both packages.
    pub(crate) fn worlds(&self) -> Vec<(String, &World)> {
        let packages = [self.driver, self.host].into_iter();
        packages
            .flat_map(|package| {
                let prefix = self.package_name(package).to_owned();
                let worlds = self.resolve.packages[package].worlds.iter();
                worlds.map(move |(name, id)| (format!("{prefix}/{name}"), &self.resolve.worlds[*id]))
            })
            .collect()
    }

    /// The names of the interfaces a world exports or imports, `types` left out.
    pub(crate) fn interface_names<'a>(&'a self, items: impl Iterator<Item = &'a WorldItem>) -> Vec<&'a str> {
        items
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => self.resolve.interfaces[*id].name.as_deref(),
                WorldItem::Function(_) | WorldItem::Type { .. } => None,
            })
            .filter(|name| *name != "types")
            .collect()
    }

    /// Every item of the contract that needs documentation; those that can carry a version have one.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let mut items = Vec::new();
        for package in [self.driver, self.host] {
            for (name, interface) in self.interfaces(package) {
                let path = format!("{}/{name}", self.package_name(package));
                items.push(Item {
                    name: path.clone(),
                    docs: &interface.docs,
                    stability: Some(&interface.stability),
                });
                for definition in self.own_types(interface) {
                    type_items(&path, definition, &mut items);
                }
                for (name, function) in &interface.functions {
                    let name = format!("{path}.{name}");
                    items.push(Item { name, docs: &function.docs, stability: Some(&function.stability) });
                }
            }
        }
        for (name, world) in self.worlds() {
            items.push(Item {
                name: format!("world {name}"),
                docs: &world.docs,
                stability: Some(&world.stability),
            });
        }
        items
    }
}

fn type_items<'a>(path: &str, definition: &'a TypeDef, items: &mut Vec<Item<'a>>) {
    let path = format!("{path}.{}", definition.name.as_deref().unwrap_or("?"));
    let mut part = |name: &str, docs: &'a Docs| {
        items.push(Item { name: format!("{path}.{name}"), docs, stability: None });
    };
    match &definition.kind {
        TypeDefKind::Record(record) => record.fields.iter().for_each(|field| part(&field.name, &field.docs)),
        TypeDefKind::Variant(variant) => variant.cases.iter().for_each(|case| part(&case.name, &case.docs)),
        TypeDefKind::Enum(cases) => cases.cases.iter().for_each(|case| part(&case.name, &case.docs)),
        TypeDefKind::Flags(flags) => flags.flags.iter().for_each(|flag| part(&flag.name, &flag.docs)),
        _ => {}
    }
    items.push(Item { name: path, docs: &definition.docs, stability: Some(&definition.stability) });
}

/// The text of an item's documentation, lines joined.
pub(crate) fn words(docs: &Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
