//! The contract as text: what the parser resolves away.

use crate::package::folder;
use std::fs;
use std::path::PathBuf;

/// All files of both packages, with their text.
fn files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in [folder(), folder().join("deps/host")] {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "wit") {
                let text = fs::read_to_string(&path).expect("the file can be read");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// Whether a line begins something that can carry `@since`.
fn declares(line: &str) -> bool {
    let words = [
        "interface ",
        "world ",
        "use ",
        "import ",
        "export ",
        "include ",
        "record ",
        "variant ",
        "enum ",
        "flags ",
        "type ",
    ];
    let is_function = line
        .split_once(": ")
        .is_some_and(|(_, rest)| rest.starts_with("func(") || rest.starts_with("async func("));
    words.iter().any(|word| line.starts_with(word)) || is_function
}

#[test]
fn every_declaration_stands_below_its_since() {
    let mut undated = Vec::new();
    for (path, text) in files() {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let dated = |at: usize| at > 0 && lines[at - 1] == "@since(version = 0.1.0)";
        let here = (0..lines.len()).filter(|at| declares(lines[*at]) && !dated(*at));
        undated.extend(here.map(|at| format!("{}:{}: {}", path.display(), at + 1, lines[at])));
    }
    assert_eq!(undated, Vec::<String>::new());
}

#[test]
fn every_file_holds_one_interface_named_like_it_or_the_worlds() {
    for (path, text) in files() {
        let interfaces: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("interface ")?.strip_suffix(" {")).collect();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8");
        let expected = if stem == "world" { vec![] } else { vec![stem] };
        assert_eq!(interfaces, expected, "{}", path.display());
        let has_worlds = text.lines().any(|line| line.starts_with("world "));
        assert_eq!(has_worlds, stem == "world", "{}", path.display());
    }
}

#[test]
fn lines_fit_beside_each_other() {
    for (path, text) in files() {
        for (at, line) in text.lines().enumerate() {
            let is_prose = line.trim_start().starts_with("///");
            assert!(
                !is_prose || line.chars().count() <= 144,
                "{}:{} is too long to read",
                path.display(),
                at + 1
            );
        }
    }
}
