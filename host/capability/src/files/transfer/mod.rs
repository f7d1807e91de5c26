//! The host's own copy of a share's data from one backend's root to another's: host-assisted migration (contract 4.7).
//!
//! The right: both backends are granted `migration-copy`, and the data of the share are one directory that `ownership` records as the
//! share's in a granted root of use `data`. No guest takes part, and nothing else below the roots is reached.
//!
//! How it is done, and why it may be cut short at any moment, says [`transfer`](bulkhead_helper::files::transfer).

use crate::backend::Backend;
use crate::execute::Directories;
use crate::number::unusable;
use crate::ownership::OwnedRecord;
use crate::root::Root;
use bulkhead_helper::files::transfer::{CopyProgress, CopySummary, Pair, copy};
use bulkhead_helper::files::{Watch, open_directory};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::key;
use bulkhead_model::manifest::{OptionValue, RootUse};
use bulkhead_model::pattern::RelativePath;
use bulkhead_model::target::Resource;
use bulkhead_store::Key;
use cap_std::fs::Dir;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many ownership records are read at once.
const PAGE: usize = 1000;
/// The option that names what is left out.
const IGNORED: &str = "migration_ignore_files";
/// How long work of the host's own may take that no call bounds: it is stopped by who began it.
const UNBOUNDED: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

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
        match &self.place {
            Place::InRoot(root, path) => {
                let root = root.directory().ok_or_else(|| elsewhere(&self.subject))?;
                open_directory(root, path.as_str(), &self.subject)
            }
            Place::Held(held) => open_directory(held, ".", &self.subject),
        }
    }

    fn copy_blocking(
        &self,
        destination: &Self,
        progress: &CopyProgress,
        watch: &Watch,
    ) -> Result<CopySummary, CapabilityError> {
        let (from, to) = (self.directory()?, destination.directory()?);
        let pair = Pair { from: &from, to: &to, ignored: &self.ignored, subject: &destination.subject };
        copy(&pair, &self.subject, progress, watch)
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
        let watch = Watch::new(Instant::now() + UNBOUNDED, progress.stopped());
        let copying =
            tokio::task::spawn_blocking(move || source.copy_blocking(&destination, &progress, &watch));
        copying.await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a copy by the host ended abruptly");
            CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
        })?
    }
}

/// Nothing that passes: whoever waits would wait for ever.
fn elsewhere(subject: &str) -> CapabilityError {
    CapabilityError::denied(
        format!("copying {subject}, which is on another machine,"),
        "no line; this host copies between directories of its own, so migrate with the driver's help, or copy as a client",
    )
}

impl Backend {
    /// Whether the host may copy shares of this backend itself. Fails with `denied` and the line that would allow it, or that none would.
    pub fn may_copy_shares(&self) -> Result<(), CapabilityError> {
        if self.runner().directories() != Directories::Here {
            return Err(elsewhere(&format!("shares of backend '{}'", self.name())));
        }
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
                let Some(held) = root.directory() else {
                    return Err(elsewhere(&format!("{}/{path}", root.name())));
                };
                if open_directory(held, path.as_str(), root.name().as_str()).is_ok() {
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
