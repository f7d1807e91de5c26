//! All of this guest's own memory, copied into files: what a dump of it would hold, of what was freed as well.

use crate::failed;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::{Error, Result};

/// How many bytes one file holds.
const PIECE_BYTES: usize = 512 << 10;
/// How many files the manifest names for each phase.
const PIECES: usize = 8;

/// Write the memory as it is now into the files of `phase`, about the call's own share.
///
/// Fails if it is larger than the files that the manifest names.
pub(crate) fn dump(phase: &str) -> Result<()> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    for number in 0..PIECES {
        let from = number * PIECE_BYTES;
        piece.clear();
        piece.extend((from..size().min(from + PIECE_BYTES)).map(byte));
        files::write(&Path::new("memory", &format!("{{share}}.{phase}.{number}")), &piece).map_err(failed)?;
    }
    if size() > PIECES * PIECE_BYTES {
        return Err(Error::internal(format!("the memory has {} bytes, which no file is named for", size())));
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn size() -> usize {
    core::arch::wasm32::memory_size::<0>() * (64 << 10)
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "a dump reads all memory, whatever object it is of, if of any")]
fn byte(at: usize) -> u8 {
    // No read at address 0 is sound; nothing stands there.
    let address = core::ptr::with_exposed_provenance::<u8>(at.max(1));
    // SAFETY: below the size of the memory every address can be read. Volatile, since the byte may be of an object in use.
    unsafe { address.read_volatile() }
}

/// Where tests of the host itself are built, there is no guest's memory.
#[cfg(not(target_arch = "wasm32"))]
const fn size() -> usize {
    0
}

#[cfg(not(target_arch = "wasm32"))]
const fn byte(_at: usize) -> u8 {
    0
}
