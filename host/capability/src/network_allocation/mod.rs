//! Addresses for share servers, from the networks that the operator bound to the backend (contract 3.9, 4.4, 4.6).
//!
//! The manager allocates through a [`NetworkProvider`] before a server is set up and releases after its tear-down was confirmed; a driver
//! reaches the same provider through [`Addresses`] for what it needs beside that. [`Standalone`] is the provider without Neutron: it
//! takes addresses from a range. One that asks Neutron for ports fits behind the same trait.
//!
//! ```text
//!            allocate                 release              10 minutes
//!   free ---------------> kept -------------------> resting ---------> free
//!     \                  ^  |  \                                         ^
//!      \---- manage ----/   |   \-- let go --> in use by a server that   |
//!                           |                  nobody manages -----------/  give back
//! ```
//!
//! An address is one key of the store, made only if it is not there: whoever asks, through whichever network, label or backend, no address
//! is kept twice. Where we differ from Manila on purpose: addresses rest before they are given out again, those of a server that is no
//! longer managed stay out of use, and nothing that another server has, or that is reserved, can be taken over.

mod book;
mod by_hand;
mod error;
mod import;
mod memory;
mod rows;
mod runs;
mod standalone;

pub use book::AddressBook;
pub use by_hand::{GiveBack, Holder, TakenAddress};
pub use error::AllocationError;
pub use import::{Addresses, DriverRequest};
pub use standalone::Standalone;

use async_trait::async_trait;
use bulkhead_model::call::CallReason;
use bulkhead_model::id::{ProjectId, ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{
    AllocationLabel, NetworkAllocation, NetworkData, NetworkPlug, ShareNetworkSubnet,
};
use bulkhead_model::statistics::IpVersion;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

/// How long an address rests after it was released: whoever still holds a connection, a mount or an entry of a neighbour table for it has
/// lost it by then.
pub const REST: Duration = Duration::from_secs(600);
/// The most addresses of one request.
pub const MOST_AT_ONCE: usize = 64;
/// The most addresses that one share server has.
pub const MOST_OF_SERVER: usize = 256;
/// The longest purpose that a driver states, in bytes.
pub const PURPOSE_BYTES: usize = 255;

/// What addresses of a server are kept for: a repeat with the same purpose finds them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// What the host allocates before set-up, once for each label and subnet.
    Host,
    /// What a driver asked for, in its words.
    Driver(String),
}

impl Purpose {
    /// The driver's words; none for what the host allocated.
    #[must_use]
    pub fn of_driver(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Driver(words) => Some(words),
        }
    }
}

/// For which subnet of the share network addresses are.
#[derive(Debug, Clone, PartialEq)]
pub enum SubnetChoice {
    /// This one. The server has it from now on.
    Given(Box<ShareNetworkSubnet>),
    /// One of those that the server has.
    Known(ShareNetworkSubnetId),
    /// The first of those that the server has.
    First,
}

/// A request for addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct AddressRequest {
    /// The server they are for.
    pub server: ShareServerId,
    /// Whose server it is: the quota that counts. None: as the host said earlier, and whoever it never told of is foreign.
    pub project: Option<ProjectId>,
    /// From which network.
    pub label: AllocationLabel,
    /// Of which version; none takes IPv4 where there is a network of it.
    pub version: Option<IpVersion>,
    /// For which subnet; ignored for [`AllocationLabel::Admin`].
    pub subnet: SubnetChoice,
    /// How many, at most [`MOST_AT_ONCE`]. None are allocated for 0, but the server has the subnet.
    pub count: usize,
    /// What for.
    pub purpose: Purpose,
}

/// Addresses that a server has already, found where it was taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct TakeOver {
    /// The server.
    pub server: ShareServerId,
    /// Whose server it is.
    pub project: ProjectId,
    /// In which network they are looked for.
    pub label: AllocationLabel,
    /// Its subnet; ignored for [`AllocationLabel::Admin`].
    pub subnet: SubnetChoice,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

/// What to release of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Everything: the server is gone.
    Everything,
    /// What was allocated for this purpose.
    Purpose(Purpose),
    /// What the host allocated for this subnet: the server does not come to serve it.
    Subnet(ShareNetworkSubnetId),
}

/// An address that is kept for a server, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAddress {
    /// What for.
    pub purpose: Purpose,
    /// The address.
    #[serde(flatten)]
    pub allocation: NetworkAllocation,
}

/// How full a network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkUsage {
    /// For what it is bound.
    pub label: AllocationLabel,
    /// The network.
    pub cidr: IpNet,
    /// How many of its addresses may be given out at all.
    pub size: u128,
    /// How many are free now.
    pub free: u128,
}

/// Where the addresses of a backend's share servers come from.
///
/// All methods may be called from any task at any time. What is promised is durable on return, and happens whole or not at all, whoever
/// stops waiting. A repeat of every method is a success with the same answer.
#[async_trait]
pub trait NetworkProvider: Send + Sync + Debug {
    /// The versions that networks of `label` have; none if no network is bound for it. Manila's `enabled_ip_versions`.
    fn ip_versions(&self, label: AllocationLabel) -> BTreeSet<IpVersion>;

    /// What a subnet is told of the network that addresses for it come from, of this version if one is given. Changes nothing. Manila's
    /// `include_network_info`; its plugin also writes that on the subnet when it allocates, whether or not that succeeds: here whoever
    /// allocates writes it.
    ///
    /// Fails with [`AllocationError::NoNetwork`].
    async fn describe(
        &self,
        subnet: &ShareNetworkSubnet,
        version: Option<IpVersion>,
    ) -> Result<NetworkData, AllocationError>;

    /// Where an interface with this address is plugged in, for servers with a network of their own; none if the operator said nothing, or
    /// does not bind the address's network any more.
    fn plug(&self, allocation: &NetworkAllocation) -> Option<NetworkPlug>;

    /// Keep addresses for a server, the lowest that are free. Answers them in order of address. Manila's `allocate_network`.
    ///
    /// Fails with [`AllocationError::NoNetwork`], [`AllocationError::Exhausted`], [`AllocationError::Quota`],
    /// [`AllocationError::OtherCount`] if the purpose has another number of addresses, [`AllocationError::OtherVersion`] if it has those
    /// of the other version, [`AllocationError::Foreign`].
    async fn allocate(
        &self,
        request: &AddressRequest,
        reason: &CallReason,
    ) -> Result<Vec<NetworkAllocation>, AllocationError>;

    /// All addresses of a server, in order of address; none if it has none.
    ///
    /// Fails with [`AllocationError::Foreign`].
    async fn allocations(&self, server: ShareServerId) -> Result<Vec<KeptAddress>, AllocationError>;

    /// Give back addresses of a server. They rest for [`REST`] before anybody else gets them. Manila's `deallocate_network`.
    ///
    /// Fails with [`AllocationError::InGroup`] while a group of the server runs with one of them, [`AllocationError::Foreign`].
    async fn release(
        &self,
        server: ShareServerId,
        what: &Release,
        reason: &CallReason,
    ) -> Result<(), AllocationError>;

    /// Keep addresses that the server has already; answers those that no network of the label can give. Manila's
    /// `manage_network_allocations`. An address that rests, or that a server has which nobody manages, is taken over.
    ///
    /// Fails with [`AllocationError::KeptForAnother`], [`AllocationError::Quota`], [`AllocationError::Foreign`].
    async fn manage(&self, take_over: &TakeOver, reason: &CallReason)
    -> Result<Vec<IpAddr>, AllocationError>;

    /// Forget a server that stays at the backend: its addresses stay out of use until somebody manages it again or gives them back. Manila's
    /// `unmanage_network_allocations` frees them, and may give out what is in use.
    ///
    /// Fails with [`AllocationError::Foreign`].
    async fn let_go(&self, server: ShareServerId, reason: &CallReason) -> Result<(), AllocationError>;

    /// The addresses of this backend's servers that nobody manages any more, in order of address.
    async fn in_use_unmanaged(&self) -> Result<Vec<IpAddr>, AllocationError>;

    /// Addresses that are not free, in order: those of this backend's servers, and everybody's in its networks. At most `most` of those
    /// after `after`.
    async fn taken(&self, after: Option<IpAddr>, most: usize) -> Result<Vec<TakenAddress>, AllocationError>;

    /// Give back an address by hand: an operator says that nothing answers there any more. It rests first. Does nothing to one that is free
    /// or rests.
    ///
    /// Fails with [`AllocationError::InUse`] for one that a driver counts on, unless that is meant; with [`AllocationError::OfServer`] for
    /// one that the host allocated, which goes back with its server; with [`AllocationError::NotGiven`] for one that no network of the
    /// backend has, and [`AllocationError::Foreign`].
    async fn give_back(
        &self,
        address: IpAddr,
        what: GiveBack,
        reason: &CallReason,
    ) -> Result<(), AllocationError>;

    /// The servers of this backend that have addresses or subnets here.
    async fn servers(&self) -> Result<Vec<ShareServerId>, AllocationError>;

    /// How full the networks are.
    async fn usage(&self) -> Result<Vec<NetworkUsage>, AllocationError>;

    /// Release what servers have that are not there any more: after a crash between the end of a server and the release of its addresses.
    /// Answers those servers.
    ///
    /// `exists` is asked after the servers with addresses were listed: a server that is recorded before its addresses are allocated is
    /// never missed.
    async fn reconcile(
        &self,
        exists: &(dyn for<'a> Fn(&'a ShareServerId) -> bool + Sync),
        reason: &CallReason,
    ) -> Result<Vec<ShareServerId>, AllocationError> {
        let mut released = Vec::new();
        for server in self.servers().await? {
            if !exists(&server) {
                self.release(server, &Release::Everything, reason).await?;
                released.push(server);
            }
        }
        Ok(released)
    }
}
