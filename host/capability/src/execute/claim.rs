//! What a command is about to make is recorded as owned first, after a look that nothing stands there.

use crate::call::Call;
use crate::ownership::{self, OwnedKind};
use crate::resolve::ResolvedPath;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_store::Revision;

/// The records of one command or pipeline.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<(ResolvedPath, Revision)>);

impl Claims {
    /// Record each of `paths`; none if one of them cannot be. What somebody else made is never claimed.
    ///
    /// Fails with `already-exists` if something stands there.
    pub(crate) async fn of(call: &Call, paths: &[ResolvedPath]) -> Result<Self, CapabilityError> {
        for at in paths {
            check_free(call, at).await?;
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

async fn check_free(call: &Call, at: &ResolvedPath) -> Result<(), CapabilityError> {
    if !crate::files::is_there(call, at).await? {
        return Ok(());
    }
    let message = format!("{} is already there", at.subject());
    Err(CapabilityError::new(CapabilityCode::AlreadyExists, message))
}
