//! What the pool has, and whether it is one at all.

use crate::options;
use crate::place::{KERNEL, POOL};
use bulkhead_sdk::{CapabilityCode, Capacity, Error, Pool, Result, Slots, Support, execute, files, log};

/// Is the pool one? It is mounted, has these directories, and counts what subvolumes use. Each answer says what to type if not.
pub fn check_pool(directories: &[&str]) -> Result<()> {
    options::reserved_percentage()?;
    for directory in directories {
        check_directory(directory)?;
    }
    check_quotas()
}

fn check_directory(directory: &str) -> Result<()> {
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
pub fn pool() -> Result<Pool> {
    let space = files::root_space(POOL)?;
    let reserved_percentage = options::reserved_percentage()?;
    Ok(Pool {
        total: gib(space.total_bytes),
        free: gib(space.free_bytes),
        reserved_percentage,
        reserved_snapshot_percentage: reserved_percentage,
        reserved_share_extend_percentage: reserved_percentage,
        thin_provisioning: Support::Yes,
        ..Pool::new(POOL)
    })
}

fn gib(bytes: u64) -> Capacity {
    Capacity::Gib(in_gib(bytes))
}

/// Bytes as GiB. Whole MiB, so that the division keeps what a person would read.
pub fn in_gib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 20).unwrap_or(u32::MAX)) / 1024.0
}
