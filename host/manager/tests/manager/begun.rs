//! What `repeat = "once"` leaves in the store goes when nothing can repeat it any more.

use crate::fake::{Act, FakeDriver, answered};
use crate::house::{House, description, new_rule, new_share, open_with, ready, settled, tenant, until};
use bulkhead_manager::Manager;
use bulkhead_model::error::DriverErrorCode;
use bulkhead_model::id::OperationId;
use bulkhead_model::operation::OperationState;
use bulkhead_model::scope::Scope;
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

async fn leave(store: &MemoryStore, backend: &str, operation: OperationId) -> Key {
    let key = Key::new(&["begun", backend, &operation.to_string(), "template", "slots"]);
    let transaction = Transaction::default().put(key.clone(), b"{}".to_vec());
    store.commit(transaction).await.expect("written");
    key
}

fn newest(manager: &Manager) -> OperationId {
    manager.list_operations(&Scope::Everything, 1).first().expect("an operation").id
}

async fn is_gone(store: &MemoryStore, key: &Key) -> bool {
    store.get(key).await.expect("read").is_none()
}

#[tokio::test]
async fn it_goes_with_success_and_stays_while_the_operation_can_be_repeated() {
    let store: Arc<MemoryStore> = Arc::default();
    let manager = open_with(Arc::clone(&store) as Arc<_>, |settings| {
        settings.statistics_period = Duration::from_millis(1);
    })
    .await;
    let driver = Arc::new(FakeDriver::new(&Arc::default()));
    manager.attach(description("nas", 1), driver.clone());
    ready(&manager, "nas").await;
    driver.then("create-share", Act::Fail(answered(DriverErrorCode::NoSpace)));
    manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    settled(&manager).await;
    let failed = leave(&store, "nas", newest(&manager)).await;
    let hold = Arc::new(Semaphore::new(0));
    driver.then("create-share", Act::Hold(Arc::clone(&hold)));
    manager.create_share(&tenant(), new_share(1)).await.expect("accepted");
    let (id, unknown) = (newest(&manager), OperationId::next());
    let foreign = leave(&store, "other", id).await;
    let running = leave(&store, "nas", id).await;
    let forgotten = leave(&store, "nas", unknown).await;
    until("the record of a forgotten operation is gone", async || is_gone(&store, &forgotten).await).await;
    assert!(!is_gone(&store, &running).await, "it runs: a repeat must find it");
    hold.add_permits(1);
    settled(&manager).await;
    until("the record of the finished operation is gone", async || is_gone(&store, &running).await).await;
    assert!(!is_gone(&store, &failed).await, "it can be begun anew by a person");
    assert!(!is_gone(&store, &foreign).await, "another backend's");
}

#[tokio::test]
async fn what_one_batch_of_rules_began_does_not_stand_in_the_way_of_the_next() {
    let house = House::new().await;
    let share = house.share().await.share.id;
    let (first, second) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    house.driver.then("update-access", Act::Hold(Arc::clone(&first)));
    house.driver.then("update-access", Act::Hold(Arc::clone(&second)));
    house.manager.allow_access(&tenant(), share, new_rule("10.0.0.1")).await.expect("accepted");
    until("the first batch is out", async || house.calls().len() == 2).await;
    house.manager.allow_access(&tenant(), share, new_rule("10.0.0.2")).await.expect("accepted");
    let operation = newest(&house.manager);
    let begun = leave(&house.store, "nas", operation).await;
    first.add_permits(1);
    until("the second batch is out", async || house.calls().len() == 3).await;
    let state = house.manager.show_operation(&Scope::Everything, operation).expect("the operation").state;
    assert_eq!(state, OperationState::Running);
    assert!(is_gone(&house.store, &begun).await);
    second.add_permits(1);
    house.settled().await;
}
