//! Two btrfs pools in files, mounted by loop devices, for as long as a test wants them.

use crate::helper::{Request, passed_over};
use bulkhead_helper::protocol::SlotArgument;
use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The smallest file that `mkfs.btrfs` likes, and room for a few MiB.
const POOL_BYTES: u64 = 256 << 20;

/// A pool that is unmounted and removed at the end.
pub(crate) struct Pool {
    at: PathBuf,
    _directory: tempfile::TempDir,
}

impl Pool {
    /// None, said loudly, where this machine or user cannot.
    pub(crate) fn make() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            passed_over("not root: no pool can be mounted");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let (image, at) = (directory.path().join("pool.img"), directory.path().join("pool"));
        std::fs::create_dir(&at).expect("a mount point");
        std::fs::File::create(&image).and_then(|file| file.set_len(POOL_BYTES)).expect("an image");
        let mut format = Command::new("mkfs.btrfs");
        format.arg("--quiet").arg(&image).stderr(Stdio::null());
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&image).arg(&at);
        for mut step in [format, mount] {
            match step.status() {
                Ok(status) if status.success() => {}
                other => {
                    passed_over(&format!("no btrfs pool in a file here: {step:?}: {other:?}"));
                    return None;
                }
            }
        }
        Some(Self { at, _directory: directory })
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.at.join(below)
    }

    /// A command on the pool by itself, not through the helper.
    pub(crate) fn btrfs(&self, words: &[&str], paths: &[&str]) {
        let output = Command::new("btrfs")
            .args(words)
            .args(paths.iter().map(|path| self.path(path)))
            .output()
            .expect("btrfs runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `request` with a path slot in this pool, which it knows as `root`.
    pub(crate) fn slot(
        &self,
        mut request: Request,
        root: &'static str,
        (name, kind): (&'static str, &str),
        (pattern, path): (&str, &str),
    ) -> Request {
        request.roots.push((root, self.at.clone()));
        let slot_type = json!({ "type": "path", "kind": kind, "root": root, "pattern": [pattern] });
        request.slot(name, slot_type, SlotArgument::Path(path.parse().expect("a path")))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
