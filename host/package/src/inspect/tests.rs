use super::Report;
use crate::Package;
use crate::fixture::{MANIFEST, WORLD, component};

fn package() -> Package {
    Package::read(component(WORLD, &[MANIFEST])).unwrap_or_else(|error| panic!("{error}"))
}

/// The report less what depends on the bytes of the test's own component.
fn stable(text: &str) -> String {
    let package = package();
    text.replace(&package.digest.to_string(), "DIGEST")
        .replace(&format!("{} bytes\n", package.bytes.len()), "SIZE bytes\n")
        .replace(&format!("\"size-bytes\": {}", package.bytes.len()), "\"size-bytes\": 0")
}

#[test]
fn the_text_states_every_path_program_template_slot_and_limit() {
    let shown = stable(&Report::of(&package()).to_string());
    let golden = include_str!("golden/sample.txt");
    assert_eq!(shown, golden, "if the change is meant, this is the new golden file:\n{shown}");
}

#[test]
fn the_report_is_the_same_every_time_and_says_the_same_as_json() {
    let (first, second) = (Report::of(&package()), Report::of(&package()));
    assert_eq!(first, second);
    let json = serde_json::to_value(&first).expect("JSON");
    assert_eq!(json["driver"]["name"], "sample");
    assert_eq!(json["commands"][0]["words"][0], "cp");
    assert_eq!(json["roots"][0]["use"], "data");
    assert_eq!(json["imports"][0]["capability"], "execute");
}

#[test]
fn what_reaches_the_whole_backend_or_destroys_stands_on_top() {
    let manifest = MANIFEST
        .replace("effect = \"read\"", "effect = \"destroy\"\nscope = \"backend\"")
        .replace("use = \"config\"", "use = \"state\"\npaths = [\"index\"]")
        .replace("text = \"{path} {clients}\"", "text = \"{path} {clients}\" # x")
        .replace("slots.key = { type = \"secret\", of = [\"password\"] }", "slots.key = { type = \"uuid\" }");
    let package = Package::read(component(WORLD, &[&manifest])).unwrap_or_else(|error| panic!("{error}"));
    let attention = Report::of(&package).attention;
    assert!(attention[0].starts_with("execute feed reaches the whole backend"), "{attention:?}");
    assert!(attention.iter().any(|line| line.starts_with("files reaches exports:index")), "{attention:?}");
    assert!(
        attention.iter().any(|line| line.starts_with("execute feed destroys something")),
        "{attention:?}"
    );
}

#[test]
fn a_driver_says_whether_it_can_stand_at_an_arrays_own_command_line_and_what_that_means() {
    let with_root = Report::of(&package()).places;
    assert!(
        with_root[1].starts_with("not ssh-plain:TARGET") && with_root[1].contains("root"),
        "{with_root:?}"
    );
    let of_array = include_str!("../../template-ssh/driver.toml");
    let package = Package::read(component(WORLD, &[of_array])).unwrap_or_else(|error| panic!("{error}"));
    let report = Report::of(&package);
    assert!(report.places[1].contains("nothing is checked there"), "{:?}", report.places);
    assert!(
        report.to_string().contains("\nplaces (the operator gives a backend one)\n  local, or ssh:TARGET")
    );
    let of_requests = include_str!("../../template-rest/driver.toml");
    let package = Package::read(component(WORLD, &[of_requests])).unwrap_or_else(|error| panic!("{error}"));
    assert!(Report::of(&package).places.is_empty());
}
