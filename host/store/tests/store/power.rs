//! Power cuts, full and failing disks, under the store as it is.

use crate::disk::{Chance, LaidDisk, Plan};
use bulkhead_store::{Key, SqliteStore, Store, StoreError, Transaction};
use std::path::Path;

/// How many seeds a test run tries, unless the environment says more.
const SEEDS: u64 = 300;

fn key(side: &str, number: u64) -> Key {
    Key::new(&[side, &format!("{number:04}")])
}

fn transaction(number: u64, chance: &mut Chance) -> Transaction {
    let length = 1 + chance.below(9000);
    let value = vec![u8::try_from(number % 251).expect("small"); length];
    let both = Transaction::new().put(key("left", number), value.clone()).put(key("right", number), value);
    // Some content goes again, so that pages are used anew.
    if number > 5 && chance.below(3) == 0 {
        both.delete(key("gone", number - 5)).put(key("gone", number), vec![7; 3000])
    } else {
        both
    }
}

/// Whatever was acknowledged is there, whole, and nothing is there by halves.
async fn judge(folder: &Path, acknowledged: &[u64], tried: u64, what: &str) {
    let store = SqliteStore::open(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
    for number in 0..tried {
        let left = store.get(&key("left", number)).await.expect("a read").map(|found| found.value);
        let right = store.get(&key("right", number)).await.expect("a read").map(|found| found.value);
        assert_eq!(left, right, "{what}: commit {number} is there by half");
        if acknowledged.contains(&number) {
            let value =
                left.unwrap_or_else(|| panic!("{what}: commit {number} was acknowledged and is lost"));
            assert!(value.iter().all(|byte| u64::from(*byte) == number % 251), "{what}: commit {number}");
        }
    }
    store.commit(Transaction::new().put(key("after", 0), vec![1])).await.expect("it goes on");
}

/// A folder with an empty store.
fn empty_store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    drop(SqliteStore::open(folder.path()).expect("a store"));
    folder
}

/// Commit until the plan strikes; the numbers that were acknowledged before, and how many were tried.
async fn commit(folder: &Path, disk: &LaidDisk, chance: &mut Chance, most: u64) -> (Vec<u64>, u64) {
    let mut acknowledged = Vec::new();
    let Ok(store) = SqliteStore::open(folder) else { return (acknowledged, 0) };
    for number in 0..most {
        let outcome = store.commit(transaction(number, chance)).await;
        // An answer that came after the cut is none.
        if disk.is_cut() {
            return (acknowledged, number + 1);
        }
        if outcome.is_ok() {
            acknowledged.push(number);
        }
    }
    (acknowledged, most)
}

#[expect(clippy::disallowed_methods, reason = "the soak asks for more seeds by the environment")]
fn seeds() -> u64 {
    std::env::var("BULKHEAD_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let mut struck = 0;
    for seed in 0..seeds() {
        let mut chance = Chance::of_seed(seed);
        let folder = empty_store();
        let cut = 1 + u64::try_from(chance.below(400)).expect("small");
        let disk = LaidDisk::over(folder.path(), Plan::Cut(cut));
        let (acknowledged, tried) = commit(folder.path(), &disk, &mut chance, 40).await;
        let left = tempfile::tempdir().expect("a folder");
        if disk.leftovers(&mut chance, left.path()).is_some() {
            struck += 1;
            judge(left.path(), &acknowledged, tried, &format!("seed {seed}, cut at request {cut}")).await;
        }
    }
    assert!(struck > seeds() / 2, "only {struck} cuts struck while the store was at work");
    println!("{struck} power cuts of {} seeds, nothing lost", seeds());
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_fails_that_commit_and_nothing_else() {
    let mut number = 1;
    loop {
        let mut chance = Chance::of_seed(7);
        let folder = empty_store();
        let disk = LaidDisk::over(folder.path(), Plan::Full(number));
        let (acknowledged, tried) = commit(folder.path(), &disk, &mut chance, 12).await;
        let requests = disk.requests();
        drop(disk);
        assert!(
            u64::try_from(acknowledged.len()).expect("small") + 1 >= tried,
            "full at {number}: {acknowledged:?}"
        );
        judge(folder.path(), &acknowledged, tried, &format!("full at request {number}")).await;
        if requests < number {
            break;
        }
        number += 1;
    }
    assert!(number > 50, "only {number} writes were tried");
}

#[tokio::test]
async fn a_disk_that_fails_at_any_request_stops_the_store_and_loses_nothing_acknowledged() {
    let mut number = 1;
    loop {
        let mut chance = Chance::of_seed(11);
        let folder = empty_store();
        let disk = LaidDisk::over(folder.path(), Plan::Broken(number));
        let (acknowledged, tried) = commit(folder.path(), &disk, &mut chance, 12).await;
        let requests = disk.requests();
        drop(disk);
        let failed = u64::try_from(acknowledged.len()).expect("small") < tried;
        let in_order: Vec<u64> = (0..u64::try_from(acknowledged.len()).expect("small")).collect();
        assert_eq!(acknowledged, in_order, "broken at {number}: nothing is acknowledged after a failure");
        judge(folder.path(), &acknowledged, tried, &format!("broken at request {number}")).await;
        if !failed && requests < number {
            break;
        }
        number += 1;
    }
    assert!(number > 50, "only {number} requests were tried");
}

#[tokio::test]
async fn after_a_failed_flush_the_store_refuses_until_it_is_opened_again() {
    let folder = empty_store();
    let disk = LaidDisk::over(folder.path(), Plan::Nothing);
    let store = SqliteStore::open(folder.path()).expect("a store");
    let mut chance = Chance::of_seed(3);
    store.commit(transaction(0, &mut chance)).await.expect("a commit");
    disk.fail_from_now_on();
    for number in 1..4 {
        let outcome = store.commit(transaction(number, &mut chance)).await;
        assert!(matches!(outcome, Err(StoreError::Unusable { .. })), "{outcome:?}");
    }
    drop(store);
    drop(disk);
    judge(folder.path(), &[0], 4, "after a failed flush").await;
}
