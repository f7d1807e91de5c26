use crate::helper::{Helper, Request, passed_over};
use bulkhead_helper::protocol::{Ending, SlotArgument};
use bulkhead_model::error::CapabilityCode;
use serde_json::json;

fn shown(helper: &mut Helper, request: Request) -> Vec<String> {
    let finished = helper.run(request).expect("it runs");
    assert_eq!(finished.ending, Ending::Exited(0));
    String::from_utf8(finished.stdout).expect("text").lines().map(str::to_owned).collect()
}

fn lines<'line>(shown: &'line [String], kind: &str) -> Vec<&'line str> {
    shown.iter().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' ')).collect()
}

#[test]
fn a_command_gets_its_words_its_environment_and_nothing_else() {
    let mut helper = Helper::start(&[]);
    let request = Request::victim(&["show", "a b", "$HOME"]).with("env", json!({ "DECLARED": "yes" }));
    let shown = shown(&mut helper, request);
    assert_eq!(lines(&shown, "argument"), ["a b", "$HOME"]);
    assert_eq!(lines(&shown, "variable"), ["DECLARED=yes", "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    assert_eq!(lines(&shown, "directory"), ["/"]);
    assert_eq!(lines(&shown, "arguments-are"), ["victim"]);
    let descriptors = lines(&shown, "descriptor");
    assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    assert!(descriptors.contains(&"/dev/null"), "{descriptors:?}");
    let status = lines(&shown, "status");
    assert!(status.contains(&"NoNewPrivs: 1") && status.contains(&"Umask: 0077"), "{status:?}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}: 0000000000000000").as_str()), "{status:?}");
    }
    if rustix::process::geteuid().is_root() {
        assert!(status.contains(&"CapBnd: 0000000000000000"), "{status:?}");
    } else {
        passed_over("not root: there are no capabilities to drop");
    }
}

#[test]
fn what_a_tenant_could_write_arrives_as_one_word_or_not_at_all() {
    let mut helper = Helper::start(&[]);
    let directory = tempfile::tempdir().expect("a directory");
    let canary = directory.path().join("canary");
    let touch = format!("touch {}", canary.display());
    let hostile = [
        format!("; {touch}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("| {touch} |"),
        format!("x\n{touch}"),
        format!("x\0{touch}"),
        format!("x\r{touch}"),
        "%0a".to_owned(),
        "a\u{2028}b".to_owned(),
        "a\u{202e}b".to_owned(),
        "-rf".to_owned(),
        "--help".to_owned(),
        "-oProxyCommand=touch".to_owned(),
        "@file".to_owned(),
        "-b".to_owned(),
        String::new(),
        "*".to_owned(),
        "~root".to_owned(),
        "{text}".to_owned(),
    ];
    let mut arrived = 0;
    for text in hostile {
        let request = Request::victim(&["show", "{text}"]).slot(
            "text",
            json!({ "type": "opaque", "max": 4096 }),
            SlotArgument::Text(text.clone()),
        );
        match helper.run(request) {
            Ok(finished) => {
                let shown = String::from_utf8(finished.stdout).expect("text");
                assert_eq!(shown.lines().next(), Some(format!("argument {text}").as_str()));
                assert!(!text.starts_with('-') && !text.is_empty(), "{text:?}");
                arrived += 1;
            }
            Err(refusal) => assert_eq!(refusal.code, CapabilityCode::InvalidArgument, "{text:?}"),
        }
        assert!(!canary.exists(), "{text:?}");
    }
    assert_eq!(arrived, 9);
}

#[test]
fn variables_that_steer_code_are_refused_by_the_helper_too() {
    let mut helper = Helper::start(&[]);
    for name in ["LD_PRELOAD", "GLIBC_TUNABLES", "PYTHONPATH", "IFS", "LC_ALL", "SSH_AUTH_SOCK"] {
        let refused = helper.run(Request::victim(&["show"]).with("env", json!({ name: "x" })));
        assert_eq!(refused.expect_err(name).code, CapabilityCode::Denied);
    }
}

#[test]
fn an_interpreter_is_refused_under_its_own_name_and_under_another() {
    let mut helper = Helper::start(&[]);
    for name in ["sh", "bash", "python3", "perl", "env", "xargs", "find", "tar"] {
        let refused = helper.run(Request::victim(&["-c", "id"]).with("program", json!(name)));
        assert_eq!(refused.expect_err(name).code, CapabilityCode::Denied);
    }
    let mut disguised = Request::reviewed("true", "read", &[]);
    disguised.program = "/usr/bin/sh".to_owned();
    assert_eq!(helper.run(disguised).expect_err("a shell").code, CapabilityCode::Denied);
}

#[test]
fn standard_input_is_what_the_template_says() {
    let mut helper = Helper::start(&[]);
    let request = Request::victim(&["copy-input"]).with("stdin", json!("size {size}\n")).slot(
        "size",
        json!({ "type": "bytes" }),
        SlotArgument::Unsigned(7),
    );
    assert_eq!(helper.run(request).expect("it runs").stdout, b"size 7\n");
    assert_eq!(helper.run(Request::victim(&["copy-input"])).expect("it runs").stdout, b"");
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let mut helper = Helper::start(&[]);
    assert_eq!(helper.run(Request::victim(&["exit", "7"])).expect("it runs").ending, Ending::Exited(7));
    let aborted = helper.run(Request::victim(&["die-by", "abort"])).expect("it runs").ending;
    assert_eq!(aborted, Ending::Signalled(rustix::process::Signal::ABORT.as_raw()));
}

#[test]
fn what_belongs_inside_a_group_does_not_run_outside() {
    let mut helper = Helper::start(&[]);
    let refused = helper.run(Request::victim(&["exit", "0"]).with("inside", json!("nfs")));
    assert_eq!(refused.expect_err("no group is said").code, CapabilityCode::InvalidArgument);
}
