//! Backends that are asked again and again whether they are as the records say.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, description, open_with, operator, ready, settled, tenant, until};
use crate::managing::client;
use bulkhead_manager::{EnsureReport, Manager, ManagerSettings};
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::{BackendName, ShareInstanceId};
use bulkhead_model::scope::Scope;
use bulkhead_model::share::EnsuredShare;
use bulkhead_model::status::ShareStatus;
use std::sync::Arc;
use std::time::Duration;

pub fn nas() -> BackendName {
    "nas".parse().expect("a name")
}

/// What the driver says of a share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Sound,
    SoundWithoutRules,
    Broken,
}

fn say(driver: &FakeDriver, id: ShareInstanceId, word: Word) {
    let answer = EnsuredShare {
        id,
        export_locations: None,
        reapply_access_rules: word == Word::SoundWithoutRules,
        healthy: word != Word::Broken,
    };
    driver.ensured.lock().expect("the answers").insert(id, answer);
}

pub async fn ensured(manager: &Manager) -> EnsureReport {
    let begun = manager.ensure_backend(&operator(), &nas()).await.expect("begun");
    let request = begun.request.to_string();
    let end = || manager.show_ensuring(&nas(), &request).expect("remembered").report;
    until("it has ended", async || end().is_some()).await;
    end().expect("a report")
}

#[tokio::test]
async fn a_share_that_is_gone_is_in_error_until_it_is_sound_again() {
    let house = House::new().await;
    let share = house.share().await;
    let (id, instance) = (share.share.id, share.instance.id);
    say(&house.driver, instance, Word::Broken);
    let report = ensured(&house.manager).await;
    assert_eq!((report.asked, report.healthy, report.broken), (1, 0, vec![id]));
    assert_eq!(house.show(id).instance.status, ShareStatus::Error);
    assert!(house.show(id).instance.unsound_since.is_some());
    assert_eq!(ensured(&house.manager).await.broken, [id], "still");
    say(&house.driver, instance, Word::Sound);
    let report = ensured(&house.manager).await;
    assert_eq!((report.healthy, report.recovered), (1, vec![id]));
    assert_eq!(house.show(id).instance.status, ShareStatus::Available);
    assert_eq!(house.show(id).instance.unsound_since, None);
}

#[tokio::test]
async fn an_error_of_another_reason_is_not_healed_by_ensuring() {
    let house = House::new().await;
    let share = house.share().await;
    let id = share.share.id;
    house.manager.reset_share_status(&operator(), id, ShareStatus::Error).await.expect("set by hand");
    say(&house.driver, share.instance.id, Word::Sound);
    assert_eq!(ensured(&house.manager).await.asked, 0);
    assert_eq!(house.show(id).instance.status, ShareStatus::Error);
}

#[tokio::test]
async fn a_status_set_by_hand_ends_what_ensuring_began() {
    let house = House::new().await;
    let share = house.share().await;
    let id = share.share.id;
    say(&house.driver, share.instance.id, Word::Broken);
    ensured(&house.manager).await;
    for status in [ShareStatus::Available, ShareStatus::Error] {
        house.manager.reset_share_status(&operator(), id, status).await.expect("set by hand");
    }
    say(&house.driver, share.instance.id, Word::Sound);
    ensured(&house.manager).await;
    assert_eq!(house.show(id).instance.status, ShareStatus::Error, "somebody wanted it so");
}

#[tokio::test]
async fn rules_of_shares_and_of_their_snapshots_are_sent_again_and_a_share_as_it_was_is_not_written() {
    let house = House::new().await;
    let share = house.share().await;
    let id = share.share.id;
    let snapshot = house.snapshot(id).await.snapshot.id;
    house.rule(id, "10.0.0.1").await;
    house.manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.2")).await.expect("accepted");
    house.settled().await;
    say(&house.driver, share.instance.id, Word::SoundWithoutRules);
    assert_eq!(ensured(&house.manager).await.reapplied, [id]);
    house.settled().await;
    {
        let world = house.world.lock().expect("the world");
        assert_eq!(world.updates.last().map(|update| update.add.len()), Some(1));
        assert_eq!(world.snapshot_updates.len(), 2);
        assert_eq!(world.snapshot_updates.last().map(|update| update.add.len()), Some(1));
    }
    say(&house.driver, share.instance.id, Word::Sound);
    let before = house.show(id).instance.updated_at;
    assert_eq!(ensured(&house.manager).await.healthy, 1);
    assert_eq!(house.show(id).instance.updated_at, before);
}

#[tokio::test]
async fn an_operators_word_sends_the_rules_of_snapshots_again_though_the_share_itself_is_sound() {
    let house = House::new().await;
    let share = house.share().await;
    let snapshot = house.snapshot(share.share.id).await.snapshot.id;
    house.manager.allow_snapshot_access(&tenant(), snapshot, client("10.0.0.2")).await.expect("accepted");
    house.settled().await;
    say(&house.driver, share.instance.id, Word::Sound);
    assert!(ensured(&house.manager).await.reapplied.is_empty());
    house.settled().await;
    let sent = || house.world.lock().expect("the world").snapshot_updates.len();
    assert_eq!(sent(), 2);
    say(&house.driver, share.instance.id, Word::Broken);
    ensured(&house.manager).await;
    house.settled().await;
    assert_eq!(sent(), 2, "there is nothing to mount");
}

/// Contract M-10.
#[tokio::test]
async fn a_failure_is_told_and_shares_stay_as_they_are() {
    let house = House::new().await;
    let share = house.share().await;
    house.driver.then("ensure-shares", Act::Fail(answered(DriverErrorCode::BackendFailed)));
    let report = ensured(&house.manager).await;
    assert_eq!(report.failure.map(|failure| failure.code).as_deref(), Some("backend-failed"));
    assert_eq!(house.show(share.share.id).instance.status, ShareStatus::Available);
}

#[tokio::test]
async fn it_is_done_again_and_again_by_itself() {
    let house = House::new().await;
    let share = house.share().await;
    house.manager.drain(Duration::from_secs(5)).await;
    let often = |settings: &mut ManagerSettings| {
        settings.reconcile_period = Duration::from_millis(1);
    };
    let manager = open_with(Arc::clone(&house.store) as Arc<_>, often).await;
    manager.attach(description("nas", 1), house.driver.clone());
    ready(&manager, "nas").await;
    say(&house.driver, share.instance.id, Word::Broken);
    let status =
        || manager.show_share(&Scope::Everything, share.share.id).expect("the share").instance.status;
    until("it is found broken", async || status() == ShareStatus::Error).await;
    say(&house.driver, share.instance.id, Word::Sound);
    until("it is found sound", async || status() == ShareStatus::Available).await;
    settled(&manager).await;
}

/// Contract M-10: a start of the machine may have undone what no fingerprint tells of.
#[tokio::test]
async fn shares_that_a_known_fingerprint_passed_over_are_asked_about_soon_after_the_start() {
    let house = House::with(|driver| driver.fingerprint = Some("1".to_owned())).await;
    let share = house.share().await;
    house.manager.drain(Duration::from_secs(5)).await;
    let mut driver = FakeDriver::new(&house.world);
    driver.fingerprint = Some("1".to_owned());
    let driver = Arc::new(driver);
    say(&driver, share.instance.id, Word::Broken);
    let soon = |settings: &mut ManagerSettings| settings.first_reconcile = Duration::from_millis(1);
    let manager = open_with(Arc::clone(&house.store) as Arc<_>, soon).await;
    manager.attach(description("nas", 1), Arc::clone(&driver) as Arc<_>);
    ready(&manager, "nas").await;
    let status =
        || manager.show_share(&Scope::Everything, share.share.id).expect("the share").instance.status;
    until("it is found broken", async || status() == ShareStatus::Error).await;
    say(&driver, share.instance.id, Word::Sound);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(status(), ShareStatus::Error, "what was answered once waits for the period");
}

#[tokio::test]
async fn shares_that_the_driver_leaves_out_at_the_start_are_asked_about_until_it_answers() {
    let house = House::new().await;
    let share = house.share().await;
    house.manager.drain(Duration::from_secs(5)).await;
    let soon = |settings: &mut ManagerSettings| settings.first_reconcile = Duration::from_millis(1);
    let manager = open_with(Arc::clone(&house.store) as Arc<_>, soon).await;
    let driver = Arc::new(FakeDriver::new(&house.world));
    manager.attach(description("nas", 1), Arc::clone(&driver) as Arc<_>);
    ready(&manager, "nas").await;
    let last = || manager.show_backend(&nas()).expect("the backend").last_ensured;
    let report = || last().and_then(|view| view.report);
    until("it was left out", async || report().is_some_and(|report| report.unanswered == 1)).await;
    say(&driver, share.instance.id, Word::Sound);
    until("it is answered", async || report().is_some_and(|report| report.healthy == 1)).await;
    let answered = last();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(last(), answered, "the next one is due in five minutes");
}

#[tokio::test]
async fn another_fingerprint_is_an_occasion_of_its_own() {
    let house = House::new().await;
    house.share().await;
    house.manager.drain(Duration::from_secs(5)).await;
    let often = |settings: &mut ManagerSettings| {
        settings.statistics_period = Duration::from_millis(1);
    };
    let manager = open_with(Arc::clone(&house.store) as Arc<_>, often).await;
    let mut driver = FakeDriver::new(&house.world);
    driver.fingerprint = Some("1".to_owned());
    let driver = Arc::new(driver);
    manager.attach(description("nas", 1), Arc::clone(&driver) as Arc<_>);
    ready(&manager, "nas").await;
    assert!(manager.show_backend(&nas()).expect("the backend").last_ensured.is_none());
    *driver.next_fingerprint.lock().expect("the fingerprint") = Some("2".to_owned());
    let last = || manager.show_backend(&nas()).expect("the backend").last_ensured;
    until("it is ensured", async || last().is_some()).await;
    assert_eq!(last().map(|view| view.occasion.to_string()).as_deref(), Some("changed"));
}
