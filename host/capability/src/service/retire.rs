//! Taking down what a backend keeps running, when its operator lets it go.

use super::policy::{allow_template, instance_of};
use crate::backend::Backend;
use bulkhead_helper::protocol::{GroupKey, ServiceCall};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::manifest::GroupInstance;

impl Backend {
    /// End every group of the backend and of its share servers: services, namespaces, mounts, interfaces, cgroup. For the host alone, once
    /// no call can start them again.
    ///
    /// Idempotent. All are tried; fails with the first that could not be ended.
    pub async fn end_groups(&self) -> Result<(), CapabilityError> {
        let mut outcome = Ok(());
        for template in &self.manifest().groups {
            // A group that was never granted was never started.
            let Ok(template) = allow_template(self, template.name.as_str()) else { continue };
            let instances: Vec<Option<ShareServerId>> = match template.instance {
                GroupInstance::Backend => vec![None],
                // A server is known to the networks before it is set up, and until it was torn down.
                GroupInstance::ShareServer => match self.networks().servers().await {
                    Ok(servers) => servers.into_iter().map(Some).collect(),
                    Err(error) => {
                        outcome = outcome.and(Err(error.for_guest()));
                        continue;
                    }
                },
            };
            for server in instances {
                let ended = self.end_group(instance_of(self, template, server).key).await;
                outcome = outcome.and(ended);
            }
        }
        outcome
    }

    async fn end_group(&self, group: GroupKey) -> Result<(), CapabilityError> {
        self.runner().service(ServiceCall::StopGroup { group }).await?;
        Ok(())
    }
}
