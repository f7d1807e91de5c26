//! Which replica serves clients: following the active one, and becoming it.

use super::base::{self, Turn};
use super::peer::{self, Active};
use super::pull;
use bulkhead_btrfs_pool::export::Export;
use bulkhead_btrfs_pool::place::{NEW_SHARE, SHARE};
use bulkhead_btrfs_pool::{share, subvolume};
use bulkhead_sdk::private_data::{self, Expected, Owner};
use bulkhead_sdk::{Error, ErrorCode, Resource, Result, Share, Slots, log};

/// Private data of a replica: the base that its share was made of when it was promoted last.
const PROMOTED_KEY: &str = "replication-promoted";

/// Hold what the active replica holds now. What this replica served itself, before another one was promoted, is withdrawn at once and
/// deleted when the other one's content is here.
///
/// Fails with `backend-unreachable` if the active replica is out of reach, as [`pull::share`] otherwise.
pub(crate) fn follow(subject: &Share, active: &Share) -> Result<()> {
    let resource = Resource::from(subject);
    let export = Export::of_share(subject);
    let held = export.hold()?;
    export.withdraw()?;
    drop(held);
    if peer::active(&Resource::from(active))? == Active::OutOfReach {
        return Err(Error::backend_unreachable(format!("{} cannot be read from here", active.name)));
    }
    pull::share(subject, active)?;
    retire(&resource)
}

fn retire(resource: &Resource) -> Result<()> {
    subvolume::delete(NEW_SHARE, resource)?;
    subvolume::delete(SHARE, resource)
}

/// Become the active replica in place of `old`, and serve those whom the rules of this call name.
///
/// What the old one's clients have written reaches this replica if the old one can be read from here: it is frozen first, then pulled.
/// If it cannot, the last pull is all there is. A promotion that fails thaws it again.
pub(crate) fn promote(subject: &Share, old: &Share) -> Result<()> {
    let (resource, active) = (Resource::from(subject), Resource::from(old));
    let state = peer::active(&active)?;
    if !is_promoted(&resource, state)? {
        withdraw_and_retire(subject)?;
        if state == Active::OutOfReach {
            log::warning(&format!(
                "{} is promoted without the last changes: {} is out of reach",
                subject.name, old.name
            ));
        } else {
            catch_up(subject, old)?;
        }
        make_share(subject)?;
    }
    share::admit(subject)
}

/// Whether this promotion has made the share already.
///
/// A reachable old replica is frozen by the promotion alone, and only after whatever stood here before was gone. Of one that is out of
/// reach nothing is known: then it counts of which base the share was made.
fn is_promoted(resource: &Resource, old: Active) -> Result<bool> {
    if !subvolume::is_there(SHARE, resource)? {
        return Ok(false);
    }
    Ok(match old {
        Active::Writable => false,
        Active::Frozen => true,
        Active::OutOfReach => {
            let made_of = private_data::get(&Owner::Of(resource.clone()), PROMOTED_KEY)?;
            let last = base::recorded(resource)?.map(Turn::word);
            last.is_some() && made_of.as_ref().map(|entry| entry.value.as_str()) == last
        }
    })
}

fn withdraw_and_retire(subject: &Share) -> Result<()> {
    let export = Export::of_share(subject);
    let _held = export.hold()?;
    export.withdraw()?;
    retire(&Resource::from(subject))
}

fn catch_up(subject: &Share, old: &Share) -> Result<()> {
    let active = Resource::from(old);
    peer::freeze(&active)?;
    pull::share(subject, old).inspect_err(|error| {
        if error.code() != ErrorCode::Busy
            && let Err(thawing) = peer::thaw(&active)
        {
            log::error(&format!("{} stays read-only: {thawing}", old.name));
        }
    })
}

/// Make the share of the last base.
fn make_share(subject: &Share) -> Result<()> {
    let resource = Resource::from(subject);
    let Some(turn) = base::recorded(&resource)? else {
        return Err(Error::replication_failed(format!("{} holds nothing yet", subject.name)));
    };
    let slots = Slots::new().path_of("from", turn.pattern(), resource.clone()).path_of(
        "to",
        NEW_SHARE,
        resource.clone(),
    );
    subvolume::run("clone", slots)?;
    private_data::set(&Owner::Of(resource.clone()), PROMOTED_KEY, turn.word(), Expected::Anything)?;
    subvolume::finish_share(&resource, subject.size_gib)
}

/// Forget what is remembered of promotions.
pub(crate) fn forget(resource: &Resource) -> Result<()> {
    Ok(private_data::remove(&Owner::Of(resource.clone()), PROMOTED_KEY)?)
}
