//! Export numbers: the NFS server knows an export by a number from 1 to 65,535, which no two may share.
//!
//! A counter proposes one; a claim in the backend's private data decides, made only where nobody has claimed it. The resource's own
//! record comes first, so that a claim which a crash left is found and used, never lost. Claims stand in shelves of at most 66, because
//! the host keeps at most 1,024 keys.

use bulkhead_sdk::private_data::{self, Entry, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, Error, Resource, Result};

const KEY: &str = "export-id";
const MOST: u64 = 65_535;
const SHELVES: i64 = 1000;
/// How often a shelf is read again because somebody else has changed it meanwhile.
const ATTEMPTS: u32 = 100;

/// The number of a resource; a new one if it has none. `name` is unique and says whose the claim is.
pub(crate) fn of(resource: &Resource, name: &str) -> Result<i64> {
    if let Some(id) = recorded(resource)?
        && claim(id, name)?
    {
        return Ok(id);
    }
    for _ in 0..MOST {
        let proposed = private_data::next_number(KEY)?.wrapping_sub(1) % MOST + 1;
        let id = i64::try_from(proposed)
            .map_err(|_| Error::internal(format!("the counter proposes {proposed}, which is no number")))?;
        if Shelf::of(id)?.owner(id).is_some() {
            continue;
        }
        private_data::set(&Owner::Of(resource.clone()), KEY, &id.to_string(), Expected::Anything)?;
        if claim(id, name)? {
            return Ok(id);
        }
    }
    Err(Error::no_space(format!(
        "all {MOST} numbers of exports are in use; delete shares or mountable snapshots"
    )))
}

/// The number a resource has.
pub(crate) fn recorded(resource: &Resource) -> Result<Option<i64>> {
    let Some(entry) = private_data::get(&Owner::Of(resource.clone()), KEY)? else {
        return Ok(None);
    };
    let id = entry.value.parse().ok().filter(|id| (1..=65_535).contains(id));
    id.map(Some)
        .ok_or_else(|| Error::internal(format!("the recorded export number '{}' is none", entry.value)))
}

/// Give the number back. Idempotent.
pub(crate) fn release(resource: &Resource, name: &str, id: i64) -> Result<()> {
    change(id, |shelf| {
        if shelf.owner(id) == Some(tag(name)) {
            shelf.claims.retain(|(claimed, _)| *claimed != id);
        }
    })?;
    Ok(private_data::remove(&Owner::Of(resource.clone()), KEY)?)
}

/// Claim a number for `name`; whether it is its own now.
fn claim(id: i64, name: &str) -> Result<bool> {
    let mut is_own = false;
    change(id, |shelf| match shelf.owner(id) {
        Some(owner) => is_own = owner == tag(name),
        None => {
            is_own = true;
            shelf.claims.push((id, tag(name).to_owned()));
        }
    })?;
    Ok(is_own)
}

/// The part of a name that tells resources apart: the end of its UUID.
fn tag(name: &str) -> &str {
    name.len().checked_sub(8).and_then(|start| name.get(start..)).unwrap_or(name)
}

/// Claims that stand under one key.
struct Shelf {
    key: String,
    found: Option<Entry>,
    claims: Vec<(i64, String)>,
}

impl Shelf {
    fn of(id: i64) -> Result<Self> {
        let key = format!("export-ids/{}", id % SHELVES);
        let found = private_data::get(&Owner::Backend, &key)?;
        let parse = |claim: &str| {
            let (id, tag) = claim.split_once('=')?;
            Some((id.parse().ok()?, tag.to_owned()))
        };
        let claims = found.iter().flat_map(|entry| entry.value.split(' ')).filter_map(parse).collect();
        Ok(Self { key, found, claims })
    }

    fn owner(&self, id: i64) -> Option<&str> {
        self.claims.iter().find(|(claimed, _)| *claimed == id).map(|(_, tag)| tag.as_str())
    }

    /// Write it back, unless somebody else has changed it.
    fn save(&self) -> Result<Saved> {
        let expected = match &self.found {
            Some(entry) => Expected::Revision(entry.revision),
            None => Expected::Absent,
        };
        let claims: Vec<String> = self.claims.iter().map(|(id, tag)| format!("{id}={tag}")).collect();
        match private_data::set(&Owner::Backend, &self.key, &claims.join(" "), expected) {
            Ok(_) => Ok(Saved::Yes),
            Err(error) if error.code() == CapabilityCode::Conflict => Ok(Saved::ChangedMeanwhile),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saved {
    Yes,
    ChangedMeanwhile,
}

/// Change the shelf of a number; a change that leaves it as it is writes nothing.
fn change(id: i64, mut edit: impl FnMut(&mut Shelf)) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let mut shelf = Shelf::of(id)?;
        let before = shelf.claims.clone();
        edit(&mut shelf);
        if shelf.claims == before || shelf.save()? == Saved::Yes {
            return Ok(());
        }
    }
    Err(Error::busy("too many calls are changing the numbers of exports"))
}
