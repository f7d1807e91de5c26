//! Endpoints as they are bound: which addresses, how they are known, what is shown to them. Read when a generation is loaded.

use super::share_server::ServerEndpoint;
use super::tls;
use bulkhead_model::grant::{EndpointGrant, EndpointScheme, Verification};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::network::{AllocationLabel, NetworkGrants};
use hyper::Uri;
use ipnet::IpNet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

/// The most controllers of an endpoint.
pub(super) const MOST_CONTROLLERS: usize = 16;
/// The longest name of a host.
const LONGEST_NAME: usize = 253;

/// Why an endpoint cannot be bound as the grant says.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// None, or too many.
    #[error(
        "it has {0} controllers; name 1 to {MOST_CONTROLLERS}, as in controllers = [\"https://10.0.0.5\"]"
    )]
    Controllers(usize),
    /// Controllers, or networks that their names lead to, beside share servers.
    #[error(
        "it is at the addresses of each share server, so it has no controllers, and no names that addresses narrows; take them or \
         share-server out"
    )]
    Both,
    /// Share servers without TLS that is given up in as many words.
    #[error("share-server.scheme = \"http\" protects nothing; use https, or say verify = \"off\"")]
    Unprotected,
    /// The driver makes no share servers.
    #[error(
        "the driver makes no share servers that it could be at; name its controllers instead of share-server"
    )]
    NoShareServers,
    /// No network gives share servers such an address.
    #[error(
        "no share server has an address of network '{0}': bind one as [[grant.networks.{0}]], or name the other in share-server.network"
    )]
    NoNetwork(AllocationLabel),
    /// A controller that is no address.
    #[error("'{text}' is no controller: {reason}")]
    Controller {
        /// What the grant says.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A TLS controller that nothing is known of.
    #[error(
        "nothing says how its certificate is known; set ca = \"/absolute/file.pem\" or fingerprints = [\"sha256:…\"]"
    )]
    Unverified,
    /// Both.
    #[error("verify = \"off\" and ca or fingerprints contradict each other; take one of them out")]
    Contradiction,
    /// A key without a certificate, or the other way round.
    #[error("client-certificate and client-key come together; name both files")]
    HalfClient,
    /// A file that cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS itself.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where a controller listens, as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name, looked up at every connection.
    Name(String),
}

/// One controller of an endpoint.
#[derive(Clone)]
pub struct Controller {
    url: String,
    host: Host,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    addresses: Arc<[IpNet]>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Controller").field(&self.url).finish()
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url)
    }
}

impl Controller {
    /// What listens at `address`, known by `config` if it speaks TLS.
    pub(super) fn at(address: IpAddr, port: u16, config: Option<&Arc<ClientConfig>>) -> Self {
        let scheme = if config.is_some() { EndpointScheme::Https } else { EndpointScheme::Http };
        let name = ServerName::IpAddress(address.into());
        let mut controller = Self {
            url: String::new(),
            host: Host::Address(address),
            port,
            tls: config.map(|config| (Arc::clone(config), name)),
            addresses: Arc::default(),
        };
        controller.url = format!("{}://{}", scheme.as_str(), controller.authority());
        controller
    }

    /// As the operator wrote it, or would have.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// At which port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the header `host` says: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let scheme = if self.tls.is_some() { EndpointScheme::Https } else { EndpointScheme::Http };
        if self.port == scheme.port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether it is reached and known as `other` is: the same address, and the same certificates as read for one generation.
    pub(super) fn is_bound_as(&self, other: &Self) -> bool {
        let is_known_alike = match (&self.tls, &other.tls) {
            (Some((config, _)), Some((others, _))) => Arc::ptr_eq(config, others),
            (None, None) => true,
            _ => false,
        };
        is_known_alike && self.url == other.url && self.addresses == other.addresses
    }

    pub(super) const fn tls(&self) -> Option<&(Arc<ClientConfig>, ServerName<'static>)> {
        self.tls.as_ref()
    }

    /// Whether the name of this controller may lead to `address`.
    ///
    /// Whoever answers for a name must not make of the host a way to itself, to its link or to nobody in particular: there, services
    /// listen that trust it. An address that the operator wrote as such is meant.
    pub(super) fn may_lead_to(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if let Host::Address(_) = self.host {
            return true;
        }
        if !self.addresses.is_empty() {
            return self.addresses.iter().any(|network| network.contains(&address));
        }
        match address {
            IpAddr::V4(address) => {
                let [first, ..] = address.octets();
                !(address.is_loopback()
                    || address.is_link_local()
                    || address.is_multicast()
                    || address == Ipv4Addr::BROADCAST
                    || first == 0)
            }
            IpAddr::V6(address) => {
                !(address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unicast_link_local())
            }
        }
    }
}

/// Where an endpoint is.
#[derive(Debug, Clone)]
pub enum EndpointPlace {
    /// At these controllers, in order.
    Controllers(Vec<Controller>),
    /// At the share server that a call is about.
    ShareServer(ServerEndpoint),
}

/// An endpoint as it is bound.
#[derive(Debug, Clone)]
pub struct BoundEndpoint {
    /// Where it is.
    pub place: EndpointPlace,
    /// How many requests are under way at once; at share servers, to each of them.
    pub concurrency: u32,
}

impl BoundEndpoint {
    /// Check a binding and read the files it names.
    pub fn new(grant: &EndpointGrant) -> Result<Self, EndpointError> {
        let place = match &grant.share_server {
            Some(at) => EndpointPlace::ShareServer(ServerEndpoint::new(grant, at)?),
            None => EndpointPlace::Controllers(Self::controllers(grant)?),
        };
        Ok(Self { place, concurrency: grant.concurrency.clamp(1, 256) })
    }

    /// Whether anything can be there: share servers of the driver with addresses in the networks that `networks` binds.
    pub fn check_fits(&self, manifest: &Manifest, networks: &NetworkGrants) -> Result<(), EndpointError> {
        let EndpointPlace::ShareServer(at) = &self.place else { return Ok(()) };
        if !manifest.driver.dhss.contains(&true) {
            return Err(EndpointError::NoShareServers);
        }
        if networks.of(at.network()).is_empty() {
            return Err(EndpointError::NoNetwork(at.network()));
        }
        Ok(())
    }

    fn controllers(grant: &EndpointGrant) -> Result<Vec<Controller>, EndpointError> {
        let count = grant.controllers.len();
        if !(1..=MOST_CONTROLLERS).contains(&count) {
            return Err(EndpointError::Controllers(count));
        }
        let addresses: Arc<[IpNet]> = grant.addresses.clone().into();
        let parsed: Vec<Address> =
            grant.controllers.iter().map(|text| parse(text, grant.verify)).collect::<Result<_, _>>()?;
        let encrypted = parsed.iter().any(|address| address.is_encrypted);
        let config = if encrypted { Some(tls::config(grant)?) } else { None };
        let bind = |(address, url): (Address, &String)| {
            let tls = match (&config, address.is_encrypted) {
                (Some(config), true) => Some((Arc::clone(config), server_name(&address.host, url)?)),
                _ => None,
            };
            let addresses = Arc::clone(&addresses);
            Ok(Controller { url: url.clone(), host: address.host, port: address.port, tls, addresses })
        };
        parsed.into_iter().zip(&grant.controllers).map(bind).collect()
    }
}

/// What is told of a controller whose text may hold credentials.
const HIDDEN: &str = "(an address with credentials or a query)";

struct Address {
    host: Host,
    port: u16,
    is_encrypted: bool,
}

fn parse(text: &str, verify: Verification) -> Result<Address, EndpointError> {
    // Told as far as it holds no secret: what stands before an '@' or after a '?' may be one.
    let shown = if text.contains(['@', '?']) { HIDDEN } else { text };
    let wrong = |reason| EndpointError::Controller { text: shown.to_owned(), reason };
    let uri: Uri =
        text.parse().map_err(|_| wrong("write it as https://10.0.0.5 or https://10.0.0.5:8443"))?;
    let is_encrypted = match (uri.scheme_str(), verify) {
        (Some("https"), _) => true,
        (Some("http"), Verification::Off) => false,
        (Some("http"), Verification::Full) => {
            return Err(wrong("http:// protects nothing; use https://, or say verify = \"off\""));
        }
        _ => return Err(wrong("it begins with https:// or http://")),
    };
    if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
        return Err(wrong("it has no path: paths stand in the driver's requests"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it holds credentials: they stand in the backend's options"));
    }
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let host = match bare.parse::<IpAddr>() {
        Ok(address) => Host::Address(address),
        Err(_) if is_name(bare) => Host::Name(bare.to_ascii_lowercase()),
        Err(_) => return Err(wrong("its host is neither an address nor a name")),
    };
    let scheme = if is_encrypted { EndpointScheme::Https } else { EndpointScheme::Http };
    // What is no number of a port, the parser passes over as if there were none.
    let has_port = authority.as_str().strip_prefix(name).is_some_and(|rest| !rest.is_empty());
    let port = match authority.port_u16() {
        Some(0) => return Err(wrong("its port is from 1 to 65535")),
        None if has_port => return Err(wrong("its port is from 1 to 65535")),
        Some(port) => port,
        None => scheme.port(),
    };
    Ok(Address { host, port, is_encrypted })
}

/// A name of DNS. Its last part begins with a letter: `2130706433`, `0x7f.1` and the like are spellings of addresses.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= LONGEST_NAME
        && text.split('.').all(label)
        && last.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

fn server_name(host: &Host, url: &str) -> Result<ServerName<'static>, EndpointError> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| EndpointError::Controller {
            text: url.to_owned(),
            reason: "its name cannot stand in a certificate",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> Result<Controller, String> {
        let grant = EndpointGrant { verify: Verification::Off, ..EndpointGrant::at([url.to_owned()]) };
        let mut bound = BoundEndpoint::controllers(&grant).map_err(|error| error.to_string())?;
        Ok(bound.remove(0))
    }

    #[test]
    fn a_controller_is_an_address_or_a_name_with_a_port() {
        for (url, authority, port) in [
            ("https://10.0.0.5", "10.0.0.5", 443),
            ("http://10.0.0.5:8080/", "10.0.0.5:8080", 8080),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", 8443),
            ("https://Array-1.Example.com", "array-1.example.com", 443),
        ] {
            let controller = open(url).expect(url);
            assert_eq!((controller.authority().as_str(), controller.port()), (authority, port));
            assert_eq!(controller.url(), url);
        }
    }

    #[test]
    fn spellings_that_hide_an_address_or_more_than_one_are_refused() {
        for url in [
            "2130706433",
            "https://2130706433",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://127.1",
            "https://array:99999",
            "https://array:0",
            "https://user:password@array",
            "https://array/api",
            "https://array?x=1",
            "ftp://array",
            "https://",
            "https://-array",
            "https://[::1",
        ] {
            assert!(open(url).is_err(), "{url}");
        }
    }

    /// The error goes to logs, the ledger and reviewers.
    #[test]
    fn what_may_be_a_secret_in_a_controller_is_not_told() {
        for url in ["https://user:hunter2@array", "https://array/?token=hunter2", "user:hunter2@array"] {
            let error = open(url).expect_err("refused").to_string();
            assert!(!error.contains("hunter2") && error.contains("is no controller"), "{error}");
        }
        assert!(open("ftp://array").expect_err("refused").to_string().contains("ftp://array"));
    }

    #[test]
    fn a_name_leads_to_this_machine_and_its_link_only_where_the_operator_says_so() {
        let name = open("https://array.example").expect("a controller");
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "ff02::1",
        ] {
            assert!(!name.may_lead_to(address.parse().expect("an address")), "{address}");
        }
        for address in ["10.0.0.5", "192.168.1.1", "198.51.100.1", "2001:db8::1", "fd00::1"] {
            assert!(name.may_lead_to(address.parse().expect("an address")), "{address}");
        }
        let mut grant = EndpointGrant {
            verify: Verification::Off,
            ..EndpointGrant::at(["https://array.example".to_owned()])
        };
        grant.addresses = vec!["127.0.0.0/8".parse().expect("a network")];
        let bound = BoundEndpoint::controllers(&grant).expect("bound");
        let narrowed = bound.first().expect("one");
        assert!(narrowed.may_lead_to("127.0.0.1".parse().expect("an address")));
        assert!(!narrowed.may_lead_to("10.0.0.5".parse().expect("an address")));
        let written = open("https://127.0.0.1").expect("a controller");
        assert!(written.may_lead_to("127.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn what_protects_a_controller_is_said_and_only_once() {
        let told = |grant: EndpointGrant| BoundEndpoint::new(&grant).expect_err("refused").to_string();
        let at = |url: &str| EndpointGrant::at([url.to_owned()]);
        assert!(told(at("https://10.0.0.5")).contains("set ca ="));
        assert!(told(at("http://10.0.0.5")).contains("verify = \"off\""));
        assert!(told(EndpointGrant::at([])).contains("1 to 16"));
        let both = EndpointGrant {
            verify: Verification::Off,
            ca: Some("/etc/ca.pem".into()),
            ..at("https://10.0.0.5")
        };
        assert!(told(both).contains("contradict"));
        let half = EndpointGrant {
            verify: Verification::Off,
            client_key: Some("/etc/key.pem".into()),
            ..at("https://10.0.0.5")
        };
        assert!(told(half).contains("come together"));
        let missing = EndpointGrant { ca: Some("/nowhere/ca.pem".into()), ..at("https://10.0.0.5") };
        assert!(told(missing).contains("/nowhere/ca.pem"));
    }
}
