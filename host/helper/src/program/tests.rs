use super::*;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::Label;
use std::collections::BTreeMap;

fn template(program: &str, words: &[&str]) -> CommandTemplate {
    let path = |kind: &str| {
        serde_json::from_value(
            serde_json::json!({ "type": "path", "kind": kind, "root": "pool", "pattern": ["{share}"] }),
        )
        .expect("a slot type")
    };
    let slots: BTreeMap<Label, SlotType> = [
        ("from", path("existing")),
        ("to", path("new")),
        ("inside", path("new-inside")),
        ("old", path("remove")),
        ("size", SlotType::Bytes),
        ("text", SlotType::Opaque { max: 100 }),
        ("shift", SlotType::Integer { min: -1, max: 1 }),
    ]
    .into_iter()
    .map(|(name, slot)| (name.parse().expect("a label"), slot))
    .filter(|(name, _): &(Label, _)| words.iter().any(|word| word.contains(&format!("{{{name}}}"))))
    .collect();
    let named = |name: &str| slots.keys().find(|label| label.as_str() == name).cloned();
    let (creates, destroys) = (named("to").or(named("inside")), named("old"));
    let mut template: CommandTemplate = serde_json::from_value(serde_json::json!({
        "name": "tried", "reason": "a test", "effect": "destroy", "repeat": "safe", "program": program, "args": words,
    }))
    .expect("a template");
    (template.slots, template.creates, template.destroys) = (slots, creates, destroys);
    template
}

fn refusal(program: &str, words: &[&str]) -> Option<Refusal> {
    check(&template(program, words), Unreviewed::Refused).err()
}

#[test]
fn what_the_table_knows_is_let_through() {
    for (program, words) in [
        ("cp", vec!["--archive", "--reflink=auto", "--no-target-directory", "--", "{from}", "{to}"]),
        ("chmod", vec!["0777", "--", "{from}"]),
        ("btrfs", vec!["subvolume", "create", "{to}"]),
        ("btrfs", vec!["subvolume", "snapshot", "-r", "{from}", "{to}"]),
        ("btrfs", vec!["subvolume", "delete", "--commit-after", "{old}"]),
        ("btrfs", vec!["qgroup", "limit", "{size}", "{from}"]),
        ("btrfs", vec!["property", "set", "{from}", "ro", "true"]),
        ("btrfs", vec!["qgroup", "show", "--raw", "-ref", "{from}"]),
        ("btrfs", vec!["inspect-internal", "rootid", "{from}"]),
        ("btrfs", vec!["subvolume", "list", "-o", "{from}"]),
        ("rm", vec!["--recursive", "--force", "--one-file-system", "--", "{old}"]),
        ("stat", vec!["-c", "%s %b", "--", "{from}"]),
        ("du", vec!["-s", "--block-size=1", "--", "{from}"]),
        ("true", vec![]),
    ] {
        assert_eq!(refusal(program, &words), None, "{program} {words:?}");
    }
}

#[test]
fn an_option_nobody_reviewed_is_denied() {
    for (program, words) in [
        ("cp", vec!["--target-directory={from}", "--", "{from}", "{to}"]),
        ("cp", vec!["--archive", "-L", "--", "{from}", "{to}"]),
        ("cp", vec!["--backup=simple", "--", "{from}", "{to}"]),
        ("chmod", vec!["4777", "--", "{from}"]),
        ("chmod", vec!["0777", "--recursive", "--", "{from}"]),
        ("cp", vec!["--reflink={text}", "--", "{from}", "{to}"]),
        ("cp", vec!["{text}", "--", "{from}", "{to}"]),
        ("rm", vec!["--no-preserve-root", "--", "{old}"]),
        ("rm", vec!["-r", "--", "/"]),
        ("du", vec!["--files0-from=-", "--", "{from}"]),
        ("stat", vec!["-c", "{text}", "--", "{from}"]),
        ("stat", vec!["-c"]),
        ("btrfs", vec!["receive", "{from}"]),
        ("btrfs", vec!["subvolume", "delete", "{from}"]),
        ("btrfs", vec!["qgroup", "limit", "{shift}", "{from}"]),
        ("btrfs", vec!["qgroup", "limit", "{text}", "{from}"]),
        ("btrfs", vec!["{text}", "create", "{to}"]),
        ("btrfs", vec!["subvolume", "create", "{to}", "{to}"]),
        ("btrfs", vec!["subvolume", "create"]),
        ("true", vec!["{text}"]),
    ] {
        let found = refusal(program, &words).unwrap_or_else(|| panic!("{program} {words:?} was let through"));
        assert_eq!(found.code, CapabilityCode::Denied, "{program} {words:?}");
    }
}

#[test]
fn operands_stand_behind_a_separator() {
    let found = refusal("cp", &["--archive", "{from}", "{to}"]).expect("it is denied");
    assert!(found.message.contains("\"--\""), "{found}");
}

#[test]
fn a_program_that_runs_others_is_denied_whatever_the_ceiling_says() {
    for program in [
        "sh",
        "bash",
        "BASH",
        "python",
        "python3",
        "python3.13",
        "perl5.36",
        "find",
        "env",
        "xargs",
        "tar",
        "rsync",
        "nsenter",
        "ip",
        "mount",
        "dd",
        "sqlite3",
        "zfs",
        "ssh",
        "busybox",
        "sudo",
        "lua5.4",
    ] {
        let found = check(&template(program, &[]), Unreviewed::Allowed).expect_err(program);
        assert!(found.message.contains("no line"), "{found}");
    }
    for program in ["cp", "btrfs", "exportfs", "lvcreate", "stat"] {
        assert!(!runs_others(program), "{program}");
    }
}

#[test]
fn a_program_outside_the_table_needs_the_ceiling() {
    let template = template("exportfs", &["-ra"]);
    let found = check(&template, Unreviewed::Refused).expect_err("it is denied");
    assert!(found.message.ends_with("ceiling.unreviewed-programs = [\"exportfs\"]"), "{found}");
    assert!(matches!(check(&template, Unreviewed::Allowed), Ok(Review::Unreviewed)));
}

#[test]
fn an_effect_is_not_played_down() {
    let mut template = template("rm", &["-r", "--", "{old}"]);
    template.effect = CommandEffect::Read;
    let found = check(&template, Unreviewed::Refused).expect_err("it is denied");
    assert!(found.message.contains("effect = \"destroy\""), "{found}");
}

#[test]
fn what_is_made_or_removed_must_be_declared() {
    let mut made = template("btrfs", &["subvolume", "create", "{to}"]);
    made.creates = None;
    let mut removed = template("rm", &["-r", "--", "{old}"]);
    removed.destroys = None;
    for (template, line) in [(made, "creates = \"to\""), (removed, "destroys = \"old\"")] {
        let found = check(&template, Unreviewed::Refused).expect_err("it is denied");
        assert!(found.message.contains(line), "{found}");
    }
}

const SEND: &[&str] = &["send", "-q", "-p", "{from}", "{from}"];
const RECEIVE: &[&str] = &["receive", "-q", "-e", "{inside}"];

fn refused_stages(stages: &[(&str, &[&str])]) -> Option<Refusal> {
    let templates: Vec<_> = stages.iter().map(|(program, words)| template(program, words)).collect();
    let stages: Vec<_> = templates.iter().map(|template| (template, Unreviewed::Allowed)).collect();
    check_stages(&stages).err()
}

#[test]
fn what_is_sent_is_for_the_one_that_receives_it_and_nobody_else() {
    assert_eq!(refused_stages(&[("btrfs", SEND), ("btrfs", RECEIVE)]), None);
    for stages in [
        vec![("btrfs", SEND)],
        vec![("btrfs", RECEIVE)],
        vec![("btrfs", RECEIVE), ("btrfs", SEND)],
        vec![("btrfs", SEND), ("true", &[])],
        vec![("true", &[]), ("btrfs", RECEIVE)],
        vec![("btrfs", SEND), ("filter", &[]), ("btrfs", RECEIVE)],
        vec![("btrfs", SEND), ("btrfs", RECEIVE), ("btrfs", RECEIVE)],
    ] {
        let found = refused_stages(&stages).expect("it is denied");
        assert!(found.message.contains("[[pipeline]]"), "{stages:?}: {found}");
    }
    assert_eq!(refused_stages(&[("true", &[]), ("filter", &[])]), None);
}

#[test]
fn a_stream_goes_to_no_file_and_past_no_error() {
    for words in [
        vec!["send", "-f", "/tmp/file", "{from}"],
        vec!["send", "-c", "{from}", "{from}"],
        vec!["send", "-p", "/srv/other", "{from}"],
        vec!["receive", "-f", "/tmp/file", "{inside}"],
        vec!["receive", "-E", "0", "{inside}"],
        vec!["receive", "-m", "/", "{inside}"],
        vec!["receive", "--dump"],
        vec!["receive", "{from}"],
        vec!["receive", "{to}"],
    ] {
        let found = refusal("btrfs", &words).expect("it is denied");
        assert_eq!(found.code, CapabilityCode::Denied, "{words:?}");
    }
}

#[test]
fn a_name_that_is_made_inside_a_directory_is_made_by_who_receives_it() {
    for (program, words) in [
        ("btrfs", vec!["subvolume", "create", "{inside}"]),
        ("cp", vec!["--", "{from}", "{inside}"]),
        ("mkdir", vec!["--", "{inside}"]),
    ] {
        assert!(refusal(program, &words).is_some(), "{program} {words:?}");
    }
    let mut undeclared = template("btrfs", RECEIVE);
    undeclared.creates = None;
    let found = check(&undeclared, Unreviewed::Refused).expect_err("it is denied");
    assert!(found.message.contains("creates = \"inside\""), "{found}");
}

#[test]
fn only_who_receives_may_make_device_nodes() {
    let privilege =
        |words: &[&str]| check(&template("btrfs", words), Unreviewed::Refused).expect("it fits").privilege();
    assert_eq!(privilege(RECEIVE), Privilege::Replicas);
    assert_eq!(privilege(SEND), Privilege::Filesystems);
}
