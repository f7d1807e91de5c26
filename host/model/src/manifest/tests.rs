//! What a grant pins.

use super::*;

fn file_template(text: &str) -> FileTemplate {
    FileTemplate {
        name: "export".parse().expect("a label"),
        reason: "a reason".to_owned(),
        root: "exports".parse().expect("a label"),
        path: "{share}.exports".parse().expect("a pattern"),
        format: FileFormat::Lines,
        text: text.to_owned(),
        slots: BTreeMap::from([("port".parse().expect("a label"), SlotType::Port)]),
    }
}

#[test]
fn other_words_are_another_template() {
    let digest = file_template("{port}").digest();
    assert_eq!(file_template("{port}").digest(), digest);
    assert_ne!(file_template("{port} ").digest(), digest);
    let mut other_type = file_template("{port}");
    other_type.slots.insert("port".parse().expect("a label"), SlotType::Bytes);
    assert_ne!(other_type.digest(), digest);
}

fn root(root_use: RootUse, paths: &[&str]) -> RootDeclaration {
    RootDeclaration {
        name: "exports".parse().expect("a label"),
        root_use,
        reason: "a reason".to_owned(),
        paths: paths.iter().map(|path| path.parse().expect("a pattern")).collect(),
    }
}

#[test]
fn another_use_or_other_paths_are_another_root() {
    let digest = root(RootUse::Config, &["{share}"]).digest();
    assert_eq!(root(RootUse::Config, &["{share}"]).digest(), digest);
    assert_ne!(root(RootUse::State, &["{share}"]).digest(), digest);
    assert_ne!(root(RootUse::Config, &[]).digest(), digest);
    assert_ne!(root(RootUse::Config, &["{share}", "all"]).digest(), digest);
}

#[test]
fn a_digest_stays_the_same_from_release_to_release() {
    assert_eq!(
        file_template("{port}").digest().to_string(),
        "sha256:c140a92e1145ade7ccf3989ef8da0d9f9d084b11ef5b0fc2e08766a71b41d8e8"
    );
    assert_eq!(
        root(RootUse::Config, &["{share}"]).digest().to_string(),
        "sha256:07fbf006c71099174dcef47023f7b0c51a02fb1a68a04d75d1fa6ebd3877fa24"
    );
}

#[test]
fn a_request_that_reaches_elsewhere_is_another_one() {
    let request = |path: &str| -> RequestTemplate {
        serde_json::from_value(serde_json::json!({
            "name": "create", "reason": "a reason", "effect": "change", "repeat": "safe", "endpoint": "array", "method": "POST",
            "path": path,
        }))
        .expect("a request")
    };
    assert_eq!(request("/volumes").digest(), request("/volumes").digest());
    assert_ne!(request("/volumes").digest(), request("/users").digest());
}
