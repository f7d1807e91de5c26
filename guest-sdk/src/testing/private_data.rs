//! Key/values per resource, with the limits of the real ones.

use super::denial::{Answer, fail, invalid};
use crate::capability::CapabilityCode;
use crate::private_data::{Entry, Expected};
use crate::resource::Resource;
use std::collections::BTreeMap;

/// `None` is the backend itself.
type OwnerKey = Option<Resource>;

#[derive(Debug, Default)]
pub(super) struct PrivateData {
    entries: BTreeMap<(OwnerKey, String), Entry>,
    counters: BTreeMap<String, u64>,
    revision: u64,
}

impl PrivateData {
    pub(super) fn get(&self, owner: &OwnerKey, key: &str) -> Answer<Option<Entry>> {
        check_key(key)?;
        Ok(self.entries.get(&(owner.clone(), key.to_owned())).cloned())
    }

    pub(super) fn get_all(&self, owner: &OwnerKey) -> Vec<Entry> {
        let of_owner = self.entries.iter().filter(|((of, _), _)| of == owner);
        of_owner.map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn set(&mut self, owner: OwnerKey, key: &str, value: &str, expected: Expected) -> Answer<u64> {
        check_key(key)?;
        if value.len() > 1023 {
            return fail(CapabilityCode::LimitExceeded, "a value is at most 1,023 bytes");
        }
        let found = self.get(&owner, key)?.map(|entry| entry.revision);
        let holds = match expected {
            Expected::Absent => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
            Expected::Anything => true,
        };
        if !holds {
            return fail(CapabilityCode::Conflict, format!("{key} is at revision {found:?}"));
        }
        if found.is_none() && self.get_all(&owner).len() >= 1024 {
            return fail(CapabilityCode::LimitExceeded, "a resource has at most 1,024 keys");
        }
        self.revision += 1;
        let entry = Entry { key: key.to_owned(), value: value.to_owned(), revision: self.revision };
        self.entries.insert((owner, key.to_owned()), entry);
        Ok(self.revision)
    }

    pub(super) fn remove(&mut self, owner: OwnerKey, key: &str) -> Answer<()> {
        check_key(key)?;
        self.entries.remove(&(owner, key.to_owned()));
        Ok(())
    }

    /// Everything of a resource that was let go.
    pub(super) fn forget(&mut self, resource: &Resource) {
        self.entries.retain(|(owner, _), _| owner.as_ref() != Some(resource));
    }

    pub(super) fn next_number(&mut self, counter: &str) -> Answer<u64> {
        let value = self.counters.entry(counter.to_owned()).or_default();
        match value.checked_add(1) {
            Some(next) => {
                *value = next;
                Ok(next)
            }
            None => fail(CapabilityCode::LimitExceeded, format!("counter {counter} is at its end")),
        }
    }
}

fn check_key(key: &str) -> Answer<()> {
    if key.is_empty() || key.len() > 255 { invalid("a key is 1 to 255 bytes long") } else { Ok(()) }
}
