//! Backend files: what a new, changed, bad or missing one does.

use super::{FILE, Room};
use crate::fake::Act;
use crate::house::{operator, ready, until};
use crate::shelf::{current, generation, generations, nas, package, refusal, swap};
use bulkhead_manager::GenerationState::{Current, Failed};
use bulkhead_manager::{BackendFailure, BackendState, ChangeState, Detach, Offer, Origin, Step};
use bulkhead_model::error::Blame;
use bulkhead_model::id::{Digest, GenerationNumber};
use std::path::PathBuf;
use std::sync::Arc;

#[tokio::test]
async fn a_file_that_changed_while_the_daemon_was_down_makes_a_new_generation_at_the_start() {
    let mut room = Room::new().await;
    room.shelf.write(FILE, "/2.wasm", "");
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("the new one is current", async || current(&room.manager) == Some(2)).await;
}

#[tokio::test]
async fn what_the_vendor_does_to_its_file_changes_nothing_before_somebody_asks() {
    let mut room = Room::new().await;
    room.shelf.put("/1.wasm", 5);
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
    assert_eq!(
        (current(&room.manager), generation(&room.manager, 1).identity.package),
        (Some(1), package(1))
    );
    assert_eq!(swap(&room.manager, None).await.state, ChangeState::Done);
    assert_eq!(
        (current(&room.manager), generation(&room.manager, 2).identity.package),
        (Some(2), package(5))
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_taken_is_shown_and_taken_as_soon_as_it_can_be() {
    let room = Room::new().await;
    room.shelf.fail(2, Step::Link, refusal("root-unusable"));
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it has failed twice", async || {
        room.words().await.iter().filter(|(_, words)| words.contains("root-unusable")).count() >= 2
    })
    .await;
    assert_eq!(generations(&room.manager), [(1, Current), (2, Failed)], "the number is kept for its repeats");
    room.shelf.heal(2);
    until("it is current", async || current(&room.manager) == Some(2)).await;
}

#[tokio::test]
async fn a_driver_that_is_to_blame_is_not_tried_again_beside_one_that_serves() {
    let room = Room::new().await;
    let failure = BackendFailure { blame: Blame::Driver, ..refusal("driver-invalid") };
    room.shelf.fail(2, Step::Verify, failure);
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    let failures =
        async || room.words().await.iter().filter(|(_, words)| words.contains("verify failed")).count();
    until("it has failed", async || failures().await == 1).await;
    // A repeat would have come after a millisecond.
    swap(&room.manager, Some("/3.wasm")).await;
    assert_eq!(failures().await, 1);
    assert_eq!(current(&room.manager), Some(2));
}

#[tokio::test]
async fn a_command_overrules_a_file_that_could_not_be_taken_also_after_a_restart() {
    let mut room = Room::new().await;
    swap(&room.manager, Some("/2.wasm")).await;
    room.shelf.fail(3, Step::Link, refusal("root-unusable"));
    room.shelf.write(FILE, "/3.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it has failed", async || generations(&room.manager).len() == 3).await;
    // The file's own attempts come in between.
    until("there is a gap between two attempts", async || {
        let to = Some(GenerationNumber(1));
        room.manager.roll_back_backend(&operator(), &nas(), to).await.is_ok()
    })
    .await;
    until("the first is current", async || current(&room.manager) == Some(1)).await;
    room.shelf.heal(3);
    room.restart().await;
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
    assert_eq!(current(&room.manager), Some(1));
}

#[tokio::test]
async fn content_that_comes_while_other_content_is_on_its_way_is_taken_after_it() {
    let room = Room::new().await;
    let hold = Arc::new(tokio::sync::Semaphore::new(0));
    let held = hold.clone();
    room.shelf.prepare(2, move |driver| driver.then("setup", Act::Hold(held.clone())));
    let first = room.shelf.offer(FILE);
    room.shelf.write(FILE, "/2.wasm", "");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    until("it is at set-up", async || {
        room.manager
            .show_backend(&nas())
            .expect("shown")
            .last_change
            .is_some_and(|one| one.step == Step::Setup)
    })
    .await;
    room.manager.offer_backend(&nas(), first);
    hold.add_permits(1);
    until("the content that came last is current", async || current(&room.manager) == Some(3)).await;
    assert_eq!(generation(&room.manager, 3).identity.package, package(1));
}

#[tokio::test]
async fn an_unreadable_file_is_shown_and_changes_nothing() {
    let room = Room::new().await;
    let origin = Origin { file: PathBuf::from(FILE), content: Digest::from_bytes([99; 32]) };
    room.manager.offer_backend(&nas(), Offer { origin, written: Err(refusal("configuration-invalid")) });
    let view = room.manager.show_backend(&nas()).expect("the backend");
    assert_eq!(view.state, BackendState::Ready);
    assert_eq!(view.last_change.and_then(|change| change.failure), Some(refusal("configuration-invalid")));
    assert_eq!(current(&room.manager), Some(1));
}

#[tokio::test]
async fn a_file_that_comes_back_after_it_was_gone_is_a_new_one() {
    let room = Room::new().await;
    room.manager.withdraw_offer(&nas()).await.expect("recorded");
    room.manager.unload_backend(&operator(), &nas(), Detach::Nothing).await.expect("it is empty");
    room.manager.offer_backend(&nas(), room.shelf.offer(FILE));
    ready(&room.manager, "nas").await;
}
