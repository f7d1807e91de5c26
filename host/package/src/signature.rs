//! Whether a component's functions have the types of the contract. Types are compared by structure, as the engine does.

use crate::contract::Contract;
use wit_parser::{Function, FunctionKind, InterfaceId, Resolve, Type, TypeDefKind};

/// How a function differs from the contract; none if it does not.
pub(crate) fn difference(
    contract: &Contract,
    wanted: &Function,
    resolve: &Resolve,
    found: &Function,
) -> Option<String> {
    if found.kind != FunctionKind::Freestanding {
        return Some("is async or belongs to a resource, the contract's is neither".to_owned());
    }
    let compare = Compare { wanted: &contract.resolve, found: resolve };
    if wanted.params.len() != found.params.len() {
        return Some(format!("takes {} arguments instead of {}", found.params.len(), wanted.params.len()));
    }
    for (place, (wanted, found)) in wanted.params.iter().zip(&found.params).enumerate() {
        if !compare.same(&wanted.ty, &found.ty) {
            return Some(format!("argument {} '{}' has another type", place + 1, found.name));
        }
    }
    match (&wanted.result, &found.result) {
        (None, None) => None,
        (Some(wanted), Some(found)) if compare.same(wanted, found) => None,
        _ => Some("the result has another type".to_owned()),
    }
}

/// The functions of an interface of a component.
pub(crate) fn functions(resolve: &Resolve, interface: InterfaceId) -> impl Iterator<Item = &Function> {
    resolve.interfaces.get(interface).into_iter().flat_map(|interface| interface.functions.values())
}

struct Compare<'a> {
    wanted: &'a Resolve,
    found: &'a Resolve,
}

impl Compare<'_> {
    fn same(&self, wanted: &Type, found: &Type) -> bool {
        match (resolved(self.wanted, wanted), resolved(self.found, found)) {
            (Type::Id(wanted), Type::Id(found)) => {
                match (self.wanted.types.get(wanted), self.found.types.get(found)) {
                    (Some(wanted), Some(found)) => self.same_kind(&wanted.kind, &found.kind),
                    _ => false,
                }
            }
            (wanted, found) => wanted == found,
        }
    }

    fn same_kind(&self, wanted: &TypeDefKind, found: &TypeDefKind) -> bool {
        match (wanted, found) {
            (TypeDefKind::Record(wanted), TypeDefKind::Record(found)) => {
                wanted.fields.len() == found.fields.len()
                    && wanted
                        .fields
                        .iter()
                        .zip(&found.fields)
                        .all(|(wanted, found)| wanted.name == found.name && self.same(&wanted.ty, &found.ty))
            }
            (TypeDefKind::Variant(wanted), TypeDefKind::Variant(found)) => {
                wanted.cases.len() == found.cases.len()
                    && wanted.cases.iter().zip(&found.cases).all(|(wanted, found)| {
                        wanted.name == found.name && self.same_option(wanted.ty.as_ref(), found.ty.as_ref())
                    })
            }
            (TypeDefKind::Enum(wanted), TypeDefKind::Enum(found)) => {
                let names = |one: &wit_parser::Enum| -> Vec<String> {
                    one.cases.iter().map(|case| case.name.clone()).collect()
                };
                names(wanted) == names(found)
            }
            (TypeDefKind::Flags(wanted), TypeDefKind::Flags(found)) => {
                let names = |one: &wit_parser::Flags| -> Vec<String> {
                    one.flags.iter().map(|flag| flag.name.clone()).collect()
                };
                names(wanted) == names(found)
            }
            (TypeDefKind::Tuple(wanted), TypeDefKind::Tuple(found)) => {
                wanted.types.len() == found.types.len()
                    && wanted.types.iter().zip(&found.types).all(|(wanted, found)| self.same(wanted, found))
            }
            (TypeDefKind::Option(wanted), TypeDefKind::Option(found))
            | (TypeDefKind::List(wanted), TypeDefKind::List(found)) => self.same(wanted, found),
            (TypeDefKind::Result(wanted), TypeDefKind::Result(found)) => {
                self.same_option(wanted.ok.as_ref(), found.ok.as_ref())
                    && self.same_option(wanted.err.as_ref(), found.err.as_ref())
            }
            // The contract has no resources, futures, streams, maps or fixed lists.
            _ => false,
        }
    }

    fn same_option(&self, wanted: Option<&Type>, found: Option<&Type>) -> bool {
        match (wanted, found) {
            (None, None) => true,
            (Some(wanted), Some(found)) => self.same(wanted, found),
            _ => false,
        }
    }
}

/// The type behind its aliases.
fn resolved(resolve: &Resolve, given: &Type) -> Type {
    let mut current = *given;
    while let Type::Id(id) = current {
        match resolve.types.get(id).map(|definition| &definition.kind) {
            Some(TypeDefKind::Type(alias)) => current = *alias,
            _ => break,
        }
    }
    current
}
