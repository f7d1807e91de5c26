//! Long-running processes: the guest names a declared service and fills its slots; the helper's keeper starts and looks after it.
//!
//! The right: a group and services that the manifest declares and the grant pins by their hashes, programs that the grant binds, paths of
//! the call's target in granted roots; for a bind a source that the bind declares and a record says is the resource's own. `policy` and
//! `bind` decide; a [`CommandRunner`](crate::execute::CommandRunner) does.
//!
//! A group is the backend's, or there is one of each share server: a call reaches those of the servers that it is about, and shows them
//! only what lives there. A group with a network of its own gets the addresses that the host keeps for its server (`network`).
//!
//! Services belong to the backend: nothing of them ends with a call, and how they are is remembered nowhere here. Every question goes to the
//! place, so that a helper that was lost, or one that adopted them, changes nothing. What changes a group is done one after the other, to
//! its end even if the call is dropped. A failure is the place's refusal, with the exit of a service that ended.
//!
//! That a group was started is recorded (`standing`), so that the host takes down (`retire`) what no manifest names any more.

mod bind;
mod network;
mod policy;
mod retire;
pub(crate) mod standing;

pub(crate) use policy::{allow_group, allow_instance, as_text, undeclared};

use crate::call::Call;
use crate::execute::RunError;
use crate::execute::outcome::clean;
use crate::record::Deed;
use crate::slot::{Path, Slot};
use bulkhead_helper::protocol::{
    GroupKey, ServiceAnswer, ServiceCall, ServiceExit, ServiceState as PlaceState,
    ServiceStatus as PlaceStatus, StartServices,
};
use bulkhead_model::ability::Capability;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError, CommandExit};
use bulkhead_model::manifest::ServiceTemplate;
use bulkhead_model::target::Resource;
use bulkhead_model::text::GuestText;
use policy::AllowedGroup;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// The longest name in a ledger's record, in bytes.
const SHOWN: usize = 128;

/// Which of a group's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceInstance {
    /// The only one of the backend.
    Backend,
    /// The one of a resource of the call's target.
    Of(Resource),
}

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ServiceState {
    /// Started, not ready yet.
    Starting,
    /// Running and ready.
    Ready,
    /// Not running, as it should be.
    Stopped,
    /// It ended by itself.
    Failed,
}

/// Facts about a service.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServiceStatus {
    /// How it is.
    pub state: ServiceState,
    /// When it was started, in milliseconds since 1970-01-01 UTC; none if it does not run.
    pub started_at_ms: Option<u64>,
    /// Whether it was running before the helper that answers.
    pub adopted: bool,
    /// How it ended; with [`ServiceState::Failed`].
    pub exit: Option<CommandExit>,
}

/// The `service` interface of one call. Every method fails with `denied` where capability, group, service, program, root or slot is not
/// allowed, `invalid-argument` for what the manifest does not declare, and `unavailable` if the place cannot be reached.
#[derive(Debug, Clone, Copy)]
pub struct Services<'call> {
    call: &'call Call,
}

impl<'call> Services<'call> {
    pub(crate) const fn new(call: &'call Call) -> Self {
        Self { call }
    }

    /// Start the service `name` with what it comes after, and wait until it is ready. Idempotent.
    ///
    /// Fails with `conflict` if it runs with other slots, `command-failed` if it ended before it was ready, `timed-out`.
    pub async fn start(
        &self,
        name: &str,
        instance: &ServiceInstance,
        slots: &[Slot],
    ) -> Result<ServiceStatus, CapabilityError> {
        let call = self.call;
        let deed = deed("service.start", name);
        let allowed = policy::allow(call, name, instance);
        let request = match &allowed {
            Ok((group, service)) => self.prepare((group, service), slots).await,
            Err(error) => Err(error.clone()),
        };
        if let Ok(prepared) = &request {
            call.record(&deed, EffectOutcome::Begun, &prepared.detail).await?;
        }
        let work = async {
            let (group, service) = allowed?;
            let Prepared { request, detail, alone } = request?;
            match self.change_alone(&group.key, ServiceCall::Start(request), alone).await {
                Ok(answer) => Ok((status_of(answer)?, detail)),
                Err(error) if error.code == CapabilityCode::CommandFailed => {
                    let exit = Some(self.exit(&group.key, service).await);
                    Err(CapabilityError { exit, ..error })
                }
                Err(error) => Err(error),
            }
        };
        call.recorded_with_detail(deed, work).await
    }

    /// How the service `name` is.
    pub async fn status(
        &self,
        name: &str,
        instance: &ServiceInstance,
    ) -> Result<ServiceStatus, CapabilityError> {
        let work = async {
            let (group, service) = policy::allow(self.call, name, instance)?;
            let status = ServiceCall::Status { group: group.key.clone(), service: service.name.clone() };
            status_of(self.ask(&group.key, status).await?)
        };
        self.call.recorded(deed("service.status", name), work).await
    }

    /// Stop the service `name`, after those that come after it. Idempotent. Fails with `timed-out` if something cannot be ended.
    pub async fn stop(&self, name: &str, instance: &ServiceInstance) -> Result<(), CapabilityError> {
        let deed = deed("service.stop", name);
        let begun = deed.clone();
        let work = async {
            let (group, service) = policy::allow(self.call, name, instance)?;
            self.call.record(&begun, EffectOutcome::Begun, "").await?;
            let stop = ServiceCall::Stop { group: group.key.clone(), service: service.name.clone() };
            self.change(&group.key, stop).await.map(drop)
        };
        self.call.recorded(deed, work).await
    }

    /// Stop all services of the group `name` and take it down. Idempotent. Fails with `timed-out` if something cannot be ended.
    pub async fn stop_group(&self, name: &str, instance: &ServiceInstance) -> Result<(), CapabilityError> {
        let deed = deed("service.stop-group", name);
        let begun = deed.clone();
        let work = async {
            self.call.require(Capability::Service)?;
            let group = policy::allow_instance(self.call, name, instance)?;
            self.call.record(&begun, EffectOutcome::Begun, "").await?;
            let stop = ServiceCall::StopGroup { group: group.key.clone() };
            self.change(&group.key, stop).await.map(drop)
        };
        self.call.recorded(deed, work).await
    }

    /// Show `source` to the group `group` at the place that its bind `bind` derives. Idempotent.
    ///
    /// Fails with `not-found` if the source is not there or the group does not run, `not-owned` unless the source is recorded as owned by
    /// the resource that its names say, `conflict` if another directory is shown there.
    pub async fn bind(
        &self,
        (group, bind): (&str, &str),
        instance: &ServiceInstance,
        source: &Path,
    ) -> Result<(), CapabilityError> {
        let work = async {
            self.call.require(Capability::Service)?;
            let group = policy::allow_instance(self.call, group, instance)?;
            let shown = bind::resolve(self.call, (&group, bind), source)?;
            bind::require_own(self.call, &shown.at).await?;
            let detail = format!("{} at {}", shown.at.subject(), shown.request.at);
            self.change(&group.key, ServiceCall::Bind(shown.request)).await?;
            Ok(((), detail))
        };
        self.call.recorded_with_detail(deed_of_bind("service.bind", group, bind), work).await
    }

    /// Take it away again. Idempotent: succeeds if it is not shown, the source is gone or the group does not run.
    pub async fn unbind(
        &self,
        (group, bind): (&str, &str),
        instance: &ServiceInstance,
        source: &Path,
    ) -> Result<(), CapabilityError> {
        let work = async {
            self.call.require(Capability::Service)?;
            let group = policy::allow_instance(self.call, group, instance)?;
            let shown = bind::resolve(self.call, (&group, bind), source)?;
            let detail = format!("{} at {}", shown.at.subject(), shown.request.at);
            self.change(&group.key, ServiceCall::Unbind(shown.request)).await?;
            Ok(((), detail))
        };
        self.call.recorded_with_detail(deed_of_bind("service.unbind", group, bind), work).await
    }

    /// What starts `service`: its group is this call's from now on, and recorded as one that runs.
    async fn prepare(
        &self,
        (group, service): (&AllowedGroup<'_>, &ServiceTemplate),
        slots: &[Slot],
    ) -> Result<Prepared, CapabilityError> {
        let call = self.call;
        let (mut request, mut detail) = policy::start_request(call, (group, service), slots).await?;
        let alone = self.alone(&group.key).await?;
        // No address of the server goes back between the look at them and the record that the group has them.
        let _addresses_stay = match group.server {
            Some(server) => Some(call.backend().shared().addresses_of(server, call.deadline()).await?),
            None => None,
        };
        request.interfaces = network::interfaces(call, group).await?;
        for interface in &request.interfaces {
            detail = format!("{detail}; {}", network::described(interface));
        }
        standing::begin(call.backend().store(), &group.key, &request.interfaces).await?;
        Ok(Prepared { request, detail, alone })
    }

    /// How the service ended, or the first of those it comes after that did, where the place still knows.
    async fn exit(&self, group: &GroupKey, service: &ServiceTemplate) -> CommandExit {
        let order = policy::start_order(self.call.backend(), service).unwrap_or_default();
        for service in order {
            let status = ServiceCall::Status { group: group.clone(), service: service.name.clone() };
            if let Ok(ServiceAnswer::Status(PlaceStatus { exit: Some(exit), .. })) =
                self.ask(group, status).await
            {
                return exit_of(exit);
            }
        }
        CommandExit { exit_code: None, signal: None, stdout: Vec::new(), stderr: String::new() }
    }

    async fn ask(&self, group: &GroupKey, asked: ServiceCall) -> Result<ServiceAnswer, CapabilityError> {
        self.call.check_time()?;
        let answer = self.call.backend().runner().service(asked).await?;
        let (redactor, _held) = self.call.secrets().redactor_of_server(group.instance.as_deref());
        Ok(redactor.redact_service(answer))
    }

    /// Wait until nobody else changes this group.
    async fn alone(&self, group: &GroupKey) -> Result<OwnedMutexGuard<()>, CapabilityError> {
        self.call.backend().shared().group(group, self.call.deadline()).await
    }

    /// Ask for a change of one group: none other is asked for meanwhile, and this one is seen to its end.
    async fn change(&self, group: &GroupKey, asked: ServiceCall) -> Result<ServiceAnswer, CapabilityError> {
        self.call.check_time()?;
        let alone = self.alone(group).await?;
        self.change_alone(group, asked, alone).await
    }

    async fn change_alone(
        &self,
        group: &GroupKey,
        asked: ServiceCall,
        alone: OwnedMutexGuard<()>,
    ) -> Result<ServiceAnswer, CapabilityError> {
        self.call.check_time()?;
        let backend = Arc::clone(self.call.backend());
        let (redactor, held) = self.call.secrets().redactor_of_server(group.instance.as_deref());
        let done = tokio::spawn(async move {
            let answer = retire::change(&backend, &redactor, asked).await;
            drop((alone, held));
            answer
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a call about services ended abruptly");
            Err(RunError::OutcomeUnknown { reason: "the host failed inside".to_owned() }.into())
        })
    }
}

/// A start that may be asked for.
struct Prepared {
    request: StartServices,
    detail: String,
    alone: OwnedMutexGuard<()>,
}

fn deed(function: &'static str, name: &str) -> Deed {
    Deed::new(function, GuestText::new(name, SHOWN).as_str())
}

fn deed_of_bind(function: &'static str, group: &str, bind: &str) -> Deed {
    Deed::new(function, format!("{}: {}", GuestText::new(group, SHOWN), GuestText::new(bind, SHOWN)))
}

fn status_of(answer: ServiceAnswer) -> Result<ServiceStatus, CapabilityError> {
    match answer {
        ServiceAnswer::Status(status) => Ok(status.into()),
        ServiceAnswer::Done => Err(CapabilityError::new(
            CapabilityCode::OutcomeUnknown,
            "the helper told nothing about the service",
        )),
    }
}

fn exit_of(exit: ServiceExit) -> CommandExit {
    CommandExit { exit_code: exit.code, signal: exit.signal, stdout: Vec::new(), stderr: clean(&exit.stderr) }
}

impl From<PlaceStatus> for ServiceStatus {
    fn from(status: PlaceStatus) -> Self {
        Self {
            state: match status.state {
                PlaceState::Starting => ServiceState::Starting,
                PlaceState::Ready => ServiceState::Ready,
                PlaceState::Stopped => ServiceState::Stopped,
                PlaceState::Failed => ServiceState::Failed,
            },
            started_at_ms: status.started_at_ms,
            adopted: status.adopted,
            exit: status.exit.map(exit_of),
        }
    }
}
