//! The bytes of one file into another: by reference where the filesystem shares blocks, else by copying what is no hole.

use super::Watch;
use super::beneath::kernel;
use bulkhead_model::error::CapabilityError;
use cap_std::fs::File;
use rustix::fs::{SeekFrom, Stat, copy_file_range, ioctl_ficlone, seek};
use rustix::io::Errno;
use std::io::{Read, Write};

/// How much is copied between two looks at the clock, in bytes.
const CHUNK: usize = 16 << 20;
/// How much is read at once where the kernel does not copy itself, in bytes.
const BUFFER: usize = 1 << 18;

/// Why a copy ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The call has no time left.
    TimeIsUp(CapabilityError),
    /// A system call failed.
    Failed(Errno),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// Fill the empty file `copy` with the bytes of `source`.
pub(super) fn copy(source: &File, copy: &File, status: &Stat, watch: &Watch) -> Result<(), Stopped> {
    if status.st_size == 0 {
        return Ok(());
    }
    match ioctl_ficlone(copy, source) {
        Ok(()) => return Ok(()),
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(error.into()),
        // Another filesystem, or one that cannot share.
        Err(_) => {}
    }
    let length = u64::try_from(status.st_size).unwrap_or(0);
    let mut at = 0;
    while at < length {
        let (begin, end) = match seek(source, SeekFrom::Data(at)) {
            Ok(begin) => (begin, seek(source, SeekFrom::Hole(begin))?.min(length)),
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // Cannot tell holes from data.
            Err(Errno::INVAL) => (at, length),
            Err(error) => return Err(error.into()),
        };
        copy_range(source, copy, (begin, end), watch)?;
        // A file that is cut meanwhile could make no progress.
        at = end.max(at.saturating_add(1));
    }
    Ok(kernel(copy.set_len(length))?)
}

fn copy_range(source: &File, copy: &File, (begin, end): (u64, u64), watch: &Watch) -> Result<(), Stopped> {
    let (mut from, mut to) = (begin, begin);
    while from < end {
        watch.check().map_err(Stopped::TimeIsUp)?;
        let length = usize::try_from(end.saturating_sub(from)).unwrap_or(CHUNK).min(CHUNK);
        match copy_file_range(source, Some(&mut from), copy, Some(&mut to), length) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return copy_by_hand(source, copy, (from, end), watch);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(source: &File, copy: &File, (begin, end): (u64, u64), watch: &Watch) -> Result<(), Stopped> {
    seek(source, SeekFrom::Start(begin))?;
    seek(copy, SeekFrom::Start(begin))?;
    let (mut source, mut copy) = (source, copy);
    let mut buffer = vec![0; BUFFER];
    let mut left = end.saturating_sub(begin);
    while left > 0 {
        watch.check().map_err(Stopped::TimeIsUp)?;
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let part = buffer.get_mut(..most).unwrap_or_default();
        let count = match source.read(part) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            answer => kernel(answer)?,
        };
        let Some(bytes) = part.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        kernel(copy.write_all(bytes))?;
        left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
    }
    Ok(())
}

/// Read `file` to its end, at most `most` bytes; none if it holds more.
pub(super) fn read_all(file: &File, most: usize) -> Result<Option<Vec<u8>>, Errno> {
    let mut content = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    kernel(file.take(one_more).read_to_end(&mut content))?;
    Ok(Some(content).filter(|content| content.len() <= most))
}
