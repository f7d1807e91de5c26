//! The addresses of a backend's share servers, for its operator: how full its networks are, what is taken by what, and what goes back by hand.

use crate::context::RequestContext;
use crate::error::ManagerError;
use crate::manager::{Inner, Manager};
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{BackendName, ShareServerId};
use bulkhead_sandbox::{AllocationError, GiveBack, Holder, NetworkProvider, NetworkUsage, TakenAddress};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// The most addresses of one answer.
pub const MOST_ADDRESSES: usize = 1000;

/// How full a network is. Numbers are text: a network of IPv6 has more addresses than numbers of JSON are exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkView {
    /// What it is bound for: `user` or `admin`.
    pub label: &'static str,
    /// The network.
    pub cidr: String,
    /// How many of its addresses may be given out at all.
    pub size: String,
    /// How many are free now.
    pub free: String,
}

/// An address that is not free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressView {
    /// The address.
    pub address: IpAddr,
    /// What its network is bound for; none if the backend does not have that network any more.
    pub label: Option<&'static str>,
    /// The network; none as above.
    pub cidr: Option<String>,
    /// `in-use`, `unmanaged` (its server is there, and nobody manages it) or `resting`.
    pub state: &'static str,
    /// The server that has it; none while it rests.
    pub server: Option<String>,
    /// Where that server is.
    pub backend: Option<String>,
    /// Whose it is; told of servers that are managed.
    pub project: Option<String>,
    /// What its driver has it for; none for what the host allocated.
    pub purpose: Option<String>,
    /// Until when it rests.
    pub until: Option<String>,
}

/// The addresses of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AddressesView {
    /// Its networks; none where it makes no share servers.
    pub networks: Vec<NetworkView>,
    /// What is not free, in order of address, at most [`MOST_ADDRESSES`].
    pub addresses: Vec<AddressView>,
    /// Whether there are more: ask again for those after the last one.
    pub more: bool,
}

impl Manager {
    /// How full the networks of a backend are, and which addresses are not free, from the one after `after` on. Nothing where it has no
    /// networks.
    ///
    /// Fails with [`ManagerError::NotFound`], and with [`ManagerError::BackendUnreachable`] before its driver is loaded.
    pub async fn backend_addresses(
        &self,
        backend: &BackendName,
        after: Option<IpAddr>,
    ) -> Result<AddressesView, ManagerError> {
        let Some(networks) = networks(&self.inner, backend)? else { return Ok(AddressesView::default()) };
        let usage = networks.usage().await.map_err(failed)?;
        let mut taken = networks.taken(after, MOST_ADDRESSES.saturating_add(1)).await.map_err(failed)?;
        let more = taken.len() > MOST_ADDRESSES;
        taken.truncate(MOST_ADDRESSES);
        Ok(AddressesView {
            networks: usage.iter().map(NetworkView::of).collect(),
            addresses: taken.into_iter().map(AddressView::of).collect(),
            more,
        })
    }

    /// Give an address of a backend back by hand: it rests, then others get it. For operators. Idempotent: one that is free or rests is a
    /// success.
    ///
    /// Fails with [`ManagerError::AddressInUse`] for one that a driver counts on, unless that is meant, for one that goes with its server, and
    /// for one of another backend's; with [`ManagerError::NotFound`] for one that no network of the backend has.
    pub async fn give_address_back(
        &self,
        context: &RequestContext,
        backend: &BackendName,
        address: IpAddr,
        what: GiveBack,
    ) -> Result<(), ManagerError> {
        context.require_operator()?;
        let (context, backend) = (context.clone(), backend.clone());
        self.detached(async move |inner| {
            let none = || ManagerError::not_found("address", address);
            let networks = networks(&inner, &backend)?.ok_or_else(none)?;
            let reason = CallReason { request: context.request, operation: None, earlier_attempts: 0 };
            let given_back = networks.give_back(address.to_canonical(), what, &reason).await;
            given_back.map_err(|error| refused(&backend, address, error))
        })
        .await
    }
}

impl NetworkView {
    fn of(usage: &NetworkUsage) -> Self {
        Self {
            label: usage.label.as_str(),
            cidr: usage.cidr.to_string(),
            size: usage.size.to_string(),
            free: usage.free.to_string(),
        }
    }
}

impl AddressView {
    fn of(taken: TakenAddress) -> Self {
        let (label, cidr) = taken.network.unzip();
        let view = Self {
            address: taken.address,
            label: label.map(bulkhead_model::network::AllocationLabel::as_str),
            cidr: cidr.map(|cidr| cidr.to_string()),
            state: "resting",
            server: None,
            backend: None,
            project: None,
            purpose: None,
            until: None,
        };
        match taken.holder {
            Holder::Resting { until } => Self { until: Some(until.to_string()), ..view },
            Holder::Unmanaged { server, backend } => Self {
                state: "unmanaged",
                server: Some(server.to_string()),
                backend: Some(backend.to_string()),
                ..view
            },
            Holder::Server { server, backend, project, purpose } => Self {
                state: "in-use",
                server: Some(server.to_string()),
                backend: Some(backend.to_string()),
                project: Some(project.to_string()),
                purpose: purpose.of_driver().map(str::to_owned),
                ..view
            },
        }
    }
}

fn networks(inner: &Inner, backend: &BackendName) -> Result<Option<Arc<dyn NetworkProvider>>, ManagerError> {
    let found = inner.backends.get(backend).ok_or_else(|| ManagerError::not_found("backend", backend))?;
    let not_yet = || ManagerError::BackendUnreachable { backend: backend.clone(), waiting: 0 };
    Ok(found.serving().ok_or_else(not_yet)?.driver.networks())
}

/// Why `address` was not given back.
fn refused(backend: &BackendName, address: IpAddr, error: AllocationError) -> ManagerError {
    match error {
        AllocationError::InUse { address, server, .. } => in_use(
            (address, server),
            &format!(
                "its driver gives it back itself; once nothing answers there: 'bulkhead backend release-address {backend} {address} --in-use'"
            ),
        ),
        AllocationError::OfServer { address, server } => {
            in_use((address, server), "it goes back when that server is deleted")
        }
        AllocationError::Foreign { server } => {
            in_use((address, server), "that server is of another backend: name that one")
        }
        AllocationError::NotGiven { address, .. } => ManagerError::not_found("address", address),
        error => failed(error),
    }
}

/// Why addresses could not be read or written.
fn failed(error: AllocationError) -> ManagerError {
    match error {
        AllocationError::Contended => ManagerError::Contended,
        AllocationError::Store(error) => ManagerError::Store(error),
        AllocationError::Ledger(error) => ManagerError::Ledger(error),
        AllocationError::Corrupt { key, source } => ManagerError::CorruptRecord { key, source },
        error => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "addresses were not read or given back"
            );
            ManagerError::Interrupted
        }
    }
}

fn in_use((address, server): (IpAddr, ShareServerId), advice: &str) -> ManagerError {
    ManagerError::AddressInUse { address, server, advice: advice.to_owned() }
}
