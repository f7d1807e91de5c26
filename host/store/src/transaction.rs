//! What a commit is asked: compares that must hold, and the writes to make if they do.

use crate::error::StoreError;
use crate::key::Key;
use crate::limits;
use std::collections::BTreeSet;
use std::fmt;

/// Which commit: a number that grows with every commit of the store, across restarts. Nothing stored has revision 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub(crate) u64);

impl Revision {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A value and the commit that put it there.
#[derive(Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The commit that wrote it last.
    pub revision: Revision,
    /// The bytes.
    pub value: Vec<u8>,
}

/// What must hold for a transaction to happen.
#[derive(Clone, PartialEq, Eq)]
pub enum Compare {
    /// Nothing stands at the key.
    Absent(Key),
    /// The key was written last by this commit.
    Revision(Key, Revision),
    /// The key holds exactly these bytes.
    Value(Key, Vec<u8>),
}

impl Compare {
    /// The key it looks at.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Revision(key, _) | Self::Value(key, _) => key,
        }
    }

    /// Whether it holds for what `found` stands at its key.
    pub(crate) fn holds(&self, found: Option<(Revision, &[u8])>) -> bool {
        match (self, found) {
            (Self::Absent(_), found) => found.is_none(),
            (Self::Revision(_, wanted), Some((revision, _))) => *wanted == revision,
            (Self::Value(_, wanted), Some((_, value))) => wanted == value,
            (Self::Revision(..) | Self::Value(..), None) => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Absent(key) | Self::Revision(key, _) => key.as_str().len(),
            Self::Value(key, value) => key.as_str().len().saturating_add(value.len()),
        }
    }
}

/// One change.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Let the key hold these bytes.
    Put(Key, Vec<u8>),
    /// Let nothing stand at the key; well if nothing did.
    Delete(Key),
}

impl Write {
    /// The key it changes.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }

    fn value_bytes(&self) -> usize {
        match self {
            Self::Put(_, value) => value.len(),
            Self::Delete(_) => 0,
        }
    }
}

/// Writes that happen together, if all compares hold. At most one write a key; sizes as in [`limits`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// What must hold.
    pub compares: Vec<Compare>,
    /// What changes.
    pub writes: Vec<Write>,
}

impl Transaction {
    /// A transaction of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also let `key` hold `value`.
    #[must_use]
    pub fn put(mut self, key: Key, value: Vec<u8>) -> Self {
        self.writes.push(Write::Put(key, value));
        self
    }

    /// Also take away what stands at `key`.
    #[must_use]
    pub fn delete(mut self, key: Key) -> Self {
        self.writes.push(Write::Delete(key));
        self
    }

    /// Only if nothing stands at `key`.
    #[must_use]
    pub fn absent(mut self, key: Key) -> Self {
        self.compares.push(Compare::Absent(key));
        self
    }

    /// Only if `key` was written last by the commit `revision`.
    #[must_use]
    pub fn unchanged(mut self, key: Key, revision: Revision) -> Self {
        self.compares.push(Compare::Revision(key, revision));
        self
    }

    /// Only if `key` holds exactly `value`.
    #[must_use]
    pub fn holds(mut self, key: Key, value: Vec<u8>) -> Self {
        self.compares.push(Compare::Value(key, value));
        self
    }

    /// Bytes of all its keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let writes =
            self.writes.iter().map(|write| write.key().as_str().len().saturating_add(write.value_bytes()));
        self.compares.iter().map(Compare::bytes).chain(writes).fold(0, usize::saturating_add)
    }

    /// Whether every back end can take it; each calls this before it begins.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let within = |what, found, limit| {
            if found <= limit { Ok(()) } else { Err(StoreError::TooLarge { what, found, limit }) }
        };
        within("compares in one commit", self.compares.len(), limits::COMPARES)?;
        within("writes in one commit", self.writes.len(), limits::WRITES)?;
        let keys = self.compares.iter().map(Compare::key).chain(self.writes.iter().map(Write::key));
        for key in keys {
            within("bytes of a key", key.as_str().len(), limits::KEY_BYTES)?;
        }
        let mut written = BTreeSet::new();
        for write in &self.writes {
            within("bytes of a value", write.value_bytes(), limits::VALUE_BYTES)?;
            if !written.insert(write.key()) {
                return Err(StoreError::WrittenTwice { key: write.key().clone() });
            }
        }
        within("bytes of one commit", self.bytes(), limits::TRANSACTION_BYTES)
    }
}

// Values may be secrets of tenants (access keys): a debug print shows their length only.
impl fmt::Debug for Versioned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Versioned({} bytes at revision {})", self.value.len(), self.revision)
    }
}

impl fmt::Debug for Compare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(key) => write!(formatter, "Absent({key})"),
            Self::Revision(key, revision) => write!(formatter, "Revision({key}, {revision})"),
            Self::Value(key, value) => write!(formatter, "Value({key}, {} bytes)", value.len()),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key, value) => write!(formatter, "Put({key}, {} bytes)", value.len()),
            Self::Delete(key) => write!(formatter, "Delete({key})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_print_shows_no_value() {
        let transaction = Transaction::new()
            .put(Key::new(&["a"]), b"canary".to_vec())
            .holds(Key::new(&["b"]), b"canary".to_vec());
        assert_eq!(
            format!("{transaction:?}"),
            "Transaction { compares: [Value(b, 6 bytes)], writes: [Put(a, 6 bytes)] }"
        );
    }
}
