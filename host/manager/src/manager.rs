//! The manager: what the API and the binary call.

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::request::{Force, NewAccessRule, NewShare, NewSnapshot, Update};
use crate::settings::ManagerSettings;
use crate::view::{
    BackendDescription, BackendView, ShareTypeView, ShareView, SnapshotView, StoredAccessRule,
};
use bulkhead_ledger::Ledger;
use bulkhead_model::access::AccessLevel;
use bulkhead_model::id::{AccessRuleId, BackendName, OperationId, ShareId, SnapshotId};
use bulkhead_model::operation::Operation;
use bulkhead_model::scope::Scope;
use bulkhead_model::size::Gibibytes;
use bulkhead_model::status::{ShareStatus, SnapshotStatus};
use bulkhead_sandbox::Driver;
use bulkhead_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// Something changed: the hint to read again. Carries no content, so that nobody sees what is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A share, its instance or its rules.
    Share(ShareId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// An operation.
    Operation(OperationId),
}

/// The share manager.
#[derive(Debug, Clone)]
pub struct Manager;

#[expect(clippy::todo, missing_docs, unused_variables, reason = "signatures first; the bodies follow")]
impl Manager {
    pub async fn open(
        store: Arc<dyn Store>,
        ledger: Ledger,
        settings: ManagerSettings,
    ) -> Result<Self, ManagerError> {
        todo!()
    }
    pub async fn attach(
        &self,
        description: BackendDescription,
        driver: Arc<dyn Driver>,
    ) -> Result<(), ManagerError> {
        todo!()
    }
    pub async fn recover(&self) -> Result<(), ManagerError> {
        todo!()
    }
    pub async fn drain(&self, within: Duration) {
        todo!()
    }
    pub fn events(&self) -> tokio::sync::broadcast::Receiver<Event> {
        todo!()
    }

    pub async fn create_share(
        &self,
        context: &RequestContext,
        new: NewShare,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub fn show_share(&self, scope: &Scope, id: ShareId) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub fn list_shares(&self, scope: &Scope) -> Vec<ShareView> {
        todo!()
    }
    pub async fn update_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        update: Update,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub async fn delete_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        force: Force,
    ) -> Result<(), ManagerError> {
        todo!()
    }
    pub async fn extend_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        new_size: Gibibytes,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub async fn shrink_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        new_size: Gibibytes,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub async fn revert_share(
        &self,
        context: &RequestContext,
        id: ShareId,
        snapshot: SnapshotId,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }

    pub async fn create_snapshot(
        &self,
        context: &RequestContext,
        new: NewSnapshot,
    ) -> Result<SnapshotView, ManagerError> {
        todo!()
    }
    pub fn show_snapshot(&self, scope: &Scope, id: SnapshotId) -> Result<SnapshotView, ManagerError> {
        todo!()
    }
    /// All of `share`, or of every share inside `scope`.
    pub fn list_snapshots(&self, scope: &Scope, share: Option<ShareId>) -> Vec<SnapshotView> {
        todo!()
    }
    pub async fn update_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        update: Update,
    ) -> Result<SnapshotView, ManagerError> {
        todo!()
    }
    pub async fn delete_snapshot(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        force: Force,
    ) -> Result<(), ManagerError> {
        todo!()
    }

    pub async fn allow_access(
        &self,
        context: &RequestContext,
        share: ShareId,
        new: NewAccessRule,
    ) -> Result<StoredAccessRule, ManagerError> {
        todo!()
    }
    pub async fn deny_access(
        &self,
        context: &RequestContext,
        share: ShareId,
        rule: AccessRuleId,
    ) -> Result<(), ManagerError> {
        todo!()
    }
    pub async fn change_access_level(
        &self,
        context: &RequestContext,
        share: ShareId,
        rule: AccessRuleId,
        level: AccessLevel,
    ) -> Result<StoredAccessRule, ManagerError> {
        todo!()
    }
    /// Metadata of a rule.
    pub async fn update_access_metadata(
        &self,
        context: &RequestContext,
        rule: AccessRuleId,
        metadata: std::collections::BTreeMap<String, String>,
    ) -> Result<StoredAccessRule, ManagerError> {
        todo!()
    }
    pub fn list_access_rules(
        &self,
        scope: &Scope,
        share: ShareId,
    ) -> Result<Vec<StoredAccessRule>, ManagerError> {
        todo!()
    }
    pub fn show_access_rule(
        &self,
        scope: &Scope,
        rule: AccessRuleId,
    ) -> Result<StoredAccessRule, ManagerError> {
        todo!()
    }

    /// Newest first.
    pub fn list_operations(&self, scope: &Scope, most: usize) -> Vec<Arc<Operation>> {
        todo!()
    }
    pub fn show_operation(&self, scope: &Scope, id: OperationId) -> Result<Arc<Operation>, ManagerError> {
        todo!()
    }
    pub async fn retry_operation(
        &self,
        context: &RequestContext,
        id: OperationId,
    ) -> Result<Arc<Operation>, ManagerError> {
        todo!()
    }
    pub async fn abandon_operation(
        &self,
        context: &RequestContext,
        id: OperationId,
    ) -> Result<Arc<Operation>, ManagerError> {
        todo!()
    }

    pub fn list_backends(&self) -> Vec<BackendView> {
        todo!()
    }
    pub fn show_backend(&self, name: &BackendName) -> Result<BackendView, ManagerError> {
        todo!()
    }
    pub fn list_share_types(&self) -> Vec<ShareTypeView> {
        todo!()
    }
    /// By name or id.
    pub fn show_share_type(&self, name_or_id: &str) -> Result<ShareTypeView, ManagerError> {
        todo!()
    }

    pub async fn reset_share_status(
        &self,
        context: &RequestContext,
        id: ShareId,
        status: ShareStatus,
    ) -> Result<ShareView, ManagerError> {
        todo!()
    }
    pub async fn reset_snapshot_status(
        &self,
        context: &RequestContext,
        id: SnapshotId,
        status: SnapshotStatus,
    ) -> Result<SnapshotView, ManagerError> {
        todo!()
    }
    /// Forget a share and its records; its data stay at the backend.
    pub async fn forget_share(&self, context: &RequestContext, id: ShareId) -> Result<(), ManagerError> {
        todo!()
    }
}
