//! Taking over what the operator had made: looked at, renamed while nobody owns it, and nothing else.

use crate::lab::{Lab, at, code, data, path_slot};
use bulkhead_capability::backend::{Backend, BackendParts};
use bulkhead_capability::call::Call;
use bulkhead_capability::private_data::{DataOwner, Expected};
use bulkhead_capability::testing::{grant_everything, origin};
use bulkhead_model::call::CallOrigin;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::{CallId, ShareInstanceId};
use bulkhead_model::manifest::Manifest;
use bulkhead_model::share::share_name;
use bulkhead_model::target::CallTarget;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn manifest() -> Manifest {
    let mut manifest = crate::lab::manifest();
    for pattern in ["{managed}", "{managed}/inner"] {
        manifest.roots[0].paths.push(pattern.parse().expect("a pattern"));
    }
    manifest
}

async fn lab() -> Lab {
    Lab::with(|parts: &mut BackendParts| {
        let roots: BTreeMap<_, _> =
            parts.grant.roots.iter().map(|(name, root)| (name.as_str(), root.path.clone())).collect();
        parts.grant = grant_everything(&manifest(), &roots);
        parts.manifest = Arc::new(manifest());
    })
    .await
}

fn managing(lab: &Lab, origin: CallOrigin, named: &str) -> Call {
    let managed = Some(named.parse().expect("a name"));
    lab.call_of(origin, CallTarget { managed, ..CallTarget::share(lab.share) })
}

fn manage(lab: &Lab, named: &str) -> Call {
    managing(lab, origin("manage.manage-existing"), named)
}

#[tokio::test]
async fn a_directory_of_nobody_becomes_the_shares_own_and_a_repeat_finds_it() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    std::fs::write(lab.on_disk("old/file"), b"bytes").expect("a file");
    let first = origin("manage.manage-existing");
    let call = managing(&lab, first.clone(), "old");
    let status = call.files().status(&data("{managed}")).await.expect("a look");
    assert!(!status.owned);
    assert_eq!(call.files().list_directory(&data("{managed}")).await.expect("entries").len(), 1);
    call.files().rename(&data("{managed}"), &data("{share}")).await.expect("taken over");
    assert_eq!(std::fs::read(lab.on_disk("{share}").join("file")).expect("the file"), b"bytes");
    assert!(!lab.on_disk("old").exists());
    let again = managing(&lab, CallOrigin { call: CallId::next(), ..first }, "old");
    again.files().rename(&data("{managed}"), &data("{share}")).await.expect("it has happened");
    let stranger = manage(&lab, "old").files().rename(&data("{managed}"), &data("{share}")).await;
    assert_eq!(code(stranger), CapabilityCode::NotFound, "another operation did not take it over");
    lab.call().files().remove(&data("{share}")).await.expect("it is the share's own");
}

#[tokio::test]
async fn a_crash_between_record_and_rename_is_made_good_by_the_repeat() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    let first = origin("manage.manage-existing");
    let call = managing(&lab, first.clone(), "old");
    call.files().rename(&data("{managed}"), &data("{share}")).await.expect("taken over");
    // As if the record had been written and nothing renamed.
    std::fs::rename(lab.on_disk("{share}"), lab.on_disk("old")).expect("back");
    let again = managing(&lab, CallOrigin { call: CallId::next(), ..first }, "old");
    again.files().rename(&data("{managed}"), &data("{share}")).await.expect("renamed now");
    assert!(lab.on_disk("{share}").is_dir() && !lab.on_disk("old").exists());
}

#[tokio::test]
async fn what_a_share_owns_is_neither_looked_at_nor_taken_over_by_another() {
    let lab = lab().await;
    let victim = ShareInstanceId::random();
    let owner = lab.call_about(CallTarget::share(victim));
    owner.files().create_directory(&data("{share}")).await.expect("made");
    let call = manage(&lab, &share_name(victim));
    assert_eq!(code(call.files().status(&data("{managed}")).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().list_directory(&data("{managed}")).await), CapabilityCode::NotOwned);
    let taken = call.files().rename(&data("{managed}"), &data("{share}")).await;
    assert_eq!(code(taken), CapabilityCode::NotOwned);
    assert!(lab.on_disk(&share_name(victim)).is_dir());
}

#[tokio::test]
async fn what_holds_or_lies_in_somebodys_is_not_taken_over_either() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    let mut wider = manifest();
    wider.roots[0].paths.push("old/{share}".parse().expect("a pattern"));
    let roots = ["shares", "exports", "state"].map(|root| (root, lab.in_root(root, "")));
    let grant = grant_everything(&wider, &BTreeMap::from(roots));
    let owner = lab.host.backend("lab", wider, grant).expect("another generation");
    let until = Instant::now() + Duration::from_secs(600);
    let target = CallTarget::share(ShareInstanceId::random());
    let call = owner.begin(origin("shares.create-share"), target, until, 0);
    call.files().create_directory(&data("old/{share}")).await.expect("made");
    let taken = manage(&lab, "old").files().rename(&data("{managed}"), &data("{share}")).await;
    assert_eq!(code(taken), CapabilityCode::NotOwned);
}

#[tokio::test]
async fn what_another_backend_made_in_the_same_directory_is_somebodys() {
    let lab = lab().await;
    let peer = directory_of(&lab, "nas2");
    let victim = ShareInstanceId::random();
    let until = Instant::now() + Duration::from_secs(600);
    let owner = peer.begin(origin("shares.create-share"), CallTarget::share(victim), until, 0);
    owner.files().create_directory(&data("{share}")).await.expect("made");
    let call = manage(&lab, &share_name(victim));
    let taken = call.files().rename(&data("{managed}"), &data("{share}")).await.expect_err("refused");
    assert_eq!(taken.code, CapabilityCode::NotOwned);
    assert!(taken.message.contains("'nas2'"), "{}", taken.message);
}

/// Another backend whose root `shares` is the lab's.
fn directory_of(lab: &Lab, name: &str) -> Arc<Backend> {
    let roots = BTreeMap::from([("shares", lab.in_root("shares", ""))]);
    let manifest = crate::lab::manifest();
    let grant = grant_everything(&manifest, &roots);
    lab.host.backend(name, manifest, grant).expect("a backend")
}

#[tokio::test]
async fn what_was_let_go_is_nobodys_and_can_be_managed_again() {
    let lab = lab().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    call.files().write(&at("state", "{share}.json", None), b"{}").await.expect("written");
    let owner = DataOwner::Subject;
    call.private_data().set(owner, "key", "value", Expected::Anything).await.expect("set");
    let other = lab.call_about(CallTarget::share(ShareInstanceId::random()));
    other.files().create_directory(&data("{share}")).await.expect("made");
    for _ in 0..2 {
        call.let_go().await.expect("let go");
    }
    assert!(lab.on_disk("{share}").is_dir(), "it stays where it is");
    assert_eq!(code(call.files().remove(&data("{share}")).await), CapabilityCode::NotOwned);
    assert_eq!(call.private_data().get_all(owner).await, Ok(Vec::new()));
    other.files().remove(&data("{share}")).await.expect("another's is still its own");
    let new = ShareInstanceId::random();
    let managed = Some(share_name(lab.share).parse().expect("a name"));
    let again = lab.call_about(CallTarget { managed, ..CallTarget::share(new) });
    again.files().rename(&data("{managed}"), &data("{share}")).await.expect("taken over");
}

#[tokio::test]
async fn only_a_directory_that_is_there_is_taken_over_and_nothing_is_replaced() {
    let lab = lab().await;
    let take = async |named: &str| {
        code(manage(&lab, named).files().rename(&data("{managed}"), &data("{share}")).await)
    };
    assert_eq!(take("missing").await, CapabilityCode::NotFound);
    std::fs::write(lab.on_disk("file"), b"").expect("a file");
    assert_eq!(take("file").await, CapabilityCode::InvalidArgument);
    std::os::unix::fs::symlink("/etc", lab.on_disk("link")).expect("a link");
    assert_eq!(take("link").await, CapabilityCode::InvalidArgument);
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    std::fs::create_dir(lab.on_disk("{share}")).expect("somebody's");
    assert_eq!(take("old").await, CapabilityCode::AlreadyExists);
    let call = manage(&lab, "old");
    let remove = call.files().remove(&data("{share}")).await;
    assert_eq!(code(remove), CapabilityCode::NotOwned, "what stands in the way was not claimed");
}

#[tokio::test]
async fn a_mount_point_is_not_taken_over() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    let outside = tempfile::tempdir().expect("a directory");
    if rustix::mount::mount_bind(outside.path(), lab.on_disk("old")).is_err() {
        // Only root mounts.
        return;
    }
    let taken = manage(&lab, "old").files().rename(&data("{managed}"), &data("{share}")).await;
    rustix::mount::unmount(lab.on_disk("old"), rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    assert_eq!(code(taken), CapabilityCode::Denied);
}

#[tokio::test]
async fn nothing_else_is_done_to_it() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    let before = lab.everything();
    let call = manage(&lab, "old");
    let files = call.files();
    let managed = data("{managed}");
    for denied in [
        files.create_directory(&managed).await,
        files.create_directory(&data("{managed}/inner")).await,
        files.remove(&managed).await,
        files.exchange(&managed, &data("{share}")).await,
        files.rename(&data("{share}"), &managed).await,
        files.write(&managed, b"x").await,
    ] {
        assert_eq!(code(denied), CapabilityCode::Denied);
    }
    let copied = files.copy_tree(&managed, &data("{share}")).await;
    assert_eq!(code(copied), CapabilityCode::NotOwned);
    assert_eq!(
        code(files.rename(&managed, &at("state", "{share}", None)).await),
        CapabilityCode::InvalidArgument
    );
    assert_eq!(lab.everything(), before);
    let written = files.write_template("export", &[path_slot("{managed}", None)]).await;
    assert_eq!(code(written), CapabilityCode::Denied, "no template declares it");
}

#[tokio::test]
async fn a_call_that_manages_nothing_has_no_such_path() {
    let lab = lab().await;
    std::fs::create_dir(lab.on_disk("old")).expect("the operator's");
    let call = lab.call();
    assert_eq!(code(call.files().status(&data("{managed}")).await), CapabilityCode::Denied);
    let taken = call.files().rename(&data("{managed}"), &data("{share}")).await;
    assert_eq!(code(taken), CapabilityCode::Denied);
}
