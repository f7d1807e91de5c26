//! What is swept of share servers: set-up and tear-down.

use super::{Facts, Prepared, Sweep, Trial, sweep};
use crate::finding::{Found, told};
use crate::new_server::NewServer;
use crate::stage::Stage;
use async_trait::async_trait;
use bulkhead_model::ability::Ability;
use bulkhead_model::call::CallReason;
use bulkhead_model::error::CallError;
use bulkhead_model::share::ShareForDriver;
use bulkhead_model::share_server::ServerForDriver;

const SERVERS: &[Ability] = &[Ability::ShareServers];

/// Sweeps of these functions.
pub(super) const SWEEPS: &[Sweep] = &[
    sweep!(
        "set-up-server-converges",
        "share-servers.setup-server",
        [SERVERS],
        set_up,
        "After a crash or a failure it is called again for the same id, with what an earlier attempt returned in \
         `network.backend-details`: it must cope with a half-made server."
    ),
    sweep!(
        "tear-down-server-converges",
        "share-servers.teardown-server",
        [SERVERS],
        tear_down,
        "Idempotent: a server that is gone, or was made only in part, with empty or partial `backend-details`, is a success."
    ),
];

/// One call with what it is about.
enum Call {
    SetUp(Box<NewServer>),
    TearDown(ServerForDriver),
}

#[async_trait]
impl Trial for Call {
    async fn perform(&self, stage: &Stage, reason: &CallReason) -> Result<(), CallError> {
        let driver = stage.driver();
        match self {
            Self::SetUp(new) => driver.setup_server(reason, &new.network, &new.request).await.map(drop),
            Self::TearDown(server) => driver.teardown_server(reason, server, &[]).await,
        }
    }

    async fn look(&self, stage: &Stage) -> Found<Facts> {
        let mut facts = Facts::new();
        if let Self::SetUp(new) = self {
            // A server is made when it is there for a share.
            let share = match stage.set_up(new).await {
                Ok(server) => {
                    let share = ShareForDriver { server: Some(server), ..stage.new_share() };
                    stage.create(share).await.map_or_else(|found| format!("{found:?}"), |_| "yes".to_owned())
                }
                Err(error) => told(&error),
            };
            facts.insert("a share can be made on the server", share);
        }
        Ok(facts)
    }
}

async fn set_up(stage: &Stage) -> Prepared {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    stage.will_make(crate::stage::Made::Server(new.server.clone()));
    Ok(Box::new(Call::SetUp(Box::new(new))))
}

async fn tear_down(stage: &Stage) -> Prepared {
    stage.require_servers()?;
    Ok(Box::new(Call::TearDown(stage.server().await?)))
}
