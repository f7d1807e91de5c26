//! Files and directories below the backend's roots. Every path is a pattern that `driver.toml` declares, filled with names that the
//! host derives from the resources of the call: a driver cannot spell another tenant's path.

use crate::capability::CapabilityError;
use crate::host::{Host, host};
use crate::resource::Resource;
use crate::slots::Slots;

/// A path below one of the backend's roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub(crate) root: String,
    pub(crate) pattern: String,
    pub(crate) of: Option<Resource>,
}

impl Path {
    /// A path about the call's own subject: the share or snapshot it was called with. `pattern` is one of the root's declared
    /// `paths`, letter by letter.
    #[must_use]
    pub fn new(root: &str, pattern: &str) -> Self {
        Self { root: root.to_owned(), pattern: pattern.to_owned(), of: None }
    }

    /// The same path about another resource of the call.
    #[must_use]
    pub fn of(mut self, resource: impl Into<Resource>) -> Self {
        self.of = Some(resource.into());
        self
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Whether the ownership record says that this backend made what stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// This backend made it.
    Owned,
    /// No record says so: it is not touched.
    Foreign,
}

/// Facts about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStatus {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes; for a directory what the filesystem reports.
    pub size_bytes: u64,
    /// Who made it.
    pub ownership: Ownership,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// How full a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the filesystem below the root.
    pub total_bytes: u64,
    /// What an unprivileged writer can still use.
    pub free_bytes: u64,
}

/// Look at a path. Reads only. Fails with `not-found` ([`OrAbsent`](crate::OrAbsent) makes it `None`) or `denied`.
pub fn status(at: &Path) -> Result<FileStatus, CapabilityError> {
    host().status(at)
}

/// List a directory in order of names, at most 10,000 entries. Reads only. Fails with `not-found`, `denied`, `limit-exceeded`.
pub fn list_directory(at: &Path) -> Result<Vec<DirectoryEntry>, CapabilityError> {
    host().list_directory(at)
}

/// Bytes that all regular files below a path hold, as their lengths add up. Reads only. Fails with `not-found`, `denied`,
/// `timed-out`.
pub fn usage(at: &Path) -> Result<u64, CapabilityError> {
    host().usage(at)
}

/// Read a whole file of at most 1 MiB; only in roots of use `state` and `config`. Fails with `not-found`, `denied`,
/// `limit-exceeded`.
pub fn read(at: &Path) -> Result<Vec<u8>, CapabilityError> {
    host().read(at)
}

/// Read what the kernel tells at a path of a root of use `kernel`, at most 64 KiB: `read_kernel("btrfs", "{number}/features", &[3])`.
/// `pattern` is one of the root's `paths`, letter by letter; `numbers` fill its `{number}` places, in order.
///
/// Reads only. Fails with `not-found`, `denied`, `invalid-argument` unless there is one number for each place, `limit-exceeded`.
pub fn read_kernel(root: &str, pattern: &str, numbers: &[u64]) -> Result<Vec<u8>, CapabilityError> {
    host().read_kernel(root, pattern, numbers)
}

/// Make a directory, owned by the call's resource.
///
/// Idempotent: if it is there and owned by this resource, succeeds unchanged. Fails with `not-owned` if something else stands there,
/// `no-space`, `denied`.
pub fn create_directory(at: &Path) -> Result<(), CapabilityError> {
    host().create_directory(at)
}

/// Remove a file or a whole tree that is owned by the call's resource.
///
/// Idempotent: succeeds if nothing is there. Fails with `not-owned`, `denied`, `timed-out` (what is gone stays gone; repeat to
/// finish).
pub fn remove(at: &Path) -> Result<(), CapabilityError> {
    host().remove(at)
}

/// Give an owned file or directory another name in the same root.
///
/// From a path with `{managed}` it takes over the directory that the operator named in a manage call and that nobody owns.
///
/// Fails with `not-found` if `source` is not there, `already-exists` if `destination` is, `not-owned`, `denied`.
pub fn rename(source: &Path, destination: &Path) -> Result<(), CapabilityError> {
    host().rename(source, destination)
}

/// Exchange two owned files or directories of one root in a single step that a crash cannot split.
///
/// Not idempotent: a repeat exchanges them back. Fails with `not-found` if either is not there, `not-owned`, `denied`.
pub fn exchange(first: &Path, second: &Path) -> Result<(), CapabilityError> {
    host().exchange(first, second)
}

/// Copy an owned tree or file, sharing its blocks where the filesystem can; the copy is owned.
///
/// Fails with `already-exists` if `destination` is there (a copy that was cut short is: remove it first), `not-found`, `no-space`,
/// `denied`, `timed-out`.
pub fn copy_tree(source: &Path, destination: &Path) -> Result<(), CapabilityError> {
    host().copy_tree(source, destination)
}

/// How full the filesystem below a root is. Reads only. Fails with `denied`.
pub fn root_space(root: &str) -> Result<Space, CapabilityError> {
    host().root_space(root)
}

/// The absolute path of a path at its place, for an export location or a record. Grants nothing. Fails with `denied`.
pub fn location(at: &Path) -> Result<String, CapabilityError> {
    host().location(at)
}

/// Write the *named file template* `template`: the new text replaces the old in one step.
///
/// Idempotent. Fails with `denied` if the template is not granted or a slot leaves its type, `invalid-argument` if a slot is missing
/// or unknown, `no-space`.
pub fn write_template(template: &str, slots: Slots) -> Result<(), CapabilityError> {
    host().write_template(template, slots)
}

/// Remove the file that [`write_template`] wrote for this resource. Idempotent. Fails with `denied`, `not-owned`.
pub fn remove_template(template: &str, slots: Slots) -> Result<(), CapabilityError> {
    host().remove_template(template, slots)
}

/// Write free bytes, at most 1 MiB, in one step; only in roots of use `state`. Idempotent. Fails with `denied` in any other root,
/// `limit-exceeded`, `no-space`.
pub fn write(at: &Path, content: &[u8]) -> Result<(), CapabilityError> {
    host().write(at, content)
}
