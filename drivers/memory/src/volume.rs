//! The one record that says that a share or snapshot is there, and what it is.

use crate::options::{self, MIB_PER_GIB, Provisioning};
use crate::pending::Unfinished;
use crate::pool::{Amount, Move};
use crate::record::{Fields, Writer};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Resource, Result};

const KEY: &str = "volume";

/// What an object is at the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A share: its size is promised.
    Share,
    /// A snapshot: takes what its share used, and promises nothing.
    Snapshot,
}

/// A share or snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// What it is.
    pub(crate) kind: Kind,
    /// The pool it is in.
    pub(crate) pool: String,
    /// Its size in GiB; of a snapshot its share's when it was taken.
    pub(crate) size_gib: u64,
    /// What of it is used, in MiB.
    pub(crate) used_mib: u64,
    /// A word for what it holds.
    pub(crate) content: String,
    /// What its pool's sum counts for it.
    pub(crate) counted: Amount,
    /// The name it had at the array before it was managed; none if it was made through this driver.
    pub(crate) known_as: Option<String>,
    /// Since when it holds what the active replica holds, in milliseconds since 1970; none for what is no following replica.
    pub(crate) in_sync_at_ms: Option<u64>,
    /// What the array still does with it by itself; none if it is as it says.
    pub(crate) unfinished: Option<Unfinished>,
}

impl Volume {
    /// A new one, not counted yet.
    pub(crate) fn new(kind: Kind, pool: &str, size_gib: u64, content: &str) -> Self {
        Self {
            kind,
            pool: pool.to_owned(),
            size_gib,
            used_mib: 0,
            content: content.to_owned(),
            counted: Amount::NONE,
            known_as: None,
            in_sync_at_ms: None,
            unfinished: None,
        }
    }

    /// Its record as text.
    pub(crate) fn text(&self) -> String {
        let kind = match self.kind {
            Kind::Share => "share",
            Kind::Snapshot => "snapshot",
        };
        Writer::default()
            .with("kind", kind)
            .with("pool", &self.pool)
            .with("size", self.size_gib)
            .with("used", self.used_mib)
            .with("content", &self.content)
            .with("counted", self.counted)
            .with_some("known-as", self.known_as.as_ref())
            .with_some("in-sync-at", self.in_sync_at_ms)
            .with_some("unfinished", self.unfinished.as_ref())
            .text()
    }

    /// Read its record.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fields = Fields::parse(text);
        Ok(Self {
            kind: if fields.get::<String>("kind")? == "share" { Kind::Share } else { Kind::Snapshot },
            pool: fields.get("pool")?,
            size_gib: fields.get("size")?,
            used_mib: fields.get("used")?,
            content: fields.get("content")?,
            counted: fields.get("counted")?,
            known_as: fields.find("known-as")?,
            in_sync_at_ms: fields.find("in-sync-at")?,
            unfinished: fields.find("unfinished")?,
        })
    }

    /// What it takes of its pool.
    fn amount(&self, provisioning: Provisioning) -> Amount {
        let size_mib = self.size_gib.saturating_mul(MIB_PER_GIB);
        match (self.kind, provisioning) {
            (Kind::Snapshot, _) => Amount { allocated_mib: self.used_mib, promised_mib: 0 },
            (Kind::Share, Provisioning::Thin) => {
                Amount { allocated_mib: self.used_mib, promised_mib: size_mib }
            }
            (Kind::Share, Provisioning::Thick) => Amount { allocated_mib: size_mib, promised_mib: size_mib },
        }
    }
}

/// A volume as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What it is.
    pub(crate) volume: Volume,
    revision: u64,
}

/// What is there of `resource`. Reads only.
pub(crate) fn find(resource: &Resource) -> Result<Option<Found>> {
    let entry = private_data::get(&owner(resource), KEY)?;
    entry
        .map(|entry| Ok(Found { volume: Volume::parse(&entry.value)?, revision: entry.revision }))
        .transpose()
}

/// Let `resource` be `volume`, where `found` was. The pool counts it before the record says so.
///
/// Idempotent: what is as wanted already is only counted. Fails with `no-space`, `busy` if somebody else has changed it since it was read.
pub(crate) fn put(resource: &Resource, found: Option<&Found>, volume: &Volume) -> Result<()> {
    let pool = options::pool_of_object(&volume.pool)?;
    let counted = found.map_or(volume.counted, |found| found.volume.counted);
    let change = Move { pool: &pool, id: resource.id(), counted };
    let wanted = volume.amount(options::provisioning()?);
    let volume = Volume { counted: change.begin(wanted)?, ..volume.clone() };
    if found.is_none_or(|found| found.volume != volume) {
        let expected = found.map_or(Expected::Absent, |found| Expected::Revision(found.revision));
        private_data::set(&owner(resource), KEY, &volume.text(), expected)?;
    }
    change.end()
}

/// Remove everything of `resource`; `pool` is where it is if its record is gone already.
///
/// Idempotent: what is gone, or was made only in part, is a success.
pub(crate) fn remove(resource: &Resource, pool: Option<&str>) -> Result<()> {
    let found = find(resource)?;
    let counted = found.as_ref().map_or(Amount::NONE, |found| found.volume.counted);
    let pool = match (&found, pool) {
        (Some(found), _) => options::pool_of_object(&found.volume.pool)?,
        (None, Some(pool)) => options::pool_of_object(pool)?,
        (None, None) => options::pool_for_new(None)?,
    };
    let change = Move { pool: &pool, id: resource.id(), counted };
    for entry in private_data::get_all(&owner(resource))? {
        if entry.key != KEY {
            private_data::remove(&owner(resource), &entry.key)?;
        }
    }
    change.begin(Amount::NONE)?;
    private_data::remove(&owner(resource), KEY)?;
    change.end()
}

/// Whose private data.
pub(crate) fn owner(resource: &Resource) -> Owner {
    Owner::Of(resource.clone())
}
