//! Whether a backend holds exactly what the daemon knows.

use super::{id, listed};
use crate::daemon::SETTLE;
use crate::ganesha::{export_files, export_id, export_manager};
use crate::http::Client;
use crate::lab::Lab;
use crate::leftovers::processes_of;
use crate::pool::Pool;
use crate::verbs::until;
use anyhow::{Context, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the daemon knows: the name of each share at the backend, and how many snapshots it has. All of it must be available.
async fn known(operator: &Client) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let snapshots = listed(operator, "snapshots").await?;
    for share in listed(operator, "shares").await? {
        let locations = operator.get(&format!("/v2/shares/{}/export_locations", id(&share))).await?;
        let status = share["status"].as_str().unwrap_or_default();
        ensure!(status == "available", "a share came to rest as '{status}': {share}");
        let path = locations["export_locations"][0]["path"]
            .as_str()
            .context("an available share without export location")?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let own = snapshots.iter().filter(|snapshot| snapshot["share_id"] == share["id"]).count();
        ensure!(expected.insert(name, own).is_none(), "two shares have the path {path}");
    }
    for snapshot in &snapshots {
        ensure!(snapshot["status"] == "available", "a snapshot came to rest otherwise: {snapshot}");
    }
    Ok(expected)
}

/// Compare with the backend of plain directories.
pub(super) async fn directories(operator: &Client, lab: &Lab) -> anyhow::Result<()> {
    let expected = known(operator).await?;
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for name in names(&lab.root("nas1", "shares"))? {
        match name.split_once('@') {
            Some((share, _)) => *found.entry(share.to_owned()).or_default() += 1,
            None => *found.entry(name).or_default() += 0,
        }
    }
    ensure!(
        expected == found,
        "the daemon knows (share, snapshots) {expected:#?}\nthe backend holds {found:#?}"
    );
    for fragment in names(&lab.root("nas1", "exports"))? {
        let share = fragment.trim_end_matches(".exports");
        ensure!(expected.contains_key(share), "an export of a share that is gone: {fragment}");
    }
    Ok(())
}

/// Compare with a pool, the export files, and what the NFS server says.
pub(super) async fn pool(operator: &Client, pool: &Pool, lab: &Lab) -> anyhow::Result<()> {
    let expected = known(operator).await?;
    let shares: BTreeSet<&str> = expected.keys().map(String::as_str).collect();
    let subvolumes = pool.subvolumes()?;
    let below = |folder| subvolumes.iter().filter_map(move |path| path.strip_prefix(folder));
    let found: BTreeSet<&str> = below("shares/").collect();
    ensure!(shares == found, "the daemon knows {shares:#?}\nthe pool holds {found:#?}");
    let (wanted, held) = (expected.values().sum::<usize>(), below("snapshots/").count());
    ensure!(wanted == held, "the daemon knows {wanted} snapshots, the pool holds {held}");
    ensure!(subvolumes.len() == found.len() + held, "the pool holds more: {subvolumes:#?}");
    let files = export_files(&lab.root("nas1", "config"))?;
    let snapshots: BTreeSet<&str> = below("snapshots/").collect();
    let stems: BTreeSet<&str> = files.iter().filter_map(|(path, _)| path.file_stem()?.to_str()).collect();
    let missing: Vec<_> = shares.difference(&stems).collect();
    ensure!(missing.is_empty(), "shares without an export file: {missing:#?}");
    let orphaned: Vec<_> =
        stems.iter().filter(|stem| !shares.contains(*stem) && !snapshots.contains(*stem)).collect();
    ensure!(orphaned.is_empty(), "export files of what is gone: {orphaned:#?}");
    let numbers = files.iter().map(|(_, text)| export_id(text)).collect::<anyhow::Result<BTreeSet<u16>>>()?;
    ensure!(numbers.len() == files.len(), "two exports have one number: {files:#?}");
    until("Ganesha exports what the files say", SETTLE, async || {
        Ok(exported().is_ok_and(|ids| ids == numbers))
    })
    .await
}

/// The numbers of what the only Ganesha exports, without the root of all.
fn exported() -> anyhow::Result<BTreeSet<u16>> {
    let ganesha = processes_of("ganesha.nfsd").first().copied().context("no Ganesha runs")?;
    let shown = export_manager(ganesha, "ShowExports", &[])?;
    let numbers = shown.lines().filter_map(|line| line.trim().strip_prefix("uint16 ")?.parse().ok());
    Ok(numbers.filter(|number| *number != 0).collect())
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    folder.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
