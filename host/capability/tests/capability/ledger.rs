//! What the ledger holds of host calls when there are too many, or when they are cut short.

use crate::lab::{Lab, abandoned, code};
use bulkhead_capability::record::MOST_HOST_CALLS;
use bulkhead_ledger::{Ledger, LedgerKey};
use bulkhead_model::effect::{EffectOutcome, LedgerEntry};
use bulkhead_model::error::CapabilityCode;
use bulkhead_store::testing::{Commit, UnevenStore};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_loop_of_host_calls_ends_before_it_fills_the_disk() {
    let lab = Lab::new().await;
    let call = lab.call();
    for _ in 0..MOST_HOST_CALLS {
        call.config().get("greeting").await.expect("within the budget");
    }
    for _ in 0..50 {
        assert_eq!(code(call.config().get("greeting").await), CapabilityCode::LimitExceeded);
        assert_eq!(code(call.files().root_space("shares").await), CapabilityCode::LimitExceeded);
        let removed = call.files().remove(&crate::lab::data("{share}")).await;
        assert_eq!(code(removed), CapabilityCode::LimitExceeded);
    }
    lab.call().config().get("ratio").await.expect("the next call has its own budget");
    let effects = lab.last_effects(3).await;
    let found: Vec<_> = effects.iter().map(|one| (one.subject.as_str(), one.outcome)).collect();
    let expected = [
        ("greeting", EffectOutcome::Done),
        ("greeting", EffectOutcome::Failed),
        ("ratio", EffectOutcome::Done),
    ];
    assert_eq!(found, expected, "one record says that no further one was made");
}

#[tokio::test]
async fn an_effect_that_waits_for_room_in_the_ledger_outlives_its_call() {
    let (store, gate): (Arc<UnevenStore>, _) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let ledger = Ledger::open(Arc::clone(&store) as _, LedgerKey::new([7; 32])).await.expect("a ledger");
    let mut used = Some(ledger.clone());
    let lab = Lab::with(|parts| parts.ledger = used.take().expect("once")).await;
    store.then([Commit::Hold(Arc::clone(&gate))]);
    let call = lab.call();
    let mut waits = false;
    // Until the ledger's queue is full; its length is the ledger's business.
    for _ in 0..MOST_HOST_CALLS {
        if abandoned(call.config().get("ratio")).await.is_none() {
            waits = true;
            break;
        }
    }
    assert!(waits, "the ledger took all of them");
    let last = lab.call();
    assert!(abandoned(last.config().get("greeting")).await.is_none(), "there is no room");
    drop(last);
    gate.add_permits(1);
    for _ in 0..1000 {
        ledger.flush(lab.backend.name()).await.expect("a flush");
        let records = ledger.tail(Some(lab.backend.name()), 10).await.expect("records");
        let outcome = records.iter().find_map(|record| match &record.entry {
            LedgerEntry::Effect(effect) if effect.subject == "greeting" => Some(effect.outcome),
            _ => None,
        });
        if let Some(outcome) = outcome {
            assert_eq!(outcome, EffectOutcome::Done, "it was done");
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the effect is lost");
}
