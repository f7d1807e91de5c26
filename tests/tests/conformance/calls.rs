//! `bulkhead driver call`, of everything that a driver has.

use crate::config;
use bulkhead_tests::programs;
use serde_json::Value;
use std::process::{Command, Output};

fn call(function: &str, words: &[&str]) -> Output {
    let mut command = Command::new(programs::program("bulkhead").expect("built"));
    command.args(["driver", "call"]).arg(programs::guest("memory").expect("built")).arg(function);
    command.env("BULKHEAD_CACHE", programs::compiled_code().expect("built"));
    command.args(words).output().expect("started")
}

/// What the command itself says that it can call.
fn all_functions() -> Vec<String> {
    let told = String::from_utf8_lossy(&call("nothing-of-the-kind", &[]).stderr).into_owned();
    let (_, names) = told.split_once("this host calls ").expect("a list");
    let names = names.lines().next().expect("a line").split(", ");
    names.map(|name| name.trim().to_owned()).collect()
}

/// An array with two pools that knows its name, with something on it that nobody manages.
const ARRAY: &str = "managed = \"old\"\ndestination = \"lab@lab#slow\"\n%[share]\npool = \"fast\"\n[share.metadata]\ncontent = \"words\"\n\
    [options]\npools = { fast = \"100\", slow = \"100\" }\nbackend_host = \"lab@lab\"\n\
    existing_shares = { old = \"1\" }\nexisting_snapshots = { old = \"old\" }\n";

#[test]
fn every_function_of_a_driver_that_has_them_all_can_be_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let functions = all_functions();
    assert!(functions.len() > 40, "{functions:?}");
    for function in functions {
        // The snapshot is one of an object that was taken over before.
        let before = match function.as_str() {
            "manage-existing-snapshot" => "before = [\"manage-existing\"]\n",
            _ => "",
        };
        let file = config(folder.path(), &ARRAY.replace('%', before));
        let output = call(&function, &["--config", &file]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{function}: {told}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{function}: {error}"));
    }
}
