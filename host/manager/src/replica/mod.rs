//! Replicas of shares: instances on further backends of the same replication domain (contract 2.12, 3.12, 4.8).
//!
//! ```text
//!   create --> creating, out_of_sync --> available, in_sync | out_of_sync        | error, error
//!   promote -> replication_change    --> available, active; the old one follows  | all replicas in error, states unchanged
//!   delete --> deleting              --> gone                                    | error_deleting, error
//! ```
//!
//! `verbs` is what people ask for, each an operation of the replica's backend; `attempt` makes its driver call and `settle` takes the
//! answer in; `twin` keeps a snapshot's instances on all replicas together; `follow` asks the replicas that are not active how far they
//! are, again and again: it is the owner of whatever is transient on them without an operation. `carry` puts records together for drivers.
//!
//! One gate for a share is held over every call about its replicas. Rules belong to the share: they are decided on the active replica and
//! stand under the first instance's id for ever ([`Tables::rules_home`]); replicas that serve clients beside it get all of them after each
//! change; those of type `dr` serve nobody, and get them with the call that promotes them.
//!
//! Where we differ from Manila on purpose: a replica that is not named in the answer to a promotion does not stay active beside the promoted
//! one, except where all can be written; and a driver that leaves the active replica's instance out of its answer about a snapshot, which
//! nobody would ever ask about again, leaves that instance in error.

pub(crate) mod attempt;
pub(crate) mod carry;
mod creation;
pub(crate) mod follow;
pub(crate) mod rules;
pub(crate) mod settle;
pub(crate) mod twin;
mod verbs;

pub use verbs::NewReplica;

use crate::records::Tables;
use bulkhead_model::ability::Ability;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::share::{Share, ShareInstance};
use bulkhead_model::status::{ReplicaState, ReplicationType, ShareStatus};

/// The replica that `verb` works on.
pub(crate) const fn of(verb: &Verb) -> Option<ShareInstanceId> {
    match verb {
        Verb::CreateReplica { replica }
        | Verb::DeleteReplica { replica, .. }
        | Verb::PromoteReplica { replica, .. } => Some(*replica),
        _ => None,
    }
}

/// The status a replica has while `verb` is at work on it.
pub(crate) const fn status_during(verb: &Verb) -> Option<ShareStatus> {
    match verb {
        Verb::CreateReplica { .. } => Some(ShareStatus::Creating),
        Verb::DeleteReplica { .. } => Some(ShareStatus::Deleting),
        Verb::PromoteReplica { .. } => Some(ShareStatus::ReplicationChange),
        _ => None,
    }
}

/// Whether an operation takes the way of replicated shares.
pub(crate) fn is_concerned(tables: &Tables, operation: &Operation) -> bool {
    let of_snapshot = matches!(
        operation.verb,
        Verb::CreateSnapshot { .. } | Verb::DeleteSnapshot { .. } | Verb::RevertShare { .. }
    );
    of(&operation.verb).is_some() || (of_snapshot && tables.has_replicas(operation.share))
}

/// Whether clients find something at this instance: not at a replica of type `dr` that is not active.
pub(crate) fn is_exported(share: &Share, instance: &ShareInstance) -> bool {
    share.replication_type != Some(ReplicationType::Dr)
        || instance.replica_state == Some(ReplicaState::Active)
}

/// What the driver must export for `verb` on a share with replicas, and the words for a refusal.
pub(crate) const fn ability_of(verb: &Verb) -> Option<(Ability, &'static str)> {
    match verb {
        Verb::CreateSnapshot { .. } => {
            Some((Ability::ReplicatedSnapshots, "snapshots of a share with replicas"))
        }
        Verb::RevertShare { .. } => Some((Ability::ReplicatedRevert, "reverting a share with replicas")),
        other => crate::operation::ability_of(other),
    }
}
