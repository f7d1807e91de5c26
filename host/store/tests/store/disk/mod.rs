//! A disk that loses its power, fills up or fails: what a store has to survive.
//!
//! Everything that SQLite writes reaches the real files, so that the store goes on; beside them the disk remembers what was flushed
//! and what was not. At a power cut the flushed content survives, and of everything later any part: dropped, reordered, torn at sectors.

mod vfs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a write may be torn into, in bytes.
const SECTOR: usize = 512;

/// What is asked of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// To take bytes, which needs room.
    Write,
    Other,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Do,
    /// It fails; true: because the disk is full.
    Fail(bool),
}

/// What shall go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Nothing,
    /// Power is gone at the n-th request.
    Cut(u64),
    /// The n-th write fails, because the disk is full.
    Full(u64),
    /// The n-th request, and every one after it, fails.
    Broken(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    flushed: Vec<u8>,
    since: Vec<Change>,
}

/// The disk's own memory.
#[derive(Debug)]
struct Disk {
    plan: Plan,
    requests: u64,
    files: BTreeMap<String, Content>,
    /// The files as the power cut found them.
    cut: Option<BTreeMap<String, Content>>,
}

impl Disk {
    /// Count a request, and say what becomes of it.
    fn judge(&mut self, request: Request) -> Verdict {
        self.requests += 1;
        match self.plan {
            Plan::Cut(at) if self.requests == at && self.cut.is_none() => self.cut = Some(self.files.clone()),
            Plan::Full(at) if self.requests >= at && request == Request::Write => {
                self.plan = Plan::Nothing;
                return Verdict::Fail(true);
            }
            Plan::Broken(at) if self.requests >= at => return Verdict::Fail(false),
            _ => {}
        }
        Verdict::Do
    }

    fn write(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Verdict {
        let verdict = self.judge(Request::Write);
        if verdict == Verdict::Do {
            self.file(name).since.push(Change::Write(offset, bytes.to_vec()));
        }
        verdict
    }

    fn truncate(&mut self, name: &str, length: usize) -> Verdict {
        let verdict = self.judge(Request::Other);
        if verdict == Verdict::Do {
            self.file(name).since.push(Change::Truncate(length));
        }
        verdict
    }

    fn sync(&mut self, name: &str) -> Verdict {
        let verdict = self.judge(Request::Other);
        if verdict == Verdict::Do {
            let file = self.file(name);
            for change in std::mem::take(&mut file.since) {
                apply(&mut file.flushed, &change);
            }
        }
        verdict
    }

    fn file(&mut self, name: &str) -> &mut Content {
        self.files.entry(name.to_owned()).or_default()
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => content.resize(*length, 0),
        Change::Write(offset, bytes) => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
    }
}

/// A disk laid over a folder. Taken away when dropped.
pub(crate) struct LaidDisk {
    folder: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

impl LaidDisk {
    /// Lay a disk over `folder`, whose files are all on it as they are.
    pub(crate) fn over(folder: &Path, plan: Plan) -> Self {
        let mut files = BTreeMap::new();
        for entry in folder.read_dir().expect("a folder").flatten() {
            let flushed = std::fs::read(entry.path()).expect("a file");
            let name = entry.file_name().into_string().expect("a plain name");
            files.insert(name, Content { flushed, since: Vec::new() });
        }
        let disk = Arc::new(Mutex::new(Disk { plan, requests: 0, files, cut: None }));
        vfs::lay_over(folder, Arc::clone(&disk));
        Self { folder: folder.to_owned(), disk }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether power is gone.
    pub(crate) fn is_cut(&self) -> bool {
        self.disk().cut.is_some()
    }

    /// Fail every request from now on.
    pub(crate) fn fail_from_now_on(&self) {
        self.disk().plan = Plan::Broken(0);
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.disk().requests
    }

    /// Write into `folder` what the power cut left: chance decides about everything that was not flushed. None if there was no cut.
    pub(crate) fn leftovers(&self, chance: &mut Chance, folder: &Path) -> Option<()> {
        let files = self.disk().cut.clone()?;
        for (name, content) in files {
            std::fs::write(folder.join(name), after_a_cut(content, chance)).expect("a file");
        }
        Some(())
    }
}

impl Drop for LaidDisk {
    fn drop(&mut self) {
        vfs::take_away(&self.folder);
    }
}

/// The flushed content with any part of what came later, in any order.
fn after_a_cut(content: Content, chance: &mut Chance) -> Vec<u8> {
    let mut left = content.flushed;
    let mut survivors: Vec<Change> = Vec::new();
    for change in content.since {
        match (chance.below(4), change) {
            (0, _) => {}
            (1, Change::Write(offset, bytes)) => survivors.extend(torn(offset, &bytes, chance)),
            (_, change) => survivors.push(change),
        }
    }
    if chance.below(2) == 0 {
        // A disk writes in whatever order suits it.
        for place in (1..survivors.len()).rev() {
            survivors.swap(place, chance.below(place + 1));
        }
    }
    for change in &survivors {
        apply(&mut left, change);
    }
    left
}

/// Some sectors of a write.
fn torn(offset: usize, bytes: &[u8], chance: &mut Chance) -> Vec<Change> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = (SECTOR - (offset + at) % SECTOR).min(bytes.len() - at);
        if chance.below(2) == 0 {
            pieces.push(Change::Write(offset + at, bytes[at..at + length].to_vec()));
        }
        at += length;
    }
    pieces
}

/// Chance that a seed repeats.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).expect("small")).expect("small")
    }
}
