//! Which groups were started and not taken down: records in the host's store, written before the place is told to start one.
//!
//! A manifest tells what a driver may start, not what an earlier version of it did: a group that another generation declared under another
//! name runs on, and is found here. The record goes when the place has taken the group down; one whose group is not there, because its
//! machine started anew, is harmless: taking down what is not there succeeds.

use bulkhead_helper::protocol::{GroupInterface, GroupKey};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{BackendName, Label, ShareServerId};
use bulkhead_model::key;
use bulkhead_store::{Key, KeyPrefix, Store, StoreError, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How many records are read from the store at once.
const PAGE: usize = 1000;
/// What stands in the key for the backend's own instance; no server's id is that.
const BACKEND: &str = "-";

/// A group that was started. Which it is stands in its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Standing {
    /// The addresses of the network of its own that it was started with, at any time since it was taken down last.
    addresses: BTreeSet<IpAddr>,
}

/// Why the records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandingError {
    /// The store failed.
    #[error("the records of groups that run could not be read or written; the daemon's log has the reason")]
    Store(#[from] StoreError),
    /// A record makes no sense.
    #[error(
        "record {key} cannot be understood; restore the state from a backup, or run the version that wrote it"
    )]
    Corrupt {
        /// The record's key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<StandingError> for CapabilityError {
    fn from(error: StandingError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the records of groups failed a capability"
        );
        Self::new(CapabilityCode::Io, error.to_string())
    }
}

/// Record that `group` is about to run with these interfaces. Whoever calls this has the group to itself.
pub(super) async fn begin(
    store: &dyn Store,
    group: &GroupKey,
    interfaces: &[GroupInterface],
) -> Result<(), StandingError> {
    let key = key_of(group);
    let found = store.get(&key).await?.map(|found| read(&key, &found.value)).transpose()?;
    let mut standing = found.clone().unwrap_or_default();
    standing.addresses.extend(interfaces.iter().flat_map(|one| one.addresses.iter().map(ipnet::IpNet::addr)));
    if found.as_ref() == Some(&standing) {
        return Ok(());
    }
    let value = serde_json::to_vec(&standing)
        .map_err(|source| StandingError::Corrupt { key: key.to_string(), source })?;
    store.commit(Transaction::default().put(key, value)).await?;
    Ok(())
}

/// Record that nothing of `group` is left. Idempotent.
pub(super) async fn end(store: &dyn Store, group: &GroupKey) -> Result<(), StandingError> {
    let key = key_of(group);
    if store.get(&key).await?.is_some() {
        store.commit(Transaction::default().delete(key)).await?;
    }
    Ok(())
}

/// The groups of a backend that were started, its own and those of all its servers.
pub(super) async fn of_backend(
    store: &dyn Store,
    backend: &BackendName,
) -> Result<Vec<GroupKey>, StandingError> {
    let found = scan(store, &Key::prefix(&[key::GROUP, backend.as_str()])).await?;
    Ok(found.into_iter().map(|(group, _)| group).collect())
}

/// The groups of a server that were started.
pub(super) async fn of_server(
    store: &dyn Store,
    (backend, server): (&BackendName, ShareServerId),
) -> Result<Vec<GroupKey>, StandingError> {
    Ok(of_server_with_addresses(store, (backend, server))
        .await?
        .into_iter()
        .map(|(group, _)| group)
        .collect())
}

/// The groups of a server that were started, with the addresses of their networks of their own.
pub(crate) async fn of_server_with_addresses(
    store: &dyn Store,
    (backend, server): (&BackendName, ShareServerId),
) -> Result<Vec<(GroupKey, BTreeSet<IpAddr>)>, StandingError> {
    let found = scan(store, &Key::prefix(&[key::GROUP, backend.as_str(), &server.to_string()])).await?;
    Ok(found.into_iter().map(|(group, standing)| (group, standing.addresses)).collect())
}

async fn scan(store: &dyn Store, prefix: &KeyPrefix) -> Result<Vec<(GroupKey, Standing)>, StandingError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan_page(prefix, after.as_ref(), PAGE).await?;
        for (key, versioned) in &page {
            if let Some(group) = group_of(key) {
                found.push((group, read(key, &versioned.value)?));
            }
        }
        match page.into_iter().last() {
            Some((last, _)) => after = Some(last),
            None => return Ok(found),
        }
    }
}

fn read(key: &Key, value: &[u8]) -> Result<Standing, StandingError> {
    serde_json::from_slice(value).map_err(|source| StandingError::Corrupt { key: key.to_string(), source })
}

fn key_of(group: &GroupKey) -> Key {
    let instance = group.instance.as_deref().unwrap_or(BACKEND);
    Key::new(&[key::GROUP, &group.backend, instance, group.group.as_str()])
}

fn group_of(key: &Key) -> Option<GroupKey> {
    let parts = key.parts();
    let [_, backend, instance, group] = parts.as_slice() else { return None };
    let group: Label = group.parse().ok()?;
    let instance = (instance != BACKEND).then(|| instance.clone());
    Some(GroupKey { backend: backend.clone(), group, instance })
}
