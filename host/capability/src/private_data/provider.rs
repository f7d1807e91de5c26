//! Private data in the host's store: `private/<backend>/<owner>/<key>`.

use super::{DataEntry, Expected, policy};
use crate::call::Call;
use crate::number::unusable;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::key;
use bulkhead_store::{Key, KeyPrefix, Revision, StoreError, Transaction, Versioned};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// How many entries are read from the store at once.
const PAGE: usize = 1000;

/// The data of one owner.
#[derive(Debug)]
pub(super) struct Shelf<'call> {
    call: &'call Call,
    owner: String,
}

impl<'call> Shelf<'call> {
    pub(super) const fn new(call: &'call Call, owner: String) -> Self {
        Self { call, owner }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<DataEntry>, CapabilityError> {
        let found =
            self.call.backend().store().get(&self.key(key)).await.map_err(|error| unusable(&error))?;
        found.map(|versioned| entry(key, &versioned)).transpose()
    }

    pub(super) async fn get_all(&self) -> Result<Vec<DataEntry>, CapabilityError> {
        let found =
            self.call.backend().store().scan(&self.prefix()).await.map_err(|error| unusable(&error))?;
        let mut entries = Vec::with_capacity(found.len());
        for (key, versioned) in found {
            let name = key.parts().pop().unwrap_or_default();
            entries.push(entry(&name, &versioned)?);
        }
        entries.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(entries)
    }

    pub(super) async fn set(
        &self,
        key: &str,
        value: &str,
        expecting: Expected,
    ) -> Result<u64, CapabilityError> {
        let mut alone = self.alone().await?;
        let store = self.call.backend().store();
        let at = self.key(key);
        loop {
            self.call.check_time()?;
            let found = store.get(&at).await.map_err(|error| unusable(&error))?;
            check_expectation(key, expecting, found.as_ref())?;
            if found.is_none() {
                let keys = store.scan_page(&self.prefix(), None, policy::KEYS_PER_OWNER).await;
                policy::check_count(keys.map_err(|error| unusable(&error))?.len())?;
            }
            let before = found.as_ref().map_or(0, |versioned| size(key, &versioned.value));
            let total = self.total().await?;
            let reserved = Reserved::take(total, (before, size(key, value.as_bytes())))?;
            let transaction = match &found {
                Some(versioned) => Transaction::default().unchanged(at.clone(), versioned.revision),
                None => Transaction::default().absent(at.clone()),
            };
            let transaction = transaction.put(at.clone(), value.as_bytes().to_vec());
            match self.commit(transaction, reserved, alone).await? {
                (Ok(revision), _) => return Ok(revision.number()),
                (Err(StoreError::Conflict { .. }), still_alone) => alone = still_alone,
                (Err(error), _) => return Err(unusable(&error)),
            }
        }
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), CapabilityError> {
        let alone = self.alone().await?;
        let at = self.key(key);
        let found = self.call.backend().store().get(&at).await.map_err(|error| unusable(&error))?;
        let Some(found) = found else { return Ok(()) };
        // Counted before the entry goes: counting afterwards, for the first time, would subtract it twice.
        let total = self.total().await?;
        let freed = Reserved::take(total, (size(key, &found.value), 0))?;
        let (removed, _) = self.commit(Transaction::default().delete(at), freed, alone).await?;
        removed.map(|_| ()).map_err(|error| unusable(&error))
    }

    /// Commit `transaction`, and give `reserved` back if that fails. In a task of its own: a call that is dropped meanwhile would leave
    /// the sum wrong, and give `alone` away before the store has decided.
    async fn commit(
        &self,
        transaction: Transaction,
        reserved: Reserved,
        alone: Alone,
    ) -> Result<(Result<Revision, StoreError>, Alone), CapabilityError> {
        let store = self.call.backend().shared_store();
        let committing = tokio::spawn(async move {
            let committed = store.commit(transaction).await;
            if committed.is_err() {
                reserved.give_back();
            }
            (committed, alone)
        });
        committing.await.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a commit of private data ended abruptly"
            );
            CapabilityError::new(CapabilityCode::Io, "the host failed inside; see the host's log")
        })
    }

    /// One change of an owner's data at a time, so that the caps are exact.
    async fn alone(&self) -> Result<Alone, CapabilityError> {
        let subject = format!("{}/{}", key::PRIVATE, self.owner);
        self.call.backend().shared().path(&subject, self.call.deadline()).await
    }

    /// What the backend's private data hold; counted from the store once, then kept in memory for all its generations.
    async fn total(&self) -> Result<Arc<Mutex<u64>>, CapabilityError> {
        self.call.backend().shared().private_bytes().get_or_try_init(|| self.count()).await.cloned()
    }

    async fn count(&self) -> Result<Arc<Mutex<u64>>, CapabilityError> {
        let backend = self.call.backend();
        let prefix = Key::prefix(&[key::PRIVATE, backend.name().as_str()]);
        let mut total = 0_u64;
        let mut after = None;
        loop {
            let page = backend.store().scan_page(&prefix, after.as_ref(), PAGE).await;
            let page = page.map_err(|error| unusable(&error))?;
            for (key, versioned) in &page {
                let name = key.parts().pop().unwrap_or_default();
                total = total.saturating_add(size(&name, &versioned.value));
            }
            match page.into_iter().last() {
                Some((last, _)) => after = Some(last),
                None => return Ok(Arc::new(Mutex::new(total))),
            }
        }
    }

    fn key(&self, key: &str) -> Key {
        Key::new(&[key::PRIVATE, self.call.backend().name().as_str(), &self.owner, key])
    }

    fn prefix(&self) -> KeyPrefix {
        Key::prefix(&[key::PRIVATE, self.call.backend().name().as_str(), &self.owner])
    }
}

/// Nobody else changes the owner's data meanwhile.
type Alone = OwnedMutexGuard<()>;

/// Room that was taken for a value before it was written, or given up before it was removed.
#[derive(Debug)]
struct Reserved {
    total: Arc<Mutex<u64>>,
    before: u64,
    after: u64,
}

impl Reserved {
    /// Count an entry of `before` bytes as one of `after`. Fails with `limit-exceeded`.
    fn take(total: Arc<Mutex<u64>>, (before, after): (u64, u64)) -> Result<Self, CapabilityError> {
        let mut sum = total.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = policy::new_total(*sum, before, after)?;
        drop(sum);
        Ok(Self { total, before, after })
    }

    fn give_back(self) {
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        *total = total.saturating_sub(self.after).saturating_add(self.before);
    }
}

fn check_expectation(
    key: &str,
    expecting: Expected,
    found: Option<&Versioned>,
) -> Result<(), CapabilityError> {
    let revision = found.map(|versioned| versioned.revision.number());
    let holds = match expecting {
        Expected::Absent => revision.is_none(),
        Expected::Revision(wanted) => revision == Some(wanted),
        Expected::Anything => true,
    };
    if holds {
        return Ok(());
    }
    let there = revision.map_or_else(|| "nothing".to_owned(), |revision| format!("revision {revision}"));
    Err(CapabilityError::new(
        CapabilityCode::Conflict,
        format!("under '{key}' stands {there}, not what was expected; read again"),
    ))
}

fn entry(key: &str, versioned: &Versioned) -> Result<DataEntry, CapabilityError> {
    let value = String::from_utf8(versioned.value.clone()).map_err(|_| {
        CapabilityError::new(CapabilityCode::Io, format!("the value of '{key}' is not UTF-8"))
    })?;
    Ok(DataEntry { key: key.to_owned(), value, revision: versioned.revision.number() })
}

fn size(key: &str, value: &[u8]) -> u64 {
    u64::try_from(key.len().saturating_add(value.len())).unwrap_or(u64::MAX)
}
