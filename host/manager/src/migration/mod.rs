//! Migration of shares to another pool or backend (contract 3.10, 4.7).
//!
//! One operation carries a migration from its first call to its last; what stands in [`Migration`] says how far it is, so that after a
//! crash the same step is taken again. Between the two phases, and while nobody has said `complete` or `cancel`, the operation waits.
//!
//! ```text
//!   start --> checking --> casting --> starting --> in-progress --> first-phase-done
//!                | no         | failed    | failed       | failed          | complete       | cancel
//!                v            v           v              v                 v                v
//!            the host      ending: the destination is forgotten,      completing       migration-cancel, ending
//!            copies        the source gets its rules back                  |
//!                                                            cut over, rules at the destination, gone
//! ```
//!
//! `verbs` is what people ask for; `attempt` takes one step at a time, each one driver call and one transaction; `settle` is what the steps
//! do to the records; `carry` puts records together for drivers; `rules` sends access rules to either side; `copy` is the host's own way.
//!
//! Where we differ from Manila on purpose: whether the destination would do is known before the request is answered; all rules must be in
//! force at the start; a check of the driver that cannot be reached waits instead of counting as "no"; rules that the destination cannot
//! apply are in error there and do not make the share broken; what fails at the cut-over can be completed or cancelled once more.

pub(crate) mod attempt;
mod carry;
mod connection;
mod copy;
mod rules;
pub(crate) mod settle;
mod verbs;

pub use connection::ConnectionView;
pub use verbs::{MigrationProgress, StartMigration, Started};

use crate::denial::Denial;
use crate::operation::ShareFacts;
use bulkhead_model::id::BackendName;
use bulkhead_model::migration::{Migration, MigrationPhase};
use bulkhead_model::share::ShareInstance;
use bulkhead_model::status::{AccessRulesStatus, ShareStatus, SnapshotStatus};

/// The most snapshots that move along: their twins are written in one transaction.
pub(crate) const MOST_SNAPSHOTS: usize = 64;

/// Whether a share may begin to move.
pub(crate) fn may_start(facts: &ShareFacts) -> Result<(), Denial> {
    facts.require("migrating it", &[ShareStatus::Available])?;
    facts.require_no_replicas()?;
    facts.require_no_group("migrating it")?;
    match facts.rules_status {
        AccessRulesStatus::Active => {}
        status => return Err(Denial::RulesNotActive { status }),
    }
    match facts.snapshots.iter().find(|(_, status)| *status != SnapshotStatus::Available) {
        None => Ok(()),
        Some((_, status)) => Err(Denial::SnapshotStatus { what: "migrating its share", status: *status }),
    }
}

/// Whose driver takes the next step of a migration.
pub(crate) fn backend_of<'a>(
    migration: &Migration,
    source: &'a ShareInstance,
    destination: &'a ShareInstance,
) -> &'a BackendName {
    match migration.phase {
        MigrationPhase::ApplyingRules
        | MigrationPhase::Creating
        | MigrationPhase::Exporting
        | MigrationPhase::RemovingDestination => &destination.placement.backend,
        _ => &source.placement.backend,
    }
}
