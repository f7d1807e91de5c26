//! Key/values per resource, kept in the host's store: Manila's private storage with compare-and-set and counters.
//!
//! The right: the resources of the call's target; the backend itself where the manifest says why; counters the manifest names.
//! Durable when a method returns. Nothing is removed but by the driver.

mod policy;
mod provider;

use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::ability::Capability;
use bulkhead_model::error::CapabilityError;
use bulkhead_model::key;
use bulkhead_model::target::Resource;
use bulkhead_store::Key;
use provider::Shelf;

pub use policy::{BACKEND_BYTES, KEY_BYTES, KEYS_PER_OWNER, VALUE_BYTES};

/// Whose data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOwner {
    /// The call's subject.
    Subject,
    /// Another resource of the call's target.
    Resource(Resource),
    /// The backend itself.
    Backend,
}

/// A value and its revision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DataEntry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Grows with every change of this key; never 0.
    pub revision: u64,
}

/// What a compare-and-set expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing under this key.
    Absent,
    /// Exactly this revision.
    Revision(u64),
    /// Whatever is there.
    Anything,
}

/// The `private-data` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct PrivateData<'call> {
    call: &'call Call,
}

impl<'call> PrivateData<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// One value, or none.
    ///
    /// Fails with `denied` if the owner is not of this call's target, `invalid-argument` if the key is malformed.
    pub async fn get(&self, owner: DataOwner, key: &str) -> Result<Option<DataEntry>, CapabilityError> {
        let work = async {
            policy::check_key(key)?;
            self.shelf(owner)?.get(key).await
        };
        self.call.recorded(self.deed("private-data.get", owner, key), work).await
    }

    /// All pairs, in order of keys.
    ///
    /// Fails with `denied` if the owner is not of this call's target.
    pub async fn get_all(&self, owner: DataOwner) -> Result<Vec<DataEntry>, CapabilityError> {
        let work = async { self.shelf(owner)?.get_all().await };
        self.call.recorded(self.deed("private-data.get-all", owner, ""), work).await
    }

    /// Set one value if the expectation holds; the new revision.
    ///
    /// Fails with `conflict` if it does not hold, `limit-exceeded`, `denied`, `invalid-argument`.
    pub async fn set(
        &self,
        owner: DataOwner,
        key: &str,
        value: &str,
        expecting: Expected,
    ) -> Result<u64, CapabilityError> {
        let work = async {
            policy::check_key(key)?;
            policy::check_value(value)?;
            self.shelf(owner)?.set(key, value, expecting).await
        };
        self.call.recorded(self.deed("private-data.set", owner, key), work).await
    }

    /// Remove one key; succeeds if it is not there.
    ///
    /// Fails with `denied`, `invalid-argument` if the key is malformed.
    pub async fn remove(&self, owner: DataOwner, key: &str) -> Result<(), CapabilityError> {
        let work = async {
            policy::check_key(key)?;
            self.shelf(owner)?.remove(key).await
        };
        self.call.recorded(self.deed("private-data.remove", owner, key), work).await
    }

    /// Add one to a counter of the backend and answer its new value; a missing one starts at 0.
    ///
    /// Fails with `denied` if the manifest's `counters` do not name it, `limit-exceeded` at the end of the range.
    pub async fn next_number(&self, counter: &str) -> Result<u64, CapabilityError> {
        let work = async {
            self.call.require(Capability::PrivateData)?;
            let declared = self.call.backend().manifest().private_data.as_ref();
            let known = declared.and_then(|one| one.counters.iter().find(|name| name.as_str() == counter));
            let Some(known) = known else {
                let shown = bulkhead_model::text::GuestText::new(counter, 64);
                return Err(CapabilityError::denied(
                    format!("counter '{shown}'"),
                    format!("[private-data] counters = [\"{shown}\"] in the driver's manifest"),
                ));
            };
            let key = Key::new(&[key::COUNTER, self.call.backend().name().as_str(), known.as_str()]);
            crate::number::next(self.call, &key).await
        };
        self.call.recorded(Deed::new("private-data.next-number", counter), work).await
    }

    fn deed(&self, function: &'static str, owner: DataOwner, key: &str) -> Deed {
        let owner = match owner {
            DataOwner::Subject => {
                self.call.target().subject().map_or_else(|| "nobody".to_owned(), |one| one.to_string())
            }
            DataOwner::Resource(resource) => resource.to_string(),
            DataOwner::Backend => BACKEND.to_owned(),
        };
        Deed::new(function, if key.is_empty() { owner } else { format!("{owner}: {key}") })
    }

    /// The data of `owner`, or a denial.
    fn shelf(&self, owner: DataOwner) -> Result<Shelf<'call>, CapabilityError> {
        self.call.require(Capability::PrivateData)?;
        let resource = match owner {
            DataOwner::Backend => {
                let declared = self.call.backend().manifest().private_data.as_ref();
                if declared.is_none_or(|one| one.backend_scope.is_none()) {
                    return Err(CapabilityError::denied(
                        "private data of the backend itself",
                        "[private-data] backend-scope = \"why\" in the driver's manifest",
                    ));
                }
                return Ok(Shelf::new(self.call, BACKEND.to_owned()));
            }
            DataOwner::Resource(resource) => Some(resource),
            DataOwner::Subject => None,
        };
        self.call.names(resource)?;
        let resource = resource.or_else(|| self.call.target().subject());
        resource.map(|resource| Shelf::new(self.call, resource.to_string())).ok_or_else(|| {
            CapabilityError::denied("private data of nobody", "no line; this call is about no resource")
        })
    }
}

/// The owner's part of a key for the backend's own data. No resource is called so.
const BACKEND: &str = "backend";
