//! Components that are none, or of another world.

use super::LoadError;
use crate::Component;
use crate::fixture::{self, Guest};
use bulkhead_model::ability::Ability;
use bulkhead_model::call::DriverLimits;
use bulkhead_model::id::Digest;
use sha2::{Digest as _, Sha256};

fn load(guest: &Guest) -> Result<Component, LoadError> {
    let (digest, bytes) = guest.build();
    fixture::engine().load(digest, &bytes)
}

fn refused(guest: &Guest) -> String {
    on_one_screen(&load(guest).expect_err("no driver"))
}

fn on_one_screen(error: &LoadError) -> String {
    let text = error.to_string();
    assert!(text.lines().count() <= 24 && text.len() <= 2000, "{text}");
    assert!(text.contains("hint: "), "{text}");
    text
}

fn refused_bytes(bytes: &[u8]) -> String {
    let digest = Digest::from_bytes(Sha256::digest(bytes).into());
    on_one_screen(&fixture::engine().load(digest, bytes).expect_err("no component"))
}

#[test]
fn what_is_no_component_is_refused_by_what_it_is() {
    assert!(refused_bytes(b"(component)").contains("written as text"));
    assert!(refused_bytes(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
    assert!(refused_bytes(b"\x7fELF\x02\x01\x01\0").contains("native code"));
}

#[test]
fn a_truncated_component_is_refused() {
    let (_, bytes) = Guest::default().build();
    for length in [9, bytes.len() / 2, bytes.len() - 1] {
        assert!(refused_bytes(&bytes[..length]).contains("cut short"), "{length}");
    }
}

#[test]
fn a_component_beyond_the_largest_is_not_even_looked_at() {
    let bytes = vec![0; crate::LARGEST_COMPONENT + 1];
    let error = fixture::engine().load(Digest::from_bytes([0; 32]), &bytes).expect_err("too large");
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}

/// Contract D-32: a driver that can neither is refused when it is loaded.
#[test]
fn a_missing_export_is_named_with_its_version_and_what_there_is_instead() {
    let text = refused(&Guest::default().without("shares"));
    assert!(text.contains("bulkhead:driver/shares@0.1.0"), "{text}");
    assert!(text.contains("it exports bulkhead:driver/"), "{text}");
    let text = refused(&Guest::default().without("access"));
    assert!(text.contains("bulkhead:driver/access@0.1.0 (or access-by-rule)"), "{text}");
}

#[test]
fn a_component_of_another_world_says_what_it_exports() {
    let wat = r#"(component (component $inner) (instance $instance (instantiate $inner)) (export "acme:tools/run@1.0.0" (instance $instance)))"#;
    let bytes = wat::parse_str(wat).expect("the text of a component");
    let text = refused_bytes(&bytes);
    assert!(text.contains("it exports acme:tools/run@1.0.0"), "{text}");
    assert!(
        refused_bytes(&wat::parse_str("(component)").expect("a component")).contains("it exports nothing")
    );
}

#[test]
fn either_way_of_access_is_enough() {
    let component = load(&Guest::default().without("access").export("access-by-rule")).expect("a driver");
    assert!(component.abilities().has(Ability::AccessByRule));
    assert!(!component.abilities().has(Ability::Snapshots));
}

#[test]
fn what_this_host_does_not_drive_yet_may_be_exported() {
    let component = load(&Guest::default().export("snapshots").export("backups")).expect("a driver");
    assert!(component.abilities().has(Ability::Backups));
}

#[test]
fn an_import_that_nobody_offers_is_refused_by_name() {
    let import = |name: &str| {
        let wat = format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#);
        refused_bytes(&wat::parse_str(&wat).expect("the text of a component"))
    };
    let text = import("acme:tools/shell@1.0.0");
    assert!(text.contains("acme:tools/shell@1.0.0"), "{text}");
    assert!(text.contains("execute, service, job, dbus, network-allocation, config"), "{text}");
    let text = import("wasi:cli/environment@0.2.0");
    assert!(text.contains("--stub-wasi"), "{text}");
}

#[test]
fn another_version_of_the_contract_is_named_with_both_versions() {
    let text = refused(&Guest::default().contract("0.1.0", "0.2.0"));
    assert!(text.contains("built for contract 0.2.0, this host speaks 0.1.0"), "{text}");
    assert!(text.contains("upgrade this host"), "{text}");
    let text = refused(&Guest::default().contract("0.1.0", "0.0.9"));
    assert!(text.contains("build the driver against"), "{text}");
}

#[test]
fn a_function_with_other_types_is_named_with_the_difference() {
    let guest = Guest::default().export("extend").contract("new-size-gib: u64", "new-size-gib: u32");
    let text = refused(&guest);
    assert!(text.contains("bulkhead:driver/extend@0.1.0 extend-share"), "{text}");
    assert!(text.contains("u64") && text.contains("u32"), "{text}");
}

/// Contract D-20: half an interface is none.
#[test]
fn a_function_that_is_missing_is_named() {
    let guest = Guest::default().contract("pool-of: func", "pool-for: func");
    let text = refused(&guest);
    assert!(text.contains("bulkhead:driver/lifecycle@0.1.0 pool-of: is missing"), "{text}");
    let misspelt =
        Guest::default().export("snapshots").contract("delete-snapshot: func", "delete-snapshots: func");
    let text = refused(&misspelt);
    assert!(text.contains("bulkhead:driver/snapshots@0.1.0 delete-snapshot: is missing"), "{text}");
}

#[test]
fn an_imported_function_with_other_types_is_refused() {
    let guest =
        Guest::default().import("clock", "now-ms").contract("now-ms: func() -> u64", "now-ms: func() -> u32");
    let text = refused(&guest);
    assert!(text.contains("clock"), "{text}");
}

#[tokio::test]
async fn an_instance_beyond_the_limits_is_refused_before_any_call() {
    let limits = || DriverLimits { memory_mib: 1, table_elements: 10, ..DriverLimits::default() };
    for (guest, limit) in [
        (Guest::default().pages(17), "limits.memory-mib"),
        (Guest::default().with("(table 11 funcref)"), "limits.table-elements"),
    ] {
        let engine = fixture::engine();
        let (digest, bytes) = guest.build();
        let component = engine.load(digest, &bytes).expect("a driver");
        let backend = fixture::backend(&fixture::host().await, limits());
        let error = crate::Generation::new(&engine, component, backend).expect_err("beyond its limits");
        assert!(on_one_screen(&error).contains(limit), "{error}");
    }
}
