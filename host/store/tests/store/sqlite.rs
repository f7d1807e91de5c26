//! What only the store on disk has: it is opened again, damaged, newer, or somebody else's.

use bulkhead_store::{Key, SqliteStore, Store, StoreError, Transaction};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn key(name: &str) -> Key {
    Key::new(&["test", name])
}

fn new_directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("state.sqlite")
}

/// A directory with a closed store of some size.
async fn filled() -> TempDir {
    let directory = new_directory();
    let store = SqliteStore::open(directory.path()).expect("a store");
    for number in 0..50 {
        store
            .commit(Transaction::new().put(key(&number.to_string()), vec![b'x'; 4000]))
            .await
            .expect("a commit");
    }
    directory
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    files
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file"))
        })
        // The lock names its last holder; whoever reads makes an index of the log, and an empty log if there is none.
        .filter(|(name, _)| name != "lock" && name != "state.sqlite-shm")
        .filter(|(name, bytes)| name != "state.sqlite-wal" || !bytes.is_empty())
        .collect()
}

/// Opening fails, nothing changes, and it fails the same way again.
fn refused(directory: &TempDir) -> StoreError {
    let before = contents(directory.path());
    SqliteStore::open(directory.path()).expect_err("refused");
    let error = SqliteStore::open(directory.path()).expect_err("refused again");
    assert!(contents(directory.path()) == before, "a refused file was changed");
    error
}

fn corrupt(directory: &TempDir) -> String {
    let error = refused(directory);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("state.sqlite") && text.contains("nothing was changed") && text.contains("backup"),
        "{text}"
    );
    text
}

#[tokio::test]
async fn what_was_committed_is_there_when_it_is_opened_again() {
    let directory = new_directory();
    let store = SqliteStore::open(directory.path()).expect("a store");
    store.commit(Transaction::new().put(key("kept"), b"value".to_vec())).await.expect("a commit");
    let newest = store.commit(Transaction::new().put(key("gone"), vec![])).await.expect("a commit");
    store.commit(Transaction::new().delete(key("gone"))).await.expect("a commit");
    drop(store);
    let store = SqliteStore::open(directory.path()).expect("the store again");
    assert_eq!(store.get(&key("kept")).await.expect("a read").expect("a value").value, b"value");
    let later = store.commit(Transaction::new().put(key("gone"), vec![])).await.expect("a commit");
    assert!(later.number() > newest.number() + 1, "a revision came back after a restart");
}

#[tokio::test]
async fn a_second_daemon_on_the_same_directory_is_refused_by_name() {
    let directory = filled().await;
    let store = SqliteStore::open(directory.path()).expect("a store");
    let error = SqliteStore::open(directory.path()).expect_err("locked");
    let holder = Some(std::process::id());
    assert!(
        matches!(&error, StoreError::Locked { path, holder: found } if path == directory.path() && *found == holder)
    );
    assert!(error.to_string().contains(&format!("another daemon (process {})", std::process::id())));
    store.commit(Transaction::new().put(key("a"), vec![])).await.expect("the first goes on");
    drop(store);
    SqliteStore::open(directory.path()).expect("free again");
}

#[test]
fn the_directory_and_its_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = new_directory();
    let directory = parent.path().join("state");
    let _store = SqliteStore::open(&directory).expect("a store");
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let parent = new_directory();
    let path = parent.path().join("missing").join("state");
    let error = SqliteStore::open(&path).expect_err("no parent");
    assert!(matches!(&error, StoreError::Open { path: found, .. } if *found == path));
    assert!(error.to_string().contains("check that the directory exists"));
    fs::write(parent.path().join("file"), "").expect("a file");
    let error = SqliteStore::open(&parent.path().join("file")).expect_err("a file in its place");
    assert!(matches!(error, StoreError::Open { .. }));
}

#[tokio::test]
async fn a_truncated_file_is_refused_wherever_it_was_cut() {
    let directory = filled().await;
    let whole = fs::read(file(&directory)).expect("the file");
    for length in
        [0, 1, 16, 50, 99, 100, 512, 4096, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1]
    {
        fs::write(file(&directory), &whole[..length]).expect("a cut file");
        corrupt(&directory);
    }
    fs::write(file(&directory), &whole).expect("the backup");
    SqliteStore::open(directory.path()).expect("the backup opens");
}

#[tokio::test]
async fn a_file_that_was_overwritten_in_the_middle_is_refused() {
    let directory = filled().await;
    let mut bytes = fs::read(file(&directory)).expect("the file");
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(file(&directory), bytes).expect("a damaged file");
    corrupt(&directory);
}

#[test]
fn a_text_file_is_refused() {
    let directory = new_directory();
    fs::write(file(&directory), "This is no store, but a text of some length.\n".repeat(1000))
        .expect("a file");
    assert!(corrupt(&directory).contains("does not begin as a store does"));
}

#[tokio::test]
async fn a_log_without_its_file_is_not_taken_for_an_empty_store() {
    let directory = filled().await;
    fs::rename(file(&directory), directory.path().join("state.sqlite-wal")).expect("a log");
    assert!(corrupt(&directory).contains("its log"));
}

#[test]
fn a_file_that_was_never_finished_is_made_again() {
    let directory = new_directory();
    fs::write(directory.path().join("state.sqlite.new"), "half").expect("a leftover");
    drop(SqliteStore::open(directory.path()).expect("a store"));
    assert!(!directory.path().join("state.sqlite.new").exists());
}

fn change_header(directory: &TempDir, statement: &str) {
    let connection = rusqlite::Connection::open(file(directory)).expect("the file");
    connection.execute_batch(statement).expect("a statement");
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let directory = filled().await;
    change_header(&directory, "PRAGMA application_id = 1");
    assert!(corrupt(&directory).contains("another program"));
}

#[tokio::test]
async fn a_newer_format_is_refused_with_instructions() {
    let directory = filled().await;
    change_header(&directory, "PRAGMA user_version = 4711");
    let error = refused(&directory);
    assert!(matches!(error, StoreError::NewerFormat { found: 4711, known: 1, .. }));
    let text = error.to_string();
    assert!(text.contains("Start the newer Bulkhead") && text.contains("nothing was changed"), "{text}");
}

#[tokio::test]
async fn a_program_that_only_reads_the_file_disturbs_nobody() {
    let directory = filled().await;
    let store = SqliteStore::open(directory.path()).expect("a store");
    let connection = rusqlite::Connection::open(file(&directory)).expect("the file");
    connection.execute_batch("BEGIN; SELECT count(*) FROM entry;").expect("a reading transaction");
    store.commit(Transaction::new().put(key("a"), b"new".to_vec())).await.expect("a commit");
    assert_eq!(store.get(&key("a")).await.expect("a read").expect("a value").value, b"new");
}
