//! The drivers of this repository and the hostile guests of its tests, built into `target/guests` with our own vendor command.

use crate::shell::{Outcome, cargo, command, root, run, target};
use std::path::{Path, PathBuf};

/// What is built before the guests.
#[derive(Clone, Copy)]
pub(crate) enum Programs {
    /// What `demo` and `soak` start, and the SDK for its features alone: what is built without it builds some crates differently, and
    /// the tests would build them a second time.
    Run,
    /// All of the workspace with its tests.
    Tested,
}

/// The programs, in the profile that demo and tests share.
fn build_programs(programs: Programs) -> Outcome {
    let mut build = cargo();
    build.args(["build", "--locked"]);
    let what = match programs {
        Programs::Run => {
            for package in ["bulkhead", "bulkhead-helper", "bulkhead-sdk", "bulkhead-tests"] {
                build.args(["--package", package]);
            }
            "building bulkhead, its helper, demo and soak"
        }
        Programs::Tested => {
            build.args(["--workspace", "--all-targets"]);
            "building everything and its tests"
        }
    };
    run(what, &mut build)
}

/// Where the programs are.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Build `programs`, then every guest with them.
pub(crate) fn build(programs: Programs) -> Outcome {
    build_programs(programs)?;
    let mut projects = projects_below(&root().join("drivers"))?;
    projects.extend(projects_below(&root().join("tests/guests"))?);
    for project in projects {
        build_one(&project)?;
    }
    Ok(())
}

fn build_one(project: &Path) -> Outcome {
    let name = project.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    run(
        &format!("building the guest {name}"),
        command(program("bulkhead"))
            .args(["driver", "build", "--locked", "--project"])
            .arg(project)
            // One directory for all: the standard library is built once.
            .arg("--target-dir")
            .arg(target().join("guests"))
            .arg("--output")
            .arg(target().join("guests").join(format!("{name}.wasm"))),
    )
}

/// The folders with a `driver.toml` and a `Cargo.toml`, in order.
fn projects_below(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = folder.read_dir().map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut projects: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("driver.toml").is_file() && path.join("Cargo.toml").is_file())
        .collect();
    projects.sort();
    Ok(projects)
}
