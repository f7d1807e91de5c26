//! Records of ownership tell the truth, whoever interferes; a path of the backend is no way to a tenant's share.

use crate::lab::{Lab, code, data, state};
use bulkhead_capability::call::Call;
use bulkhead_capability::ownership;
use bulkhead_capability::slot::Path;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::share_name;
use bulkhead_model::target::CallTarget;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Makes a directory at each of some paths and takes it away again, over and over; never touches what it has not made.
struct Intruder {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Intruder {
    fn at(paths: Vec<PathBuf>) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, counted) = (Arc::clone(&stop), Arc::clone(&made));
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for path in &paths {
                    if std::fs::create_dir(path).is_ok() {
                        counted.fetch_add(1, Ordering::Relaxed);
                        std::fs::remove_dir(path).expect("its own");
                    }
                }
            }
        });
        Self { stop, made, thread: Some(thread) }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("a thread").join().expect("an intruder");
        self.made.load(Ordering::Relaxed)
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A call that lost a race against somebody else has no record of what stands there.
async fn assert_not_claimed(call: &Call, path: &Path, result: &Result<(), CapabilityError>) {
    let Err(error) = result else { return };
    if matches!(error.code, CapabilityCode::AlreadyExists | CapabilityCode::NotOwned) {
        let place = call.resolve(path).expect("a path");
        let found = ownership::find(call, &place).await.expect("a look");
        assert!(found.is_none(), "{error}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_be_between_the_look_and_the_effect_is_never_claimed() {
    let lab = Lab::new().await;
    let call = lab.call();
    let (source, destination, file) = (data("{share}"), data(".{share}.new"), state("{share}.json"));
    call.files().create_directory(&source).await.expect("made");
    let intruder = Intruder::at(vec![lab.on_disk(".{share}.new"), lab.in_root("state", "{share}.json")]);
    for _ in 0..400 {
        let made = call.files().create_directory(&destination).await;
        assert_not_claimed(&call, &destination, &made).await;
        if made.is_ok() {
            call.files().remove(&destination).await.expect("its own");
        }
        let copied = call.files().copy_tree(&source, &destination).await;
        assert_not_claimed(&call, &destination, &copied).await;
        if copied.is_ok() {
            call.files().remove(&destination).await.expect("its own");
        }
        let renamed = call.files().rename(&source, &destination).await;
        assert_not_claimed(&call, &destination, &renamed).await;
        if renamed.is_ok() {
            call.files().rename(&destination, &source).await.expect("back");
        }
        let written = call.files().write(&file, b"mine").await;
        assert_not_claimed(&call, &file, &written).await;
        if written.is_ok() {
            call.files().remove(&file).await.expect("its own");
        }
    }
    assert!(intruder.stop() > 0, "nobody interfered");
}

#[tokio::test]
async fn a_path_of_the_backend_is_no_way_to_the_shares_inside_or_around_it() {
    let victim = ShareInstanceId::random();
    let lab = Lab::with(|parts| {
        let mut manifest = crate::lab::manifest();
        for pattern in
            ["pool", "pool/{share}", "aside", &share_name(victim), &format!("{}/inner", share_name(victim))]
        {
            manifest.roots[0].paths.push(pattern.parse().expect("a pattern"));
        }
        let shares = parts.grant.roots.get_mut(&manifest.roots[0].name).expect("granted");
        shares.pin = manifest.roots[0].digest();
        parts.manifest = Arc::new(manifest);
    })
    .await;
    let owner = lab.call_about(CallTarget::share(victim));
    owner.files().create_directory(&data("pool")).await.expect("the backend's");
    owner.files().create_directory(&data("pool/{share}")).await.expect("the victim's");
    owner.files().create_directory(&data("{share}")).await.expect("the victim's");
    owner.files().create_directory(&data("{share}/inner")).await.expect("the victim's");
    let before = lab.everything();
    let call = lab.call();
    let files = call.files();
    files.create_directory(&data("{share}")).await.expect("its own");
    for result in [
        files.remove(&data("pool")).await,
        files.rename(&data("pool"), &data("aside")).await,
        files.exchange(&data("pool"), &data("{share}")).await,
        files.exchange(&data("{share}"), &data("pool")).await,
        files.copy_tree(&data("pool"), &data(".{share}.new")).await,
    ] {
        assert_eq!(code(result), CapabilityCode::Denied);
    }
    for literal in [share_name(victim), format!("{}/inner", share_name(victim))] {
        let path = data(&literal);
        for result in [
            files.status(&path).await.map(|_| ()),
            files.list_directory(&path).await.map(|_| ()),
            files.usage(&path).await.map(|_| ()),
            files.create_directory(&path).await,
            files.remove(&path).await,
            files.copy_tree(&path, &data(".{share}.new")).await,
            files.copy_tree(&data("{share}"), &path).await,
            files.rename(&data("{share}"), &path).await,
        ] {
            let error = result.expect_err("denied");
            assert_eq!(error.code, CapabilityCode::Denied, "{literal}: {error}");
        }
    }
    files.list_directory(&data("pool")).await.expect("the names in a directory of the backend");
    files.remove(&data("{share}")).await.expect("its own");
    assert_eq!(lab.everything(), before);
    owner.files().remove(&data("pool/{share}")).await.expect("the victim's own");
    files.remove(&data("pool")).await.expect("nobody's share is inside any more");
}
