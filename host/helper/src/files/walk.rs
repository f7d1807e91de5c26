//! Looking through a tree without holding it: a list of directories still to be read, each opened anew from the top of the tree.
//! Descriptors do not grow with the depth, memory not beyond [`MOST_WAITING`], and what a tenant changes meanwhile is skipped or an
//! error, never followed.

use super::Watch;
use super::beneath::{directory, failed, file_type, kernel, status};
use crate::protocol::Mounts;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use cap_std::fs::Dir;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The longest path inside a tree that the kernel takes, in bytes.
const LONGEST_PATH: usize = 4095;
/// How much memory the directories that wait to be read may take, in bytes: a tenant makes as many of them as it likes.
const MOST_WAITING: usize = 32 << 20;
/// What a waiting directory takes beside its path, in bytes.
const OVERHEAD: usize = 64;

/// A directory of a tree, opened.
#[derive(Debug)]
pub(super) struct Step {
    /// The directory.
    pub(super) directory: Dir,
    /// Its path from the top; `.` for the top itself.
    pub(super) path: PathBuf,
}

/// Why a directory is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// Its path is longer than the kernel takes.
    TooDeep,
    /// Too many others wait to be read.
    TooMany,
    /// Its mode keeps the host's user out.
    Closed,
}

/// What is done with each entry of a tree.
pub(super) trait Visitor {
    /// A directory is about to be read.
    fn enter(&mut self, _step: &Step) -> Result<(), CapabilityError> {
        Ok(())
    }

    /// Whether a directory inside is visited at all.
    fn enters(&mut self, _step: &Step, _name: &OsStr) -> bool {
        true
    }

    /// A directory inside, before it is entered.
    fn directory(&mut self, _step: &Step, _name: &OsStr) -> Result<(), CapabilityError> {
        Ok(())
    }

    /// An entry that is no directory.
    fn entry(&mut self, step: &Step, name: &OsStr, status: &Stat) -> Result<(), CapabilityError>;

    /// A directory that was entered, and everything below it, has been visited. Opened anew: not called for one that is gone.
    fn leave(&mut self, _step: &Step) -> Result<(), CapabilityError> {
        Ok(())
    }

    /// A directory is not read; skipped if this succeeds.
    fn left_out(&mut self, why: LeftOut) -> Result<(), CapabilityError> {
        let limit = CapabilityCode::LimitExceeded;
        let (code, reason) = match why {
            LeftOut::TooDeep => {
                (limit, format!("a path inside the tree is longer than {LONGEST_PATH} bytes"))
            }
            LeftOut::TooMany => (
                limit,
                format!(
                    "more directories wait to be read than fit into {MOST_WAITING} bytes; use a command template for such a tree"
                ),
            ),
            LeftOut::Closed => (
                CapabilityCode::Io,
                "the host's user may not read a directory inside the tree; run the host as one who may"
                    .to_owned(),
            ),
        };
        Err(CapabilityError::new(code, reason))
    }
}

/// Visit the tree below `top`, each directory before what is in it. Other filesystems inside are not entered.
///
/// `subject` names the tree in errors. Fails with `timed-out`, or with what the visitor fails with.
pub(super) fn walk(
    top: &Dir,
    subject: &str,
    watch: &Watch,
    visitor: &mut impl Visitor,
) -> Result<(), CapabilityError> {
    let mut waiting = Waiting { visits: Vec::new(), bytes: 0, most: MOST_WAITING };
    walk_while(&mut waiting, (top, subject), watch, visitor)
}

fn walk_while(
    waiting: &mut Waiting,
    (top, subject): (&Dir, &str),
    watch: &Watch,
    visitor: &mut impl Visitor,
) -> Result<(), CapabilityError> {
    waiting.push(Visit::Enter(PathBuf::from(".")));
    while let Some(visit) = waiting.pop() {
        watch.check()?;
        let directory = match directory(top, visit.path(), Mounts::Stop) {
            Ok(directory) => directory,
            // Gone, replaced or a mount since its parent was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            Err(Errno::ACCESS) => {
                visitor.left_out(LeftOut::Closed)?;
                continue;
            }
            Err(error) => return Err(failed("reading", subject, error)),
        };
        match visit {
            Visit::Enter(path) => {
                let step = Step { directory, path };
                visitor.enter(&step)?;
                waiting.push(Visit::Leave(step.path.clone()));
                read(&step, (subject, watch), waiting, visitor)?;
            }
            Visit::Leave(path) => visitor.leave(&Step { directory, path })?,
        }
    }
    Ok(())
}

fn read(
    step: &Step,
    (subject, watch): (&str, &Watch),
    waiting: &mut Waiting,
    visitor: &mut impl Visitor,
) -> Result<(), CapabilityError> {
    let reading = |error| failed("reading", subject, error);
    let entries = match kernel(step.directory.entries()) {
        Err(Errno::ACCESS) => return visitor.left_out(LeftOut::Closed),
        answer => answer.map_err(reading)?,
    };
    for entry in entries {
        watch.check()?;
        let name = kernel(entry).map_err(reading)?.file_name();
        let status = match status(&step.directory, Path::new(&name)) {
            Ok(status) => status,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(reading(error)),
        };
        if file_type(&status) != FileType::Directory {
            visitor.entry(step, &name, &status)?;
            continue;
        }
        if !visitor.enters(step, &name) {
            continue;
        }
        visitor.directory(step, &name)?;
        let path = step.path.join(&name);
        if path.as_os_str().len() > LONGEST_PATH {
            visitor.left_out(LeftOut::TooDeep)?;
        } else if waiting.is_full() {
            visitor.left_out(LeftOut::TooMany)?;
        } else {
            waiting.push(Visit::Enter(path));
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Visit {
    Enter(PathBuf),
    Leave(PathBuf),
}

impl Visit {
    fn path(&self) -> &Path {
        match self {
            Self::Enter(path) | Self::Leave(path) => path,
        }
    }

    fn bytes(&self) -> usize {
        self.path().as_os_str().len().saturating_add(OVERHEAD)
    }
}

/// What is still to be visited, last in first out. Beside the siblings of each directory on the way down there is one to leave for each
/// level: at most as many as a path has components.
#[derive(Debug)]
struct Waiting {
    visits: Vec<Visit>,
    bytes: usize,
    most: usize,
}

impl Waiting {
    const fn is_full(&self) -> bool {
        self.bytes >= self.most
    }

    fn push(&mut self, visit: Visit) {
        self.bytes = self.bytes.saturating_add(visit.bytes());
        self.visits.push(visit);
    }

    fn pop(&mut self) -> Option<Visit> {
        let visit = self.visits.pop()?;
        self.bytes = self.bytes.saturating_sub(visit.bytes());
        Some(visit)
    }
}

/// Adds up the lengths of regular files.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The sum so far.
    pub(super) bytes: u64,
}

impl Visitor for Usage {
    fn entry(&mut self, _step: &Step, _name: &OsStr, status: &Stat) -> Result<(), CapabilityError> {
        if file_type(status) == FileType::RegularFile {
            self.bytes = self.bytes.saturating_add(u64::try_from(status.st_size).unwrap_or(0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what it meets, and what is left out.
    #[derive(Debug, Default)]
    struct Notes {
        entered: Vec<PathBuf>,
        left: Vec<PathBuf>,
        left_out: Vec<LeftOut>,
    }

    impl Visitor for Notes {
        fn enter(&mut self, step: &Step) -> Result<(), CapabilityError> {
            self.entered.push(step.path.clone());
            Ok(())
        }

        fn entry(&mut self, _step: &Step, _name: &OsStr, _status: &Stat) -> Result<(), CapabilityError> {
            Ok(())
        }

        fn leave(&mut self, step: &Step) -> Result<(), CapabilityError> {
            self.left.push(step.path.clone());
            Ok(())
        }

        fn left_out(&mut self, why: LeftOut) -> Result<(), CapabilityError> {
            self.left_out.push(why);
            Ok(())
        }
    }

    fn walk_a_tree(make: impl FnOnce(&Path), most: usize) -> Notes {
        let directory = tempfile::tempdir().expect("a directory");
        make(directory.path());
        let top =
            Dir::from(std::fs::File::open(directory.path()).map(rustix::fd::OwnedFd::from).expect("opened"));
        let mut notes = Notes::default();
        let mut waiting = Waiting { visits: Vec::new(), bytes: 0, most };
        walk_while(&mut waiting, (&top, "a tree"), &Watch::forever(), &mut notes).expect("walked");
        assert_eq!((waiting.bytes, waiting.visits.len()), (0, 0), "what is taken is given back");
        notes
    }

    #[test]
    fn a_directory_is_left_after_all_that_is_below_it() {
        let make = |top: &Path| {
            for path in ["a/b/c", "a/d", "e"] {
                std::fs::create_dir_all(top.join(path)).expect("a directory");
            }
        };
        let notes = walk_a_tree(make, MOST_WAITING);
        assert_eq!((notes.entered.len(), notes.left.len()), (6, 6));
        for (place, path) in notes.left.iter().enumerate() {
            assert!(
                notes.left.iter().skip(place + 1).all(|later| !later.starts_with(path)),
                "{:?}",
                notes.left
            );
        }
        assert!(notes.left_out.is_empty());
    }

    #[test]
    fn a_tenant_with_countless_directories_takes_a_bounded_memory() {
        let make = |top: &Path| {
            for number in 0..1000 {
                std::fs::create_dir(top.join(format!("directory-{number}"))).expect("a directory");
            }
        };
        let notes = walk_a_tree(make, 10 * (OVERHEAD + 15));
        assert!((10..20).contains(&notes.entered.len()), "{}", notes.entered.len());
        assert_eq!(notes.left_out.len(), 1001 - notes.entered.len());
        assert!(notes.left_out.iter().all(|why| *why == LeftOut::TooMany));
        let mut usage = Usage::default();
        let error = usage.left_out(LeftOut::TooMany).expect_err("refused");
        assert_eq!(error.code, CapabilityCode::LimitExceeded);
    }
}
