//! Files and directories below the backend's roots, and named file templates.
//!
//! The right: a root that the manifest declares and the grant binds; in it the patterns of its `paths`, filled with names of the call's
//! target; for templates their own path, if the grant pins the template. `policy` says what the root's use allows. Only what
//! `ownership` records as the path's resource's own is changed or removed.
//!
//! What is done to a path is the helper library's [`perform`](bulkhead_helper::files::perform), in this process or by a helper at the
//! backend's place (`place`): there a root, and every directory opened below it, is a `cap_std::fs::Dir`, and everything is resolved by the
//! kernel from there, following no link. What takes long, a copy or a removal, has a begin in the ledger: after a crash, one without an
//! end says that it is not known how far it came.
//!
//! A directory made in a root of use `data` has mode 0777, as Manila's drivers make it: its tenants come
//! with user ids that this host does not know, so the operator closes the root itself to local users.

mod change;
mod kernel;
mod look;
mod place;
mod policy;
mod stream;
mod take_over;
mod template;
mod transfer;

use crate::call::Call;
use crate::ownership::{self, Reach};
use crate::record::Deed;
use crate::resolve::ResolvedPath;
use crate::slot::{Path, Slot};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityError;
use bulkhead_model::pattern::Pattern;
use bulkhead_model::text::GuestText;
use policy::Purpose;

pub use bulkhead_helper::files::MOST_ENTRIES;
pub use bulkhead_helper::files::transfer::{CopyProgress, CopySummary};
pub use bulkhead_helper::protocol::{DirectoryEntry, FileKind, Space};
pub use kernel::LARGEST_KERNEL_FILE;
pub use look::FileStatus;
pub(crate) use stream::{Incoming, Outgoing};
pub use transfer::ShareDirectory;

/// The largest file that is read or written as free bytes, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;

/// The `files` interface of one call. Every method fails with `denied` where root, pattern, resource or the root's use do not allow it,
/// and with `timed-out` when the call's time is up.
#[derive(Debug, Clone, Copy)]
pub struct Files<'call> {
    call: &'call Call,
}

impl<'call> Files<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Look at a path. Fails with `not-found` if nothing is there.
    pub async fn status(&self, at: &Path) -> Result<FileStatus, CapabilityError> {
        let place = self.resolve(at, Purpose::Look);
        let deed = self.deed("files.status", at, &place);
        self.call
            .recorded(deed, async { look::status(self.call, self.apart(place?, Reach::Place).await?).await })
            .await
    }

    /// List a directory in order of names. Fails with `not-found`, `limit-exceeded` above [`MOST_ENTRIES`].
    pub async fn list_directory(&self, at: &Path) -> Result<Vec<DirectoryEntry>, CapabilityError> {
        let place = self.resolve(at, Purpose::Look);
        let deed = self.deed("files.list-directory", at, &place);
        self.call
            .recorded(deed, async { look::list(self.call, self.apart(place?, Reach::Place).await?).await })
            .await
    }

    /// Bytes that all regular files below a path hold, as their lengths add up. Fails with `not-found`.
    pub async fn usage(&self, at: &Path) -> Result<u64, CapabilityError> {
        let place = self.resolve(at, Purpose::Look);
        let deed = self.deed("files.usage", at, &place);
        self.call
            .recorded(deed, async { look::usage(self.call, self.apart(place?, Reach::Place).await?).await })
            .await
    }

    /// Read a whole file of at most [`LARGEST_FILE`] bytes, without the secrets that a command may have written there. Fails with
    /// `not-found`, `limit-exceeded`.
    pub async fn read(&self, at: &Path) -> Result<Vec<u8>, CapabilityError> {
        let place = self.resolve(at, Purpose::Read);
        let deed = self.deed("files.read", at, &place);
        self.call
            .recorded(deed, async {
                let bytes = look::read(self.call, self.apart(place?, Reach::Place).await?).await?;
                Ok(self.call.redactor().redact_bytes(&bytes).into_owned())
            })
            .await
    }

    /// Read what the kernel tells at a path of a root of use `kernel`, at most [`LARGEST_KERNEL_FILE`] bytes. Fails with `not-found`,
    /// `invalid-argument` unless there is a number for each place, `limit-exceeded`.
    pub async fn read_kernel(
        &self,
        root: &str,
        pattern: &str,
        numbers: &[u64],
    ) -> Result<Vec<u8>, CapabilityError> {
        let numbers_text = numbers.iter().take(16).map(u64::to_string).collect::<Vec<_>>().join(", ");
        let subject =
            format!("{}/{} ({numbers_text})", GuestText::new(root, 64), GuestText::new(pattern, 128));
        let work = async {
            self.call.require(Capability::Files)?;
            kernel::read(self.call, (root, pattern), numbers).await
        };
        self.call.recorded(Deed::new("files.read-kernel", subject), work).await
    }

    /// Make a directory, its ownership record first. Idempotent. Fails with `not-owned`, `already-exists` if it is an owned file,
    /// `not-found` if the directory above is missing, `no-space`.
    pub async fn create_directory(&self, at: &Path) -> Result<(), CapabilityError> {
        let place = self.resolve(at, Purpose::Arrange);
        let deed = self.deed("files.create-directory", at, &place);
        self.call
            .recorded(deed, async {
                change::create_directory(self.call, self.apart(place?, Reach::Place).await?).await
            })
            .await
    }

    /// Remove an owned file or tree, then its record. Idempotent: succeeds if nothing is there. Fails with `not-owned`, also if
    /// something is mounted inside.
    pub async fn remove(&self, at: &Path) -> Result<(), CapabilityError> {
        let place = self.resolve(at, Purpose::Arrange);
        let deed = self.deed("files.remove", at, &place);
        let begun = deed.clone();
        let work = async {
            let place = self.apart(place?, Reach::Tree).await?;
            self.call.record(&begun, EffectOutcome::Begun, "").await?;
            change::remove(self.call, place).await
        };
        self.call.recorded(deed, work).await
    }

    /// Give an owned file or directory another name in its root; the record moves with it. A repeat by the same operation succeeds.
    /// From a path with `{managed}` it takes over a directory that nobody owns. Fails with `not-found`, `already-exists`, `not-owned`.
    pub async fn rename(&self, source: &Path, destination: &Path) -> Result<(), CapabilityError> {
        let takes_over = source.pattern.parse().is_ok_and(|pattern: Pattern| pattern.is_managed());
        let purpose = if takes_over { Purpose::TakeOver } else { Purpose::Change };
        let places = self.resolve_both((source, purpose), (destination, Purpose::Change));
        let deed = self.deed_of_two("files.rename", (source, destination), &places);
        let work = async {
            let (from, to) = places?;
            policy::check_one_root(&from, &to)?;
            let (from, to) = (self.apart(from, Reach::Tree).await?, self.apart(to, Reach::Place).await?);
            match takes_over {
                true => take_over::take_over(self.call, from, to).await,
                false => change::rename(self.call, from, to).await,
            }
        };
        self.call.recorded(deed, work).await
    }

    /// Exchange two owned files or directories of one root in one step. Not idempotent. Fails with `not-found`, `not-owned`.
    pub async fn exchange(&self, first: &Path, second: &Path) -> Result<(), CapabilityError> {
        let places = self.resolve_both((first, Purpose::Change), (second, Purpose::Change));
        let deed = self.deed_of_two("files.exchange", (first, second), &places);
        let work = async {
            let (one, other) = places?;
            policy::check_one_root(&one, &other)?;
            let (one, other) = (self.apart(one, Reach::Tree).await?, self.apart(other, Reach::Tree).await?);
            change::exchange(self.call, one, other).await
        };
        self.call.recorded(deed, work).await
    }

    /// Copy an owned tree or file, sharing blocks where the filesystem can; the copy is recorded as owned before it begins, and on disk
    /// when this returns. Fails with `already-exists` if anything stands at `destination`, a copy cut short included; `not-found`,
    /// `not-owned`, `no-space`.
    pub async fn copy_tree(&self, source: &Path, destination: &Path) -> Result<(), CapabilityError> {
        let places = self.resolve_both((source, Purpose::Look), (destination, Purpose::Change));
        let places = places.and_then(|(from, to)| policy::check_copy(&from, &to).map(|()| (from, to)));
        let deed = self.deed_of_two("files.copy-tree", (source, destination), &places);
        let begun = deed.clone();
        let work = async {
            let (from, to) = places?;
            let (from, to) = (self.apart(from, Reach::Tree).await?, self.apart(to, Reach::Place).await?);
            self.call.record(&begun, EffectOutcome::Begun, "").await?;
            change::copy_tree(self.call, from, to).await
        };
        self.call.recorded(deed, work).await
    }

    /// How full the filesystem below a root is.
    pub async fn root_space(&self, root: &str) -> Result<Space, CapabilityError> {
        let work = async {
            self.call.require(Capability::Files)?;
            look::space(self.call, root).await
        };
        self.call.recorded(Deed::new("files.root-space", root), work).await
    }

    /// The absolute path of a path at its place. Grants nothing, looks at nothing.
    pub async fn location(&self, at: &Path) -> Result<String, CapabilityError> {
        let place = self.resolve(at, Purpose::Look);
        let deed = self.deed("files.location", at, &place);
        self.call.recorded(deed, async { place.map(|place| place.absolute()) }).await
    }

    /// Write a named file template in one step, synced; recorded as owned. Idempotent. Fails with `invalid-argument` if a slot is
    /// missing, unknown or outside its type, `not-owned` if something unrecorded stands there, `no-space`.
    pub async fn write_template(&self, template: &str, slots: &[Slot]) -> Result<(), CapabilityError> {
        let work = change::write_template(self.call, template, slots);
        self.call.recorded_with_detail(Deed::new("files.write-template", template), work).await
    }

    /// Remove the file that `write_template` wrote for the resource its slots name, or for the subject. Idempotent. Fails with
    /// `not-owned`.
    pub async fn remove_template(&self, template: &str, slots: &[Slot]) -> Result<(), CapabilityError> {
        let work = change::remove_template(self.call, template, slots);
        self.call.recorded(Deed::new("files.remove-template", template), work).await
    }

    /// Write free bytes, at most [`LARGEST_FILE`], in one step, synced; recorded as owned. Idempotent. Fails with `limit-exceeded`,
    /// `not-owned`, `no-space`.
    pub async fn write(&self, at: &Path, content: &[u8]) -> Result<(), CapabilityError> {
        let place = self.resolve(at, Purpose::Write);
        let deed = self.deed("files.write", at, &place);
        self.call
            .recorded(deed, async {
                change::write(self.call, self.apart(place?, Reach::Place).await?, content).await
            })
            .await
    }

    fn resolve(&self, at: &Path, purpose: Purpose) -> Result<ResolvedPath, CapabilityError> {
        self.call.require(Capability::Files)?;
        let place = self.call.resolve(at)?;
        policy::check(&place, purpose)?;
        Ok(place)
    }

    async fn apart(&self, place: ResolvedPath, reach: Reach) -> Result<ResolvedPath, CapabilityError> {
        ownership::keep_apart(self.call, &place, reach).await?;
        Ok(place)
    }

    fn resolve_both(
        &self,
        first: (&Path, Purpose),
        second: (&Path, Purpose),
    ) -> Result<(ResolvedPath, ResolvedPath), CapabilityError> {
        Ok((self.resolve(first.0, first.1)?, self.resolve(second.0, second.1)?))
    }

    fn deed(&self, function: &'static str, at: &Path, place: &Result<ResolvedPath, CapabilityError>) -> Deed {
        Deed::new(function, place.as_ref().map_or_else(|_| asked(at), ResolvedPath::subject))
    }

    fn deed_of_two(
        &self,
        function: &'static str,
        at: (&Path, &Path),
        places: &Result<(ResolvedPath, ResolvedPath), CapabilityError>,
    ) -> Deed {
        let subject = match places {
            Ok((first, second)) => format!("{} -> {}", first.subject(), second.subject()),
            Err(_) => format!("{} -> {}", asked(at.0), asked(at.1)),
        };
        Deed::new(function, subject)
    }
}

/// Whether anything stands at a path; a link counts as something.
pub(crate) async fn is_there(call: &Call, at: &ResolvedPath) -> Result<bool, CapabilityError> {
    place::look(call, at).await.map(|found| found.is_some())
}

/// What a guest asked for, in its own words.
fn asked(at: &Path) -> String {
    let of = at.of.map_or_else(String::new, |of| format!(" of {of}"));
    format!("{}/{}{of}", GuestText::new(&at.root, 64), GuestText::new(&at.pattern, 128))
}
