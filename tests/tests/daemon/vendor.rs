//! A vendor's first hour: an empty directory, a fresh home, the program, and crates.io.

use crate::make_small_share;
use bulkhead_tests::daemon::Daemon;
use bulkhead_tests::lab::Lab;
use bulkhead_tests::programs;
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

#[test]
fn a_driver_of_an_array_begins_with_its_requests_and_passes_its_own_tests() {
    let home = Home { folder: tempfile::tempdir().expect("a folder") };
    let place = home.folder.path().join("empty");
    for folder in ["empty", "home"] {
        std::fs::create_dir(home.folder.path().join(folder)).expect("made");
    }
    let bulkhead = programs::program("bulkhead").expect("built");
    home.run(&place, &bulkhead, &["driver", "new", "acme", "--rest"]);
    let project = place.join("acme");
    home.run(&project, Path::new("cargo"), &["test", "--quiet"]);
    home.run(&project, &bulkhead, &["driver", "build"]);
    let seen = home.run(&project, &bulkhead, &["driver", "inspect", "acme.wasm"]);
    assert!(
        seen.contains("logs in with POST /api/session") && seen.contains("PUT /api/volumes/{volume}"),
        "{seen}"
    );
}
