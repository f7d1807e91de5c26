//! The driver's functions as the host calls them: each with the target the host derives from its arguments.

use super::lab::Lab;
use super::place::Target;
use crate::access::{AccessRule, AccessUpdate, RuleOutcome, SnapshotAccessRule};
use crate::driver::{Access, AccessByRule, Driver, Extend, Revert, ShareFromSnapshot, Shrink, Snapshots};
use crate::error::Result;
use crate::share::{Creation, EnsuredShare, ExportLocation, Share};
use crate::snapshot::{Reversion, Snapshot, SnapshotOutcome};
use crate::statistics::{IpVersion, Statistics};

impl Lab {
    /// [`Driver::setup`].
    pub fn setup<D: Driver>(&self) -> Result<()> {
        self.call(Target::default(), D::setup)
    }

    /// [`Driver::stats`].
    pub fn stats<D: Driver>(&self) -> Result<Statistics> {
        self.call(Target::default(), D::stats)
    }

    /// [`Driver::backend_info`].
    pub fn backend_info<D: Driver>(&self) -> Result<Vec<(String, String)>> {
        self.call(Target::default(), D::backend_info)
    }

    /// [`Driver::ip_versions`].
    pub fn ip_versions<D: Driver>(&self) -> Result<Vec<IpVersion>> {
        self.call(Target::default(), D::ip_versions)
    }

    /// [`Driver::pool_of`].
    pub fn pool_of<D: Driver>(&self, share: &Share) -> Result<Option<String>> {
        self.call(Target::share(share), || D::pool_of(share))
    }

    /// [`Driver::create_share`].
    pub fn create_share<D: Driver>(&self, share: &Share) -> Result<Vec<ExportLocation>> {
        self.call(Target::share(share), || D::create_share(share))
    }

    /// [`Driver::delete_share`].
    pub fn delete_share<D: Driver>(&self, share: &Share) -> Result<()> {
        self.call(Target::share(share), || D::delete_share(share))
    }

    /// [`Driver::ensure_shares`].
    pub fn ensure_shares<D: Driver>(&self, shares: &[Share]) -> Result<Vec<EnsuredShare>> {
        self.call(Target::shares(shares), || D::ensure_shares(shares))
    }

    /// [`Access::update_access`]: slots of type `access-rules` hold `update.rules`.
    pub fn update_access<D: Access>(&self, share: &Share, update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        self.call(Target::share(share).with_rules(&update.rules), || D::update_access(share, update))
    }

    /// [`AccessByRule::allow_access`].
    pub fn allow_access<D: AccessByRule>(&self, share: &Share, rule: &AccessRule) -> Result<()> {
        self.call(Target::share(share), || D::allow_access(share, rule))
    }

    /// [`AccessByRule::deny_access`].
    pub fn deny_access<D: AccessByRule>(&self, share: &Share, rule: &AccessRule) -> Result<()> {
        self.call(Target::share(share), || D::deny_access(share, rule))
    }

    /// [`Snapshots::create_snapshot`].
    pub fn create_snapshot<D: Snapshots>(&self, snapshot: &Snapshot) -> Result<SnapshotOutcome> {
        self.call(Target::snapshot(snapshot), || D::create_snapshot(snapshot))
    }

    /// [`Snapshots::delete_snapshot`].
    pub fn delete_snapshot<D: Snapshots>(&self, snapshot: &Snapshot) -> Result<()> {
        self.call(Target::snapshot(snapshot), || D::delete_snapshot(snapshot))
    }

    /// [`ShareFromSnapshot::create_share_from_snapshot`].
    pub fn create_share_from_snapshot<D: ShareFromSnapshot>(
        &self,
        share: &Share,
        source: &Snapshot,
    ) -> Result<Creation> {
        self.call(Target::share(share).made_from(source), || D::create_share_from_snapshot(share, source))
    }

    /// [`Revert::revert_to_snapshot`]: slots of type `access-rules` hold `share_rules`.
    pub fn revert_to_snapshot<D: Revert>(
        &self,
        snapshot: &Snapshot,
        share_rules: &[AccessRule],
        snapshot_rules: &[SnapshotAccessRule],
    ) -> Result<Reversion> {
        self.call(Target::snapshot(snapshot).with_rules(share_rules), || {
            D::revert_to_snapshot(snapshot, share_rules, snapshot_rules)
        })
    }

    /// [`Extend::extend_share`].
    pub fn extend_share<D: Extend>(&self, share: &Share, new_size_gib: u64) -> Result<()> {
        self.call(Target::share(share), || D::extend_share(share, new_size_gib))
    }

    /// [`Shrink::shrink_share`].
    pub fn shrink_share<D: Shrink>(&self, share: &Share, new_size_gib: u64) -> Result<()> {
        self.call(Target::share(share), || D::shrink_share(share, new_size_gib))
    }
}
