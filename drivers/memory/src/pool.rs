//! What is given out of each pool.
//!
//! The sum stands in one value of the backend's private data, what each object was counted with in the object's own. Both cannot change in
//! one step, so a change is *moved*: first the sum takes it over together with a note of whose it is and how much that now counts, then the
//! object's own record is written, then the note goes. At every moment
//!
//! ```text
//! sum = for each object: its note if there is one, else what its own record says
//! ```
//!
//! so a call that dies anywhere is repeated without counting twice, and no list of all objects is needed. A note stays only while its
//! operation has not been repeated; there is room for about 18 of them a pool, then further changes are told to come again.

use crate::options::{self, PoolOption, Provisioning};
use crate::record::{Fields, Writer};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How often a change of the sum is tried while others change it.
const TRIES: u32 = 64;
/// The longest value of private data, in bytes.
const VALUE_BYTES: usize = 1023;

/// What an object takes of its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    /// Room that is taken, in MiB.
    pub(crate) allocated_mib: u64,
    /// Room that is promised, in MiB.
    pub(crate) promised_mib: u64,
}

impl Amount {
    /// Of nothing.
    pub(crate) const NONE: Self = Self { allocated_mib: 0, promised_mib: 0 };

    fn plus(self, other: Self) -> Self {
        Self {
            allocated_mib: self.allocated_mib.saturating_add(other.allocated_mib),
            promised_mib: self.promised_mib.saturating_add(other.promised_mib),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            allocated_mib: self.allocated_mib.saturating_sub(other.allocated_mib),
            promised_mib: self.promised_mib.saturating_sub(other.promised_mib),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.allocated_mib, self.promised_mib)
    }
}

impl FromStr for Amount {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (allocated, promised) = text.split_once('/').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { allocated_mib: number(allocated)?, promised_mib: number(promised)? })
    }
}

/// What is given out of a pool, with the changes under way.
#[derive(Debug, Default)]
struct Sums {
    sum: Amount,
    notes: BTreeMap<String, Amount>,
    /// None before anything was given out.
    revision: Option<u64>,
}

impl Sums {
    fn read(pool: &str) -> Result<Self> {
        let Some(entry) = private_data::get(&Owner::Backend, &key(pool))? else {
            return Ok(Self::default());
        };
        let fields = Fields::parse(&entry.value);
        let notes = entry.value.split_ascii_whitespace().filter_map(|field| {
            let (name, amount) = field.split_once('=')?;
            Some((name.strip_prefix('+')?.to_owned(), amount.parse().ok()?))
        });
        Ok(Self { sum: fields.get("sum")?, notes: notes.collect(), revision: Some(entry.revision) })
    }

    fn text(&self) -> String {
        let start = Writer::default().with("sum", self.sum);
        self.notes.iter().fold(start, |text, (id, amount)| text.with(&format!("+{id}"), amount)).text()
    }

    /// Write it, if nobody else has written since it was read.
    fn write(&self, pool: &str) -> Result<Written> {
        let text = self.text();
        if text.len() > VALUE_BYTES {
            return Err(Error::busy(format!(
                "pool {pool} has {} interrupted changes; repeat or delete the objects of operations that failed",
                self.notes.len()
            )));
        }
        let expected = self.revision.map_or(Expected::Absent, Expected::Revision);
        match private_data::set(&Owner::Backend, &key(pool), &text, expected) {
            Ok(_) => Ok(Written::Yes),
            Err(error) if error.code() == CapabilityCode::Conflict => Ok(Written::SomebodyElse),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a change of the sum was written, or somebody else was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    SomebodyElse,
}

fn key(pool: &str) -> String {
    format!("pool/{pool}")
}

/// A change of what one object takes.
#[derive(Debug)]
pub(crate) struct Move<'call> {
    /// The object's pool.
    pub(crate) pool: &'call PoolOption,
    /// The object's id.
    pub(crate) id: &'call str,
    /// What its record says it was counted with.
    pub(crate) counted: Amount,
}

impl Move<'_> {
    /// Let the sum count the object with `wanted`; what it is counted with from now on, for its record. An endless pool counts nothing.
    ///
    /// Idempotent. Fails with `no-space` if the pool would be too full.
    pub(crate) fn begin(&self, wanted: Amount) -> Result<Amount> {
        let wanted = if self.pool.total_mib.is_some() { wanted } else { Amount::NONE };
        if !self.is_counted() {
            return Ok(wanted);
        }
        for _ in 0..TRIES {
            let mut sums = Sums::read(&self.pool.name)?;
            let now = sums.notes.get(&self.note()).copied().unwrap_or(self.counted);
            if now == wanted {
                return Ok(wanted);
            }
            let next = sums.sum.minus(now).plus(wanted);
            self.check_room(sums.sum, next)?;
            sums.sum = next;
            sums.notes.insert(self.note(), wanted);
            if sums.write(&self.pool.name)? == Written::Yes {
                return Ok(wanted);
            }
        }
        Err(contended(&self.pool.name))
    }

    /// The object's record says what [`Move::begin`] answered, or is gone: forget the change. Idempotent.
    pub(crate) fn end(&self) -> Result<()> {
        if !self.is_counted() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let mut sums = Sums::read(&self.pool.name)?;
            if sums.notes.remove(&self.note()).is_none() || sums.write(&self.pool.name)? == Written::Yes {
                return Ok(());
            }
        }
        Err(contended(&self.pool.name))
    }

    /// An endless pool has nothing to do with an object, unless it was counted when the pool had an end.
    fn is_counted(&self) -> bool {
        self.pool.total_mib.is_some() || self.counted != Amount::NONE
    }

    fn note(&self) -> String {
        self.id.replace('-', "")
    }

    fn check_room(&self, before: Amount, after: Amount) -> Result<()> {
        let Some(total_mib) = self.pool.total_mib else { return Ok(()) };
        let promised_limit = match options::provisioning()? {
            Provisioning::Thin => scaled(total_mib, options::over_subscription_ratio()?),
            Provisioning::Thick => total_mib,
        };
        let is_too_full = after.allocated_mib > total_mib && after.allocated_mib > before.allocated_mib;
        let is_over_promised =
            after.promised_mib > promised_limit && after.promised_mib > before.promised_mib;
        if !is_too_full && !is_over_promised {
            return Ok(());
        }
        Err(Error::no_space(format!(
            "pool {} would have {} MiB in use and {} MiB promised, of {total_mib} MiB; delete shares or give the pool more in \
             option pools",
            self.pool.name, after.allocated_mib, after.promised_mib
        )))
    }
}

fn contended(pool: &str) -> Error {
    Error::busy(format!("pool {pool} is changed by too many calls at once; try again"))
}

/// `mib` times `ratio`, rounded down.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pools are below 2^40 MiB, and a negative ratio allows nothing"
)]
fn scaled(mib: u64, ratio: f64) -> u64 {
    (mib as f64 * ratio) as u64
}

/// What is given out of a pool.
pub(crate) fn given_out(pool: &str) -> Result<Amount> {
    Ok(Sums::read(pool)?.sum)
}
