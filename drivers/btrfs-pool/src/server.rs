//! The NFS server with its bus and its portmapper: what they read, and that they run.
//!
//! There is one of the backend, or one of each share server, which has a network of its own: [`instance_of`] a share says which one serves
//! it. They belong to the backend and run on when this driver or the whole host is replaced. They are stopped only where what they read
//! has changed since they were started.
//!
//! ```text
//! config/ of the backend's own                config/ of share servers
//!   bus.conf, ganesha.conf, exports.conf        bus.conf
//!   exports/share-A.conf                        share-server-S/ganesha.conf, exports.conf
//!                                               share-server-S/exports/share-A.conf
//! ```

use crate::fingerprint;
use crate::options::{Options, Protocols};
use crate::place::CONFIG;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::service::{self, Instance, State, Status};
use bulkhead_sdk::{
    CapabilityCode, CapabilityError, Error, ExportLocation, OrAbsent, Resource, Result, Share, Slots, log,
};
use std::net::IpAddr;

/// The group they all run in.
pub const GROUP: &str = "ganesha";
const PORTMAPPER: &str = "portmapper";
/// Private data of the backend or share server: what the running server's configuration looked like.
const STARTED_WITH_KEY: &str = "server-configuration";
/// Private data of a share server: its addresses in the tenant's network, and in the administrators'.
const ADDRESSES_KEY: &str = "addresses";
const ADMIN_ADDRESSES_KEY: &str = "admin-addresses";

/// Which server serves a share: that of the share server it lives on, else the backend's own.
#[must_use]
pub fn instance_of(share: &Share) -> Instance {
    let of_server = |id: &String| Instance::Of(Resource::ShareServer(id.clone()));
    share.share_server_id.as_ref().map_or(Instance::Backend, of_server)
}

/// An NFS server, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    instance: Instance,
    options: Options,
}

/// The service that serves these protocols, and the one that must not run beside it.
const fn services(protocols: Protocols) -> (&'static str, &'static str) {
    match protocols {
        Protocols::Nfs3AndNfs4 => ("nfs", "nfs4"),
        Protocols::Nfs4 => ("nfs4", "nfs"),
    }
}

impl Server {
    /// The backend's own, as its options say.
    ///
    /// Fails with `bad-configuration` where one is wrong.
    pub fn of_backend() -> Result<Self> {
        Ok(Self { instance: Instance::Backend, options: Options::read()? })
    }

    /// That of the share server `id`, whose addresses are recorded from now on.
    ///
    /// Fails with `bad-network-configuration` if there is none in the tenant's network.
    pub fn of_share_server(id: &str, addresses: &[IpAddr], admin_addresses: &[IpAddr]) -> Result<Self> {
        if addresses.is_empty() {
            return Err(Error::bad_network_configuration(format!("share server {id} got no address")));
        }
        let resource = Resource::ShareServer(id.to_owned());
        let owner = Owner::Of(resource.clone());
        for (key, list) in [(ADDRESSES_KEY, addresses), (ADMIN_ADDRESSES_KEY, admin_addresses)] {
            private_data::set(&owner, key, &text_of(list), Expected::Anything)?;
        }
        let options = Options::of_share_server(addresses.to_vec(), admin_addresses.to_vec())?;
        Ok(Self { instance: Instance::Of(resource), options })
    }

    /// The one that is `instance`.
    ///
    /// Fails with `invalid-share-server` if it is that of a share server that was never set up.
    pub fn at(instance: &Instance) -> Result<Self> {
        let Instance::Of(resource) = instance else { return Self::of_backend() };
        let addresses = recorded(resource, ADDRESSES_KEY)?;
        if addresses.is_empty() {
            return Err(Error::invalid_share_server(format!(
                "share server {} was never set up here; delete it, it serves nothing",
                resource.id()
            )));
        }
        let options = Options::of_share_server(addresses, recorded(resource, ADMIN_ADDRESSES_KEY)?)?;
        Ok(Self { instance: instance.clone(), options })
    }

    /// How it listens, and where clients find it.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Where clients find the export `name`.
    #[must_use]
    pub fn locations(&self, name: &str) -> Vec<ExportLocation> {
        let location = |address: &IpAddr| {
            ExportLocation::new(match address {
                IpAddr::V4(address) => format!("{address}:/{name}"),
                IpAddr::V6(address) => format!("[{address}]:/{name}"),
            })
        };
        let of_tenants = self.options.export_addresses.iter().map(location);
        let of_administrators = self.options.admin_addresses.iter().map(location);
        of_tenants
            .chain(of_administrators.map(|location| ExportLocation { admin_only: true, ..location }))
            .collect()
    }

    /// Write what it reads, and start it. One that was started with another configuration is started anew.
    pub fn set_up(&self) -> Result<()> {
        self.make_directories()?;
        self.write_configuration()?;
        let (wanted, other) = services(self.options.protocols);
        service::stop(other, &self.instance)?;
        if self.options.protocols == Protocols::Nfs4 {
            service::stop(PORTMAPPER, &self.instance)?;
        }
        let written = fingerprint::of(&files::read(&self.file(self.main_file()))?);
        let started_with = private_data::get(&self.owner(), STARTED_WITH_KEY)?;
        if started_with.is_some_and(|entry| entry.value != written) {
            log::info("the server's configuration has changed: it is started anew");
            service::stop(wanted, &self.instance)?;
        }
        self.start()?;
        private_data::set(&self.owner(), STARTED_WITH_KEY, &written, Expected::Anything)?;
        Ok(())
    }

    /// Start what does not run, and wait until it serves.
    ///
    /// One file that somebody broke keeps the server from starting at all. Then it is started without any, and ensuring tells it of each
    /// export; the next start finds them as they were mended.
    pub fn start(&self) -> Result<Status> {
        match self.start_server() {
            Ok(status) => Ok(status),
            // It was started for another address or port; a network of its own is that of its group.
            Err(error) if error.code() == CapabilityCode::Conflict => {
                match self.instance {
                    Instance::Backend => service::stop(services(self.options.protocols).0, &self.instance)?,
                    Instance::Of(_) => service::stop_group(GROUP, &self.instance)?,
                }
                Ok(self.start_server()?)
            }
            // Once more as it is: it may have met a bus that was just starting.
            Err(error) if does_not_start(&error) => match self.start_server() {
                Err(error) if does_not_start(&error) => {
                    log::warning(&format!("the NFS server does not start with its exports: {error}"));
                    self.start_without_exports()
                }
                answer => Ok(answer?),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Start anew a server that runs but does not answer on its bus, as after the bus itself died.
    pub fn restart(&self) -> Result<Status> {
        log::warning("the NFS server does not answer on its bus: it is started anew");
        service::stop(services(self.options.protocols).0, &self.instance)?;
        self.start()
    }

    fn start_without_exports(&self) -> Result<Status> {
        files::write_template("no-exports", self.named(Slots::new()))?;
        let started = self.start_server();
        self.name_exports()?;
        started.map_err(|error| match &self.instance {
            Instance::Backend if does_not_start(&error) => Error::bad_configuration(format!(
                "the NFS server does not start at {} port {}; does something else listen there? {error}",
                self.options.listen_address, self.options.nfs_port
            )),
            Instance::Of(server) if does_not_start(&error) => Error::bad_configuration(format!(
                "the NFS server of share server {} does not start: {error}",
                server.id()
            )),
            _ => error.into(),
        })
    }

    fn name_exports(&self) -> Result<()> {
        let slots = self.path(Slots::new(), "exports", self.exports());
        Ok(files::write_template("all-exports", slots)?)
    }

    /// Start a server with its bus and its portmapper: the slots are those of all of them.
    fn start_server(&self) -> Result<Status, CapabilityError> {
        let slots = self.path(Slots::new(), "bus-config", "bus.conf");
        // At an address of this machine's own, whoever else listens there would be taken for the server: which of its own, says nothing.
        let ready_at = self.options.export_addresses.first().filter(|_| self.instance != Instance::Backend);
        let slots = self
            .path(slots, "config", self.main_file())
            .text("address", ready_at.unwrap_or(&self.options.listen_address).to_string())
            .unsigned("port", u64::from(self.options.nfs_port));
        service::start(services(self.options.protocols).0, &self.instance, slots)
    }

    /// How the server and its bus are, in words that change whenever one of them was started anew.
    pub fn fingerprint(&self) -> Result<String> {
        let mut words = Vec::new();
        for name in ["bus", services(self.options.protocols).0] {
            let status = service::status(name, &self.instance)?;
            words.push(match (status.state, status.started_at_ms) {
                (State::Ready, Some(started_at_ms)) => format!("{name} started at {started_at_ms}"),
                _ => format!("{name} not running"),
            });
        }
        Ok(words.join(", "))
    }

    /// The backend's directory is made by its operator, who says who may enter it; those of share servers are theirs.
    fn make_directories(&self) -> Result<()> {
        if let Instance::Of(_) = self.instance {
            for pattern in ["{server}", self.exports()] {
                files::create_directory(&self.file(pattern))?;
            }
            return Ok(());
        }
        if files::status(&self.file(self.exports())).or_absent()?.is_some() {
            return Ok(());
        }
        let main = files::location(&self.file(self.exports()))?;
        Err(Error::bad_configuration(format!(
            "root {CONFIG} has no directory for exports; type: mkdir -m 0755 {main}"
        )))
    }

    fn write_configuration(&self) -> Result<()> {
        files::write_template("bus-config", Slots::new())?;
        self.name_exports()?;
        let list = match self.instance {
            Instance::Backend => "exports.conf",
            Instance::Of(_) => "{server}/exports.conf",
        };
        let slots = self
            .path(Slots::new(), "exports", list)
            .text("address", self.options.listen_address.to_string())
            .unsigned("port", u64::from(self.options.nfs_port));
        match self.options.protocols {
            Protocols::Nfs3AndNfs4 => {
                let slots = slots.unsigned("mount-port", u64::from(self.options.mount_port));
                files::write_template("nfs-config", slots)?;
            }
            Protocols::Nfs4 => files::write_template("nfs4-config", slots)?,
        }
        Ok(())
    }

    const fn main_file(&self) -> &'static str {
        match self.instance {
            Instance::Backend => "ganesha.conf",
            Instance::Of(_) => "{server}/ganesha.conf",
        }
    }

    const fn exports(&self) -> &'static str {
        match self.instance {
            Instance::Backend => "exports",
            Instance::Of(_) => "{server}/exports",
        }
    }

    fn owner(&self) -> Owner {
        match &self.instance {
            Instance::Backend => Owner::Backend,
            Instance::Of(resource) => Owner::Of(resource.clone()),
        }
    }

    fn file(&self, pattern: &str) -> Path {
        let path = Path::new(CONFIG, pattern);
        match &self.instance {
            Instance::Backend => path,
            Instance::Of(resource) => path.of(resource.clone()),
        }
    }

    fn path(&self, slots: Slots, name: &str, pattern: &str) -> Slots {
        match &self.instance {
            Instance::Backend => slots.path(name, pattern),
            Instance::Of(resource) => slots.path_of(name, pattern, resource.clone()),
        }
    }

    /// Whose file it is, where no other slot says so.
    fn named(&self, slots: Slots) -> Slots {
        match &self.instance {
            Instance::Backend => slots,
            Instance::Of(resource) => slots.name_of("server", resource.clone()),
        }
    }
}

/// End the server of the share server `id`, its group and everything that was written for it. Idempotent.
pub fn tear_down(id: &str) -> Result<()> {
    let resource = Resource::ShareServer(id.to_owned());
    service::stop_group(GROUP, &Instance::Of(resource.clone()))?;
    files::remove(&Path::new(CONFIG, "{server}").of(resource.clone()))?;
    for key in [STARTED_WITH_KEY, ADDRESSES_KEY, ADMIN_ADDRESSES_KEY] {
        private_data::remove(&Owner::Of(resource.clone()), key)?;
    }
    Ok(())
}

fn does_not_start(error: &CapabilityError) -> bool {
    matches!(error.code(), CapabilityCode::CommandFailed | CapabilityCode::TimedOut)
}

fn text_of(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn recorded(resource: &Resource, key: &str) -> Result<Vec<IpAddr>> {
    let entry = private_data::get(&Owner::Of(resource.clone()), key)?;
    let texts = entry.map(|entry| entry.value).unwrap_or_default();
    let addresses = texts.split(',').filter(|text| !text.is_empty());
    addresses
        .map(|text| {
            text.parse().map_err(|_| Error::internal(format!("the recorded address '{text}' is none")))
        })
        .collect()
}
