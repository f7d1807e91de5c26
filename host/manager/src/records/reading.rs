//! Reading the rows, by one hand at a time in each thread.

use super::Tables;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// The rows, for as long as somebody looks at them.
///
/// A thread that reads them a second time while it reads them already waits for ever as soon as a commit wants to write in between: the
/// writer waits for the first read, the second read for the writer. That takes a busy day to be seen, so debug builds refuse it always.
#[derive(Debug)]
pub(crate) struct Reading<'memory> {
    tables: RwLockReadGuard<'memory, Tables>,
}

impl<'memory> Reading<'memory> {
    pub(super) fn begin(tables: &'memory RwLock<Tables>) -> Self {
        let reads_already = cfg!(debug_assertions) && READS.replace(true);
        debug_assert!(
            !reads_already,
            "this thread reads the rows already: hand them on instead of reading them again"
        );
        Self { tables: tables.read().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        READS.set(false);
    }
}

impl Deref for Reading<'_> {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_again_once_they_were_put_down() {
        let tables = RwLock::new(Tables::default());
        drop(Reading::begin(&tables));
        drop(Reading::begin(&tables));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "reads the rows already")]
    fn rows_are_not_read_twice_at_once_by_one_thread() {
        let tables = RwLock::new(Tables::default());
        let _first = Reading::begin(&tables);
        let _second = Reading::begin(&tables);
    }
}
