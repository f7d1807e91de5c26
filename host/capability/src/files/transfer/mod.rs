//! The host's own copy of a share's data from one backend's root to another's: host-assisted migration (contract 4.7).
//!
//! The right: both backends are granted `migration-copy`, and the data of the share are one directory that `ownership` records as the
//! share's in a granted root of use `data`. No guest takes part, and nothing else below the roots is reached.
//!
//! The copy is made into the empty directory that the destination's driver has made, and may be cut short at any moment: a repeat leaves
//! alone what is as it should be, makes anew what is not, and removes what the source has not. A second pass compares everything, content
//! by digest: only what passes it counts as copied. Modes, owners, times, `user.*` attributes, access-control lists, links and hard links
//! come along; devices, pipes and sockets are left out and counted. An owner that the host's user may not set fails the comparison: it is
//! not silently another one.

mod compare;
mod mirror;

use super::beneath::{Mounts, directory, failed};
use super::walk::{Usage, walk};
use super::watch::Watch;
use crate::backend::Backend;
use crate::number::unusable;
use crate::ownership::OwnedRecord;
use crate::root::Root;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::key;
use bulkhead_model::manifest::{OptionValue, RootUse};
use bulkhead_model::pattern::RelativePath;
use bulkhead_model::target::Resource;
use bulkhead_store::Key;
use cap_std::fs::Dir;
use rustix::fs::syncfs;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many ownership records are read at once.
const PAGE: usize = 1000;
/// The option that names what is left out.
const IGNORED: &str = "migration_ignore_files";

/// The directory that holds the data of a share, reached by the host itself.
#[derive(Debug, Clone)]
pub struct ShareDirectory {
    place: Place,
    subject: String,
    ignored: Arc<BTreeSet<OsString>>,
}

#[derive(Debug, Clone)]
enum Place {
    InRoot(Arc<Root>, RelativePath),
    Held(Arc<Dir>),
}

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

impl ShareDirectory {
    /// The directory at an absolute path that the caller answers for, where no root leads: tests.
    #[expect(clippy::disallowed_methods, reason = "the caller answers for the path; no guest names one")]
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let directory = Dir::open_ambient_dir(path, cap_std::ambient_authority())?;
        let ignored = BTreeSet::from([OsString::from("lost+found")]);
        let subject = path.display().to_string();
        Ok(Self { place: Place::Held(Arc::new(directory)), subject, ignored: Arc::new(ignored) })
    }

    /// Root and path, or what the caller calls it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    fn directory(&self) -> Result<Dir, CapabilityError> {
        let opened = match &self.place {
            Place::InRoot(root, path) => directory(root.directory(), path.as_str(), Mounts::Enter),
            Place::Held(held) => directory(held, ".", Mounts::Enter),
        };
        opened.map_err(|error| failed("opening", &self.subject, error))
    }

    /// Make `destination` hold what this holds, wait until all of it is on disk, and compare both.
    fn copy_blocking(
        &self,
        destination: &Self,
        progress: &CopyProgress,
        watch: &Watch,
    ) -> Result<CopySummary, CapabilityError> {
        let (from, to) = (self.directory()?, destination.directory()?);
        let mut usage = Usage::default();
        walk(&from, &self.subject, watch, &mut usage)?;
        progress.all.store(usage.bytes.saturating_mul(2), Ordering::Relaxed);
        progress.done.store(0, Ordering::Relaxed);
        let pair = Pair { from: &from, to: &to, ignored: &self.ignored, subject: &destination.subject };
        mirror::mirror(&pair, &self.subject, progress, watch)?;
        syncfs(&to).map_err(|error| failed("syncing", &destination.subject, error))?;
        let summary = compare::compare(&pair, &self.subject, progress, watch)?;
        progress.done.store(progress.all.load(Ordering::Relaxed).max(1), Ordering::Relaxed);
        Ok(summary)
    }

    /// Make `destination` hold what this holds, and nothing else; done only when a comparison found both equal and all is on disk.
    ///
    /// Idempotent, and resumed by a repeat; never two at once to one destination: who drops the future does not end the work, who tells
    /// `progress` to stop does. Fails with `conflict` if both are not equal afterwards, `no-space`, `timed-out` when stopped, `io`.
    pub async fn copy_to(
        &self,
        destination: &Self,
        progress: Arc<CopyProgress>,
    ) -> Result<CopySummary, CapabilityError> {
        let (source, destination) = (self.clone(), destination.clone());
        let stop = Arc::clone(&progress.stop);
        super::watch::unbounded(stop, move |watch| source.copy_blocking(&destination, &progress, watch)).await
    }
}

/// Both sides of a copy.
struct Pair<'copy> {
    from: &'copy Dir,
    to: &'copy Dir,
    ignored: &'copy BTreeSet<OsString>,
    subject: &'copy str,
}

impl Backend {
    /// Whether the host may copy shares of this backend itself. Fails with `denied` and the line that would allow it.
    pub fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        if self.grant().migration_copy {
            return Ok(());
        }
        Err(CapabilityError::denied(
            format!("copying shares of backend '{}' by the host", self.name()),
            "grant.migration-copy = true",
        ))
    }

    /// The one directory that holds the data of `share`. Fails with `denied`, with `not-found` if the share owns no directory in a root of
    /// use `data` that the host reaches, and with `conflict` if it owns several.
    pub async fn share_directory(&self, share: ShareInstanceId) -> Result<ShareDirectory, CapabilityError> {
        self.may_copy_shares()?;
        let owner = Some(Resource::Share(share));
        let mut found = Vec::new();
        for declared in self.manifest().roots.iter().filter(|root| root.root_use == RootUse::Data) {
            let Ok(root) = self.root(&declared.name) else { continue };
            for path in self.owned_paths(&root, owner).await? {
                if directory(root.directory(), path.as_str(), Mounts::Enter).is_ok() {
                    found.push((Arc::clone(&root), path));
                }
            }
        }
        let subject = |root: &Root, path: &RelativePath| format!("{}/{path} of {}", root.name(), self.name());
        match <[_; 1]>::try_from(found) {
            Ok([(root, path)]) => Ok(ShareDirectory {
                subject: subject(&root, &path),
                place: Place::InRoot(root, path),
                ignored: Arc::new(self.ignored_names()),
            }),
            Err(none) if none.is_empty() => Err(CapabilityError::new(
                CapabilityCode::NotFound,
                format!("share {share} has no directory of its own in a root of backend '{}'", self.name()),
            )),
            Err(many) => {
                let all: Vec<_> = many.iter().map(|(root, path)| subject(root, path)).collect();
                Err(CapabilityError::new(
                    CapabilityCode::Conflict,
                    format!("the data of share {share} stand in more than one directory: {}", all.join(", ")),
                ))
            }
        }
    }

    async fn owned_paths(
        &self,
        root: &Root,
        owner: Option<Resource>,
    ) -> Result<Vec<RelativePath>, CapabilityError> {
        let prefix = Key::prefix(&[key::OWNED, self.name().as_str(), root.name().as_str()]);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.store().scan_page(&prefix, after.as_ref(), PAGE).await;
            let page = page.map_err(|error| unusable(&error))?;
            for (key, versioned) in &page {
                let record: Option<OwnedRecord> = serde_json::from_slice(&versioned.value).ok();
                let path = key.parts().pop().and_then(|path| path.parse::<RelativePath>().ok());
                if let (Some(record), Some(path)) = (record, path)
                    && record.resource == owner
                {
                    found.push(path);
                }
            }
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(found),
            }
        }
    }

    fn ignored_names(&self) -> BTreeSet<OsString> {
        match self.inherited_option(IGNORED) {
            Some(OptionValue::List(names)) => names.into_iter().map(OsString::from).collect(),
            _ => BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests;
