//! Manifests with purposes of secrets, each wrong in one way.

use super::parse;

const MANIFEST: &str = r#"
[driver]
name = "keys"
vendor = "acme"
version = "0.1.0"
contract = "0.1"
dhss = [false]
protocols = ["NFS"]

[[option]]
name = "password"
type = "secret"
help = "a password"

[[secret]]
name = "access-key"
reason = "what a tenant is let in with"
length = 40
keep = true

[[execute]]
name = "print-key"
reason = "a user has a key"
effect = "read"
repeat = "safe"
program = "btrfs"
args = ["version"]
captures.access-key = { line = "key = " }

[[execute]]
name = "unlock"
reason = "the key is asked for"
effect = "change"
repeat = "safe"
program = "btrfs"
args = ["unlock"]
stdin = "{key}"
slots.key = { type = "secret", of = ["password", "access-key"] }

[[endpoint]]
name = "array"
reason = "users are managed there"

[[request]]
name = "make-key"
reason = "the array makes the key"
effect = "change"
repeat = "safe"
scope = "backend"
endpoint = "array"
method = "POST"
path = "/keys"
captures.access-key = { json = "/key" }
"#;

fn told(manifest: &str) -> String {
    match parse(manifest, "driver.toml") {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn refuses(from: &str, to: &str, wanted: &str) {
    assert!(MANIFEST.contains(from), "{from}");
    let told = told(&MANIFEST.replace(from, to));
    assert!(told.contains(wanted), "{to}: {told}");
}

#[test]
fn a_purpose_is_declared_with_its_reason_and_a_sensible_length() {
    assert_eq!(told(MANIFEST), "accepted");
    refuses("length = 40", "length = 7", "a secret has 8 to 255 letters");
    refuses("length = 40", "length = 256", "a secret has 8 to 255 letters");
    refuses("name = \"access-key\"", "name = \"password\"", "is an option of type secret already");
    refuses("length = 40", "letters = 40", "letters");
    for name in ["name = \"access-key\"", "name = \"password\""] {
        refuses(name, "name = \"security-service\"", "is what the passwords of security services are for");
    }
}

#[test]
fn a_slot_takes_secrets_of_options_and_of_purposes() {
    refuses(
        "[\"password\", \"access-key\"]",
        "[\"password\", \"acces-key\"]",
        "'acces-key' is neither an option of type secret nor a purpose",
    );
}

#[test]
fn what_is_captured_is_for_a_declared_purpose_and_stands_somewhere() {
    for output in ["captures.access-key = { line", "captures.access-key = { json"] {
        let other = output.replace("access-key", "acess-key");
        refuses(output, &other, "the purpose 'acess-key' is not declared");
        refuses(output, &other, "did you mean 'access-key'?");
    }
    refuses("{ json = \"/key\" }", "{ json = \"key\" }", "a JSON pointer begins with '/'");
    refuses("{ json = \"/key\" }", "{ xml = \"key\" }", "a path in XML is '/'");
    refuses("{ json = \"/key\" }", "{ header = \"x-key\" }", "header");
}

#[test]
fn nothing_is_captured_of_an_answer_that_goes_into_a_file() {
    let captures = "captures.access-key = { json = \"/key\" }\n";
    let into_file = format!("answer = \"file\"\n{captures}");
    refuses(captures, &into_file, "the answer goes into a file, so nothing is captured of it");
}
