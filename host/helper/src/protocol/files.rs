//! Files and directories below roots, as a place is asked about them: by the daemon itself where it holds the roots, by a helper else.

use super::RootBinding;
use bulkhead_model::id::Label;
use bulkhead_model::pattern::RelativePath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Something to be done below roots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesCall {
    /// The roots that it names.
    pub roots: BTreeMap<Label, RootBinding>,
    /// What.
    pub work: FileWork,
    /// How long it may take, in milliseconds; what is done by then stays done.
    pub timeout_ms: u64,
}

/// A path below a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePath {
    /// The root's name in the manifest.
    pub root: Label,
    /// The way below it.
    pub path: RelativePath,
}

/// Root and path, as messages name it.
impl fmt::Display for FilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.root, self.path)
    }
}

/// What is to be done. No link is followed below a root, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileWork {
    /// Whether a root can be used, and where it lies. Answers [`FileReply::Root`].
    OpenRoot {
        /// Which.
        root: Label,
    },
    /// Write on a root's own directory whose it is, unless another state or a successor has it. Answers [`FileReply::Claimed`].
    Claim {
        /// Which.
        root: Label,
        /// Whose: the text of a tenure.
        tenure: String,
    },
    /// What stands at a path; a missing directory above it means that nothing does. Answers [`FileReply::Found`].
    Look(FilePath),
    /// As [`FileWork::Look`], for what an operator asks to manage. Fails with `denied` where another filesystem is mounted there or on the
    /// way.
    LookAtManaged(FilePath),
    /// The entries of a root in order of names. Answers [`FileReply::Entries`].
    ListRoot {
        /// Which.
        root: Label,
    },
    /// The entries of a directory in order of names. Answers [`FileReply::Entries`]. Fails with `not-found`, `limit-exceeded`.
    List(FilePath),
    /// Bytes of all regular files there. Answers [`FileReply::Bytes`]. Fails with `not-found`.
    Usage(FilePath),
    /// A regular file's content. Answers [`FileReply::Content`]. Fails with `not-found`, `invalid-argument`, `limit-exceeded`.
    Read {
        /// Which.
        at: FilePath,
        /// The most that it may hold, in bytes.
        most: u64,
        /// What may be mounted on the way.
        mounts: Mounts,
    },
    /// How full the filesystem of a root is. Answers [`FileReply::Space`].
    Space {
        /// Which.
        root: Label,
    },
    /// Make a directory where nothing stands, on disk when this is answered. Fails with `already-exists`, `not-found`.
    MakeDirectory {
        /// Where.
        at: FilePath,
        /// Its permission bits.
        mode: u32,
    },
    /// Remove what stands there, and what an unfinished [`FileWork::Replace`] left beside it. Nothing there is success. Fails with
    /// `not-owned` if something is mounted inside.
    Remove(FilePath),
    /// Give something another name in one step, on disk when this is answered. Fails with `not-found`, `already-exists`.
    Rename {
        /// What.
        from: FilePath,
        /// Its new name.
        to: FilePath,
        /// What becomes of what stands there.
        kind: RenameKind,
    },
    /// Copy a file or tree to where nothing stands, sharing blocks where the filesystem can; on disk when this is answered. Fails with
    /// `already-exists`, `not-found`, `no-space`.
    Copy {
        /// What.
        from: FilePath,
        /// Where to.
        to: FilePath,
    },
    /// A file's whole content in one step, on disk when this is answered. Fails with `already-exists` if something came to stand where
    /// nothing did.
    Replace {
        /// Which.
        at: FilePath,
        /// Its content.
        content: Vec<u8>,
        /// What stands there.
        before: Before,
        /// Who may read it.
        readers: Readers,
    },
}

impl FileWork {
    /// Whether it leaves everything as it is: its outcome is never in doubt, only its answer is missing.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        match self {
            Self::OpenRoot { .. }
            | Self::Look(_)
            | Self::LookAtManaged(_)
            | Self::ListRoot { .. }
            | Self::List(_)
            | Self::Usage(_)
            | Self::Read { .. }
            | Self::Space { .. } => true,
            Self::Claim { .. }
            | Self::MakeDirectory { .. }
            | Self::Remove(_)
            | Self::Rename { .. }
            | Self::Copy { .. }
            | Self::Replace { .. } => false,
        }
    }
}

/// Whether a walk may enter what is mounted inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mounts {
    /// As the operator set the root up.
    Enter,
    /// A tree ends where another filesystem begins.
    Stop,
}

/// Who may read a file beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readers {
    /// Every program that is pointed to it.
    All,
    /// Nobody: it holds a secret.
    OwnerOnly,
}

impl Readers {
    /// Its permission bits.
    pub(crate) const fn mode(self) -> u32 {
        match self {
            Self::All => 0o644,
            Self::OwnerOnly => 0o600,
        }
    }
}

/// What becomes of what stands at a name's new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenameKind {
    /// Nothing may stand there.
    NoReplace,
    /// It takes the old place.
    Exchange,
}

/// What stands where a file is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// A file that may be replaced.
    Own,
    /// Nothing: should something have come to be meanwhile, it stays.
    Nothing,
}

/// What came of a [`FileWork`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileReply {
    /// It is done.
    Done,
    /// A root can be used.
    Root(RootFacts),
    /// Whose a root is now.
    Claimed(Claimed),
    /// What stands there; none if nothing does.
    Found(Option<FileFacts>),
    /// A directory's entries.
    Entries(Vec<DirectoryEntry>),
    /// A number of bytes.
    Bytes(u64),
    /// A file's content.
    Content(Vec<u8>),
    /// How full a filesystem is.
    Space(Space),
}

/// What a claim of a root came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claimed {
    /// It is the claimant's.
    Ours,
    /// A later term of the same state has it: the claimant must let it be.
    Succeeded,
    /// Another state has it, and keeps it.
    Others,
    /// It cannot be written down there.
    Unwritable(String),
}

/// What is to be known of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFacts {
    /// Its permission bits.
    pub mode: u32,
    /// Device and number of the directory and of everything above it, the filesystem's root last.
    pub ancestry: Vec<(u64, u64)>,
}

/// Facts about what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    SymbolicLink,
    /// A device, socket or pipe.
    Other,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// Its name; what is not UTF-8 is replaced.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// How full a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Size of the filesystem, in bytes.
    pub total_bytes: u64,
    /// Bytes an unprivileged writer can still use.
    pub free_bytes: u64,
}
