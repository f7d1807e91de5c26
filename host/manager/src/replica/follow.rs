//! Following replicas that are not active: their state, the rules of those that serve beside the active one, and snapshots on their way
//! (contract 4.2).
//!
//! Every period, with jitter, and at once after anything changed a share's replicas or snapshots. One task for a share, never two. Each
//! call is made under the share's gates like those of operations, and not at all while an operation on the share waits. A backend that is
//! busy or cannot be reached is asked again after growing waits, until the period is over; the next one begins anew.
//!
//! The failure path: what a call came to is recorded or is found out anew; nothing depends on a call that was lost.

use super::{carry, rules, settle};
use crate::backend::Serving;
use crate::error::ManagerError;
use crate::manager::{Inner, Proposal};
use crate::records::{Cause, Change, Tables};
use crate::runner::enter;
use crate::wait::Waits;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CallError, DriverErrorCode};
use bulkhead_model::id::{RequestId, ShareId, ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::ShareInstance;
use bulkhead_model::snapshot::SnapshotInstance;
use bulkhead_model::status::{AccessRulesStatus, ReplicaState, ShareStatus, SnapshotStatus};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::Notify;
use tracing::Instrument as _;

/// The shares whose replicas are being followed.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<HashMap<ShareId, Following>>);

/// A share that somebody follows.
#[derive(Debug, Default)]
struct Following {
    /// Something changed since the last look began.
    is_called: bool,
    wake: Arc<Notify>,
}

impl Followers {
    fn lock(&self) -> MutexGuard<'_, HashMap<ShareId, Following>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begin with a share; if somebody is at it, call them to look again.
    fn enter(&self, share: ShareId) -> Option<Arc<Notify>> {
        let mut at_work = self.lock();
        if let Some(following) = at_work.get_mut(&share) {
            following.is_called = true;
            following.wake.notify_one();
            return None;
        }
        Some(Arc::clone(&at_work.entry(share).or_default().wake))
    }

    /// A look begins: it sees everything that changed before.
    fn begin(&self, share: ShareId) {
        if let Some(following) = self.lock().get_mut(&share) {
            following.is_called = false;
        }
    }

    /// Leave a share, unless somebody called since the last look began.
    fn leave(&self, share: ShareId) -> bool {
        let mut at_work = self.lock();
        let may_leave = at_work.get(&share).is_none_or(|following| !following.is_called);
        if may_leave {
            at_work.remove(&share);
        }
        may_leave
    }
}

/// Follow the replicas of all shares, now and every period, as long as there is a manager.
pub(crate) fn start(inner: &Arc<Inner>) {
    let period = inner.settings.replica_period;
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut jitter = Waits::new(period, period);
        while let Some(manager) = Weak::upgrade(&inner).filter(|manager| !manager.runners.is_draining()) {
            let shares: Vec<_> = manager.records.read().replicated_shares().collect();
            for share in shares {
                follow(&manager, share);
            }
            drop(manager);
            tokio::time::sleep(jitter.next()).await;
        }
    });
}

/// Follow the replicas of a share now, in a task of its own.
pub(crate) fn follow(inner: &Arc<Inner>, share: ShareId) {
    if inner.runners.is_draining() || !inner.records.read().has_replicas(share) {
        return;
    }
    let Some(wake) = inner.followers.enter(share) else { return };
    let inner = Arc::clone(inner);
    let span = tracing::info_span!(parent: None, "replicas.follow", share.id = %share);
    let following = async move {
        let looking = {
            let inner = Arc::clone(&inner);
            async move { follow_share(&inner, share, &wake).await }
        };
        // In a task of its own, so that a panic on the way does not keep the share from ever being followed again.
        if tokio::spawn(looking.in_current_span()).await.is_err() {
            inner.followers.lock().remove(&share);
        }
    };
    tokio::spawn(following.instrument(span));
}

/// Whether a replica has to be asked about again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outlook {
    Done,
    Soon,
}

async fn follow_share(inner: &Arc<Inner>, share: ShareId, wake: &Notify) {
    let mut waits = Waits::new(inner.settings.first_repeat, inner.settings.longest_repeat);
    let begun = Instant::now();
    loop {
        inner.followers.begin(share);
        let outlook = follow_replicas(inner, share).await;
        let is_over = begun.elapsed() >= inner.settings.replica_period || inner.runners.is_draining();
        if outlook == Outlook::Done || is_over {
            if inner.followers.leave(share) {
                return;
            }
            waits.reset();
            continue;
        }
        tokio::select! {
            () = wake.notified() => waits.reset(),
            () = tokio::time::sleep(waits.next()) => {}
        }
    }
}

async fn follow_replicas(inner: &Arc<Inner>, share: ShareId) -> Outlook {
    let mut outlook = Outlook::Done;
    let replicas: Vec<_> = inner.records.read().instances_of(share).into_iter().map(|one| one.id).collect();
    for replica in replicas {
        if inner.runners.is_draining() {
            return Outlook::Done;
        }
        match follow_replica(inner, share, replica).await {
            Ok(Outlook::Done) => {}
            Ok(Outlook::Soon) => outlook = Outlook::Soon,
            Err(error) => {
                tracing::error!(replica.id = %replica, "a replica's state was not recorded: {error}");
                outlook = Outlook::Soon;
            }
        }
    }
    outlook
}

/// Whether a replica is asked about: not the active one, nor one that an operation is at work on or could not remove.
fn is_followed(instance: &ShareInstance) -> bool {
    let is_following = instance.replica_state.is_some_and(|state| state != ReplicaState::Active);
    is_following && !instance.status.is_transient() && instance.status != ShareStatus::ErrorDeleting
}

/// Whether an operation on the share is under way: it comes first.
fn is_busy(tables: &Tables, share: ShareId) -> bool {
    tables.unfinished_of_share(share).any(|operation| !operation.verb.runs_beside_others())
}

async fn follow_replica(
    inner: &Arc<Inner>,
    share: ShareId,
    replica: ShareInstanceId,
) -> Result<Outlook, ManagerError> {
    let gate = inner.gates.of(share);
    let _changing = gate.change.lock().await;
    let backend = {
        let tables = inner.records.read();
        let followed = tables.instance(replica).filter(|instance| is_followed(instance));
        match followed {
            Some(_) if is_busy(&tables, share) => return Ok(Outlook::Soon),
            Some(instance) => instance.placement.backend.clone(),
            None => return Ok(Outlook::Done),
        }
    };
    let Some((serving, _slot)) = enter(inner, &backend).await? else { return Ok(Outlook::Soon) };
    let reason =
        CallReason { request: RequestId::internal("replicas"), operation: None, earlier_attempts: 0 };
    let at = Place { inner, serving: &serving, reason: &reason, share, replica };
    let mut outlook = at.follow_rules(&gate.access).await?;
    if at.follow_state().await? == Outlook::Soon {
        return Ok(Outlook::Soon);
    }
    if at.follow_snapshots().await? == Outlook::Soon {
        outlook = Outlook::Soon;
    }
    Ok(outlook)
}

/// One replica, and the driver that is asked about it.
struct Place<'a> {
    inner: &'a Arc<Inner>,
    serving: &'a Serving,
    reason: &'a CallReason,
    share: ShareId,
    replica: ShareInstanceId,
}

fn is_repeated(error: &CallError) -> bool {
    match error {
        CallError::Host { .. } | CallError::DeadlineExceeded { .. } => true,
        other => other.code().is_some_and(DriverErrorCode::is_repeated),
    }
}

impl Place<'_> {
    fn warn(&self, what: &str, error: &CallError) {
        tracing::warn!(
            replica.id = %self.replica, backend.name = %self.serving.description.name,
            "{what}: {error}"
        );
    }

    async fn follow_rules(&self, gate: &tokio::sync::Mutex<()>) -> Result<Outlook, ManagerError> {
        let is_wanted = {
            let tables = self.inner.records.read();
            let share = tables.share(&Scope::Everything, self.share);
            let replication_type = share.and_then(|share| share.replication_type);
            tables.instance(self.replica).is_some_and(|instance| {
                rules::serves_beside(replication_type, instance)
                    && instance.access_rules_status != AccessRulesStatus::Active
            })
        };
        if !is_wanted {
            return Ok(Outlook::Done);
        }
        let _accessing = gate.lock().await;
        match rules::send(self.inner, self.serving, self.reason, (self.share, self.replica)).await {
            Ok(status) => {
                self.change(|instance| instance.access_rules_status = status).await?;
                Ok(Outlook::Done)
            }
            Err(error) => {
                self.warn("sending access rules to a replica failed", &error);
                if is_repeated(&error) {
                    return Ok(Outlook::Soon);
                }
                self.change(|instance| instance.access_rules_status = AccessRulesStatus::Error).await?;
                Ok(Outlook::Done)
            }
        }
    }

    async fn follow_state(&self) -> Result<Outlook, ManagerError> {
        let has_active = {
            let tables = self.inner.records.read();
            let active = tables.instance_of(self.share);
            active.is_some_and(|active| active.replica_state == Some(ReplicaState::Active))
        };
        if !has_active {
            self.change(|instance| instance.replica_state = Some(ReplicaState::Error)).await?;
            return Ok(Outlook::Done);
        }
        let answer = match self.inner.read(|tables| carry::view(tables, self.share, self.replica)) {
            Ok(view) => self.serving.driver.update_replica_state(self.reason, &view).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(None) => {}
            Ok(Some(state)) => {
                self.change(|instance| {
                    instance.replica_state = Some(state);
                    instance.status = match (state, instance.status) {
                        (ReplicaState::Error, _) => ShareStatus::Error,
                        // A good answer heals.
                        (_, ShareStatus::Error) => ShareStatus::Available,
                        (_, status) => status,
                    };
                })
                .await?;
            }
            Err(error) => {
                self.warn("asking about a replica failed", &error);
                if is_repeated(&error) {
                    return Ok(Outlook::Soon);
                }
                self.change(|instance| {
                    instance.status = ShareStatus::Error;
                    instance.replica_state = Some(ReplicaState::Error);
                })
                .await?;
            }
        }
        Ok(Outlook::Done)
    }

    async fn follow_snapshots(&self) -> Result<Outlook, ManagerError> {
        let on_their_way: Vec<_> = {
            let tables = self.inner.records.read();
            let of_share = tables.snapshots_of(self.share);
            let on_it = |one: &&crate::records::Stored<SnapshotInstance>| {
                one.share_instance == self.replica
                    && matches!(one.status, SnapshotStatus::Creating | SnapshotStatus::Deleting)
            };
            of_share.filter_map(|one| tables.snapshot_instances_of(one.id).find(on_it)).cloned().collect()
        };
        let mut outlook = Outlook::Done;
        for instance in on_their_way {
            let asked = self.inner.read(|tables| carry::replicated_snapshot(tables, instance.snapshot));
            let answer = match asked {
                Ok(asked) => {
                    let driver = &self.serving.driver;
                    driver.update_replicated_snapshot(self.reason, self.replica, &asked).await
                }
                Err(error) => Err(error),
            };
            let reported = match answer {
                Ok(None) => {
                    outlook = Outlook::Soon;
                    continue;
                }
                Ok(Some(update)) => Ok(Some(update)),
                Err(error) if error.code() == Some(DriverErrorCode::SnapshotNotFound) => Ok(None),
                Err(error) => Err(error),
            };
            if let Err(error) = &reported {
                self.warn("asking about a snapshot of a replica failed", error);
                if is_repeated(error) {
                    outlook = Outlook::Soon;
                    continue;
                }
            }
            self.record_snapshot(instance.id, &reported).await?;
            if self
                .inner
                .records
                .read()
                .snapshot_instances_of(instance.snapshot)
                .any(|one| one.id == instance.id && one.status.is_transient())
            {
                outlook = Outlook::Soon;
            }
        }
        Ok(outlook)
    }

    async fn record_snapshot(
        &self,
        id: SnapshotInstanceId,
        reported: &Result<Option<bulkhead_model::replica::SnapshotUpdate>, CallError>,
    ) -> Result<(), ManagerError> {
        self.inner
            .transact(|tables| {
                let Some(replica) = tables.instance(self.replica) else { return Ok(Proposal::Settled(())) };
                let Some(stored) = tables.snapshot_instance(id).filter(|one| one.status.is_transient())
                else {
                    return Ok(Proposal::Settled(()));
                };
                let (cause, mut change) = (Cause::host("replicas"), Change::default());
                match reported {
                    Ok(update) => {
                        settle::snapshot_followed(tables, stored, update.as_ref(), &cause, &mut change);
                    }
                    Err(_) => change.edit_one_snapshot_instance(stored, &cause, |instance| {
                        instance.status = SnapshotStatus::Error;
                    }),
                }
                change.edit_replica(tables, self.replica, &cause, |_| {});
                Ok(Proposal::Commit(replica.placement.backend.clone(), change, ()))
            })
            .await
    }

    /// Change the replica's record, unless something else is at work on it by now.
    async fn change(&self, alter: impl Fn(&mut ShareInstance)) -> Result<(), ManagerError> {
        self.inner
            .transact(|tables| {
                let Some(stored) = tables.instance(self.replica).filter(|one| is_followed(one)) else {
                    return Ok(Proposal::Settled(()));
                };
                let mut altered = (*stored.value).clone();
                alter(&mut altered);
                if altered == *stored.value {
                    return Ok(Proposal::Settled(()));
                }
                let mut change = Change::default();
                change.edit_replica(tables, self.replica, &Cause::host("replicas"), |instance| {
                    alter(instance);
                });
                Ok(Proposal::Commit(stored.placement.backend.clone(), change, ()))
            })
            .await
    }
}
