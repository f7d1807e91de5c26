//! Letting a share server in service use another security service (Manila: `update_share_server_security_service`).
//!
//! The driver is told of the server, of what is on it and of the rules in force. What became of rules is taken in share by share before the
//! operation ends, so that a crash in between only repeats the call, which answers the same.

use super::{carry, network_change};
use crate::access::{self, Reported};
use crate::error::ManagerError;
use crate::journal::{Attempt, End};
use crate::manager::Inner;
use crate::records::{Cause, Change, Tables};
use crate::runner::{Progress, Step, failed};
use bulkhead_model::error::CallError;
use bulkhead_model::id::{SecurityServiceId, ShareServerId};
use bulkhead_model::network::SecurityService;
use bulkhead_model::scope::Scope;
use bulkhead_model::server_update::{RulesOfShares, ServiceChange};
use bulkhead_model::share_server::ShareServerStatus;
use std::sync::Arc;

/// Which server gets which service, instead of which.
type Wanted = (ShareServerId, SecurityServiceId, Option<SecurityServiceId>);

/// One attempt.
pub(super) async fn run(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    (id, new, current): Wanted,
) -> Result<Step, ManagerError> {
    let change = match inner.read(|tables| change_of(tables, (id, new, current))) {
        Ok(change) => change,
        Err(error) => return failed(inner, attempt, progress, error).await,
    };
    match attempt.serving.driver.update_security_service(&attempt.reason(), &change).await {
        Ok(outcomes) => succeed(inner, attempt, &change, &outcomes).await,
        Err(error) => failed(inner, attempt, progress, error).await,
    }
}

/// What the driver is told: of the service it shall use as it is now, of the one it uses as it was told then.
pub(crate) fn change_of(tables: &Tables, (id, new, current): Wanted) -> Result<ServiceChange, CallError> {
    let server = carry::server(tables, id)?;
    let missing = |id| CallError::Host { reason: format!("security service {id} has no record") };
    let service = |id| tables.security_service(&Scope::Everything, id).map(|found| (*found.value).clone());
    let used = |id| server.security_services.iter().find(|one| one.id == id).cloned();
    let current_service = current.map(|id| used(id).or_else(|| service(id)).ok_or_else(|| missing(id)));
    Ok(ServiceChange {
        network: carry::network_of(tables, &server)?,
        shares: carry::shares_on(tables, id),
        rules: carry::rules_on(tables, id),
        new_service: service(new).ok_or_else(|| missing(new))?,
        current_service: current_service.transpose()?,
        server: server.for_driver(),
    })
}

async fn succeed(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    wanted: &ServiceChange,
    outcomes: &RulesOfShares,
) -> Result<Step, ManagerError> {
    for (instance, outcomes) in outcomes {
        let take_in = |tables: &Tables, cause: &Cause, change: &mut Change| {
            access::report(tables, *instance, outcomes, (cause, change))
        };
        while network_change::write(inner, attempt, take_in).await? == Some(Reported::InPart) {}
    }
    let replaced = wanted.current_service.as_ref().map(|service| service.id);
    inner
        .conclude(attempt, |tables, cause, change| {
            network_change::end(tables, wanted.server.id, (cause, change), |server| {
                server.status = ShareServerStatus::Active;
                use_service(&mut server.security_services, wanted.new_service.clone(), replaced);
            });
            End::well()
        })
        .await?;
    tracing::info!(share_server.id = %wanted.server.id, "the share server uses another security service");
    Ok(Step::Ended)
}

/// The new service stands where the replaced one stood, or last.
fn use_service(
    services: &mut Vec<SecurityService>,
    new: SecurityService,
    replaced: Option<SecurityServiceId>,
) {
    services.retain(|one| one.id != new.id);
    match services.iter_mut().find(|one| Some(one.id) == replaced) {
        Some(place) => *place = new,
        None => services.push(new),
    }
}
