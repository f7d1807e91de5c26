//! A btrfs filesystem on a sparse file, as an operator makes one; unmounted when dropped.

use crate::programs;
use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted pool.
#[derive(Debug)]
pub struct Pool {
    image: PathBuf,
    at: PathBuf,
}

impl Pool {
    /// Make one of `size_gib` below `folder`, called `name`, with these directories in it, through `bulkhead backend make-pool`.
    pub fn make(folder: &Path, name: &str, size_gib: u64, directories: &[&str]) -> anyhow::Result<Self> {
        let pool = Self { image: folder.join(format!("{name}.img")), at: folder.join(name) };
        pool.make_pool(size_gib, directories)?;
        Ok(pool)
    }

    fn make_pool(&self, size_gib: u64, directories: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(programs::program("bulkhead")?);
        command.args(["backend", "make-pool", "--size-gib", &size_gib.to_string()]);
        for directory in directories {
            command.args(["--directory", directory]);
        }
        run(command.arg("--at").arg(&self.at).arg(&self.image))
    }

    /// Mount it again after [`Pool::unmount`].
    pub fn mount(&self) -> anyhow::Result<()> {
        self.make_pool(1, &[])
    }

    /// Take it away under whoever uses it.
    pub fn unmount(&self) -> anyhow::Result<()> {
        run(Command::new("umount").arg("--lazy").arg(&self.at))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// A directory of it.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    /// Where the kernel tells about it: `/sys/fs/btrfs/UUID`.
    pub fn kernel(&self) -> anyhow::Result<PathBuf> {
        let output =
            Command::new("blkid").args(["-p", "-s", "UUID", "-o", "value"]).arg(&self.image).output()?;
        ensure!(output.status.success(), "blkid: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Path::new("/sys/fs/btrfs").join(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// Let nobody write.
    pub fn make_read_only(&self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.at))
    }

    /// Let everybody write again.
    pub fn make_writable(&self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "remount,rw"]).arg(&self.at))
    }

    /// Write everything down, so that what is counted is counted.
    pub fn sync(&self) -> anyhow::Result<()> {
        run(Command::new("btrfs").args(["filesystem", "sync"]).arg(&self.at))
    }

    /// The paths of all subvolumes, relative to the pool, in order. Those that are being removed are waited for.
    pub fn subvolumes(&self) -> anyhow::Result<Vec<String>> {
        // A deletion that was not written down yet is not waited for but with the next commit, half a minute later.
        self.sync()?;
        run(Command::new("btrfs").args(["subvolume", "sync"]).arg(&self.at))?;
        let output = Command::new("btrfs").args(["subvolume", "list"]).arg(&self.at).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut paths: Vec<String> = text
            .lines()
            .filter_map(|line| line.split_once(" path "))
            .map(|(_, path)| path.to_owned())
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// Do something to the pool that only an operator with a shell would: `btrfs WORDS PATH`.
    pub fn btrfs(&self, words: &[&str], path: &Path) -> anyhow::Result<()> {
        run(Command::new("btrfs").args(words).arg(path))
    }

    /// The loop devices that its file backs.
    pub fn loop_devices(&self) -> anyhow::Result<Vec<String>> {
        loop_devices_below(&self.image)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Lazily: who is just being killed may still hold it open. The loop device goes with the last mount.
        drop(Command::new("umount").arg("--lazy").arg(&self.at).output());
    }
}

/// The loop devices whose files are `path` or below it.
pub fn loop_devices_below(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/block").context("no devices can be seen")?.flatten() {
        let backing = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(backing.trim_end()).starts_with(path) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command:?} failed ({}): {told}", output.status);
    Ok(())
}
