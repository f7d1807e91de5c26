//! What a driver is: [`Driver`] for the required exports, one small trait per optional one. [`export_driver!`](crate::export_driver)
//! exports exactly the traits it is told, and what is exported is what the host says the driver can do.
//!
//! There is no `self`: every call runs in a fresh instance, so nothing survives in memory. State lives in
//! [`private_data`](crate::private_data) or at the backend.

use crate::access::{AccessRule, AccessUpdate, RuleOutcome, SnapshotAccessRule};
use crate::error::{Error, Result};
use crate::share::{Creation, EnsuredShare, ExportLocation, Share};
use crate::snapshot::{Reversion, Snapshot, SnapshotOutcome};
use crate::statistics::{IpVersion, Statistics};

fn not_implemented<T>(function: &str) -> Result<T> {
    Err(Error::not_implemented(format!("this driver has no {function}")))
}

/// Set-up, statistics, and creating and deleting shares: what every driver has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no driver yet: `Driver` is not implemented for it",
    note = "implement `bulkhead_sdk::Driver`; its documentation says what each function must do"
)]
pub trait Driver: 'static {
    /// Check that the backend is there and usable. Leave nothing in memory.
    ///
    /// Idempotent; called at start and at every swap, again after growing pauses until it succeeds. Fail with
    /// [`Error::bad_configuration`] if an option is wrong. Until it has succeeded there is no other call.
    fn setup() -> Result<()>;

    /// Current statistics. Reads only, within 30 s; may overlap with every other call.
    fn stats() -> Result<Statistics>;

    /// A fingerprint of what influences exports (versions, ports, addresses): while it stays, the host skips
    /// [`Driver::ensure_shares`] at start. Reads only. Not implemented: the host always ensures.
    fn backend_info() -> Result<Vec<(String, String)>> {
        not_implemented("fingerprint")
    }

    /// The IP versions shares are exported with. Reads only. Not implemented: IPv4.
    fn ip_versions() -> Result<Vec<IpVersion>> {
        not_implemented("list of IP versions")
    }

    /// The filter function the scheduler uses where the operator set none. Reads only.
    fn default_filter_function() -> Result<Option<String>> {
        not_implemented("filter function")
    }

    /// The goodness function the scheduler uses where the operator set none. Reads only.
    fn default_goodness_function() -> Result<Option<String>> {
        not_implemented("goodness function")
    }

    /// The pool a share lives in, for a share whose host string has none. Reads only.
    fn pool_of(share: &Share) -> Result<Option<String>> {
        not_implemented(&format!("pool for {}", share.name))
    }

    /// Make an empty share of `share.size_gib` GiB.
    ///
    /// Idempotent: if the share is there with this size, succeed with the same export locations. On failure leave something that
    /// [`Driver::delete_share`] removes. Fail with [`Error::no_space`], [`Error::conflict`] if it is there with another size,
    /// [`Error::invalid_share`] if the protocol is not served. Never two calls at once for one share.
    fn create_share(share: &Share) -> Result<Vec<ExportLocation>>;

    /// Remove a share and everything made for it; its access rules are gone already.
    ///
    /// Idempotent: a share that is gone, or was made only in part, is a success. Never two calls at once for one share.
    fn delete_share(share: &Share) -> Result<()>;

    /// Bring exports and mounts of these shares in line with the records, without disturbing clients. At most 500 a call.
    ///
    /// Idempotent; called at a start, whenever the fingerprint changed, every 300 s and at an operator's request. A share missing from the answer stays as it is. Not
    /// implemented: all stay as they are.
    fn ensure_shares(shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        not_implemented(&format!("way to ensure {} shares", shares.len()))
    }
}

/// Access rules of a share, all at once. A driver has this or [`AccessByRule`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `access` but does not implement `Access`",
    note = "implement `bulkhead_sdk::Access` for it, or leave `access` out of `export_driver!`"
)]
pub trait Access: Driver {
    /// Make the backend's rules for `share` what `update.rules` says. Whatever it has beside them goes, at the latest when `add`,
    /// `remove` and `update` are all empty.
    ///
    /// Idempotent: a rule in `add` may be there, one in `remove` may be absent; neither is an error. Report single rules that
    /// cannot be applied as [`RuleOutcome::error`]; fail only if no rule could be handled. Never two calls at once for one share.
    fn update_access(share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>>;
}

/// Access rules of a share, one by one. A driver has this or [`Access`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `access_by_rule` but does not implement `AccessByRule`",
    note = "implement `bulkhead_sdk::AccessByRule` for it, or leave `access_by_rule` out of `export_driver!`"
)]
pub trait AccessByRule: Driver {
    /// Put one rule in force. Idempotent: a rule already in force is a success.
    fn allow_access(share: &Share, rule: &AccessRule) -> Result<()>;

    /// Take one rule away. Idempotent: a rule that is not there is a success.
    fn deny_access(share: &Share, rule: &AccessRule) -> Result<()>;
}

/// Snapshots of shares.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `snapshots` but does not implement `Snapshots`",
    note = "implement `bulkhead_sdk::Snapshots` for it, or leave `snapshots` out of `export_driver!`"
)]
pub trait Snapshots: Driver {
    /// Take a snapshot of `snapshot.share`.
    ///
    /// Idempotent: if the snapshot is there, succeed with the same answer; its content stays that of the first time. On failure
    /// leave something that [`Snapshots::delete_snapshot`] removes. Never two calls at once for one snapshot.
    fn create_snapshot(snapshot: &Snapshot) -> Result<SnapshotOutcome>;

    /// Remove a snapshot. Idempotent: a snapshot that is gone is a success.
    fn delete_snapshot(snapshot: &Snapshot) -> Result<()>;
}

/// Shares made from snapshots.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `share_from_snapshot` but does not implement `ShareFromSnapshot`",
    note = "implement `bulkhead_sdk::ShareFromSnapshot` for it, or leave `share_from_snapshot` out of `export_driver!`"
)]
pub trait ShareFromSnapshot: Driver {
    /// Make `share` with the content of `source`, `share.size_gib` GiB large: at least the snapshot's size.
    ///
    /// Idempotent as [`Driver::create_share`]. Fail with [`Error::snapshot_not_found`] if the source is not there. The source is
    /// read, never changed. Never two calls at once for one share.
    fn create_share_from_snapshot(share: &Share, source: &Snapshot) -> Result<Creation>;
}

/// Reverting a share to its newest snapshot.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `revert` but does not implement `Revert`",
    note = "implement `bulkhead_sdk::Revert` for it, or leave `revert` out of `export_driver!`"
)]
pub trait Revert: Driver {
    /// Put `snapshot.share` back to the content of `snapshot`, in place; the snapshot survives, and so do the rules.
    ///
    /// Idempotent: reverting what was reverted is a success. Until it has succeeded either the old or the new content is there,
    /// never a mix. Never two calls at once for one share.
    fn revert_to_snapshot(
        snapshot: &Snapshot,
        share_rules: &[AccessRule],
        snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion>;
}

/// Making shares larger.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `extend` but does not implement `Extend`",
    note = "implement `bulkhead_sdk::Extend` for it, or leave `extend` out of `export_driver!`"
)]
pub trait Extend: Driver {
    /// Make `share` `new_size_gib` GiB large; larger than `share.size_gib`.
    ///
    /// Idempotent: a share that already has this size is a success. Fail with [`Error::no_space`]. Never two calls at once for one
    /// share.
    fn extend_share(share: &Share, new_size_gib: u64) -> Result<()>;
}

/// Making shares smaller.
#[diagnostic::on_unimplemented(
    message = "`{Self}` exports `shrink` but does not implement `Shrink`",
    note = "implement `bulkhead_sdk::Shrink` for it, or leave `shrink` out of `export_driver!`"
)]
pub trait Shrink: Driver {
    /// Make `share` `new_size_gib` GiB large; smaller than `share.size_gib`.
    ///
    /// Idempotent: a share that already has this size is a success. Fail with [`Error::possible_data_loss`] if more is used, having
    /// changed nothing. Never two calls at once for one share.
    fn shrink_share(share: &Share, new_size_gib: u64) -> Result<()>;
}
