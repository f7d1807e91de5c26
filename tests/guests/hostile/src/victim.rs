//! Whom to name: every share and snapshot this backend has ever met stands in its private data.

use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Resource, Result, Share, Snapshot};

const SHARE: &str = "share/";
const SNAPSHOT: &str = "snapshot/";
/// More would only repeat the same denials.
const MOST: usize = 4;

/// Others' resources.
#[derive(Debug, Default)]
pub(crate) struct Seen(pub(crate) Vec<Resource>);

pub(crate) fn remember_share(share: &Share) -> Result<()> {
    remember(&format!("{SHARE}{}", share.id))
}

pub(crate) fn remember_snapshot(snapshot: &Snapshot) -> Result<()> {
    remember_share(&snapshot.share)?;
    remember(&format!("{SNAPSHOT}{}", snapshot.id))
}

pub(crate) fn forget_share(share: &Share) -> Result<()> {
    Ok(private_data::remove(&Owner::Backend, &format!("{SHARE}{}", share.id))?)
}

pub(crate) fn forget_snapshot(snapshot: &Snapshot) -> Result<()> {
    Ok(private_data::remove(&Owner::Backend, &format!("{SNAPSHOT}{}", snapshot.id))?)
}

fn remember(key: &str) -> Result<()> {
    private_data::set(&Owner::Backend, key, "seen", Expected::Anything)?;
    Ok(())
}

/// Everything seen that is not of this call.
pub(crate) fn seen_beside(own: &[Resource]) -> Result<Seen> {
    let entries = private_data::get_all(&Owner::Backend)?;
    let resource = |key: &str| {
        let share = key.strip_prefix(SHARE).map(|id| Resource::Share(id.to_owned()));
        share.or_else(|| key.strip_prefix(SNAPSHOT).map(|id| Resource::Snapshot(id.to_owned())))
    };
    let found = entries.iter().filter_map(|entry| resource(&entry.key));
    Ok(Seen(found.filter(|resource| !own.contains(resource)).take(MOST).collect()))
}
