//! A vendor's first hour: an empty directory, a fresh home, the program, and crates.io.

use crate::make_small_share;
use bulkhead_tests::array::Array;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
use bulkhead_tests::verbs::{allow, delete_share, deny, location};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fresh home in an otherwise empty place.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn run(&self, directory: &Path, program: &Path, words: &[&str]) -> String {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(directory)
            .env("HOME", self.folder.path().join("home"))
            .env("CARGO_HOME", self.folder.path().join("cargo"))
            .env("RUSTUP_HOME", rustup_home());
        // What the outer cargo told this test must not reach the inner one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if (text.starts_with("CARGO") && text != "CARGO_HOME")
                || text.starts_with("RUSTC")
                || text == "RUSTUP_TOOLCHAIN"
            {
                command.env_remove(&name);
            }
        }
        let output = command.output().expect("started");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {words:?}: {text}", program.display());
        text
    }
}

/// Where the toolchain is: the vendor's own machine has one too.
#[expect(clippy::disallowed_methods, reason = "a test finds the toolchain it runs under")]
fn rustup_home() -> PathBuf {
    std::env::var("RUSTUP_HOME")
        .map_or_else(|_| PathBuf::from(std::env::var("HOME").expect("a home")).join(".rustup"), PathBuf::from)
}

#[tokio::test]
async fn from_nothing_to_a_served_share() {
    let home = Home { folder: tempfile::tempdir().expect("a folder") };
    let place = home.folder.path().join("empty");
    for folder in ["empty", "home"] {
        std::fs::create_dir(home.folder.path().join(folder)).expect("made");
    }
    let bulkhead = programs::program("bulkhead").expect("built");
    home.run(&place, &bulkhead, &["driver", "new", "acme"]);
    let project = place.join("acme");
    home.run(&project, Path::new("cargo"), &["test", "--quiet"]);
    home.run(&project, &bulkhead, &["driver", "build"]);
    let seen = home.run(&project, &bulkhead, &["driver", "inspect", "acme.wasm"]);
    assert!(seen.contains("acme") && seen.contains("create-share"), "{seen}");
    let called = home.run(
        &project,
        &bulkhead,
        &["driver", "call", "acme.wasm", "shares.create-share", "--config", "lab.toml", "--trace"],
    );
    assert!(called.contains("files."), "{called}");

    let lab = Lab::new().expect("a lab");
    let file = lab.backend_file("acme");
    home.run(
        &project,
        &bulkhead,
        &[
            "backend",
            "init",
            "acme.wasm",
            "--output",
            &file.display().to_string(),
            "--roots",
            &lab.path().join("roots").display().to_string(),
        ],
    );
    let text = std::fs::read_to_string(&file).expect("written");
    let settings =
        text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).count();
    assert!(settings <= 16, "{settings} lines beside the daemon's own three:\n{text}");
    for line in text.lines().filter(|line| line.contains("/roots/")) {
        let path = line.split('"').nth(1).expect("a path");
        std::fs::create_dir_all(path).expect("made");
    }
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.expect("ready");
    make_small_share(&daemon.tenant()).await;
}

/// Begin a driver of an array, let it pass its own tests, and look at what is built of it, as a reviewer sees it.
fn begun(home: &Home, pattern: &str) -> (PathBuf, String) {
    let place = home.folder.path().join("empty");
    for folder in ["empty", "home"] {
        std::fs::create_dir(home.folder.path().join(folder)).expect("made");
    }
    let bulkhead = programs::program("bulkhead").expect("built");
    home.run(&place, &bulkhead, &["driver", "new", "acme", pattern]);
    let project = place.join("acme");
    home.run(&project, Path::new("cargo"), &["test", "--quiet"]);
    home.run(&project, &bulkhead, &["driver", "build"]);
    let seen = home.run(&project, &bulkhead, &["driver", "inspect", "acme.wasm"]);
    (project, seen)
}

#[test]
fn a_driver_of_an_array_begins_with_its_requests_and_passes_its_own_tests() {
    let home = Home { folder: tempfile::tempdir().expect("a folder") };
    let (_, seen) = begun(&home, "--rest");
    assert!(
        seen.contains("logs in with POST /api/session") && seen.contains("PUT /api/volumes/{volume}"),
        "{seen}"
    );
}

/// A backend of the driver that was begun in `project`, at the array's shell for people.
fn at_the_shell(array: &Array, project: &Path) -> Lab {
    let ceiling = "[ceiling]\nunreviewed-programs = [\"system\", \"volume\"]\n";
    let lab = Lab::new().expect("a lab").with_main(ceiling).with_main(&array.shell_table("array"));
    let text = lab.backend_text("nas1", &project.join("acme.wasm"), "", &[]).expect("a backend");
    std::fs::write(lab.backend_file("nas1"), format!("place = \"ssh-plain:array\"\n{text}"))
        .expect("written");
    lab
}

#[tokio::test]
async fn a_driver_of_a_command_line_begins_with_its_commands_and_serves_an_array_over_ssh() {
    let home = Home { folder: tempfile::tempdir().expect("a folder") };
    let (project, seen) = begun(&home, "--ssh");
    assert!(
        seen.contains("volume create {volume} --size-gib {size}") && seen.contains("  ssh-plain:TARGET"),
        "{seen}"
    );
    let bulkhead = programs::program("bulkhead").expect("built");
    let check = |words: &[&str]| {
        let report = home.run(
            &project,
            &bulkhead,
            &[["driver", "check", "acme.wasm", "--json"].as_slice(), words].concat(),
        );
        assert!(report.contains("\"held\"") && !report.contains("\"broken\""), "{report}");
    };
    check(&["--config", "lab.toml"]);
    let Some(array) = Array::start().expect("an array") else { return };

    // By exec, in mid-command faults included.
    let place = format!("place = \"ssh-plain:array\"\n{}", array.exec_table("array"));
    std::fs::write(project.join("array.toml"), place).expect("written");
    check(&["--against", "array.toml", "--budget", "20"]);
    assert_eq!(array.volumes().expect("volumes"), Vec::<String>::new());

    // By the shell for people, with a link that is lost when the work is done.
    let lab = at_the_shell(&array, &project);
    let daemon = Daemon::start(&lab).await.expect("a daemon");
    daemon.ready().await.unwrap_or_else(|error| panic!("{error:#}\n{}", array.log()));
    let shown = daemon.operator().get("/v1/backends/nas1").await.expect("shown");
    assert_eq!(shown["backend"]["place"], "ssh-plain:array");
    array.vanish_after("create").expect("armed");
    let tenant = daemon.tenant();
    let share = make_small_share(&tenant).await;
    let volumes = array.volumes().expect("volumes");
    assert!(array.has_vanished("create") && volumes.len() == 1, "{volumes:?}");
    let path = location(&daemon.operator(), &share).await.expect("a location");
    assert_eq!(path, format!("192.0.2.10:/vol/{}", volumes[0]));
    // More clients than the shell shows on a page.
    for last in 1..=7 {
        allow(&tenant, &share, &format!("10.0.{last}.0/24"), "rw").await.expect("in force");
    }
    let rule = allow(&tenant, &share, "10.0.0.9", "ro").await.expect("in force");
    let clients = array.clients(&volumes[0]).expect("clients");
    assert!(clients.lines().count() == 8 && clients.contains("10.0.0.9/32 ro\n"), "{clients}");
    deny(&tenant, &share, &rule).await.expect("out of force");
    assert!(!array.clients(&volumes[0]).expect("clients").contains("10.0.0.9"));
    array.vanish_after("delete").expect("armed");
    delete_share(&tenant, &share).await.expect("gone");
    assert!(array.has_vanished("delete") && array.volumes().expect("volumes").is_empty());
    let told = array.told().expect("lines");
    let creations = told.lines().filter(|line| line.contains(&format!("create {}", volumes[0]))).count();
    assert_eq!(creations, 1, "{told}");
}
