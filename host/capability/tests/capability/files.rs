use crate::lab::{Lab, at, code, data, state};
use bulkhead_capability::files::FileKind;
use bulkhead_capability::ownership;
use bulkhead_capability::testing::origin;
use bulkhead_model::effect::EffectOutcome;
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use bulkhead_model::share::share_name;
use bulkhead_model::target::CallTarget;
use sha2::Digest;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[tokio::test]
async fn a_directory_is_made_once_recorded_and_removed() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    call.files().create_directory(&data("{share}")).await.expect("a repeat succeeds");
    let status = call.files().status(&data("{share}")).await.expect("a status");
    assert_eq!((status.kind, status.owned), (FileKind::Directory, true));
    assert_eq!(std::fs::metadata(lab.on_disk("{share}")).expect("there").mode() & 0o7777, 0o777);
    std::fs::write(lab.on_disk("{share}").join("a"), "bytes").expect("written");
    call.files().remove(&data("{share}")).await.expect("removed");
    call.files().remove(&data("{share}")).await.expect("a repeat succeeds");
    assert!(!lab.on_disk("{share}").exists());
    assert_eq!(code(call.files().status(&data("{share}")).await), CapabilityCode::NotFound);
    let place = call.resolve(&data("{share}")).expect("a path");
    assert!(ownership::find(&call, &place).await.expect("a look").is_none(), "the record is gone as well");
}

#[tokio::test]
async fn what_has_no_record_is_neither_taken_over_nor_touched() {
    let lab = Lab::new().await;
    for name in ["{share}", ".{share}.new"] {
        std::fs::create_dir(lab.on_disk(name)).expect("somebody else's");
        std::fs::write(lab.on_disk(name).join("precious"), name).expect("bytes");
    }
    std::fs::write(lab.in_root("state", "{share}.json"), "precious").expect("bytes");
    let before = lab.everything();
    let call = lab.call();
    let (share, new) = (data("{share}"), data(".{share}.new"));
    assert_eq!(code(call.files().create_directory(&share).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().remove(&share).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().rename(&share, &data("{share}/inner")).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().exchange(&share, &new).await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().write(&state("{share}.json"), b"mine").await), CapabilityCode::NotOwned);
    assert_eq!(code(call.files().copy_tree(&share, &new).await), CapabilityCode::NotOwned);
    assert_eq!(lab.everything(), before);
    assert_eq!(lab.last_effect().await, ("files.copy-tree".to_owned(), EffectOutcome::Failed));
    assert!(!call.files().status(&share).await.expect("a status").owned);
}

#[tokio::test]
async fn a_record_whose_object_never_came_to_be_is_harmless() {
    let lab = Lab::new().await;
    let call = lab.call();
    let place = call.resolve(&data("{share}")).expect("a path");
    ownership::claim(&call, &place, ownership::OwnedKind::Directory).await.expect("a record");
    call.files().remove(&data("{share}")).await.expect("nothing to remove");
    ownership::claim(&call, &place, ownership::OwnedKind::Directory).await.expect("a record");
    call.files().create_directory(&data("{share}")).await.expect("made");
    assert!(lab.on_disk("{share}").is_dir());
}

#[tokio::test]
async fn a_rename_takes_the_record_along_and_may_be_repeated_by_its_operation() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data(".{share}.new")).await.expect("made");
    call.files().rename(&data(".{share}.new"), &data("{share}")).await.expect("renamed");
    assert!(lab.on_disk("{share}").is_dir());
    assert!(call.files().status(&data("{share}")).await.expect("a status").owned);
    call.files().rename(&data(".{share}.new"), &data("{share}")).await.expect("a repeat succeeds");
    let other = lab.call();
    let again = other.files().rename(&data(".{share}.new"), &data("{share}")).await;
    assert_eq!(code(again), CapabilityCode::NotFound, "another operation did not rename it");
    call.files().create_directory(&data(".{share}.new")).await.expect("made again");
    let onto = call.files().rename(&data(".{share}.new"), &data("{share}")).await;
    assert_eq!(code(onto), CapabilityCode::AlreadyExists);
    let elsewhere = call.files().rename(&data("{share}"), &state("{share}")).await;
    assert_eq!(code(elsewhere), CapabilityCode::InvalidArgument);
}

#[tokio::test]
async fn a_rename_cut_short_at_any_point_is_finished_by_a_repeat() {
    for renamed in [false, true] {
        let lab = Lab::new().await;
        let origin = origin("shares.create-share");
        let call = lab.call_of(origin.clone(), CallTarget::share(lab.share));
        let (from, to) = (data(".{share}.new"), data("{share}"));
        call.files().create_directory(&from).await.expect("made");
        let places = (call.resolve(&from).expect("a path"), call.resolve(&to).expect("a path"));
        ownership::begin_move(&call, &places.0, &places.1).await.expect("recorded");
        if renamed {
            std::fs::rename(lab.on_disk(".{share}.new"), lab.on_disk("{share}")).expect("renamed");
        }
        drop(call);
        let repeat = lab.call_of(origin, CallTarget::share(lab.share));
        repeat.files().rename(&from, &to).await.expect("finished");
        assert!(repeat.files().status(&to).await.expect("a status").owned);
        assert!(ownership::find(&repeat, &places.0).await.expect("a look").is_none());
        repeat.files().remove(&to).await.expect("it is ours");
    }
}

#[tokio::test]
async fn two_owned_directories_are_exchanged_in_one_step() {
    let lab = Lab::new().await;
    let call = lab.call();
    for pattern in ["{share}", ".{share}.new"] {
        call.files().create_directory(&data(pattern)).await.expect("made");
        std::fs::write(lab.on_disk(pattern).join("name"), pattern).expect("bytes");
    }
    call.files().exchange(&data("{share}"), &data(".{share}.new")).await.expect("exchanged");
    assert_eq!(std::fs::read_to_string(lab.on_disk("{share}").join("name")).expect("bytes"), ".{share}.new");
    call.files().remove(&data(".{share}.new")).await.expect("still ours");
    call.files().remove(&data("{share}")).await.expect("still ours");
    assert_eq!(
        code(call.files().exchange(&data("{share}"), &data(".{share}.new")).await),
        CapabilityCode::NotFound
    );
}

#[tokio::test]
async fn a_copy_keeps_bytes_modes_times_links_and_holes() {
    let lab = Lab::new().await;
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    let share = lab.on_disk("{share}");
    std::fs::create_dir(share.join("sub")).expect("a directory");
    std::fs::write(share.join("sub/file"), vec![7; 100_000]).expect("bytes");
    std::fs::set_permissions(share.join("sub/file"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    std::fs::set_permissions(share.join("sub"), std::fs::Permissions::from_mode(0o555)).expect("a mode");
    symlink("/etc/passwd", share.join("link")).expect("a link");
    let sparse = std::fs::File::create(share.join("sparse")).expect("a file");
    sparse.set_len(64 << 20).expect("a hole");
    rustix::fs::mkfifoat(rustix::fs::CWD, share.join("pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    let call = lab.snapshot_call();
    call.files().copy_tree(&data("{share}"), &data("{share}@{snapshot}")).await.expect("copied");
    let copy = lab.on_disk("{share}@{snapshot}");
    assert_eq!(std::fs::read(copy.join("sub/file")).expect("bytes"), vec![7; 100_000]);
    for name in ["sub", "sub/file"] {
        let (old, new) = (std::fs::metadata(share.join(name)), std::fs::metadata(copy.join(name)));
        let (old, new) = (old.expect("old"), new.expect("new"));
        assert_eq!(
            (old.mode(), old.mtime(), old.mtime_nsec()),
            (new.mode(), new.mtime(), new.mtime_nsec()),
            "{name}"
        );
    }
    assert_eq!(
        std::fs::read_link(copy.join("link")).expect("a link"),
        std::path::PathBuf::from("/etc/passwd")
    );
    let sparse = std::fs::metadata(copy.join("sparse")).expect("a file");
    assert_eq!(sparse.len(), 64 << 20);
    assert!(sparse.blocks() * 512 < 1 << 20, "the hole was filled: {} blocks", sparse.blocks());
    assert!(!copy.join("pipe").exists());
    let again = call.files().copy_tree(&data("{share}"), &data("{share}@{snapshot}")).await;
    assert_eq!(code(again), CapabilityCode::AlreadyExists);
    call.files()
        .remove(&data("{share}@{snapshot}"))
        .await
        .expect("a read-only directory inside is no obstacle");
    assert!(!copy.exists());
    std::fs::set_permissions(share.join("sub"), std::fs::Permissions::from_mode(0o755))
        .expect("removable again");
}

#[tokio::test]
async fn the_source_of_a_new_share_is_read_and_never_changed() {
    let lab = Lab::new().await;
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    std::fs::write(lab.on_disk("{share}").join("a"), "bytes").expect("bytes");
    let taken = lab.snapshot_call();
    taken.files().copy_tree(&data("{share}"), &data("{share}@{snapshot}")).await.expect("a snapshot");
    let new = ShareInstanceId::random();
    let call = lab.call_from_snapshot(new);
    let source = data("{source-share}@{source-snapshot}");
    assert_eq!(call.files().usage(&source).await, Ok(5));
    call.files().copy_tree(&source, &data("{share}")).await.expect("a share from a snapshot");
    let copy = lab.directory.path().join("shares").join(share_name(new)).join("a");
    assert_eq!(std::fs::read_to_string(copy).expect("bytes"), "bytes");
    let before = lab.everything();
    let share = data(".{share}.new");
    assert_eq!(code(call.files().remove(&source).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().create_directory(&source).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().rename(&source, &share).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().exchange(&source, &share).await), CapabilityCode::Denied);
    assert_eq!(code(call.files().copy_tree(&data("{share}"), &source).await), CapabilityCode::Denied);
    assert_eq!(lab.everything(), before);
}

#[tokio::test]
async fn a_tree_of_any_depth_is_removed_and_nothing_beside_it() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    let outside = lab.directory.path().join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("precious"), "bytes").expect("bytes");
    symlink(&outside, lab.on_disk("{share}").join("link")).expect("a link");
    let mut directory = rustix::fs::open(
        lab.on_disk("{share}"),
        rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    )
    .expect("a directory");
    for _ in 0..600 {
        rustix::fs::mkdirat(&directory, "a-directory", rustix::fs::Mode::RWXU).expect("made");
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY;
        directory =
            rustix::fs::openat(&directory, "a-directory", flags, rustix::fs::Mode::empty()).expect("opened");
    }
    call.files().remove(&data("{share}")).await.expect("removed");
    assert!(!lab.on_disk("{share}").exists());
    assert!(outside.join("precious").exists());
}

#[tokio::test]
async fn a_tree_with_something_mounted_inside_stays_whole() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    let inside = lab.on_disk("{share}").join("z/mounted");
    std::fs::create_dir_all(&inside).expect("a directory");
    std::fs::write(lab.on_disk("{share}").join("a"), "bytes").expect("bytes");
    let outside = lab.directory.path().join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("precious"), "bytes").expect("bytes");
    if rustix::mount::mount_bind(&outside, &inside).is_err() {
        // Only root mounts.
        return;
    }
    let refused = call.files().remove(&data("{share}")).await;
    rustix::mount::unmount(&inside, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    assert_eq!(code(refused), CapabilityCode::NotOwned);
    assert!(outside.join("precious").exists());
    assert!(lab.on_disk("{share}").join("a").exists(), "nothing was removed");
}

#[tokio::test]
async fn usage_and_listing_count_what_is_there_and_follow_nothing() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    std::fs::create_dir(lab.on_disk("{share}").join("b")).expect("a directory");
    std::fs::write(lab.on_disk("{share}").join("b/file"), vec![0; 1000]).expect("bytes");
    std::fs::write(lab.on_disk("{share}").join("a"), vec![0; 24]).expect("bytes");
    symlink("/usr", lab.on_disk("{share}").join("c")).expect("a link");
    assert_eq!(call.files().usage(&data("{share}")).await, Ok(1024));
    let entries = call.files().list_directory(&data("{share}")).await.expect("a list");
    let entries: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.kind)).collect();
    assert_eq!(entries, [("a", FileKind::File), ("b", FileKind::Directory), ("c", FileKind::SymbolicLink)]);
}

#[tokio::test]
async fn bytes_cross_only_in_roots_of_use_state() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().write(&state("{share}.json"), b"one").await.expect("written");
    call.files().write(&state("{share}.json"), b"two").await.expect("written again");
    assert_eq!(call.files().read(&state("{share}.json")).await, Ok(b"two".to_vec()));
    let large = vec![0; (1 << 20) + 1];
    assert_eq!(code(call.files().write(&state("{share}.json"), &large).await), CapabilityCode::LimitExceeded);
    std::fs::write(lab.in_root("state", "{share}.json"), &large).expect("bytes");
    assert_eq!(code(call.files().read(&state("{share}.json")).await), CapabilityCode::LimitExceeded);
    call.files().create_directory(&data("{share}")).await.expect("made");
    for refused in [
        call.files().write(&data("{share}/inner"), b"x").await,
        call.files().write(&at("exports", "{share}.exports", None), b"x").await,
        call.files().read(&data("{share}/inner")).await.map(|_| ()),
        call.files().create_directory(&at("exports", "{share}.exports", None)).await,
        call.files().remove(&at("exports", "{share}.exports", None)).await,
        call.files().copy_tree(&data("{share}"), &state("{share}.copy")).await,
        call.files().copy_tree(&state("{share}.json"), &data("{share}/inner")).await,
    ] {
        let error = refused.expect_err("denied");
        assert_eq!(error.code, CapabilityCode::Denied);
        assert!(error.message.contains("[[root]] name = "), "{error}");
    }
    let left: Vec<_> = std::fs::read_dir(lab.in_root("state", "")).expect("a directory").collect();
    assert_eq!(left.len(), 1, "nothing is left beside the file: {left:?}");
}

#[tokio::test]
async fn a_root_says_how_full_it_is_and_where_a_path_lies() {
    let lab = Lab::new().await;
    let call = lab.call();
    let space = call.files().root_space("shares").await.expect("figures");
    assert!(space.total_bytes >= space.free_bytes && space.total_bytes > 0);
    let location = call.files().location(&data("{share}")).await.expect("a location");
    assert_eq!(std::path::PathBuf::from(location), lab.on_disk("{share}"));
}

#[tokio::test]
async fn a_call_whose_time_is_up_changes_nothing() {
    let lab = Lab::new().await;
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    let late = lab.late_call();
    assert_eq!(code(late.files().remove(&data("{share}")).await), CapabilityCode::TimedOut);
    assert_eq!(code(late.files().usage(&data("{share}")).await), CapabilityCode::TimedOut);
    assert_eq!(code(late.files().create_directory(&data(".{share}.new")).await), CapabilityCode::TimedOut);
    assert!(lab.on_disk("{share}").is_dir());
    assert!(!lab.on_disk(".{share}.new").exists());
}

#[tokio::test]
async fn a_path_of_the_backend_needs_no_subject() {
    let lab = Lab::new().await;
    let setup = lab.call_about(CallTarget::default());
    setup.files().create_directory(&data("common")).await.expect("made");
    assert_eq!(code(setup.files().create_directory(&data("{share}")).await), CapabilityCode::Denied);
}

#[tokio::test]
async fn every_host_call_may_move_between_threads() {
    fn movable<T: Send>(_: T) {}
    let lab = Lab::new().await;
    let call = lab.call();
    let (path, files) = (data("{share}"), call.files());
    movable(files.status(&path));
    movable(files.copy_tree(&path, &path));
    movable(files.rename(&path, &path));
    movable(files.exchange(&path, &path));
    movable(files.remove(&path));
    movable(files.write_template("export", &[]));
    movable(call.config().get("greeting"));
    movable(call.locks().acquire("a", 1));
    movable(call.private_data().next_number("export-id"));
    movable(call.end());
}

#[tokio::test]
async fn what_a_crash_left_beside_a_file_is_replaced_and_goes_with_it() {
    let lab = Lab::new().await;
    let call = lab.call();
    let root = lab.in_root("state", "");
    let count = || std::fs::read_dir(&root).expect("a directory").count();
    let hash = sha2::Sha256::digest(format!("{}.json", share_name(lab.share)).as_bytes());
    let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let left = root.join(format!(".bulkhead-{digits}"));
    std::fs::write(&left, "half of").expect("bytes");
    call.files().write(&state("{share}.json"), b"whole").await.expect("written");
    assert_eq!(count(), 1, "the left-over was used up, or the name beside a file has changed");
    std::fs::write(&left, "half of").expect("bytes");
    call.files().remove(&state("{share}.json")).await.expect("removed");
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn a_file_of_a_time_that_no_clock_can_show_is_copied_and_removed_like_any_other() {
    // The only filesystem of every machine that keeps such a time.
    let memory = std::path::Path::new("/dev/shm");
    if !memory.is_dir() {
        return;
    }
    let lab = Lab::within(memory, |_| {}).await;
    lab.call().files().create_directory(&data("{share}")).await.expect("made");
    let file = lab.on_disk("{share}").join("file");
    std::fs::write(&file, "bytes").expect("bytes");
    std::fs::create_dir(lab.on_disk("{share}").join("sub")).expect("a directory");
    let never = rustix::fs::Timespec { tv_sec: i64::MIN, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: never, last_modification: never };
    for name in ["file", "sub"] {
        let path = lab.on_disk("{share}").join(name);
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty()).expect("times");
    }
    assert_eq!(std::fs::metadata(&file).expect("a file").mtime(), i64::MIN);
    let call = lab.snapshot_call();
    assert_eq!(call.files().usage(&data("{share}")).await, Ok(5));
    call.files().copy_tree(&data("{share}"), &data("{share}@{snapshot}")).await.expect("copied");
    for name in ["file", "sub"] {
        let copy = std::fs::metadata(lab.on_disk("{share}@{snapshot}").join(name)).expect("a copy");
        assert_eq!(copy.mtime(), i64::MIN, "{name}");
    }
    lab.call().files().remove(&data("{share}")).await.expect("removed");
    assert!(!lab.on_disk("{share}").exists());
}

#[tokio::test]
async fn a_directory_whose_mode_keeps_everybody_out_is_removed_all_the_same() {
    let lab = Lab::new().await;
    let call = lab.call();
    call.files().create_directory(&data("{share}")).await.expect("made");
    for (name, mode) in [("closed", 0), ("unlisted", 0o300), ("fixed", 0o500), ("unsearched", 0o400)] {
        let directory = lab.on_disk("{share}").join(name);
        std::fs::create_dir_all(directory.join("inner")).expect("a directory");
        std::fs::write(directory.join("file"), "bytes").expect("bytes");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    call.files().remove(&data("{share}")).await.expect("removed");
    assert!(!lab.on_disk("{share}").exists());
}
