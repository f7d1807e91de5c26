//! Names that fit the contract, and names that do not.

use super::*;

const EXPORTS: [&str; 3] =
    ["bulkhead:driver/lifecycle@0.1.0", "bulkhead:driver/shares@0.1.0", "bulkhead:driver/access@0.1.0"];

fn asking(name: &str) -> Import<'_> {
    Import { name, lends_types_only: false }
}

fn refused(exports: &[&str], imports: &[Import<'_>]) -> String {
    fit(exports, imports).expect_err("no fit").to_string()
}

#[test]
fn the_required_exports_and_served_imports_fit() {
    let abilities = fit(&EXPORTS, &[asking("bulkhead:host/files@0.1.0")]).expect("a fit");
    assert!(abilities.has(Ability::Access) && !abilities.has(Ability::Snapshots));
}

#[test]
fn types_alone_are_lent_by_the_contract_and_by_nobody_else() {
    let lent = |name| Import { name, lends_types_only: true };
    assert!(fit(&EXPORTS, &[lent("bulkhead:driver/types@0.1.0"), lent("bulkhead:host/http@0.1.0")]).is_ok());
    assert!(refused(&EXPORTS, &[lent("acme:tools/types@0.1.0")]).contains("acme:tools/types@0.1.0"));
}

#[test]
fn the_version_is_told_before_what_it_explains() {
    let text = refused(&["bulkhead:driver/lifecycle@0.2.0"], &[asking("wasi:cli/exit@0.2.0")]);
    assert!(text.starts_with("bulkhead:driver/lifecycle@0.2.0 is built for contract 0.2.0"), "{text}");
    assert!(text.contains("hint: upgrade this host"), "{text}");
    assert!(refused(&EXPORTS, &[asking("bulkhead:host/files")]).contains("contract none"));
}

#[test]
fn wasi_is_told_before_other_unknown_imports() {
    let text = refused(&EXPORTS, &[asking("surprise"), asking("wasi_snapshot_preview1")]);
    assert!(text.contains("imports WASI, which no driver gets: wasi_snapshot_preview1\n"), "{text}");
}

#[test]
fn unknown_imports_are_told_beside_what_there_is() {
    let text = refused(&EXPORTS, &[asking("surprise"), asking("bulkhead:host/secrets@0.1.0")]);
    assert!(text.contains("does not offer: surprise, bulkhead:host/secrets@0.1.0\n"), "{text}");
    assert!(text.contains("secret, lock"), "{text}");
}

#[test]
fn missing_exports_come_with_what_is_near_them() {
    let text = refused(&EXPORTS[..2], &[]);
    assert!(text.contains("must: bulkhead:driver/access@0.1.0 (or access-by-rule)\n"), "{text}");
    assert!(text.contains("hint: export the whole interface"), "{text}");
    let text = refused(&["bulkhead:driver/lifecycles@0.1.0", EXPORTS[1], EXPORTS[2]], &[]);
    assert!(text.contains("where 'bulkhead:driver/lifecycles@0.1.0' is?"), "{text}");
    assert!(refused(&[], &[]).contains("it exports nothing at all"));
}

#[test]
fn of_many_exports_some_are_listed_and_the_others_counted() {
    let text = refused(&["acme:tools/run@1.0.0"; 11], &[]);
    assert_eq!(text.matches("acme:tools/run").count(), MOST_LISTED, "{text}");
    assert!(text.contains(" and 3 more\n"), "{text}");
}

#[test]
fn only_a_component_begins_as_one() {
    assert_eq!(check_beginning(b"\0asm\x0d\0\x01\0rest"), Ok(()));
    let misfit = check_beginning(b"\x7fELF\x02\x01").expect_err("no component");
    assert!(misfit.to_string().contains("native code"), "{misfit}");
}
