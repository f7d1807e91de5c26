//! What a command is about to make is recorded as owned first, after a look that nothing stands there.

use crate::call::Call;
use crate::ownership::{self, OwnedKind};
use crate::resolve::ResolvedPath;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_store::Revision;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// The records of one command or pipeline.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<(ResolvedPath, Revision)>);

impl Claims {
    /// Record each of `paths`; none if one of them cannot be. What somebody else made is never claimed.
    ///
    /// Fails with `already-exists` if something stands there.
    pub(crate) async fn of(call: &Call, paths: &[ResolvedPath]) -> Result<Self, CapabilityError> {
        for at in paths {
            check_free(at).await?;
        }
        let mut claims = Self::default();
        for at in paths {
            match ownership::claim(call, at, OwnedKind::ByCommand).await {
                Ok(revision) => claims.0.push((at.clone(), revision)),
                Err(error) => {
                    claims.withdraw(call).await?;
                    return Err(error);
                }
            }
        }
        Ok(claims)
    }

    /// Take the records back: nothing was started.
    pub(crate) async fn withdraw(self, call: &Call) -> Result<(), CapabilityError> {
        for (at, revision) in self.0 {
            ownership::withdraw(call, &at, revision).await?;
        }
        Ok(())
    }
}

async fn check_free(at: &ResolvedPath) -> Result<(), CapabilityError> {
    let (place, subject) = (at.clone(), at.subject());
    let (code, message) = match tokio::task::spawn_blocking(move || stands_there(&place)).await {
        Ok(Ok(false)) => return Ok(()),
        Ok(Ok(true)) => (CapabilityCode::AlreadyExists, format!("{subject} is already there")),
        Ok(Err(error)) => (CapabilityCode::Io, format!("{subject}: {error}")),
        Err(_) => (CapabilityCode::Io, format!("{subject} could not be looked at")),
    };
    Err(CapabilityError::new(code, message))
}

/// Whether anything stands at a path; a link counts as something.
fn stands_there(at: &ResolvedPath) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(at.root.directory(), at.path.as_str(), flags, Mode::empty(), resolve) {
        Ok(_) | Err(Errno::LOOP) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error),
    }
}
