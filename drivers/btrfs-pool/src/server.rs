//! The NFS server with its bus and its portmapper: what they read, and that they run.
//!
//! They belong to the backend and run on when this driver or the whole host is replaced. They are stopped only where what they read
//! has changed since they were started.

use crate::fingerprint;
use crate::options::{Options, Protocols};
use crate::place::CONFIG;
use bulkhead_sdk::files::{self, Path};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::service::{self, Instance, State, Status};
use bulkhead_sdk::{CapabilityCode, CapabilityError, Error, OrAbsent, Result, Slots, log};

/// The group they all run in.
pub(crate) const GROUP: &str = "ganesha";
const PORTMAPPER: &str = "portmapper";
const MAIN_FILE: &str = "ganesha.conf";
/// Private data of the backend: what the running server's configuration looked like.
const STARTED_WITH_KEY: &str = "server-configuration";

/// The service that serves these protocols, and the one that must not run beside it.
const fn services(protocols: Protocols) -> (&'static str, &'static str) {
    match protocols {
        Protocols::Nfs3AndNfs4 => ("nfs", "nfs4"),
        Protocols::Nfs4 => ("nfs4", "nfs"),
    }
}

/// Write what they read, and start them. A server that was started with another configuration is started anew.
pub(crate) fn set_up(options: &Options) -> Result<()> {
    check_directory()?;
    write_configuration(options)?;
    let (wanted, other) = services(options.protocols);
    service::stop(other, &Instance::Backend)?;
    if options.protocols == Protocols::Nfs4 {
        service::stop(PORTMAPPER, &Instance::Backend)?;
    }
    let written = fingerprint::of(&files::read(&Path::new(CONFIG, MAIN_FILE))?);
    let started_with = private_data::get(&Owner::Backend, STARTED_WITH_KEY)?;
    if started_with.is_some_and(|entry| entry.value != written) {
        log::info("the server's configuration has changed: it is started anew");
        service::stop(wanted, &Instance::Backend)?;
    }
    start(options)?;
    private_data::set(&Owner::Backend, STARTED_WITH_KEY, &written, Expected::Anything)?;
    Ok(())
}

/// Start what does not run, and wait until it serves.
///
/// One file that somebody broke keeps the server from starting at all. Then it is started without any, and ensuring tells it of each
/// export; the next start finds them as they were mended.
pub(crate) fn start(options: &Options) -> Result<Status> {
    let (wanted, _) = services(options.protocols);
    match start_server(wanted, options) {
        Ok(status) => Ok(status),
        // It was started for another address or port.
        Err(error) if error.code() == CapabilityCode::Conflict => {
            service::stop(wanted, &Instance::Backend)?;
            Ok(start_server(wanted, options)?)
        }
        // Once more as it is: it may have met a bus that was just starting.
        Err(error) if does_not_start(&error) => match start_server(wanted, options) {
            Err(error) if does_not_start(&error) => {
                log::warning(&format!("the NFS server does not start with its exports: {error}"));
                start_without_exports(wanted, options)
            }
            answer => Ok(answer?),
        },
        Err(error) => Err(error.into()),
    }
}

/// Start anew a server that runs but does not answer on its bus, as after the bus itself died.
pub(crate) fn restart(options: &Options) -> Result<Status> {
    log::warning("the NFS server does not answer on its bus: it is started anew");
    service::stop(services(options.protocols).0, &Instance::Backend)?;
    start(options)
}

fn does_not_start(error: &CapabilityError) -> bool {
    matches!(error.code(), CapabilityCode::CommandFailed | CapabilityCode::TimedOut)
}

fn start_without_exports(wanted: &str, options: &Options) -> Result<Status> {
    files::write_template("no-exports", Slots::new())?;
    let started = start_server(wanted, options);
    name_exports()?;
    started.map_err(|error| {
        if does_not_start(&error) {
            Error::bad_configuration(format!(
                "the NFS server does not start at {} port {}; does something else listen there? {error}",
                options.listen_address, options.nfs_port
            ))
        } else {
            error.into()
        }
    })
}

fn name_exports() -> Result<()> {
    Ok(files::write_template("all-exports", Slots::new().path("exports", "exports"))?)
}

/// Start a server with its bus and its portmapper: the slots are those of all of them.
fn start_server(name: &str, options: &Options) -> Result<Status, CapabilityError> {
    let slots = Slots::new()
        .path("bus-config", "bus.conf")
        .path("config", MAIN_FILE)
        .text("address", options.listen_address.to_string())
        .unsigned("port", u64::from(options.nfs_port));
    service::start(name, &Instance::Backend, slots)
}

/// How the server and its bus are, in words that change whenever one of them was started anew.
pub(crate) fn fingerprint(options: &Options) -> Result<String> {
    let mut words = Vec::new();
    for name in ["bus", services(options.protocols).0] {
        let status = service::status(name, &Instance::Backend)?;
        words.push(match (status.state, status.started_at_ms) {
            (State::Ready, Some(started_at_ms)) => format!("{name} started at {started_at_ms}"),
            _ => format!("{name} not running"),
        });
    }
    Ok(words.join(", "))
}

fn check_directory() -> Result<()> {
    if files::status(&Path::new(CONFIG, "exports")).or_absent()?.is_some() {
        return Ok(());
    }
    let main = files::location(&Path::new(CONFIG, "exports"))?;
    Err(Error::bad_configuration(format!(
        "root {CONFIG} has no directory for exports; type: mkdir -m 0755 {main}"
    )))
}

fn write_configuration(options: &Options) -> Result<()> {
    files::write_template("bus-config", Slots::new())?;
    name_exports()?;
    let slots = Slots::new()
        .path("exports", "exports.conf")
        .text("address", options.listen_address.to_string())
        .unsigned("port", u64::from(options.nfs_port));
    match options.protocols {
        Protocols::Nfs3AndNfs4 => {
            let slots = slots.unsigned("mount-port", u64::from(options.mount_port));
            files::write_template("nfs-config", slots)?;
        }
        Protocols::Nfs4 => files::write_template("nfs4-config", slots)?,
    }
    Ok(())
}
