//! The bytes of a share from one directory into another: made equal, then compared.
//!
//! The copy is made into an empty directory, and may be cut short at any moment: a repeat leaves alone what is as it should be, makes anew
//! what is not, and removes what the source has not. A second pass compares everything, content by digest: only what passes it counts as
//! copied. Modes, owners, times, `user.*` attributes, access-control lists, links and hard links come along; devices, pipes and sockets are
//! left out and counted. An owner that the host's user may not set fails the comparison: it is not silently another one.

mod compare;
mod mirror;

use super::Watch;
use super::beneath::failed;
use super::walk::{Usage, walk};
use bulkhead_model::error::CapabilityError;
use cap_std::fs::Dir;
use rustix::fs::syncfs;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far a copy is, and whether it shall stop; used while it runs.
#[derive(Debug, Default)]
pub struct CopyProgress {
    done: AtomicU64,
    all: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl CopyProgress {
    /// In percent, 0 to 100. The first half is copying, the second comparing.
    #[must_use]
    pub fn percent(&self) -> u8 {
        // A share without bytes is all done when it is done at all.
        let (done, all) = (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed).max(1));
        u8::try_from((u128::from(done) * 100 / u128::from(all)).min(100)).unwrap_or(100)
    }

    /// Let the copy end soon, with `timed-out`; what is copied stays. A repeat takes another progress.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Set by [`CopyProgress::stop`]: what a [`Watch`] of the copy looks at.
    #[must_use]
    pub fn stopped(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    fn add(&self, bytes: i64) {
        self.done.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }
}

/// What a copy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopySummary {
    /// Files, links and directories at the destination.
    pub entries: u64,
    /// What the files hold, in bytes.
    pub bytes: u64,
    /// Devices, pipes and sockets that were left out.
    pub left_out: u64,
}

/// Both sides of a copy.
#[derive(Debug)]
pub struct Pair<'copy> {
    /// What is copied.
    pub from: &'copy Dir,
    /// What becomes like it.
    pub to: &'copy Dir,
    /// Names that are left out, wherever they stand.
    pub ignored: &'copy BTreeSet<OsString>,
    /// The destination, for people.
    pub subject: &'copy str,
}

/// Make the destination of `pair` hold what its source, `subject`, holds, wait until all of it is on disk, and compare both. Blocks.
///
/// Fails with `conflict` if both are not equal afterwards, `no-space`, `timed-out` when stopped, `io`.
pub fn copy(
    pair: &Pair<'_>,
    subject: &str,
    progress: &CopyProgress,
    watch: &Watch,
) -> Result<CopySummary, CapabilityError> {
    let mut usage = Usage::default();
    walk(pair.from, subject, watch, &mut usage)?;
    progress.all.store(usage.bytes.saturating_mul(2), Ordering::Relaxed);
    progress.done.store(0, Ordering::Relaxed);
    mirror::mirror(pair, subject, progress, watch)?;
    syncfs(pair.to).map_err(|error| failed("syncing", pair.subject, error))?;
    let summary = compare::compare(pair, subject, progress, watch)?;
    progress.done.store(progress.all.load(Ordering::Relaxed).max(1), Ordering::Relaxed);
    Ok(summary)
}
