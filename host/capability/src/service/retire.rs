//! Taking down what a backend keeps running, when its operator lets it go.

use super::allow_group;
use crate::backend::Backend;
use bulkhead_helper::protocol::{GroupKey, ServiceCall};
use bulkhead_model::error::CapabilityError;

impl Backend {
    /// End every group of the backend: services, namespaces, mounts, cgroup. For the host alone, once no call can start them again.
    ///
    /// Idempotent. All are tried; fails with the first that could not be ended.
    pub async fn end_groups(&self) -> Result<(), CapabilityError> {
        let mut outcome = Ok(());
        for template in &self.manifest().groups {
            // A group that was never granted was never started.
            let Ok(group) = allow_group(self, template.name.as_str()) else { continue };
            let ended = self.end_group(group.key).await;
            outcome = outcome.and(ended);
        }
        outcome
    }

    async fn end_group(&self, group: GroupKey) -> Result<(), CapabilityError> {
        self.runner().service(ServiceCall::StopGroup { group }).await?;
        Ok(())
    }
}
