//! What comes in through the door, and what does not.

use crate::componentize;
use crate::fixture::{MANIFEST, WORLD, component, component_of, module_of};
use crate::{LARGEST_BYTES, Package, PackageError};
use bulkhead_model::ability::{Ability, Capability};

fn sound() -> Vec<u8> {
    component(WORLD, &[MANIFEST])
}

fn told(bytes: Vec<u8>) -> String {
    Package::read(bytes).expect_err("the package is refused").to_string()
}

/// A small source of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 1).expect("64 bits") % end
    }
}

#[test]
fn a_sound_package_says_what_it_can_do_and_wants() {
    let package = Package::read(sound()).unwrap_or_else(|error| panic!("{error}"));
    assert!(package.abilities.has(Ability::Lifecycle) && package.abilities.has(Ability::Access));
    assert!(!package.abilities.has(Ability::Snapshots));
    assert_eq!(package.manifest.driver.name.as_str(), "sample");
    assert!(package.imports.contains_key(&Capability::Files));
    assert!(package.imports[&Capability::Execute].contains("run"));
    assert!(package.undriven().is_empty() && package.other_exports.is_empty());
}

#[test]
fn the_digest_is_of_the_bytes() {
    let other = component(WORLD, &[&format!("{MANIFEST}\n# another")]);
    let digest = |bytes| Package::read(bytes).expect("a package").digest;
    assert_eq!(digest(sound()), digest(sound()));
    assert_ne!(digest(sound()), digest(other));
}

#[test]
fn a_component_cut_short_anywhere_is_refused() {
    let bytes = sound();
    for length in 0..bytes.len() {
        // A cut between two sections may leave a sound component, but never the manifest, which comes last.
        assert!(Package::read(bytes[..length].to_vec()).is_err(), "cut at {length}");
    }
}

#[test]
fn a_component_with_a_flipped_bit_is_refused_or_read_but_never_ends_the_process() {
    let bytes = sound();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut changed = bytes.clone();
        let place = numbers.below(changed.len());
        changed[place] ^= 1 << numbers.below(8);
        refused += usize::from(Package::read(changed).is_err());
    }
    assert!(refused > 5_000, "only {refused} were refused");
}

#[test]
fn random_bytes_are_refused() {
    let mut numbers = Numbers(7);
    for round in 0..2_000 {
        let mut bytes = if round % 2 == 0 { b"\0asm\x0d\0\x01\0".to_vec() } else { Vec::new() };
        bytes.extend((0..numbers.below(300)).map(|_| u8::try_from(numbers.below(256)).expect("a byte")));
        assert!(Package::read(bytes).is_err());
    }
}

#[test]
fn other_files_are_told_by_what_they_are() {
    assert!(told(b"(component)".to_vec()).contains("a component written as text"));
    assert!(told(b"hello".to_vec()).contains("a text file"));
    assert!(told(Vec::new()).contains("the file is empty"));
    let core = module_of(|text| text.to_owned(), WORLD);
    assert!(told(core).contains("bulkhead driver build"));
    assert!(matches!(Package::read(vec![0; LARGEST_BYTES + 1]), Err(PackageError::TooLarge { .. })));
}

#[test]
fn a_manifest_stands_in_a_component_exactly_once() {
    assert!(matches!(Package::read(component(WORLD, &[])), Err(PackageError::NoManifest)));
    let twice = Package::read(component(WORLD, &[MANIFEST, MANIFEST]));
    assert!(matches!(twice, Err(PackageError::ManyManifests { count: 2 })));
    let message = told(component(WORLD, &["[driver]\nname = 3\n"]));
    assert!(message.contains("driver.toml:2:1: driver.name"), "{message}");
}

#[test]
fn another_contract_is_told_with_both_versions() {
    let world = WORLD.replace("0.1.0", "0.2.0");
    let bytes = component_of(|text| text.replace("0.1.0", "0.2.0"), &world, &[MANIFEST]);
    let message = told(bytes);
    assert!(message.contains("is built for contract 0.2.0, this host speaks 0.1.0"), "{message}");
    let world = WORLD.replace("0.1.0", "0.1.1");
    let newer = component_of(|text| text.replace("0.1.0", "0.1.1"), &world, &[MANIFEST]);
    assert!(told(newer).contains("this host speaks 0.1.0"));
}

#[test]
fn missing_exports_are_named_with_their_version() {
    let message = told(component(&WORLD.replace("export bulkhead:driver/access@0.1.0;", ""), &[MANIFEST]));
    assert!(message.contains("bulkhead:driver/access@0.1.0 (or access-by-rule)"), "{message}");
    let message = told(component("include bulkhead:driver/with-access@0.1.0;", &[MANIFEST]));
    assert!(message.contains("bulkhead:driver/lifecycle@0.1.0, bulkhead:driver/shares@0.1.0"), "{message}");
    assert!(told(component("", &[MANIFEST])).contains("it exports nothing at all"));
}

#[test]
fn unknown_imports_are_named() {
    let message = told(component(&format!("{WORLD} import own-thing;"), &[MANIFEST]));
    assert!(message.contains("test:driver/own-thing"), "{message}");
    let message = told(component(&format!("{WORLD} import surprise: func();"), &[MANIFEST]));
    assert!(message.contains("imports what this host does not offer: surprise"), "{message}");
}

#[test]
fn other_exports_are_listed_and_do_no_harm() {
    let package =
        Package::read(component(&format!("{WORLD} export own-thing;"), &[MANIFEST])).expect("a package");
    assert_eq!(
        package.other_exports.iter().map(String::as_str).collect::<Vec<_>>(),
        ["test:driver/own-thing"]
    );
}

#[test]
fn wasi_is_refused_with_the_way_out() {
    let bytes = component_of(
        |text| {
            text.replace("package bulkhead:host@0.1.0", "package wasi:host@0.1.0")
                .replace("bulkhead:host/", "wasi:host/")
        },
        &WORLD.replace("bulkhead:host/", "wasi:host/"),
        &[MANIFEST],
    );
    let message = told(bytes);
    assert!(message.contains("wasi:host/") && message.contains("--stub-wasi"), "{message}");
}

#[test]
fn a_function_with_other_types_is_named() {
    let bytes = component_of(|text| text.replace("size-gib: u64", "size-gib: u32"), WORLD, &[MANIFEST]);
    let message = told(bytes);
    assert!(message.contains("shares@0.1.0: create-share: argument 1 'share' has another type"), "{message}");
    let bytes =
        component_of(|text| text.replace("now-ms: func()", "now-ms: func(zone: string)"), WORLD, &[MANIFEST]);
    let message = told(bytes);
    assert!(message.contains("clock@0.1.0: now-ms: takes 1 arguments instead of 0"), "{message}");
}

#[test]
fn what_is_built_is_what_is_read() {
    let module = module_of(|text| text.to_owned(), WORLD);
    let bytes = componentize::encode(&module, MANIFEST, "driver.toml").expect("a component");
    assert_eq!(bytes, componentize::encode(&module, MANIFEST, "driver.toml").expect("a component"));
    let package = Package::read(bytes).expect("a package");
    assert_eq!(package.manifest.commands.len(), 2);
    assert!(componentize::encode(&module, "[driver]", "driver.toml").is_err());
    assert!(
        componentize::encode(b"\0asm\x01\0\0\0", MANIFEST, "driver.toml")
            .map(Package::read)
            .is_ok_and(|read| read.is_err())
    );
}

#[test]
fn ten_thousand_modules_are_refused_before_they_are_looked_at() {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..10_000 {
        bytes.extend(b"\x01\x08\0asm\x01\0\0\0");
    }
    assert!(told(bytes).contains("limit-exceeded"));
}
