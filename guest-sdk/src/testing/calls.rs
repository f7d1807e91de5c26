//! The driver's functions as the host calls them: each with the target the host derives from its arguments.

use super::lab::Lab;
use super::place::Target;
use crate::access::{AccessLevel, AccessRule, AccessUpdate, RuleOutcome, SnapshotAccessRule};
use crate::driver::{Access, AccessByRule, Driver, Extend, Revert, ShareFromSnapshot, Shrink, Snapshots};
use crate::error::Result;
use crate::manage::{Manage, ManageSnapshots, ManagedShare, ManagedSnapshot};
use crate::metadata::MetadataUpdates;
use crate::mountable::{MountableSnapshots, SnapshotAccessUpdate};
use crate::network::{ShareNetwork, ShareNetworkSubnet};
use crate::periodic_hook::{HookData, PeriodicHook};
use crate::resource::Resource;
use crate::share::{Creation, EnsuredShare, ExportLocation, Share};
use crate::share_server::ShareServer;
use crate::share_status::{ShareProgress, ShareStatus};
use crate::snapshot::{Reversion, Snapshot, SnapshotOutcome};
use crate::statistics::{IpVersion, Statistics};
use crate::usage::{ShareUsage, Usage};

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

    /// [`MountableSnapshots::snapshot_update_access`]: slots of type `access-rules` hold `update.rules`, all read only.
    pub fn snapshot_update_access<D: MountableSnapshots>(
        &self,
        snapshot: &Snapshot,
        update: &SnapshotAccessUpdate,
    ) -> Result<()> {
        let rules: Vec<AccessRule> = update.rules.iter().map(read_only).collect();
        self.call(Target::snapshot(snapshot).with_rules(&rules), || {
            D::snapshot_update_access(snapshot, update)
        })
    }

    /// [`Manage::manage_existing`]: `{managed}` is the last component of the share's one export location.
    pub fn manage_existing<D: Manage>(
        &self,
        share: &Share,
        driver_options: &[(String, String)],
    ) -> Result<ManagedShare> {
        let named = share.export_locations.first().map_or("", |location| location.path.as_str());
        self.taking_over(share, named, || D::manage_existing(share, driver_options))
    }

    /// [`Manage::unmanage`]. On success the double forgets what the share owned and its private data, as the host does.
    pub fn unmanage<D: Manage>(&self, share: &Share) -> Result<()> {
        let ended = self.call(Target::share(share), || D::unmanage(share));
        self.forget_if_let_go(ended, &Resource::from(share))
    }

    /// [`ManageSnapshots::manage_existing_snapshot`]: `{managed}` is the last component of the snapshot's provider location.
    pub fn manage_existing_snapshot<D: ManageSnapshots>(
        &self,
        snapshot: &Snapshot,
        driver_options: &[(String, String)],
    ) -> Result<ManagedSnapshot> {
        let named = snapshot.provider_location.as_deref().unwrap_or_default();
        self.call(Target::snapshot(snapshot).taking_over(named), || {
            D::manage_existing_snapshot(snapshot, driver_options)
        })
    }

    /// [`ManageSnapshots::unmanage_snapshot`]. On success the double forgets what the snapshot owned and its private data.
    pub fn unmanage_snapshot<D: ManageSnapshots>(&self, snapshot: &Snapshot) -> Result<()> {
        let ended = self.call(Target::snapshot(snapshot), || D::unmanage_snapshot(snapshot));
        self.forget_if_let_go(ended, &Resource::from(snapshot))
    }

    /// [`Usage::share_usage_sizes`].
    pub fn share_usage_sizes<D: Usage>(&self, shares: &[Share]) -> Result<Vec<ShareUsage>> {
        self.call(Target::shares(shares), || D::share_usage_sizes(shares))
    }

    /// [`PeriodicHook::periodic_hook_data`].
    pub fn periodic_hook_data<D: PeriodicHook>(&self, shares: &[Share]) -> Result<Vec<HookData>> {
        self.call(Target::shares(shares), || D::periodic_hook_data(shares))
    }

    /// [`ShareStatus::share_status`] of a share whose creation from `source` is pending.
    pub fn share_status_while_creating<D: ShareStatus>(
        &self,
        share: &Share,
        source: &Snapshot,
    ) -> Result<ShareProgress> {
        self.call(Target::share(share).made_from(source), || D::share_status(share))
    }

    /// [`ShareStatus::share_status`] of the share of `snapshot`, whose revert to it is pending. The call is about the share and may name
    /// the snapshot.
    pub fn share_status_while_reverting<D: ShareStatus>(&self, snapshot: &Snapshot) -> Result<ShareProgress> {
        self.call(Target::reverting(snapshot), || D::share_status(&snapshot.share))
    }

    /// [`MetadataUpdates::share_creation_metadata`]. The host drops keys that `supplied` does not list; the double hands all back.
    pub fn share_creation_metadata<D: MetadataUpdates>(
        &self,
        share: &Share,
    ) -> Result<Vec<(String, String)>> {
        self.call(Target::share(share), || D::share_creation_metadata(share))
    }

    /// [`MetadataUpdates::update_share_from_metadata`].
    pub fn update_share_from_metadata<D: MetadataUpdates>(
        &self,
        share: &Share,
        metadata: &[(String, String)],
    ) -> Result<()> {
        self.call(Target::share(share), || D::update_share_from_metadata(share, metadata))
    }

    /// [`MetadataUpdates::update_subnet_from_metadata`]. The call is about the server.
    pub fn update_subnet_from_metadata<D: MetadataUpdates>(
        &self,
        network: &ShareNetwork,
        subnet: &ShareNetworkSubnet,
        server: &ShareServer,
        metadata: &[(String, String)],
    ) -> Result<()> {
        self.call(Target::server(&server.id), || {
            D::update_subnet_from_metadata(network, subnet, server, metadata)
        })
    }

    pub(super) fn forget_if_let_go(&self, ended: Result<()>, resource: &Resource) -> Result<()> {
        if ended.is_ok() {
            self.state.owned.borrow_mut().retain(|_, owner| owner != resource);
            self.state.private_data.borrow_mut().forget(resource);
            self.state.secrets.borrow_mut().forget(resource);
        }
        ended
    }
}

/// A snapshot's rule as slots of type `access-rules` print it.
fn read_only(rule: &SnapshotAccessRule) -> AccessRule {
    AccessRule {
        id: rule.id.clone(),
        mapping_id: rule.mapping_id.clone(),
        access_type: rule.access_type,
        access_to: rule.access_to.clone(),
        access_level: AccessLevel::Ro,
    }
}
