//! Subnets of share networks with their metadata, and which security services a network has.

use super::in_use::{ServicesChange, change_services, require_checked};
use super::request::METADATA_BYTES;
use super::verbs::{alter, new_subnet};
use super::{NetworkChange, NewSubnet, WhileInUse, find, find_service, policy};
use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::first_result::Identity;
use crate::journal::Freshness;
use crate::manager::{Inner, Manager, Proposal};
use crate::records::Change;
use crate::request::check_metadata;
use crate::runner::launch;
use crate::share_server::{network_change, subnet_metadata};
use bulkhead_model::id::{SecurityServiceId, ShareNetworkId, ShareNetworkSubnetId};
use bulkhead_model::network::{ShareNetwork, ShareNetworkStatus};
use bulkhead_model::operation::Verb;
use bulkhead_model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::instrument;

/// The most subnets of one network.
const MOST_SUBNETS: usize = 16;

impl Manager {
    /// Add a subnet to a share network. Answers its id. Where share servers are in the network each gets addresses in it, by an operation of
    /// its own, if `while_in_use` says so and their drivers have said that they could ([`Manager::check_share_network_change`]).
    ///
    /// Fails with [`ManagerError::Conflict`] while the network or something on it is not at rest, or the servers may or can not follow.
    pub async fn add_share_network_subnet(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        new: NewSubnet,
        while_in_use: WhileInUse,
    ) -> Result<ShareNetworkSubnetId, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| add_subnet(&inner, &context, network, (new, while_in_use)).await)
            .await
    }

    /// Set the metadata of a subnet, all of it. Share servers in it whose backend follows a key that was set or changed are told, each by an
    /// operation of its own (Manila: `update_share_network_subnet_from_metadata`).
    ///
    /// Fails with [`ManagerError::NotFound`] for either, with [`ManagerError::Invalid`] for more than a subnet may carry, and with
    /// [`ManagerError::LimitExceeded`] at a backend's most unfinished operations.
    pub async fn update_share_network_subnet(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        subnet: ShareNetworkSubnetId,
        metadata: BTreeMap<String, String>,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| set_metadata(&inner, &context, (network, subnet), metadata).await)
            .await
    }

    /// Take a subnet from a share network.
    ///
    /// Fails with [`ManagerError::NotFound`], and with [`ManagerError::Conflict`] while something is on the network.
    pub async fn remove_share_network_subnet(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        subnet: ShareNetworkSubnetId,
    ) -> Result<(), ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| remove_subnet(&inner, &context, network, subnet).await).await
    }

    /// Let share servers in a network join the directory of a security service. Idempotent. Those that are there follow, each by an operation
    /// of its own, if `while_in_use` says so and their drivers have said that they could ([`Manager::check_share_network_change`]).
    ///
    /// Fails with [`ManagerError::NotFound`] for either, and with [`ManagerError::Conflict`] if the network has one of that type already, it
    /// or something on it is not at rest, or the servers may or can not follow.
    pub async fn add_security_service(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        service: SecurityServiceId,
        while_in_use: WhileInUse,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let (context, change) = (context.clone(), ServicesChange::Add(service));
        self.detached(async move |inner| match while_in_use {
            WhileInUse::Refuse => add_service(&inner, &context, network, service).await,
            WhileInUse::Follow => change_services(&inner, &context, network, change).await,
        })
        .await
    }

    /// Let share servers in a network join that directory no more.
    ///
    /// Fails with [`ManagerError::NotFound`] if the network does not have it, and with [`ManagerError::Conflict`] as adding one does.
    pub async fn remove_security_service(
        &self,
        context: &RequestContext,
        network: ShareNetworkId,
        service: SecurityServiceId,
    ) -> Result<Arc<ShareNetwork>, ManagerError> {
        let context = context.clone();
        self.detached(async move |inner| remove_service(&inner, &context, network, service).await).await
    }
}

#[instrument(name = "share_network.add_subnet", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn add_subnet(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    (new, while_in_use): (NewSubnet, WhileInUse),
) -> Result<ShareNetworkSubnetId, ManagerError> {
    context.require_change()?;
    new.check()?;
    let identity = Identity::of(context, "add-share-network-subnet", &(id, &new))?;
    let wanted = NetworkChange::AddSubnet {
        neutron_net_id: new.neutron_net_id.clone(),
        neutron_subnet_id: new.neutron_subnet_id.clone(),
    };
    let subnet = new_subnet(id, (new.neutron_net_id, new.neutron_subnet_id), new.metadata);
    let (cause, chain) = (super::cause_of(context), super::chain()?);
    let _alone = inner.ties.write().await;
    let (added, started) = inner
        .transact(|tables| {
            let network = find(tables, &context.scope(), id)?;
            if let Some(first) = identity.first::<ShareNetworkSubnetId>(tables)? {
                return Ok(Proposal::Settled((first, Vec::new())));
            }
            let servers = match while_in_use {
                WhileInUse::Refuse => {
                    policy::change(tables, network, wanted.words())?;
                    Vec::new()
                }
                WhileInUse::Follow => wanted.servers(inner, tables, context, id)?,
            };
            if network.subnets.len() >= MOST_SUBNETS {
                let what = "subnets of a share network";
                return Err(ManagerError::LimitExceeded { what, limit: MOST_SUBNETS });
            }
            require_checked(inner, id, &wanted, &servers)?;
            let mut change = Change::default();
            let verb = |server| Verb::AddServerSubnet { server, subnet: subnet.id };
            let told = (&context.request, &cause, &mut change);
            let started = network_change::begin(inner, tables, (network, &servers), verb, told)?;
            change.note(
                &cause,
                format_args!("share-network/{id}"),
                format_args!("subnet {} added", subnet.id),
            );
            change.edit_share_network(tables, id, |network| {
                network.subnets.push(subnet.clone());
                if !started.is_empty() {
                    network.status = ShareNetworkStatus::NetworkChange;
                    network.added_subnet = Some(subnet.id);
                }
            });
            identity.remember(tables, &mut change, subnet.id);
            Ok(Proposal::Commit(chain.clone(), change, (subnet.id, started)))
        })
        .await?;
    if !started.is_empty() {
        inner.network_checks.forget(id);
    }
    for operation in started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(added)
}

#[instrument(name = "share_network.update_subnet", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn set_metadata(
    inner: &Arc<Inner>,
    context: &RequestContext,
    (id, subnet): (ShareNetworkId, ShareNetworkSubnetId),
    metadata: BTreeMap<String, String>,
) -> Result<(), ManagerError> {
    context.require_change()?;
    check_metadata(&metadata, METADATA_BYTES)?;
    let (cause, chain) = (super::cause_of(context), super::chain()?);
    let started = inner
        .transact(|tables| {
            let network = find(tables, &context.scope(), id)?;
            let found = network.subnet(subnet);
            let found = found.ok_or_else(|| ManagerError::not_found("share network subnet", subnet))?;
            if found.metadata == metadata {
                return Ok(Proposal::Settled(Vec::new()));
            }
            let mut change = Change::default();
            let told = (&context.request, &mut change);
            let started = subnet_metadata::begin(inner, tables, (network, found), &metadata, told)?;
            let words = format_args!("metadata of subnet {subnet} changed");
            change.note(&cause, format_args!("share-network/{id}"), words);
            change.edit_share_network(tables, id, |network| {
                for one in network.subnets.iter_mut().filter(|one| one.id == subnet) {
                    one.metadata.clone_from(&metadata);
                    one.updated_at = Timestamp::now();
                }
            });
            Ok(Proposal::Commit(chain.clone(), change, started))
        })
        .await?;
    for operation in started {
        launch(inner, operation, Freshness::Journalled);
    }
    Ok(())
}

#[instrument(name = "share_network.remove_subnet", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn remove_subnet(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    subnet: ShareNetworkSubnetId,
) -> Result<(), ManagerError> {
    context.require_change()?;
    let _alone = inner.ties.write().await;
    let words = format!("subnet {subnet} removed");
    alter(inner, context, id, &words, |tables, network| {
        policy::change(tables, network, "taking a subnet away")?;
        let before = network.subnets.len();
        network.subnets.retain(|one| one.id != subnet);
        if network.subnets.len() == before {
            return Err(ManagerError::not_found("share network subnet", subnet));
        }
        Ok(())
    })
    .await
    .map(drop)
}

#[instrument(name = "share_network.add_security_service", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn add_service(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    service: SecurityServiceId,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_change()?;
    let _alone = inner.ties.write().await;
    let words = format!("security service {service} added");
    alter(inner, context, id, &words, |tables, network| {
        let service = find_service(tables, &context.scope(), service)?;
        if service.project_id != network.project_id {
            return Err(ManagerError::not_found("security service", service.id));
        }
        if network.security_services.contains(&service.id) {
            return Ok(());
        }
        policy::add_service(tables, network, service)?;
        network.security_services.push(service.id);
        Ok(())
    })
    .await
}

#[instrument(name = "share_network.remove_security_service", skip_all, fields(request.id = %context.request, share_network.id = %id))]
async fn remove_service(
    inner: &Arc<Inner>,
    context: &RequestContext,
    id: ShareNetworkId,
    service: SecurityServiceId,
) -> Result<Arc<ShareNetwork>, ManagerError> {
    context.require_change()?;
    let _alone = inner.ties.write().await;
    let words = format!("security service {service} removed");
    alter(inner, context, id, &words, |tables, network| {
        policy::change(tables, network, "taking a security service away")?;
        let before = network.security_services.len();
        network.security_services.retain(|one| *one != service);
        if network.security_services.len() == before {
            return Err(ManagerError::not_found("security service of this share network", service));
        }
        Ok(())
    })
    .await
}
