//! Manila's numbered behaviours: each is shown by a test that cites it, waits for a method that is not done yet, or is settled otherwise here.
//!
//! The citations in the tests are the truth; `behaviours.toml` says what each id is about and why those without a test are left out.
//! `wit/BEHAVIOURS.md` is made from both.

use crate::coverage;
use crate::package::folder;
use crate::sources::Sources;
use crate::table::{heading_and_columns, line};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const LIST: &str = include_str!("behaviours.toml");
const AGAIN: &str = "BLESS=1 cargo test -p bulkhead-tests --test contract behaviours";

/// The letters, how many ids each has, and what they are about.
const GROUPS: [(char, usize, &str); 10] = [
    ('D', 53, "The base class of drivers"),
    ('N', 19, "The standalone network plugin"),
    ('A', 18, "Access rules of shares"),
    ('S', 4, "Access rules of snapshots"),
    ('P', 4, "Private data"),
    ('E', 14, "The language of filter and goodness functions"),
    ('F', 15, "Room in a pool"),
    ('X', 3, "Matching extra specs"),
    ('G', 2, "Filter and goodness functions"),
    ('M', 13, "The share manager"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    behaviours: Vec<Behaviour>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    id: String,
    /// What Manila does, in a few words.
    what: String,
    /// How it is settled here instead, and why.
    #[serde(default)]
    differs: Option<String>,
    /// The row of coverage.toml that brings it, which is not done.
    #[serde(default)]
    waits_for: Option<String>,
}

fn list() -> Vec<Behaviour> {
    let list: List = toml::from_str(LIST).expect("behaviours.toml has the declared form");
    list.behaviours
}

/// The names of the tests that cite each id.
fn cited() -> BTreeMap<String, BTreeSet<String>> {
    let mut cited: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for test in Sources::read().tests {
        for id in test.citations {
            cited.entry(id).or_default().insert(test.name.clone());
        }
    }
    cited
}

#[test]
fn every_id_of_the_list_has_one_row_in_its_order() {
    let expected: Vec<String> = GROUPS
        .iter()
        .flat_map(|(letter, count, _)| (1..=*count).map(move |number| format!("{letter}-{number:02}")))
        .collect();
    let listed: Vec<String> = list().into_iter().map(|one| one.id).collect();
    assert_eq!(listed, expected);
}

#[test]
fn every_behaviour_is_shown_by_a_test_or_has_one_reason_to_be_left_out() {
    let cited = cited();
    let mut problems = Vec::new();
    for one in list() {
        let ways = [cited.contains_key(&one.id), one.differs.is_some(), one.waits_for.is_some()];
        match ways.iter().filter(|way| **way).count() {
            1 => {}
            0 => problems.push(format!(
                "{} ({}): write `Contract {}.` above the test that fails without it, or say in \
                 tests/tests/contract/behaviours.toml what it `waits_for` or how it `differs`",
                one.id, one.what, one.id
            )),
            _ => problems.push(format!(
                "{} ({}): is cited by {:?} and has a reason to be left out in tests/tests/contract/behaviours.toml; \
                 keep one of them",
                one.id,
                one.what,
                cited.get(&one.id)
            )),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_citation_stands_in_a_test_and_is_of_a_known_id() {
    let known: BTreeSet<String> = list().into_iter().map(|one| one.id).collect();
    let sources = Sources::read();
    let unknown: Vec<_> = sources
        .tests
        .iter()
        .flat_map(|test| test.citations.difference(&known).map(|id| format!("{id} in {}", test.name)))
        .collect();
    assert_eq!(unknown, Vec::<String>::new(), "no such behaviour");
    assert_eq!(sources.stray, Vec::<String>::new(), "a citation stands above a test or inside it");
}

#[test]
fn what_waits_waits_for_something_that_is_not_done() {
    let open = coverage::not_done();
    let mut problems = Vec::new();
    for one in list() {
        let Some(row) = one.waits_for else { continue };
        if !open.contains_key(&row) {
            problems.push(format!(
                "{} ({}) waits for {row}, which is done or no row of coverage.toml: write `Contract {}.` above the test \
                 that shows it and take `waits_for` away in tests/tests/contract/behaviours.toml",
                one.id, one.what, one.id
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_is_settled_otherwise_says_how() {
    for one in list() {
        let words = one.differs.as_deref().map(|text| text.split_whitespace().count());
        assert!(words.is_none_or(|words| words >= 4), "{}: that is no reason", one.id);
    }
}

#[test]
fn the_committed_list_of_behaviours_is_the_one_these_tests_make() {
    let file = folder().join("BEHAVIOURS.md");
    let made = text();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &made).expect("wit/BEHAVIOURS.md can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == made, "wit/BEHAVIOURS.md is out of date; make it again with: {AGAIN}");
}

fn text() -> String {
    let (cited, open, list) = (cited(), coverage::not_done(), list());
    let count = |is_meant: fn(&Behaviour) -> bool| list.iter().filter(|one| is_meant(one)).count();
    let (differs, waits) = (count(|one| one.differs.is_some()), count(|one| one.waits_for.is_some()));
    let mut text = format!(
        "# Manila's behaviours, and the tests that show them here\n\nMade from the comments of the tests and \
         `tests/tests/contract/behaviours.toml` by `{AGAIN}`.\n\nThe ids are our numbers for Manila's own tests of its base class, \
         access rules, network plugin, scheduler and manager.\n\n"
    );
    text.push_str("| | shown by tests | differ on purpose | wait |\n|---|---|---|---|\n");
    let numbers = [list.len() - differs - waits, differs, waits].map(|number| number.to_string());
    line(&mut text, &["behaviours", &numbers.join(" | ")]);
    for (letter, _, what) in GROUPS {
        heading_and_columns(&mut text, what, &["id", "in Manila", "here"]);
        for one in list.iter().filter(|one| one.id.starts_with(letter)) {
            let here = match (&one.differs, &one.waits_for) {
                (Some(differs), _) => format!("differs: {differs}"),
                (_, Some(row)) => {
                    let state = open.get(row).copied().unwrap_or("done");
                    format!("waits for `{}` ({state})", row.trim_matches('`'))
                }
                (None, None) => names(cited.get(&one.id)),
            };
            line(&mut text, &[&one.id, &one.what, &here]);
        }
    }
    text
}

fn names(tests: Option<&BTreeSet<String>>) -> String {
    let names: Vec<_> = tests.into_iter().flatten().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
