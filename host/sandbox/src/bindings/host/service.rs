//! `service`.

use super::Answer;
use crate::bindings::convert::capability::{
    error_to_wit, exit_to_wit, named_from_wit, resource_from_wit, slots_from_wit,
};
use crate::bindings::v0_1::bulkhead::host::service::{
    Host, ServiceInstance as WitInstance, ServiceState as WitState, ServiceStatus as WitStatus,
};
use crate::bindings::v0_1::bulkhead::host::types::{Path as WitPath, Slot as WitSlot};
use crate::state::State;
use bulkhead_capability::service::{ServiceInstance, ServiceState, ServiceStatus};
use bulkhead_capability::slot::Path;
use bulkhead_model::error::CapabilityError;

fn instance_from_wit(instance: &WitInstance) -> Result<ServiceInstance, CapabilityError> {
    match instance {
        WitInstance::Backend => Ok(ServiceInstance::Backend),
        WitInstance::OfResource(resource) => resource_from_wit(resource).map(ServiceInstance::Of),
    }
}

fn source_from_wit(source: WitPath) -> Result<Path, CapabilityError> {
    let of = named_from_wit(source.of_resource.as_ref())?;
    Ok(Path { root: source.root, pattern: source.pattern, of })
}

impl State {
    async fn instance(
        &self,
        function: &'static str,
        name: &str,
        instance: &WitInstance,
    ) -> Answer<ServiceInstance> {
        match instance_from_wit(instance) {
            Ok(instance) => Ok(instance),
            Err(error) => self.refuse(function, name, error).await,
        }
    }
}

impl Host for State {
    async fn start(&mut self, name: String, instance: WitInstance, slots: Vec<WitSlot>) -> Answer<WitStatus> {
        let instance = self.instance("service.start", &name, &instance).await?;
        let slots = match slots_from_wit(slots) {
            Ok(slots) => slots,
            Err(error) => return self.refuse("service.start", &name, error).await,
        };
        let status = self.call.services().start(&name, &instance, &slots).await;
        status.map(status_to_wit).map_err(error_to_wit)
    }

    async fn status(&mut self, name: String, instance: WitInstance) -> Answer<WitStatus> {
        let instance = self.instance("service.status", &name, &instance).await?;
        let status = self.call.services().status(&name, &instance).await;
        status.map(status_to_wit).map_err(error_to_wit)
    }

    async fn stop(&mut self, name: String, instance: WitInstance) -> Answer<()> {
        let instance = self.instance("service.stop", &name, &instance).await?;
        self.call.services().stop(&name, &instance).await.map_err(error_to_wit)
    }

    async fn stop_group(&mut self, group: String, instance: WitInstance) -> Answer<()> {
        let instance = self.instance("service.stop-group", &group, &instance).await?;
        self.call.services().stop_group(&group, &instance).await.map_err(error_to_wit)
    }

    async fn bind(
        &mut self,
        group: String,
        instance: WitInstance,
        bind: String,
        source: WitPath,
    ) -> Answer<()> {
        let instance = self.instance("service.bind", &group, &instance).await?;
        let source = match source_from_wit(source) {
            Ok(source) => source,
            Err(error) => return self.refuse("service.bind", &group, error).await,
        };
        self.call.services().bind((&group, &bind), &instance, &source).await.map_err(error_to_wit)
    }

    async fn unbind(
        &mut self,
        group: String,
        instance: WitInstance,
        bind: String,
        source: WitPath,
    ) -> Answer<()> {
        let instance = self.instance("service.unbind", &group, &instance).await?;
        let source = match source_from_wit(source) {
            Ok(source) => source,
            Err(error) => return self.refuse("service.unbind", &group, error).await,
        };
        self.call.services().unbind((&group, &bind), &instance, &source).await.map_err(error_to_wit)
    }
}

fn status_to_wit(status: ServiceStatus) -> WitStatus {
    WitStatus {
        state: match status.state {
            ServiceState::Starting => WitState::Starting,
            ServiceState::Ready => WitState::Ready,
            ServiceState::Stopped => WitState::Stopped,
            ServiceState::Failed => WitState::Failed,
        },
        started_at_ms: status.started_at_ms,
        adopted: status.adopted,
        exit: status.exit.map(exit_to_wit),
    }
}
