//! One attempt at an operation on a share server: its gate, then the calls of its verb.

use super::{managing, service_update, setup, subnet_addition, subnet_metadata, teardown};
use crate::error::ManagerError;
use crate::manager::Inner;
use crate::runner::{Progress, Step, enter};
use bulkhead_model::operation::{Operation, Verb};
use std::sync::Arc;

/// Make an attempt. The operation's share is no share: what it is about follows from its verb.
pub(crate) async fn attempt(
    inner: &Arc<Inner>,
    operation: &Operation,
    progress: &mut Progress,
) -> Result<Step, ManagerError> {
    let gate = inner.gates.of(operation.share);
    let _passed = gate.change.lock().await;
    let Some((serving, _slot)) = enter(inner, &operation.backend).await? else { return Ok(Step::Again) };
    if inner.runners.is_draining() {
        return Ok(Step::Wait);
    }
    let Some(attempt) = inner.begin_attempt(operation.id, &serving, progress.freshness).await? else {
        return Ok(Step::Ended);
    };
    match attempt.operation.verb.clone() {
        Verb::SetUpShareServer { server } => setup::run(inner, &attempt, progress, server).await,
        Verb::TearDownShareServer { server } => teardown::run(inner, &attempt, progress, server).await,
        Verb::ManageShareServer { server, managed } => {
            managing::take_over(inner, &attempt, progress, (server, &managed)).await
        }
        Verb::UnmanageShareServer { server, .. } => managing::let_go(inner, &attempt, progress, server).await,
        Verb::UpdateSubnetMetadata { server, subnet, keys } => {
            subnet_metadata::run(inner, &attempt, progress, (server, subnet, &keys)).await
        }
        Verb::UpdateSecurityService { server, new, current } => {
            service_update::run(inner, &attempt, progress, (server, new, current)).await
        }
        Verb::AddServerSubnet { server, subnet } => {
            subnet_addition::run(inner, &attempt, progress, (server, subnet)).await
        }
        // Whoever calls this looks at the verb first.
        _ => Ok(Step::Ended),
    }
}
