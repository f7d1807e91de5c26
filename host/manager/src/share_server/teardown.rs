//! Tearing a server down: the driver removes it and says so, the host ends what it runs for it, then its addresses go back, then its record.

use super::{carry, setup};
use crate::error::ManagerError;
use crate::journal::{Attempt, End};
use crate::manager::Inner;
use crate::runner::{Progress, Step, failed};
use bulkhead_model::error::CallError;
use bulkhead_model::id::ShareServerId;
use bulkhead_model::share_server::ShareServer;
use bulkhead_model::target::CallTarget;
use bulkhead_sandbox::Release;
use std::sync::Arc;

/// One attempt at tearing a server down. Each step may be repeated: what is gone already is a success for all of them.
pub(super) async fn run(
    inner: &Arc<Inner>,
    attempt: &Attempt,
    progress: &mut Progress,
    id: ShareServerId,
) -> Result<Step, ManagerError> {
    let gone = match inner.read(|tables| carry::server(tables, id)) {
        Ok(server) => remove(attempt, &server).await,
        Err(error) => Err(error),
    };
    if let Err(error) = gone {
        return failed(inner, attempt, progress, error).await;
    }
    inner
        .conclude(attempt, |tables, cause, change| {
            change.remove_server(tables, id, cause);
            End::well()
        })
        .await?;
    tracing::info!(share_server.id = %id, "the share server is torn down");
    Ok(Step::Ended)
}

async fn remove(attempt: &Attempt, server: &ShareServer) -> Result<(), CallError> {
    let (driver, reason) = (&attempt.serving.driver, attempt.reason());
    let carried = server.for_driver();
    driver.teardown_server(&reason, &carried, &server.security_services).await?;
    let provider = setup::networks(attempt)?;
    let kept = provider.allocations(server.id).await.map_err(|error| setup::unallocated(&error))?;
    let kept: Vec<_> = kept.into_iter().map(|kept| kept.allocation).collect();
    if !kept.is_empty() {
        match driver.before_release(&reason, &carried, &kept).await {
            Err(error) if error.is_not_implemented() => {}
            answer => answer?,
        }
    }
    // Before its addresses, so that whoever gets one next meets nothing of this server: its driver's word is not enough.
    driver.end_server(&reason, server.id).await?;
    driver.let_go(&reason, CallTarget::server(server.id)).await?;
    let released = provider.release(server.id, &Release::Everything, &reason).await;
    released.map_err(|error| setup::unallocated(&error))
}
