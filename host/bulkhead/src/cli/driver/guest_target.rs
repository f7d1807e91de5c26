//! Finding a compiler for drivers: rustup's target, else rustup fetches it, else Debian's compiler, else apt fetches that.
//!
//! What is tried and why it did not do goes to stderr, so that a failure at the end explains itself.

use crate::cli::printer::Printer;
use anyhow::bail;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What drivers are compiled for: WebAssembly without any system interface.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
const DEBIAN_FOLDER: &str = "/usr/bin";

/// A compiler that makes drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GuestCompiler {
    /// The toolchain in use has the target installed.
    Installed,
    /// Debian's compiler, which builds the standard library along.
    Debian {
        /// The linker's file name.
        linker: String,
    },
}

impl GuestCompiler {
    /// Find or install one; `project` is where the toolchain in use is asked for.
    pub(super) fn find(project: &Path, printer: &Printer) -> anyhow::Result<Self> {
        if has_target(project) {
            return Ok(Self::Installed);
        }
        if let Some(found) = rustup_adds_it(project, printer) {
            return Ok(found);
        }
        if let Some(found) = debian() {
            printer.note("using Debian's compiler; the first build makes the standard library too");
            return Ok(found);
        }
        apt_installs_it(printer);
        match debian() {
            Some(found) => Ok(found),
            None => bail!(
                "no compiler for {TARGET} is here\n\
                 hint: with rustup: rustup target add {TARGET}\n\
                 hint: on Debian: sudo apt-get install {}",
                DEBIAN_PACKAGES.join(" ")
            ),
        }
    }

    /// A cargo that builds for [`TARGET`], ready for the arguments of `cargo build`.
    pub(super) fn cargo_build(&self) -> Command {
        match self {
            Self::Installed => {
                let mut command = Command::new("cargo");
                // Flags meant for programs of this machine break a driver.
                command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
                command.args(["build", "--target", TARGET]);
                command
            }
            Self::Debian { linker } => {
                let mut command = Command::new(Path::new(DEBIAN_FOLDER).join("cargo"));
                for (name, _) in std::env::vars_os().filter(|(name, _)| steers_rust(&name.to_string_lossy()))
                {
                    command.env_remove(name);
                }
                command
                    .env("PATH", debian_first(std::env::var_os("PATH")))
                    .env("RUSTC", Path::new(DEBIAN_FOLDER).join("rustc"))
                    // Building the standard library is an unstable flag of a stable compiler.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .args(["build", "--target", TARGET, "-Zbuild-std=std,panic_abort"]);
                command
            }
        }
    }
}

/// Variables that choose another compiler or other flags. What says where crates come from and go to stays.
fn steers_rust(name: &str) -> bool {
    let places = ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR"];
    let sources = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
    let steers =
        ["CARGO", "RUSTUP", "RUSTC", "RUSTDOC", "RUSTFLAGS"].iter().any(|start| name.starts_with(start));
    steers && !places.contains(&name) && !sources.iter().any(|start| name.starts_with(start))
}

fn debian_first(path: Option<OsString>) -> OsString {
    let mut folders = vec![PathBuf::from(DEBIAN_FOLDER)];
    folders.extend(path.iter().flat_map(std::env::split_paths));
    std::env::join_paths(folders).unwrap_or_else(|_| OsString::from(DEBIAN_FOLDER))
}

fn has_target(project: &Path) -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(project)
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|answer| {
        answer.status.success() && Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir()
    })
}

fn rustup_adds_it(project: &Path, printer: &Printer) -> Option<GuestCompiler> {
    let present =
        Command::new("rustup").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !present.is_ok_and(|status| status.success()) {
        return None;
    }
    printer.note(&format!("installing the target {TARGET} with rustup …"));
    let tried = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(project)
        .stdout(Stdio::null())
        .output();
    let reason = match tried {
        Ok(tried) if tried.status.success() && has_target(project) => return Some(GuestCompiler::Installed),
        Ok(tried) => last_line(&tried.stderr),
        Err(error) => error.to_string(),
    };
    printer.note(&format!("rustup could not install it ({reason}); looking for Debian's compiler"));
    None
}

fn debian() -> Option<GuestCompiler> {
    let folder = Path::new(DEBIAN_FOLDER);
    let answer = Command::new(folder.join("rustc"))
        .args(["--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    let has_source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    if !has_source || !folder.join("cargo").is_file() {
        return None;
    }
    Some(GuestCompiler::Debian { linker: newest_linker(folder)? })
}

/// The newest `wasm-ld-N`, or `wasm-ld`.
fn newest_linker(folder: &Path) -> Option<String> {
    let names = folder.read_dir().ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let version = |name: &str| match name.strip_prefix("wasm-ld")? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse::<u32>().ok(),
    };
    names.filter_map(|name| Some((version(&name)?, name))).max().map(|(_, name)| name)
}

fn apt_installs_it(printer: &Printer) {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/apt-get").is_file() {
        return;
    }
    let packages = DEBIAN_PACKAGES.join(" ");
    printer.note(&format!("installing Debian's compiler with apt: {packages} …"));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("/usr/bin/apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output()
    };
    let install: Vec<&str> =
        ["install", "--yes", "--no-install-recommends"].into_iter().chain(DEBIAN_PACKAGES).collect();
    let mut tried = apt(&install);
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        // Lists may be missing or old.
        drop(apt(&["update"]));
        tried = apt(&install);
    }
    match tried {
        Ok(tried) if tried.status.success() => {}
        Ok(tried) => printer.note(&format!("apt could not install it: {}", last_line(&tried.stderr))),
        Err(error) => printer.note(&format!("apt could not be started: {error}")),
    }
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
    bulkhead_model::text::GuestText::new(line, 300).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_a_compiler_is_left_out_and_what_names_a_place_stays() {
        for name in
            ["RUSTUP_TOOLCHAIN", "CARGO", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_RUSTC"]
        {
            assert!(steers_rust(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_HTTP_PROXY", "HOME", "PATH"] {
            assert!(!steers_rust(name), "{name}");
        }
    }

    #[test]
    fn debians_programs_are_found_before_others_of_their_name() {
        let path = debian_first(Some(OsString::from("/opt/bin:/bin")));
        assert_eq!(path, OsString::from("/usr/bin:/opt/bin:/bin"));
    }

    #[test]
    fn the_newest_linker_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(newest_linker(folder.path()), None);
        for name in ["wasm-ld-9", "wasm-ld-19", "wasm-ld-x", "wasm-ldd"] {
            std::fs::write(folder.path().join(name), "").expect("a file");
        }
        assert_eq!(newest_linker(folder.path()), Some("wasm-ld-19".to_owned()));
    }

    #[test]
    fn the_last_line_of_a_failure_is_its_reason() {
        assert_eq!(last_line(b"info: x\nerror: no network\n\n"), "error: no network");
        assert_eq!(last_line(b""), "no reason given");
    }
}
