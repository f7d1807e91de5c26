//! Subvolumes: making, limiting, measuring and deleting them. What a share and a snapshot are.

use crate::place::{self, KERNEL, NEW_SHARE, SHARE};
use bulkhead_sdk::execute::{self, Output};
use bulkhead_sdk::files::{self, FileKind, Ownership};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{CapabilityCode, CapabilityError, Error, OrAbsent, Resource, Result, Slots, log};

/// Bytes of a GiB.
pub const GIB: u64 = 1 << 30;
/// Private data of a share: the size that was set last, to tell it from one that somebody set by hand.
const SIZE_KEY: &str = "size-gib";

/// Whether this backend's subvolume stands there. Fails with `conflict` if something else does.
pub fn is_there(pattern: &str, resource: &Resource) -> Result<bool> {
    match files::status(&place::pool(pattern, resource)).or_absent()? {
        None => Ok(false),
        Some(status) if status.kind == FileKind::Directory && status.ownership == Ownership::Owned => {
            Ok(true)
        }
        Some(_) => Err(Error::conflict(format!(
            "what stands in the pool as {pattern} of {} was not made by this backend; it was left alone",
            resource.id()
        ))),
    }
}

/// Run a template of btrfs; a full pool is told from other failures.
pub fn run(template: &str, slots: Slots) -> Result<Output> {
    execute::run(template, slots).map_err(name_failure)
}

/// `btrfs` tells a full or read-only pool from other failures only in words; the host runs it with `LC_ALL=C`.
pub fn name_failure(error: CapabilityError) -> Error {
    let said = |words: &str| error.exit().is_some_and(|exit| exit.stderr.contains(words));
    if said("No space left on device") || said("Disk quota exceeded") {
        Error::no_space(format!("the pool is full; free space there or enlarge it: {error}"))
    } else if said("Read-only file system") {
        Error::backend_failed(format!(
            "the pool is read-only; look into the kernel's log, repair it and mount it again: {error}"
        ))
    } else {
        error.into()
    }
}

/// Give the share in the making its size, then its name: from then on it is whole.
pub fn finish_share(resource: &Resource, size_gib: u64) -> Result<()> {
    limit(NEW_SHARE, resource, size_gib)?;
    files::rename(&place::pool(NEW_SHARE, resource), &place::pool(SHARE, resource))?;
    sync(SHARE, resource)
}

/// Make the limit `size_gib`, remember that, and see that the kernel says so.
pub fn limit(pattern: &str, resource: &Resource, size_gib: u64) -> Result<()> {
    private_data::set(&Owner::Of(resource.clone()), SIZE_KEY, &size_gib.to_string(), Expected::Anything)?;
    let bytes = size_gib.saturating_mul(GIB);
    let slots = Slots::new().unsigned("size", bytes).path_of("at", pattern, resource.clone());
    run("limit-size", slots)?;
    match limit_bytes(pattern, resource)? {
        Some(found) if found == bytes => Ok(()),
        found => Err(Error::bad_configuration(format!(
            "the limit of {pattern} was set to {bytes} bytes, but root {KERNEL} says {}; bind {KERNEL} to /sys/fs/btrfs/UUID of the pool",
            found.map_or_else(|| "there is none".to_owned(), |found| found.to_string())
        ))),
    }
}

/// The size that was set last; none before the first.
pub fn recorded_size_gib(resource: &Resource) -> Result<Option<u64>> {
    let entry = private_data::get(&Owner::Of(resource.clone()), SIZE_KEY)?;
    Ok(entry.and_then(|entry| entry.value.parse().ok()))
}

/// Forget which size was set.
pub fn forget_size(resource: &Resource) -> Result<()> {
    Ok(private_data::remove(&Owner::Of(resource.clone()), SIZE_KEY)?)
}

/// The limit in bytes; none if it has none.
pub fn limit_bytes(pattern: &str, resource: &Resource) -> Result<Option<u64>> {
    let bytes = counted("qgroups/0_{number}/max_referenced", id(pattern, resource)?)?;
    Ok((bytes != 0).then_some(bytes))
}

/// What it uses, in bytes, as of the last [`sync`].
pub fn used_bytes(pattern: &str, resource: &Resource) -> Result<u64> {
    counted("qgroups/0_{number}/referenced", id(pattern, resource)?)
}

/// The number the kernel knows it by.
fn id(pattern: &str, resource: &Resource) -> Result<u64> {
    let output = run("subvolume-id", Slots::new().path_of("at", pattern, resource.clone()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        Error::backend_failed(format!("btrfs inspect-internal rootid answered '{}', no number", text.trim()))
    })
}

fn counted(pattern: &str, id: u64) -> Result<u64> {
    let content = files::read_kernel(KERNEL, pattern, &[id]).map_err(|error| match error.code() {
        CapabilityCode::NotFound => Error::bad_configuration(format!(
            "the kernel counts nothing for subvolume {id}: bind root {KERNEL} to /sys/fs/btrfs/UUID of the pool, and enable quotas: btrfs quota enable POOL"
        )),
        _ => error.into(),
    })?;
    let text = String::from_utf8_lossy(&content);
    text.trim().parse().map_err(|_| {
        Error::backend_failed(format!("{pattern} of subvolume {id} is '{}', no number", text.trim()))
    })
}

/// Put on disk what was made in the pool, and bring the kernel's counts up to date.
pub fn sync(pattern: &str, resource: &Resource) -> Result<()> {
    run("sync-pool", Slots::new().path_of("at", pattern, resource.clone())).map(drop)
}

/// Delete it, with whatever subvolumes somebody made inside. Nothing there is success.
pub fn delete(pattern: &str, resource: &Resource) -> Result<()> {
    let at = place::pool(pattern, resource);
    if files::status(&at).or_absent()?.is_none() {
        return Ok(());
    }
    match execute::run("delete-subvolume", Slots::new().path_of("at", pattern, resource.clone())) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == CapabilityCode::NotFound => Ok(()),
        // A subvolume inside, made by hand, is in the way of one command; removing file by file meets it as a directory.
        Err(error) if error.code() == CapabilityCode::CommandFailed => {
            log::warning(&format!("{pattern} is emptied file by file: {error}"));
            files::remove(&at).map_err(|_| name_failure(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// What `btrfs subvolume show` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Its UUID.
    pub uuid: String,
    /// The UUID of what it is a snapshot of.
    pub parent: Option<String>,
    /// The UUID of what it was received from, once it was received to its end.
    pub received: Option<String>,
    /// Whether it can be written to.
    pub access: Access,
}

/// Whether a subvolume can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// It can.
    #[default]
    Writable,
    /// It cannot.
    ReadOnly,
}

/// Look at a subvolume with the template `template`, filling its slot `at`; none if nothing is there or no subvolume is.
pub fn look(template: &str, pattern: &str, resource: &Resource) -> Result<Option<Facts>> {
    match execute::run(template, Slots::new().path_of("at", pattern, resource.clone())) {
        Ok(output) => Ok(Some(Facts::parse(&String::from_utf8_lossy(&output.stdout)))),
        Err(error) if matches!(error.code(), CapabilityCode::NotFound | CapabilityCode::CommandFailed) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

impl Facts {
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
            line.map(str::trim).filter(|value| !value.is_empty() && *value != "-").map(str::to_owned)
        };
        Self {
            uuid: value("UUID:").unwrap_or_default(),
            parent: value("Parent UUID:"),
            received: value("Received UUID:"),
            access: match value("Flags:") {
                Some(flags) if flags.contains("readonly") => Access::ReadOnly,
                _ => Access::Writable,
            },
        }
    }
}
