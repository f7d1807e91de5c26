//! The tests of the workspace as text: their names, and the behaviours of the contract that their comments cite.
//!
//! A citation is a comment above a test or inside it: the word `Contract` and ids with commas between them, `D-37, D-41: where we differ`.

use bulkhead_tests::programs;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const CITATION: &str = "Contract ";

/// A function with a test attribute.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) name: String,
    /// The ids of behaviours that it says it shows.
    pub(crate) citations: BTreeSet<String>,
}

/// What a file, or all files, say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    pub(crate) tests: Vec<Test>,
    /// Citations that stand in no test, FILE:LINE: ID.
    pub(crate) stray: Vec<String>,
}

impl Sources {
    /// All Rust sources of the repository.
    pub(crate) fn read() -> Self {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
            .current_dir(programs::repository())
            .output()
            .expect("git");
        let mut all = Self::default();
        for file in String::from_utf8_lossy(&output.stdout).lines() {
            let path = programs::repository().join(file);
            // A deleted file is listed until its deletion is committed.
            if path.is_file() {
                all.add(Path::new(file), &fs::read_to_string(&path).expect("a source can be read"));
            }
        }
        assert!(!all.tests.is_empty(), "no sources");
        all
    }

    /// Take in one file, formatted as rustfmt does: a function ends with the first brace at its own indentation.
    fn add(&mut self, file: &Path, text: &str) {
        let mut above = Above::default();
        let mut inside: Option<(Test, String)> = None;
        for (at, line) in text.lines().enumerate() {
            let cited = citations(line);
            if let Some((mut test, end)) = inside.take() {
                test.citations.extend(cited);
                if line == end {
                    self.tests.push(test);
                } else {
                    inside = Some((test, end));
                }
                continue;
            }
            if above.takes(line) {
                above.citations.extend(cited.into_iter().map(|id| (at, id)));
                continue;
            }
            let found = std::mem::take(&mut above);
            let name = function_name(line).filter(|_| found.is_test);
            if let Some(name) = name {
                let indentation: String = line.chars().take_while(|letter| *letter == ' ').collect();
                let citations = found.citations.into_iter().map(|(_, id)| id).collect();
                inside = Some((Test { name: name.to_owned(), citations }, format!("{indentation}}}")));
            } else {
                let strays = found.citations.into_iter().chain(cited.into_iter().map(|id| (at, id)));
                self.stray.extend(strays.map(|(at, id)| format!("{}:{}: {id}", file.display(), at + 1)));
            }
        }
    }
}

/// The comments and attributes that stand above something.
#[derive(Default)]
struct Above {
    citations: Vec<(usize, String)>,
    is_test: bool,
    /// Brackets of an attribute of several lines that are still open.
    open: usize,
}

impl Above {
    /// Whether a line is one of them.
    fn takes(&mut self, line: &str) -> bool {
        let line = line.trim();
        let is_attribute = self.open > 0 || line.starts_with("#[");
        if is_attribute {
            let count = |letter| line.chars().filter(|found| *found == letter).count();
            self.open = (self.open + count('[')).saturating_sub(count(']'));
            self.is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
        }
        is_attribute || line.starts_with("//") && !line.starts_with("//!")
    }
}

fn function_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The ids that a line's comment cites.
fn citations(line: &str) -> Vec<String> {
    let Some((_, comment)) = line.split_once("//") else { return Vec::new() };
    let mut found = Vec::new();
    for rest in comment.split(CITATION).skip(1) {
        let words = rest.split(' ').map_while(|word| {
            let id = word.trim_end_matches([',', '.', ':', ';']);
            is_id(id).then(|| (id.to_owned(), word.ends_with(',')))
        });
        for (id, goes_on) in words {
            found.push(id);
            if !goes_on {
                break;
            }
        }
    }
    found
}

/// Whether a word has the form of an id: a letter, a dash, two digits.
fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z', b'-', b'0'..=b'9', b'0'..=b'9'])
}

#[test]
fn a_citation_counts_for_the_test_it_stands_above_or_in_and_is_stray_elsewhere() {
    let lines = [
        "//! Cites A-01 is about locks.",
        "/// Cites A-02.",
        "fn no_test() {}",
        "",
        "/// Cites A-03, A-04: as there.",
        "#[tokio::test(",
        "    start_paused = true,",
        ")]",
        "async fn first() {",
        "    // Cites A-05. And A-06 is not cited.",
        "    if true {",
        "    }",
        "}",
        "",
        "proptest! {",
        "    #[test]",
        "    fn second(x in 1..2) {",
        "        call(); // Cites A-07.",
        "    }",
        "}",
    ];
    let mut sources = Sources::default();
    sources.add(Path::new("some.rs"), &lines.join("\n").replace("Cites ", CITATION));
    let test = |name: &str, ids: &[&str]| Test {
        name: name.to_owned(),
        citations: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    assert_eq!(sources.tests, [test("first", &["A-03", "A-04", "A-05"]), test("second", &["A-07"])]);
    assert_eq!(sources.stray, ["some.rs:1: A-01", "some.rs:2: A-02"]);
}
