//! What each function is about, derived from its arguments here and nowhere else: no caller can widen the rights of a call by mistake.

use bulkhead_model::access::{AccessLevel, AccessRule, AccessUpdate};
use bulkhead_model::id::{ShareInstanceId, ShareServerId};
use bulkhead_model::migration::ShareMigration;
use bulkhead_model::network::SealedText;
use bulkhead_model::replica::{
    Promotion, Replica, ReplicaRemoval, ReplicaSnapshot, ReplicaView, ReplicatedReversion, ReplicatedSnapshot,
};
use bulkhead_model::share::{PendingWork, RevertRules, ShareForDriver};
use bulkhead_model::share_group::{GroupShareSource, ShareGroupForDriver, ShareGroupSnapshotForDriver};
use bulkhead_model::share_server::{
    ManagedServer, ServerChoiceForGroup, ServerChoiceForShare, ServerForDriver,
};
use bulkhead_model::snapshot::{SnapshotAccessUpdate, SnapshotForDriver};
use bulkhead_model::target::{CallTarget, ManagedName, TargetSnapshot};
use std::collections::{BTreeMap, BTreeSet};

/// One share, and the server it lives on.
pub(crate) fn share(share: &ShareForDriver) -> CallTarget {
    CallTarget {
        servers: servers([share]),
        hosts: hosts([share]),
        service_passwords: service_passwords([share]),
        ..CallTarget::share(share.id)
    }
}

/// A batch of shares: none of them is the subject, each is named by the guest.
pub(crate) fn shares(shares: &[ShareForDriver]) -> CallTarget {
    CallTarget {
        shares: shares.iter().map(|share| share.id).collect(),
        servers: servers(shares),
        hosts: hosts(shares),
        service_passwords: service_passwords(shares),
        ..CallTarget::default()
    }
}

/// A share with the rules that shall be in force.
pub(crate) fn access(share: &ShareForDriver, update: &AccessUpdate) -> CallTarget {
    CallTarget { access_rules: Some(update.rules.clone()), ..self::share(share) }
}

/// A snapshot of a share, and the server that lives on.
pub(crate) fn snapshot(snapshot: &SnapshotForDriver) -> CallTarget {
    CallTarget {
        servers: servers([&snapshot.share]),
        hosts: hosts([&snapshot.share]),
        service_passwords: service_passwords([&snapshot.share]),
        ..CallTarget::snapshot(snapshot.id, snapshot.share.id)
    }
}

/// The servers that these shares live on, each once.
fn servers<'a>(shares: impl IntoIterator<Item = &'a ShareForDriver>) -> Vec<ShareServerId> {
    let all: BTreeSet<_> = shares.into_iter().filter_map(|share| Some(share.server.as_ref()?.id)).collect();
    all.into_iter().collect()
}

/// Which server each of these shares lives on.
fn hosts<'a>(
    shares: impl IntoIterator<Item = &'a ShareForDriver>,
) -> BTreeMap<ShareInstanceId, ShareServerId> {
    shares.into_iter().filter_map(|share| Some((share.id, share.server.as_ref()?.id))).collect()
}

/// What the services of each of these shares' servers may say, and nobody is told.
fn service_passwords<'a>(
    shares: impl IntoIterator<Item = &'a ShareForDriver>,
) -> BTreeMap<ShareServerId, BTreeMap<String, SealedText>> {
    let servers = shares.into_iter().filter_map(|share| share.server.as_ref());
    let with_any = servers.filter(|server| !server.passwords.is_empty());
    with_any.map(|server| (server.id, server.passwords.clone())).collect()
}

/// A share, and the servers that it may go to.
pub(crate) fn server_for_share(choice: &ServerChoiceForShare) -> CallTarget {
    let target = match &choice.source {
        Some(source) => share_from_snapshot(&choice.share, source),
        None => share(&choice.share),
    };
    CallTarget { servers: choice.candidates.iter().map(|server| server.id).collect(), ..target }
}

/// A group, and the servers that it may go to.
pub(crate) fn server_for_group(choice: &ServerChoiceForGroup) -> CallTarget {
    CallTarget { servers: choice.candidates.iter().map(|server| server.id).collect(), ..group(&choice.group) }
}

/// A server with everything on it, for a change of its network: each share and snapshot is named beside it.
pub(crate) fn server_with(
    server: &ServerForDriver,
    shares: &[ShareForDriver],
    snapshots: &[SnapshotForDriver],
) -> CallTarget {
    CallTarget {
        shares: shares.iter().map(|share| share.id).collect(),
        snapshots: snapshots.iter().map(instance).collect(),
        servers: vec![server.id],
        whole_server: Some(server.id),
        hosts: hosts(shares),
        service_passwords: service_passwords(shares),
        ..CallTarget::default()
    }
}

/// A server, and what the operator named for it, if that can be a part of a path.
pub(crate) fn managed_server(server: &ServerForDriver, managed: &ManagedServer) -> CallTarget {
    CallTarget { managed: managed.identifier.parse().ok(), ..CallTarget::server(server.id) }
}

/// A new share and the snapshot it is made from, which may be read only.
pub(crate) fn share_from_snapshot(share: &ShareForDriver, source: &SnapshotForDriver) -> CallTarget {
    let source = TargetSnapshot { snapshot: source.id, share: source.share.id };
    CallTarget { source: Some(source), ..self::share(share) }
}

/// A snapshot, the share that is put back to it, and that share's rules.
pub(crate) fn revert(snapshot: &SnapshotForDriver, rules: &RevertRules) -> CallTarget {
    CallTarget { access_rules: Some(rules.share.clone()), ..self::snapshot(snapshot) }
}

/// A share that its backend makes or reverts by itself: with the snapshot it is made from, which may be read only, or is put back to.
pub(crate) fn pending(share: &ShareForDriver, work: &PendingWork) -> CallTarget {
    match *work {
        PendingWork::Creation(source) => CallTarget { source: Some(source), ..self::share(share) },
        PendingWork::Revert(snapshot) => CallTarget { snapshots: vec![snapshot], ..self::share(share) },
    }
}

/// A share, and what the operator named for it.
pub(crate) fn managed_share(share: &ShareForDriver, managed: &ManagedName) -> CallTarget {
    CallTarget { managed: Some(managed.clone()), ..self::share(share) }
}

/// A snapshot, and what the operator named for it.
pub(crate) fn managed_snapshot(snapshot: &SnapshotForDriver, managed: &ManagedName) -> CallTarget {
    CallTarget { managed: Some(managed.clone()), ..self::snapshot(snapshot) }
}

/// A snapshot with the rules that shall be in force, all read only.
pub(crate) fn snapshot_access(snapshot: &SnapshotForDriver, update: &SnapshotAccessUpdate) -> CallTarget {
    let read_only = |rule: &AccessRule| AccessRule { level: AccessLevel::Ro, ..rule.clone() };
    CallTarget {
        access_rules: Some(update.rules.iter().map(read_only).collect()),
        ..self::snapshot(snapshot)
    }
}

/// A replica, the others of its share, and the snapshots on both it and the active one.
pub(crate) fn replica(view: &ReplicaView) -> CallTarget {
    let pairs = view.snapshots.iter().flat_map(|pair| [&pair.replica, &pair.active]);
    CallTarget {
        access_rules: Some(view.access_rules.clone()),
        ..of_replica(&view.replica, &view.replicas, pairs)
    }
}

/// A replica to be removed, the others of its share, and its own snapshots.
pub(crate) fn removal(removal: &ReplicaRemoval) -> CallTarget {
    of_replica(&removal.replica, &removal.replicas, &removal.snapshots)
}

/// A replica to be promoted, the others of its share, all their snapshots, and the rules that shall be in force.
pub(crate) fn promotion(promotion: &Promotion) -> CallTarget {
    let snapshots = promotion.snapshots.iter().map(|one| &one.snapshot);
    CallTarget {
        access_rules: Some(promotion.access_rules.clone()),
        ..of_replica(&promotion.replica, &promotion.replicas, snapshots)
    }
}

/// A snapshot on all replicas; the subject is its instance on `subject`.
pub(crate) fn replicated_snapshot(
    snapshot: &ReplicatedSnapshot,
    subject: Option<ShareInstanceId>,
) -> CallTarget {
    let is_subject = |one: &&ReplicaSnapshot| Some(one.snapshot.share.id) == subject;
    let (first, others): (Vec<_>, Vec<_>) = snapshot.snapshots.iter().partition(is_subject);
    CallTarget {
        snapshots: first.iter().chain(&others).map(|one| instance(&one.snapshot)).collect(),
        replicas: ids(&snapshot.replicas),
        servers: servers(snapshot.replicas.iter().map(|replica| &replica.share)),
        hosts: hosts(snapshot.replicas.iter().map(|replica| &replica.share)),
        service_passwords: service_passwords(snapshot.replicas.iter().map(|replica| &replica.share)),
        ..CallTarget::default()
    }
}

/// A snapshot on all replicas, the active one of which is put back to it, and that one's rules.
pub(crate) fn replicated_revert(reversion: &ReplicatedReversion) -> CallTarget {
    let snapshot =
        ReplicatedSnapshot { replicas: reversion.replicas.clone(), snapshots: reversion.snapshots.clone() };
    CallTarget {
        access_rules: Some(reversion.share_rules.clone()),
        ..replicated_snapshot(&snapshot, Some(reversion.active_replica.share.id))
    }
}

/// A share on its way: the source is the subject; what it becomes, and both sides of each snapshot that moves along, are named beside it.
/// Both instances count as one share, so that one command may read one and write the other.
pub(crate) fn migration(migration: &ShareMigration) -> CallTarget {
    let sides = migration.snapshots.iter().flat_map(|mapping| [&mapping.source, &mapping.destination]);
    CallTarget {
        snapshots: sides.map(instance).collect(),
        replicas: vec![migration.source.id, migration.destination.id],
        servers: servers([&migration.source, &migration.destination]),
        hosts: hosts([&migration.source, &migration.destination]),
        service_passwords: service_passwords([&migration.source, &migration.destination]),
        ..CallTarget::share(migration.source.id)
    }
}

/// A group, and the shares it has.
pub(crate) fn group(group: &ShareGroupForDriver) -> CallTarget {
    CallTarget {
        shares: group.shares.iter().map(|share| share.id).collect(),
        group: Some(group.id),
        servers: server_of(group),
        hosts: hosts(&group.shares),
        service_passwords: service_passwords(&group.shares),
        ..CallTarget::default()
    }
}

/// A group, its new shares, and the member that each is made from, which may be read only.
pub(crate) fn group_from_snapshot(group: &ShareGroupForDriver, sources: &[GroupShareSource]) -> CallTarget {
    CallTarget {
        shares: sources.iter().map(|source| source.share.id).collect(),
        group: Some(group.id),
        servers: server_of(group),
        hosts: hosts(sources.iter().map(|source| &source.share)),
        service_passwords: service_passwords(sources.iter().map(|source| &source.share)),
        sources: sources.iter().map(|source| (source.share.id, instance(&source.member))).collect(),
        ..CallTarget::default()
    }
}

/// A group, and the members of a snapshot of it.
pub(crate) fn group_snapshot(snapshot: &ShareGroupSnapshotForDriver) -> CallTarget {
    CallTarget {
        snapshots: snapshot.members.iter().map(instance).collect(),
        group: Some(snapshot.group.id),
        servers: server_of(&snapshot.group),
        hosts: hosts(snapshot.members.iter().map(|member| &member.share)),
        service_passwords: service_passwords(snapshot.members.iter().map(|member| &member.share)),
        ..CallTarget::default()
    }
}

fn server_of(group: &ShareGroupForDriver) -> Vec<ShareServerId> {
    group.server.iter().map(|server| server.id).collect()
}

fn of_replica<'a>(
    subject: &Replica,
    all: &[Replica],
    snapshots: impl IntoIterator<Item = &'a SnapshotForDriver>,
) -> CallTarget {
    CallTarget {
        snapshots: snapshots.into_iter().map(instance).collect(),
        replicas: ids(all),
        servers: servers(all.iter().map(|replica| &replica.share)),
        hosts: hosts(all.iter().map(|replica| &replica.share)),
        service_passwords: service_passwords(all.iter().map(|replica| &replica.share)),
        ..CallTarget::share(subject.share.id)
    }
}

fn ids(replicas: &[Replica]) -> Vec<ShareInstanceId> {
    replicas.iter().map(|replica| replica.share.id).collect()
}

fn instance(snapshot: &SnapshotForDriver) -> TargetSnapshot {
    TargetSnapshot { snapshot: snapshot.id, share: snapshot.share.id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use bulkhead_model::target::Resource;

    #[test]
    fn the_source_of_a_new_share_is_no_target_of_its_own() {
        let (share, source) = (fixture::share(), fixture::snapshot());
        let target = share_from_snapshot(&share, &source);
        assert_eq!(target.subject(), Some(Resource::Share(share.id)));
        assert!(target.names(Some(Resource::Snapshot(source.id))).is_err());
        assert!(target.names(Some(Resource::Share(source.share.id))).is_err());
    }

    #[test]
    fn pending_work_is_a_matter_of_the_share_with_the_snapshot_of_its_operation_beside_it() {
        let snapshot = fixture::snapshot();
        let share = snapshot.share.clone();
        let of = TargetSnapshot { snapshot: snapshot.id, share: share.id };
        let target = pending(&share, &PendingWork::Revert(of));
        assert_eq!(target.subject(), Some(Resource::Share(share.id)));
        let names = target.names(Some(Resource::Snapshot(snapshot.id))).expect("of the target");
        assert_eq!(names.share, Some(share.id));
        let new = fixture::share();
        let target = pending(&new, &PendingWork::Creation(of));
        assert_eq!(target.subject(), Some(Resource::Share(new.id)));
        assert_eq!(target.names(None).map(|names| names.source_snapshot), Ok(Some(snapshot.id)));
        assert!(target.names(Some(Resource::Snapshot(snapshot.id))).is_err(), "read only");
    }

    #[test]
    fn the_passwords_of_a_shares_server_come_with_it_and_nobody_refers_to_them() {
        let passwords = BTreeMap::from([("domain".to_owned(), SealedText::new("sealed".to_owned()))]);
        let server = ServerForDriver { passwords: passwords.clone(), ..fixture::server() };
        let expected = BTreeMap::from([(server.id, passwords)]);
        let on_server = ShareForDriver { server: Some(server), ..fixture::share() };
        let of_many = shares(&[on_server.clone(), fixture::share()]);
        for target in [share(&on_server), of_many] {
            assert_eq!((target.service_passwords, target.passwords), (expected.clone(), BTreeMap::new()));
        }
    }

    #[test]
    fn the_rules_of_a_snapshot_reach_templates_read_only() {
        let update = SnapshotAccessUpdate { rules: vec![fixture::rule()], ..SnapshotAccessUpdate::default() };
        let rules = snapshot_access(&fixture::snapshot(), &update).access_rules.expect("rules");
        assert!(rules.iter().all(|rule| rule.level == AccessLevel::Ro) && rules.len() == 1);
    }

    #[test]
    fn what_is_taken_over_is_named_beside_what_it_becomes() {
        let (share, managed) = (fixture::share(), "old".parse::<ManagedName>().expect("a name"));
        let names = managed_share(&share, &managed).names(None).expect("names");
        assert_eq!((names.share, names.managed), (Some(share.id), Some(managed)));
    }

    #[test]
    fn a_call_about_a_replica_names_it_the_others_and_their_snapshots() {
        let view = fixture::replica_view();
        let target = replica(&view);
        assert_eq!(target.subject(), Some(Resource::Share(view.replica.share.id)));
        for other in &view.replicas {
            assert!(target.names(Some(Resource::Share(other.share.id))).is_ok());
        }
        assert!(target.names(Some(Resource::Snapshot(view.snapshots[0].active.id))).is_ok());
        assert_eq!(target.access_rules, Some(view.access_rules.clone()));
        assert!(target.names(Some(Resource::Share(fixture::share().id))).is_err());
    }

    #[test]
    fn the_subject_of_a_replicated_snapshot_is_its_instance_on_that_replica() {
        let snapshot = fixture::replicated_snapshot();
        for one in &snapshot.snapshots {
            let target = replicated_snapshot(&snapshot, Some(one.snapshot.share.id));
            assert_eq!(target.subject(), Some(Resource::Snapshot(one.snapshot.id)));
            assert_eq!(target.snapshots.len(), 2);
        }
    }

    #[test]
    fn a_migration_names_both_sides_of_the_share_and_of_its_snapshots_and_nothing_else() {
        let moving = fixture::migration();
        let target = migration(&moving);
        assert_eq!(target.subject(), Some(Resource::Share(moving.source.id)));
        assert!(target.is_one_share(Some(moving.source.id), Some(moving.destination.id)));
        assert!(target.names(Some(Resource::Share(moving.destination.id))).is_ok());
        let twin = &moving.snapshots[0].destination;
        let names = target.names(Some(Resource::Snapshot(twin.id))).expect("a twin");
        assert_eq!(names.share, Some(moving.destination.id));
        assert!(target.names(Some(Resource::Share(fixture::share().id))).is_err());
        assert!(target.names(Some(Resource::Snapshot(fixture::snapshot().id))).is_err());
    }

    #[test]
    fn a_call_about_a_group_names_its_members_and_no_share_outside_it() {
        let snapshot = fixture::group_snapshot();
        let target = group_snapshot(&snapshot);
        assert_eq!(target.subject(), Some(Resource::ShareGroup(snapshot.group.id)));
        for member in &snapshot.members {
            let names = target.names(Some(Resource::Snapshot(member.id))).expect("a member");
            assert_eq!(names.share, Some(member.share.id));
        }
        assert!(target.names(Some(Resource::Share(fixture::share().id))).is_err());
        let sources = fixture::sources(&snapshot);
        let target = group_from_snapshot(&snapshot.group, &sources);
        assert!(target.names(Some(Resource::Snapshot(snapshot.members[0].id))).is_err(), "read only");
        let names = target.names(Some(Resource::Share(sources[0].share.id))).expect("a new share");
        assert_eq!(names.source_snapshot, Some(snapshot.members[0].id));
    }

    #[test]
    fn a_call_about_a_share_names_the_server_it_lives_on_and_no_other() {
        let (server, foreign) = (fixture::server(), fixture::server());
        let living = ShareForDriver { server: Some(server.clone()), ..fixture::share() };
        let of_it = SnapshotForDriver { share: living.clone(), ..fixture::snapshot() };
        for target in [share(&living), shares(std::slice::from_ref(&living)), snapshot(&of_it)] {
            assert!(target.names(Some(Resource::ShareServer(server.id))).is_ok());
            assert!(target.names(Some(Resource::ShareServer(foreign.id))).is_err());
            assert_ne!(target.subject(), Some(Resource::ShareServer(server.id)));
            let names = target.names(Some(Resource::Share(living.id))).expect("of the target");
            assert_eq!(names.server, Some(server.id), "its paths may name it");
        }
    }

    #[test]
    fn a_choice_names_the_candidates_beside_the_share_or_group() {
        let candidates = vec![fixture::server(), fixture::server()];
        let group = fixture::group_snapshot().group;
        let for_share = ServerChoiceForShare {
            candidates: candidates.clone(),
            share: fixture::share(),
            source: None,
            group: None,
        };
        let for_group = ServerChoiceForGroup { candidates: candidates.clone(), group, source: None };
        for target in [server_for_share(&for_share), server_for_group(&for_group)] {
            for candidate in &candidates {
                assert!(target.names(Some(Resource::ShareServer(candidate.id))).is_ok());
            }
            assert!(target.names(Some(Resource::ShareServer(fixture::server().id))).is_err());
        }
    }

    #[test]
    fn a_revert_carries_the_rules_of_the_share_only() {
        let rules = RevertRules { share: vec![fixture::rule()], snapshot: vec![fixture::rule()] };
        assert_eq!(revert(&fixture::snapshot(), &rules).access_rules, Some(rules.share.clone()));
    }
}
