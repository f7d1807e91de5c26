//! What the kernel tells: files of roots of use `kernel`, named by numbers. Such a root is reached from here and from nowhere else, and
//! nothing in it is ever written.

use super::place::work;
use crate::call::Call;
use crate::resolve::undeclared_path;
use crate::root::mistaken;
use bulkhead_helper::protocol::{FilePath, FileReply, FileWork, Mounts};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::RootUse;
use bulkhead_model::pattern::RelativePath;
use bulkhead_model::text::GuestText;

/// The most that is read of one file, in bytes.
pub const LARGEST_KERNEL_FILE: usize = 64 << 10;
/// The longest name in an error's text, in bytes.
const SHOWN: usize = 128;

pub(super) async fn read(
    call: &Call,
    (root, pattern): (&str, &str),
    numbers: &[u64],
) -> Result<Vec<u8>, CapabilityError> {
    let backend = call.backend();
    let path = path(call, (root, pattern), numbers)?;
    let declared = backend.manifest().roots.iter().find(|declared| declared.name.as_str() == root);
    let name = declared.map(|declared| &declared.name).ok_or_else(|| undeclared_path(root, pattern))?;
    let root = backend.root(name)?;
    let most = u64::try_from(LARGEST_KERNEL_FILE).unwrap_or(u64::MAX);
    let at = FilePath { root: name.clone(), path };
    match work(call, None, (&[&*root], FileWork::Read { at, most, mounts: Mounts::Stop })).await? {
        FileReply::Content(content) => Ok(content),
        _ => Err(mistaken()),
    }
}

/// The declared pattern of a root of use `kernel`, filled.
fn path(
    call: &Call,
    (root, pattern): (&str, &str),
    numbers: &[u64],
) -> Result<RelativePath, CapabilityError> {
    let manifest = call.backend().manifest();
    let declared = manifest.roots.iter().find(|declared| declared.name.as_str() == root);
    let declared = declared.ok_or_else(|| undeclared_path(root, pattern))?;
    if declared.root_use != RootUse::Kernel {
        return Err(CapabilityError::denied(
            format!("reading root '{}' as the kernel's", declared.name),
            format!("[[root]] name = \"{}\" use = \"kernel\" in the driver's manifest", declared.name),
        ));
    }
    let known = declared.paths.iter().find(|known| known.as_str() == pattern);
    let known = known.ok_or_else(|| undeclared_path(root, pattern))?;
    known.fill_numbers(numbers).ok_or_else(|| {
        let message = format!(
            "'{}' takes one number for each of its {{number}} places, not {}",
            GuestText::new(known.as_str(), SHOWN),
            numbers.len()
        );
        CapabilityError::new(CapabilityCode::InvalidArgument, message)
    })
}
