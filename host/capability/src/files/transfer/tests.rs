//! Copies of real directories: whole, cut short, and gone wrong.

use super::{CopyProgress, CopySummary, ShareDirectory};
use bulkhead_model::error::{CapabilityCode, CapabilityError};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

struct Sides {
    _folder: TempDir,
    from: PathBuf,
    to: PathBuf,
}

impl Sides {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).expect("made");
        std::fs::create_dir(&to).expect("made");
        Self { _folder: folder, from, to }
    }

    async fn copy(&self) -> Result<CopySummary, CapabilityError> {
        self.copy_with(Arc::default()).await
    }

    async fn copy_with(&self, progress: Arc<CopyProgress>) -> Result<CopySummary, CapabilityError> {
        let open = |path: &Path| ShareDirectory::open(path).expect("a directory");
        open(&self.from).copy_to(&open(&self.to), progress).await
    }

    /// Files, links, hard links, odd modes and old times.
    fn fill(&self) {
        std::fs::create_dir(self.from.join("sub")).expect("made");
        std::fs::write(self.from.join("sub/file"), "content").expect("written");
        std::fs::write(self.from.join("large"), vec![7_u8; 1 << 20]).expect("written");
        std::fs::hard_link(self.from.join("large"), self.from.join("sub/again")).expect("linked");
        symlink("../nowhere", self.from.join("sub/link")).expect("linked");
        std::fs::set_permissions(self.from.join("sub"), std::fs::Permissions::from_mode(0o751)).expect("set");
        std::fs::set_permissions(self.from.join("large"), std::fs::Permissions::from_mode(0o640))
            .expect("set");
        let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        let file = std::fs::File::options().write(true).open(self.from.join("sub/file")).expect("opened");
        file.set_modified(old).expect("set");
        std::fs::create_dir(self.from.join("lost+found")).expect("made");
        std::fs::write(self.from.join("lost+found/fragment"), "x").expect("written");
    }
}

#[tokio::test]
async fn a_copy_has_everything_but_what_is_to_be_left_out() {
    let sides = Sides::new();
    sides.fill();
    let progress = Arc::new(CopyProgress::default());
    let summary = sides.copy_with(Arc::clone(&progress)).await.expect("copied");
    assert_eq!((summary.entries, summary.left_out), (6, 0));
    assert_eq!(progress.percent(), 100);
    let to = |name: &str| sides.to.join(name);
    assert_eq!(std::fs::read_to_string(to("sub/file")).expect("there"), "content");
    assert_eq!(std::fs::read_link(to("sub/link")).expect("a link"), Path::new("../nowhere"));
    let look = |name: &str| std::fs::symlink_metadata(to(name)).expect("there");
    assert_eq!(look("large").ino(), look("sub/again").ino(), "one file with two names");
    assert_eq!((look("sub").mode() & 0o7777, look("large").mode() & 0o7777), (0o751, 0o640));
    assert_eq!((look("sub/file").mtime(), look("sub/file").mtime_nsec()), (1_000_000_000, 123_456_789));
    assert!(!to("lost+found").exists());
}

#[tokio::test]
async fn a_copy_that_was_cut_short_is_gone_on_with_and_what_is_too_much_goes() {
    let sides = Sides::new();
    sides.fill();
    sides.copy().await.expect("copied");
    let inode = |path: PathBuf| std::fs::metadata(path).expect("there").ino();
    let kept = inode(sides.to.join("large"));
    std::fs::write(sides.to.join("sub/file"), "cut").expect("written");
    std::fs::remove_file(sides.to.join("sub/again")).expect("removed");
    std::fs::remove_file(sides.to.join("sub/link")).expect("removed");
    std::fs::create_dir_all(sides.to.join("sub/link/in/the/way")).expect("made");
    std::fs::write(sides.to.join("extra"), "x").expect("written");
    sides.copy().await.expect("gone on with");
    assert_eq!(inode(sides.to.join("large")), kept, "what is as it should be is left alone");
    assert_eq!(inode(sides.to.join("sub/again")), kept);
    assert_eq!(std::fs::read_to_string(sides.to.join("sub/file")).expect("there"), "content");
    assert!(!sides.to.join("extra").exists());
    assert!(std::fs::read_link(sides.to.join("sub/link")).is_ok());
}

#[tokio::test]
async fn a_difference_that_times_do_not_show_is_found_by_content() {
    let sides = Sides::new();
    sides.fill();
    sides.copy().await.expect("copied");
    let copy = sides.to.join("sub/file");
    let modified = std::fs::metadata(&copy).and_then(|found| found.modified()).expect("a time");
    std::fs::write(&copy, "CONTENT").expect("written");
    std::fs::File::options()
        .write(true)
        .open(&copy)
        .and_then(|file| file.set_modified(modified))
        .expect("set");
    let error = sides.copy().await.expect_err("another content");
    assert_eq!(error.code, CapabilityCode::Conflict);
    assert!(error.message.contains("another content at 'sub/file'"), "{}", error.message);
}

#[tokio::test]
async fn a_copy_that_is_told_to_stop_stops() {
    let sides = Sides::new();
    sides.fill();
    let progress = Arc::new(CopyProgress::default());
    progress.stop();
    let error = sides.copy_with(progress).await.expect_err("stopped");
    assert_eq!(error.code, CapabilityCode::TimedOut);
    sides.copy().await.expect("gone on with");
}

#[tokio::test]
async fn pipes_are_left_out_and_counted() {
    let sides = Sides::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, sides.from.join("pipe"), rustix::fs::Mode::RWXU).expect("made");
    let summary = sides.copy().await.expect("copied");
    assert_eq!(summary.left_out, 1);
    assert!(!sides.to.join("pipe").exists());
}
