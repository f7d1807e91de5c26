//! What the kit sees of a backend: the host's records, and the directories of its roots.

use super::bench::{Bench, Site};
use anyhow::Context;
use bulkhead_capability::ownership::OwnedRecord;
use bulkhead_conformance::{Holdings, WorldError};
use bulkhead_model::key;
use bulkhead_model::manifest::RootUse;
use bulkhead_model::target::Resource;
use bulkhead_store::{Key, Versioned};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How deep what is in no share is looked through.
const DEEPEST: usize = 4;
/// The largest file that is searched for a text, in bytes.
const LARGEST_SEARCHED: u64 = 1 << 20;

/// See [`bulkhead_conformance::World::holdings`].
pub(super) async fn holdings(bench: &Bench) -> Result<Holdings, WorldError> {
    let mut held = Holdings::default();
    for site in &bench.sites {
        for (key, _) in stored(bench, &[key::PRIVATE, site.name.as_str()]).await? {
            if let [_, backend, owner, name] = key.parts().as_slice() {
                let line = format!("{backend}: private data of {owner}: {name}");
                // No resource is called so.
                let set = if owner == "backend" { &mut held.of_backend } else { &mut held.of_resources };
                set.insert(line);
            }
        }
        let data = data_of_resources(bench, site).await?;
        for (name, root, root_use) in roots(bench, site) {
            let mut found = Vec::new();
            if root_use != RootUse::Kernel {
                walk(&root, &data, DEEPEST, &mut found).map_err(|error| unreadable(&root, error))?;
            }
            held.of_resources.extend(found.iter().map(|path| {
                let below = path.strip_prefix(&root).unwrap_or(path);
                format!("{}: {} in root {name}", site.name, below.display())
            }));
        }
    }
    Ok(held)
}

/// See [`bulkhead_conformance::World::mentions`].
pub(super) async fn mentions(bench: &Bench, text: &str) -> Result<Vec<String>, WorldError> {
    let mut places = Vec::new();
    for site in &bench.sites {
        for (key, versioned) in stored(bench, &[key::PRIVATE, site.name.as_str()]).await? {
            if String::from_utf8_lossy(&versioned.value).contains(text) {
                places.push(format!("the private data under {}", key.as_str()));
            }
        }
        for (name, root, root_use) in roots(bench, site) {
            if !matches!(root_use, RootUse::Config | RootUse::State) {
                continue;
            }
            let mut found = Vec::new();
            walk(&root, &BTreeSet::new(), DEEPEST, &mut found).map_err(|error| unreadable(&root, error))?;
            for path in found.iter().filter(|path| is_small_file(path)) {
                let content = std::fs::read(path).map_err(|error| unreadable(path, error))?;
                if String::from_utf8_lossy(&content).contains(text) {
                    let below = path.strip_prefix(&root).unwrap_or(path);
                    places.push(format!("{} in root {name}", below.display()));
                }
            }
        }
    }
    Ok(places)
}

/// See [`bulkhead_conformance::World::write_data`].
pub(super) async fn write(
    bench: &Bench,
    resource: Resource,
    (name, content): (&str, &str),
) -> Result<bool, WorldError> {
    let Some(folder) = data(bench, resource).await? else { return Ok(false) };
    let path = folder.join(name);
    std::fs::write(&path, content).map_err(|error| unwritable(&path, error))?;
    Ok(true)
}

/// See [`bulkhead_conformance::World::fill_data`].
pub(super) async fn fill(
    bench: &Bench,
    resource: Resource,
    (name, bytes): (&str, u64),
) -> Result<bool, WorldError> {
    let Some(folder) = data(bench, resource).await? else { return Ok(false) };
    let path = folder.join(name);
    let filled = fill_file(bench, &path, bytes);
    filled.map_err(|error| WorldError::new(format!("cannot fill {}", path.display()), error))?;
    Ok(true)
}

/// A real array counts what takes space, and counts it once it is written down; fakes count lengths.
fn fill_file(bench: &Bench, path: &Path, bytes: u64) -> anyhow::Result<()> {
    let file = File::create(path)?;
    if bench.is_real {
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)
            .context("the filesystem gives no space")?;
        rustix::fs::syncfs(&file)?;
    } else {
        file.set_len(bytes)?;
    }
    Ok(())
}

/// See [`bulkhead_conformance::World::read_data`].
pub(super) async fn read(
    bench: &Bench,
    resource: Resource,
    name: &str,
) -> Result<Option<String>, WorldError> {
    let Some(folder) = data(bench, resource).await? else { return Ok(None) };
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(String::new())),
        Err(error) => Err(unreadable(&path, error)),
    }
}

/// Where the data of `resource` are: the one directory in a root for data that was made for it and has its final name.
async fn data(bench: &Bench, resource: Resource) -> Result<Option<PathBuf>, WorldError> {
    let mut found = Vec::new();
    for site in &bench.sites {
        for (path, owner) in owned(bench, site).await? {
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if owner == Some(resource) && !is_hidden && path.is_dir() {
                found.push(path);
            }
        }
    }
    let first = found.pop();
    Ok(first.filter(|_| found.is_empty()))
}

async fn data_of_resources(bench: &Bench, site: &Site) -> Result<BTreeSet<PathBuf>, WorldError> {
    let all = owned(bench, site).await?.into_iter();
    Ok(all.filter(|(_, owner)| owner.is_some()).map(|(path, _)| path).collect())
}

/// What the host has recorded as made, in roots for data, and for whom.
async fn owned(bench: &Bench, site: &Site) -> Result<Vec<(PathBuf, Option<Resource>)>, WorldError> {
    let mut found = Vec::new();
    for (key, versioned) in stored(bench, &[key::OWNED, site.name.as_str()]).await? {
        let parts = key.parts();
        let [_, _, root, below] = parts.as_slice() else { continue };
        let Ok(record) = serde_json::from_slice::<OwnedRecord>(&versioned.value) else { continue };
        let bound = roots(bench, site).find(|(name, _, root_use)| name == root && *root_use == RootUse::Data);
        if let Some((_, directory, _)) = bound {
            found.push((directory.join(below), record.resource));
        }
    }
    Ok(found)
}

fn roots<'a>(bench: &'a Bench, site: &'a Site) -> impl Iterator<Item = (String, PathBuf, RootUse)> + 'a {
    site.grant.roots.iter().filter_map(|(name, root)| {
        let declared = bench.manifest.root(name)?;
        Some((name.to_string(), root.path.clone(), declared.root_use))
    })
}

/// Every path below `folder`, but for what is inside `closed`.
fn walk(folder: &Path, closed: &BTreeSet<PathBuf>, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() && depth > 0 && !closed.contains(&path) {
            walk(&path, closed, depth - 1, found)?;
        }
        found.push(path);
    }
    Ok(())
}

fn is_small_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|status| status.is_file() && status.len() <= LARGEST_SEARCHED)
}

async fn stored(bench: &Bench, prefix: &[&str]) -> Result<Vec<(Key, Versioned)>, WorldError> {
    let found = bench.store.scan(&Key::prefix(prefix)).await;
    found.map_err(|error| WorldError::new("the store cannot be read", error))
}

fn unreadable(path: &Path, error: io::Error) -> WorldError {
    WorldError::new(format!("cannot read {}", path.display()), error)
}

fn unwritable(path: &Path, error: io::Error) -> WorldError {
    WorldError::new(format!("cannot write {}", path.display()), error)
}
