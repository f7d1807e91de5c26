//! What the kit sees of a backend: the host's records, and the directories of its roots.

use super::bench::{Bench, Site};
use super::sight::{self, Kind, Spot};
use bulkhead_capability::ownership::OwnedRecord;
use bulkhead_conformance::{Holdings, WorldError};
use bulkhead_model::key;
use bulkhead_model::manifest::RootUse;
use bulkhead_model::target::Resource;
use bulkhead_store::{Key, Versioned};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How deep what is in no share is looked through.
const DEEPEST: usize = 4;

/// See [`bulkhead_conformance::World::holdings`].
pub(super) async fn holdings(bench: &Bench) -> Result<Holdings, WorldError> {
    let mut held = Holdings::default();
    for (place, site) in bench.sites.iter().enumerate() {
        held.of_resources.extend(allocated(bench, place).await?);
        for (key, _) in stored(bench, &[key::PRIVATE, site.name.as_str()]).await? {
            if let [_, backend, owner, name] = key.parts().as_slice() {
                let line = format!("{backend}: private data of {owner}: {name}");
                // No resource is called so.
                let set = if owner == "backend" { &mut held.of_backend } else { &mut held.of_resources };
                set.insert(line);
            }
        }
        let data = data_of_resources(bench, site).await?;
        for (root, root_use) in roots(bench, site) {
            if root_use == RootUse::Kernel {
                continue;
            }
            let found = walk(bench, &root, &data).await?;
            held.of_resources.extend(
                found.iter().map(|(spot, _)| {
                    format!("{}: {} in root {}", site.name, spot.below.display(), spot.root)
                }),
            );
        }
    }
    Ok(held)
}

/// The addresses that the driver has allocated itself. Those of the host go with their server.
async fn allocated(bench: &Bench, place: usize) -> Result<Vec<String>, WorldError> {
    let Some(networks) = bench.generation(place).and_then(|driver| driver.networks()) else {
        return Ok(Vec::new());
    };
    let unread = |error| WorldError::new("the addresses cannot be read", error);
    let mut lines = Vec::new();
    for server in networks.servers().await.map_err(unread)? {
        for kept in networks.allocations(server).await.map_err(unread)? {
            if let Some(purpose) = kept.purpose.of_driver() {
                let address = kept.allocation.ip_address;
                lines.push(format!("address {address} of share server {server}: {purpose}"));
            }
        }
    }
    Ok(lines)
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
        for (root, root_use) in roots(bench, site) {
            if !matches!(root_use, RootUse::Config | RootUse::State) {
                continue;
            }
            for (spot, _) in
                walk(bench, &root, &BTreeSet::new()).await?.iter().filter(|(_, kind)| *kind == Kind::File)
            {
                let content = sight::read(bench, spot).await.map_err(|error| unreadable(spot, error))?;
                if content.is_some_and(|content| String::from_utf8_lossy(&content).contains(text)) {
                    places.push(format!("{} in root {}", spot.below.display(), spot.root));
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
    let spot = folder.join(name);
    let written = sight::write(bench, &spot, content.as_bytes()).await;
    written.map_err(|error| unwritable(&spot, error))?;
    Ok(true)
}

/// See [`bulkhead_conformance::World::fill_data`].
pub(super) async fn fill(
    bench: &Bench,
    resource: Resource,
    (name, bytes): (&str, u64),
) -> Result<bool, WorldError> {
    let Some(folder) = data(bench, resource).await? else { return Ok(false) };
    let spot = folder.join(name);
    sight::fill(bench, &spot, bytes).await.map_err(|error| unwritable(&spot, error))
}

/// See [`bulkhead_conformance::World::read_data`].
pub(super) async fn read(
    bench: &Bench,
    resource: Resource,
    name: &str,
) -> Result<Option<String>, WorldError> {
    let Some(folder) = data(bench, resource).await? else { return Ok(None) };
    let spot = folder.join(name);
    let content = sight::read(bench, &spot).await.map_err(|error| unreadable(&spot, error))?;
    Ok(Some(String::from_utf8_lossy(&content.unwrap_or_default()).into_owned()))
}

/// Where the data of `resource` are: the one directory in a root for data that was made for it and has its final name.
async fn data(bench: &Bench, resource: Resource) -> Result<Option<Spot>, WorldError> {
    let mut found = Vec::new();
    for site in &bench.sites {
        for (spot, owner) in owned(bench, site).await? {
            let is_hidden =
                spot.below.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if owner != Some(resource) || is_hidden {
                continue;
            }
            if sight::is_directory(bench, &spot).await.map_err(|error| unreadable(&spot, error))? {
                found.push(spot);
            }
        }
    }
    let first = found.pop();
    Ok(first.filter(|_| found.is_empty()))
}

async fn data_of_resources(bench: &Bench, site: &Site) -> Result<BTreeSet<Spot>, WorldError> {
    let all = owned(bench, site).await?.into_iter();
    Ok(all.filter(|(_, owner)| owner.is_some()).map(|(spot, _)| spot).collect())
}

/// What the host has recorded as made, in roots for data, and for whom.
async fn owned(bench: &Bench, site: &Site) -> Result<Vec<(Spot, Option<Resource>)>, WorldError> {
    let mut found = Vec::new();
    for (key, versioned) in stored(bench, &[key::OWNED, site.name.as_str()]).await? {
        let parts = key.parts();
        let [_, _, name, below] = parts.as_slice() else { continue };
        let Ok(record) = serde_json::from_slice::<OwnedRecord>(&versioned.value) else { continue };
        let bound = roots(bench, site)
            .find(|(root, root_use)| root.root.as_str() == *name && *root_use == RootUse::Data);
        if let Some((root, _)) = bound {
            found.push((Spot { below: PathBuf::from(below), ..root }, record.resource));
        }
    }
    Ok(found)
}

fn roots<'a>(bench: &'a Bench, site: &'a Site) -> impl Iterator<Item = (Spot, RootUse)> + 'a {
    site.grant.roots.iter().filter_map(|(name, root)| {
        let declared = bench.manifest.root(name)?;
        let spot = Spot { root: name.clone(), directory: root.path.clone(), below: PathBuf::new() };
        Some((spot, declared.root_use))
    })
}

/// Every path below `root`, but for what is inside `closed`.
async fn walk(bench: &Bench, root: &Spot, closed: &BTreeSet<Spot>) -> Result<Vec<(Spot, Kind)>, WorldError> {
    let (mut found, mut waiting) = (Vec::new(), vec![(root.clone(), 0_usize)]);
    while let Some((at, depth)) = waiting.pop() {
        for (name, kind) in sight::list(bench, &at).await.map_err(|error| unreadable(&at, error))? {
            let spot = at.join(&name);
            if kind == Kind::Directory && depth < DEEPEST && !closed.contains(&spot) {
                waiting.push((spot.clone(), depth.saturating_add(1)));
            }
            found.push((spot, kind));
        }
    }
    Ok(found)
}

async fn stored(bench: &Bench, prefix: &[&str]) -> Result<Vec<(Key, Versioned)>, WorldError> {
    let found = bench.store.scan(&Key::prefix(prefix)).await;
    found.map_err(|error| WorldError::new("the store cannot be read", error))
}

fn unreadable(at: &Spot, error: anyhow::Error) -> WorldError {
    WorldError::new(format!("cannot read {} in root {}", at.below.display(), at.root), error)
}

fn unwritable(at: &Spot, error: anyhow::Error) -> WorldError {
    WorldError::new(format!("cannot write {} in root {}", at.below.display(), at.root), error)
}
