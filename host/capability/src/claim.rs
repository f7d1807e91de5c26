//! Which daemon a root belongs to: written on the root's own directory as an extended attribute, where no guest and no tenant reaches.
//!
//! A daemon whose state was put back elsewhere from a backup must not go on with the storage beside its successor: both would make and
//! remove the same names. So a backend that is loaded takes its roots, and gives way where a later term of the same state has them; while it
//! runs it looks at every use of a root. What another state has is left to it: only copies of one state mean the same names. Where the
//! filesystem has no such attributes, or the host's user may not set them, nothing is claimed.

use crate::root::{Root, RootError};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::manifest::RootUse;
use bulkhead_model::tenure::Tenure;
use rustix::fs::{Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, openat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

const ATTRIBUTE: &str = "user.bulkhead.tenure";
/// Longer than every tenure.
const LONGEST: usize = 256;

/// The root's directory, opened to be read: the one that is held is a mere place, and says nothing of its attributes.
fn readable(root: &Root) -> Result<OwnedFd, Errno> {
    openat(root.directory(), ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Who has `root`, if somebody has and it can be read.
fn holder(root: &Root) -> Option<Tenure> {
    let mut value = [0_u8; LONGEST];
    let length = fgetxattr(readable(root).ok()?, ATTRIBUTE, &mut value[..]).ok()?;
    std::str::from_utf8(value.get(..length)?).ok()?.parse().ok()
}

/// Take `root`, or find it taken by a successor.
pub(crate) fn claim(root: &Root, tenure: Tenure) -> Result<(), RootError> {
    if root.root_use() == RootUse::Kernel {
        return Ok(());
    }
    let before = holder(root);
    match before {
        Some(holder) if tenure.gives_way_to(holder) => {
            return Err(RootError::Succeeded { path: root.path().to_owned() });
        }
        Some(holder) if holder == tenure => return Ok(()),
        Some(holder) if !tenure.takes_from(holder) => {
            tracing::warn!(root.path = root.path(), "the root belongs to the state of another daemon too");
            return Ok(());
        }
        _ => {}
    }
    let text = tenure.to_string();
    let written = readable(root)
        .and_then(|directory| fsetxattr(directory, ATTRIBUTE, text.as_bytes(), XattrFlags::empty()));
    if let Err(error) = written {
        tracing::debug!(root.path = root.path(), "the root cannot be claimed: {error}");
    }
    Ok(())
}

/// Whether `root` is still this daemon's. Fails with `denied` once a successor has it.
pub(crate) fn check(root: &Root, tenure: Tenure) -> Result<(), CapabilityError> {
    match holder(root) {
        Some(holder) if tenure.gives_way_to(holder) => Err(CapabilityError::denied(
            format!("root '{}', which a restored copy of this daemon's state serves now", root.name()),
            format!("end the other daemon, then type: setfattr -x {ATTRIBUTE} {}", root.path()),
        )),
        _ => Ok(()),
    }
}
