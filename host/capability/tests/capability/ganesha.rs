//! Files that NFS-Ganesha reads: what stands at a place, and what never gets there.

use crate::lab::{Lab, slot};
use bulkhead_capability::backend::BackendParts;
use bulkhead_capability::slot::{PathChoice, Slot, SlotValue};
use bulkhead_capability::testing::grant_everything;
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{AccessMappingId, AccessRuleId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::share_name;
use bulkhead_model::target::{CallTarget, Resource};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const BUS: &str = "<busconfig>\n  <allow own=\"*\"/>\n</busconfig>";

fn manifest() -> Manifest {
    let mut manifest = crate::lab::manifest();
    let export = json!({
        "name": "nfs-export", "reason": "an export", "root": "exports", "path": "{share}.conf", "format": "ganesha",
        "text": "EXPORT { Export_Id = {id}; Path = {path}; Pseudo = \"/{name}\"; Tag = {uuid}; Access_Type = {access}; Addr = {address}; Net = {network}; {clients} FSAL { Name = VFS; } }",
        "slots": {
            "id": { "type": "integer", "min": 1, "max": 65_535 },
            "path": { "type": "path", "kind": "text", "root": "shares", "pattern": ["{share}"] },
            "name": { "type": "name" }, "uuid": { "type": "uuid" }, "address": { "type": "ip" }, "network": { "type": "cidr" },
            "access": { "type": "enum", "values": ["None", "RO"] },
            "clients": { "type": "access-rules", "of": "call", "style": "ganesha" },
        },
    });
    let mut opaque = export.clone();
    opaque["name"] = json!("careless");
    opaque["slots"]["address"] = json!({ "type": "opaque", "max": 100 });
    let bus = json!({
        "name": "bus", "reason": "a bus", "root": "exports", "path": "bus.conf", "format": "lines", "text": BUS,
    });
    manifest
        .files
        .extend([export, opaque, bus].map(|file| serde_json::from_value(file).expect("a template")));
    manifest
}

async fn lab() -> Lab {
    Lab::with(|parts: &mut BackendParts| {
        let roots: BTreeMap<_, _> =
            parts.grant.roots.iter().map(|(name, root)| (name.as_str(), root.path.clone())).collect();
        parts.grant = grant_everything(&manifest(), &roots);
        parts.manifest = Arc::new(manifest());
    })
    .await
}

fn with_rules(lab: &Lab) -> CallTarget {
    let rule = |to: &str, level| AccessRule {
        id: AccessRuleId::random(),
        mapping_id: AccessMappingId::random(),
        access_to: AccessTo::parse("ip", to).expect("a rule"),
        level,
    };
    let rules = vec![rule("10.0.0.0/24", AccessLevel::Rw), rule("10.0.0.9", AccessLevel::Ro)];
    CallTarget { access_rules: Some(rules), ..CallTarget::share(lab.share) }
}

fn sound(lab: &Lab) -> Vec<Slot> {
    let text = |name: &str, text: &str| slot(name, SlotValue::Text(text.to_owned()));
    vec![
        slot("id", SlotValue::Signed(7)),
        slot("path", SlotValue::Path(PathChoice { pattern: "{share}".to_owned(), of: None })),
        slot("name", SlotValue::NameOf(Resource::Share(lab.share))),
        text("uuid", "00000000-0000-4000-8000-000000000001"),
        text("address", "2001:db8::1"),
        text("network", "10.0.0.0/24"),
        text("access", "None"),
    ]
}

#[tokio::test]
async fn names_paths_and_ids_are_quoted_and_the_rest_stands_plain() {
    let lab = lab().await;
    let call = lab.call_about(with_rules(&lab));
    call.files().write_template("nfs-export", &sound(&lab)).await.expect("written");
    let (share, path) = (share_name(lab.share), lab.on_disk("{share}").display().to_string());
    let expected = format!(
        "EXPORT {{ Export_Id = 7; Path = \"{path}\"; Pseudo = \"/{share}\"; Tag = \"00000000-0000-4000-8000-000000000001\"; \
         Access_Type = None; Addr = 2001:db8::1; Net = 10.0.0.0/24; \
         CLIENT {{ Clients = 10.0.0.9; Access_Type = RO; Protocols = 3, 4; }} \
         CLIENT {{ Clients = 10.0.0.0/24; Access_Type = RW; Protocols = 3, 4; }} FSAL {{ Name = VFS; }} }}"
    );
    let written = std::fs::read_to_string(lab.in_root("exports", "{share}.conf")).expect("a file");
    assert_eq!(written, expected);
}

#[tokio::test]
async fn no_hostile_text_gets_into_a_file_in_any_slot() {
    let lab = lab().await;
    let call = lab.call_about(with_rules(&lab));
    let before = lab.everything();
    for hostile in [
        "\"",
        "a\"; Squash = No_Root_Squash; Path = \"/",
        "a\nPath = /;",
        "a\r",
        "%include \"/etc/shadow\"",
        "%url rados://x",
        "RO; Squash = none",
        "Plugins_Dir = /tmp",
        "None; } EXPORT { Path = /; }",
        "FSAL { Name = PROXY; }",
        "#",
        "a\\",
        "\0",
        "",
        "10.0.0.1, 0.0.0.0/0",
        "*",
        "\u{2028}",
    ] {
        for place in 0..sound(&lab).len() {
            let mut slots = sound(&lab);
            slots[place].value = SlotValue::Text(hostile.to_owned());
            let refused = call.files().write_template("nfs-export", &slots).await.expect_err("refused");
            assert_eq!(refused.code, CapabilityCode::InvalidArgument, "{hostile:?} at {place}");
        }
        let mut slots = sound(&lab);
        slots[1].value = SlotValue::Path(PathChoice { pattern: hostile.to_owned(), of: None });
        let refused = call.files().write_template("nfs-export", &slots).await.expect_err("refused");
        assert_eq!(refused.code, CapabilityCode::Denied, "{hostile:?}");
    }
    assert_eq!(lab.everything(), before);
}

#[tokio::test]
async fn a_careless_manifest_with_free_text_writes_nothing() {
    let lab = lab().await;
    let call = lab.call_about(with_rules(&lab));
    let refused = call.files().write_template("careless", &sound(&lab)).await.expect_err("refused");
    assert_eq!(refused.code, CapabilityCode::InvalidArgument);
    assert!(
        refused.message.contains("opaque cannot stand in a file of NFS-Ganesha's"),
        "{}",
        refused.message
    );
    assert!(!lab.in_root("exports", "{share}.conf").exists());
}

#[tokio::test]
async fn literal_text_of_a_template_is_the_vendors_own() {
    let lab = lab().await;
    lab.call().files().write_template("bus", &[]).await.expect("written");
    let written = std::fs::read_to_string(lab.in_root("exports", "bus.conf")).expect("a file");
    assert_eq!(written, format!("{BUS}\n"));
}
