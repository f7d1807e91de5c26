//! What the backend reports about itself, and whether it can work at all.

use crate::options::{self, Options};
use crate::place::{KERNEL, PEER, POOL};
use crate::server;
use bulkhead_sdk::{
    CapabilityCode, Capacity, Error, Pool, Result, Slots, Statistics, Support, execute, files, log,
};

/// Can the driver work? Each answer says what to type if not.
pub(crate) fn check() -> Result<()> {
    let options = Options::read()?;
    options::reserved_percentage()?;
    for directory in ["shares", "snapshots", "replication"] {
        check_pool(directory)?;
    }
    check_quotas()?;
    if options::replicates()? {
        files::root_space(PEER).map_err(|error| {
            Error::bad_configuration(format!(
                "option replication_domain is set, so that root {PEER} must be bound to the other backend's pool: {error}"
            ))
        })?;
    }
    server::set_up(&options)
}

fn check_pool(directory: &str) -> Result<()> {
    let hint = format!(
        "mount the pool, or make it: bulkhead backend make-pool FILE --at DIRECTORY --directory {directory}"
    );
    let output =
        execute::run("look-at-pool", Slots::new().path("at", directory)).map_err(|error| {
            match error.code() {
                CapabilityCode::NotFound => {
                    Error::bad_configuration(format!("root {POOL} has no directory {directory}; {hint}"))
                }
                _ => error.into(),
            }
        })?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "btrfs" => Ok(()),
        other => Err(Error::bad_configuration(format!("root {POOL} lies on {other}, not on btrfs; {hint}"))),
    }
}

fn check_quotas() -> Result<()> {
    let off = || {
        Error::bad_configuration(format!(
            "root {KERNEL} shows no quotas; type: btrfs quota enable POOL, and bind {KERNEL} to /sys/fs/btrfs/UUID, which btrfs filesystem show POOL tells"
        ))
    };
    let mode = files::read_kernel(KERNEL, "qgroups/mode", &[]).map_err(|error| match error.code() {
        CapabilityCode::NotFound => off(),
        _ => error.into(),
    })?;
    match String::from_utf8_lossy(&mode).trim() {
        "qgroup" => {}
        "squota" => {
            return Err(Error::bad_configuration(
                "the pool has simple quotas, which charge a share for what its snapshots' writers wrote; type: btrfs quota disable POOL, then btrfs quota enable POOL",
            ));
        }
        _ => return Err(off()),
    }
    let inconsistent = files::read_kernel(KERNEL, "qgroups/inconsistent", &[])?;
    if String::from_utf8_lossy(&inconsistent).trim() != "0" {
        log::warning("the pool's quotas are inconsistent; type: btrfs quota rescan POOL");
    }
    Ok(())
}

/// The one pool: the filesystem. Shares take space only as they fill.
pub(crate) fn collect() -> Result<Statistics> {
    let space = files::root_space(POOL)?;
    let reserved_percentage = options::reserved_percentage()?;
    let pool = Pool {
        total: gib(space.total_bytes),
        free: gib(space.free_bytes),
        reserved_percentage,
        reserved_snapshot_percentage: reserved_percentage,
        reserved_share_extend_percentage: reserved_percentage,
        thin_provisioning: Support::Yes,
        ..Pool::new(POOL)
    };
    let replication_types = if options::replicates()? { vec!["dr".to_owned()] } else { Vec::new() };
    Ok(Statistics { pools: vec![pool], replication_types, ..Statistics::default() })
}

/// What the exports depend on. A server that was started anew, or does not run, is seen here.
pub(crate) fn fingerprint() -> Result<Vec<(String, String)>> {
    let options = Options::read()?;
    let addresses: Vec<String> = options.export_addresses.iter().map(ToString::to_string).collect();
    Ok(vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("export_addresses".to_owned(), addresses.join(",")),
        ("nfs_port".to_owned(), options.nfs_port.to_string()),
        ("mount_port".to_owned(), options.mount_port.to_string()),
        ("protocols".to_owned(), format!("{:?}", options.protocols)),
        ("server".to_owned(), server::fingerprint(&options)?),
    ])
}

fn gib(bytes: u64) -> Capacity {
    Capacity::Gib(in_gib(bytes))
}

/// Bytes as GiB. Whole MiB, so that the division keeps what a person would read.
pub(crate) fn in_gib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 20).unwrap_or(u32::MAX)) / 1024.0
}
