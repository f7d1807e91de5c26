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

/// An array with two pools that knows its name, with something on it that nobody manages. What `%` stands for differs.
const ARRAY: &str = "managed = \"old\"\ndestination = \"lab@lab#slow\"\n%[share]\npool = \"fast\"\n[share.metadata]\ncontent = \"words\"\n\
    [subnet-metadata]\nbandwidth_mib = \"100\"\n\
    [options]\npools = { fast = \"100\", slow = \"100\" }\nbackend_host = \"lab@lab\"\n\
    existing_shares = { old = \"1\" }\nexisting_snapshots = { old = \"old\" }\nexisting_servers = { old = \"198.18.7.7\" }\n";

/// The mode in which shares live on share servers.
const ON_SERVERS: &str = "driver_handles_share_servers = true\n";

fn about_servers(function: &str) -> bool {
    let words = ["server", "network-allocations", "after-allocation", "before-release", "subnet"];
    words.iter().any(|word| function.contains(word))
}

/// That each of `functions` answers something.
fn expect_answers(functions: &[String], options: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    for function in functions {
        // The snapshot is one of an object that was taken over before.
        let before = match (function.as_str(), options) {
            ("manage-existing-snapshot", "") => "before = [\"manage-existing\"]\n",
            ("manage-existing-snapshot", _) => {
                "before = [\"after-allocation\", \"setup-server\", \"manage-existing\"]\n"
            }
            _ => "",
        };
        let file = config(folder.path(), &format!("{}{options}", ARRAY.replace('%', before)));
        let output = call(function, &["--config", &file]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{function}: {told}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{function}: {error}"));
    }
}

#[test]
fn every_function_of_a_driver_that_has_them_all_can_be_called() {
    let functions: Vec<String> = all_functions().into_iter().filter(|name| !about_servers(name)).collect();
    assert!(functions.len() > 40, "{functions:?}");
    expect_answers(&functions, "");
}

#[test]
fn every_function_can_be_called_where_shares_live_on_share_servers() {
    let functions = all_functions();
    assert!(functions.iter().filter(|name| about_servers(name)).count() > 12, "{functions:?}");
    expect_answers(&functions, ON_SERVERS);
}

#[test]
fn a_server_gets_the_addresses_that_its_driver_counts_before_it_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let file =
        config(folder.path(), &format!("{}{ON_SERVERS}server_addresses = 3\n", ARRAY.replace('%', "")));
    let output = call("setup-server", &["--config", &file]);
    let made: Value = serde_json::from_slice(&output.stdout).expect("an answer");
    let addresses = made["addresses"].as_array().expect("addresses");
    assert!(
        addresses.len() == 3 && addresses.iter().all(|one| one.to_string().contains("198.18.")),
        "{made}"
    );
}

#[test]
fn a_driver_that_makes_no_share_servers_here_is_not_asked_about_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = call("setup-server", &["--config", &config(folder.path(), &ARRAY.replace('%', ""))]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("driver_handles_share_servers = true"), "{told}");
}
