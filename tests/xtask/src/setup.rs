//! What a fresh machine lacks: a compiler for guests, real storage for demo and tests, and Python for the tests that speak through the
//! stock client.
//!
//! Guests are compiled for wasm32-unknown-unknown. rustup adds that target where it can; where it cannot (no network to its server),
//! Debian's own compiler builds the standard library from source. `bulkhead driver build` looks in the same order.

use crate::shell::{Outcome, command, run, works};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_COMPILER: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// What real shares need, as Debian calls it, and a file of each.
const STORAGE: &[(&str, &str)] = &[
    ("btrfs-progs", "/usr/bin/btrfs"),
    ("nfs-ganesha", "/usr/bin/ganesha.nfsd"),
    ("dbus", "/usr/bin/dbus-daemon"),
    ("dbus-bin", "/usr/bin/dbus-send"),
    ("rpcbind", "/usr/sbin/rpcbind"),
    ("iproute2", "/usr/sbin/ip"),
    ("openssh-server", "/usr/sbin/sshd"),
];

/// A compiler for guests: the active toolchain's, or Debian's. (The C compiler that SQLite needs is there: it linked this program.)
pub(crate) fn prepare() -> Outcome {
    if has_target() {
        return Ok(());
    }
    if works("rustup", "--version") {
        eprintln!("==> adding the target {TARGET} with rustup");
        let added = Command::new("rustup").args(["target", "add", TARGET]).stdin(Stdio::null()).status();
        if added.is_ok_and(|status| status.success()) && has_target() {
            return Ok(());
        }
        eprintln!("    rustup could not; using Debian's compiler for guests instead");
    }
    if has_debian_compiler() {
        return Ok(());
    }
    install("a compiler for guests", DEBIAN_COMPILER)
}

/// btrfs, NFS-Ganesha and what they need. Where they cannot be installed, demo and tests say themselves what they leave out.
pub(crate) fn storage() {
    let mut missing: Vec<&str> =
        STORAGE.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    let plugin = format!("/usr/lib/{}-linux-gnu/ganesha/libfsalvfs.so", std::env::consts::ARCH);
    if !Path::new(&plugin).exists() {
        missing.push("nfs-ganesha-vfs");
    }
    if missing.is_empty() {
        return;
    }
    if let Err(failure) = install("real storage (btrfs, NFS)", &missing) {
        eprintln!("    LEAVING OUT real storage: {failure}");
    }
}

fn has_target() -> bool {
    let sysroot = command("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout);
        Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib").is_dir()
    })
}

fn has_debian_compiler() -> bool {
    Path::new("/usr/bin/wasm-ld-19").exists()
        && Path::new("/usr/bin/cargo").exists()
        && Path::new("/usr/bin/rustc").exists()
        && Path::new("/usr/src").read_dir().is_ok_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("rustc-"))
        })
}

/// A Python environment with the stock OpenStack client and componentize-py; none where Python cannot make one, which the tests that
/// need it then say.
pub(crate) fn python() -> Outcome<Option<PathBuf>> {
    let environment = crate::shell::target().join("python");
    let requirements = crate::shell::root().join("tests/requirements.txt");
    let stamp = environment.join("installed.txt");
    let packages = std::fs::read_to_string(&requirements)
        .map_err(|error| format!("cannot read {}: {error}", requirements.display()))?;
    // Its programs name the place where it was made: one that was moved or copied is made anew.
    let wanted = format!("{}\n{packages}", environment.display());
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(environment));
    }
    if !works("python3", "--version") {
        install("Python, for the stock client", &["python3", "python3-venv"])?;
    }
    let venv = |clear: &mut Command| clear.args(["-m", "venv", "--clear"]).arg(&environment).status();
    if !venv(&mut command("python3")).is_ok_and(|status| status.success()) {
        install("Python's venv module", &["python3-venv"])?;
        run(
            "making a Python environment",
            command("python3").args(["-m", "venv", "--clear"]).arg(&environment),
        )?;
    }
    let installed = run(
        "installing the stock client and componentize-py from PyPI",
        command(environment.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(&requirements),
    );
    if let Err(failure) = installed {
        eprintln!("    SKIPPING what needs Python: {failure}");
        return Ok(None);
    }
    std::fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(Some(environment))
}

/// Install Debian packages, or say which to install.
fn install(what_for: &str, packages: &[&str]) -> Outcome {
    let list = packages.join(" ");
    if !works("apt-get", "--version") {
        return Err(format!("{what_for} is missing; install what your system calls: {list}"));
    }
    if !is_root() {
        return Err(format!("{what_for} is missing; type: sudo apt-get install {list}"));
    }
    run("apt-get update", command("apt-get").args(["update", "-qq"]))?;
    run(
        &format!("installing {list}: {what_for}"),
        command("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .stdout(Stdio::null()),
    )
}

fn is_root() -> bool {
    command("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
