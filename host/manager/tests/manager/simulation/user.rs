//! Users: each asks for one thing after the other, and remembers what was promised.

use crate::house::{gib, new_rule, new_share, new_snapshot, operator, tenant};
use crate::managing::by_hand;
use bulkhead_manager::{Force, Manager, ManagerError, NewShare, ShareView, Update};
use bulkhead_model::id::{AccessRuleId, ShareId, SnapshotId};
use bulkhead_model::scope::Scope;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// More shares than this are not made.
const MOST_SHARES: usize = 10;
const WISHES: usize = 30;

/// What became of the wish that something be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Nobody wished it.
    Unasked,
    /// It was asked for, and the daemon died before it answered.
    Unanswered,
    /// It was promised.
    Promised,
}

/// What was promised to users.
#[derive(Debug, Default)]
pub struct Wishes {
    pub shares: BTreeMap<ShareId, Removal>,
    pub snapshots: BTreeMap<SnapshotId, Removal>,
    pub rules: BTreeMap<AccessRuleId, (ShareId, Removal)>,
    pub requests: u64,
    pub refusals: u64,
}

/// Ask for thirty things, one after the other.
pub async fn ask(manager: &Manager, wishes: &Mutex<Wishes>, mut chance: fastrand::Rng) {
    for _ in 0..WISHES {
        tokio::time::sleep(Duration::from_millis(chance.u64(0..8))).await;
        wishes.lock().expect("the wishes").requests += 1;
        if wish(manager, wishes, &mut chance).await.is_err() {
            wishes.lock().expect("the wishes").refusals += 1;
        }
    }
}

async fn wish(
    manager: &Manager,
    wishes: &Mutex<Wishes>,
    chance: &mut fastrand::Rng,
) -> Result<(), ManagerError> {
    let shares = manager.list_shares(&Scope::Everything);
    let Some(view) = chance.choice(&shares) else { return create(manager, wishes, new_share(2)).await };
    let (id, size) = (view.share.id, view.share.size.get());
    match chance.u8(0..17) {
        0..=2 if shares.len() < MOST_SHARES => create(manager, wishes, new_share(chance.u64(1..4))).await,
        3 if shares.len() < MOST_SHARES => take_over(manager, wishes, chance).await,
        0..=3 => remove(manager, wishes, id).await,
        4 => manager.extend_share(&tenant(), id, gib(size + 1)).await.map(drop),
        5 => manager.shrink_share(&tenant(), id, gib(size.saturating_sub(1).max(1))).await.map(drop),
        6..=8 => let_in(manager, wishes, view, chance).await,
        9 | 10 => shut_out(manager, wishes, id, chance).await,
        11 | 12 => {
            let taken = manager.create_snapshot(&tenant(), new_snapshot(id)).await?;
            wishes.lock().expect("the wishes").snapshots.insert(taken.snapshot.id, Removal::Unasked);
            Ok(())
        }
        13 => {
            let tier = chance.u8(..).to_string();
            let metadata = Some(BTreeMap::from([("tier".to_owned(), tier)]));
            manager.update_share(&operator(), id, Update { metadata, ..Update::default() }).await.map(drop)
        }
        _ => with_snapshot(manager, wishes, shares.len(), chance).await,
    }
}

async fn create(manager: &Manager, wishes: &Mutex<Wishes>, new: NewShare) -> Result<(), ManagerError> {
    let made = manager.create_share(&tenant(), new).await?;
    wishes.lock().expect("the wishes").shares.insert(made.share.id, Removal::Unasked);
    Ok(())
}

async fn take_over(
    manager: &Manager,
    wishes: &Mutex<Wishes>,
    chance: &mut fastrand::Rng,
) -> Result<(), ManagerError> {
    let name = chance.u64(..).to_string();
    let taken = manager.manage_share(&operator(), by_hand(&name)).await?;
    wishes.lock().expect("the wishes").shares.insert(taken.share.id, Removal::Unasked);
    Ok(())
}

async fn remove(manager: &Manager, wishes: &Mutex<Wishes>, id: ShareId) -> Result<(), ManagerError> {
    let before = wishes.lock().expect("the wishes").shares.insert(id, Removal::Unanswered);
    let answer = manager.delete_share(&operator(), id, Force::No).await;
    let after = if answer.is_ok() { Some(Removal::Promised) } else { before };
    wishes.lock().expect("the wishes").shares.insert(id, after.unwrap_or(Removal::Unanswered));
    answer
}

async fn let_in(
    manager: &Manager,
    wishes: &Mutex<Wishes>,
    view: &ShareView,
    chance: &mut fastrand::Rng,
) -> Result<(), ManagerError> {
    let rule = new_rule(&format!("10.0.0.{}", chance.u8(1..200)));
    let made = manager.allow_access(&operator(), view.share.id, rule).await?;
    let entry = (view.share.id, Removal::Unasked);
    wishes.lock().expect("the wishes").rules.insert(made.rule.id, entry);
    Ok(())
}

async fn shut_out(
    manager: &Manager,
    wishes: &Mutex<Wishes>,
    share: ShareId,
    chance: &mut fastrand::Rng,
) -> Result<(), ManagerError> {
    let rules = manager.list_access_rules(&Scope::Everything, share)?;
    let Some(rule) = chance.choice(&rules).map(|rule| rule.rule.id) else { return Ok(()) };
    let before = wishes.lock().expect("the wishes").rules.insert(rule, (share, Removal::Unanswered));
    let answer = manager.deny_access(&operator(), share, rule).await;
    let after = if answer.is_ok() { Some((share, Removal::Promised)) } else { before };
    wishes.lock().expect("the wishes").rules.insert(rule, after.unwrap_or((share, Removal::Unanswered)));
    answer
}

/// Something that takes a snapshot: going back to it, a share made from it, its removal.
async fn with_snapshot(
    manager: &Manager,
    wishes: &Mutex<Wishes>,
    shares: usize,
    chance: &mut fastrand::Rng,
) -> Result<(), ManagerError> {
    let snapshots = manager.list_snapshots(&Scope::Everything, None);
    let Some(view) = chance.choice(&snapshots) else { return Ok(()) };
    let (id, share) = (view.snapshot.id, view.snapshot.share);
    match chance.u8(0..4) {
        0 => manager.revert_share(&operator(), share, id).await.map(drop),
        1 if shares < MOST_SHARES => {
            create(manager, wishes, NewShare { source_snapshot: Some(id), ..new_share(3) }).await
        }
        _ => {
            let before = wishes.lock().expect("the wishes").snapshots.insert(id, Removal::Unanswered);
            let answer = manager.delete_snapshot(&operator(), id, Force::No).await;
            let after = if answer.is_ok() { Some(Removal::Promised) } else { before };
            wishes.lock().expect("the wishes").snapshots.insert(id, after.unwrap_or(Removal::Unanswered));
            answer
        }
    }
}
