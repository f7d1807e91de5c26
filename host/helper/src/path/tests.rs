use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Lab {
    directory: tempfile::TempDir,
    bindings: BTreeMap<Label, RootBinding>,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("pool");
        fs::create_dir(&root).expect("a root");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = root.to_str().expect("a text").to_owned();
        let bindings = BTreeMap::from([(Self::root(), RootBinding { path, identity: None, tenure: None })]);
        Self { directory, bindings }
    }

    fn root() -> Label {
        "pool".parse().expect("a label")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join("pool").join(path)
    }

    fn open(&self, kind: PathKind, path: &str) -> Result<OpenedPath, Refusal> {
        let path = path.parse().expect("a relative path");
        Roots::default().open(&self.bindings, &PathSlot { kind, root: &Self::root(), path: &path })
    }

    fn code(&self, kind: PathKind, path: &str) -> CapabilityCode {
        self.open(kind, path).expect_err("it is refused").code
    }
}

#[test]
fn a_directory_and_a_file_are_told_apart() {
    let lab = Lab::new();
    fs::create_dir(lab.at("share")).expect("a directory");
    fs::write(lab.at("image"), "bytes").expect("a file");
    for (path, wanted) in [("share", "/."), ("image", "")] {
        match lab.open(PathKind::Existing, path).expect("it is there") {
            OpenedPath::Descriptor { rest, .. } => assert_eq!(rest, wanted),
            OpenedPath::Text(text) => panic!("{text}"),
        }
    }
}

#[test]
fn each_kind_holds_or_is_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.at("share")).expect("a directory");
    assert_eq!(lab.code(PathKind::Existing, "other"), CapabilityCode::NotFound);
    assert_eq!(lab.code(PathKind::Remove, "other"), CapabilityCode::NotFound);
    assert_eq!(lab.code(PathKind::MountTarget, "other"), CapabilityCode::NotFound);
    assert_eq!(lab.code(PathKind::New, "share"), CapabilityCode::AlreadyExists);
    assert_eq!(lab.code(PathKind::New, "nowhere/share"), CapabilityCode::NotFound);
    assert!(lab.open(PathKind::New, "other").is_ok());
    assert!(lab.open(PathKind::New, "share/other").is_ok());
    assert!(lab.open(PathKind::Remove, "share").is_ok());
}

#[test]
fn a_link_is_never_followed_wherever_it_stands() {
    let lab = Lab::new();
    fs::create_dir(lab.directory.path().join("outside")).expect("a directory");
    fs::write(lab.directory.path().join("outside/file"), "secret").expect("a file");
    symlink("../outside", lab.at("up")).expect("a link");
    symlink("/etc", lab.at("absolute")).expect("a link");
    fs::create_dir(lab.at("real")).expect("a directory");
    symlink("real", lab.at("inside")).expect("a link");
    symlink("missing", lab.at("dangling")).expect("a link");
    for (kind, path) in [
        (PathKind::Existing, "up"),
        (PathKind::Existing, "up/file"),
        (PathKind::Existing, "absolute/passwd"),
        (PathKind::Existing, "inside"),
        (PathKind::New, "up/new"),
        (PathKind::New, "inside/new"),
        (PathKind::Remove, "up"),
        (PathKind::Remove, "up/file"),
        (PathKind::MountTarget, "inside"),
        (PathKind::Text, "up/file"),
    ] {
        assert_eq!(lab.code(kind, path), CapabilityCode::Denied, "{kind:?} {path}");
    }
    assert_eq!(lab.code(PathKind::New, "dangling"), CapabilityCode::AlreadyExists);
}

#[test]
fn pipes_and_sockets_are_not_handed_over() {
    let lab = Lab::new();
    let _socket = std::os::unix::net::UnixListener::bind(lab.at("socket")).expect("a socket");
    assert_eq!(lab.code(PathKind::Existing, "socket"), CapabilityCode::Denied);
}

#[test]
fn text_needs_parents_that_only_the_owner_changes() {
    let lab = Lab::new();
    fs::create_dir_all(lab.at("group/share")).expect("directories");
    match lab.open(PathKind::Text, "group/share").expect("all parents are closed") {
        OpenedPath::Text(text) => assert_eq!(text, lab.at("group/share").to_str().expect("a text")),
        other => panic!("{other:?}"),
    }
    fs::set_permissions(lab.at("group"), fs::Permissions::from_mode(0o777)).expect("its mode");
    assert_eq!(lab.code(PathKind::Text, "group/share"), CapabilityCode::Denied);
    // What the path itself allows is the program's business, not the way to it.
    assert!(lab.open(PathKind::Text, "group").is_ok());
}

#[test]
fn a_root_that_was_exchanged_is_refused() {
    let mut lab = Lab::new();
    fs::create_dir(lab.at("share")).expect("a directory");
    let binding = lab.bindings.get_mut(&Lab::root()).expect("the root");
    binding.identity = Some((1, 1));
    assert_eq!(lab.code(PathKind::Existing, "share"), CapabilityCode::Io);
}

#[test]
fn an_exchange_of_directory_and_link_never_leads_outside() {
    use rustix::fs::{RenameFlags, renameat_with};
    let lab = Lab::new();
    let outside = lab.directory.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    let canary = fs::metadata(&outside).expect("its status");
    fs::create_dir(lab.at("share")).expect("a directory");
    symlink(&outside, lab.at("link")).expect("a link");
    let (share, link) = (lab.at("share"), lab.at("link"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &share, CWD, &link, RenameFlags::EXCHANGE).expect("an exchange");
            }
        });
        let mut opened = 0;
        for _ in 0..20_000 {
            if let Ok(OpenedPath::Descriptor { descriptor, .. }) = lab.open(PathKind::Existing, "share") {
                use std::os::unix::fs::MetadataExt;
                assert_ne!(fstat(&descriptor).expect("its status").st_ino, canary.ino());
                opened += 1;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(opened > 0, "the directory was never met");
    });
}
