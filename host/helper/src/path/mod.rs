//! Path slots: opened here, by the kernel's own rules, and handed to the command as descriptors. What is opened is what is used.
//!
//! Nothing below a root is resolved through a symbolic link, whoever made it; a race between tenant and helper ends in a refusal.

use crate::protocol::{Refusal, RootBinding};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::Label;
use bulkhead_model::manifest::PathKind;
use bulkhead_model::pattern::RelativePath;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const ANYTHING: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a path slot is written into the words.
#[derive(Debug)]
pub(crate) enum OpenedPath {
    /// `/proc/self/fd/N` and the rest, where N is the descriptor's number in the command.
    Descriptor {
        /// What the command is given.
        descriptor: OwnedFd,
        /// What stands behind the number: nothing for a file, `/.` for a directory, `/NAME` for what a directory holds or will hold.
        rest: String,
    },
    /// As it stands.
    Text(String),
}

/// The roots of a request, opened once each.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    opened: BTreeMap<Label, OwnedFd>,
}

impl Roots {
    /// Open the path of one slot. Fails with `not-found` or `already-exists` where the kind does not hold, with `denied` where a
    /// symbolic link or something that is neither file nor directory stands in the way.
    pub(crate) fn open(
        &mut self,
        bindings: &BTreeMap<Label, RootBinding>,
        slot: &PathSlot<'_>,
    ) -> Result<OpenedPath, Refusal> {
        let binding = self.open_binding(bindings, slot.root)?;
        let Some(root) = self.opened.get(slot.root) else {
            return Err(Refusal::invalid(format!("root '{}' is not bound", slot.root)));
        };
        match slot.kind {
            PathKind::Existing => existing(root, slot),
            PathKind::New | PathKind::NewInside => {
                let (parent, name) = parent(root, slot)?;
                match look(&parent, name) {
                    Err(Errno::NOENT) if slot.kind == PathKind::NewInside => Ok(below(parent, ".")),
                    Err(Errno::NOENT) => Ok(below(parent, name)),
                    Ok(_) => Err(Refusal::new(
                        CapabilityCode::AlreadyExists,
                        format!("{} is already there", slot.shown()),
                    )),
                    Err(error) => Err(slot.failed(error)),
                }
            }
            PathKind::Remove | PathKind::MountTarget => {
                let (parent, name) = parent(root, slot)?;
                let status = look(&parent, name).map_err(|error| slot.failed(error))?;
                check_type(&status, slot)?;
                Ok(below(parent, name))
            }
            PathKind::Text => {
                check_closed(root, binding, slot)?;
                Ok(OpenedPath::Text(format!("{}/{}", binding.path.trim_end_matches('/'), slot.path)))
            }
        }
    }

    /// Open the directory that a slot names, below its root.
    pub(crate) fn open_directory(
        &mut self,
        bindings: &BTreeMap<Label, RootBinding>,
        slot: &PathSlot<'_>,
    ) -> Result<OwnedFd, Refusal> {
        self.open_binding(bindings, slot.root)?;
        let root = self.opened.get(slot.root);
        let root = root.ok_or_else(|| Refusal::invalid(format!("root '{}' is not bound", slot.root)))?;
        openat2(root, slot.path.as_str(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty(), BENEATH)
            .map_err(|error| slot.failed(error))
    }

    fn open_binding<'bindings>(
        &mut self,
        bindings: &'bindings BTreeMap<Label, RootBinding>,
        root: &Label,
    ) -> Result<&'bindings RootBinding, Refusal> {
        let binding = bindings.get(root).ok_or_else(|| {
            Refusal::denied(
                format!("root '{root}'"),
                format!(
                    "grant.roots.{} = {{ path = \"/absolute/directory\", pin = \"the digest that `bulkhead driver inspect` shows\" }}",
                    root
                ),
            )
        })?;
        if !self.opened.contains_key(root) {
            self.opened.insert(root.clone(), open_root(root, binding)?);
        }
        Ok(binding)
    }
}

/// A path slot with its value.
#[derive(Debug)]
pub(crate) struct PathSlot<'request> {
    pub(crate) kind: PathKind,
    pub(crate) root: &'request Label,
    pub(crate) path: &'request RelativePath,
}

impl PathSlot<'_> {
    fn shown(&self) -> String {
        format!("{}/{}", self.root, self.path)
    }

    fn failed(&self, error: Errno) -> Refusal {
        match error {
            Errno::NOENT | Errno::NOTDIR => {
                Refusal::new(CapabilityCode::NotFound, format!("{} is not there", self.shown()))
            }
            Errno::LOOP | Errno::XDEV => self.not_followed(),
            error => Refusal::io(self.shown(), error),
        }
    }

    fn not_followed(&self) -> Refusal {
        Refusal::denied(
            format!("{}, which goes through a symbolic link,", self.shown()),
            "no line; links are not followed",
        )
    }
}

pub(crate) fn open_root(name: &Label, binding: &RootBinding) -> Result<OwnedFd, Refusal> {
    let path = Path::new(&binding.path);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return Err(Refusal::invalid(format!("root '{name}' is not bound to an absolute path")));
    }
    let failed = |error: Errno| Refusal::io(format!("root '{name}' ({})", binding.path), error);
    let root = openat(CWD, path, DIRECTORY, Mode::empty()).map_err(failed)?;
    let status = fstat(&root).map_err(failed)?;
    crate::files::check_tenure(&root, (name, &binding.path), binding.tenure.as_deref())?;
    match binding.identity {
        Some(identity) if identity != (status.st_dev, status.st_ino) => Err(Refusal::new(
            CapabilityCode::Io,
            format!(
                "root '{name}' ({}) is another directory than when the backend was loaded; reload it",
                binding.path
            ),
        )),
        _ => Ok(root),
    }
}

fn existing(root: &OwnedFd, slot: &PathSlot<'_>) -> Result<OpenedPath, Refusal> {
    let opened = openat2(root, slot.path.as_str(), ANYTHING, Mode::empty(), BENEATH);
    let descriptor = opened.map_err(|error| slot.failed(error))?;
    let status = fstat(&descriptor).map_err(|error| slot.failed(error))?;
    // Without the dot a program that does not follow links would see the link in /proc instead of the directory.
    let rest = match check_type(&status, slot)? {
        FileType::Directory => "/.".to_owned(),
        _ => String::new(),
    };
    Ok(OpenedPath::Descriptor { descriptor, rest })
}

fn check_type(status: &Stat, slot: &PathSlot<'_>) -> Result<FileType, Refusal> {
    match FileType::from_raw_mode(status.st_mode) {
        found @ (FileType::Directory | FileType::RegularFile) => Ok(found),
        FileType::Symlink => Err(slot.not_followed()),
        _ => Err(Refusal::denied(
            format!("{}, which is neither a file nor a directory,", slot.shown()),
            "no line; devices, pipes and sockets are not handed to commands",
        )),
    }
}

/// The directory that a path stands in, and its name there.
fn parent<'path>(root: &OwnedFd, slot: &PathSlot<'path>) -> Result<(OwnedFd, &'path str), Refusal> {
    let (above, name) = slot.path.as_str().rsplit_once('/').unwrap_or((".", slot.path.as_str()));
    let opened = openat2(root, above, DIRECTORY, Mode::empty(), BENEATH);
    Ok((opened.map_err(|error| slot.failed(error))?, name))
}

fn look(parent: &OwnedFd, name: &str) -> Result<Stat, Errno> {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn below(parent: OwnedFd, name: &str) -> OpenedPath {
    OpenedPath::Descriptor { descriptor: parent, rest: format!("/{name}") }
}

/// Another process resolves a `text` path again, so that nobody but its owner may be able to change what it means.
fn check_closed(root: &OwnedFd, binding: &RootBinding, slot: &PathSlot<'_>) -> Result<(), Refusal> {
    let mut above = PathBuf::new();
    for component in Path::new(&binding.path).components() {
        above.push(component);
        let status = statat(CWD, &above, AtFlags::empty()).map_err(|error| slot.failed(error))?;
        closed(&status, &above.to_string_lossy(), slot)?;
    }
    let mut way = String::new();
    let mut components: Vec<&str> = slot.path.components().collect();
    components.pop();
    for component in components {
        if !way.is_empty() {
            way.push('/');
        }
        way.push_str(component);
        let directory = openat2(root, way.as_str(), DIRECTORY, Mode::empty(), BENEATH);
        let directory = directory.map_err(|error| slot.failed(error))?;
        let status = fstat(&directory).map_err(|error| slot.failed(error))?;
        closed(&status, &format!("{}/{way}", binding.path), slot)?;
    }
    Ok(())
}

fn closed(status: &Stat, shown: &str, slot: &PathSlot<'_>) -> Result<(), Refusal> {
    let owned = status.st_uid == 0 || status.st_uid == geteuid().as_raw();
    let sticky = status.st_mode & 0o1000 != 0;
    if owned && (status.st_mode & 0o022 == 0 || sticky) {
        return Ok(());
    }
    Err(Refusal::denied(
        format!("{} as text: others may change what stands at '{shown}';", slot.shown()),
        format!("chmod go-w '{shown}', and an owner of root or the helper's user"),
    ))
}

#[cfg(test)]
mod tests;
