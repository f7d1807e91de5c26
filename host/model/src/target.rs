//! The target of a call: the resources it is about, and the names the host derives from them.
//!
//! A guest names resources, never text: what it names must be of the target, and all names come from here. One tenant's call can
//! therefore not even spell another tenant's path.

use crate::access::AccessRule;
use crate::id::{InvalidId, ShareGroupId, ShareInstanceId, ShareServerId, SnapshotInstanceId};
use crate::network::{SealedText, SecurityService};
use crate::pattern::Variable;
use crate::share::share_name;
use crate::snapshot::snapshot_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A resource of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// A share instance.
    Share(ShareInstanceId),
    /// A snapshot instance.
    Snapshot(SnapshotInstanceId),
    /// A share group.
    ShareGroup(ShareGroupId),
    /// A share server.
    ShareServer(ShareServerId),
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(id) => write!(formatter, "{}", share_name(*id)),
            Self::Snapshot(id) => write!(formatter, "{}", snapshot_name(*id)),
            Self::ShareGroup(id) => write!(formatter, "share-group-{id}"),
            Self::ShareServer(id) => write!(formatter, "share-server-{id}"),
        }
    }
}

/// What the operator named in a manage call: one component of a path, of letters, digits, `.`, `_`, `@` and `-`, not beginning with a
/// dot, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManagedName(String);

impl ManagedName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ManagedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ManagedName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "._@-".contains(letter);
        if !text.is_empty() && text.len() <= 255 && !text.starts_with('.') && text.chars().all(sound) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId::new(
                text,
                "name of an object to manage (letters, digits, '.', '_', '@', '-', not beginning with '.')",
            ))
        }
    }
}

impl TryFrom<String> for ManagedName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ManagedName> for String {
    fn from(name: ManagedName) -> Self {
        name.0
    }
}

/// A snapshot with the share it was taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSnapshot {
    /// The snapshot instance.
    pub snapshot: SnapshotInstanceId,
    /// The share instance it was taken of.
    pub share: ShareInstanceId,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallTarget {
    /// Shares; the first is the subject.
    pub shares: Vec<ShareInstanceId>,
    /// Snapshots; the first is the subject if there are no shares.
    pub snapshots: Vec<TargetSnapshot>,
    /// What a new share is made from: may be read, never changed.
    pub source: Option<TargetSnapshot>,
    /// The rules that shall be in force after this call, for slots of type `access-rules`; none in calls that carry no rules.
    pub access_rules: Option<Vec<AccessRule>>,
    /// What the operator named in a manage call: what the subject is made of.
    pub managed: Option<ManagedName>,
    /// All replicas of the one share that a call about replication is about, the subject among them, or both instances of one that moves;
    /// empty in every other call. They may be named as the subject may, and count as one share.
    pub replicas: Vec<ShareInstanceId>,
    /// The group that a call about one is about: the subject. Its shares and the members of its snapshots are named beside it.
    pub group: Option<ShareGroupId>,
    /// The server that a call is about together with everything on it: the subject. Its shares and their snapshots are named beside it.
    pub whole_server: Option<ShareServerId>,
    /// What each share of a new group is made from; may be read, never changed.
    pub sources: BTreeMap<ShareInstanceId, TargetSnapshot>,
    /// Share servers. The first is the subject of a call that is about nothing else; in one about a share or group those it lives on are
    /// named beside it.
    pub servers: Vec<ShareServerId>,
    /// The passwords of the security services that this call brings, sealed, by the name that each is referred to and sealed by.
    pub passwords: BTreeMap<String, SealedText>,
    /// The passwords that each of the servers was set up with, as [`CallTarget::passwords`], where this call does not bring them: nobody
    /// refers to them, and what that server's services say is cleaned of them.
    pub service_passwords: BTreeMap<ShareServerId, BTreeMap<String, SealedText>>,
    /// Which of the servers each share lives on; nothing of those that live on none.
    pub hosts: BTreeMap<ShareInstanceId, ShareServerId>,
}

/// Something that is not of the call's target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not what this call is about")]
pub struct NotOfTarget(pub String);

impl CallTarget {
    /// A call about one share.
    #[must_use]
    pub fn share(share: ShareInstanceId) -> Self {
        Self { shares: vec![share], ..Self::default() }
    }

    /// A call about one snapshot of a share.
    #[must_use]
    pub fn snapshot(snapshot: SnapshotInstanceId, share: ShareInstanceId) -> Self {
        Self { snapshots: vec![TargetSnapshot { snapshot, share }], ..Self::default() }
    }

    /// A call about one share server.
    #[must_use]
    pub fn server(server: ShareServerId) -> Self {
        Self { servers: vec![server], ..Self::default() }
    }

    /// The same call, which brings these security services.
    #[must_use]
    pub fn with_security_services(mut self, services: &[SecurityService]) -> Self {
        self.passwords.extend(SecurityService::passwords_of(services));
        self
    }

    /// Whether two share instances are one share in this call: the same one, or replicas of each other.
    #[must_use]
    pub fn is_one_share(&self, one: Option<ShareInstanceId>, other: Option<ShareInstanceId>) -> bool {
        let is_replica = |id: Option<ShareInstanceId>| id.is_some_and(|id| self.replicas.contains(&id));
        one == other || (is_replica(one) && is_replica(other))
    }

    /// The subject: whom a guest means when it names nobody.
    #[must_use]
    pub fn subject(&self) -> Option<Resource> {
        if let Some(group) = self.group {
            return Some(Resource::ShareGroup(group));
        }
        if let Some(server) = self.whole_server {
            return Some(Resource::ShareServer(server));
        }
        // A call about a replica, and one about a share that is being reverted, has snapshots beside it.
        let snapshot = || self.snapshots.first().map(|target| Resource::Snapshot(target.snapshot));
        let server = || self.servers.first().copied().map(Resource::ShareServer);
        self.shares.first().copied().map(Resource::Share).or_else(snapshot).or_else(server)
    }

    /// The names of `resource`, or of the subject. Fails if the resource is not of this target.
    pub fn names(&self, resource: Option<Resource>) -> Result<Names, NotOfTarget> {
        let source = |names: Names| {
            let source = names.share.and_then(|share| self.sources.get(&share).copied()).or(self.source);
            Names {
                server: names.share.and_then(|share| self.hosts.get(&share).copied()),
                source_share: source.map(|source| source.share),
                source_snapshot: source.map(|source| source.snapshot),
                managed: self.managed.clone(),
                ..names
            }
        };
        match resource.or_else(|| self.subject()) {
            None => Err(NotOfTarget("a share or snapshot".to_owned())),
            Some(Resource::ShareServer(id)) if self.servers.contains(&id) => {
                Ok(Names { server: Some(id), managed: self.managed.clone(), ..Names::default() })
            }
            Some(Resource::ShareServer(id)) => Err(NotOfTarget(Resource::ShareServer(id).to_string())),
            Some(Resource::ShareGroup(id)) if self.group == Some(id) => Ok(Names::default()),
            Some(Resource::ShareGroup(id)) => Err(NotOfTarget(Resource::ShareGroup(id).to_string())),
            Some(Resource::Share(id)) => {
                let known = self.shares.contains(&id)
                    || self.replicas.contains(&id)
                    || self.snapshots.iter().any(|target| target.share == id);
                if known {
                    Ok(source(Names { share: Some(id), ..Names::default() }))
                } else {
                    Err(NotOfTarget(Resource::Share(id).to_string()))
                }
            }
            Some(Resource::Snapshot(id)) => self
                .snapshots
                .iter()
                .find(|target| target.snapshot == id)
                .map(|target| {
                    source(Names { share: Some(target.share), snapshot: Some(id), ..Names::default() })
                })
                .ok_or_else(|| NotOfTarget(Resource::Snapshot(id).to_string())),
        }
    }
}

/// The names that fill a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// For `{share}`.
    pub share: Option<ShareInstanceId>,
    /// For `{snapshot}`.
    pub snapshot: Option<SnapshotInstanceId>,
    /// For `{source-share}`.
    pub source_share: Option<ShareInstanceId>,
    /// For `{source-snapshot}`.
    pub source_snapshot: Option<SnapshotInstanceId>,
    /// For `{server}`.
    pub server: Option<ShareServerId>,
    /// For `{managed}`.
    pub managed: Option<ManagedName>,
}

impl Names {
    /// The text of a variable; none if the target lacks it.
    #[must_use]
    pub fn name_of(&self, variable: Variable) -> Option<String> {
        match variable {
            Variable::Share => self.share.map(share_name),
            Variable::Snapshot => self.snapshot.map(snapshot_name),
            Variable::SourceShare => self.source_share.map(share_name),
            Variable::SourceSnapshot => self.source_snapshot.map(snapshot_name),
            Variable::Server => self.server.map(|id| Resource::ShareServer(id).to_string()),
            Variable::Managed => self.managed.as_ref().map(ToString::to_string),
            Variable::Number => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_resource_is_not_of_the_target() {
        let target = CallTarget::share(ShareInstanceId::random());
        assert!(target.names(None).is_ok());
        assert!(target.names(Some(Resource::Share(ShareInstanceId::random()))).is_err());
        assert!(target.names(Some(Resource::Snapshot(SnapshotInstanceId::random()))).is_err());
    }

    #[test]
    fn a_snapshot_brings_its_share() {
        let (snapshot, share) = (SnapshotInstanceId::random(), ShareInstanceId::random());
        let target = CallTarget::snapshot(snapshot, share);
        assert_eq!(target.subject(), Some(Resource::Snapshot(snapshot)));
        assert_eq!(target.names(None).map(|names| names.share), Ok(Some(share)));
        assert!(target.names(Some(Resource::Share(share))).is_ok_and(|names| names.snapshot.is_none()));
    }

    #[test]
    fn replicas_of_the_share_are_of_the_target_and_one_share() {
        let (one, other, foreign) =
            (ShareInstanceId::random(), ShareInstanceId::random(), ShareInstanceId::random());
        let target = CallTarget { replicas: vec![one, other], ..CallTarget::share(one) };
        assert_eq!(target.names(Some(Resource::Share(other))).map(|names| names.share), Ok(Some(other)));
        assert!(target.is_one_share(Some(one), Some(other)));
        assert!(!target.is_one_share(Some(one), Some(foreign)));
        assert!(!CallTarget::share(one).is_one_share(Some(one), Some(other)));
        assert!(target.names(Some(Resource::Share(foreign))).is_err());
    }

    #[test]
    fn a_group_is_the_subject_and_each_of_its_new_shares_has_a_source_of_its_own() {
        let (group, made, foreign) =
            (ShareGroupId::random(), [(); 2].map(|()| ShareInstanceId::random()), ShareGroupId::random());
        let source =
            || TargetSnapshot { snapshot: SnapshotInstanceId::random(), share: ShareInstanceId::random() };
        let sources = BTreeMap::from(made.map(|share| (share, source())));
        let target = CallTarget {
            shares: made.to_vec(),
            group: Some(group),
            sources: sources.clone(),
            ..CallTarget::default()
        };
        assert_eq!(target.subject(), Some(Resource::ShareGroup(group)));
        assert_eq!(target.names(None), Ok(Names::default()), "no path derives from a group");
        for share in made {
            let names = target.names(Some(Resource::Share(share))).expect("of the target");
            assert_eq!(names.source_snapshot, Some(sources[&share].snapshot));
        }
        assert!(target.names(Some(Resource::Share(sources[&made[0]].share))).is_err(), "read only");
        assert!(target.names(Some(Resource::ShareGroup(foreign))).is_err());
    }

    #[test]
    fn a_server_in_change_is_the_subject_and_what_is_on_it_is_named_beside_it() {
        let (server, share) = (ShareServerId::random(), ShareInstanceId::random());
        let target = CallTarget {
            shares: vec![share],
            servers: vec![server],
            whole_server: Some(server),
            ..CallTarget::default()
        };
        assert_eq!(target.subject(), Some(Resource::ShareServer(server)));
        assert!(target.names(Some(Resource::Share(share))).is_ok());
        assert!(target.names(Some(Resource::Share(ShareInstanceId::random()))).is_err());
    }

    #[test]
    fn a_server_is_the_subject_where_nothing_else_is_and_beside_a_share_its_own_may_be_named() {
        let (server, foreign, share) =
            (ShareServerId::random(), ShareServerId::random(), ShareInstanceId::random());
        let target = CallTarget::server(server);
        assert_eq!(target.subject(), Some(Resource::ShareServer(server)));
        let own = Names { server: Some(server), ..Names::default() };
        assert_eq!(target.names(None), Ok(own));
        let target = CallTarget { servers: vec![server], ..CallTarget::share(share) };
        assert_eq!(target.names(None).map(|names| names.server), Ok(None), "it is not known to live there");
        assert_eq!(target.subject(), Some(Resource::Share(share)));
        assert!(target.names(Some(Resource::ShareServer(server))).is_ok());
        assert!(target.names(Some(Resource::ShareServer(foreign))).is_err());
    }

    #[test]
    fn a_share_and_its_snapshots_bring_the_server_they_live_on() {
        let [here, there] = [(); 2].map(|()| ShareServerId::random());
        let [one, other] = [(); 2].map(|()| ShareInstanceId::random());
        let taken = TargetSnapshot { snapshot: SnapshotInstanceId::random(), share: other };
        let target = CallTarget {
            shares: vec![one, other],
            snapshots: vec![taken],
            servers: vec![here, there],
            hosts: BTreeMap::from([(one, here), (other, there)]),
            ..CallTarget::default()
        };
        let server = |resource| target.names(Some(resource)).expect("of the target").server;
        assert_eq!(server(Resource::Share(one)), Some(here));
        assert_eq!(server(Resource::Share(other)), Some(there));
        assert_eq!(server(Resource::Snapshot(taken.snapshot)), Some(there));
    }

    #[test]
    fn a_call_about_nothing_names_nothing() {
        assert!(CallTarget::default().names(None).is_err());
    }
}
