//! What the kernel tells: files of roots of use `kernel`, named by numbers. Such a root is reached from here and from nowhere else, and
//! nothing in it is ever written.

use super::beneath::{self, Mounts, failed, file_type};
use super::bytes;
use super::watch::blocking;
use crate::call::Call;
use crate::resolve::undeclared_path;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::manifest::RootUse;
use bulkhead_model::pattern::RelativePath;
use bulkhead_model::text::GuestText;
use rustix::fs::{FileType, fstat};

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
    let subject = format!("{name}/{path}");
    blocking(call, None, move |_| {
        let reading = |error| failed("reading", &subject, error);
        let file = beneath::file(root.directory(), path.as_str(), Mounts::Stop).map_err(reading)?;
        if file_type(&fstat(&file).map_err(reading)?) != FileType::RegularFile {
            let message = format!("{subject} is not a file");
            return Err(CapabilityError::new(CapabilityCode::InvalidArgument, message));
        }
        // The size that the kernel reports of such files says nothing.
        bytes::read_all(&file, LARGEST_KERNEL_FILE).map_err(reading)?.ok_or_else(|| {
            let message = format!("{subject} holds more than {LARGEST_KERNEL_FILE} bytes");
            CapabilityError::new(CapabilityCode::LimitExceeded, message)
        })
    })
    .await
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
