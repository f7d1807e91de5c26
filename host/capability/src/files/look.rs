//! The functions that only look.

use super::LARGEST_FILE;
use super::place::{look, path_of, work};
use crate::call::Call;
use crate::ownership;
use crate::resolve::ResolvedPath;
use crate::root::{Root, mistaken};
use bulkhead_helper::protocol::{DirectoryEntry, FileKind, FileReply, FileWork, Mounts, Space};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::RootUse;
use bulkhead_model::text::GuestText;
use std::sync::Arc;

/// Facts about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileStatus {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Whether the ownership record says that this backend made it for the path's resource.
    pub owned: bool,
}

pub(super) async fn status(call: &Call, at: ResolvedPath) -> Result<FileStatus, CapabilityError> {
    let owned = ownership::find_own(call, &at).await?.is_some();
    let found = look(call, &at).await?.ok_or_else(|| {
        let message = format!("looking at {} failed: it is not there", at.subject());
        CapabilityError::new(CapabilityCode::NotFound, message)
    })?;
    Ok(FileStatus { kind: found.kind, size_bytes: found.size_bytes, owned })
}

pub(super) async fn list(call: &Call, at: ResolvedPath) -> Result<Vec<DirectoryEntry>, CapabilityError> {
    match work(call, None, (&[&*at.root], FileWork::List(path_of(&at)))).await? {
        FileReply::Entries(entries) => Ok(entries),
        _ => Err(mistaken()),
    }
}

pub(super) async fn usage(call: &Call, at: ResolvedPath) -> Result<u64, CapabilityError> {
    match work(call, None, (&[&*at.root], FileWork::Usage(path_of(&at)))).await? {
        FileReply::Bytes(bytes) => Ok(bytes),
        _ => Err(mistaken()),
    }
}

pub(super) async fn read(call: &Call, at: ResolvedPath) -> Result<Vec<u8>, CapabilityError> {
    let most = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX);
    let reading = FileWork::Read { at: path_of(&at), most, mounts: Mounts::Enter };
    match work(call, None, (&[&*at.root], reading)).await? {
        FileReply::Content(content) => Ok(content),
        _ => Err(mistaken()),
    }
}

pub(super) async fn space(call: &Call, root: &str) -> Result<Space, CapabilityError> {
    let root = find_root(call, root)?;
    match work(call, None, (&[&*root], FileWork::Space { root: root.name().clone() })).await? {
        FileReply::Space(space) => Ok(space),
        _ => Err(mistaken()),
    }
}

fn find_root(call: &Call, name: &str) -> Result<Arc<Root>, CapabilityError> {
    let declared = call.backend().manifest().roots.iter().find(|root| root.name.as_str() == name);
    let declared = declared.ok_or_else(|| {
        let shown = GuestText::new(name, 64);
        CapabilityError::denied(
            format!("root '{shown}'"),
            format!("[[root]] name = \"{shown}\" in the driver's manifest"),
        )
    })?;
    let root = call.backend().root(&declared.name)?;
    if root.root_use() == RootUse::Kernel {
        return Err(crate::resolve::kernel_only(&root));
    }
    Ok(root)
}
