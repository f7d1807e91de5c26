//! `bulkhead backend make-pool`: a btrfs filesystem on a sparse file, with quotas, mounted, for a driver that wants one.
//!
//! No driver makes or mounts filesystems: an operator does, with this command or by hand. It can be repeated: a file that holds a btrfs
//! filesystem is mounted, never formatted, and what is mounted is left alone. A machine forgets mounts when it starts: repeat it then, or
//! write the line that it prints into /etc/fstab.

use crate::cli::printer::Printer;
use anyhow::{Context, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The least btrfs makes sense with: below it, metadata fill it.
const LEAST_GIB: u64 = 1;
/// Where a btrfs filesystem says that it is one, and what it says.
const MAGIC_OFFSET: u64 = 0x1_0040;
const MAGIC: &[u8; 8] = b"_BHRfS_M";

#[derive(Debug, clap::Args)]
pub(crate) struct MakePool {
    /// The file that holds the filesystem; made sparse if it is not there
    image: PathBuf,
    /// The directory to mount it at; made if it is not there
    #[arg(long, value_name = "DIRECTORY")]
    at: PathBuf,
    /// Its size in GiB, when it is made
    #[arg(long, value_name = "GIB", default_value_t = 20, value_parser = clap::value_parser!(u64).range(LEAST_GIB..=1 << 20))]
    size_gib: u64,
    /// Directories to make in it, each a root of a driver
    #[arg(long = "directory", value_name = "NAME")]
    directories: Vec<PathBuf>,
}

impl MakePool {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "only root can mount filesystems\nhint: type it with sudo"
        );
        for name in &self.directories {
            let plain = name.components().count() == 1 && name.file_name().is_some();
            ensure!(plain, "'{}' is no plain name for a directory in the pool", name.display());
        }
        let image = std::path::absolute(&self.image)?;
        let at = std::path::absolute(&self.at)?;
        fs::create_dir_all(&at).with_context(|| format!("cannot make {}", at.display()))?;
        match mounted_at(&at)? {
            Some(source) if is_loop_of(&source, &image) => {
                printer.note(&format!("{} is mounted at {} already", image.display(), at.display()));
            }
            Some(source) => {
                bail!(
                    "{source} is mounted at {}\nhint: unmount it, or name another directory with --at",
                    at.display()
                )
            }
            None => self.make_and_mount(&image, &at, printer)?,
        }
        run(Command::new("btrfs").args(["quota", "enable"]).arg(&at))?;
        for name in &self.directories {
            make_directory(&at.join(name))?;
        }
        printer.note(&format!(
            "to mount it at every start, put this line into /etc/fstab:\n{} {} btrfs loop,nodev,nosuid 0 0",
            image.display(),
            at.display()
        ));
        Ok(())
    }

    fn make_and_mount(&self, image: &Path, at: &Path, printer: &Printer) -> anyhow::Result<()> {
        if make_image(image, self.size_gib)? == Image::Made {
            run(Command::new("mkfs.btrfs").arg("--quiet").arg(image))?;
            printer.note(&format!("made {}: {} GiB, sparse", image.display(), self.size_gib));
        }
        run(Command::new("mount").args(["-t", "btrfs", "-o", "loop,nodev,nosuid"]).arg(image).arg(at))
    }
}

/// Whether there was an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Image {
    /// It has just been made and is empty.
    Made,
    /// It holds a filesystem.
    Found,
}

/// What holds anything but btrfs is left alone: it may be somebody's disk.
fn make_image(image: &Path, size_gib: u64) -> anyhow::Result<Image> {
    match OpenOptions::new().write(true).create_new(true).open(image) {
        Ok(file) => {
            file.set_len(size_gib << 30)
                .with_context(|| format!("cannot make {} that large", image.display()))?;
            Ok(Image::Made)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            ensure!(
                holds_btrfs(image)?,
                "{} is there, but holds no btrfs filesystem; it was left alone\nhint: name another file, or remove it yourself",
                image.display()
            );
            Ok(Image::Found)
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", image.display())),
    }
}

fn holds_btrfs(image: &Path) -> anyhow::Result<bool> {
    let mut file = File::open(image).with_context(|| format!("cannot read {}", image.display()))?;
    file.seek(SeekFrom::Start(MAGIC_OFFSET))?;
    let mut found = [0; 8];
    match file.read_exact(&mut found) {
        Ok(()) => Ok(found == *MAGIC),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What is mounted at a directory.
fn mounted_at(directory: &Path) -> anyhow::Result<Option<String>> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let source = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let at = before.split(' ').nth(4)?;
        (Path::new(&unescaped(at)) == directory)
            .then(|| after.split(' ').nth(1).unwrap_or("something").to_owned())
    };
    Ok(mounts.lines().filter_map(source).next_back())
}

/// Blanks and backslashes stand in mountinfo as octal numbers.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn is_loop_of(device: &str, image: &Path) -> bool {
    let Some(name) = device.strip_prefix("/dev/") else { return false };
    let backing = fs::read_to_string(Path::new("/sys/block").join(name).join("loop/backing_file"));
    backing.is_ok_and(|backing| Path::new(backing.trim_end()) == image)
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| {
        format!("cannot run {program}\nhint: install it: apt-get install btrfs-progs mount")
    })?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_something_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        fs::write(&image, "somebody's letters").expect("a file");
        let error = make_image(&image, 1).expect_err("it is somebody's").to_string();
        assert!(error.contains("holds no btrfs filesystem; it was left alone"), "{error}");
        assert_eq!(fs::read(&image).expect("it is there"), b"somebody's letters");
    }

    #[test]
    fn an_image_is_made_once_and_takes_no_room() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        assert_eq!(make_image(&image, 1).expect("it is made"), Image::Made);
        let facts = fs::metadata(&image).expect("it is there");
        assert_eq!((facts.len(), facts.blocks()), (1 << 30, 0));
        assert!(make_image(&image, 1).is_err(), "it holds no filesystem yet");
    }
}
