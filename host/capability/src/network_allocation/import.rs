//! The `network-allocation` interface of one call. The right: the share servers of the call's target, and the networks bound to the backend.

use super::{AddressRequest, AllocationError, MOST_AT_ONCE, PURPOSE_BYTES, Purpose, Release, SubnetChoice};
use crate::call::Call;
use crate::record::Deed;
use bulkhead_model::ability::Capability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{ShareNetworkSubnetId, ShareServerId};
use bulkhead_model::network::{AllocationLabel, NetworkAllocation};
use bulkhead_model::statistics::IpVersion;
use bulkhead_model::text::is_harmless;

/// The `network-allocation` interface of one call.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'call> {
    call: &'call Call,
}

/// Which addresses a driver asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverRequest {
    /// For which server.
    pub server: ShareServerId,
    /// From which network.
    pub label: AllocationLabel,
    /// Of which version; none takes what the network has, IPv4 first.
    pub version: Option<IpVersion>,
    /// The subnet; none takes the server's first.
    pub subnet: Option<ShareNetworkSubnetId>,
    /// How many: 1 to 64.
    pub count: u32,
    /// What for, at most 255 bytes.
    pub purpose: String,
}

impl<'call> Addresses<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Keep addresses for a server of the call's target. Idempotent by purpose; durable on return.
    ///
    /// Fails with `denied` if the server is not of the target or no such network is bound, `conflict` if the purpose has another number,
    /// `no-space`, `limit-exceeded` at a quota, `invalid-argument`.
    pub async fn allocate(&self, request: DriverRequest) -> Result<Vec<NetworkAllocation>, CapabilityError> {
        let deed = deed("network-allocation.allocate", request.server, &request.purpose);
        let work = async {
            self.require(request.server)?;
            let asked = driver_request(request)?;
            let networks = self.call.backend().networks();
            let kept = networks.allocate(&asked, &self.reason()).await.map_err(|error| told(&error))?;
            let words: Vec<_> = kept.iter().map(|one| one.ip_address.to_string()).collect();
            Ok((kept, words.join(", ")))
        };
        self.call.recorded_with_detail(deed, work).await
    }

    /// All addresses of a server of the call's target, in order of address. Fails with `denied`.
    pub async fn allocations(
        &self,
        server: ShareServerId,
    ) -> Result<Vec<NetworkAllocation>, CapabilityError> {
        let work = async {
            self.require(server)?;
            let networks = self.call.backend().networks();
            let kept = networks.allocations(server).await.map_err(|error| told(&error))?;
            Ok(kept.into_iter().map(|kept| kept.allocation).collect())
        };
        self.call.recorded(deed("network-allocation.allocations", server, ""), work).await
    }

    /// Give back what was allocated for `purpose` to a server of the call's target; what the host allocated stays. Idempotent.
    ///
    /// Fails with `conflict` while a group of the server runs with one of the addresses, `denied`, `invalid-argument`.
    pub async fn release(&self, server: ShareServerId, purpose: &str) -> Result<(), CapabilityError> {
        let work = async {
            self.require(server)?;
            check_purpose(purpose)?;
            // No group is started with them between the look at what runs and their release.
            let shared = self.call.backend().shared();
            let _no_group_starts = shared.addresses_of(server, self.call.deadline()).await?;
            let what = Release::Purpose(Purpose::Driver(purpose.to_owned()));
            let networks = self.call.backend().networks();
            networks.release(server, &what, &self.reason()).await.map_err(|error| told(&error))
        };
        self.call.recorded(deed("network-allocation.release", server, purpose), work).await
    }

    fn require(&self, server: ShareServerId) -> Result<(), CapabilityError> {
        self.call.require(Capability::NetworkAllocation)?;
        self.call.check_time()?;
        if self.call.target().servers.contains(&server) {
            return Ok(());
        }
        let error = AllocationError::Foreign { server };
        Err(CapabilityError {
            message: format!("share server {server} is not what this call is about"),
            ..error.for_guest()
        })
    }

    fn reason(&self) -> CallReason {
        let origin = self.call.origin();
        CallReason {
            request: origin.request.clone(),
            operation: origin.operation,
            earlier_attempts: self.call.earlier_attempts(),
        }
    }
}

fn told(error: &AllocationError) -> CapabilityError {
    error.for_guest()
}

fn deed(function: &'static str, server: ShareServerId, purpose: &str) -> Deed {
    let separator = if purpose.is_empty() { "" } else { " " };
    Deed::new(function, format!("share-server/{server}{separator}{purpose}"))
}

fn driver_request(request: DriverRequest) -> Result<AddressRequest, CapabilityError> {
    check_purpose(&request.purpose)?;
    let count = usize::try_from(request.count).unwrap_or(usize::MAX);
    if !(1..=MOST_AT_ONCE).contains(&count) {
        return Err(invalid(format!("{count} addresses at once: ask for 1 to {MOST_AT_ONCE}")));
    }
    Ok(AddressRequest {
        server: request.server,
        project: None,
        label: request.label,
        version: request.version,
        subnet: request.subnet.map_or(SubnetChoice::First, SubnetChoice::Known),
        count,
        purpose: Purpose::Driver(request.purpose),
    })
}

fn check_purpose(purpose: &str) -> Result<(), CapabilityError> {
    if !purpose.is_empty() && purpose.len() <= PURPOSE_BYTES && purpose.chars().all(is_harmless) {
        return Ok(());
    }
    Err(invalid(format!("a purpose is 1 to {PURPOSE_BYTES} bytes without control characters")))
}

fn invalid(message: String) -> CapabilityError {
    CapabilityError::new(CapabilityCode::InvalidArgument, message)
}
