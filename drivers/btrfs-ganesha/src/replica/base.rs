//! Bases: read-only snapshots of one instant that both pools hold. The next increment carries what changed since.
//!
//! Each replica has two names for them and uses them in turn, so that the last whole base is there until the next one is.

use super::peer;
use bulkhead_btrfs_pool::subvolume::{self, Access};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Error, Resource, Result};

/// Private data of a replica: which of its bases was received to its end last.
const KEY: &str = "replication-base";

/// One of the two names of a replica's bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// `replication/{share}.a`
    A,
    /// `replication/{share}.b`
    B,
}

impl Turn {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The path below either pool.
    pub(crate) const fn pattern(self) -> &'static str {
        match self {
            Self::A => "replication/{share}.a",
            Self::B => "replication/{share}.b",
        }
    }

    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// As it stands in private data and in keys of jobs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// A base that both pools hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// Its turn.
    pub(crate) turn: Turn,
    /// The replica it is named after.
    pub(crate) owner: Resource,
}

/// The base that the next pull of `subject` starts from; none: everything must be pulled.
pub(crate) fn find(subject: &Resource, active: &Resource) -> Result<Option<Base>> {
    if let Some(turn) = recorded(subject)?
        && is_common(turn, subject)?
    {
        return Ok(Some(Base { turn, owner: subject.clone() }));
    }
    // Whoever was active until the other one was promoted holds the origin of that one's last base.
    for turn in Turn::BOTH {
        if is_common(turn, active)? {
            return Ok(Some(Base { turn, owner: active.clone() }));
        }
    }
    Ok(None)
}

/// Whether both pools hold this base, one received from the other.
fn is_common(turn: Turn, owner: &Resource) -> Result<bool> {
    let Some(here) = subvolume::look("show-subvolume", turn.pattern(), owner)? else { return Ok(false) };
    let Some(there) = peer::look(turn.pattern(), owner)? else { return Ok(false) };
    let read_only = here.access == Access::ReadOnly && there.access == Access::ReadOnly;
    let related =
        here.received.as_deref() == Some(&there.uuid) || there.received.as_deref() == Some(&here.uuid);
    Ok(read_only && related)
}

/// Which base of a replica was received to its end last.
pub(crate) fn recorded(subject: &Resource) -> Result<Option<Turn>> {
    let Some(entry) = private_data::get(&Owner::Of(subject.clone()), KEY)? else { return Ok(None) };
    let found = Turn::BOTH.into_iter().find(|turn| turn.word() == entry.value);
    found.map(Some).ok_or_else(|| Error::internal(format!("the recorded base '{}' is none", entry.value)))
}

/// Remember that this base was received to its end.
pub(crate) fn record(subject: &Resource, turn: Turn) -> Result<()> {
    private_data::set(&Owner::Of(subject.clone()), KEY, turn.word(), Expected::Anything)?;
    Ok(())
}

/// Forget which it was.
pub(crate) fn forget(subject: &Resource) -> Result<()> {
    Ok(private_data::remove(&Owner::Of(subject.clone()), KEY)?)
}

/// Delete a base from both pools.
pub(crate) fn delete(subject: &Resource, turn: Turn) -> Result<()> {
    subvolume::delete(turn.pattern(), subject)?;
    peer::delete(turn.pattern(), subject)
}
