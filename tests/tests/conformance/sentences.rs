//! Every check quotes the contract.

use bulkhead_conformance::{all_checks, all_sweeps};
use bulkhead_model::ability::Ability;
use bulkhead_tests::programs;
use std::collections::BTreeSet;

/// Everything that `wit/` says, in one line.
fn contract() -> String {
    let folder = programs::repository().join("wit");
    let mut words = String::new();
    for entry in folder.read_dir().expect("wit/").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = std::fs::read_to_string(&path).expect("readable");
            let lines = text.lines().map(|line| line.trim().trim_start_matches("///"));
            words.extend(lines.flat_map(str::split_whitespace).flat_map(|word| [word, " "]));
        }
    }
    words
}

#[test]
fn every_check_is_named_by_a_sentence_that_stands_in_the_contract() {
    let contract = contract();
    let checks = all_checks().into_iter().map(|check| (check.id, check.function, check.sentence));
    let sweeps = all_sweeps().into_iter().map(|sweep| (sweep.id, sweep.function, sweep.sentence));
    let mut ids = BTreeSet::new();
    for (id, function, sentence) in checks.chain(sweeps) {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        assert!(words.len() >= 3 && contract.contains(&words.join(" ")), "{id}: {sentence}");
        let name = function.rsplit('.').next().expect("a name");
        assert!(contract.contains(&format!("{name}: func")), "{id}: {function}");
        assert!(ids.insert(id), "{id} twice");
    }
}

/// Functions that no check is about, and why.
const WITHOUT_CHECK: &[(&str, &str)] = &[
    ("access-by-rule.allow-access", "tried by the checks of access.update-access, rule by rule"),
    ("access-by-rule.deny-access", "tried by the checks of access.update-access, rule by rule"),
    ("metadata-updates.update-subnet-from-metadata", "is about share servers"),
    ("share-servers", "no pupil has share servers"),
    ("manage-servers", "no pupil has share servers"),
];

#[test]
fn every_function_that_the_host_drives_is_tried_by_a_check() {
    let checks = all_checks().into_iter().map(|check| check.function);
    let tried: BTreeSet<&str> = checks.chain(all_sweeps().into_iter().map(|sweep| sweep.function)).collect();
    let excused = |function: &String| {
        WITHOUT_CHECK.iter().any(|(name, _)| function == name || function.starts_with(&format!("{name}.")))
    };
    let mut missing = Vec::new();
    for ability in Ability::DRIVEN {
        let interface = ability.interface();
        let path = programs::repository().join("wit").join(format!("{interface}.wit"));
        let text = std::fs::read_to_string(path).expect("readable");
        let names = text.lines().filter_map(|line| line.trim().split_once(": func(")).map(|(name, _)| name);
        let all = names.map(|name| format!("{interface}.{name}"));
        missing.extend(all.filter(|function| !tried.contains(function.as_str()) && !excused(function)));
    }
    assert_eq!(missing, Vec::<String>::new());
}
