//! `network-allocation`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, malformed_id};
use crate::bindings::convert::network::{allocations_to_wit, label_from_wit, version_from_wit};
use crate::bindings::v0_1::bulkhead::host::network_allocation::{AllocationRequest, Host, NetworkAllocation};
use crate::state::State;
use bulkhead_capability::network_allocation::DriverRequest;
use bulkhead_model::error::CapabilityError;
use bulkhead_model::id::ShareServerId;

impl Host for State {
    async fn allocate(&mut self, request: AllocationRequest) -> Answer<Vec<NetworkAllocation>> {
        let asked = match request_from_wit(&request) {
            Ok(asked) => asked,
            Err(error) => return self.refuse("network-allocation.allocate", &request.server, error).await,
        };
        let kept = self.call.addresses().allocate(asked).await.map_err(error_to_wit)?;
        Ok(allocations_to_wit(&kept))
    }

    async fn allocations(&mut self, server: String) -> Answer<Vec<NetworkAllocation>> {
        let id = match server_from_wit(&server) {
            Ok(id) => id,
            Err(error) => return self.refuse("network-allocation.allocations", &server, error).await,
        };
        let kept = self.call.addresses().allocations(id).await.map_err(error_to_wit)?;
        Ok(allocations_to_wit(&kept))
    }

    async fn release(&mut self, server: String, purpose: String) -> Answer<()> {
        let id = match server_from_wit(&server) {
            Ok(id) => id,
            Err(error) => return self.refuse("network-allocation.release", &server, error).await,
        };
        self.call.addresses().release(id, &purpose).await.map_err(error_to_wit)
    }
}

fn server_from_wit(server: &str) -> Result<ShareServerId, CapabilityError> {
    server.parse().map_err(|_| malformed_id(server))
}

fn request_from_wit(request: &AllocationRequest) -> Result<DriverRequest, CapabilityError> {
    let subnet = request.subnet_id.as_deref();
    Ok(DriverRequest {
        server: server_from_wit(&request.server)?,
        label: label_from_wit(request.label),
        version: request.version.map(version_from_wit),
        subnet: subnet.map(|id| id.parse().map_err(|_| malformed_id(id))).transpose()?,
        count: request.count,
        purpose: request.purpose.clone(),
    })
}
