//! Objects of the array that nobody manages: what was let go, and what options say was there before Bulkhead.
//!
//! An object that was let go keeps the name it had, `share-…`, and is what its record on the shelf says. One of an option is there until
//! somebody takes it over; then a note says who, because an option cannot be taken from.

use crate::options;
use crate::volume::{Kind, Volume};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, Error, Result};

/// How many objects of a kind may be left: each is a key of the backend's private data, which may have 1,024.
const MOST_LEFT: usize = 400;

/// What lies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Shares.
    Shares,
    /// Snapshots.
    Snapshots,
    /// Share servers.
    Servers,
}

impl Shelf {
    fn prefix(self) -> &'static str {
        match self {
            Self::Shares => "left/",
            Self::Snapshots => "left-snapshot/",
            Self::Servers => "left-server/",
        }
    }

    fn key(self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }
}

/// Lay an object down under its name. Idempotent. Fails with `no-space` if too many lie there.
pub(crate) fn put(shelf: Shelf, name: &str, volume: &Volume) -> Result<()> {
    put_text(shelf, name, &volume.text())
}

/// As [`put`], for an object that is no volume.
pub(crate) fn put_text(shelf: Shelf, name: &str, text: &str) -> Result<()> {
    let is_new = private_data::get(&Owner::Backend, &shelf.key(name))?.is_none();
    let lying = private_data::get_all(&Owner::Backend)?;
    let count = lying.iter().filter(|entry| entry.key.starts_with(shelf.prefix())).count();
    if is_new && count >= MOST_LEFT {
        return Err(Error::no_space(format!(
            "the array has {MOST_LEFT} objects that nobody manages; take some over and delete them"
        )));
    }
    private_data::set(&Owner::Backend, &shelf.key(name), text, Expected::Anything)?;
    Ok(())
}

/// What lies there under `name`; none if nothing does. Reads only.
pub(crate) fn find(shelf: Shelf, name: &str) -> Result<Option<Volume>> {
    find_text(shelf, name)?.map(|text| Volume::parse(&text)).transpose()
}

/// As [`find`], for an object that is no volume.
pub(crate) fn find_text(shelf: Shelf, name: &str) -> Result<Option<String>> {
    Ok(private_data::get(&Owner::Backend, &shelf.key(name))?.map(|entry| entry.value))
}

/// Take an object from it. Idempotent.
pub(crate) fn remove(shelf: Shelf, name: &str) -> Result<()> {
    Ok(private_data::remove(&Owner::Backend, &shelf.key(name))?)
}

/// The share that an option says was there, as it is before anybody takes it over.
pub(crate) fn existing_share(name: &str, pool: &str) -> Result<Option<Volume>> {
    let declared = options::existing_shares()?.into_iter().find(|(known, _)| known == name);
    declared
        .map(|(name, size_gib)| {
            Ok(Volume {
                used_mib: options::first_use_mib(size_gib)?,
                known_as: Some(name.clone()),
                ..Volume::new(Kind::Share, pool, size_gib, &name)
            })
        })
        .transpose()
}

/// Note that `taker` takes the object `name` of an option over. Idempotent; whether it may: somebody else may have been first.
pub(crate) fn claim(shelf: Shelf, name: &str, taker: &str) -> Result<Claim> {
    let key = format!("taken/{}{name}", shelf.prefix());
    match private_data::set(&Owner::Backend, &key, taker, Expected::Absent) {
        Ok(_) => Ok(Claim::Ours),
        Err(error) if error.code() == CapabilityCode::Conflict => {
            let is_ours = private_data::get(&Owner::Backend, &key)?.is_some_and(|entry| entry.value == taker);
            Ok(if is_ours { Claim::Ours } else { Claim::SomebodyElses })
        }
        Err(error) => Err(error.into()),
    }
}

/// Whose an object of an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The caller's.
    Ours,
    /// Somebody took it over before.
    SomebodyElses,
}

/// Forget notes about objects that no option declares any more: so there are never more than options may declare.
pub(crate) fn tidy() -> Result<()> {
    let shares = options::existing_shares()?.into_iter().map(|(name, _)| (Shelf::Shares, name));
    let snapshots = options::existing_snapshots()?.into_iter().map(|(name, _)| (Shelf::Snapshots, name));
    let servers = options::existing_servers()?.into_iter().map(|(name, _)| (Shelf::Servers, name));
    let all = shares.chain(snapshots).chain(servers);
    let declared: Vec<String> = all.map(|(shelf, name)| format!("taken/{}{name}", shelf.prefix())).collect();
    for entry in private_data::get_all(&Owner::Backend)? {
        if entry.key.starts_with("taken/") && !declared.contains(&entry.key) {
            private_data::remove(&Owner::Backend, &entry.key)?;
        }
    }
    Ok(())
}
