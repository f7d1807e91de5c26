//! The documents hold: links lead somewhere, and commands in them are commands.

#![expect(clippy::expect_used, reason = "test code: what is not there, or not as expected, fails the test")]

use bulkhead_tests::programs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn documents() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "*.md"])
        .current_dir(programs::repository())
        .output()
        .expect("git");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Vec<_> =
        text.lines().map(|line| programs::repository().join(line)).filter(|path| path.is_file()).collect();
    assert!(!found.is_empty(), "no documents");
    found
}

/// The targets of `[text](target)` in a text.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = link.split('#').next().unwrap_or_default();
            let path = document.parent().unwrap_or(Path::new(".")).join(target);
            assert!(path.exists(), "{}: the link {link} leads nowhere", document.display());
        }
    }
}

#[test]
fn the_examples_of_the_manifest_s_page_are_one_sound_manifest() {
    let page = programs::repository().join("guest-sdk/MANIFEST.md");
    let text = std::fs::read_to_string(page).expect("the page");
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    let manifest = bulkhead_package::manifest::parse(&examples.join("\n"), "MANIFEST.md");
    let manifest = manifest.unwrap_or_else(|error| panic!("{error}"));
    assert!(manifest.templates().count() >= 11, "an example is missing");
    for table in [
        "option", "root", "execute", "pipeline", "job", "file", "group", "service", "dbus", "endpoint",
        "session", "request",
    ] {
        assert!(examples.iter().any(|example| example.contains(&format!("[[{table}]]"))), "{table}");
    }
}

#[test]
fn every_command_in_the_documents_is_one() {
    let program = programs::program("bulkhead").expect("built");
    let mut checked = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        for line in text
            .lines()
            .map(|line| line.trim().trim_start_matches("$ "))
            .filter(|line| line.starts_with("bulkhead "))
        {
            // The words before the first argument in capitals, option or name are the command.
            let words: Vec<_> = line
                .split_whitespace()
                .skip(1)
                .take_while(|word| {
                    word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
                        && !word.starts_with('-')
                })
                .take(2)
                .collect();
            let output = Command::new(&program).args(&words).arg("--help").output().expect("started");
            let known = output.status.success() || {
                // The second word may be an argument.
                let first: Vec<_> = words.iter().take(1).collect();
                Command::new(&program).args(first).arg("--help").output().expect("started").status.success()
            };
            assert!(known, "{}: '{line}' is no command", document.display());
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} commands found");
}
