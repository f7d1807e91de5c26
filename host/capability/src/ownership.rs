//! Who made what stands below a root: records in the host's store, committed before the effect they announce.
//!
//! A record is never a marker in the filesystem, which a snapshot would copy and a tenant could forge. It is keyed by the path, and
//! says the resource that the path derives from. A record whose object never came to be is harmless: nothing is removed where nothing
//! stands, and whoever makes the object next writes the record anew. So the order is always: record, effect, and for a removal effect,
//! record. After a crash at any point the same call, repeated, ends where it would have ended.
//!
//! A rename commits the record of the destination first, then renames, syncs both directories, and then deletes the record of the
//! source: at no time does the object stand at a path without a record. What a crash leaves between is told apart by looking: an
//! object at the source is renamed (again); an object at the destination whose record says that this operation moved it there from
//! the source is a rename that has happened, and only the source's record is left to delete.
//!
//! An exchange needs no order: both paths have their records before and after, and a record belongs to the path's resource, not to the
//! object. What the records say beside that is swapped afterwards, for people.

use crate::call::Call;
use crate::number::unusable;
use crate::resolve::ResolvedPath;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{BackendName, CallId, Label, OperationId};
use bulkhead_model::key;
use bulkhead_model::pattern::RelativePath;
use bulkhead_model::target::Resource;
use bulkhead_store::{Key, Revision, StoreError, Transaction};
use serde::{Deserialize, Serialize};

/// How many records are read from the store at once.
const PAGE: usize = 1000;

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnedKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A copy of a file or tree.
    Copy,
    /// Whatever a command template makes.
    ByCommand,
    /// What the operator had made, and asked to manage.
    TakenOver,
}

/// A record of ownership. Backend, root and path stand in its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OwnedRecord {
    /// Whose it is; none: the backend's own.
    pub resource: Option<Resource>,
    /// What was made.
    pub kind: OwnedKind,
    /// The operation that made it.
    pub operation: Option<OperationId>,
    /// The call that made it.
    pub call: CallId,
    /// Where it was before it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<RelativePath>,
}

/// A record as it stands in the store.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Which version.
    pub revision: Revision,
    /// The record.
    pub record: OwnedRecord,
}

/// The record of `at`, if there is one.
pub async fn find(call: &Call, at: &ResolvedPath) -> Result<Option<FoundRecord>, CapabilityError> {
    let found = call.backend().store().get(&key_of(call, at)).await.map_err(|error| unusable(&error))?;
    let Some(versioned) = found else { return Ok(None) };
    let record = serde_json::from_slice(&versioned.value).map_err(|error| {
        CapabilityError::new(
            CapabilityCode::Io,
            format!("the ownership record of {} cannot be read: {error}", at.subject()),
        )
    })?;
    Ok(Some(FoundRecord { revision: versioned.revision, record }))
}

/// The record of `at` if it says that `at` is its resource's own.
pub async fn find_own(call: &Call, at: &ResolvedPath) -> Result<Option<FoundRecord>, CapabilityError> {
    Ok(find(call, at).await?.filter(|found| found.record.resource == at.owner))
}

/// The record of `at`; fails with `not-owned` if there is none for its resource.
pub async fn require(call: &Call, at: &ResolvedPath) -> Result<FoundRecord, CapabilityError> {
    find_own(call, at).await?.ok_or_else(|| not_owned(at))
}

/// How far a function reaches from a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What stands at the path, and what a directory there lists.
    Place,
    /// All that is below as well.
    Tree,
}

/// Keeps every path that no resource has by its name away from what resources own.
///
/// Denied if `at`, a path of the backend as a whole, is or lies inside what a resource owns, or if a resource owns something inside and
/// `reach` is the tree: a path without names would otherwise be the way to every tenant's share at once.
///
/// A record whose object is gone is in nobody's way. Paths of a resource need no look: what lies below them has the same tenant.
pub(crate) async fn keep_apart(call: &Call, at: &ResolvedPath, reach: Reach) -> Result<(), CapabilityError> {
    if at.is_managed {
        return nobodys(call, at).await;
    }
    if at.owner.is_some() {
        return Ok(());
    }
    let place = (call.backend().name().clone(), at.root.name().clone());
    for (path, record) in touched(call, &place, at, reach).await? {
        if record.is_some_and(|record| record.resource.is_none()) {
            continue;
        }
        let other = ResolvedPath { path, ..at.clone() };
        if crate::files::is_there(call, &other).await? {
            return Err(CapabilityError::denied(
                format!(
                    "{}, from where {} of a share or snapshot is reached,",
                    at.subject(),
                    other.subject()
                ),
                "no line; a path of the backend as a whole reaches no share or snapshot",
            ));
        }
    }
    Ok(())
}

/// Fails with `not-owned` if any record of any backend whose root is the same directory names `at`, something around it or something
/// inside it: what the operator asks to take over must be nobody's. A record whose object is gone is in nobody's way.
async fn nobodys(call: &Call, at: &ResolvedPath) -> Result<(), CapabilityError> {
    let identity = at.root.ancestry().first().copied();
    for place in call.backend().roots_at(identity) {
        for (path, _) in touched(call, &place, at, Reach::Tree).await? {
            let other = ResolvedPath { path, ..at.clone() };
            if crate::files::is_there(call, &other).await? {
                return Err(CapabilityError::new(
                    CapabilityCode::NotOwned,
                    format!(
                        "{} is, or holds, or lies in what backend '{}' made already; nothing was touched",
                        at.subject(),
                        place.0
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// The recorded paths of a backend's root that `at` touches, with their records where they can be read.
async fn touched(
    call: &Call,
    (backend, root): &(BackendName, Label),
    at: &ResolvedPath,
    reach: Reach,
) -> Result<Vec<(RelativePath, Option<OwnedRecord>)>, CapabilityError> {
    let prefix = Key::prefix(&[key::OWNED, backend.as_str(), root.as_str()]);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = call.backend().store().scan_page(&prefix, after.as_ref(), PAGE).await;
        let page = page.map_err(|error| unusable(&error))?;
        for (key, versioned) in &page {
            let path = key.parts().pop().and_then(|path| path.parse::<RelativePath>().ok());
            if let Some(path) = path.filter(|path| touches(&at.path, path, reach)) {
                found.push((path, serde_json::from_slice(&versioned.value).ok()));
            }
        }
        match page.into_iter().last() {
            Some((last, _)) => after = Some(last),
            None => return Ok(found),
        }
    }
}

fn touches(at: &RelativePath, other: &RelativePath, reach: Reach) -> bool {
    let is_inside = |inner: &RelativePath, outer: &RelativePath| {
        inner
            .as_str()
            .strip_prefix(outer.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is_inside(at, other) || (reach == Reach::Tree && is_inside(other, at))
}

/// Record that `at` is about to be made by this call. Only for a path where nothing stands: the caller has looked.
///
/// Answers the revision of the record, for [`withdraw`].
pub async fn claim(call: &Call, at: &ResolvedPath, kind: OwnedKind) -> Result<Revision, CapabilityError> {
    put(call, at, &new_record(call, at, kind, None)).await
}

/// Take back a record of this call whose object turned out to be somebody else's. A record changed meanwhile stays.
pub async fn withdraw(call: &Call, at: &ResolvedPath, revision: Revision) -> Result<(), CapabilityError> {
    withdraw_key(call, key_of(call, at), revision).await
}

async fn withdraw_key(call: &Call, key: Key, revision: Revision) -> Result<(), CapabilityError> {
    let transaction = Transaction::default().unchanged(key.clone(), revision).delete(key);
    match call.backend().store().commit(transaction).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(unusable(&error)),
    }
}

/// Delete the record of `at` after its object is gone, for good: durable on disk, not only out of sight.
pub async fn forget(call: &Call, at: &ResolvedPath) -> Result<(), CapabilityError> {
    let Some(found) = find_own(call, at).await? else { return Ok(()) };
    withdraw(call, at, found.revision).await
}

/// Delete every record of `resource` at this backend, whatever stands at its paths. Answers how many there were.
pub(crate) async fn forget_all(call: &Call, resource: Resource) -> Result<usize, CapabilityError> {
    let backend = call.backend();
    let prefix = Key::prefix(&[key::OWNED, backend.name().as_str()]);
    let (mut forgotten, mut after) = (0_usize, None);
    loop {
        let page = backend.store().scan_page(&prefix, after.as_ref(), PAGE).await;
        let page = page.map_err(|error| unusable(&error))?;
        for (key, versioned) in &page {
            let record: Option<OwnedRecord> = serde_json::from_slice(&versioned.value).ok();
            if record.is_some_and(|record| record.resource == Some(resource)) {
                withdraw_key(call, key.clone(), versioned.revision).await?;
                forgotten = forgotten.saturating_add(1);
            }
        }
        match page.into_iter().last() {
            Some((last, _)) => after = Some(last),
            None => return Ok(forgotten),
        }
    }
}

/// Before a take-over: record the destination of what nobody owns. Answers the revision of that record, for [`withdraw`].
pub async fn begin_take_over(
    call: &Call,
    source: &ResolvedPath,
    destination: &ResolvedPath,
) -> Result<Revision, CapabilityError> {
    let record = new_record(call, destination, OwnedKind::TakenOver, Some(source.path.clone()));
    put(call, destination, &record).await
}

/// Before a rename: record the destination as well. Answers the revision of that record, for [`withdraw`].
pub async fn begin_move(
    call: &Call,
    source: &ResolvedPath,
    destination: &ResolvedPath,
) -> Result<Revision, CapabilityError> {
    let kind = require(call, source).await?.record.kind;
    let record = new_record(call, destination, kind, Some(source.path.clone()));
    put(call, destination, &record).await
}

/// Whether the record of `destination` says that this call's operation moved it there from `source`.
pub async fn was_moved(
    call: &Call,
    source: &ResolvedPath,
    destination: &ResolvedPath,
) -> Result<bool, CapabilityError> {
    let found = find_own(call, destination).await?;
    Ok(found.is_some_and(|found| {
        found.record.moved_from.as_ref() == Some(&source.path)
            && found.record.operation.is_some()
            && found.record.operation == call.origin().operation
    }))
}

/// After an exchange: each record says what now stands at its path.
pub async fn swap(call: &Call, first: &ResolvedPath, second: &ResolvedPath) -> Result<(), CapabilityError> {
    let one = require(call, first).await?;
    let other = require(call, second).await?;
    let at_first = OwnedRecord { resource: first.owner, moved_from: None, ..other.record };
    let at_second = OwnedRecord { resource: second.owner, moved_from: None, ..one.record };
    let (first, second) = (key_of(call, first), key_of(call, second));
    let transaction = Transaction::default()
        .unchanged(first.clone(), one.revision)
        .unchanged(second.clone(), other.revision)
        .put(first, encode(&at_first)?)
        .put(second, encode(&at_second)?);
    match call.backend().store().commit(transaction).await {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(unusable(&error)),
    }
}

/// Something stands there that is not this resource's.
#[must_use]
pub fn not_owned(at: &ResolvedPath) -> CapabilityError {
    let whose = at.owner.map_or_else(|| "itself".to_owned(), |owner| owner.to_string());
    CapabilityError::new(
        CapabilityCode::NotOwned,
        format!(
            "{} is there, but no record says that this backend made it for {whose}; nothing was touched",
            at.subject()
        ),
    )
}

async fn put(call: &Call, at: &ResolvedPath, record: &OwnedRecord) -> Result<Revision, CapabilityError> {
    let key = key_of(call, at);
    let transaction = Transaction::default().put(key, encode(record)?);
    call.backend().store().commit(transaction).await.map_err(|error| unusable(&error))
}

fn new_record(
    call: &Call,
    at: &ResolvedPath,
    kind: OwnedKind,
    moved_from: Option<RelativePath>,
) -> OwnedRecord {
    let origin = call.origin();
    OwnedRecord { resource: at.owner, kind, operation: origin.operation, call: origin.call, moved_from }
}

fn encode(record: &OwnedRecord) -> Result<Vec<u8>, CapabilityError> {
    serde_json::to_vec(record).map_err(|error| {
        CapabilityError::new(CapabilityCode::Io, format!("an ownership record cannot be written: {error}"))
    })
}

fn key_of(call: &Call, at: &ResolvedPath) -> Key {
    Key::new(&[key::OWNED, call.backend().name().as_str(), at.root.name().as_str(), at.path.as_str()])
}
