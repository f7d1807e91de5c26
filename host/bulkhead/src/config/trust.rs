//! Whether a file of the configuration may be believed: it says what drivers may do, so nobody but root and the daemon's user changes it.
//!
//! Everybody may read it: secrets stand in it as references only.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Who runs the daemon.
#[derive(Debug, Clone, Copy)]
struct Own {
    user: u32,
    group: u32,
}

/// Whose a file is, and who may change it.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
    mode: u32,
}

/// Open a file of the configuration.
///
/// Fails if it is not a regular file, or somebody else may change it; with the command that mends that.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // A pipe would be waited for without end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    believe(path, &file.metadata()?)?;
    Ok(file)
}

/// Whether what stands in the directory of backends may be believed: whoever changes it makes files of backends.
///
/// Fails as [`open`] does.
pub(crate) fn check_directory(path: &Path) -> io::Result<()> {
    believe(path, &path.metadata()?)
}

fn believe(path: &Path, metadata: &std::fs::Metadata) -> io::Result<()> {
    let own = Own { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
    let owner = Owner { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() };
    doubt(path, owner, own)
        .map_or(Ok(()), |doubt| Err(io::Error::new(io::ErrorKind::PermissionDenied, doubt)))
}

/// Why it may not be believed. The daemon's own primary group is believed: where each user has a group of theirs, it is nobody else's.
fn doubt(path: &Path, owner: Owner, own: Own) -> Option<String> {
    let path = path.display();
    if owner.user != 0 && owner.user != own.user {
        return Some(format!(
            "it belongs to user {}, and says what drivers may do; run: chown {} {path}",
            owner.user, own.user
        ));
    }
    let others = owner.mode & OTHERS_WRITE != 0;
    let group = owner.mode & GROUP_WRITES != 0 && owner.group != own.group;
    (others || group)
        .then(|| format!("others may change it, and it says what drivers may do; run: chmod go-w {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_may_change_is_not_believed_and_one_that_they_may_read_is() {
        let own = Own { user: 1000, group: 1000 };
        let doubt = |user, group, mode| doubt(Path::new("/etc/b.toml"), Owner { user, group, mode }, own);
        for (user, group, mode) in
            [(0, 0, 0o100_644), (1000, 1000, 0o100_664), (1000, 5, 0o100_640), (0, 5, 0o100_604)]
        {
            assert_eq!(doubt(user, group, mode), None, "{user} {group} {mode:o}");
        }
        for (user, group, mode) in [(0, 0, 0o100_646), (1000, 5, 0o100_664), (0, 0, 0o100_664)] {
            let told = doubt(user, group, mode).unwrap_or_default();
            assert!(told.contains("run: chmod go-w /etc/b.toml"), "{told}");
        }
        let told = doubt(1001, 1000, 0o100_600).unwrap_or_default();
        assert!(told.contains("belongs to user 1001") && told.contains("chown 1000 /etc/b.toml"), "{told}");
    }

    #[test]
    fn a_file_is_opened_once_its_mode_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bulkhead.toml");
        std::fs::write(&path, "").expect("written");
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode")
        };
        chmod(&path, 0o666);
        let told = open(&path).expect_err("others may change it").to_string();
        assert!(told.contains("chmod go-w"), "{told}");
        chmod(&path, 0o644);
        open(&path).expect("believed");
        assert!(open(folder.path()).expect_err("a directory").to_string().contains("not a regular file"));
        check_directory(folder.path()).expect("nobody else's");
        chmod(folder.path(), 0o777);
        assert!(check_directory(folder.path()).is_err());
    }
}
