//! Which daemon a root belongs to. A backend that is loaded takes its roots, and gives way where a later term of the same state has them;
//! while it runs it looks at every use of a root, or has the place look.

use crate::execute::Abandoned;
use crate::root::{Root, RootError, Worksite, mistaken};
use bulkhead_helper::files::{self, TENURE_ATTRIBUTE};
use bulkhead_helper::protocol::{Claimed, FileReply, FileWork, FilesCall};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::manifest::RootUse;
use bulkhead_model::tenure::Tenure;

/// How long the place may take, in milliseconds.
const CLAIMING_MS: u64 = 30_000;

/// Take `root`, which this process holds, or find it taken by a successor. One at another machine is taken by [`claim_there`].
pub(crate) fn claim(root: &Root, tenure: Tenure) -> Result<(), RootError> {
    match root.directory() {
        Some(directory) if root.root_use() != RootUse::Kernel => judge(root, files::claim(directory, tenure)),
        _ => Ok(()),
    }
}

/// Take `root`, which another machine holds, or find it taken by a successor.
pub(crate) async fn claim_there(root: &Root, tenure: Tenure) -> Result<(), RootError> {
    if root.root_use() == RootUse::Kernel {
        return Ok(());
    }
    let failed = |error| RootError::of_place(root.path(), error);
    let Worksite::There(place, mut roots) = Worksite::of(&[root]).map_err(failed)? else { return Ok(()) };
    for binding in roots.values_mut() {
        // The answer says who has it, and so what to type.
        binding.tenure = None;
    }
    let work = FileWork::Claim { root: root.name().clone(), tenure: tenure.to_string() };
    let (_waiting, abandoned) = Abandoned::pair();
    match place.files(FilesCall { roots, work, timeout_ms: CLAIMING_MS }, abandoned).await {
        Ok(FileReply::Claimed(claimed)) => judge(root, claimed),
        Ok(_) => Err(failed(mistaken())),
        Err(error) => Err(failed(error.into())),
    }
}

fn judge(root: &Root, claimed: Claimed) -> Result<(), RootError> {
    match claimed {
        Claimed::Ours => {}
        Claimed::Succeeded => return Err(RootError::Succeeded { path: root.path().to_owned() }),
        Claimed::Others => {
            tracing::warn!(root.path = root.path(), "the root belongs to the state of another daemon too");
        }
        Claimed::Unwritable(error) => {
            tracing::debug!(root.path = root.path(), "the root cannot be claimed: {error}");
        }
    }
    Ok(())
}

/// Whether `root` is still this daemon's, as far as this process sees. Fails with `denied` once a successor has it.
pub(crate) fn check(root: &Root, tenure: Tenure) -> Result<(), CapabilityError> {
    match root.directory().and_then(files::holder) {
        Some(holder) if tenure.gives_way_to(holder) => Err(CapabilityError::denied(
            format!("root '{}', which a restored copy of this daemon's state serves now", root.name()),
            format!("end the other daemon, then type: setfattr -x {TENURE_ATTRIBUTE} {}", root.path()),
        )),
        _ => Ok(()),
    }
}
