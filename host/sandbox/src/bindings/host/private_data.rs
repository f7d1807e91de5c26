//! `private-data`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, resource_from_wit};
use crate::bindings::v0_1::bulkhead::host::private_data::{Entry, Expected as WitExpected, Host, Owner};
use crate::state::State;
use bulkhead_capability::private_data::{DataEntry, DataOwner, Expected};
use bulkhead_model::error::CapabilityError;

impl Host for State {
    async fn get(&mut self, of_owner: Owner, key: String) -> Answer<Option<Entry>> {
        let owner = match owner_from_wit(&of_owner) {
            Ok(owner) => owner,
            Err(error) => return self.refuse("private-data.get", &key, error).await,
        };
        let entry = self.call.private_data().get(owner, &key).await.map_err(error_to_wit)?;
        Ok(entry.map(entry_to_wit))
    }

    async fn get_all(&mut self, of_owner: Owner) -> Answer<Vec<Entry>> {
        let owner = match owner_from_wit(&of_owner) {
            Ok(owner) => owner,
            Err(error) => return self.refuse("private-data.get-all", "", error).await,
        };
        let entries = self.call.private_data().get_all(owner).await.map_err(error_to_wit)?;
        Ok(entries.into_iter().map(entry_to_wit).collect())
    }

    async fn set(
        &mut self,
        of_owner: Owner,
        key: String,
        value: String,
        expecting: WitExpected,
    ) -> Answer<u64> {
        let owner = match owner_from_wit(&of_owner) {
            Ok(owner) => owner,
            Err(error) => return self.refuse("private-data.set", &key, error).await,
        };
        let expected = match expecting {
            WitExpected::Absent => Expected::Absent,
            WitExpected::Revision(revision) => Expected::Revision(revision),
            WitExpected::Anything => Expected::Anything,
        };
        self.call.private_data().set(owner, &key, &value, expected).await.map_err(error_to_wit)
    }

    async fn remove(&mut self, of_owner: Owner, key: String) -> Answer<()> {
        let owner = match owner_from_wit(&of_owner) {
            Ok(owner) => owner,
            Err(error) => return self.refuse("private-data.remove", &key, error).await,
        };
        self.call.private_data().remove(owner, &key).await.map_err(error_to_wit)
    }

    async fn next_number(&mut self, counter: String) -> Answer<u64> {
        self.call.private_data().next_number(&counter).await.map_err(error_to_wit)
    }
}

fn owner_from_wit(owner: &Owner) -> Result<DataOwner, CapabilityError> {
    match owner {
        Owner::Subject => Ok(DataOwner::Subject),
        Owner::OfResource(resource) => resource_from_wit(resource).map(DataOwner::Resource),
        Owner::Backend => Ok(DataOwner::Backend),
    }
}

fn entry_to_wit(entry: DataEntry) -> Entry {
    Entry { key: entry.key, value: entry.value, revision: entry.revision }
}
