//! Share groups and their snapshots (contract 2.11, 3.11, 4.9).
//!
//! ```text
//!   group:           create ---------------> creating --> available --delete--> deleting --> gone
//!                    create from a snapshot -^      +--> error --delete--> deleting  +--> error
//!   group snapshot:  create --> creating --> available --delete--> deleting --> gone
//!                                    +--> error --delete--> deleting  +--> error
//! ```
//!
//! `verbs` is what people ask for of groups, `snapshot` of their snapshots; `policy` says what is accepted when. `attempt` makes an
//! operation's driver calls: one where the driver has an interface for it, else `fan_out` does share by share what Manila's base class
//! does. `settle` takes the answers in; `carry` puts records together for drivers.
//!
//! A group is a record of one pool of one backend; its shares are made there one by one, as ordinary shares that name it. An operation on
//! a group queues under the group's own id ([`ShareGroupId::queue`]), its call holds the gates of all shares it touches, and while it is
//! unfinished it counts as in flight on each of them: so nothing else is begun on a share of which a member is being taken.
//!
//! Where we differ from Manila on purpose: a failed fan-out cleans up after every kind of failure, goes on when one clean-up fails, and
//! tells the first failure ([`fan_out`]); members of a failed group snapshot are in `error`, not `creating` for ever; shares that the
//! backend is still making keep their group `creating`; a share of a group is not let go, and it is not put back to a snapshot that is
//! older than one of its group's.

mod attempt;
mod carry;
mod creation;
mod fan_out;
mod pending;
mod policy;
pub(crate) mod recovery;
pub(crate) mod settle;
mod snapshot;
mod types;
mod verbs;

pub(crate) use attempt::attempt;
pub(crate) use carry::group as for_driver;
pub use creation::NewShareGroup;
pub use snapshot::NewShareGroupSnapshot;
pub use types::{NewShareGroupType, ShareGroupTypeView};

use crate::denial::Denial;
use crate::error::ManagerError;
use crate::records::{Stored, Tables};
use bulkhead_model::id::{ShareGroupId, ShareId, ShareTypeId};
use bulkhead_model::operation::{Operation, Verb};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::Share;
use bulkhead_model::share_group::ShareGroup;
use bulkhead_model::status::ShareGroupStatus;

/// The most shares of a group: a snapshot of all of them, and a group made from it, are one transaction each.
pub(crate) const MOST_SHARES: usize = 30;

/// The shares that an operation on a group touches; none for an operation on a share.
pub(crate) fn shares_at_work(tables: &Tables, operation: &Operation) -> Vec<ShareId> {
    let made_with = |group| {
        let shares = tables.shares_of_group(group).into_iter();
        shares.filter(|share| share.source_member.is_some()).map(|share| share.id).collect()
    };
    match (&operation.verb, operation.verb.group_snapshot()) {
        (Verb::CreateShareGroupFromSnapshot { group, .. }, _) => made_with(*group),
        (_, Some(id)) => match tables.group_snapshot(&Scope::Everything, id) {
            Some(snapshot) => snapshot.members.iter().map(|member| member.share).collect(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The verb of an unfinished operation on the group of `share` that touches it.
pub(crate) fn in_flight_on(tables: &Tables, share: &Share) -> Option<&'static str> {
    let mut operations = tables.unfinished_of_share(share.group?.queue());
    let touches = |operation: &&Stored<Operation>| shares_at_work(tables, operation).contains(&share.id);
    operations.find(touches).map(|operation| operation.verb.name())
}

/// A group inside `scope`.
fn find<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareGroupId,
) -> Result<&'a Stored<ShareGroup>, ManagerError> {
    tables.group(scope, id).ok_or_else(|| ManagerError::not_found("share group", id))
}

/// The group that a new share of this type may be made in.
pub(crate) fn joined<'a>(
    tables: &'a Tables,
    scope: &Scope,
    id: ShareGroupId,
    share_type: ShareTypeId,
) -> Result<&'a Stored<ShareGroup>, ManagerError> {
    let group = find(tables, scope, id)?;
    if !group.share_types.contains(&share_type) {
        return Err(Denial::TypeNotInGroup.into());
    }
    if group.status != ShareGroupStatus::Available {
        return Err(Denial::GroupStatus { what: "making a share in it", status: group.status }.into());
    }
    if tables.shares_of_group(id).len() >= MOST_SHARES {
        return Err(ManagerError::LimitExceeded { what: "shares of a group", limit: MOST_SHARES });
    }
    Ok(group)
}
