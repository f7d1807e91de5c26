//! What a reviewer reads of the reference driver, word for word. After a change that is meant: `BLESS=1 cargo xtask test`.

use bulkhead_tests::programs;
use std::process::Command;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment to rewrite its golden file")]
fn inspect_of_directory_states_every_path_and_program_it_can_reach() {
    let output = Command::new(programs::program("bulkhead").expect("built"))
        .args(["driver", "inspect"])
        .arg(programs::guest("directory").expect("built"))
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    // Size and digest of the bytes change with every compiler; what the driver may do does not.
    let shown: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("digest") && !line.trim_start().starts_with("size"))
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    let golden = programs::repository().join("drivers/directory/inspect.txt");
    if std::env::var("BLESS").is_ok() {
        std::fs::write(&golden, &shown).expect("written");
    }
    assert_eq!(
        shown,
        std::fs::read_to_string(&golden).unwrap_or_default(),
        "after a change that is meant: BLESS=1"
    );
    for reached in ["{share}", "{share}@{snapshot}", "cp --archive", "{share}.exports"] {
        assert!(shown.contains(reached), "{reached} is not stated");
    }
}
