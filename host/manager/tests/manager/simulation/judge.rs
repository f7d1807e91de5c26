//! The judgement at rest: what users were promised, what the records say and what the backend holds must agree.

use super::user::{Removal, Wishes};
use crate::fake::World;
use crate::house::{operator, settled};
use bulkhead_manager::{Force, Manager};
use bulkhead_model::scope::Scope;
use bulkhead_model::status::{AccessRuleState, AccessRulesStatus, ShareStatus, SnapshotStatus};
use std::collections::BTreeSet;
use std::sync::Mutex;

pub fn judge(manager: &Manager, world: &World, wishes: &Mutex<Wishes>, told: &str) {
    assert!(world.made.values().all(|times| *times == 1), "{told}: made twice: {:?}", world.made);
    assert!(world.overlaps.is_empty(), "{told}: overlapping calls: {:?}", world.overlaps);
    for operation in manager.list_operations(&Scope::Everything, 1000) {
        assert!(operation.state.is_final(), "{told}: {operation:#?}");
    }
    let wishes = wishes.lock().expect("the wishes");
    judge_shares(manager, world, &wishes, told);
    judge_snapshots(manager, world, &wishes, told);
}

fn judge_shares(manager: &Manager, world: &World, wishes: &Wishes, told: &str) {
    let shares = manager.list_shares(&Scope::Everything);
    for view in &shares {
        assert!(!view.instance.status.is_transient(), "{told}: without an owner: {view:#?}");
        let held = world.shares.get(&view.instance.id);
        if view.instance.status == ShareStatus::Available {
            assert_eq!(held.map(|held| held.size), Some(view.share.size), "{told}: size of {view:#?}");
            assert!(!view.instance.export_locations.is_empty(), "{told}: no location: {view:#?}");
        }
        let rules = manager.list_access_rules(&Scope::Everything, view.share.id).expect("the rules");
        if let (Some(held), AccessRulesStatus::Active) = (held, view.instance.access_rules_status) {
            assert!(rules.iter().all(|rule| rule.state == AccessRuleState::Active), "{told}: {rules:#?}");
            let recorded: BTreeSet<_> = rules.iter().map(|rule| rule.rule.id).collect();
            assert_eq!(held.rules.keys().copied().collect::<BTreeSet<_>>(), recorded, "{told}: {view:#?}");
        }
        let recorded: BTreeSet<_> = rules.iter().map(|rule| rule.rule.id).collect();
        if wishes.shares.get(&view.share.id) != Some(&Removal::Unasked) {
            // Its rules go before it does.
            continue;
        }
        for (id, (_, removal)) in wishes.rules.iter().filter(|(_, (share, _))| *share == view.share.id) {
            match removal {
                Removal::Unasked => assert!(recorded.contains(id), "{told}: rule {id} is lost"),
                Removal::Promised => assert!(
                    !recorded.contains(id) || view.instance.access_rules_status == AccessRulesStatus::Error,
                    "{told}: rule {id} is still there"
                ),
                Removal::Unanswered => {}
            }
        }
    }
    let listed: BTreeSet<_> = shares.iter().map(|view| view.instance.id).collect();
    let orphaned: Vec<_> = world.shares.keys().filter(|id| !listed.contains(id)).collect();
    assert!(orphaned.is_empty(), "{told}: nobody's: {orphaned:?}");
    for (id, removal) in &wishes.shares {
        let status = shares.iter().find(|view| view.share.id == *id).map(|view| view.instance.status);
        match removal {
            Removal::Unasked => assert!(status.is_some(), "{told}: share {id} is lost"),
            Removal::Promised => assert!(
                matches!(status, None | Some(ShareStatus::ErrorDeleting)),
                "{told}: share {id} is {status:?}"
            ),
            Removal::Unanswered => {}
        }
    }
}

fn judge_snapshots(manager: &Manager, world: &World, wishes: &Wishes, told: &str) {
    let snapshots = manager.list_snapshots(&Scope::Everything, None);
    for view in &snapshots {
        assert!(!view.instance.status.is_transient(), "{told}: without an owner: {view:#?}");
        if view.instance.status == SnapshotStatus::Available {
            assert!(world.snapshots.contains_key(&view.instance.id), "{told}: missing: {view:#?}");
        }
    }
    let listed: BTreeSet<_> = snapshots.iter().map(|view| view.instance.id).collect();
    let orphaned: Vec<_> = world.snapshots.keys().filter(|id| !listed.contains(id)).collect();
    assert!(orphaned.is_empty(), "{told}: nobody's: {orphaned:?}");
    for (id, removal) in &wishes.snapshots {
        let status = snapshots.iter().find(|view| view.snapshot.id == *id).map(|view| view.instance.status);
        match removal {
            Removal::Unasked => assert!(status.is_some(), "{told}: snapshot {id} is lost"),
            Removal::Promised => assert!(
                matches!(status, None | Some(SnapshotStatus::ErrorDeleting)),
                "{told}: snapshot {id} is {status:?}"
            ),
            Removal::Unanswered => {}
        }
    }
}

/// Remove everything, in any status.
pub async fn clear(manager: &Manager) {
    settled(manager).await;
    for view in manager.list_snapshots(&Scope::Everything, None) {
        manager.delete_snapshot(&operator(), view.snapshot.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
    for view in manager.list_shares(&Scope::Everything) {
        manager.delete_share(&operator(), view.share.id, Force::No).await.expect("accepted");
    }
    settled(manager).await;
}

pub fn expect_nothing_left(manager: &Manager, world: &World, told: &str) {
    assert!(manager.list_shares(&Scope::Everything).is_empty(), "{told}: shares are left");
    assert!(world.shares.is_empty() && world.snapshots.is_empty(), "{told}: something is left: {world:#?}");
}
