//! What is written at the items of the contract.

use crate::package::{Contract, words};
use std::collections::BTreeSet;
use wit_parser::{Function, Stability, TypeDefKind};

const REPETITION: [&str; 3] = ["Idempotent", "Not idempotent", "Reads only"];
const FAILURE: [&str; 3] = ["Fails with", "Fails as", "Never fails"];
const CONCURRENCY: [&str; 2] = ["at once", "ay overlap"];

fn lacks(text: &str, any_of: &[&str]) -> bool {
    !any_of.iter().any(|wanted| text.contains(wanted))
}

/// The codes of the enumeration `name` in the `types` of a package.
fn codes<'a>(contract: &'a Contract, package: wit_parser::PackageId, name: &str) -> BTreeSet<&'a str> {
    let types = contract.resolve.packages[package].interfaces["types"];
    let definition = contract.resolve.interfaces[types].types[name];
    match &contract.resolve.types[definition].kind {
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| case.name.as_str()).collect(),
        other => panic!("{name} is no enum but {}", other.as_str()),
    }
}

/// What stands in back-ticks right behind each "Fails with" and "Fails as".
fn named_failures(text: &str) -> Vec<&str> {
    text.split("Fails ")
        .skip(1)
        .filter_map(|rest| rest.strip_prefix("with `").or_else(|| rest.strip_prefix("as `")))
        .filter_map(|rest| rest.split('`').next())
        .collect()
}

#[test]
fn every_item_says_what_it_is() {
    let contract = Contract::read();
    let silent: Vec<_> = contract
        .items()
        .into_iter()
        .filter(|item| words(item.docs).is_empty())
        .map(|item| item.name)
        .collect();
    assert_eq!(silent, Vec::<String>::new(), "without a doc comment");
}

#[test]
fn every_item_is_described_in_whole_sentences() {
    let contract = Contract::read();
    let torn: Vec<_> = contract
        .items()
        .into_iter()
        .map(|item| (item.name, words(item.docs)))
        .filter(|(_, text)| {
            !text.ends_with(['.', ':']) || text.starts_with(char::is_lowercase) && !text.starts_with("`")
        })
        .collect();
    assert_eq!(torn, Vec::new(), "should begin with a capital and end with a full stop");
}

#[test]
fn every_item_says_since_when_it_is_there() {
    let contract = Contract::read();
    let version =
        contract.resolve.packages[contract.driver].name.version.clone().expect("the package has a version");
    let undated: Vec<_> = contract
        .items()
        .into_iter()
        .filter(|item| {
            !matches!(item.stability, None | Some(Stability::Stable { .. }))
                || matches!(item.stability, Some(Stability::Stable { since, .. }) if *since > version)
        })
        .map(|item| item.name)
        .collect();
    assert_eq!(undated, Vec::<String>::new(), "without @since, or since a version to come");
}

#[test]
fn every_function_of_a_driver_says_where_it_comes_from_and_what_a_repeat_a_failure_and_a_second_caller_meet()
{
    let contract = Contract::read();
    let mut lacking = Vec::new();
    for (interface, function) in contract.functions(contract.driver) {
        let text = words(&function.docs);
        let parts = [
            ("origin", &["Manila"][..]),
            ("repetition", &REPETITION),
            ("failure", &FAILURE),
            ("concurrency", &CONCURRENCY),
        ];
        for (part, any_of) in parts {
            if lacks(&text, any_of) {
                lacking.push(format!("{interface}.{}: {part}", function.name));
            }
        }
    }
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn every_function_of_the_host_says_what_a_repeat_a_failure_and_a_second_caller_meet() {
    let contract = Contract::read();
    let mut lacking = Vec::new();
    for (name, interface) in contract.services(contract.host) {
        for function in interface.functions.values() {
            let text = words(&function.docs);
            let missing: Vec<_> = [("repetition", &REPETITION), ("failure", &FAILURE)]
                .into_iter()
                .filter(|(_, any_of)| lacks(&text, *any_of))
                .map(|(part, _)| format!("{name}.{}: {part}", function.name))
                .collect();
            lacking.extend(missing);
            if lacks(&format!("{} {text}", words(&interface.docs)), &CONCURRENCY) {
                lacking.push(format!("{name}.{}: concurrency, here or at its interface", function.name));
            }
        }
    }
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn every_failure_that_is_named_is_a_code_that_exists_or_a_function_beside() {
    let contract = Contract::read();
    let mut unknown = Vec::new();
    for (package, enumeration) in [(contract.driver, "error-code"), (contract.host, "capability-code")] {
        let codes = codes(&contract, package, enumeration);
        for (name, interface) in contract.services(package) {
            for function in interface.functions.values() {
                let text = words(&function.docs);
                let strange = named_failures(&text)
                    .into_iter()
                    .filter(|word| !codes.contains(word) && !interface.functions.contains_key(*word))
                    .map(|word| format!("{name}.{}: {word}", function.name));
                unknown.extend(strange.collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn every_function_that_can_fail_says_how_and_the_others_say_that_they_cannot() {
    let contract = Contract::read();
    let fails = |function: &Function| match function.result {
        Some(wit_parser::Type::Id(id)) => matches!(contract.resolve.types[id].kind, TypeDefKind::Result(_)),
        _ => false,
    };
    let mut wrong = Vec::new();
    for package in [contract.driver, contract.host] {
        for (interface, function) in contract.functions(package) {
            let text = words(&function.docs);
            let promises = text.contains("Never fails.") || text.contains("Never fails,");
            if fails(function) == promises {
                wrong.push(format!("{interface}.{}", function.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
