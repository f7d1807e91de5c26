//! What drivers keep secret for a resource goes when the resource has gone.

use crate::fake::FakeDriver;
use crate::house::{House, description, new_share, open_with, ready, settled, tenant, until};
use bulkhead_manager::Force;
use bulkhead_model::id::{ShareGroupId, ShareInstanceId, ShareServerId, SnapshotInstanceId};
use bulkhead_model::target::Resource;
use bulkhead_store::{Key, MemoryStore, Store, Transaction};
use std::sync::Arc;
use std::time::Duration;

async fn keep(store: &MemoryStore, backend: &str, owner: &str) -> Key {
    let key = Key::new(&["kept", backend, owner, "administrator"]);
    let transaction = Transaction::default().put(key.clone(), b"{}".to_vec());
    store.commit(transaction).await.expect("written");
    key
}

async fn is_gone(store: &MemoryStore, key: &Key) -> bool {
    store.get(key).await.expect("read").is_none()
}

#[tokio::test]
async fn secrets_stay_as_long_as_their_resource_and_not_longer() {
    let store: Arc<MemoryStore> = Arc::default();
    let manager = open_with(Arc::clone(&store) as Arc<_>, |settings| {
        settings.statistics_period = Duration::from_millis(1);
    })
    .await;
    manager.attach(description("nas", 1), Arc::new(FakeDriver::new(&Arc::default())));
    ready(&manager, "nas").await;
    let share = manager.create_share(&tenant(), new_share(1)).await.expect("accepted").share.id;
    settled(&manager).await;
    let instance = manager.show_share(&House::scope(), share).expect("the share").instance.id;
    let own = keep(&store, "nas", &Resource::Share(instance).to_string()).await;
    let others = keep(&store, "other", &Resource::Share(ShareInstanceId::random()).to_string()).await;
    let unknown = keep(&store, "nas", "share-server-of-tomorrow").await;
    for gone in [
        Resource::Share(ShareInstanceId::random()),
        Resource::Snapshot(SnapshotInstanceId::random()),
        Resource::ShareGroup(ShareGroupId::random()),
        Resource::ShareServer(ShareServerId::random()),
    ] {
        let key = keep(&store, "nas", &gone.to_string()).await;
        until("what was kept for nobody is gone", async || is_gone(&store, &key).await).await;
    }
    assert!(!is_gone(&store, &own).await, "its share is there");
    manager.delete_share(&tenant(), share, Force::No).await.expect("accepted");
    until("it went with its share", async || is_gone(&store, &own).await).await;
    assert!(!is_gone(&store, &others).await, "another backend's");
    assert!(!is_gone(&store, &unknown).await, "of a kind that this version does not know");
}
