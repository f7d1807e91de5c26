//! The shapes of the contract, held against the rules of the design and against the model crate.

use crate::package::Contract;
use bulkhead_model::ability::{Ability, CONTRACT_VERSION, Capability, DRIVER_PACKAGE, HOST_PACKAGE};
use bulkhead_model::error::DriverErrorCode;
use std::collections::BTreeSet;
use wit_parser::{FunctionKind, Type, TypeDefKind};

/// Exports without which nothing is a driver.
const REQUIRED: [&str; 2] = ["lifecycle", "shares"];

/// Whether a name is that of a secret. A plain `key` is the key of a map.
fn is_secret(name: &str) -> bool {
    let words: Vec<_> = name.split('-').collect();
    let tells = ["password", "passphrase", "secret", "token", "credential", "credentials"];
    words.iter().any(|word| tells.contains(word)) || words.len() > 1 && words.last() == Some(&"key")
}

/// Whether text, or a list or option of text, crosses with this type.
fn is_text(contract: &Contract, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return *ty == Type::String };
    match &contract.resolve.types[*id].kind {
        TypeDefKind::Option(inner) | TypeDefKind::List(inner) | TypeDefKind::Type(inner) => {
            *inner == Type::U8 || is_text(contract, inner)
        }
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|inner| is_text(contract, inner)),
        _ => false,
    }
}

/// Everything with a name and a type: parameters, fields, payloads.
fn named_types(contract: &Contract) -> Vec<(String, String, Type)> {
    let mut found = Vec::new();
    for package in [contract.driver, contract.host] {
        for (interface, function) in contract.functions(package) {
            let parameters = function.params.iter();
            found.extend(
                parameters.map(|one| (format!("{interface}.{}", function.name), one.name.clone(), one.ty)),
            );
        }
        for (name, interface) in contract.interfaces(package) {
            for definition in contract.own_types(interface) {
                let path = format!("{name}.{}", definition.name.as_deref().unwrap_or("?"));
                match &definition.kind {
                    TypeDefKind::Record(record) => {
                        found.extend(
                            record.fields.iter().map(|field| (path.clone(), field.name.clone(), field.ty)),
                        );
                    }
                    TypeDefKind::Variant(variant) => {
                        let payloads = variant
                            .cases
                            .iter()
                            .filter_map(|case| Some((path.clone(), case.name.clone(), case.ty?)));
                        found.extend(payloads);
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

#[test]
fn secrets_never_cross_as_text() {
    let contract = Contract::read();
    let leaks: Vec<_> = named_types(&contract)
        .into_iter()
        .filter(|(_, name, ty)| is_secret(name) && is_text(&contract, ty))
        .map(|(path, name, _)| format!("{path}: {name}"))
        .collect();
    assert_eq!(leaks, Vec::<String>::new(), "should be a secret-ref");
}

#[test]
fn the_words_for_secrets_are_told_from_the_keys_of_maps() {
    assert!(is_secret("password") && is_secret("access-key") && is_secret("admin-password"));
    assert!(!is_secret("key") && !is_secret("key-value"));
}

#[test]
fn nothing_crosses_as_json() {
    let contract = Contract::read();
    let blobs: Vec<_> =
        named_types(&contract).into_iter().filter(|(_, name, _)| name.contains("json")).collect();
    assert_eq!(blobs, Vec::new(), "should be a record");
}

#[test]
fn no_function_takes_more_than_five_parameters() {
    let contract = Contract::read();
    let packages = [contract.driver, contract.host].into_iter();
    let long: Vec<_> = packages
        .flat_map(|package| contract.functions(package))
        .filter(|(_, function)| function.params.len() > 5)
        .map(|(interface, function)| format!("{interface}.{}", function.name))
        .collect();
    assert_eq!(long, Vec::<String>::new(), "should take a record");
}

#[test]
fn there_are_no_resources_streams_or_asynchronous_functions() {
    let contract = Contract::read();
    for (_, definition) in contract.resolve.types.iter() {
        let kind = definition.kind.as_str();
        assert!(
            !["resource", "own", "borrow", "future", "stream"].contains(&kind),
            "{:?} is a {kind}",
            definition.name
        );
    }
    for package in [contract.driver, contract.host] {
        for (interface, function) in contract.functions(package) {
            assert_eq!(function.kind, FunctionKind::Freestanding, "{interface}.{}", function.name);
        }
    }
}

#[test]
fn every_driver_function_answers_with_a_result_and_the_one_error() {
    let contract = Contract::read();
    let types = contract.resolve.packages[contract.driver].interfaces["types"];
    let error = contract.resolve.interfaces[types].types["error"];
    for (interface, function) in contract.functions(contract.driver) {
        let Some(Type::Id(id)) = function.result else {
            panic!("{interface}.{} answers no result", function.name)
        };
        let TypeDefKind::Result(result) = &contract.resolve.types[id].kind else {
            panic!("{interface}.{} answers no result", function.name)
        };
        let Some(Type::Id(failure)) = result.err else {
            panic!("{interface}.{} has no error", function.name)
        };
        let failure = match contract.resolve.types[failure].kind {
            TypeDefKind::Type(Type::Id(lent)) => lent,
            _ => failure,
        };
        assert_eq!(failure, error, "{interface}.{} fails with another record", function.name);
    }
}

#[test]
fn only_the_types_interfaces_lend_types_and_the_host_borrows_nothing_from_drivers() {
    let contract = Contract::read();
    for package in [contract.driver, contract.host] {
        for (name, interface) in contract.interfaces(package) {
            for id in interface.types.values() {
                let Some(lender) = contract.lender(&contract.resolve.types[*id]) else { continue };
                let lender = &contract.resolve.interfaces[lender];
                assert_eq!(lender.name.as_deref(), Some("types"), "{name} borrows from it");
                let from_driver = lender.package == Some(contract.driver);
                assert!(package == contract.driver || !from_driver, "the host's {name} borrows from drivers");
            }
        }
    }
}

#[test]
fn the_worlds_offer_every_import_and_each_optional_export_alone() {
    let contract = Contract::read();
    let worlds = contract.worlds();
    let exports = |name: &str| {
        let (_, world) =
            worlds.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no world {name}"));
        contract.interface_names(world.exports.values())
    };
    assert_eq!(exports("driver/driver"), REQUIRED);
    let optional = contract
        .services(contract.driver)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !REQUIRED.contains(name));
    let optional: Vec<_> = optional.collect();
    for name in &optional {
        assert_eq!(exports(&format!("driver/with-{name}")), [*name]);
    }
    let small = worlds.iter().filter(|(name, _)| name.starts_with("driver/with-")).count();
    assert_eq!(small, optional.len(), "a world without an interface");
    let all: BTreeSet<_> = contract.services(contract.host).into_iter().map(|(name, _)| name).collect();
    for name in ["host/imports", "driver/imports", "driver/driver"] {
        let (_, world) = worlds.iter().find(|(found, _)| found == name).expect("the world is there");
        assert_eq!(
            contract.interface_names(world.imports.values()).into_iter().collect::<BTreeSet<_>>(),
            all,
            "{name}"
        );
    }
}

#[test]
fn the_model_knows_every_export_and_import_and_no_other() {
    let contract = Contract::read();
    let exports: BTreeSet<_> = contract.services(contract.driver).into_iter().map(|(name, _)| name).collect();
    assert_eq!(Ability::ALL.iter().map(|ability| ability.interface()).collect::<BTreeSet<_>>(), exports);
    let imports: BTreeSet<_> = contract.services(contract.host).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        Capability::ALL.iter().map(|capability| capability.interface()).collect::<BTreeSet<_>>(),
        imports
    );
}

#[test]
fn the_model_knows_every_error_code() {
    let contract = Contract::read();
    let types = contract.resolve.packages[contract.driver].interfaces["types"];
    let definition = contract.resolve.interfaces[types].types["error-code"];
    let TypeDefKind::Enum(cases) = &contract.resolve.types[definition].kind else {
        panic!("error-code is no enum")
    };
    for case in &cases.cases {
        let read = serde_json::from_value::<DriverErrorCode>(serde_json::Value::String(case.name.clone()));
        assert!(read.is_ok(), "{} is not in the model", case.name);
    }
}

#[test]
fn the_packages_have_the_names_and_the_version_that_the_host_speaks() {
    let contract = Contract::read();
    for (package, name) in [(contract.driver, DRIVER_PACKAGE), (contract.host, HOST_PACKAGE)] {
        assert_eq!(contract.resolve.packages[package].name.to_string(), format!("{name}@{CONTRACT_VERSION}"));
    }
}
