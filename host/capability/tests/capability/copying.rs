//! Which directory of a share the host itself reaches to copy it, and when.

use crate::lab::{Lab, data};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::target::CallTarget;
use std::sync::Arc;

#[tokio::test]
async fn the_host_reaches_no_share_of_a_backend_whose_grant_does_not_say_so() {
    let lab = Lab::new().await;
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    let error = lab.backend.share_directory(lab.share).await.expect_err("not granted");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("grant.migration-copy = true"), "{}", error.message);
}

#[tokio::test]
async fn the_data_of_a_share_are_the_one_directory_that_it_owns() {
    let lab = Lab::with(|parts| parts.grant.migration_copy = true).await;
    let missing = lab.backend.share_directory(lab.share).await.expect_err("not made yet");
    assert_eq!(missing.code, CapabilityCode::NotFound);
    // What stands there without a record is nobody's.
    std::fs::create_dir(lab.on_disk("{share}")).expect("made");
    let foreign = lab.backend.share_directory(lab.share).await.expect_err("not owned");
    assert_eq!(foreign.code, CapabilityCode::NotFound);
    std::fs::remove_dir(lab.on_disk("{share}")).expect("removed");
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    std::fs::write(lab.on_disk("{share}").join("file"), "content").expect("written");
    let other = ShareInstanceId::random();
    let call = lab.call_about(CallTarget::share(other));
    call.files().create_directory(&data("{share}")).await.expect("made");
    let from = lab.backend.share_directory(lab.share).await.expect("its own");
    let to = lab.backend.share_directory(other).await.expect("its own");
    let summary = from.copy_to(&to, Arc::default()).await.expect("copied");
    assert_eq!((summary.entries, summary.bytes), (2, 7));
    lab.call().files().create_directory(&data(".{share}.new")).await.expect("made");
    let several = lab.backend.share_directory(lab.share).await.expect_err("two of them");
    assert_eq!(several.code, CapabilityCode::Conflict);
}
