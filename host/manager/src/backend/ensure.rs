//! Ensuring at start: the backend's exports are brought in line with the records (contract 4.1).
//!
//! Decided on purpose, where Manila has quirks:
//! * (a) rules on their way are queued again for every share by recovery, whatever the driver can ensure, so none is ever stuck;
//! * (b) no share gets a status of its own while it is ensured, so none keeps it when the driver leaves it out;
//! * (c) that includes rules whose level was changing;
//! * (d) resources in a transient status are left to their operations, which recovery resumes;
//! * the fingerprint is remembered only after all batches have succeeded: a failure is tried again at the next start.

use super::Serving;
use super::supervisor::reason;
use crate::access::state::{self, Reapply};
use crate::access::{self, list::RuleList};
use crate::error::ManagerError;
use crate::export;
use crate::journal::{Freshness, Initiator};
use crate::manager::{Inner, Proposal};
use crate::records::{BackendRecord, Cause, Change, Expect, Row, Tables};
use crate::runner::launch;
use crate::share::{find, for_driver};
use crate::view::BackendDescription;
use bulkhead_model::error::CallError;
use bulkhead_model::id::{BackendName, OperationId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::{EnsuredShare, ShareForDriver};
use bulkhead_model::status::ShareStatus;
use bulkhead_model::time::Timestamp;
use bulkhead_sandbox::ENSURE_BATCH;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Ensure the backend's shares unless its fingerprint says that nothing changed. Fails only if the fingerprint cannot be read; what goes
/// wrong with shares is logged and leaves them as they are.
pub(super) async fn ensure(inner: &Arc<Inner>, serving: &Serving) -> Result<(), CallError> {
    let name = &serving.description.name;
    let fingerprint = match serving.driver.backend_info(&reason("ensure")).await {
        Ok(info) => Some(digest(&info)),
        Err(error) if error.is_not_implemented() => None,
        Err(error) => return Err(error),
    };
    let known = inner.records.read().backend(name).and_then(|record| record.fingerprint.clone());
    if fingerprint.is_some() && fingerprint == known {
        return Ok(());
    }
    let candidates = candidates(inner, name);
    for batch in candidates.chunks(ENSURE_BATCH) {
        match serving.driver.ensure_shares(&reason("ensure"), batch).await {
            Ok(answers) => {
                for answer in answers {
                    take_in(inner, name, batch, answer).await;
                }
            }
            Err(error) if error.is_not_implemented() => break,
            Err(error) => {
                tracing::warn!(backend.name = %name, "ensuring shares failed, they stay as they are: {error}");
                return Ok(());
            }
        }
    }
    if let Err(error) = remember(inner, serving, fingerprint).await {
        tracing::error!(backend.name = %name, "the fingerprint was not stored: {error}");
    }
    Ok(())
}

/// The digest of a fingerprint: of its sorted items.
fn digest(info: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in info {
        for part in [key, value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The shares that rest and are usable.
fn candidates(inner: &Inner, backend: &BackendName) -> Vec<ShareForDriver> {
    let tables = inner.records.read();
    tables
        .instances_on(backend)
        .filter(|instance| instance.status == ShareStatus::Available)
        .filter_map(|instance| Some(for_driver(tables.share(&Scope::Everything, instance.share)?, instance)))
        .collect()
}

async fn take_in(inner: &Arc<Inner>, backend: &BackendName, asked: &[ShareForDriver], answer: EnsuredShare) {
    let id = answer.id;
    if !asked.iter().any(|share| share.id == id) {
        tracing::warn!(backend.name = %backend, share_instance.id = %id, "the driver ensured a share it was not asked about; passed over");
        return;
    }
    match inner.transact(|tables| settle(inner, tables, backend, &answer)).await {
        Ok(Some(operation)) => launch(inner, operation, Freshness::Repeat),
        Ok(None) => {}
        Err(error) => tracing::error!(share_instance.id = %id, "an ensured share was not recorded: {error}"),
    }
}

/// What the answer changes; with the operation that carries the rules, if they are to be sent again.
fn settle(
    inner: &Inner,
    tables: &Tables,
    backend: &BackendName,
    answer: &EnsuredShare,
) -> Result<Proposal<Option<OperationId>>, ManagerError> {
    let Some(stored) = tables.instance(answer.id) else { return Ok(Proposal::Settled(None)) };
    // An operation that began meanwhile knows better.
    if stored.status != ShareStatus::Available {
        return Ok(Proposal::Settled(None));
    }
    let cause = Cause::host("ensure");
    let (mut change, mut operation) = (Change::default(), None);
    let mut instance = (*stored.value).clone();
    if let Some(locations) = &answer.export_locations {
        instance.export_locations = export::replace(&instance.export_locations, locations.clone());
    }
    if !answer.healthy {
        instance.status = ShareStatus::Error;
        change.note(
            &cause,
            format_args!("share/{}", instance.share),
            "available -> error: not sound at its backend",
        );
    } else if answer.reapply_access_rules {
        let mut rules = RuleList::read(tables, instance.id);
        state::requeue(&mut rules, Reapply::All);
        if state::has_queued(&rules) {
            let (share, _) = find(tables, &Scope::Everything, instance.share)?;
            instance.access_rules_status = rules.status();
            let queued = access::enqueue(inner, tables, share, rules, &Initiator::host("ensure"))?;
            (change, operation) = (queued.0, Some(queued.1));
        }
    }
    instance.updated_at = Timestamp::now();
    change.put(Expect::Unchanged(stored.revision), Row::Instance(instance));
    Ok(Proposal::Commit(backend.clone(), change, operation))
}

async fn remember(inner: &Inner, serving: &Serving, fingerprint: Option<String>) -> Result<(), ManagerError> {
    let BackendDescription { name, generation, .. } = &serving.description;
    inner
        .transact(|tables| {
            let stored = tables.backend(name);
            if stored.is_some_and(|stored| stored.fingerprint == fingerprint) {
                return Ok(Proposal::Settled(()));
            }
            let mut record = match stored {
                Some(stored) => (*stored.value).clone(),
                None => BackendRecord::new(name.clone(), *generation),
            };
            record.fingerprint.clone_from(&fingerprint);
            let mut change = Change::default();
            let expect = stored.map_or(Expect::Absent, |stored| Expect::Unchanged(stored.revision));
            change.put(expect, Row::Backend(record));
            let words = format_args!("ensured on generation {generation}");
            change.note(&Cause::host("ensure"), format_args!("backend/{name}"), words);
            Ok(Proposal::Commit(name.clone(), change, ()))
        })
        .await
}
