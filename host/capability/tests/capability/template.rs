use crate::lab::{Lab, at, code, path_slot, slot};
use bulkhead_capability::encode::NOBODY;
use bulkhead_capability::slot::{Slot, SlotValue};
use bulkhead_model::access::{AccessLevel, AccessRule, AccessTo};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{AccessMappingId, AccessRuleId, ShareInstanceId};
use bulkhead_model::target::{CallTarget, Resource};
use std::os::unix::fs::{MetadataExt, symlink};

fn rule(access_type: &str, access_to: &str) -> AccessRule {
    AccessRule {
        id: AccessRuleId::random(),
        mapping_id: AccessMappingId::random(),
        access_to: AccessTo::parse(access_type, access_to).expect("a rule"),
        level: AccessLevel::Rw,
    }
}

fn with_rules(lab: &Lab, rules: Vec<AccessRule>) -> CallTarget {
    CallTarget { access_rules: Some(rules), ..CallTarget::share(lab.share) }
}

fn facts(size: SlotValue, address: &str) -> [Slot; 3] {
    [
        slot("size", size),
        slot("address", SlotValue::Text(address.to_owned())),
        slot("name", SlotValue::NameOf(Resource::Share(ShareInstanceId::random()))),
    ]
}

#[tokio::test]
async fn an_export_lists_the_clients_of_the_call_and_is_replaced_in_one_step() {
    let lab = Lab::new().await;
    let path = lab.in_root("exports", "{share}.exports");
    let share = lab.on_disk("{share}").display().to_string();
    for (rules, clients) in [
        (vec![rule("ip", "10.0.0.0/24"), rule("ip", "2001:db8::7")], "10.0.0.0/24(rw) 2001:db8::7(rw)"),
        (Vec::new(), NOBODY),
    ] {
        let call = lab.call_about(with_rules(&lab, rules));
        for _ in 0..2 {
            call.files().write_template("export", &[path_slot("{share}", None)]).await.expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("a file"), format!("{share} {clients}\n"));
        }
    }
    assert_eq!(std::fs::metadata(&path).expect("a file").mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(lab.in_root("exports", "")).expect("a directory").count(), 1);
    let last = lab.effects().await.pop().expect("an effect");
    assert!(last.detail.contains(NOBODY), "the ledger holds the text: {}", last.detail);
    let call = lab.call();
    for _ in 0..2 {
        call.files().remove_template("export", &[]).await.expect("removed");
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn a_user_among_exports5_clients_is_left_out_and_the_others_stay() {
    let lab = Lab::new().await;
    let path = lab.in_root("exports", "{share}.exports");
    let share = lab.on_disk("{share}").display().to_string();
    for (rules, clients) in [
        (vec![rule("user", "alice"), rule("ip", "10.0.0.1")], "10.0.0.1(rw)"),
        (vec![rule("user", "alice")], NOBODY),
    ] {
        let call = lab.call_about(with_rules(&lab, rules));
        call.files().write_template("export", &[path_slot("{share}", None)]).await.expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), format!("{share} {clients}\n"));
    }
}

#[tokio::test]
async fn slots_are_filled_once_each_with_what_their_type_allows() {
    let lab = Lab::new().await;
    let own = || slot("name", SlotValue::NameOf(Resource::Share(lab.share)));
    let size = || slot("size", SlotValue::Unsigned(4096));
    let address = |text: &str| slot("address", SlotValue::Text(text.to_owned()));
    let call = lab.call();
    for slots in [
        vec![],
        vec![size(), own()],
        vec![size(), address("10.0.0.1"), own(), size()],
        vec![size(), address("10.0.0.1"), own(), slot("other", SlotValue::Unsigned(1))],
        vec![slot("size", SlotValue::Signed(-1)), address("10.0.0.1"), own()],
        vec![slot("size", SlotValue::Text("1".to_owned())), address("10.0.0.1"), own()],
        vec![size(), address("10.0.0.1\", \"x\": \""), own()],
        vec![size(), address("nas.example.org"), own()],
        vec![size(), address(&"1".repeat(5000)), own()],
    ] {
        assert_eq!(
            code(call.files().write_template("facts", &slots).await),
            CapabilityCode::InvalidArgument,
            "{slots:?}"
        );
    }
    let slots = [size(), address("10.0.0.1"), own()];
    call.files().write_template("facts", &slots).await.expect("written");
    let text = call.files().read(&at("state", "{share}.json", None)).await.expect("a file");
    let read: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let name = Resource::Share(lab.share).to_string();
    assert_eq!(read, serde_json::json!({ "size": 4096, "address": "10.0.0.1", "name": name }));
}

#[tokio::test]
async fn a_template_is_about_one_resource_of_the_call() {
    let lab = Lab::new().await;
    let foreign = facts(SlotValue::Unsigned(1), "10.0.0.1");
    assert_eq!(code(lab.call().files().write_template("facts", &foreign).await), CapabilityCode::Denied);
    let other = ShareInstanceId::random();
    let call = lab.call_about(CallTarget { shares: vec![lab.share, other], ..CallTarget::default() });
    let mut slots = facts(SlotValue::Unsigned(1), "10.0.0.1");
    slots[2] = slot("name", SlotValue::NameOf(Resource::Share(other)));
    call.files().write_template("facts", &slots).await.expect("the second share's");
    assert!(
        !lab.in_root("state", "{share}.json").exists(),
        "the file is the named resource's, not the subject's"
    );
    call.files().remove_template("facts", &slots).await.expect("removed");
    let mixed = [
        slot("name", SlotValue::NameOf(Resource::Share(other))),
        path_slot("{share}", Some(Resource::Share(lab.share))),
    ];
    assert_eq!(code(call.files().write_template("facts", &mixed).await), CapabilityCode::InvalidArgument);
}

#[tokio::test]
async fn a_path_left_to_the_subject_is_of_the_resource_that_another_slot_names() {
    let lab = Lab::new().await;
    let other = ShareInstanceId::random();
    let call = lab.call_about(CallTarget { shares: vec![lab.share, other], ..CallTarget::default() });
    let slots = [path_slot("{share}", None), slot("name", SlotValue::NameOf(Resource::Share(other)))];
    call.files().write_template("both", &slots).await.expect("written");
    let name = Resource::Share(other).to_string();
    let text = std::fs::read_to_string(lab.in_root("exports", &format!("{name}.both"))).expect("a file");
    let root = lab.in_root("shares", "").display().to_string();
    assert_eq!(text, format!("{}/{name} {name}\n", root.trim_end_matches('/')));
}

#[tokio::test]
async fn rules_stand_only_in_calls_that_carry_them() {
    let lab = Lab::new().await;
    let slots = [path_slot("{share}", None)];
    let error = lab.call().files().write_template("export", &slots).await.expect_err("no rules");
    assert_eq!(error.code, CapabilityCode::InvalidArgument);
    let forged = [path_slot("{share}", None), slot("clients", SlotValue::Text("*(rw)".to_owned()))];
    let call = lab.call_about(with_rules(&lab, Vec::new()));
    assert_eq!(code(call.files().write_template("export", &forged).await), CapabilityCode::InvalidArgument);
    assert_eq!(code(call.files().write_template("unknown", &[]).await), CapabilityCode::InvalidArgument);
}

#[tokio::test]
async fn a_file_or_link_of_somebody_else_is_not_replaced() {
    let lab = Lab::new().await;
    let precious = lab.directory.path().join("precious");
    std::fs::write(&precious, "bytes").expect("bytes");
    let call = lab.call_about(with_rules(&lab, Vec::new()));
    let path = lab.in_root("exports", "{share}.exports");
    let slots = [path_slot("{share}", None)];
    std::fs::write(&path, "the operator's").expect("bytes");
    assert_eq!(code(call.files().write_template("export", &slots).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().remove_template("export", &[]).await), CapabilityCode::NotOwned);
    std::fs::remove_file(&path).expect("removed");
    call.files().write_template("export", &slots).await.expect("written");
    std::fs::remove_file(&path).expect("removed behind our back");
    symlink(&precious, &path).expect("a link");
    assert_eq!(code(call.files().write_template("export", &slots).await), CapabilityCode::NotOwned);
    assert_eq!(std::fs::read_to_string(&precious).expect("bytes"), "bytes");
}
