//! A driver whose share servers are each managed at an address of their own, in the administrators' network: it names no address, the host
//! finds the server that each request is for.

use bulkhead_sdk::{
    Access, AccessUpdate, Driver, Error, ExportLocation, Pool, Result, RuleOutcome, SecurityService,
    ServerNetwork, ServerOutcome, ServerRequest, Share, ShareServer, ShareServers, Slots, Statistics, http,
};

/// The detail of a server that shares on it are mounted from.
const ADDRESS: &str = "address";

/// The driver.
#[derive(Debug)]
pub struct Filer;

bulkhead_sdk::export_driver!(Filer: access, share_servers);

/// A request that has to be answered with success.
fn send(request: &str, slots: Slots) -> Result<()> {
    let answer = http::send(request, slots)?;
    if answer.is_success() {
        return Ok(());
    }
    Err(Error::backend_failed(format!("the share server answers {request} with status {}", answer.status)))
}

fn of_volume(share: &Share) -> Slots {
    Slots::new().name_of("volume", share)
}

impl Driver for Filer {
    /// Asks nobody: there may be no server yet.
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics { pools: vec![Pool::new("pool")], ..Statistics::default() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        send("create-volume", of_volume(share))?;
        let details = share.server.iter().flat_map(|server| &server.backend_details);
        let address = details.filter(|(name, _)| name == ADDRESS).map(|(_, address)| address).next();
        let address =
            address.ok_or_else(|| Error::invalid_share_server("the share server has no address"))?;
        Ok(vec![ExportLocation::new(format!("{address}:/{}", share.name))])
    }

    fn delete_share(share: &Share) -> Result<()> {
        send("delete-volume", of_volume(share))
    }
}

impl Access for Filer {
    fn update_access(_: &Share, _: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        Ok(Vec::new())
    }
}

impl ShareServers for Filer {
    fn network_allocations_number() -> Result<u32> {
        Ok(1)
    }

    fn admin_network_allocations_number() -> Result<u32> {
        Ok(1)
    }

    fn setup_server(network: &ServerNetwork, _: &ServerRequest) -> Result<ServerOutcome> {
        send("look-at-server", Slots::new())?;
        let mut allocations = network.networks.iter().flat_map(|info| &info.network_allocations);
        let first = allocations.next().ok_or_else(|| Error::bad_network_configuration("no address"))?;
        let backend_details = vec![(ADDRESS.to_owned(), first.ip_address.clone())];
        Ok(ServerOutcome { backend_details, ..ServerOutcome::default() })
    }

    fn teardown_server(_: &ShareServer, _: &[SecurityService]) -> Result<()> {
        Ok(())
    }
}
