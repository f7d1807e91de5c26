//! From a pattern to a path, as the host does it: the names come from the call's target, never from the driver.

use super::denial::{Answer, deny, invalid};
use crate::access::AccessRule;
use crate::group::{GroupShareSource, ShareGroup, ShareGroupSnapshot};
use crate::migration::ShareMigration;
use crate::network::SecurityService;
use crate::replication::Replica;
use crate::resource::Resource;
use crate::share::Share;
use crate::share_server::ShareServer;
use crate::snapshot::Snapshot;

/// What a call is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    /// Whom a driver means when it names nobody; none: the first share, else the first snapshot.
    subject: Option<Resource>,
    shares: Vec<String>,
    snapshots: Vec<SnapshotIds>,
    source: Option<SnapshotIds>,
    /// What each share of a new group is made from.
    sources: Vec<(String, SnapshotIds)>,
    pub(super) rules: Option<Vec<AccessRule>>,
    /// What the operator named in a manage call.
    managed: Option<String>,
    /// The servers that what the call is about lives on, or that it is about.
    servers: Vec<String>,
    /// The names of the passwords of security services that the call brings.
    pub(super) passwords: Vec<String>,
    /// Each share that lives on a server, with it.
    hosts: Vec<(String, String)>,
    /// Those of the shares that count as one: replicas of each other, or both sides of one that moves.
    replicas: Vec<String>,
}

#[derive(Debug, Clone)]
struct SnapshotIds {
    snapshot: String,
    share: String,
}

impl SnapshotIds {
    fn of(snapshot: &Snapshot) -> Self {
        Self { snapshot: snapshot.id.clone(), share: snapshot.share.id.clone() }
    }
}

impl Target {
    pub(super) fn shares(shares: &[Share]) -> Self {
        Self {
            shares: shares.iter().map(|share| share.id.clone()).collect(),
            servers: servers(shares),
            hosts: hosts(shares),
            ..Self::default()
        }
    }

    pub(super) fn share(share: &Share) -> Self {
        Self {
            shares: vec![share.id.clone()],
            servers: servers([share]),
            hosts: hosts([share]),
            ..Self::default()
        }
    }

    pub(super) fn snapshot(snapshot: &Snapshot) -> Self {
        Self {
            snapshots: vec![SnapshotIds::of(snapshot)],
            servers: servers([&snapshot.share]),
            hosts: hosts([&snapshot.share]),
            ..Self::default()
        }
    }

    /// One share server.
    pub(super) fn server(server: &str) -> Self {
        Self {
            subject: Some(Resource::ShareServer(server.to_owned())),
            servers: vec![server.to_owned()],
            ..Self::default()
        }
    }

    /// One share server with everything on it, which may be named beside it.
    pub(super) fn server_with(server: &str, shares: &[Share], snapshots: &[Snapshot]) -> Self {
        Self {
            shares: shares.iter().map(|share| share.id.clone()).collect(),
            snapshots: snapshots.iter().map(SnapshotIds::of).collect(),
            hosts: hosts(shares),
            ..Self::server(server)
        }
    }

    /// The same, with the passwords of these security services.
    pub(super) fn with_security_services(mut self, services: &[SecurityService]) -> Self {
        self.passwords.extend(services.iter().filter_map(|service| service.password.clone()));
        self
    }

    /// The same, and beside it the servers it may go to.
    pub(super) fn with_candidates(mut self, candidates: &[ShareServer]) -> Self {
        self.servers = candidates.iter().map(|server| server.id.clone()).collect();
        self
    }

    /// All replicas of a share and the snapshots handed over with them; a call about one of them.
    pub(super) fn replicas<'all>(
        subject: Resource,
        replicas: &[Replica],
        snapshots: impl IntoIterator<Item = &'all Snapshot>,
    ) -> Self {
        Self {
            subject: Some(subject),
            shares: replicas.iter().map(|replica| replica.share.id.clone()).collect(),
            replicas: replicas.iter().map(|replica| replica.share.id.clone()).collect(),
            snapshots: snapshots.into_iter().map(SnapshotIds::of).collect(),
            servers: servers(replicas.iter().map(|replica| &replica.share)),
            hosts: hosts(replicas.iter().map(|replica| &replica.share)),
            ..Self::default()
        }
    }

    /// The source share, and beside it the share it becomes and both sides of each snapshot that moves along.
    pub(super) fn migration(migration: &ShareMigration) -> Self {
        let ShareMigration { source_share, destination_share, snapshots, .. } = migration;
        let sides = snapshots.iter().flat_map(|mapping| [&mapping.source, &mapping.destination]);
        Self {
            subject: Some(Resource::from(source_share)),
            shares: vec![source_share.id.clone(), destination_share.id.clone()],
            replicas: vec![source_share.id.clone(), destination_share.id.clone()],
            snapshots: sides.map(SnapshotIds::of).collect(),
            servers: servers([source_share, destination_share]),
            hosts: hosts([source_share, destination_share]),
            ..Self::default()
        }
    }

    /// A group and the shares it has.
    pub(super) fn group(group: &ShareGroup) -> Self {
        Self {
            subject: Some(Resource::from(group)),
            servers: server_of(group),
            ..Self::shares(&group.shares)
        }
    }

    /// A group, its new shares, and the members they are made from.
    pub(super) fn group_from_snapshot(group: &ShareGroup, sources: &[GroupShareSource]) -> Self {
        let of = |source: &GroupShareSource| (source.share.id.clone(), SnapshotIds::of(&source.member));
        Self {
            subject: Some(Resource::from(group)),
            shares: sources.iter().map(|source| source.share.id.clone()).collect(),
            sources: sources.iter().map(of).collect(),
            servers: server_of(group),
            hosts: hosts(sources.iter().map(|source| &source.share)),
            ..Self::default()
        }
    }

    /// A group and the members of a snapshot of it.
    pub(super) fn group_snapshot(snapshot: &ShareGroupSnapshot) -> Self {
        Self {
            subject: Some(Resource::from(&snapshot.share_group)),
            snapshots: snapshot.members.iter().map(SnapshotIds::of).collect(),
            servers: server_of(&snapshot.share_group),
            hosts: hosts(snapshot.members.iter().map(|member| &member.share)),
            ..Self::default()
        }
    }

    /// The share of `snapshot`, which the backend puts back to it by itself.
    pub(super) fn reverting(snapshot: &Snapshot) -> Self {
        Self { snapshots: vec![SnapshotIds::of(snapshot)], ..Self::share(&snapshot.share) }
    }

    pub(super) fn made_from(mut self, source: &Snapshot) -> Self {
        self.source = Some(SnapshotIds::of(source));
        self
    }

    /// In a manage call: one path component, letters, digits, `.`, `_`, `@` and `-`, not beginning with a dot.
    pub(super) fn taking_over(mut self, named: &str) -> Self {
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "._@-".contains(letter);
        let name = named.rsplit('/').next().unwrap_or(named);
        let is_name = !name.is_empty() && !name.starts_with('.') && name.chars().all(sound);
        self.managed = is_name.then(|| name.to_owned());
        self
    }

    pub(super) fn with_rules(mut self, rules: &[AccessRule]) -> Self {
        self.rules = Some(rules.to_vec());
        self
    }

    /// The resource meant, if it is of this call.
    pub(super) fn resource(&self, named: Option<&Resource>) -> Answer<Resource> {
        let subject = || {
            if self.subject.is_some() {
                return self.subject.clone();
            }
            let snapshot = || self.snapshots.first().map(|ids| Resource::Snapshot(ids.snapshot.clone()));
            self.shares.first().cloned().map(Resource::Share).or_else(snapshot)
        };
        let Some(resource) = named.cloned().or_else(subject) else {
            return deny("this call is about no share or snapshot", "nothing");
        };
        let known = match &resource {
            Resource::Share(id) => {
                self.shares.contains(id) || self.snapshots.iter().any(|ids| ids.share == *id)
            }
            Resource::Snapshot(id) => self.snapshots.iter().any(|ids| ids.snapshot == *id),
            Resource::ShareGroup(_) => self.subject.as_ref() == Some(&resource),
            Resource::ShareServer(id) => self.servers.contains(id),
        };
        if known {
            Ok(resource)
        } else {
            deny(&format!("{resource:?} is not what this call is about"), "nothing")
        }
    }

    fn names(&self, named: Option<&Resource>) -> Answer<Names> {
        let mut names = Names { managed: self.managed.clone(), ..Names::default() };
        match self.resource(named)? {
            Resource::ShareGroup(_) => {}
            Resource::ShareServer(id) => names.server = Some(id),
            Resource::Share(id) => names.share = Some(id),
            Resource::Snapshot(id) => {
                let of = self.snapshots.iter().find(|ids| ids.snapshot == id);
                names.share = of.map(|ids| ids.share.clone());
                names.snapshot = Some(id);
            }
        }
        if let Some((_, server)) = self.hosts.iter().find(|(share, _)| names.share.as_ref() == Some(share)) {
            names.server = Some(server.clone());
        }
        let of_share =
            |(share, ids): &(String, SnapshotIds)| (names.share.as_ref() == Some(share)).then(|| ids.clone());
        if let Some(source) = self.sources.iter().find_map(of_share).or_else(|| self.source.clone()) {
            names.source_share = Some(source.share);
            names.source_snapshot = Some(source.snapshot);
        }
        Ok(names)
    }

    /// The share server that a resource is, or lives on.
    pub(super) fn server_of(&self, resource: &Resource) -> Answer<Option<String>> {
        self.names(Some(resource)).map(|names| names.server)
    }

    /// The name of a resource at the backend.
    pub(super) fn name_of(&self, resource: &Resource) -> Answer<String> {
        self.resource(Some(resource)).map(|resource| derived_name(&resource))
    }

    /// The name of what a new share is made from; none if `resource` is nothing of that kind.
    pub(super) fn name_of_source(&self, resource: &Resource) -> Option<String> {
        let mut sources = self.source.iter().chain(self.sources.iter().map(|(_, source)| source));
        let is_source = sources.any(|source| match resource {
            Resource::Share(id) => source.share == *id,
            Resource::Snapshot(id) => source.snapshot == *id,
            Resource::ShareGroup(_) | Resource::ShareServer(_) => false,
        });
        is_source.then(|| derived_name(resource))
    }

    /// Fails if these resources are of two shares. What is not of the call is denied elsewhere.
    pub(super) fn check_one_share<'all>(&self, named: impl Iterator<Item = &'all Resource>) -> Answer<()> {
        let of: Vec<Option<String>> =
            named.filter_map(|resource| self.names(Some(resource)).ok()).map(|names| names.share).collect();
        let is_replica = |id: &Option<String>| id.as_ref().is_some_and(|id| self.replicas.contains(id));
        let are_one = of.windows(2).all(|pair| match pair {
            [one, other] => one == other || (is_replica(one) && is_replica(other)),
            _ => true,
        });
        if are_one {
            Ok(())
        } else {
            invalid("the slots name resources of two shares; a request is about one")
        }
    }

    /// Fill a pattern.
    pub(super) fn place(&self, pattern: &str, named: Option<&Resource>) -> Answer<Place> {
        // A pattern without names needs no subject: `setup` has none.
        let is_of_backend = named.is_none() && !pattern.contains('{');
        let names = if is_of_backend { Names::default() } else { self.names(named)? };
        let mut relative = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((variable, tail)) = after.split_once('}') else {
                return invalid(format!("pattern '{pattern}' has a brace that is not closed"));
            };
            relative.push_str(before);
            match names.text_of(variable) {
                Some(name) => relative.push_str(&name),
                None => {
                    return deny(
                        &format!("this call has no name for {{{variable}}} in '{pattern}'"),
                        "nothing",
                    );
                }
            }
            rest = tail;
        }
        relative.push_str(rest);
        let owner = names.owner(pattern);
        Ok(Place {
            relative,
            is_source: pattern.contains("{source-"),
            is_managed: pattern.contains("{managed}"),
            owner,
        })
    }
}

fn derived_name(resource: &Resource) -> String {
    match resource {
        Resource::Share(id) => format!("share-{id}"),
        Resource::Snapshot(id) => format!("share-snapshot-{id}"),
        Resource::ShareGroup(id) => format!("share-group-{id}"),
        Resource::ShareServer(id) => format!("share-server-{id}"),
    }
}

/// The servers that these shares live on.
fn servers<'all>(shares: impl IntoIterator<Item = &'all Share>) -> Vec<String> {
    shares.into_iter().filter_map(|share| share.share_server_id.clone()).collect()
}

fn hosts<'all>(shares: impl IntoIterator<Item = &'all Share>) -> Vec<(String, String)> {
    shares.into_iter().filter_map(|share| Some((share.id.clone(), share.share_server_id.clone()?))).collect()
}

fn server_of(group: &ShareGroup) -> Vec<String> {
    group.server.iter().map(|server| server.id.clone()).collect()
}

#[derive(Debug, Default)]
struct Names {
    share: Option<String>,
    snapshot: Option<String>,
    source_share: Option<String>,
    source_snapshot: Option<String>,
    server: Option<String>,
    managed: Option<String>,
}

impl Names {
    fn text_of(&self, variable: &str) -> Option<String> {
        let share = |id: &String| format!("share-{id}");
        let snapshot = |id: &String| format!("share-snapshot-{id}");
        match variable {
            "share" => self.share.as_ref().map(share),
            "snapshot" => self.snapshot.as_ref().map(snapshot),
            "source-share" => self.source_share.as_ref().map(share),
            "source-snapshot" => self.source_snapshot.as_ref().map(snapshot),
            "server" => self.server.as_ref().map(|id| format!("share-server-{id}")),
            "managed" => self.managed.clone(),
            _ => None,
        }
    }

    /// Whom what stands at the path belongs to: the snapshot if the pattern names one, else the share, else the share server.
    fn owner(&self, pattern: &str) -> Option<Resource> {
        if pattern.contains("{snapshot}") {
            self.snapshot.clone().map(Resource::Snapshot)
        } else if pattern.contains("{share}") {
            self.share.clone().map(Resource::Share)
        } else if pattern.contains("{source-snapshot}") {
            self.source_snapshot.clone().map(Resource::Snapshot)
        } else if pattern.contains("{source-share}") {
            self.source_share.clone().map(Resource::Share)
        } else {
            pattern.contains("{server}").then(|| self.server.clone().map(Resource::ShareServer)).flatten()
        }
    }
}

/// A filled pattern.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) relative: String,
    /// What a new share is made from may be read, never changed.
    pub(super) is_source: bool,
    /// What the operator named in a manage call may be looked at and taken over.
    pub(super) is_managed: bool,
    pub(super) owner: Option<Resource>,
}
