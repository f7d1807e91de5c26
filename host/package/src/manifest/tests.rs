use super::*;

use crate::fixture::MANIFEST as SOUND;

/// Change the sound manifest at `from`, and expect a problem on the line of `to` that says `told`.
fn refuses(from: &str, to: &str, told: &str) {
    assert_eq!(SOUND.matches(from).count(), 1, "{from:?} stands once");
    let text = SOUND.replace(from, to);
    let error = parse(&text, "driver.toml").expect_err(&format!("{to:?} is refused"));
    let shown = error.to_string();
    assert!(shown.contains(told), "{to:?} tells {told:?}, not\n{shown}");
    let offset = SOUND.find(from).expect("it stands there") + to.find(line_of(to)).expect("it is its line");
    let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    assert!(
        error.problems.iter().any(|problem| problem.line == line),
        "{to:?} is told on line {line}, not\n{shown}"
    );
}

/// The line of the text that has to be told: the one marked with `#!`, else the first.
fn line_of(text: &str) -> &str {
    text.lines().find(|line| line.ends_with("#!")).or_else(|| text.lines().next()).unwrap_or_default()
}

#[test]
fn a_sound_manifest_is_accepted_and_means_what_it_says() {
    let manifest = parse(SOUND, "driver.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest.commands.len(), 2);
    assert_eq!(manifest.commands[0].timeout, 600);
    assert_eq!(manifest.files.len(), 2);
}

#[test]
fn unknown_keys_are_told_with_a_suggestion_wherever_they_stand() {
    refuses("vendor = \"Example\"", "vendro = \"Example\"", "did you mean 'vendor'?");
    refuses(
        "repeat = \"safe\"\nprogram = \"cp\"",
        "repaet = \"safe\" #!\nprogram = \"cp\"",
        "execute[copy-tree].repaet",
    );
    refuses(
        "slots.size = { type = \"gib\" }",
        "slots.size = { type = \"gib\", max = 3 }",
        "unknown key for a slot of type 'gib'",
    );
    refuses(
        "slots.label = { type = \"opaque\", max = 64 }",
        "slots.label = { type = \"opaque\", mx = 64 }",
        "did you mean 'max'?",
    );
    refuses("[private-data]", "[privat-data]", "did you mean 'private-data'?");
    refuses("slots.size = { type = \"gib\" }", "slots.size = { type = \"gip\" }", "did you mean 'gib'?");
}

#[test]
fn what_stands_twice_is_told_at_the_second_place() {
    refuses("[private-data]", "[driver]", "duplicate key");
    refuses("name = \"exports\"", "name = \"shares\"", "a root 'shares' is declared above");
    refuses("name = \"feed\"", "name = \"copy-tree\"", "stands in [[execute]] already");
    refuses("name = \"record\"", "name = \"feed\"", "stands in [[execute]] already");
    refuses("paths = [\"{share}\"]", "paths = [\"{share}\", \"{share}\"]", "listed twice");
    refuses("counters = [\"export-id\"]", "counters = [\"export-id\", \"export-id\"]", "named twice");
    refuses("supplied = [\"mount-options\"]", "supplied = [\"tier\", \"tier\"]", "'tier' is listed twice");
    refuses(
        "name = \"export-address\"",
        "name = \"num_shell_tries\"",
        "every backend has an option of this name",
    );
}

#[test]
fn the_contract_and_the_identity_are_checked() {
    refuses("contract = \"0.1\"", "contract = \"0.2\"", "this host speaks '0.1'");
    refuses("version = \"1.2.3\"", "version = \"one\"", "driver.version");
    refuses("vendor = \"Example\"", "vendor = \" \"", "who publishes");
    refuses("dhss = [false]", "dhss = []", "[false, true]");
    refuses("protocols = [\"NFS\"]", "protocols = [\"NFS\", \"NFS\"]", "each once");
    refuses("name = \"sample\"", "name = \"sam ple\"", "driver.name");
}

#[test]
fn slots_are_declared_used_and_in_their_place() {
    refuses("slots.from = {", "slots.form = {", "declared but stands nowhere");
    refuses(
        "args = [\"--archive\", \"--\", \"{from}\", \"{to}\"]",
        "args = [\"--archive\", \"--\", \"{form}\", \"{to}\"]",
        "did you mean '{from}'?",
    );
    refuses(
        "args = [\"--size\", \"{size}\", \"{label}\"]",
        "args = [\"--size\", \"{size}\", \"label={label}\"]",
        "only as a whole argument",
    );
    refuses(
        "args = [\"--size\", \"{size}\", \"{label}\"]",
        "args = [\"--size\", \"{size}\", \"{label}\", \"{key}\"]",
        "never in an argument",
    );
    refuses("stdin = \"{key}\"", "stdin = \"{key} {label}\"", "only as a whole argument");
    refuses("stdin = \"{key}\"", "stdin = \"{key}\"\nenv.TOKEN = \"{key}\" #!", "the environment is fixed");
    refuses("text = \"{path} {clients}\"", "text = \"{path} {client}\"", "did you mean '{clients}'?");
    refuses(
        "text = \"{path} {clients}\"\nslots.path = { type = \"path\", kind = \"text\",",
        "text = \"{path} {clients}\"\nslots.path = { type = \"path\", kind = \"existing\",",
        "use kind = \"text\"",
    );
    refuses(
        "args = [\"--size\", \"{size}\", \"{label}\"]\nstdin = \"{key}\"\nslots.size = { type = \"gib\" }",
        "args = [\"--size\", \"{size}\", \"{label}\"]\nstdin = \"{key}\"\nslots.size = { type = \"access-rules\", of = \"call\", style = \"exports5\" }",
        "only in a file",
    );
}

#[test]
fn roots_exist_and_their_use_fits() {
    refuses(
        "slots.to = { type = \"path\", kind = \"new\", root = \"shares\",",
        "slots.to = { type = \"path\", kind = \"new\", root = \"share\",",
        "did you mean 'shares'?",
    );
    refuses(
        "slots.to = { type = \"path\", kind = \"new\", root = \"shares\",",
        "slots.to = { type = \"path\", kind = \"new\", root = \"exports\",",
        "read by a privileged program",
    );
    refuses(
        "root = \"exports\"\npath = \"{share}.json\"",
        "root = \"shares\" #!\npath = \"{share}.json\"",
        "a tenant could replace the file",
    );
    refuses("paths = [\"{share}\"]", "paths = [\"all\"]", "the same for every tenant");
    refuses("use = \"data\"", "use = \"stuff\"", "unknown variant 'stuff'");
}

#[test]
fn patterns_are_checked_where_they_stand() {
    refuses("path = \"{share}.json\"", "path = \"../{share}\"", "file[record].path");
    refuses("path = \"{share}.json\"", "path = \"{tenant}\"", "not a name the host derives");
    refuses("path = \"{share}.json\"", "path = \"{source-share}\"", "may only be read");
    refuses("pattern = [\"{share}@{snapshot}\"] }", "pattern = [\"all\"] }", "scope = \"backend\"");
    refuses("pattern = [\"{share}@{snapshot}\"] }", "pattern = [] }", "at least one pattern");
    refuses("pattern = [\"{share}@{snapshot}\"] }", "pattern = [\"{source-share}\"] }", "may only be read");
}

#[test]
fn reasons_are_given() {
    refuses("reason = \"a snapshot is a copy\"", "reason = \"  \"", "a reason is missing");
    refuses("reason = \"one fragment a share\"", "reason = \"\"", "a reason is missing");
    refuses("help = \"where clients find the server\"", "help = \"\"", "a reason is missing");
    refuses("backend-scope = \"a counter of exports\"", "backend-scope = \"\"", "a reason is missing");
    refuses("path = \"{share}.json\"", "reason = \"\" #!\npath = \"all.json\"", "a reason is missing");
}

#[test]
fn programs_are_names_with_fixed_surroundings() {
    refuses("program = \"cp\"", "program = \"/bin/cp\"", "without a directory");
    refuses("stdin = \"{key}\"", "stdin = \"{key}\"\nenv.LD_PRELOAD = \"x\" #!", "changes which code runs");
    refuses(
        "args = [\"--size\", \"{size}\", \"{label}\"]",
        "args = [\"--size\\n\", \"{size}\", \"{label}\"]",
        "control characters",
    );
}

#[test]
fn what_is_made_and_removed_is_declared() {
    refuses("creates = \"to\"", "creates = \"form\"", "the slot 'form' is not declared");
    refuses("creates = \"to\"", "creates = \"from\"", "not a path of kind 'new'");
    refuses("creates = \"to\"", "destroys = \"to\"", "not a path of kind 'remove'");
    refuses("effect = \"change\"", "effect = \"read\"", "effect = \"change\"");
}

#[test]
fn options_contradict_nothing() {
    refuses("required = true", "required = true\ndefault = \"a\" #!", "a required option has no default");
    refuses("required = true", "default = 3", "is a text");
    refuses("required = true", "min = 3", "only numbers have bounds");
    refuses(
        "type = \"string\"\nrequired = true",
        "type = \"enum\" #!\nrequired = true",
        "an enum needs `choices`",
    );
    refuses(
        "from-option = \"export-address\"",
        "from-option = \"export-adress\"",
        "did you mean 'export-address'?",
    );
    refuses(
        "type = \"string\"\nrequired = true",
        "type = \"secret\"\ndefault = \"secret://a\" #!",
        "a secret has no default",
    );
}

#[test]
fn a_secret_goes_only_where_its_name_stands() {
    let slot = "slots.key = { type = \"secret\", of = [\"password\"] }";
    refuses(slot, "slots.key = { type = \"secret\", of = [\"pasword\"] }", "did you mean 'password'?");
    refuses(
        slot,
        "slots.key = { type = \"secret\", of = [\"export-address\"] }",
        "is neither an option of type secret nor a purpose",
    );
    refuses(slot, "slots.key = { type = \"secret\", of = [] }", "which secrets it takes");
}

#[test]
fn a_json_template_is_json_whatever_stands_in_its_slots() {
    refuses(
        "text = '{ \"size\": {size}, \"kind\": \"share\" }'",
        "text = '{ \"size\": \"{size}\", \"kind\": \"share\" }'",
        "without quotes around it",
    );
    refuses(
        "text = '{ \"size\": {size}, \"kind\": \"share\" }'",
        "text = '{ {size}: 1, \"kind\": \"share\" }'",
        "this is no JSON",
    );
}

#[test]
fn limits_are_bounded() {
    refuses("creates = \"to\"", "creates = \"to\"\ncapture = 99999999999 #!", "bytes of output are kept");
    refuses("creates = \"to\"", "creates = \"to\"\ntimeout = 0 #!", "from 1 to 86400 seconds");
    assert!(parse(&"#".repeat(LARGEST_BYTES + 1), "driver.toml").is_err());
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = SOUND
        .replace("contract = \"0.1\"", "contract = \"7\"")
        .replace("program = \"cp\"", "program = \"/bin/cp\"");
    let error = parse(&text, "driver.toml").expect_err("two problems");
    let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.is_sorted());
}

#[test]
fn text_that_is_no_toml_is_told_with_its_place() {
    let error = parse("[driver]\nname = sample\n", "driver.toml").expect_err("no TOML");
    assert_eq!(error.problems[0].line, 2);
}
