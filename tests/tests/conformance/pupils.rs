//! Drivers that each break one sentence: the kit names it, and no other.

use crate::{check, config, names, report, with_verdict};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A flaw, and the checks that must be red for it. Most flaws break one sentence that one check tries; some break what several rest on.
type Flaw = (&'static str, &'static [&'static str]);

/// Flaws that show without any fault.
const FLAWS: &[Flaw] = &[
    ("set-up-once", &["setup-again"]),
    ("stats-nan", &["stats"]),
    ("stats-free-above-total", &["stats-capacity"]),
    ("stats-writes", &["stats-read-only"]),
    ("fingerprint-of-time", &["backend-info-steady"]),
    ("promises-ipv6", &["ip-versions"]),
    ("foreign-address", &["create-share"]),
    ("creates-once", &["create-share-again"]),
    ("loses-location-on-repeat", &["create-share-again-locations"]),
    ("any-size", &["create-share-conflict"]),
    ("any-protocol", &["create-share-protocol"]),
    ("same-place-for-all", &["shares-apart"]),
    ("panics-on-long-names", &["names-at-their-limits"]),
    ("delete-wants-a-share", &["delete-share-gone"]),
    ("delete-leaves-a-record", &["delete-share-leaves-nothing"]),
    ("ensures-a-stranger", &["ensure-shares"]),
    ("ensure-moves", &["ensure-shares-locations"]),
    ("calls-all-sound", &["ensure-shares-gone"]),
    ("ensure-empties", &["ensure-shares-keeps-data"]),
    ("adds-once", &["access-add-again"]),
    ("removes-only-what-is-there", &["access-remove-absent"]),
    ("ignores-removals", &["access-remove"]),
    ("add-replaces", &["access-keeps-others"]),
    ("levels-are-for-ever", &["access-level"]),
    ("sync-empties", &["access-full-sync"]),
    ("sync-keeps", &["access-full-sync-removes"]),
    ("one-odd-rule-spoils-all", &["access-single-rule"]),
    ("snapshot-handle-changes", &["create-snapshot-again"]),
    ("snapshot-again-is-new", &["create-snapshot-again-content"]),
    ("one-snapshot-a-share", &["snapshots-apart", "delete-snapshot-keeps-others", "revert-content"]),
    ("snapshots-of-nothing", &["create-snapshot-no-share"]),
    ("snapshot-delete-wants-one", &["delete-snapshot-gone", "create-snapshot-no-share"]),
    ("snapshot-delete-leaves-a-record", &["delete-snapshot-leaves-nothing"]),
    ("clones-empty", &["clone-content", "clone-no-snapshot"]),
    ("clones-anything", &["clone-no-snapshot"]),
    ("clones-once", &["clone-again"]),
    ("reverts-nothing", &["revert-content"]),
    ("revert-eats-the-snapshot", &["revert-keeps-snapshot", "revert-again"]),
    ("reverts-once", &["revert-again"]),
    ("extends-once", &["extend-again"]),
    ("shrinks-once", &["shrink-again"]),
    ("shrinks-below-used", &["shrink-possible-data-loss"]),
    ("usage-negative", &["usage"]),
    ("usage-writes", &["usage-read-only"]),
    ("manages-once", &["manage-again"]),
    ("manages-anything", &["manage-missing"]),
    ("unmanage-deletes", &["unmanage-keeps", "manage"]),
    ("unmanages-once", &["unmanage-again"]),
    ("groups-once", &["group-again"]),
    ("group-delete-wants-one", &["delete-group-gone"]),
    ("group-delete-leaves-a-record", &["delete-group-leaves-nothing"]),
    ("no-unit", &["consistency-unit"]),
    ("group-snapshots-by-half", &["group-snapshot-members", "group-from-snapshot"]),
    ("groups-by-half", &["group-from-snapshot", "group-from-snapshot-again"]),
    ("two-active-replicas", &["create-replica"]),
    ("replicates-once", &["create-replica-again"]),
    ("promotes-beside", &["promote-replica"]),
    ("promotes-once", &["promote-replica-again"]),
    ("replica-delete-wants-one", &["delete-replica-gone"]),
];

/// Flaws that show only when a host call fails or is the last one.
const FLAWS_IN_TROUBLE: &[Flaw] = &[
    ("believes-its-record", &["create-share-converges"]),
    ("forgets-before-deleting", &["delete-share-converges"]),
    ("keeps-a-hold", &["access-add-converges", "access-remove-converges"]),
    ("snapshot-delete-hides-failures", &["delete-snapshot-converges"]),
    ("reverts-back-and-forth", &["revert-converges"]),
    ("extends-by-the-difference", &["extend-converges"]),
];

fn reds_of(flaw: &str, words: &[&str]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = config(folder.path(), &format!("[options]\nflaw = \"{flaw}\"\n"));
    let (report, code) = report("pupils", &[&["--config", &file], words].concat());
    let found = with_verdict(&report, "broken");
    let all = FLAWS.iter().chain(FLAWS_IN_TROUBLE);
    let expected: BTreeSet<&str> =
        all.filter(|(name, _)| *name == flaw).flat_map(|(_, ids)| ids.iter().copied()).collect();
    if names(&found) == expected && code == Some(i32::from(!expected.is_empty())) {
        return Ok(());
    }
    let told: Vec<String> = found.iter().map(|(id, check)| format!("{id}: {}", check["findings"])).collect();
    Err(format!("{flaw}: expected {expected:?}, exit code {code:?}, found {}", told.join("; ")))
}

/// Try all of `flaws`, two at a time.
fn all_red(flaws: &[Flaw], words: &[&str]) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((flaw, _)) = flaws.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(told) = reds_of(flaw, words) {
                        wrong.lock().expect("no other failed").push(told);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no other failed");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_pupil_that_keeps_the_contract_passes_with_every_fault_in_every_host_call() {
    let (report, code) = report("pupils", &["--budget", "600"]);
    let broken = with_verdict(&report, "broken");
    assert!(broken.is_empty() && code == Some(0), "{broken:?}");
    let swept =
        report["checks"].as_array().expect("checks").iter().filter(|check| check["faults"].is_object());
    let (mut functions, mut tried) = (0, 0);
    for check in swept {
        assert_eq!(check["faults"]["skipped"], 0, "{check}");
        assert_eq!(check["verdict"], "held", "{check}");
        functions += 1;
        tried += check["faults"]["tried"].as_u64().expect("a number");
    }
    assert!(functions >= 18 && tried > 300, "{tried} faults in {functions} functions");
    let left = report["left-behind"].as_array().expect("a list");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_flaw_is_named_by_the_sentence_it_breaks_and_no_other_is() {
    assert!(FLAWS.len() >= 20);
    all_red(FLAWS, &["--budget", "0"]);
}

#[test]
fn a_driver_that_fails_only_in_trouble_is_caught_by_the_sweep() {
    all_red(FLAWS_IN_TROUBLE, &["--only", "converges", "--budget", "300"]);
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
