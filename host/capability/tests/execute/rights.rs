use crate::lab::{Lab, at, at_of, code, denial, slot, snapshot_slots};
use bulkhead_capability::backend::BackendParts;
use bulkhead_capability::slot::SlotValue;
use bulkhead_helper::protocol::{SlotArgument, Unreviewed};
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::manifest::CommandTemplate;
use bulkhead_model::share::share_name;
use bulkhead_model::target::{CallTarget, Resource};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_granted_template_is_run_with_the_program_roots_and_paths_of_this_backend() {
    let lab = Lab::new().await;
    let call = lab.snapshot_call();
    call.execute().run("copy-tree", &snapshot_slots()).await.expect("it runs");
    let requests = lab.fake.requests();
    let request = requests.first().expect("one request");
    assert_eq!((request.program.as_str(), request.unreviewed), ("/usr/bin/cp", Unreviewed::Refused));
    let path = |pattern: &str| {
        let on_disk = lab.on_disk(pattern);
        let name = on_disk.file_name().and_then(|name| name.to_str()).expect("a name");
        SlotArgument::Path(name.parse().expect("a path"))
    };
    let slots: Vec<_> = request.slots.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(slots, [("from", path("{share}")), ("to", path("{share}@{snapshot}"))]);
    let root = request.roots.values().next().expect("one root");
    assert_eq!(root.path, lab.directory.path().join("shares").to_str().expect("a text"));
    assert!(root.identity.is_some());
}

#[tokio::test]
async fn every_denial_names_the_line_that_would_allow_it_and_is_recorded() {
    let lab = Lab::new().await;
    let call = lab.call();
    let execute = call.execute();
    let text = [slot("text", SlotValue::Text("x".to_owned()))];
    let measured = denial(execute.run("not-granted", &[at("at", "{share}")]).await);
    assert!(measured.contains("grant.templates.not-granted = \"sha256:"), "{measured}");
    let unreviewed = denial(execute.run("expose", &text).await);
    assert!(unreviewed.contains("ceiling.unreviewed-programs = [\"tool\"]"), "{unreviewed}");
    let shell = denial(execute.run("shell", &[]).await);
    assert!(shell.contains("runs other programs"), "{shell}");
    let config = denial(execute.run("rewrite-export", &[at("at", "{share}.exports")]).await);
    assert!(config.contains("use = \"data\""), "{config}");
    let pattern = denial(execute.run("measure", &[at("at", "{share}@{snapshot}")]).await);
    assert!(pattern.contains("slots.at with pattern"), "{pattern}");
    assert!(lab.fake.requests().is_empty());
    let effects = lab.effects().await;
    assert_eq!(effects.len(), 5);
    assert!(effects.iter().all(|effect| effect.outcome == EffectOutcome::Denied));
    assert!(effects.iter().all(|effect| effect.capability == "execute.run"));
}

/// Templates of the whole backend, beside one that makes a share in a directory of the backend.
fn add_backend_templates(parts: &mut BackendParts, victims: &[&str]) {
    let slot = |kind: &str, patterns: &[&str]| json!({ "type": "path", "kind": kind, "root": "shares", "pattern": patterns });
    let template = |name: &str, effect: &str, program: &str, args: &[&str], slots: Value| {
        json!({
            "name": name, "reason": "a test", "effect": effect, "repeat": "safe", "program": program, "args": args,
            "slots": slots, "scope": "backend",
        })
    };
    let from = slot("existing", victims);
    let copy = ["--archive", "--no-target-directory", "--", "{from}", "{to}"];
    let mut make = template(
        "make",
        "change",
        "cp",
        &copy,
        json!({ "from": slot("existing", &["pattern"]), "to": slot("new", &["{share}", "pool/{share}"]) }),
    );
    let mut copy_any =
        template("copy-any", "change", "cp", &copy, json!({ "from": from, "to": slot("new", &["{share}"]) }));
    let mut remove_any = template(
        "remove-any",
        "destroy",
        "rm",
        &["--recursive", "--force", "--", "{old}"],
        json!({ "old": slot("remove", victims) }),
    );
    let measure_any = template(
        "measure-any",
        "read",
        "du",
        &["--summarize", "--bytes", "--", "{at}"],
        json!({ "at": from }),
    );
    (make["creates"], copy_any["creates"], remove_any["destroys"]) = (json!("to"), json!("to"), json!("old"));
    let mut manifest = crate::lab::manifest();
    for template in [make, copy_any, remove_any, measure_any] {
        let template: CommandTemplate = serde_json::from_value(template).expect("a template");
        parts.grant.templates.insert(template.name.clone(), template.digest());
        manifest.commands.push(template);
    }
    parts.manifest = Arc::new(manifest);
}

#[tokio::test]
async fn a_template_of_the_whole_backend_is_no_way_to_the_shares_inside_or_around_its_path() {
    let victim = ShareInstanceId::random();
    let (share, inner) = (share_name(victim), format!("{}/inner", share_name(victim)));
    let victims = [share.as_str(), inner.as_str(), "pool"];
    let lab = Lab::with(|parts| add_backend_templates(parts, &victims)).await;
    let owner = lab.call_about(CallTarget::share(victim));
    for place in ["{share}", "pool/{share}"] {
        let slots = [at("from", "pattern"), at("to", place)];
        owner.execute().run("make", &slots).await.expect("it runs");
    }
    let call = lab.call();
    let before = lab.fake.requests().len();
    let copied = |from: &str| [at("from", from), at("to", "{share}")];
    call.execute().run("copy-any", &copied("pool")).await.expect("nothing stands there");
    for made in [&inner, &format!("pool/{share}")] {
        std::fs::create_dir_all(lab.on_disk(made)).expect("made");
    }
    for place in victims {
        for result in [
            call.execute().run("copy-any", &copied(place)).await,
            call.execute().run("remove-any", &[at("old", place)]).await,
        ] {
            let error = denial(result);
            assert!(error.contains("reaches no share or snapshot"), "{place}: {error}");
        }
    }
    for place in [&share, &inner] {
        denial(call.execute().run("measure-any", &[at("at", place)]).await);
    }
    call.execute().run("measure-any", &[at("at", "pool")]).await.expect("a directory of the backend");
    assert_eq!(lab.fake.requests().len(), before + 2, "what was denied never began");
    let effects = lab.effects().await;
    assert_eq!(effects.iter().filter(|effect| effect.outcome == EffectOutcome::Denied).count(), 8);
}

#[tokio::test]
async fn without_capability_program_or_root_nothing_runs() {
    let measure = [at("at", "{share}")];
    let lab = Lab::with(|parts| parts.grant.capabilities.clear()).await;
    let found = denial(lab.call().execute().run("measure", &measure).await);
    assert!(found.contains("grant.capabilities = [\"execute\"]"), "{found}");
    let lab = Lab::with(|parts| parts.grant.programs.clear()).await;
    let found = denial(lab.call().execute().run("measure", &measure).await);
    assert!(found.contains("grant.programs.du = \"/usr/bin/du\""), "{found}");
    let lab = Lab::with(|parts| parts.grant.roots.clear()).await;
    let found = denial(lab.call().execute().run("measure", &measure).await);
    assert!(found.contains("grant.roots.shares"), "{found}");
}

#[tokio::test]
async fn the_ceiling_lets_an_unreviewed_program_through_but_never_a_shell() {
    let lab = Lab::with(|parts| {
        parts.ceiling.unreviewed_programs = ["tool".to_owned(), "sh".to_owned()].into();
    })
    .await;
    let call = lab.call();
    let text = [slot("text", SlotValue::Text("x".to_owned()))];
    call.execute().run("expose", &text).await.expect("it runs");
    assert_eq!(lab.fake.requests()[0].unreviewed, Unreviewed::Allowed);
    denial(call.execute().run("shell", &[]).await);
}

#[tokio::test]
async fn an_undeclared_template_and_wrong_slots_are_faults_of_the_driver() {
    let lab = Lab::new().await;
    let call = lab.call();
    let execute = call.execute();
    let unknown = execute.run("format-disk\u{1b}", &[]).await.expect_err("a failure");
    assert_eq!(unknown.code, CapabilityCode::InvalidArgument);
    assert!(unknown.message.contains("[[execute]] name = \"format-disk\\u{1b}\""), "{unknown}");
    let size = || slot("size", SlotValue::Unsigned(1));
    for slots in [
        vec![size()],
        vec![size(), at("at", "{share}"), size()],
        vec![size(), at("at", "{share}"), slot("other", SlotValue::Unsigned(1))],
        vec![slot("size", SlotValue::Text("1".to_owned())), at("at", "{share}")],
    ] {
        assert_eq!(
            code(execute.run("limit-size", &slots).await),
            CapabilityCode::InvalidArgument,
            "{slots:?}"
        );
    }
    assert!(lab.fake.requests().is_empty());
}

#[tokio::test]
async fn another_tenants_share_is_denied_in_every_slot() {
    let lab = Lab::new().await;
    let foreign = Some(Resource::Share(ShareInstanceId::random()));
    let call = lab.snapshot_call();
    let execute = call.execute();
    for (template, slots) in [
        ("copy-tree", vec![at_of("from", "{share}", foreign), at("to", "{share}@{snapshot}")]),
        ("copy-tree", vec![at("from", "{share}"), at_of("to", ".{share}.new", foreign)]),
        ("remove-tree", vec![at_of("old", "{share}", foreign)]),
        ("limit-size", vec![slot("size", SlotValue::Unsigned(1)), at_of("at", "{share}", foreign)]),
        ("measure", vec![at_of("at", "{share}", foreign)]),
    ] {
        denial(execute.run(template, &slots).await);
    }
    assert!(lab.fake.requests().is_empty());
}

#[tokio::test]
async fn a_call_about_many_shares_does_not_mix_them_in_one_command() {
    let lab = Lab::new().await;
    let other = ShareInstanceId::random();
    let call = lab.call_about(CallTarget { shares: vec![lab.share, other], ..CallTarget::default() });
    let other = Some(Resource::Share(other));
    let mixed = [at("from", "{share}"), at_of("to", ".{share}.new", other)];
    assert_eq!(code(call.execute().run("copy-tree", &mixed).await), CapabilityCode::InvalidArgument);
    let of_one = [at_of("from", "{share}", other), at_of("to", ".{share}.new", other)];
    assert!(call.execute().run("copy-tree", &of_one).await.is_ok());
    assert_eq!(lab.fake.requests().len(), 1);
}

#[tokio::test]
async fn the_source_of_a_new_share_is_copied_from_and_never_changed() {
    let lab = Lab::new().await;
    let call = lab.call_from_snapshot();
    let source = "{source-share}@{source-snapshot}";
    call.execute().run("copy-tree", &[at("from", source), at("to", "{share}")]).await.expect("it is copied");
    let changed = [slot("size", SlotValue::Unsigned(1)), at("at", source)];
    let found = denial(call.execute().run("limit-size", &changed).await);
    assert!(found.contains("may only be read"), "{found}");
    assert_eq!(lab.fake.requests().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_of_a_guest_becomes_an_option_or_steers_a_terminal(text in "(-{0,2}|)[\\PC\\x00-\\x1f]{0,30}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let lab = Lab::with(|parts| parts.ceiling.unreviewed_programs = ["tool".to_owned()].into()).await;
            let call = lab.call();
            let slots = [slot("text", SlotValue::Text(text.clone()))];
            if call.execute().run("expose", &slots).await.is_ok() {
                let requests = lab.fake.requests();
                assert_eq!(requests[0].slots.values().next(), Some(&SlotArgument::Text(text.clone())));
                assert!(!text.starts_with('-') && !text.is_empty() && !text.chars().any(char::is_control));
            }
        });
    }
}
