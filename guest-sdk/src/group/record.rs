//! Groups and their snapshots.

use crate::bindings::base::bulkhead::driver::types as wit;
use crate::bindings::share_groups::exports::bulkhead::driver::share_groups as wit_groups;
use crate::pairs;
use crate::share::{Creation, Share};
use crate::share_server::ShareServer;
use crate::snapshot::Snapshot;

/// The unit in which a group's snapshots are consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// All shares of one pool.
    Pool,
    /// All shares of the backend.
    Host,
}

impl Consistency {
    pub(super) const fn into_wit(self) -> wit::Consistency {
        match self {
            Self::Pool => wit::Consistency::Pool,
            Self::Host => wit::Consistency::Host,
        }
    }

    const fn from_wit(consistency: wit::Consistency) -> Self {
        match consistency {
            wit::Consistency::Pool => Self::Pool,
            wit::Consistency::Host => Self::Host,
        }
    }
}

/// A group of shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroup {
    /// Its id. Names at the backend derive from it.
    pub id: String,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// The project that owns it.
    pub project_id: String,
    /// Where it lives, `HOST@BACKEND#POOL`.
    pub host: String,
    /// Its share network; none where the backend makes no share servers.
    pub share_network_id: Option<String>,
    /// The share server it lives on, with all its shares; none where the backend makes none.
    pub server: Option<ShareServer>,
    /// Its group type.
    pub share_group_type_id: String,
    /// The specs of its group type.
    pub group_specs: Vec<(String, String)>,
    /// The share types its shares may have.
    pub share_type_ids: Vec<String>,
    /// The group snapshot it is made from; none if it is made empty.
    pub source_group_snapshot_id: Option<String>,
    /// The consistency its type asks for; none if it asks for none.
    pub consistent_snapshot_support: Option<Consistency>,
    /// Its shares; empty when it is made empty.
    pub shares: Vec<Share>,
}

impl ShareGroup {
    pub(crate) fn from_wit(group: wit::ShareGroup, server: Option<wit::ShareServer>) -> Self {
        let share = |share| Share::from_wit(share, server.clone());
        Self {
            shares: group.shares.into_iter().map(share).collect(),
            share_network_id: group.share_network_id,
            server: server.map(ShareServer::from_wit),
            id: group.id,
            name: group.name,
            project_id: group.project_id,
            host: group.host,
            share_group_type_id: group.share_group_type_id,
            group_specs: pairs::from_wit(group.group_specs),
            share_type_ids: group.share_type_ids,
            source_group_snapshot_id: group.source_group_snapshot_id,
            consistent_snapshot_support: group.consistent_snapshot_support.map(Consistency::from_wit),
        }
    }
}

/// A snapshot of all shares of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGroupSnapshot {
    /// Its id.
    pub id: String,
    /// What the tenant calls it; none if unnamed.
    pub name: Option<String>,
    /// The project that owns it.
    pub project_id: String,
    /// The group it is taken of.
    pub share_group: ShareGroup,
    /// One for each share of the group at that time, each a snapshot instance of that share whose `snapshot_id` is this group snapshot's.
    pub members: Vec<Snapshot>,
}

impl ShareGroupSnapshot {
    pub(crate) fn from_wit(snapshot: wit::ShareGroupSnapshot, server: Option<wit::ShareServer>) -> Self {
        let member = |member| member_from_wit(member, &snapshot.id, server.clone());
        Self {
            members: snapshot.members.into_iter().map(member).collect(),
            name: snapshot.name,
            project_id: snapshot.project_id,
            share_group: ShareGroup::from_wit(snapshot.share_group, server.clone()),
            id: snapshot.id.clone(),
        }
    }
}

fn member_from_wit(
    member: wit::GroupSnapshotMember,
    group_snapshot: &str,
    server: Option<wit::ShareServer>,
) -> Snapshot {
    Snapshot {
        id: member.id,
        snapshot_id: group_snapshot.to_owned(),
        name: member.name,
        size_gib: member.size_gib,
        provider_location: member.provider_location,
        share: Share::from_wit(member.share, server),
    }
}

/// A share of a new group with the member it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupShareSource {
    /// The share to make.
    pub share: Share,
    /// The member of the group snapshot that holds its content.
    pub member: Snapshot,
}

impl GroupShareSource {
    pub(super) fn list_from_wit(
        sources: Vec<wit_groups::GroupShareSource>,
        snapshot: &ShareGroupSnapshot,
        server: Option<&wit::ShareServer>,
    ) -> Vec<Self> {
        sources
            .into_iter()
            .map(|source| Self {
                share: Share::from_wit(source.share, server.cloned()),
                member: member_from_wit(source.member, &snapshot.id, server.cloned()),
            })
            .collect()
    }
}

/// A share that was made with its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedShare {
    /// The share instance.
    pub share_id: String,
    /// How far it is.
    pub creation: Creation,
}

impl CreatedShare {
    pub(super) fn into_wit(self) -> wit_groups::CreatedShare {
        wit_groups::CreatedShare { share_id: self.share_id, creation: self.creation.into_wit() }
    }
}
