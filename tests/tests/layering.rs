//! The house as compiled: which crate may see which.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code: what is not there, or not as expected, fails the test"
)]

use bulkhead_tests::programs;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate of the house, and the crates of the house that it may depend on.
const HOUSE: &[(&str, &[&str])] = &[
    ("bulkhead-model", &[]),
    ("bulkhead-store", &["bulkhead-model"]),
    ("bulkhead-ledger", &["bulkhead-model", "bulkhead-store"]),
    ("bulkhead-helper", &["bulkhead-model"]),
    ("bulkhead-capability", &["bulkhead-helper", "bulkhead-ledger", "bulkhead-model", "bulkhead-store"]),
    ("bulkhead-package", &["bulkhead-model"]),
    ("bulkhead-ssh", &["bulkhead-capability", "bulkhead-helper", "bulkhead-model"]),
    ("bulkhead-sandbox", &["bulkhead-capability", "bulkhead-model"]),
    (
        "bulkhead-manager",
        &["bulkhead-ledger", "bulkhead-model", "bulkhead-package", "bulkhead-sandbox", "bulkhead-store"],
    ),
    ("bulkhead-conformance", &["bulkhead-model", "bulkhead-package", "bulkhead-sandbox"]),
    ("bulkhead-api", &["bulkhead-manager", "bulkhead-model"]),
    (
        "bulkhead",
        &[
            "bulkhead-api",
            "bulkhead-capability",
            "bulkhead-conformance",
            "bulkhead-helper",
            "bulkhead-ledger",
            "bulkhead-manager",
            "bulkhead-model",
            "bulkhead-package",
            "bulkhead-sandbox",
            "bulkhead-ssh",
            "bulkhead-store",
        ],
    ),
    ("bulkhead-sdk", &[]),
    ("bulkhead-btrfs-ganesha", &["bulkhead-btrfs-pool", "bulkhead-sdk"]),
    ("bulkhead-btrfs-netns", &["bulkhead-btrfs-pool", "bulkhead-sdk"]),
    ("bulkhead-btrfs-pool", &["bulkhead-sdk"]),
    ("bulkhead-directory", &["bulkhead-sdk"]),
    ("bulkhead-memory", &["bulkhead-sdk"]),
    ("bulkhead-rest-appliance", &["bulkhead-sdk"]),
    ("bulkhead-filer", &["bulkhead-sdk"]),
    ("bulkhead-hostile", &["bulkhead-sdk"]),
    ("bulkhead-leaky", &["bulkhead-sdk"]),
    ("bulkhead-trespasser", &["bulkhead-sdk"]),
    ("bulkhead-pupils", &["bulkhead-sdk"]),
    ("bulkhead-plain", &["bulkhead-sdk"]),
    ("xtask", &[]),
];

/// Crates that only some rooms may open the door to: `capability` never sees wasm, the helper stays small, xtask has nothing.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("bulkhead-model", &["tokio", "wasmtime", "rusqlite", "axum"]),
    ("bulkhead-store", &["wasmtime", "axum"]),
    ("bulkhead-capability", &["wasmtime", "wit-component", "axum", "rusqlite"]),
    ("bulkhead-helper", &["tokio", "wasmtime", "axum", "rusqlite"]),
    ("bulkhead-package", &["wasmtime", "tokio"]),
    ("bulkhead-manager", &["wasmtime", "axum", "rusqlite"]),
    ("bulkhead-conformance", &["wasmtime", "axum", "rusqlite"]),
    ("bulkhead-api", &["wasmtime", "rusqlite"]),
];

/// The normal and build dependencies of each workspace crate.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(programs::repository())
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let real = |dependency: &&Value| dependency["kind"] != "dev";
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies");
            (name(package), all.iter().filter(real).map(name).collect())
        })
        .collect()
}

#[test]
fn no_crate_sees_one_that_it_must_not() {
    let found = dependencies();
    for (crate_name, allowed) in HOUSE {
        let used = &found[*crate_name];
        let house = used.iter().filter(|name| HOUSE.iter().any(|(known, _)| known == name));
        for dependency in house {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{crate_name} depends on {dependency}: an arrow against the design"
            );
        }
    }
}

#[test]
fn large_or_dangerous_crates_stay_in_their_rooms() {
    let found = dependencies();
    for (crate_name, forbidden) in FORBIDDEN {
        for dependency in *forbidden {
            assert!(!found[*crate_name].contains(*dependency), "{crate_name} depends on {dependency}");
        }
    }
}

#[test]
fn every_crate_of_the_workspace_has_its_place_in_the_house() {
    for name in
        dependencies().keys().filter(|name| !["bulkhead-tests", "bulkhead-measure"].contains(&name.as_str()))
    {
        assert!(
            HOUSE.iter().any(|(known, _)| known == name),
            "{name} has no place in the house: add it to the list with its arrows"
        );
    }
}

#[test]
fn the_command_crate_has_no_dependency_at_all() {
    assert!(dependencies()["xtask"].is_empty());
}
