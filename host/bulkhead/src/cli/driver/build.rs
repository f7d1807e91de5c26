//! `bulkhead driver build`: cargo, then the module becomes a component with its manifest, all in this process.

use super::guest_target::GuestCompiler;
use super::programs;
use crate::cli::printer::Printer;
use anyhow::{Context, bail};
use bulkhead_package::{Package, componentize, manifest};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Build a driver written in Rust
#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// The folder with Cargo.toml and driver.toml
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    project: PathBuf,
    /// The component to write, instead of NAME.wasm in the project
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where cargo keeps what it builds
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
    /// Fail instead of changing Cargo.lock
    #[arg(long)]
    locked: bool,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
}

/// Small, and with the line tables that let a trap name its function and line. Set here, so that every project is built alike.
const PROFILE: [&str; 7] = [
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=\"s\"",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    "profile.guest.panic=\"abort\"",
    "profile.guest.debug=\"line-tables-only\"",
    "profile.guest.strip=\"none\"",
];

impl Build {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<()> {
        let manifest_path = self.project.join("driver.toml");
        let manifest_text = read_manifest(&manifest_path)?;
        let manifest_file = manifest_path.display().to_string();
        let manifest = manifest::parse(&manifest_text, &manifest_file)?;
        programs::check(&manifest, &manifest_text, &manifest_file)?;
        let compiler = GuestCompiler::find(&self.project, printer)?;
        let module_path = self.cargo_build(&compiler)?;
        let module = std::fs::read(&module_path)
            .with_context(|| format!("cannot read what cargo has built, {}", module_path.display()))?;
        let component = componentize::encode(&module, &manifest_text, &manifest_file)?;
        let name = format!("{}.wasm", manifest.driver.name);
        let output = self.output.clone().unwrap_or_else(|| self.project.join(name));
        write_package(component, &output, printer)
    }

    /// Run cargo, with its own words on stderr; the module it built.
    fn cargo_build(&self, compiler: &GuestCompiler) -> anyhow::Result<PathBuf> {
        let cargo_manifest = self.project.join("Cargo.toml");
        if !cargo_manifest.is_file() {
            bail!("{} is not there\nhint: name the driver's folder with --project", cargo_manifest.display());
        }
        let mut command = compiler.cargo_build();
        command.args(["--lib", "--profile", "guest", "--ignore-rust-version"]);
        command
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--manifest-path")
            .arg(&cargo_manifest);
        for setting in PROFILE {
            command.args(["--config", setting]);
        }
        if let Some(folder) = &self.target_dir {
            command.arg("--target-dir").arg(folder);
        }
        command.args(self.locked.then_some("--locked")).args(self.offline.then_some("--offline"));
        built_module(command, &cargo_manifest)
    }
}

/// Run cargo and pick the module of this project out of what it says it built.
fn built_module(mut command: Command, cargo_manifest: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be started\nhint: install Rust, see https://rustup.rs")?;
    let own = std::path::absolute(cargo_manifest)?;
    let mut module = None;
    for line in cargo.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        module = module_in(&message, &own).or(module);
    }
    if !cargo.wait()?.success() {
        bail!("cargo could not build the driver; its words are above");
    }
    module.context(
        "cargo built no module\n\
         hint: Cargo.toml needs, under [lib], crate-type = [\"cdylib\", \"rlib\"]",
    )
}

fn module_in(message: &Value, cargo_manifest: &Path) -> Option<PathBuf> {
    let is_own = message
        .get("manifest_path")?
        .as_str()
        .map(Path::new)
        .is_some_and(|path| is_same(path, cargo_manifest));
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    files.filter(|_| is_own).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Whether two paths name one file: the project may be named through a link.
fn is_same(left: &Path, right: &Path) -> bool {
    let identity = |path: &Path| rustix::fs::stat(path).map(|status| (status.st_dev, status.st_ino));
    left == right || matches!((identity(left), identity(right)), (Ok(left), Ok(right)) if left == right)
}

/// The text of a manifest.
pub(super) fn read_manifest(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}\nhint: 'bulkhead driver new NAME' makes a driver with its driver.toml",
            path.display()
        )
    })
}

/// Read a component as a host would, write it, and say what it is.
pub(super) fn write_package(component: Vec<u8>, output: &Path, printer: &Printer) -> anyhow::Result<()> {
    let package = Package::read(component).context("what was built is no driver")?;
    replace(output, &package.bytes)?;
    let driver = &package.manifest.driver;
    let size = package.bytes.len();
    printer.note(&format!("{} {}: {size} bytes, {}", driver.name, driver.version, package.digest));
    printer.data(&output.display().to_string());
    Ok(())
}

/// Write a file so that nobody ever sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut name = path.file_name().with_context(failed)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = std::fs::File::create(&new).with_context(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(failed)?;
    std::fs::rename(&new, path).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_the_project_is_picked_among_its_dependencies() {
        let message = |manifest: &str, file: &str| serde_json::json!({ "reason": "compiler-artifact", "manifest_path": manifest, "filenames": [file] });
        let own = Path::new("/p/Cargo.toml");
        assert_eq!(module_in(&message("/p/Cargo.toml", "/t/p.wasm"), own), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(module_in(&message("/q/Cargo.toml", "/t/q.wasm"), own), None);
        assert_eq!(module_in(&message("/p/Cargo.toml", "/t/p.rlib"), own), None);
        assert_eq!(module_in(&Value::Null, own), None);
    }

    #[test]
    fn a_written_file_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.wasm");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(folder.path().read_dir().expect("listed").count(), 1);
    }
}
