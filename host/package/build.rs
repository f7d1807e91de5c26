//! Lists the files of the contract and of the SDK, so that the binary carries both: `driver new` unpacks them, and packages are
//! compared with the contract, on machines that have nothing but the binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let own = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
    let workspace = own.join("../..").canonicalize()?;
    let mut listing = String::new();
    list(&workspace.join("wit"), "WIT", &mut listing)?;
    list(&workspace.join("guest-sdk"), "SDK", &mut listing)?;
    list(&own.join("template"), "TEMPLATE", &mut listing)?;
    list(&own.join("template-rest"), "TEMPLATE_REST", &mut listing)?;
    list(&own.join("template-ssh"), "TEMPLATE_SSH", &mut listing)?;
    let output = required("OUT_DIR")?;
    fs::write(PathBuf::from(output).join("embedded.rs"), listing)
}

/// Write a constant `name` with every file below `folder`, in order: its path below the folder and its text.
fn list(folder: &Path, name: &str, listing: &mut String) -> io::Result<()> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    listing.push_str(&format!("pub(crate) const {name}: &[(&str, &str)] = &[\n"));
    for file in files {
        let relative = file.strip_prefix(folder).map_err(io::Error::other)?;
        listing.push_str(&format!("    ({relative:?}, include_str!({file:?})),\n"));
    }
    listing.push_str("];\n");
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            if name != "target" {
                walk(&path, files)?;
            }
        } else if ["rs", "toml", "wit", "md"].iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            files.push(path);
        }
    }
    Ok(())
}

/// A variable that cargo sets for build scripts.
fn required(name: &str) -> io::Result<std::ffi::OsString> {
    std::env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo sets {name}")))
}
