//! A root's own directory: which it is, and whose.
//!
//! Whose it is stands on it as an extended attribute, where no guest and no tenant reaches. A daemon whose state was put back elsewhere
//! from a backup must not go on with the storage beside its successor: both would make and remove the same names. What another state has
//! is left to it: only copies of one state mean the same names. Where the filesystem has no such attributes, or the user may not set
//! them, nothing is claimed.

use crate::protocol::{Claimed, Refusal, RootFacts};
use bulkhead_model::id::Label;
use bulkhead_model::tenure::Tenure;
use cap_std::fs::{Dir, MetadataExt};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, Stat, XattrFlags, fgetxattr, fsetxattr, openat};
use rustix::io::Errno;
use std::io;

/// Which file or directory: device and number.
pub type Identity = (u64, u64);

/// The attribute that says whose a root is.
pub const TENURE_ATTRIBUTE: &str = "user.bulkhead.tenure";
/// Longer than every tenure.
const LONGEST: usize = 256;

/// Which file or directory this is the status of.
#[must_use]
pub const fn identity(status: &Stat) -> Identity {
    (status.st_dev, status.st_ino)
}

/// What is to be known of a root. What is above it is looked at and let go.
pub fn facts(directory: &Dir) -> io::Result<RootFacts> {
    let mode = directory.dir_metadata()?.mode() & 0o7777;
    let identity = |directory: &Dir| directory.dir_metadata().map(|status| (status.dev(), status.ino()));
    let mut ancestry = vec![identity(directory)?];
    let mut above = directory.open_parent_dir(cap_std::ambient_authority())?;
    loop {
        let here = identity(&above)?;
        if ancestry.last() == Some(&here) {
            return Ok(RootFacts { mode, ancestry });
        }
        ancestry.push(here);
        above = above.open_parent_dir(cap_std::ambient_authority())?;
    }
}

/// The root's directory, opened to be read: the one that is held is a mere place, and says nothing of its attributes.
fn readable(root: impl AsFd) -> Result<OwnedFd, Errno> {
    openat(root, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Who has the root, if somebody has and it can be read.
pub fn holder(root: impl AsFd) -> Option<Tenure> {
    let mut value = [0_u8; LONGEST];
    let length = fgetxattr(readable(root).ok()?, TENURE_ATTRIBUTE, &mut value[..]).ok()?;
    std::str::from_utf8(value.get(..length)?).ok()?.parse().ok()
}

/// Take the root, or find it taken.
pub fn claim(root: impl AsFd, tenure: Tenure) -> Claimed {
    match holder(&root) {
        Some(holder) if tenure.gives_way_to(holder) => return Claimed::Succeeded,
        Some(holder) if holder == tenure => return Claimed::Ours,
        Some(holder) if !tenure.takes_from(holder) => return Claimed::Others,
        _ => {}
    }
    let text = tenure.to_string();
    let written = readable(root)
        .and_then(|directory| fsetxattr(directory, TENURE_ATTRIBUTE, text.as_bytes(), XattrFlags::empty()));
    written.map_or_else(|error| Claimed::Unwritable(error.to_string()), |()| Claimed::Ours)
}

/// Denied once a later term of the same state has the root.
pub(crate) fn check_tenure(
    root: impl AsFd,
    (name, path): (&Label, &str),
    tenure: Option<&str>,
) -> Result<(), Refusal> {
    let Some(tenure) = tenure else { return Ok(()) };
    let ours: Tenure = tenure.parse().map_err(|error| Refusal::invalid(format!("{error}")))?;
    match holder(root) {
        Some(holder) if ours.gives_way_to(holder) => Err(Refusal::denied(
            format!("root '{name}', which a restored copy of this daemon's state serves now"),
            format!("end the other daemon, then type: setfattr -x {TENURE_ATTRIBUTE} {path}"),
        )),
        _ => Ok(()),
    }
}
