//! What is written down of jobs, in the helper's runtime directory: `jobs/BACKEND/KEY.job` from before anything of it runs, and
//! `KEY.end` once it has ended; both names are digests. A file is there as a whole or not at all.

use crate::command::Counting;
use crate::protocol::{JobEnd, JobEntry, JobKey, JobState, Refusal, RunRequest, Unreviewed};
use crate::tree::{is_running, start_of};
use bulkhead_model::canonical::digest;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, geteuid, getpid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Goes before every record; one with another is not read.
const VERSION: u32 = 1;
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// Standard error of a job in a list, in bytes: the whole is answered to who asks for the one job.
const LISTED_ERROR: usize = 4 << 10;

/// What is known of a job from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: JobKey,
    /// The digest of what runs.
    pub(super) words: String,
    boot: String,
    keeper: i32,
    start: u64,
    begun_ms: u64,
    counts: bool,
    moved: u64,
}

impl Record {
    /// A record that this process keeps.
    pub(super) fn of_this_process(key: JobKey, words: String, counting: Counting) -> Result<Self, Refusal> {
        let own = getpid();
        let start = start_of(own).ok_or_else(|| Refusal::io("/proc", "it does not show this process"))?;
        Ok(Self {
            key,
            words,
            boot: boot(),
            keeper: own.as_raw_pid(),
            start,
            begun_ms: uptime_ms(),
            counts: counting == Counting::Yes,
            moved: 0,
        })
    }

    /// Bytes that have passed so far. Whether that is more than before.
    pub(super) fn note(&mut self, moved: u64) -> bool {
        let more = self.counts && moved > self.moved;
        self.moved = self.moved.max(moved);
        more
    }

    pub(super) fn moved(&self) -> Option<u64> {
        self.counts.then_some(self.moved)
    }

    pub(super) fn running_ms(&self) -> u64 {
        uptime_ms().saturating_sub(self.begun_ms)
    }

    /// The process that keeps it, while it runs.
    pub(super) fn keeper(&self) -> Option<Pid> {
        let keeper = Pid::from_raw(self.keeper)?;
        (self.boot == boot() && is_running(keeper, self.start)).then_some(keeper)
    }
}

/// The directory of one backend's jobs.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Below the runtime directory, made where it is missing.
    ///
    /// Refused with `denied` if others than root and this user could change it.
    pub(super) fn open(runtime: &Path, backend: &str) -> Result<Self, Refusal> {
        check_closed(runtime)?;
        let directory = runtime.join("jobs").join(name("bulkhead:job:backend", &backend));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| Refusal::io(directory.display(), error))?;
        Ok(Self { directory })
    }

    /// Write a new record. Refused with `busy` if there is one.
    pub(super) fn add(&self, record: &Record) -> Result<(), Refusal> {
        let at = self.path(&record.key, "job");
        let new = self.write_beside(&at, record)?;
        match renameat_with(CWD, &new, CWD, &at, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(error) => {
                let _stays_behind = fs::remove_file(new).is_err();
                Err(match error {
                    rustix::io::Errno::EXIST => super::busy("it is being started already"),
                    error => Refusal::io(at.display(), error),
                })
            }
        }
    }

    /// Write a record again.
    pub(super) fn update(&self, record: &Record) -> Result<(), Refusal> {
        self.replace(&self.path(&record.key, "job"), record)
    }

    /// Write down how a job ended, unless that was written.
    pub(super) fn end(&self, key: &JobKey, end: &JobEnd) -> Result<(), Refusal> {
        let at = self.path(key, "end");
        if at.exists() { Ok(()) } else { self.replace(&at, end) }
    }

    pub(super) fn remove(&self, key: &JobKey) -> Result<(), Refusal> {
        let half_written = self.record(key).map(|record| half_written(&self.path(key, "job"), record.keeper));
        // The record last: while there is one, what else there is belongs to it.
        for at in half_written.into_iter().chain(["end", "job"].map(|kind| self.path(key, kind))) {
            match fs::remove_file(&at) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Refusal::io(at.display(), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn record(&self, key: &JobKey) -> Option<Record> {
        read::<Record>(&self.path(key, "job")).filter(|record| record.key == *key)
    }

    /// How a job is.
    pub(super) fn state(&self, record: &Record) -> JobState {
        let end = || read::<JobEnd>(&self.path(&record.key, "end")).map(JobState::Ended);
        if let Some(ended) = end() {
            return ended;
        }
        if record.keeper().is_some() {
            return JobState::Running { bytes_done: record.moved(), running_ms: record.running_ms() };
        }
        // It may have ended while this looked.
        end().unwrap_or(JobState::Lost)
    }

    /// Every job of the backend. What cannot be read is not one.
    pub(super) fn records(&self) -> Vec<Record> {
        let listing = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = listing.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "job"));
        names.filter_map(|entry| read(&entry.path())).collect()
    }

    /// Whether a job runs, without reading how it ended.
    pub(super) fn runs(&self, record: &Record) -> bool {
        !self.path(&record.key, "end").exists() && record.keeper().is_some()
    }

    /// A job in a list: how it ended without most of what it wrote.
    pub(super) fn entry(&self, record: Record) -> JobEntry {
        let mut state = self.state(&record);
        if let JobState::Ended(end) = &mut state {
            let finished = &mut end.finished;
            finished.truncated |= !finished.stdout.is_empty() || finished.stderr.len() > LISTED_ERROR;
            finished.stdout = Vec::new();
            finished.stderr.truncate(LISTED_ERROR);
        }
        JobEntry { key: record.key, state }
    }

    fn path(&self, key: &JobKey, kind: &str) -> PathBuf {
        self.directory.join(format!("{}.{kind}", name("bulkhead:job:key", key)))
    }

    fn replace<T: Serialize>(&self, at: &Path, value: &T) -> Result<(), Refusal> {
        let new = self.write_beside(at, value)?;
        fs::rename(new, at).map_err(|error| Refusal::io(at.display(), error))
    }

    fn write_beside<T: Serialize>(&self, at: &Path, value: &T) -> Result<PathBuf, Refusal> {
        let new = half_written(at, getpid().as_raw_pid());
        let failed = |error: std::io::Error| Refusal::io(new.display(), error);
        let bytes =
            postcard::to_stdvec(&(VERSION, value)).map_err(|error| Refusal::io(at.display(), error))?;
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        Ok(new)
    }
}

/// What a process writes before it has the name `at`.
fn half_written(at: &Path, process: i32) -> PathBuf {
    at.with_extension(format!("new-{process}"))
}

/// What tells one job's words from another's: not its numbers, its time, or which directory a root was when it was bound.
pub(super) fn words_of(stages: &[RunRequest]) -> String {
    let stages: Vec<RunRequest> = stages
        .iter()
        .map(|stage| {
            let mut stage = stage.clone();
            (stage.id, stage.timeout_ms, stage.unreviewed) = (0, 0, Unreviewed::Refused);
            stage.roots.values_mut().for_each(|binding| binding.identity = None);
            stage
        })
        .collect();
    name("bulkhead:job:words", &stages)
}

fn name<T: Serialize>(kind: &str, value: &T) -> String {
    digest(kind, value).to_string().trim_start_matches("sha256:").to_owned()
}

fn read<T: DeserializeOwned>(at: &Path) -> Option<T> {
    let bytes = fs::read(at).ok()?;
    let (version, rest) = postcard::take_from_bytes::<u32>(&bytes).ok()?;
    if version == VERSION { postcard::from_bytes(rest).ok() } else { None }
}

fn check_closed(runtime: &Path) -> Result<(), Refusal> {
    let status = fs::metadata(runtime).map_err(|error| Refusal::io(runtime.display(), error))?;
    let owned = status.uid() == 0 || status.uid() == geteuid().as_raw();
    if status.is_dir() && owned && status.mode() & 0o022 == 0 {
        return Ok(());
    }
    let at = runtime.display();
    Err(Refusal::denied(
        format!("the runtime directory '{at}', which others may write to,"),
        format!("chmod go-w '{at}', and an owner of root or the helper's user"),
    ))
}

fn boot() -> String {
    fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
}

/// Milliseconds since the machine started.
fn uptime_ms() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let (seconds, hundredths) =
        text.split(' ').next().and_then(|first| first.split_once('.')).unwrap_or_default();
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    number(seconds).saturating_mul(1000).saturating_add(number(hundredths).saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Ending, Finished};

    fn key(subject: &str, text: &str) -> JobKey {
        JobKey {
            backend: "backend".to_owned(),
            subject: subject.to_owned(),
            job: "copy".parse().expect("a label"),
            key: text.to_owned(),
        }
    }

    fn record(key: JobKey) -> Record {
        Record::of_this_process(key, "words".to_owned(), Counting::Yes).expect("this process")
    }

    fn end() -> JobEnd {
        let finished = Finished {
            ending: Ending::Exited(0),
            stdout: vec![1; 10_000],
            stderr: vec![2; 10_000],
            truncated: false,
            duration_ms: 1,
        };
        JobEnd { finished, success: true, bytes_done: Some(5) }
    }

    #[test]
    fn a_job_runs_while_its_keeper_does_and_ends_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "backend").expect("it is ours");
        let mut record = record(key("share", "k"));
        assert_eq!(files.record(&record.key), None);
        files.add(&record).expect("it is new");
        assert!(record.note(42) && !record.note(42) && !record.note(7));
        files.update(&record).expect("it is written");
        let found = files.record(&record.key).expect("it is there");
        assert!(matches!(files.state(&found), JobState::Running { bytes_done: Some(42), .. }));
        assert!(files.runs(&found));
        files.end(&record.key, &end()).expect("it is written");
        let other = JobEnd { success: false, ..end() };
        files.end(&record.key, &other).expect("it is passed over");
        assert_eq!(files.state(&found), JobState::Ended(end()));
        assert!(!files.runs(&found));
    }

    #[test]
    fn a_job_whose_keeper_is_gone_or_whose_machine_was_stopped_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "backend").expect("it is ours");
        let own = record(key("share", "k"));
        let later = Record { start: own.start + 1, ..own.clone() };
        let before = Record { boot: "another".to_owned(), ..own };
        assert_eq!((files.state(&later), files.state(&before)), (JobState::Lost, JobState::Lost));
    }

    #[test]
    fn a_key_is_taken_once_and_free_when_it_is_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "backend").expect("it is ours");
        let record = record(key("share", "k"));
        files.add(&record).expect("it is new");
        assert!(files.add(&record).is_err());
        assert_eq!(fs::read_dir(&files.directory).expect("a directory").count(), 1);
        files.end(&record.key, &end()).expect("it is written");
        files.write_beside(&files.path(&record.key, "end"), &end()).expect("a keeper that was killed there");
        files.remove(&record.key).expect("it goes");
        files.remove(&record.key).expect("it is gone");
        assert_eq!(fs::read_dir(&files.directory).expect("a directory").count(), 0);
        files.add(&record).expect("it is new");
        assert!(files.runs(&record), "the end of an earlier one is not its own");
    }

    #[test]
    fn strange_keys_are_told_apart_and_name_no_other_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "../backend").expect("it is ours");
        let texts = ["", "/", "../../etc", "a\0b", "a\nb", "é", &"x".repeat(255), "a\u{202e}b"];
        for text in texts {
            files.add(&record(key("share", text))).expect("it is new");
            files.add(&record(key("share/../other", text))).expect("it is new");
        }
        assert_eq!(files.records().len(), 2 * texts.len());
        for text in texts {
            assert_eq!(files.record(&key("share", text)).expect("it is there").key.key, text);
        }
        let below = fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(below, 1);
    }

    #[test]
    fn a_list_holds_little_of_what_jobs_wrote() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "backend").expect("it is ours");
        let record = record(key("share", "k"));
        files.add(&record).expect("it is new");
        files.end(&record.key, &end()).expect("it is written");
        let JobState::Ended(listed) = files.entry(record).state else { panic!("it ended") };
        let finished = listed.finished;
        assert_eq!(
            (finished.stdout.len(), finished.stderr.len(), finished.truncated),
            (0, LISTED_ERROR, true)
        );
    }

    #[test]
    fn what_is_no_record_is_passed_over_and_an_open_directory_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files::open(directory.path(), "backend").expect("it is ours");
        let record = record(key("share", "k"));
        files.add(&record).expect("it is new");
        for bytes in [&b""[..], &[1], &[9, 1, 2], &[1, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            fs::write(files.path(&record.key, "job"), bytes).expect("a file");
            assert_eq!((files.record(&record.key), files.records().len()), (None, 0));
        }
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("its mode");
        let refused = Files::open(directory.path(), "backend").expect_err("others may write");
        assert!(refused.message.contains("chmod go-w"), "{refused}");
    }
}
