//! Drivers that each break one sentence: the kit names it, and no other.

use crate::flaws::{
    FLAWS, FLAWS_IN_TROUBLE, FLAWS_IN_TROUBLE_ON_SERVERS, FLAWS_IN_TROUBLE_WHILE_PENDING, FLAWS_ON_SERVERS,
    FLAWS_WHILE_PENDING, Flaw,
};
use crate::{check, config, names, report, with_verdict};
use bulkhead_conformance::{all_checks, all_sweeps};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the driver is given beside its flaw: metadata that it acts on.
const METADATA: &str = "[share.metadata]\nlabel = \"gold\"\n";
/// The option that lets its backend go on by itself.
const PENDING: &str = "pending_looks = 2\n";
/// The option that lets its shares live on servers.
const ON_SERVERS: &str = "driver_handles_share_servers = true\n";

/// The file for one run.
fn lab(folder: &Path, options: &str) -> String {
    config(folder, &format!("{METADATA}[options]\n{options}"))
}

fn reds_of((flaw, reds): &Flaw, options: &str, words: &[&str]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = lab(folder.path(), &format!("flaw = \"{flaw}\"\n{options}"));
    let (report, code) = report("pupils", &[&["--config", &file], words].concat());
    let found = with_verdict(&report, "broken");
    let expected: BTreeSet<&str> = reds.iter().copied().collect();
    if names(&found) == expected && code == Some(1) {
        return Ok(());
    }
    let told: Vec<String> = found.iter().map(|(id, check)| format!("{id}: {}", check["findings"])).collect();
    Err(format!("{flaw}: expected {expected:?}, exit code {code:?}, found {}", told.join("; ")))
}

/// Try all of `flaws`, two at a time, with the words that `words` has for each.
fn all_red(flaws: &[Flaw], options: &str, words: impl Fn(&Flaw) -> Vec<&'static str> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(flaw) = flaws.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(told) = reds_of(flaw, options, &words(flaw)) {
                        wrong.lock().expect("no other failed").push(told);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no other failed");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every check, and no sweep.
fn without_faults(_: &Flaw) -> Vec<&'static str> {
    vec!["--budget", "0"]
}

/// The sweeps that must be red, with every fault. All sweeps for each flaw would take a quarter of an hour; that none is red without reason,
/// the pupil without a flaw shows.
fn named_sweeps((_, reds): &Flaw) -> Vec<&'static str> {
    let only = reds.iter().flat_map(|red| ["--only", *red]);
    only.chain(["--budget", "300"]).collect()
}

/// Every fault in every host call of every function, whatever the time; the functions that were swept, and the faults.
fn flawless(options: &str) -> (BTreeSet<String>, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = lab(folder.path(), options);
    let (report, code) = report("pupils", &["--config", &file, "--budget", "600"]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let (mut functions, mut tried) = (BTreeSet::new(), 0);
    let checks = report["checks"].as_array().expect("checks").iter();
    for check in checks.filter(|check| check["faults"].is_object()) {
        assert_eq!(check["faults"]["skipped"], 0, "{check}");
        assert_eq!(check["verdict"], "held", "{check}");
        functions.insert(check["function"].as_str().expect("a name").to_owned());
        tried += check["faults"]["tried"].as_u64().expect("a number");
    }
    let left = report["left-behind"].as_array().expect("a list");
    assert!(left.is_empty(), "{left:?}");
    (functions, tried)
}

#[test]
fn a_pupil_that_keeps_the_contract_passes_with_every_fault_in_every_host_call() {
    let (functions, tried) = flawless("");
    assert!(functions.len() >= 34 && tried > 500, "{tried} faults in {functions:?}");
}

#[test]
fn a_pupil_whose_backend_goes_on_by_itself_is_followed_and_passes_with_every_fault() {
    let (functions, _) = flawless(PENDING);
    assert!(functions.contains("share-status.share-status"), "{functions:?}");
}

#[test]
fn every_flaw_is_named_by_the_sentence_it_breaks_and_no_other_is() {
    all_red(FLAWS, "", without_faults);
}

#[test]
fn a_flaw_that_shows_only_while_the_backend_goes_on_is_named() {
    all_red(FLAWS_WHILE_PENDING, PENDING, without_faults);
}

#[test]
fn a_driver_that_fails_only_in_trouble_is_caught_by_the_sweep() {
    all_red(FLAWS_IN_TROUBLE, "", named_sweeps);
    all_red(FLAWS_IN_TROUBLE_WHILE_PENDING, PENDING, named_sweeps);
}

#[test]
fn a_pupil_whose_shares_live_on_servers_keeps_the_contract_there_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = lab(folder.path(), ON_SERVERS);
    let (report, code) = report("pupils", &["--config", &file, "--budget", "0"]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let held = with_verdict(&report, "held");
    for wanted in
        ["create-share", "access-add", "revert-content", "group", "set-up-server", "server-for-group"]
    {
        assert!(held.iter().any(|(id, _)| *id == wanted), "{wanted} is judged too");
    }
    let left = report["left-behind"].as_array().expect("a list");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn flaws_of_servers_are_named_where_shares_live_on_them() {
    let about_servers = ["--only", "server", "--only", "service", "--only", "subnet"];
    all_red(FLAWS_ON_SERVERS, ON_SERVERS, |_: &Flaw| [&["--budget", "0"], &about_servers[..]].concat());
    all_red(FLAWS_IN_TROUBLE_ON_SERVERS, ON_SERVERS, named_sweeps);
    let folder = tempfile::tempdir().expect("a folder");
    let file = lab(folder.path(), ON_SERVERS);
    let words = ["--config", &file, "--budget", "300", "--only", "server-converges"];
    let (report, code) = report("pupils", &words);
    assert_eq!((with_verdict(&report, "held").len(), code), (2, Some(0)), "{report}");
}

#[test]
fn a_driver_that_keeps_an_address_of_a_share_that_is_gone_is_named() {
    let flaw: &Flaw = &("keeps-an-address", &["delete-share-leaves-nothing"]);
    let words = ["--budget", "0", "--only", "delete-share-leaves-nothing"];
    reds_of(flaw, ON_SERVERS, &words).expect("it is named");
}

#[test]
fn where_shares_live_on_no_server_the_report_says_what_would_let_them() {
    let (report, _) = report("pupils", &["--only", "set-up-server", "--budget", "0"]);
    let skipped = with_verdict(&report, "skipped");
    let (_, check) = skipped.first().expect("it was skipped");
    assert!(
        check["reason"].as_str().is_some_and(|why| why.contains("driver_handles_share_servers = true")),
        "{check}"
    );
}

#[test]
fn no_check_is_without_a_flaw_that_it_catches() {
    let all = [
        FLAWS,
        FLAWS_WHILE_PENDING,
        FLAWS_IN_TROUBLE,
        FLAWS_IN_TROUBLE_WHILE_PENDING,
        FLAWS_ON_SERVERS,
        FLAWS_IN_TROUBLE_ON_SERVERS,
    ]
    .concat();
    let caught: BTreeSet<&str> = all.iter().flat_map(|(_, reds)| reds.iter().copied()).collect();
    let checks = all_checks().into_iter().map(|check| check.id);
    let all: BTreeSet<&str> = checks.chain(all_sweeps().into_iter().map(|sweep| sweep.id)).collect();
    assert_eq!(caught, all);
}

#[test]
fn a_small_budget_leaves_out_faults_and_says_so() {
    let (report, code) = report("pupils", &["--only", "create-share-converges", "--budget", "0"]);
    let skipped = with_verdict(&report, "skipped");
    let (_, check) = skipped.first().expect("it was skipped");
    assert!(check["reason"].as_str().is_some_and(|reason| reason.contains("--budget")), "{check}");
    assert!(check["faults"]["skipped"].as_u64().is_some_and(|skipped| skipped > 0), "{check}");
    assert_eq!(code, Some(1), "nothing was judged");
}

#[test]
fn people_and_ci_are_told_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\nflaw = \"creates-once\"\n");
    let junit = folder.path().join("junit.xml");
    let words = ["--config", &file, "--budget", "0", "--only", "create-share", "--junit"];
    let output = check("pupils", &[&words[..], &[&junit.display().to_string()]].concat());
    let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let sentence =
        "Idempotent: if the share is there with this size, succeeds with the same export locations.";
    assert!(text.contains("BROKEN  create-share-again") && text.contains(sentence), "{text}");
    assert!(told.contains("1 sentences of the contract do not hold: create-share-again"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    let xml = std::fs::read_to_string(junit).expect("written");
    assert!(xml.contains("failures=\"1\"") && xml.contains("name=\"create-share-again: Idempotent"), "{xml}");
}

#[test]
fn a_file_with_a_mistake_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), "[options]\nflow = \"none\"\n[[answer]]\ncommand = \"show\"\n");
    let output = check("pupils", &["--config", &file]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("lab.toml:2:1: options.flow") && told.contains("no 'show' among its commands"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
}
