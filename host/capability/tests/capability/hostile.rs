use crate::lab::{Lab, at, code, data, path_slot, slot};
use bulkhead_capability::call::Call;
use bulkhead_capability::private_data::{DataOwner, Expected};
use bulkhead_capability::slot::{Path, SlotValue};
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use bulkhead_model::id::{ShareInstanceId, SnapshotInstanceId};
use bulkhead_model::target::{CallTarget, Resource};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every function of `files` that names a path, with `path` in each of its places; `own` beside it.
async fn in_every_function(
    call: &Call,
    path: &Path,
    own: &Path,
) -> Vec<(&'static str, Result<(), CapabilityError>)> {
    let files = call.files();
    vec![
        ("status", files.status(path).await.map(|_| ())),
        ("list-directory", files.list_directory(path).await.map(|_| ())),
        ("usage", files.usage(path).await.map(|_| ())),
        ("read", files.read(path).await.map(|_| ())),
        ("create-directory", files.create_directory(path).await),
        ("remove", files.remove(path).await),
        ("rename from", files.rename(path, own).await),
        ("rename to", files.rename(own, path).await),
        ("exchange first", files.exchange(path, own).await),
        ("exchange second", files.exchange(own, path).await),
        ("copy-tree from", files.copy_tree(path, own).await),
        ("copy-tree to", files.copy_tree(own, path).await),
        ("location", files.location(path).await.map(|_| ())),
        ("write", files.write(path, b"mine").await),
    ]
}

#[tokio::test]
async fn another_tenants_share_is_denied_in_every_function_and_slot() {
    let lab = Lab::new().await;
    let victim = ShareInstanceId::random();
    let owner = lab.call_about(CallTarget { access_rules: Some(Vec::new()), ..CallTarget::share(victim) });
    owner.files().create_directory(&data("{share}")).await.expect("the victim's");
    owner.files().write_template("export", &[path_slot("{share}", None)]).await.expect("the victim's");
    owner
        .private_data()
        .set(DataOwner::Subject, "key", "value", Expected::Absent)
        .await
        .expect("the victim's");
    lab.call().files().create_directory(&data("{share}")).await.expect("its own");
    let before = lab.everything();
    let call = lab.call_about(CallTarget { access_rules: Some(Vec::new()), ..CallTarget::share(lab.share) });
    let effects = lab.effects().await.len();
    let foreign = [Resource::Share(victim), Resource::Snapshot(SnapshotInstanceId::random())];
    let mut denials = 0;
    for resource in foreign {
        for (root, pattern) in [("shares", "{share}"), ("shares", ".{share}.new"), ("state", "{share}.json")]
        {
            let path = at(root, pattern, Some(resource));
            let own = at(root, "{share}", None);
            for (function, result) in in_every_function(&call, &path, &own).await {
                assert_eq!(code(result), CapabilityCode::Denied, "{function} of {resource}");
                denials += 1;
            }
        }
        let owner = DataOwner::Resource(resource);
        let slots = [path_slot("{share}", Some(resource))];
        let facts = [
            slot("size", SlotValue::Unsigned(1)),
            slot("address", SlotValue::Text("10.0.0.1".to_owned())),
            slot("name", SlotValue::NameOf(resource)),
        ];
        for result in [
            call.files().write_template("export", &slots).await,
            call.files().remove_template("export", &slots).await,
            call.files().write_template("facts", &facts).await,
            call.files().remove_template("facts", &facts).await,
            call.private_data().get(owner, "key").await.map(|_| ()),
            call.private_data().get_all(owner).await.map(|_| ()),
            call.private_data().set(owner, "key", "mine", Expected::Anything).await.map(|_| ()),
            call.private_data().remove(owner, "key").await,
        ] {
            assert_eq!(code(result), CapabilityCode::Denied);
            denials += 1;
        }
    }
    assert_eq!(lab.everything(), before, "nothing has changed");
    let data = owner.private_data().get(DataOwner::Subject, "key").await.expect("a look").expect("a value");
    assert_eq!(data.value, "value");
    let recorded = lab.effects().await;
    let denied =
        recorded.iter().skip(effects).filter(|effect| effect.outcome == EffectOutcome::Denied).count();
    assert_eq!(denied, denials, "every denial is recorded");
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_its_root() {
    let lab = Lab::new().await;
    let outside = lab.directory.path().join("outside");
    std::fs::write(&outside, "precious").expect("bytes");
    let call = lab.call();
    let before = lab.everything();
    let long = "a".repeat(5000);
    let corpus = [
        "../outside",
        "../../etc/passwd",
        "/etc/passwd",
        "a//b/./c",
        "..",
        ".",
        "",
        "{share}/..",
        "{share}/../../outside",
        "%2e%2e/outside",
        "..\u{2215}outside",
        "{share}\0",
        "{share}\n",
        "{SHARE}",
        "{share} ",
        long.as_str(),
    ];
    for pattern in corpus {
        for (function, result) in in_every_function(&call, &data(pattern), &data("{share}")).await {
            assert_eq!(code(result), CapabilityCode::Denied, "{function} of {pattern:?}");
        }
        let slots = [path_slot(pattern, None)];
        assert_eq!(code(call.files().write_template("facts", &slots).await), CapabilityCode::InvalidArgument);
    }
    for root in ["", "..", "/", "shares/..", "other", "shares\0"] {
        for (function, result) in in_every_function(&call, &at(root, "{share}", None), &data("{share}")).await
        {
            assert_eq!(code(result), CapabilityCode::Denied, "{function} in root {root:?}");
        }
        assert_eq!(code(call.files().root_space(root).await), CapabilityCode::Denied);
    }
    assert_eq!(lab.everything(), before);
}

#[tokio::test]
async fn a_symbolic_link_in_the_place_of_a_share_is_never_followed() {
    let lab = Lab::new().await;
    let outside = lab.directory.path().join("outside");
    std::fs::create_dir_all(outside.join("inner")).expect("a directory");
    std::fs::write(outside.join("inner/precious"), "bytes").expect("bytes");
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    call.files().create_directory(&data("{share}/inner")).await.expect("made");
    std::fs::remove_dir_all(lab.on_disk("{share}")).expect("removed behind our back");
    symlink(&outside, lab.on_disk("{share}")).expect("a link");
    let inner = data("{share}/inner");
    assert_eq!(code(call.files().list_directory(&inner).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().usage(&inner).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().remove(&inner).await), CapabilityCode::Denied);
    assert_eq!(
        code(call.files().create_directory(&data("{share}/inner/deep")).await),
        CapabilityCode::Denied
    );
    assert_eq!(code(call.files().list_directory(&data("{share}")).await), CapabilityCode::Denied);
    assert_eq!(call.files().usage(&data("{share}")).await, Ok(0));
    call.files().copy_tree(&data("{share}"), &data(".{share}.new")).await.expect("the link itself is copied");
    assert!(lab.on_disk(".{share}.new").is_symlink());
    call.files().remove(&data("{share}")).await.expect("the link itself is removed");
    assert!(outside.join("inner/precious").exists());
}

/// Exchanges a directory with a link to another place again and again, as a tenant could.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Swapper {
    fn start(one: std::path::PathBuf, other: std::path::PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut swaps = 0;
            while !seen.load(Ordering::Relaxed) {
                if renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok() {
                    swaps += 1;
                }
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(0, |thread| thread.join().expect("a swapper"))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swapped_in_during_work_never_leads_out() {
    let lab = Lab::new().await;
    let canary = lab.directory.path().join("canary");
    std::fs::create_dir_all(canary.join("deep/precious")).expect("a directory");
    std::fs::write(canary.join("deep/precious/file"), "bytes").expect("bytes");
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    call.files().create_directory(&data("{share}/inner")).await.expect("made");
    call.files().create_directory(&data("{share}/inner/deep")).await.expect("made");
    symlink(&canary, lab.on_disk("{share}/link")).expect("a link");
    let swapper = Swapper::start(lab.on_disk("{share}/inner"), lab.on_disk("{share}/link"));
    let deep = data("{share}/inner/deep");
    for _ in 0..300 {
        // Whatever they answer: only the canary counts.
        let _answers = (
            call.files().create_directory(&deep).await,
            call.files()
                .list_directory(&deep)
                .await
                .map(|entries| assert!(entries.is_empty(), "{entries:?}")),
            call.files().usage(&data("{share}")).await.map(|bytes| assert_eq!(bytes, 0)),
            call.files().remove(&deep).await,
            call.files().copy_tree(&data("{share}"), &data(".{share}.new")).await,
            call.files().usage(&data(".{share}.new")).await.map(|bytes| assert_eq!(bytes, 0)),
            call.files().remove(&data(".{share}.new")).await,
        );
    }
    call.files().remove(&data("{share}")).await.expect("removed while being swapped");
    assert!(swapper.stop() > 0, "nothing was swapped");
    assert_eq!(std::fs::read_to_string(canary.join("deep/precious/file")).expect("the canary"), "bytes");
    assert_eq!(std::fs::read_dir(canary.join("deep")).expect("the canary").count(), 1);
    assert_eq!(std::fs::read_dir(&canary).expect("the canary").count(), 1);
}

#[tokio::test]
async fn without_a_grant_every_capability_names_the_line_it_lacks() {
    let lab = Lab::with(|parts| parts.grant = bulkhead_model::grant::Grant::default()).await;
    let call = lab.call();
    let denied = |result: Result<(), CapabilityError>, line: &str| {
        let error = result.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied);
        assert!(error.message.contains(line), "{error}");
    };
    denied(call.files().create_directory(&data("{share}")).await, "grant.capabilities = [\"files\"]");
    denied(call.files().root_space("shares").await.map(|_| ()), "grant.capabilities = [\"files\"]");
    denied(call.files().write_template("export", &[]).await, "grant.capabilities = [\"files\"]");
    denied(call.locks().acquire("a", 0).await.map(|_| ()), "grant.capabilities = [\"lock\"]");
    denied(call.locks().release("a").await, "grant.capabilities = [\"lock\"]");
    let get = call.private_data().get(DataOwner::Subject, "a").await.map(|_| ());
    denied(get, "grant.capabilities = [\"private-data\"]");
    let number = call.private_data().next_number("export-id").await.map(|_| ());
    denied(number, "grant.capabilities = [\"private-data\"]");
    call.config().get("greeting").await.expect("always granted");
    assert_eq!(
        lab.effects().await.iter().filter(|effect| effect.outcome == EffectOutcome::Denied).count(),
        7
    );
}

#[tokio::test]
async fn the_ceiling_of_the_site_holds_whatever_the_grant_says() {
    let lab = Lab::with(|parts| {
        parts.grant.roots.clear();
        parts.grant.templates.clear();
    })
    .await;
    let call = lab.call();
    let error = call.files().create_directory(&data("{share}")).await.expect_err("denied");
    let pin = lab.backend.manifest().roots[0].digest();
    let line = format!("grant.roots.shares = {{ path = \"/absolute/directory\", pin = \"{pin}\" }}");
    assert!(error.message.contains(&line), "{error}");
    let error =
        call.files().write_template("export", &[path_slot("{share}", None)]).await.expect_err("denied");
    let digest = lab.backend.manifest().file("export").expect("a template").digest();
    assert!(error.message.contains(&format!("grant.templates.export = \"{digest}\"")), "{error}");
}

#[tokio::test]
async fn a_text_that_a_tenant_could_redirect_is_handed_to_nobody() {
    let lab = Lab::new().await;
    let error = lab.call().files().write_template("redirect", &[path_slot("{share}/inner", None)]).await;
    let error = error.expect_err("denied");
    assert_eq!(error.code, CapabilityCode::Denied);
    assert!(error.message.contains("kind = \"existing\""), "{error}");
}
