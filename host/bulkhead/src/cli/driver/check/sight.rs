//! Looking into the roots of a backend, and putting data there, past the driver: on this machine, or where the backend's place is.

use super::bench::Bench;
use anyhow::{Context, bail};
use bulkhead_capability::execute::{Abandoned, CommandRequest, CommandRunner, Directories};
use bulkhead_helper::protocol::{
    Before, Ending, FileKind, FilePath, FileReply, FileWork, FilesCall, Mounts, Readers, RootBinding,
    SlotArgument, Unreviewed,
};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use bulkhead_model::manifest::PathKind;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

/// The largest file that is searched, in bytes.
pub(super) const LARGEST: u64 = 1 << 20;
/// How long the place may take, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// A path below a root of a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// The root's name.
    pub(super) root: Label,
    /// Where the root is.
    pub(super) directory: PathBuf,
    /// The way below it; empty for the root itself.
    pub(super) below: PathBuf,
}

impl Spot {
    pub(super) fn join(&self, name: &str) -> Self {
        Self { below: self.below.join(name), ..self.clone() }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(&self.below)
    }
}

/// What stands there, if it is something that can be gone into or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Other,
}

/// The names in a directory, with what they are.
pub(super) async fn list(bench: &Bench, at: &Spot) -> anyhow::Result<Vec<(String, Kind)>> {
    if bench.runner.directories() == Directories::Here {
        return Ok(list_here(&at.path())?);
    }
    let work = match file_path(at) {
        Some(path) => FileWork::List(path),
        None if at.below.as_os_str().is_empty() => FileWork::ListRoot { root: at.root.clone() },
        // A name that no driver of ours could have made.
        None => return Ok(Vec::new()),
    };
    let FileReply::Entries(entries) = ask(bench, at, work).await? else { bail!("no entries came") };
    let kind = |kind| match kind {
        FileKind::Directory => Kind::Directory,
        FileKind::File => Kind::File,
        FileKind::SymbolicLink | FileKind::Other => Kind::Other,
    };
    Ok(entries.into_iter().map(|entry| (entry.name, kind(entry.kind))).collect())
}

fn list_here(at: &Path) -> io::Result<Vec<(String, Kind)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let file_type = entry.file_type()?;
        let kind = match (file_type.is_dir(), file_type.is_file()) {
            (true, _) => Kind::Directory,
            (_, true) => Kind::File,
            _ => Kind::Other,
        };
        found.push((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    Ok(found)
}

/// Whether it is a directory.
pub(super) async fn is_directory(bench: &Bench, at: &Spot) -> anyhow::Result<bool> {
    if bench.runner.directories() == Directories::Here {
        return Ok(at.path().is_dir());
    }
    let Some(path) = file_path(at) else { return Ok(false) };
    let FileReply::Found(found) = ask(bench, at, FileWork::Look(path)).await? else { bail!("nothing came") };
    Ok(found.is_some_and(|found| found.kind == FileKind::Directory))
}

/// What a file holds; none if it is not there, or holds more than [`LARGEST`].
pub(super) async fn read(bench: &Bench, at: &Spot) -> anyhow::Result<Option<Vec<u8>>> {
    if bench.runner.directories() == Directories::Here {
        return match std::fs::metadata(at.path()) {
            Ok(status) if status.len() > LARGEST => Ok(None),
            Ok(_) => Ok(Some(std::fs::read(at.path())?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    let Some(path) = file_path(at) else { return Ok(None) };
    match ask(bench, at, FileWork::Read { at: path, most: LARGEST, mounts: Mounts::Enter }).await {
        Ok(FileReply::Content(content)) => Ok(Some(content)),
        Ok(_) => bail!("no content came"),
        Err(error) if matches!(error.code, CapabilityCode::NotFound | CapabilityCode::LimitExceeded) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Put a file there.
pub(super) async fn write(bench: &Bench, at: &Spot, content: &[u8]) -> anyhow::Result<()> {
    if bench.runner.directories() == Directories::Here {
        return Ok(std::fs::write(at.path(), content)?);
    }
    let path = file_path(at).context("no name for a file")?;
    let replacing =
        FileWork::Replace { at: path, content: content.to_vec(), before: Before::Own, readers: Readers::All };
    ask(bench, at, replacing).await?;
    Ok(())
}

/// Put a file of `bytes` bytes there; false where that cannot be done.
///
/// A real array counts what takes space, and counts it once it is written down; fakes count lengths. On another machine its own programs do
/// it: the bytes would take minutes over the link.
pub(super) async fn fill(bench: &Bench, at: &Spot, bytes: u64) -> anyhow::Result<bool> {
    if bench.runner.directories() == Directories::Here {
        return fill_here(bench, &at.path(), bytes).map(|()| true);
    }
    let allocate = ["--length", &bytes.to_string(), "{at}"].map(str::to_owned);
    let written_down = ["--file-system", "{at}"].map(str::to_owned);
    Ok(run_there(bench, at, ("fallocate", &allocate, PathKind::New)).await?
        && run_there(bench, at, ("sync", &written_down, PathKind::Existing)).await?)
}

/// Run a program of the other machine on a path there; whether it succeeded.
async fn run_there(
    bench: &Bench,
    at: &Spot,
    (program, args, kind): (&str, &[String], PathKind),
) -> anyhow::Result<bool> {
    let path = at.below.to_str().context("no path that a slot takes")?;
    let slot = Label::from_str("at")?;
    let template = serde_json::json!({
        "name": program, "reason": "the kit fills a share", "effect": "change", "repeat": "safe", "program": program, "args": args,
        "slots": { "at": { "type": "path", "kind": kind, "root": at.root, "pattern": [path] } },
    });
    let request = CommandRequest {
        template: serde_json::from_value(template)?,
        program: format!("/usr/bin/{program}"),
        unreviewed: Unreviewed::Allowed,
        roots: BTreeMap::from([(at.root.clone(), binding(at))]),
        slots: BTreeMap::from([(slot, SlotArgument::Path(path.parse()?))]),
        inside: None,
        timeout: Duration::from_millis(PATIENCE_MS),
    };
    let (_waiting, abandoned) = Abandoned::pair();
    let finished = bench.runner.run(request, abandoned).await?;
    Ok(finished.ending == Ending::Exited(0))
}

fn fill_here(bench: &Bench, path: &Path, bytes: u64) -> anyhow::Result<()> {
    let file = File::create(path)?;
    if bench.is_real {
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)
            .context("the filesystem gives no space")?;
        rustix::fs::syncfs(&file)?;
    } else {
        file.set_len(bytes)?;
    }
    Ok(())
}

/// As requests name it; none for a root itself, and for what no path of a manifest can name.
fn file_path(at: &Spot) -> Option<FilePath> {
    Some(FilePath { root: at.root.clone(), path: at.below.to_str()?.parse().ok()? })
}

async fn ask(bench: &Bench, at: &Spot, work: FileWork) -> Result<FileReply, CapabilityError> {
    let runner: &dyn CommandRunner = &*bench.runner;
    let roots = BTreeMap::from([(at.root.clone(), binding(at))]);
    let call = FilesCall { roots, work, timeout_ms: PATIENCE_MS };
    let (_waiting, abandoned) = Abandoned::pair();
    Ok(runner.files(call, abandoned).await?)
}

fn binding(at: &Spot) -> RootBinding {
    RootBinding { path: at.directory.display().to_string(), identity: None, tenure: None }
}
