//! What the array goes on with by itself: clones, reverts and the first phase of migrations, for as long as option `pending_seconds`
//! says.
//!
//! A clone or migrated share is whole from the start and only says later that it is. A revert keeps the old content until it is due; then
//! the next question puts the new one in place, in one step.

use crate::options;
use crate::snapshot::Handle;
use crate::volume::{self, Volume};
use crate::{replica, share};
use bulkhead_sdk::{FinishedShare, Resource, Result, Share, ShareProgress, clock};
use std::fmt;
use std::str::FromStr;

/// Work that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// When it began, in milliseconds since 1970.
    began_at_ms: u64,
    /// When it is done.
    due_at_ms: u64,
    /// What the share holds then; none if it holds that already.
    next: Option<Handle>,
}

impl Unfinished {
    /// Work that begins now; none if the array does it at once.
    pub(crate) fn begin(next: Option<Handle>) -> Result<Option<Self>> {
        let pending_ms = options::pending_ms()?;
        let began_at_ms = clock::now_ms();
        let due_at_ms = began_at_ms.saturating_add(pending_ms);
        Ok((pending_ms > 0).then_some(Self { began_at_ms, due_at_ms, next }))
    }

    /// Whether it is what a repeated call asks for.
    pub(crate) fn leads_to(&self, next: &Handle) -> bool {
        self.next.as_ref() == Some(next)
    }

    /// How far it is in percent; none if it is due.
    pub(crate) fn percent(&self) -> Option<u32> {
        let now = clock::now_ms();
        if now >= self.due_at_ms {
            return None;
        }
        let all = self.due_at_ms.saturating_sub(self.began_at_ms).max(1);
        let done = now.saturating_sub(self.began_at_ms).saturating_mul(100) / all;
        Some(u32::try_from(done).unwrap_or(99).min(99))
    }
}

/// As a field of a record: `BEGAN,DUE` or `BEGAN,DUE,SIZE,USED,CONTENT`.
impl fmt::Display for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{},{}", self.began_at_ms, self.due_at_ms)?;
        match &self.next {
            Some(next) => write!(formatter, ",{},{},{}", next.size_gib, next.used_mib, next.content),
            None => Ok(()),
        }
    }
}

impl FromStr for Unfinished {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(|_| ());
        let fields: Vec<&str> = text.split(',').collect();
        let (began, due, next) = match fields.as_slice() {
            [began, due] => (began, due, None),
            [began, due, size, used, content] => {
                let content = (*content).to_owned();
                (began, due, Some(Handle { size_gib: number(size)?, used_mib: number(used)?, content }))
            }
            _ => return Err(()),
        };
        Ok(Self { began_at_ms: number(began)?, due_at_ms: number(due)?, next })
    }
}

/// How far a share is, and the last step of a revert that is due.
pub(crate) fn progress(share: &Share) -> Result<ShareProgress> {
    let found = share::get(share)?;
    let mut volume = Volume { unfinished: None, ..found.volume.clone() };
    if let Some(unfinished) = &found.volume.unfinished {
        if let Some(percent) = unfinished.percent() {
            return Ok(ShareProgress::Pending(percent));
        }
        if let Some(next) = &unfinished.next {
            next.fill(&mut volume);
        }
    }
    // Also where an earlier attempt has come so far: its pool may not have heard of it.
    volume::put(&Resource::from(share), Some(&found), &volume)?;
    Ok(ShareProgress::Available(FinishedShare {
        export_locations: Some(replica::export_locations(share)?),
        size_gib: Some(volume.size_gib),
    }))
}
