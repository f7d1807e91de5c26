//! A daemon that is killed while it commits: what was acknowledged is there, and nothing is there by halves.

use bulkhead_store::{Key, SqliteStore, Store, Transaction};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const DIRECTORY: &str = "BULKHEAD_TEST_STORE_DIRECTORY";
const WRITERS: u64 = 4;

fn key(side: &str, writer: u64, number: u64) -> Key {
    Key::new(&[side, &writer.to_string(), &number.to_string()])
}

/// Not a test: what the test below starts as a process of its own and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test that kills it"]
#[expect(clippy::disallowed_methods, reason = "a child process learns from its environment what to do")]
async fn commit_until_killed() {
    let directory = std::env::var(DIRECTORY).expect("run by its parent");
    let store = Arc::new(SqliteStore::open(Path::new(&directory)).expect("a store"));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0.. {
                    let transaction = Transaction::new()
                        .put(key("left", writer, number), vec![1; 700])
                        .put(key("right", writer, number), vec![2; 700]);
                    store.commit(transaction).await.expect("a commit");
                    println!("acknowledged {writer} {number}");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
}

fn run_and_kill(directory: &Path, after_lines: usize) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "crash::commit_until_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let mut acknowledged = Vec::new();
    for line in output.lines() {
        // The harness may begin a line with the test's name.
        let line = line.expect("text");
        let Some((_, numbers)) = line.split_once("acknowledged ") else { continue };
        let (writer, number) = numbers.split_once(' ').expect("two numbers");
        acknowledged.push((writer.parse().expect("a number"), number.parse().expect("a number")));
        if acknowledged.len() == after_lines {
            child.kill().expect("it runs");
        }
    }
    child.wait().expect("it ended");
    acknowledged
}

#[tokio::test]
async fn a_killed_daemon_loses_no_acknowledged_commit_and_leaves_no_half_one() {
    for after_lines in [1, 40, 150] {
        let directory = tempfile::tempdir().expect("a directory");
        let acknowledged = run_and_kill(directory.path(), after_lines);
        assert!(acknowledged.len() >= after_lines);
        let store = SqliteStore::open(directory.path()).expect("the store of the dead");
        for (writer, number) in &acknowledged {
            assert!(
                store.get(&key("left", *writer, *number)).await.expect("a read").is_some(),
                "commit {number} of writer {writer} was acknowledged and is lost"
            );
        }
        let side = async |side| {
            let found = store.scan(&Key::prefix(&[side])).await.expect("a scan");
            found
                .into_iter()
                .map(|(key, found)| (key.parts()[1..].to_vec(), found.revision))
                .collect::<Vec<_>>()
        };
        assert_eq!(side("left").await, side("right").await, "half a commit");
    }
}
