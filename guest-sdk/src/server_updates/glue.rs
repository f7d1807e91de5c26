//! Between the generated export trait of updates of share servers and a driver's own.

use super::ServerUpdates;
use super::record::{
    AllocationOutcome, AllocationUpdate, SecurityServiceUpdate, ShareRuleOutcomes, SubnetAddition,
};
use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::server_updates::exports::bulkhead::driver::server_updates;
use crate::glue::{Glue, run};

impl<D: ServerUpdates> server_updates::Guest for Glue<D> {
    fn check_security_service_update(
        update: server_updates::SecurityServiceUpdate,
    ) -> Result<bool, wit::Error> {
        run(|| D::check_security_service_update(&SecurityServiceUpdate::from_wit(update)))
    }

    fn update_security_service(
        update: server_updates::SecurityServiceUpdate,
    ) -> Result<Vec<server_updates::ShareRuleOutcomes>, wit::Error> {
        run(|| {
            D::update_security_service(&SecurityServiceUpdate::from_wit(update))
                .map(ShareRuleOutcomes::list_into_wit)
        })
    }

    fn check_network_allocations_update(
        addition: server_updates::SubnetAddition,
    ) -> Result<bool, wit::Error> {
        run(|| D::check_network_allocations_update(&SubnetAddition::from_wit(addition)))
    }

    fn update_network_allocations(
        update: server_updates::AllocationUpdate,
    ) -> Result<server_updates::AllocationOutcome, wit::Error> {
        run(|| {
            D::update_network_allocations(&AllocationUpdate::from_wit(update)?)
                .map(AllocationOutcome::into_wit)
        })
    }
}
