//! Taking down what a backend keeps running, when its operator lets it go, and what runs of a share server that is torn down.

use super::policy::{allow_template, instance_of};
use super::standing;
use crate::backend::Backend;
use crate::call::Call;
use crate::record::Deed;
use crate::secret::Redactor;
use bulkhead_helper::protocol::{GroupKey, ServiceAnswer, ServiceCall};
use bulkhead_model::error::CapabilityError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::manifest::{GroupInstance, GroupTemplate};
use bulkhead_model::target::Resource;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How long a change of a group that was begun before may still take.
const LAST_CHANGE: Duration = Duration::from_secs(60);

/// Ask the place for a change of a group. Whoever calls this has the group to itself.
pub(super) async fn change(
    backend: &Backend,
    redactor: &Redactor,
    asked: ServiceCall,
) -> Result<ServiceAnswer, CapabilityError> {
    let ends = match &asked {
        ServiceCall::StopGroup { group } => Some(group.clone()),
        _ => None,
    };
    let answer = redactor.redact_service(backend.runner().service(asked).await?);
    if let Some(group) = ends {
        standing::end(backend.store(), &group).await?;
    }
    Ok(answer)
}

impl Backend {
    /// End every group of the backend and of its share servers: services, namespaces, mounts, interfaces, cgroup; also those that only an
    /// earlier generation declared. For the host alone, once no call can start them again.
    ///
    /// Idempotent. All are tried; fails with the first that could not be ended.
    pub async fn end_groups(&self) -> Result<(), CapabilityError> {
        let mut outcome = Ok(());
        let mut groups = BTreeSet::new();
        match standing::of_backend(self.store(), self.name()).await {
            Ok(standing) => groups.extend(standing),
            Err(error) => outcome = Err(error.into()),
        }
        for template in self.granted_groups(GroupInstance::Backend) {
            groups.insert(instance_of(self, template, None).key);
        }
        // A server is known to the networks before it is set up, and until it was torn down.
        match self.networks().servers().await {
            Ok(servers) => groups.extend(servers.into_iter().flat_map(|server| self.declared_of(server))),
            Err(error) => outcome = outcome.and(Err(error.for_guest())),
        }
        let until = Instant::now() + LAST_CHANGE;
        for group in groups {
            let ended = self.end_group(group, until).await;
            outcome = outcome.and(ended);
        }
        outcome
    }

    async fn end_group(&self, group: GroupKey, until: Instant) -> Result<(), CapabilityError> {
        let _alone = self.shared().group(&group, until).await?;
        change(self, self.redactor(), ServiceCall::StopGroup { group }).await.map(drop)
    }

    /// The groups that a server may have by the manifest. One that was never granted was never started.
    fn declared_of(&self, server: ShareServerId) -> impl Iterator<Item = GroupKey> {
        let templates = self.granted_groups(GroupInstance::ShareServer);
        templates.map(move |template| instance_of(self, template, Some(server)).key)
    }

    fn granted_groups(&self, instance: GroupInstance) -> impl Iterator<Item = &GroupTemplate> {
        let of_instance = self.manifest().groups.iter().filter(move |template| template.instance == instance);
        of_instance.filter_map(|template| allow_template(self, template.name.as_str()).ok())
    }
}

impl Call {
    /// End every job and group of the share server that the call is about, also those that only an earlier generation declared. For the
    /// host, once the driver has torn the server down, and before its addresses go back: whoever gets one next must not meet this server.
    ///
    /// Idempotent. All are tried; fails with the first that could not be ended. A call about anything else ends nothing.
    pub async fn end_server(&self) -> Result<(), CapabilityError> {
        let Some(subject @ Resource::ShareServer(server)) = self.target().subject() else { return Ok(()) };
        let work = async {
            let backend = self.backend();
            let mut groups: BTreeSet<GroupKey> = backend.declared_of(server).collect();
            groups.extend(standing::of_server(backend.store(), (backend.name(), server)).await?);
            let count = groups.len();
            // Jobs first: they may run inside a group.
            let mut outcome = self.jobs().end_all().await;
            for group in groups {
                if let Err(error) = backend.end_group(group, self.deadline()).await {
                    outcome = outcome.and(Err(error));
                }
            }
            outcome.map(|jobs| ((), format!("{count} groups of services and {jobs} jobs do not run")))
        };
        self.recorded_with_detail(Deed::new("host.end-server", subject.to_string()), work).await
    }
}
