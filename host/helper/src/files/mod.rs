//! Files and directories below roots, done by whoever holds them: the daemon in its own process, or a helper for a daemon that may not or
//! cannot reach them.
//!
//! Callers: the capability `files` for roots of this machine ([`perform`]), host-assisted migration ([`copy`](transfer::copy)), and the
//! mode `--serve-files` of the helper ([`serve()`]). Whose a path is and who may touch it was decided before; here it is only
//! made sure that nothing outside a root is reached, whatever tenants do inside meanwhile (`beneath`). A failure is a
//! [`CapabilityError`]; what is done by then stays done, and a repeat finds it.

mod beneath;
mod bytes;
mod change;
mod copy;
mod look;
mod metadata;
mod remove;
mod replace;
mod root;
mod serve;
pub mod stream;
pub mod transfer;
mod walk;
mod watch;
mod worker;

pub use beneath::open_directory;
pub use look::MOST_ENTRIES;
pub(crate) use root::check_tenure;
pub use root::{Identity, TENURE_ATTRIBUTE, claim, facts, holder, identity};
pub use serve::serve;
pub use watch::Watch;
pub(crate) use worker::Worker;

use crate::protocol::{FilePath, FileReply, FileWork};
use beneath::Parent;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::Label;
use cap_std::fs::Dir;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directories that the names of roots stand for.
#[derive(Debug, Default)]
pub struct OpenedRoots(BTreeMap<Label, Arc<Dir>>);

impl FromIterator<(Label, Arc<Dir>)> for OpenedRoots {
    fn from_iter<T: IntoIterator<Item = (Label, Arc<Dir>)>>(roots: T) -> Self {
        Self(roots.into_iter().collect())
    }
}

impl OpenedRoots {
    fn get(&self, root: &Label) -> Result<&Dir, CapabilityError> {
        self.0.get(root).map(|root| &**root).ok_or_else(|| {
            CapabilityError::new(CapabilityCode::InvalidArgument, format!("root '{root}' is not bound"))
        })
    }

    fn parent(&self, at: &FilePath) -> Result<Parent, CapabilityError> {
        Parent::open(self.get(&at.root)?, at)
    }
}

/// Do `work` below `roots`, until it is done or `watch` says that it shall end. Blocks.
///
/// Fails as [`FileWork`] says, with `timed-out`, and with `invalid-argument` for a root that is not among `roots`.
pub fn perform(roots: &OpenedRoots, work: &FileWork, watch: &Watch) -> Result<FileReply, CapabilityError> {
    match work {
        FileWork::OpenRoot { root } => Ok(FileReply::Root(facts(roots.get(root)?).map_err(|error| {
            CapabilityError::new(CapabilityCode::Io, format!("root '{root}' cannot be looked at: {error}"))
        })?)),
        FileWork::Claim { root, tenure } => {
            let tenure = tenure
                .parse()
                .map_err(|error| CapabilityError::new(CapabilityCode::InvalidArgument, format!("{error}")))?;
            Ok(FileReply::Claimed(claim(roots.get(root)?, tenure)))
        }
        FileWork::Look(at) => look::look(roots, at).map(FileReply::Found),
        FileWork::LookAtManaged(at) => look::look_at_managed(roots, at).map(FileReply::Found),
        FileWork::ListRoot { root } => {
            look::list(roots.get(root)?, (".", root.as_str()), watch).map(FileReply::Entries)
        }
        FileWork::List(at) => {
            let place = (at.path.as_str(), &*at.to_string());
            look::list(roots.get(&at.root)?, place, watch).map(FileReply::Entries)
        }
        FileWork::Usage(at) => look::usage(roots, at, watch).map(FileReply::Bytes),
        FileWork::Read { at, most, mounts } => {
            look::read(roots.get(&at.root)?, at, (*most, *mounts)).map(FileReply::Content)
        }
        FileWork::Space { root } => look::space(roots.get(root)?, root).map(FileReply::Space),
        FileWork::MakeDirectory { at, mode } => done(change::make_directory(&roots.parent(at)?, *mode)),
        FileWork::Remove(at) => {
            let parent = roots.parent(at)?;
            remove::remove(&parent, watch)?;
            done(replace::clear(&parent))
        }
        FileWork::Rename { from, to, kind } => {
            done(change::rename(&roots.parent(from)?, &roots.parent(to)?, *kind))
        }
        FileWork::Copy { from, to } => done(copy::copy(&roots.parent(from)?, &roots.parent(to)?, watch)),
        FileWork::Replace { at, content, before, readers } => {
            done(replace::replace(&roots.parent(at)?, (content, *readers), *before))
        }
    }
}

fn done(result: Result<(), CapabilityError>) -> Result<FileReply, CapabilityError> {
    result.map(|()| FileReply::Done)
}
