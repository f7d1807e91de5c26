//! Share servers: an address or more in a tenant's network, where the shares of that tenant are.
//!
//! ```text
//! private data of a server                       private data of the backend
//!   interface/ADDRESS   an address it answers at   left-server/NAME    a server that nobody manages
//!   server              what it is                 taken/left-server/NAME   a server of an option that was taken over
//! ```
//!
//! As with shares, one value tells whether a server is there, its `server`: written last when it is made, removed last when it goes.

use crate::record::{Fields, Writer};
use crate::shelf::{self, Claim, Shelf};
use crate::{options, own_address};
use bulkhead_sdk::private_data::{self, Entry, Expected, Owner};
use bulkhead_sdk::{
    Error, NetworkAllocation, Resource, Result, ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork,
    ServerOutcome, ShareServer,
};
use std::net::IpAddr;

const KEY: &str = "server";
const INTERFACE: &str = "interface/";
/// The detail that names the address shares are reached at.
const ADDRESS: &str = "address";
/// The extra spec that asks for a server of one's own.
const OWN_SERVER: &str = "memory:own_server";

/// What a server is at the array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    /// Its addresses, the first of which shares are reached at; at least one.
    addresses: Vec<String>,
    /// The name it had at the array before it was managed; none if it was made through this driver.
    known_as: Option<String>,
    /// How many MiB a second its clients may move; none is as many as it can.
    bandwidth_mib: Option<u64>,
    /// The addresses in each further subnet that shares are reached at too: the first there.
    further_entrances: Vec<String>,
    /// The security services it uses, by id.
    services: Vec<String>,
}

impl Server {
    /// A server with these addresses and nothing else said.
    const fn at(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            known_as: None,
            bandwidth_mib: None,
            further_entrances: Vec::new(),
            services: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let known_as = self.known_as.as_ref();
        Writer::default()
            .with("addresses", self.addresses.join(","))
            .with_some("known-as", known_as)
            .with_some("bandwidth-mib", self.bandwidth_mib)
            .with_some("further-entrances", joined(&self.further_entrances))
            .with_some("services", joined(&self.services))
            .text()
    }

    fn parse(text: &str) -> Result<Self> {
        let fields = Fields::parse(text);
        let addresses: String = fields.get("addresses")?;
        Ok(Self {
            addresses: list(Some(addresses)),
            known_as: fields.find("known-as")?,
            bandwidth_mib: fields.find("bandwidth-mib")?,
            further_entrances: list(fields.find("further-entrances")?),
            services: list(fields.find("services")?),
        })
    }

    /// The addresses that shares are reached at: one in each subnet.
    fn entrances(self) -> Vec<String> {
        self.addresses.into_iter().take(1).chain(self.further_entrances).collect()
    }

    fn outcome(&self) -> ServerOutcome {
        let first = self.addresses.first().cloned().unwrap_or_default();
        ServerOutcome {
            identifier: self.known_as.clone(),
            backend_details: vec![(ADDRESS.to_owned(), first)],
        }
    }
}

fn owner(id: &str) -> Owner {
    Owner::Of(Resource::ShareServer(id.to_owned()))
}

fn find(id: &str) -> Result<Option<Server>> {
    private_data::get(&owner(id), KEY)?.map(|entry| Server::parse(&entry.value)).transpose()
}

fn joined(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(","))
}

fn list(joined: Option<String>) -> Vec<String> {
    joined.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

fn get(id: &str) -> Result<Server> {
    find(id)?.ok_or_else(|| {
        Error::invalid_share_server(format!(
            "share server {id} is not at the array; delete it, it serves nothing"
        ))
    })
}

/// The addresses that shares on a server are reached at, at least one. Fails with `invalid-share-server` if it is not at the array.
pub(crate) fn entrances(id: &str) -> Result<Vec<String>> {
    get(id).map(Server::entrances)
}

/// Let a server use the service `new` instead of `current`.
pub(crate) fn use_service(id: &str, new: &str, current: Option<&str>) -> Result<()> {
    let mut server = get(id)?;
    server.services.retain(|one| one != new && Some(one.as_str()) != current);
    server.services.push(new.to_owned());
    private_data::set(&owner(id), KEY, &server.text(), Expected::Anything)?;
    Ok(())
}

/// Let a server have all addresses of `network`, the first of each further subnet as an entrance.
pub(crate) fn spread(network: &ServerNetwork) -> Result<()> {
    let server = get(&network.server_id)?;
    let spread =
        Server { addresses: addresses_in(network), further_entrances: further_entrances(network), ..server };
    plug(&owner(&network.server_id), &spread.addresses)?;
    private_data::set(&owner(&network.server_id), KEY, &spread.text(), Expected::Anything)?;
    Ok(())
}

fn further_entrances(network: &ServerNetwork) -> Vec<String> {
    let firsts = network.networks.iter().skip(1).filter_map(|info| info.network_allocations.first());
    firsts.map(|allocation| allocation.ip_address.clone()).collect()
}

fn addresses_in(network: &ServerNetwork) -> Vec<String> {
    let of_tenant = network.networks.iter().flat_map(|info| &info.network_allocations);
    let all = of_tenant.chain(&network.admin_network_allocations);
    all.map(|allocation| allocation.ip_address.clone()).collect()
}

fn plug(owner: &Owner, addresses: &[String]) -> Result<()> {
    for address in addresses {
        private_data::set(owner, &format!("{INTERFACE}{address}"), "up", Expected::Anything)?;
    }
    Ok(())
}

/// Make a server, or find it as an earlier attempt made it.
pub(crate) fn set_up(network: &ServerNetwork) -> Result<ServerOutcome> {
    let addresses = addresses_in(network);
    if addresses.is_empty() {
        return Err(Error::bad_network_configuration(format!(
            "share server {} got no address; set option server_addresses to 1 or more",
            network.server_id
        )));
    }
    let of_subnets = network.networks.iter().flat_map(|info| info.subnet.metadata.clone());
    let bandwidth_mib = bandwidth(&of_subnets.collect::<Vec<_>>())?;
    let owner = owner(&network.server_id);
    let services = network.security_services.iter().map(|service| service.id.clone()).collect();
    let further_entrances = further_entrances(network);
    let wanted = Server { bandwidth_mib, services, further_entrances, ..Server::at(addresses) };
    plug(&owner, &wanted.addresses)?;
    let refused = options::refused_network()?;
    if refused.is_some_and(|cidr| network.networks.iter().any(|info| info.subnet.cidr == Some(cidr.clone())))
    {
        // The half-made server stays, as at an array: tearing it down is told what there is.
        let partial = vec![("interfaces".to_owned(), wanted.addresses.len().to_string())];
        return Err(Error::security_service_failed(format!(
            "the array refuses servers in the network that option refused_network names, such as {}",
            network.server_id
        ))
        .with_server_details(partial));
    }
    // Interfaces of an attempt that had other addresses.
    for entry in interfaces(&owner)? {
        if !wanted.addresses.iter().any(|address| entry.key == format!("{INTERFACE}{address}")) {
            private_data::remove(&owner, &entry.key)?;
        }
    }
    private_data::set(&owner, KEY, &wanted.text(), Expected::Anything)?;
    Ok(wanted.outcome())
}

fn interfaces(owner: &Owner) -> Result<Vec<Entry>> {
    let all = private_data::get_all(owner)?.into_iter();
    Ok(all.filter(|entry| entry.key.starts_with(INTERFACE)).collect())
}

/// The key of a subnet's metadata that says how fast its servers are.
const BANDWIDTH: &str = "bandwidth_mib";
/// The fastest the array's servers are, in MiB a second.
const FASTEST: u64 = 100_000;

/// Act on what the tenant set on the subnet of a server: `bandwidth_mib` bounds its clients.
///
/// Fails with `invalid-parameter` if it makes no sense, having changed nothing.
pub(crate) fn follow(id: &str, metadata: &[(String, String)]) -> Result<()> {
    let Some(bandwidth_mib) = bandwidth(metadata)? else { return Ok(()) };
    let faster = Server { bandwidth_mib: Some(bandwidth_mib), ..get(id)? };
    private_data::set(&owner(id), KEY, &faster.text(), Expected::Anything)?;
    Ok(())
}

fn bandwidth(metadata: &[(String, String)]) -> Result<Option<u64>> {
    let Some((_, value)) = metadata.iter().find(|(key, _)| key == BANDWIDTH) else { return Ok(None) };
    match value.parse() {
        Ok(mib) if (1..=FASTEST).contains(&mib) => Ok(Some(mib)),
        _ => Err(Error::invalid_parameter(format!("{BANDWIDTH} must be 1 to {FASTEST}, in MiB a second"))),
    }
}

/// Remove a server, or what there is of it.
pub(crate) fn tear_down(server: &ShareServer) -> Result<()> {
    let owner = owner(&server.id);
    for entry in interfaces(&owner)? {
        private_data::remove(&owner, &entry.key)?;
    }
    Ok(private_data::remove(&owner, KEY)?)
}

/// The server for a share: of its own if its type asks for that, else its group's, else the first.
pub(crate) fn choose_for_share(choice: &ServerChoiceForShare) -> Option<String> {
    let asks = |(key, value): &(String, String)| key == OWN_SERVER && own_address::is_true(value);
    if choice.share.extra_specs.iter().any(asks) {
        return None;
    }
    let candidates = choice.candidates.iter();
    let wanted = choice.share_group.as_ref().and_then(|group| group.server.as_ref());
    let is_wanted = |server: &&ShareServer| wanted.is_none_or(|wanted| wanted.id == server.id);
    candidates.into_iter().find(is_wanted).map(|server| server.id.clone())
}

/// The server for a group: the first.
pub(crate) fn choose_for_group(choice: &ServerChoiceForGroup) -> Option<String> {
    choice.candidates.first().map(|server| server.id.clone())
}

/// Look whether the array could use the addresses: each is one.
pub(crate) fn check_addresses(server: &ShareServer, allocations: &[NetworkAllocation]) -> Result<()> {
    match allocations.iter().find(|allocation| allocation.ip_address.parse::<IpAddr>().is_err()) {
        None => Ok(()),
        Some(odd) => Err(Error::bad_network_configuration(format!(
            "share server {} got '{}', which is no address",
            server.id, odd.ip_address
        ))),
    }
}

/// The addresses of a server that nobody manages.
pub(crate) fn addresses_of(server: &ShareServer, identifier: &str) -> Result<Vec<String>> {
    if let Some(known) = find(&server.id)? {
        return Ok(known.addresses);
    }
    Ok(unmanaged(identifier)?.addresses)
}

fn unmanaged(identifier: &str) -> Result<Server> {
    if let Some(text) = shelf::find_text(Shelf::Servers, identifier)? {
        return Server::parse(&text);
    }
    let declared = options::existing_servers()?.into_iter().find(|(name, _)| name == identifier);
    match declared {
        Some((_, address)) => {
            Ok(Server { known_as: Some(identifier.to_owned()), ..Server::at(vec![address]) })
        }
        None => Err(Error::invalid_share_server(format!(
            "the array has no server '{identifier}' that nobody manages; name one that was let go, or one of option \
             existing_servers"
        ))),
    }
}

/// Take over the server that the operator named.
pub(crate) fn take(server: &ShareServer, identifier: &str) -> Result<ServerOutcome> {
    if let Some(known) = find(&server.id)? {
        shelf::remove(Shelf::Servers, identifier)?;
        return Ok(known.outcome());
    }
    let found = Server { known_as: Some(identifier.to_owned()), ..unmanaged(identifier)? };
    let is_of_option = options::existing_servers()?.iter().any(|(name, _)| name == identifier);
    let lies = shelf::find_text(Shelf::Servers, identifier)?.is_some();
    if is_of_option && !lies && shelf::claim(Shelf::Servers, identifier, &server.id)? == Claim::SomebodyElses
    {
        return Err(Error::invalid_share_server(format!(
            "the server '{identifier}' of option existing_servers was taken over before"
        )));
    }
    let owner = owner(&server.id);
    plug(&owner, &found.addresses)?;
    private_data::set(&owner, KEY, &found.text(), Expected::Anything)?;
    shelf::remove(Shelf::Servers, identifier)?;
    Ok(found.outcome())
}

/// Let a server go: it lies on the shelf under its name. The host forgets its private data afterwards.
pub(crate) fn let_go(server: &ShareServer) -> Result<()> {
    let Some(found) = find(&server.id)? else { return Ok(()) };
    shelf::put_text(Shelf::Servers, &server.identifier, &found.text())
}
