//! Replicas of a share in two pools (replication type `dr`): only the active one is exported; the other one pulls.
//!
//! ```text
//! pool of the active replica A                pool of the replica B
//! shares/share-A           its content
//! replication/share-B.a ── send | receive ──▶ replication/share-B.a     the last instant that both hold
//! replication/share-B.b    the next one       replication/share-B.b     in turn
//!                                             shares/share-B            once B is promoted: a snapshot of its last base
//! ```
//!
//! Whoever is behind pulls from the pool that its operator has bound as root `peer`. So after a promotion the roles are exchanged
//! without anything else to set up, and the way back is incremental as well: both pools hold B's last base.

mod base;
mod peer;
mod pull;
mod role;
pub(crate) mod snapshot;

use crate::place::PULLED_SNAPSHOT;
use base::Turn;
use bulkhead_btrfs_pool::export::Export;
use bulkhead_btrfs_pool::place::{NEW_SHARE, SHARE};
use bulkhead_btrfs_pool::{access, subvolume};
use bulkhead_sdk::{
    AccessRulesStatus, Error, ErrorCode, Promotion, Replica, ReplicaOutcome, ReplicaSnapshotPair,
    ReplicaState, ReplicaView, Resource, Result, RuleOutcome, RuleState, Share, ShareAccessRule, Snapshot,
    job, log,
};

/// Make a replica: everything the active one holds, its snapshots among it. It is exported to nobody.
pub(crate) fn create(view: &ReplicaView) -> Result<ReplicaOutcome> {
    let active = active_of(&view.replicas)?;
    role::follow(&view.replica.share, active)?;
    pull_snapshots(&view.replica.share, active, &view.snapshots)?;
    Ok(ReplicaOutcome {
        share_id: view.replica.share.id.clone(),
        replica_state: ReplicaState::InSync,
        export_locations: Some(Vec::new()),
        access_rules_status: None,
        access_rules: Vec::new(),
    })
}

/// Pull what has changed. A replica whose active one is out of reach lags behind, which is no error of its own.
pub(crate) fn update_state(view: &ReplicaView) -> Result<Option<ReplicaState>> {
    let active = active_of(&view.replicas)?;
    match role::follow(&view.replica.share, active) {
        Ok(()) => {}
        Err(error) if error.code() == ErrorCode::BackendUnreachable => {
            log::warning(error.message());
            return Ok(Some(ReplicaState::OutOfSync));
        }
        Err(error) => return Err(error),
    }
    pull_snapshots(&view.replica.share, active, &view.snapshots)?;
    Ok(Some(ReplicaState::InSync))
}

fn pull_snapshots(subject: &Share, active: &Share, pairs: &[ReplicaSnapshotPair]) -> Result<()> {
    for pair in pairs {
        let since = base::find(&Resource::from(subject), &Resource::from(active))?;
        pull::snapshot(&Resource::from(&pair.active), &Resource::from(&pair.replica), since)?;
    }
    Ok(())
}

/// Make a replica the active one.
pub(crate) fn promote(promotion: &Promotion) -> Result<Vec<ReplicaOutcome>> {
    let subject = &promotion.replica.share;
    let old = active_of(&promotion.replicas)?;
    if old.id != subject.id {
        role::promote(subject, old)?;
    }
    let rules: Vec<RuleOutcome> = promotion.access_rules.iter().map(rule_outcome).collect();
    let failed = rules.iter().any(|outcome| outcome.state == RuleState::Error);
    let promoted = ReplicaOutcome {
        share_id: subject.id.clone(),
        replica_state: ReplicaState::Active,
        export_locations: Some(Export::of_share(subject).locations()?),
        access_rules_status: failed.then_some(AccessRulesStatus::Error),
        access_rules: rules,
    };
    let demoted = ReplicaOutcome {
        share_id: old.id.clone(),
        replica_state: ReplicaState::OutOfSync,
        export_locations: Some(Vec::new()),
        access_rules_status: None,
        access_rules: Vec::new(),
    };
    Ok(if old.id == subject.id { vec![promoted] } else { vec![promoted, demoted] })
}

fn rule_outcome(rule: &ShareAccessRule) -> RuleOutcome {
    let is_client = access::is_client(rule.access_type, &rule.access_to);
    RuleOutcome {
        rule_id: rule.id.clone(),
        state: if is_client { RuleState::Active } else { RuleState::Error },
        access_key: None,
    }
}

/// Remove a replica with its snapshots, and what was made for it in the peer's pool.
pub(crate) fn delete(replica: &Replica, snapshots: &[Snapshot]) -> Result<()> {
    let resource = Resource::from(&replica.share);
    for entry in job::entries()? {
        job::cancel(&entry.name, &entry.key)?;
        job::forget(&entry.name, &entry.key)?;
    }
    for snapshot in snapshots {
        let own = Resource::from(snapshot);
        subvolume::delete(PULLED_SNAPSHOT, &own)?;
        if let Err(error) = peer::delete(PULLED_SNAPSHOT, &own) {
            log::warning(&format!("what was pulled of {} stays in the peer's pool: {error}", snapshot.name));
        }
        bulkhead_btrfs_pool::snapshot::delete(snapshot)?;
    }
    let export = Export::of_share(&replica.share);
    let _held = export.hold()?;
    export.withdraw()?;
    subvolume::delete(NEW_SHARE, &resource)?;
    subvolume::delete(SHARE, &resource)?;
    for turn in Turn::BOTH {
        subvolume::delete(turn.pattern(), &resource)?;
        if let Err(error) = peer::delete(turn.pattern(), &resource) {
            log::warning(&format!("a base of {} stays in the peer's pool: {error}", replica.share.name));
        }
    }
    subvolume::forget_size(&resource)?;
    role::forget(&resource)?;
    base::forget(&resource)
}

/// The replica that serves clients.
fn active_of(replicas: &[Replica]) -> Result<&Share> {
    let is_active = |replica: &&Replica| replica.share.replica_state == Some(ReplicaState::Active);
    let active = replicas.iter().find(is_active).map(|replica| &replica.share);
    active.ok_or_else(|| {
        Error::replication_failed("none of the replicas is active: there is nothing to follow")
    })
}

/// Remove what replication has left of a share that is deleted. A peer that cannot be reached keeps its part: the data are gone there
/// with the other replica.
pub(crate) fn forget(resource: &Resource) -> Result<()> {
    if base::recorded(resource)?.is_none() {
        return Ok(());
    }
    for turn in Turn::BOTH {
        if let Err(error) = base::delete(resource, turn) {
            log::warning(&format!("a base of {resource:?} stays behind: {error}"));
        }
    }
    role::forget(resource)?;
    base::forget(resource)
}
