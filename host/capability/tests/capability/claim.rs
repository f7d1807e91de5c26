use crate::lab::manifest;
use bulkhead_capability::backend::{Backend, GrantError};
use bulkhead_capability::execute::fake::FakeRunner;
use bulkhead_capability::testing::{TestHost, grant_everything};
use bulkhead_model::tenure::Tenure;
use rustix::fs::{XattrFlags, setxattr};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

async fn load(root: &Path, tenure: Tenure) -> Result<Arc<Backend>, GrantError> {
    let host = TestHost::new(Arc::<FakeRunner>::default()).await.expect("a host");
    let grant = grant_everything(&manifest(), &BTreeMap::from([("shares", root.to_path_buf())]));
    let mut parts = host.parts("lab", manifest(), grant).expect("parts");
    parts.tenure = Some(tenure);
    Backend::new(parts)
}

#[tokio::test]
async fn a_root_is_its_latest_holders_and_everybody_else_is_denied_it() {
    let root = tempfile::tempdir().expect("a directory");
    if setxattr(root.path(), "user.bulkhead.test", b"x", XattrFlags::empty()).is_err() {
        eprintln!("SKIPPED: the filesystem of temporary files has no extended attributes");
        return;
    }
    let name = "shares".parse().expect("a name");
    let old = Tenure::first();
    let loaded = load(root.path(), old).await.expect("nobody has it");
    assert!(loaded.root(&name).is_ok());
    load(root.path(), old).await.expect("its own");

    let new = load(root.path(), old.succeeded()).await.expect("the successor takes it");
    assert!(new.root(&name).is_ok());
    let denied = loaded.root(&name).expect_err("it runs on beside its successor").to_string();
    assert!(denied.contains("restored copy"), "{denied}");
    let refused = load(root.path(), old).await.expect_err("it comes again");
    assert!(format!("{:?}", std::error::Error::source(&refused)).contains("Succeeded"), "{refused}");

    let twin = load(root.path(), old.succeeded()).await;
    assert!(twin.is_err(), "another copy of the same backup comes too late");
    let stranger = load(root.path(), Tenure::first()).await.expect("another state means other names");
    assert!(stranger.root(&name).is_ok());
    assert!(new.root(&name).is_ok(), "and takes nothing");
}
