//! What the backend reports about itself, and whether it can work at all.

use crate::place::PEER;
use bulkhead_btrfs_pool::server::Server;
use bulkhead_btrfs_pool::statistics;
use bulkhead_sdk::{Error, Result, Statistics, config, files};

/// Can the driver work? Each answer says what to type if not.
pub(crate) fn check() -> Result<()> {
    let server = Server::of_backend()?;
    statistics::check_pool(&["shares", "snapshots", "replication"])?;
    if replicates()? {
        files::root_space(PEER).map_err(|error| {
            Error::bad_configuration(format!(
                "option replication_domain is set, so that root {PEER} must be bound to the other backend's pool: {error}"
            ))
        })?;
    }
    server.set_up()
}

/// The one pool, and whether it replicates.
pub(crate) fn statistics() -> Result<Statistics> {
    let replication_types = if replicates()? { vec!["dr".to_owned()] } else { Vec::new() };
    Ok(Statistics { pools: vec![statistics::pool()?], replication_types, ..Statistics::default() })
}

/// What the exports depend on. A server that was started anew, or does not run, is seen here.
pub(crate) fn fingerprint() -> Result<Vec<(String, String)>> {
    let server = Server::of_backend()?;
    let options = server.options();
    let addresses: Vec<String> = options.export_addresses.iter().map(ToString::to_string).collect();
    Ok(vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("export_addresses".to_owned(), addresses.join(",")),
        ("nfs_port".to_owned(), options.nfs_port.to_string()),
        ("mount_port".to_owned(), options.mount_port.to_string()),
        ("protocols".to_owned(), format!("{:?}", options.protocols)),
        ("server".to_owned(), server.fingerprint()?),
    ])
}

/// Whether shares of this backend may have replicas on another one.
fn replicates() -> Result<bool> {
    Ok(config::text("replication_domain")?.is_some_and(|domain| !domain.is_empty()))
}
