//! Where each method of Manila's driver class went: `coverage.toml` holds the mapping, `wit/COVERAGE.md` is made from it.

use crate::package::{Contract, folder};
use crate::sources::Sources;
use crate::table::{heading_and_columns, line};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const MAPPING: &str = include_str!("coverage.toml");
const SEED_METHODS: &str = include_str!("../../seed-methods.txt");
const NEWER_METHODS: &str = include_str!("../../newer-methods.txt");
const AGAIN: &str = "BLESS=1 cargo test -p bulkhead-tests --test contract coverage";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    methods: Vec<Row>,
    capabilities: Vec<Row>,
}

/// A method of the class, or a habit of its drivers, and what stands for it here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    wit: Vec<String>,
    #[serde(default)]
    host: String,
    state: State,
    /// The tests that would fail without it, for what is done.
    #[serde(default)]
    tests: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    #[serde(rename = "done")]
    Done,
    #[serde(rename = "part 2")]
    Part2,
    #[serde(rename = "part 3")]
    Part3,
    #[serde(rename = "part 4")]
    Part4,
    #[serde(rename = "open")]
    Open,
}

impl State {
    const ALL: [Self; 5] = [Self::Done, Self::Part2, Self::Part3, Self::Part4, Self::Open];

    const fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Part2 => "part 2",
            Self::Part3 => "part 3",
            Self::Part4 => "part 4",
            Self::Open => "open",
        }
    }
}

fn mapping() -> Mapping {
    toml::from_str(MAPPING).expect("coverage.toml has the declared form")
}

/// The rows that are not done, with the words for their state.
pub(crate) fn not_done() -> BTreeMap<String, &'static str> {
    let mapping = mapping();
    let rows = mapping.methods.into_iter().chain(mapping.capabilities);
    rows.filter(|row| row.state != State::Done).map(|row| (row.name, row.state.text())).collect()
}

fn methods(list: &str) -> Vec<&str> {
    list.lines().filter(|line| !line.is_empty()).collect()
}

/// All functions of the contract as the mapping names them.
fn functions(contract: &Contract) -> BTreeSet<String> {
    let exported =
        contract.functions(contract.driver).into_iter().map(|(name, one)| format!("{name}.{}", one.name));
    let imported =
        contract.functions(contract.host).into_iter().map(|(name, one)| format!("host:{name}.{}", one.name));
    exported.chain(imported).collect()
}

#[test]
fn every_method_of_the_seed_and_of_newer_manila_has_one_row_and_no_other_has() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in mapping().methods {
        *counts.entry(row.name).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = methods(SEED_METHODS)
        .into_iter()
        .chain(methods(NEWER_METHODS))
        .map(|name| (name.to_owned(), 1))
        .collect();
    assert_eq!(counts, expected);
}

/// Contract D-15.
#[test]
fn every_row_names_functions_that_exist_or_says_what_the_host_does() {
    let functions = functions(&Contract::read());
    let mapping = mapping();
    for row in mapping.methods.iter().chain(&mapping.capabilities) {
        assert!(!row.wit.is_empty() || !row.host.is_empty(), "{} has no home", row.name);
        for function in &row.wit {
            assert!(functions.contains(function), "{} names {function}, which is not in wit/", row.name);
        }
    }
}

#[test]
fn every_function_of_the_contract_stands_in_a_row() {
    let mapping = mapping();
    let named: BTreeSet<_> =
        mapping.methods.iter().chain(&mapping.capabilities).flat_map(|row| row.wit.iter().cloned()).collect();
    let missing: Vec<_> = functions(&Contract::read()).difference(&named).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "name them in tests/tests/contract/coverage.toml");
}

#[test]
fn what_this_host_drives_is_done_and_what_is_done_it_drives() {
    let driven: BTreeSet<_> =
        bulkhead_model::ability::Ability::DRIVEN.iter().map(|ability| ability.interface()).collect();
    let served: BTreeSet<_> =
        bulkhead_model::ability::Capability::ALL.iter().map(|one| one.interface()).collect();
    let mapping = mapping();
    for row in mapping.methods.iter().chain(&mapping.capabilities) {
        for function in &row.wit {
            let (name, known) = match function.strip_prefix("host:") {
                Some(rest) => (rest, &served),
                None => (function.as_str(), &driven),
            };
            let interface = name.split('.').next().unwrap_or(name);
            let is_known = known.contains(interface);
            assert!(
                is_known || row.state != State::Done,
                "{} is done, but {interface} is not served",
                row.name
            );
        }
    }
    let done: BTreeSet<_> = mapping
        .methods
        .iter()
        .filter(|row| row.state == State::Done)
        .flat_map(|row| row.wit.iter().filter_map(|function| function.split('.').next()))
        .filter(|interface| !interface.starts_with("host:"))
        .collect();
    assert_eq!(done, driven, "an interface that is driven has at least one method that is done");
}

#[test]
fn every_row_that_is_done_names_tests_that_exist() {
    let known: BTreeSet<_> = Sources::read().tests.into_iter().map(|test| test.name).collect();
    let mapping = mapping();
    let mut problems = Vec::new();
    for row in mapping.methods.iter().chain(&mapping.capabilities) {
        if row.state == State::Done && row.tests.is_empty() {
            problems.push(format!(
                "{} is done: add `tests = [\"name_of_a_test\"]` to its row of tests/tests/contract/coverage.toml, with the \
                 tests that fail without it",
                row.name
            ));
        }
        for test in row.tests.iter().filter(|test| !known.contains(*test)) {
            problems.push(format!(
                "{} names the test {test} in tests/tests/contract/coverage.toml, and there is no test function of that name",
                row.name
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_committed_coverage_table_is_the_one_this_mapping_makes() {
    let file = folder().join("COVERAGE.md");
    let made = table(&mapping());
    if std::env::var_os("BLESS").is_some() {
        write(&file, &made);
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == made, "wit/COVERAGE.md is out of date; make it again with: {AGAIN}");
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("wit/COVERAGE.md can be written");
}

fn table(mapping: &Mapping) -> String {
    let seed: BTreeSet<_> = methods(SEED_METHODS).into_iter().collect();
    let (old, new): (Vec<_>, Vec<_>) =
        mapping.methods.iter().partition(|row| seed.contains(row.name.as_str()));
    let mut text = format!(
        "# Where each method of Manila's driver class went\n\nMade from `tests/tests/contract/coverage.toml` by `{AGAIN}`.\n\n\
         *done*: works today. *part N*: the part of the work that owns it. *open*: in the contract, driven by no part yet.\n\n"
    );
    text.push_str("| | done | part 2 | part 3 | part 4 | open |\n|---|---|---|---|---|---|\n");
    let capabilities: Vec<_> = mapping.capabilities.iter().collect();
    for (what, rows) in [
        ("methods of the seed", &old),
        ("methods of newer Manila", &new),
        ("habits of drivers", &capabilities),
    ] {
        let counts = State::ALL.map(|state| rows.iter().filter(|row| row.state == state).count().to_string());
        line(&mut text, &[what, &counts.join(" | ")]);
    }
    for (heading, rows) in [("The seed: Manila 8.1.4", &old), ("Newer Manila: 23.0.1", &new)] {
        heading_and_columns(
            &mut text,
            heading,
            &["method", "function", "in the host", "state", "fails without it"],
        );
        for row in rows {
            let name = format!("`{}`", row.name);
            line(&mut text, &[&name, &names(row), &row.host, row.state.text(), &tests(row)]);
        }
    }
    let columns = ["in Manila's drivers", "function", "state", "fails without it"];
    heading_and_columns(&mut text, "What drivers import", &columns);
    for row in &capabilities {
        line(&mut text, &[&row.name, &names(row), row.state.text(), &tests(row)]);
    }
    text
}

fn tests(row: &Row) -> String {
    row.tests.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn names(row: &Row) -> String {
    row.wit
        .iter()
        .map(|function| format!("`{}`", function.trim_start_matches("host:")))
        .collect::<Vec<_>>()
        .join(", ")
}
