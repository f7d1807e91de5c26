//! Share servers: counts, set-up and tear-down, choices, pools and hooks.

use super::{require_nothing_new, require_unchanged};
use crate::check::{Check, check};
use crate::finding::{Found, Judge as _, require};
use crate::stage::Stage;
use bulkhead_model::ability::Ability;
use bulkhead_model::share_server::{
    ServerChoice, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver,
};

const SERVERS: [Ability; 1] = [Ability::ShareServers];
const GROUPS: [Ability; 1] = [Ability::ShareGroups];

/// What is checked of share servers.
pub(crate) const CHECKS: &[Check] = &[
    check!(
        "server-counts-read-only",
        "share-servers.network-allocations-number",
        [SERVERS],
        counts_read_only,
        "Reads only. 0 where something else does the networking. At most 64."
    ),
    check!(
        "set-up-server",
        "share-servers.setup-server",
        [SERVERS],
        set_up,
        "On success the server is `active`."
    ),
    check!(
        "set-up-server-again",
        "share-servers.setup-server",
        [SERVERS],
        set_up_again,
        "Idempotent: a server that is there with these addresses is a success with the same answer."
    ),
    check!(
        "tear-down-server-leaves-nothing",
        "share-servers.teardown-server",
        [SERVERS],
        tear_down_leaves_nothing,
        "Remove `server` and everything made for it."
    ),
    check!(
        "tear-down-server-gone",
        "share-servers.teardown-server",
        [SERVERS],
        tear_down_gone,
        "Idempotent: a server that is gone, or was made only in part, with empty or partial `backend-details`, is a success."
    ),
    check!(
        "server-for-share",
        "share-servers.choose-share-server-for-share",
        [SERVERS],
        for_share,
        "The server the share shall live on, one of `choice.candidates`; none makes a new one."
    ),
    check!(
        "server-for-share-read-only",
        "share-servers.choose-share-server-for-share",
        [SERVERS],
        for_share_read_only,
        "Reads only. `not-implemented`: the host takes the group's server for a share of a group, else the first candidate."
    ),
    check!(
        "server-for-group",
        "share-servers.choose-share-server-for-group",
        [SERVERS, GROUPS],
        for_group,
        "The server the group shall live on, one of `choice.candidates`; none makes a new one."
    ),
    check!(
        "server-for-group-read-only",
        "share-servers.choose-share-server-for-group",
        [SERVERS, GROUPS],
        for_group_read_only,
        "Reads only. `not-implemented`: the host takes the first candidate."
    ),
    check!(
        "server-pools-read-only",
        "share-servers.share-server-pools",
        [SERVERS],
        pools_read_only,
        "Reads only, within 30 s; called with every `stats`. `not-implemented`: as empty."
    ),
    check!(
        "server-after-allocation-again",
        "share-servers.after-allocation",
        [SERVERS],
        after_allocation_again,
        "Idempotent: comes again with every attempt at setting the server up, with the same addresses unless the driver counts otherwise by \
         then."
    ),
    check!(
        "server-before-release-again",
        "share-servers.before-release",
        [SERVERS],
        before_release_again,
        "Idempotent: may come again with some of them. `not-implemented`: nothing to do."
    ),
];

async fn counts_read_only(stage: &Stage) -> Found {
    stage.require_servers()?;
    let before = stage.holdings().await?;
    let (driver, reason) = (stage.driver(), stage.reason());
    driver.network_allocations_number(&reason).await.judge("network-allocations-number")?;
    driver.admin_network_allocations_number(&reason).await.judge("admin-network-allocations-number")?;
    require_unchanged(&before, &stage.holdings().await?, "counting addresses")
}

async fn set_up(stage: &Stage) -> Found {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    stage.set_up(&new).await.judge("setup-server").map(drop)
}

async fn set_up_again(stage: &Stage) -> Found {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    let first = stage.set_up(&new).await.prepare("setup-server")?;
    let mut network = new.network.clone();
    network.backend_details.clone_from(&first.backend_details);
    let second = stage.driver().setup_server(&stage.reason(), &network, &new.request).await;
    let second = new.made(second.judge("a second setup-server")?);
    require(first == second, || format!("the second answer was {second:?}, the first {first:?}"))
}

async fn tear_down_leaves_nothing(stage: &Stage) -> Found {
    stage.require_servers()?;
    let before = stage.holdings().await?;
    let server = stage.server().await?;
    stage.tear_down(&server).await.judge("teardown-server")?;
    require_nothing_new(&before, &stage.holdings().await?, "teardown-server")
}

async fn tear_down_gone(stage: &Stage) -> Found {
    stage.require_servers()?;
    let server = stage.server().await?;
    stage.tear_down(&server).await.prepare("teardown-server")?;
    let driver = stage.driver();
    driver.teardown_server(&stage.reason(), &server, &[]).await.judge("a second teardown-server")?;
    let never_made = stage.new_server().await?.server;
    stage.tear_down(&never_made).await.judge("teardown-server of a server that was never made")
}

/// Two servers that there are, and a share that needs one.
async fn choice(stage: &Stage) -> Found<ServerChoiceForShare> {
    stage.require_servers()?;
    let candidates = vec![stage.server().await?, stage.server().await?];
    let share = bulkhead_model::share::ShareForDriver { server: None, ..stage.new_share() };
    Ok(ServerChoiceForShare { candidates, share, source: None, group: None })
}

/// Two servers that there are, and a group that needs one.
async fn choice_of_group(stage: &Stage) -> Found<ServerChoiceForGroup> {
    stage.require_servers()?;
    let candidates = vec![stage.server().await?, stage.server().await?];
    let group = bulkhead_model::share_group::ShareGroupForDriver { server: None, ..stage.new_group() };
    Ok(ServerChoiceForGroup { candidates, group, source: None })
}

fn require_candidate(candidates: &[ServerForDriver], chosen: &ServerChoice) -> Found {
    let is_candidate = match chosen {
        ServerChoice::New => true,
        ServerChoice::Existing(id) => candidates.iter().any(|one| one.id == *id),
    };
    require(is_candidate, || "the server that was chosen is no candidate".to_owned())
}

async fn for_share(stage: &Stage) -> Found {
    let choice = choice(stage).await?;
    let chosen = stage.driver().choose_server_for_share(&stage.reason(), &choice).await;
    require_candidate(&choice.candidates, &chosen.judge("choose-share-server-for-share")?)
}

async fn for_share_read_only(stage: &Stage) -> Found {
    let choice = choice(stage).await?;
    let before = stage.holdings().await?;
    let chosen = stage.driver().choose_server_for_share(&stage.reason(), &choice).await;
    chosen.prepare("choose-share-server-for-share")?;
    require_unchanged(&before, &stage.holdings().await?, "choose-share-server-for-share")
}

async fn for_group(stage: &Stage) -> Found {
    let choice = choice_of_group(stage).await?;
    let chosen = stage.driver().choose_server_for_group(&stage.reason(), &choice).await;
    require_candidate(&choice.candidates, &chosen.judge("choose-share-server-for-group")?)
}

async fn for_group_read_only(stage: &Stage) -> Found {
    let choice = choice_of_group(stage).await?;
    let before = stage.holdings().await?;
    let chosen = stage.driver().choose_server_for_group(&stage.reason(), &choice).await;
    chosen.prepare("choose-share-server-for-group")?;
    require_unchanged(&before, &stage.holdings().await?, "choose-share-server-for-group")
}

async fn pools_read_only(stage: &Stage) -> Found {
    stage.require_servers()?;
    let server = stage.server().await?;
    let before = stage.holdings().await?;
    stage.driver().share_server_pools(&stage.reason(), &server).await.judge("share-server-pools")?;
    require_unchanged(&before, &stage.holdings().await?, "share-server-pools")
}

async fn after_allocation_again(stage: &Stage) -> Found {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    stage.will_make(crate::stage::Made::Server(new.server.clone()));
    let (driver, addresses) = (stage.driver(), new.allocations());
    let first = driver.after_allocation(&stage.reason(), &new.server, &addresses).await;
    first.prepare("after-allocation")?;
    let second = driver.after_allocation(&stage.reason(), &new.server, &addresses).await;
    second.judge("a second after-allocation")
}

async fn before_release_again(stage: &Stage) -> Found {
    stage.require_servers()?;
    let new = stage.new_server().await?;
    let server = stage.set_up(&new).await.prepare("setup-server")?;
    let (driver, addresses) = (stage.driver(), new.allocations());
    driver.teardown_server(&stage.reason(), &server, &[]).await.prepare("teardown-server")?;
    let first = driver.before_release(&stage.reason(), &server, &addresses).await;
    first.prepare("before-release")?;
    let some = addresses.get(..1).unwrap_or_default();
    let second = driver.before_release(&stage.reason(), &server, some).await;
    second.judge("a second before-release")
}
