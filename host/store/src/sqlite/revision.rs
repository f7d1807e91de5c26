//! Revisions as the file keeps them: signed integers that are never negative.

use crate::transaction::Revision;
use rusqlite::Row;

pub(super) fn stored(revision: Revision) -> i64 {
    // Not reached: a million commits a second would take 292,000 years.
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

pub(super) fn of(row: &Row<'_>, column: usize) -> rusqlite::Result<Revision> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map(Revision).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
