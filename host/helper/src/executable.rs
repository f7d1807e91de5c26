//! The program: one absolute file, opened, checked, and run through the very descriptor that was checked.

use crate::program::runs_others;
use crate::protocol::Refusal;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlink};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::os::fd::AsRawFd;
use std::path::{Component, Path};

const ELF: &[u8] = b"\x7fELF";

/// Open the program at `path`. Links on the way are followed, as distributions place them; what they lead to is what is checked.
///
/// Fails with `denied` unless it is a regular ELF file of root (or of the helper's own user), that no group or other may write, and that
/// is no interpreter under another name.
pub(crate) fn open(path: &str) -> Result<OwnedFd, Refusal> {
    let place = Path::new(path);
    let plain = place.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !place.is_absolute() || !plain || path.contains('\0') {
        return Err(denied(
            path,
            "its path is not absolute, or climbs",
            "grant.programs.NAME = \"/absolute/file\"",
        ));
    }
    let failed = |error: Errno| match error {
        Errno::NOENT => denied(path, "it is not there", "install it, or correct grant.programs"),
        error => Refusal::io(format!("program '{path}'"), error),
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let program = openat(CWD, place, flags, Mode::empty()).map_err(failed)?;
    let status = fstat(&program).map_err(failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || status.st_mode & 0o111 == 0 {
        return Err(denied(
            path,
            "it is not an executable file",
            "grant.programs with the program's own file",
        ));
    }
    if status.st_uid != 0 && status.st_uid != geteuid().as_raw() {
        return Err(denied(path, "somebody else than root owns it", format!("chown root '{path}'")));
    }
    if status.st_mode & 0o022 != 0 {
        return Err(denied(path, "others may write to it", format!("chmod go-w '{path}'")));
    }
    let real = readlink(format!("/proc/self/fd/{}", program.as_raw_fd()), Vec::new()).map_err(failed)?;
    let real = real.to_string_lossy();
    if runs_others(real.rsplit('/').next().unwrap_or_default()) {
        let why = format!("it is '{real}', which runs other programs");
        return Err(denied(path, &why, "no line; name the program that does the work"));
    }
    let mut beginning = [0; ELF.len()];
    let read = rustix::io::pread(&program, &mut beginning, 0).map_err(failed)?;
    if read != ELF.len() || beginning != ELF {
        return Err(denied(
            path,
            "it is a script or no program at all",
            "grant.programs with a compiled program",
        ));
    }
    Ok(program)
}

fn denied(path: &str, why: &str, line: impl std::fmt::Display) -> Refusal {
    Refusal::denied(format!("program '{path}': {why};"), line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_model::error::CapabilityCode;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn refusal(path: &Path) -> Refusal {
        open(path.to_str().expect("a text")).expect_err("it is refused")
    }

    #[test]
    fn a_program_of_the_system_is_taken_through_the_links_of_the_system() {
        assert!(open("/bin/true").is_ok() || open("/usr/bin/true").is_ok());
    }

    #[test]
    fn a_relative_path_and_one_that_climbs_are_refused() {
        for path in ["true", "bin/true", "/usr/../bin/true", "", "/usr/bin/true\0x"] {
            assert_eq!(refusal(Path::new(path)).code, CapabilityCode::Denied, "{path:?}");
        }
    }

    #[test]
    fn what_others_may_change_or_what_runs_others_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let program = |name: &str, mode: u32, bytes: &[u8]| {
            fs::write(at(name), bytes).expect("a file");
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).expect("its mode");
        };
        let real = fs::read("/usr/bin/true").expect("a program");
        program("good", 0o755, &real);
        program("writable", 0o775, &real);
        program("plain", 0o644, &real);
        program("script", 0o755, b"#!/bin/sh\nid\n");
        program("python3.11", 0o755, &real);
        symlink(at("python3.11"), at("cp")).expect("a link");
        assert!(open(at("good").to_str().expect("a text")).is_ok());
        for (name, why) in [
            ("writable", "chmod go-w"),
            ("plain", "not an executable"),
            ("script", "script"),
            ("cp", "runs other programs"),
            ("missing", "not there"),
        ] {
            let found = refusal(&at(name));
            assert!(found.message.contains(why), "{name}: {found}");
        }
        assert!(refusal(directory.path()).message.contains("not an executable"));
    }
}
