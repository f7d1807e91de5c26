use crate::helper::{Helper, Request};
use bulkhead_helper::protocol::{Ending, SlotArgument};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::id::ShareInstanceId;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

struct Pool {
    directory: tempfile::TempDir,
    share: String,
}

impl Pool {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("pool")).expect("a root");
        Self { directory, share: format!("share-{}", ShareInstanceId::random()) }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("pool")
    }

    fn share(&self) -> PathBuf {
        self.root().join(&self.share)
    }

    fn copy(&self) -> PathBuf {
        self.root().join(format!(".{}.new", self.share))
    }

    fn path(&self, pattern: &str) -> SlotArgument {
        SlotArgument::Path(pattern.replace("{share}", &self.share).parse().expect("a path"))
    }

    fn slot(&self, request: Request, name: &'static str, kind: &str, pattern: &str) -> Request {
        let slot_type = json!({ "type": "path", "kind": kind, "root": "pool", "pattern": [pattern] });
        request.slot(name, slot_type, self.path(pattern))
    }

    fn copying(&self) -> Request {
        let words = ["--archive", "--reflink=auto", "--no-target-directory", "--", "{from}", "{to}"];
        let mut request = Request::reviewed("cp", "change", &words).with("creates", json!("to"));
        request.roots.push(("pool", self.root()));
        let request = self.slot(request, "from", "existing", "{share}");
        self.slot(request, "to", "new", ".{share}.new")
    }

    fn removing(&self) -> Request {
        let words = ["--recursive", "--force", "--one-file-system", "--", "{old}"];
        let mut request = Request::reviewed("rm", "destroy", &words).with("destroys", json!("old"));
        request.roots.push(("pool", self.root()));
        self.slot(request, "old", "remove", "{share}")
    }
}

#[test]
fn a_tree_is_copied_as_it_is() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    fs::create_dir_all(pool.share().join("deep/er")).expect("directories");
    fs::write(pool.share().join("deep/er/file"), "bytes").expect("a file");
    fs::set_permissions(pool.share().join("deep/er/file"), fs::Permissions::from_mode(0o640))
        .expect("its mode");
    symlink("/etc/passwd", pool.share().join("link")).expect("a link");
    let finished = helper.run(pool.copying()).expect("it runs");
    assert_eq!(finished.ending, Ending::Exited(0), "{}", String::from_utf8_lossy(&finished.stderr));
    assert_eq!(fs::read(pool.copy().join("deep/er/file")).expect("the copy"), b"bytes");
    let mode = fs::metadata(pool.copy().join("deep/er/file")).expect("its status").mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(fs::read_link(pool.copy().join("link")).expect("a link").to_str(), Some("/etc/passwd"));
    assert_eq!(helper.run(pool.copying()).expect_err("it is there").code, CapabilityCode::AlreadyExists);
}

#[test]
fn a_copy_keeps_foreign_owners_where_the_helper_is_root() {
    if !rustix::process::geteuid().is_root() {
        return crate::helper::passed_over("not root: owners cannot be given away");
    }
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    fs::create_dir(pool.share()).expect("a directory");
    fs::write(pool.share().join("private"), "bytes").expect("a file");
    fs::set_permissions(pool.share().join("private"), fs::Permissions::from_mode(0o600)).expect("its mode");
    std::os::unix::fs::chown(pool.share().join("private"), Some(1234), Some(5678)).expect("its owner");
    assert_eq!(helper.run(pool.copying()).expect("it runs").ending, Ending::Exited(0));
    let copy = fs::metadata(pool.copy().join("private")).expect("its status");
    assert_eq!((copy.uid(), copy.gid(), copy.mode() & 0o777), (1234, 5678, 0o600));
}

#[test]
fn a_share_that_is_a_link_is_neither_copied_nor_removed() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    let outside = pool.directory.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("canary"), "alive").expect("a file");
    symlink(&outside, pool.share()).expect("a link");
    for request in [pool.copying(), pool.removing()] {
        assert_eq!(helper.run(request).expect_err("it is a link").code, CapabilityCode::Denied);
    }
    assert!(outside.join("canary").exists() && !pool.copy().exists());
}

#[test]
fn removal_takes_the_named_tree_and_not_what_its_links_lead_to() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    let outside = pool.directory.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("canary"), "alive").expect("a file");
    fs::create_dir(pool.share()).expect("a directory");
    symlink(&outside, pool.share().join("link")).expect("a link");
    let finished = helper.run(pool.removing()).expect("it runs");
    assert_eq!(finished.ending, Ending::Exited(0), "{}", String::from_utf8_lossy(&finished.stderr));
    assert!(!pool.share().exists() && outside.join("canary").exists());
    assert_eq!(helper.run(pool.removing()).expect_err("it is gone").code, CapabilityCode::NotFound);
}

#[test]
fn a_path_that_no_pattern_gives_is_refused() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    fs::create_dir(pool.share()).expect("a directory");
    for foreign in ["etc", "share-x", ".hidden"] {
        let mut request = pool.copying();
        request.slots[0].1 = SlotArgument::Path(foreign.parse().expect("a path"));
        assert_eq!(helper.run(request).expect_err(foreign).code, CapabilityCode::InvalidArgument);
    }
    let mut unbound = pool.copying();
    unbound.roots.clear();
    assert_eq!(helper.run(unbound).expect_err("no root").code, CapabilityCode::Denied);
}

#[test]
fn reading_programs_see_what_was_opened() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    fs::create_dir(pool.share()).expect("a directory");
    fs::write(pool.share().join("file"), [0; 5000]).expect("a file");
    let mut request = Request::reviewed("du", "read", &["--summarize", "--bytes", "--", "{at}"]);
    request.roots.push(("pool", pool.root()));
    let finished = helper.run(pool.slot(request, "at", "existing", "{share}")).expect("it runs");
    let text = String::from_utf8(finished.stdout).expect("text");
    let bytes: u64 = text.split_whitespace().next().expect("a number").parse().expect("a number");
    assert!(bytes >= 5000, "{text}");
    assert!(text.contains("/proc/self/fd/3/."), "{text}");
}

#[test]
fn a_file_is_copied_by_what_it_holds_and_never_as_the_link_it_is_handed_over_as() {
    let pool = Pool::new();
    let mut helper = Helper::start(&[]);
    fs::write(pool.share(), "an image").expect("a file");
    let refused = helper.run(pool.copying()).expect_err("the template copies links");
    assert_eq!(refused.code, CapabilityCode::Denied);
    assert!(refused.message.contains("\"-H\""), "{refused}");
    let words = ["--archive", "-H", "--no-target-directory", "--", "{from}", "{to}"];
    let finished = helper.run(pool.copying().with("args", json!(words))).expect("it runs");
    assert_eq!(finished.ending, Ending::Exited(0), "{}", String::from_utf8_lossy(&finished.stderr));
    assert!(fs::symlink_metadata(pool.copy()).expect("the copy").is_file());
    assert_eq!(fs::read(pool.copy()).expect("the copy"), b"an image");
}
