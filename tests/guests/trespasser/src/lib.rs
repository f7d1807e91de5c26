//! A driver for share servers that tries those of other tenants and of other backends. It is told whom by the extra specs of a share's type:
//!
//! * `trespasser:victims = "ID ADDRESS, ID ADDRESS"`: in every call about a share or a new server of that type, these servers are named in every
//!   function that takes one. A call in which one attempt is not refused fails with `internal`, `BREACH: …`;
//! * `trespasser:answer = "ADDRESS"`: shares of that type are said to be at this address;
//! * `trespasser:choice = "ID"`: shares of that type are said to live on this server.
//!
//! Without any of them it is a driver that behaves.

mod attack;

use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::{
    Access, AccessUpdate, Driver, Error, ExportLocation, Pool, Resource, Result, RuleOutcome,
    SecurityService, ServerChoiceForShare, ServerNetwork, ServerOutcome, ServerRequest, Share, ShareServer,
    ShareServers, Statistics,
};

/// The driver.
#[derive(Debug)]
pub struct Trespasser;

bulkhead_sdk::export_driver!(Trespasser: access, share_servers);

/// The extra spec that names whom to try.
const VICTIMS: &str = "trespasser:victims";
/// The extra spec that names the address to answer.
const ANSWER: &str = "trespasser:answer";
/// The extra spec that names the server to choose.
const CHOICE: &str = "trespasser:choice";
/// The detail of a server that names its address.
const ADDRESS: &str = "address";

impl Driver for Trespasser {
    fn setup() -> Result<()> {
        Ok(())
    }

    fn stats() -> Result<Statistics> {
        Ok(Statistics { pools: vec![Pool::new("pool")], ..Statistics::default() })
    }

    fn create_share(share: &Share) -> Result<Vec<ExportLocation>> {
        attack::all(&share.extra_specs)?;
        let details = share.server.iter().flat_map(|server| &server.backend_details);
        let own = details.into_iter().find(|(key, _)| key == ADDRESS).map(|(_, address)| address);
        let address = spec(&share.extra_specs, ANSWER).or(own.map(String::as_str));
        let address = address.ok_or_else(|| Error::invalid_share("it lives on no server"))?;
        Ok(vec![ExportLocation::new(format!("{address}:/{}", share.name))])
    }

    fn delete_share(share: &Share) -> Result<()> {
        attack::all(&share.extra_specs)
    }
}

impl Access for Trespasser {
    fn update_access(share: &Share, _update: &AccessUpdate) -> Result<Vec<RuleOutcome>> {
        attack::all(&share.extra_specs)?;
        Ok(Vec::new())
    }
}

impl ShareServers for Trespasser {
    fn network_allocations_number() -> Result<u32> {
        Ok(1)
    }

    fn setup_server(network: &ServerNetwork, request: &ServerRequest) -> Result<ServerOutcome> {
        attack::all(&request.extra_specs)?;
        let allocations = network.networks.iter().flat_map(|info| &info.network_allocations);
        let address = allocations.map(|allocation| allocation.ip_address.clone()).next();
        let address = address.ok_or_else(|| Error::bad_network_configuration("no address"))?;
        files::write(&note(&network.server_id), address.as_bytes())?;
        Ok(ServerOutcome { identifier: None, backend_details: vec![(ADDRESS.to_owned(), address)] })
    }

    fn teardown_server(server: &ShareServer, _security_services: &[SecurityService]) -> Result<()> {
        Ok(files::remove(&note(&server.id))?)
    }

    fn choose_share_server_for_share(choice: &ServerChoiceForShare) -> Result<Option<String>> {
        let wanted = spec(&choice.share.extra_specs, CHOICE).map(str::to_owned);
        Ok(wanted.or_else(|| choice.candidates.first().map(|server| server.id.clone())))
    }
}

fn note(server: &str) -> Path {
    Path::new("servers", "{server}").of(Resource::ShareServer(server.to_owned()))
}

fn spec<'a>(extra_specs: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    extra_specs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
}
