//! Share networks: making, showing, changing, taking away.

use super::{NewShareNetwork, ShareNetworkUpdate, cause_of, chain, find, policy};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::{Change, Row, RowKey, Tables};
use bulkhead_model::id::{ShareNetworkId, ShareNetworkSubnetId};
use bulkhead_model::network::{ShareNetwork, ShareNetworkStatus, ShareNetworkSubnet};
use bulkhead_model::scope::Scope;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The most share networks of one project.
const MOST_NETWORKS: usize = 1000;

impl Manager {
    /// Make a share network with its first subnet. No backend learns of it.
    ///
    /// Fails with [`ManagerError::Invalid`] for unfit text, [`ManagerError::LimitExceeded`] at 1,000 networks of a project.
    pub async fn create_share_network(
        &self,
        context: &RequestContext,
        new: NewShareNetwork,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| create(&inner, &context, new).await).await
    }

    /// A share network inside `scope`. Fails with [`ManagerError::NotFound`].
    pub fn show_share_network(
        &self,
        scope: &Scope,
        id: ShareNetworkId,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        find(&self.inner.records.read(), scope, id).map(|stored| Arc::clone(&stored.value))
    }

    /// The share network inside `scope` that has this subnet. Fails with [`ManagerError::NotFound`].
    pub fn show_share_network_with(
        &self,
        scope: &Scope,
        subnet: ShareNetworkSubnetId,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let tables = self.inner.records.read();
        let found = tables.share_network_with(scope, subnet).map(|stored| Arc::clone(&stored.value));
        found.ok_or_else(|| ManagerError::not_found("share network subnet", subnet))
    }

    /// All share networks inside `scope`, oldest first.
    #[must_use]
    pub fn list_share_networks(&self, scope: &Scope) -> Vec<Arc<ShareNetwork>> {
        let tables = self.inner.records.read();
        let mut networks: Vec<_> =
            tables.share_networks(scope).into_iter().map(|stored| Arc::clone(&stored.value)).collect();
        networks.sort_by_key(|network| (network.created_at, network.id));
        networks
    }

    /// Change a share network's name or description. No backend learns of it.
    pub async fn update_share_network(
        &self,
        context: &RequestContext,
        id: ShareNetworkId,
        update: ShareNetworkUpdate,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| change_words(&inner, &context, id, update).await).await
    }

    /// Take a share network away, with its subnets.
    ///
    /// Fails with [`ManagerError::Conflict`] while something is on it.
    pub async fn delete_share_network(
        &self,
        context: &RequestContext,
        id: ShareNetworkId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| delete(&inner, &context, id).await).await
    }

    /// Set a share network's status by hand. For operators.
    pub async fn reset_share_network_status(
        &self,
        context: &RequestContext,
        id: ShareNetworkId,
        status: ShareNetworkStatus,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| reset(&inner, &context, id, status).await).await
    }
}

/// A subnet of `network` that no addresses were taken for yet.
pub(crate) fn new_subnet(
    network: ShareNetworkId,
    (neutron_net_id, neutron_subnet_id): (Option<String>, Option<String>),
    metadata: BTreeMap<String, String>,
) -> ShareNetworkSubnet {
    ShareNetworkSubnet {
        neutron_net_id,
        neutron_subnet_id,
        metadata,
        ..ShareNetworkSubnet::new(ShareNetworkSubnetId::random(), network)
    }
}

#[instrument(name = "share_network.create", skip_all, fields(request.id = %context.request))]
async fn create(
    inner: &Arc<Inner>,
    context: &RequestContext,
    new: NewShareNetwork,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_change()?;
    new.check()?;
    let identity = Identity::of(context, "create-share-network", &new)?;
    let (cause, chain, now) = (cause_of(context), chain()?, Timestamp::now());
    let fresh = ShareNetworkId::random();
    let neutron = (new.neutron_net_id.clone(), new.neutron_subnet_id.clone());
    let network = ShareNetwork {
        id: fresh,
        project_id: context.actor.project.clone(),
        user_id: context.actor.user.clone(),
        name: new.name,
        description: new.description,
        status: ShareNetworkStatus::Active,
        subnets: vec![new_subnet(fresh, neutron, BTreeMap::new())],
        added_subnet: None,
        security_services: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let id = inner
        .transact(|tables| {
            if let Some(first) = identity.first::<ShareNetworkId>(tables)? {
                return Ok(Proposal::Settled(first));
            }
            let own = Scope::Project(network.project_id.clone());
            if tables.share_networks(&own).len() >= MOST_NETWORKS {
                return Err(ManagerError::LimitExceeded {
                    what: "share networks of a project",
                    limit: MOST_NETWORKS,
                });
            }
            let mut change = Change::default();
            change.note(&cause, format_args!("share-network/{fresh}"), "made");
            change.insert(Row::Network(network.clone()));
            identity.remember(tables, &mut change, fresh);
            Ok(Proposal::Commit(chain.clone(), change, fresh))
        })
        .await?;
    shown(inner, id)
}

/// A network as it is now.
pub(super) fn shown(inner: &Inner, id: ShareNetworkId) -> Result<Arc<ShareNetwork>, ManagerError> {
    find(&inner.records.read(), &Scope::Everything, id).map(|stored| Arc::clone(&stored.value))
}

#[instrument(name = "share_network.update", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn change_words(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    update: ShareNetworkUpdate,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_change()?;
    update.check()?;
    alter(inner, context, id, "changed", |_, network| {
        if let Some(name) = &update.name {
            network.name.clone_from(name);
        }
        if let Some(description) = &update.description {
            network.description.clone_from(description);
        }
        Ok(())
    })
    .await
}

#[instrument(name = "share_network.reset_status", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn reset(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    status: ShareNetworkStatus,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_operator()?;
    let words = format!("status set to {status} by hand");
    alter(inner, context, id, &words, |_, network| {
        network.status = status;
        Ok(())
    })
    .await
}

/// Alter a network that the caller may see, in one transaction. What was so before is left alone.
pub(super) async fn alter(
    inner: &Inner,
    context: &RequestContext,
    id: ShareNetworkId,
    words: &str,
    alter: impl Fn(&Tables, &mut ShareNetwork) -> Result<(), ManagerError>,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    let (cause, chain) = (cause_of(context), chain()?);
    inner
        .transact(|tables| {
            let stored = find(tables, &context.scope(), id)?;
            let mut altered = (*stored.value).clone();
            alter(tables, &mut altered)?;
            if altered == *stored.value {
                return Ok(Proposal::Settled(()));
            }
            let mut change = Change::default();
            change.note(&cause, format_args!("share-network/{id}"), words);
            change.edit_share_network(tables, id, |network| *network = altered);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await?;
    shown(inner, id)
}

#[instrument(name = "share_network.delete", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn delete(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
) -> Result<(), ManagerError> {
    context.require_change()?;
    let (cause, chain) = (cause_of(context), chain()?);
    let _alone = inner.ties.write().await;
    inner
        .transact(|tables| {
            let found = find(tables, &context.scope(), id)?;
            policy::change(tables, found, "taking it away")?;
            let mut change = Change::default();
            change.note(&cause, format_args!("share-network/{id}"), "removed");
            change.delete(RowKey::Network(id), found.revision);
            Ok(Proposal::Commit(chain.clone(), change, ()))
        })
        .await?;
    inner.network_checks.forget(id);
    Ok(())
}
