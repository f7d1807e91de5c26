//! The driver against the double of the host: each function, and each function cut short at every host call.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod access;
mod backend;
mod groups;
mod managed;
mod migration;
mod own_addresses;
mod pending;
mod pools;
mod replicas;
mod server_updates;
mod servers;
mod shares;
mod sizes;
mod snapshots;

use bulkhead_memory::Memory;
use bulkhead_sdk::config::Value;
use bulkhead_sdk::private_data::{self, Owner};
use bulkhead_sdk::testing::{Lab, sample};
use bulkhead_sdk::{Capacity, Pool, Resource, Share, Snapshot};

/// A host for this driver with its defaults: one pool without limit.
fn lab() -> Lab {
    Lab::new(include_str!("../../driver.toml"))
}

/// A host for this driver with two pools: 100 GiB and 50 GiB, all of a share taken at once.
fn thick_lab() -> Lab {
    let lab = lab();
    set_pairs(&lab, "pools", &[("gold", "100"), ("silver", "50")]);
    lab.set_option("thin_provisioning", Value::Boolean(false));
    lab
}

fn set_pairs(lab: &Lab, option: &str, pairs: &[(&str, &str)]) {
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    lab.set_option(option, Value::Pairs(pairs.collect()));
}

/// A share in a pool.
fn share_in(pool: &str, number: u32, size_gib: u64) -> Share {
    Share { pool: Some(pool.to_owned()), ..sample::share(number, size_gib) }
}

/// What the array says of a share.
fn field(lab: &Lab, share: &Share, name: &str) -> Option<String> {
    let data = || private_data::get(&Owner::Of(Resource::from(share)), "volume");
    let entry = lab.taking_over(share, "", data).expect("the lab answers")?;
    let fields = entry.value.split(' ').filter_map(|field| field.split_once('='));
    fields.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// How many keys the private data of a share have.
fn keys(lab: &Lab, share: &Share) -> usize {
    let data = || private_data::get_all(&Owner::Of(Resource::from(share)));
    lab.taking_over(share, "", data).expect("the lab answers").len()
}

/// The keys of the backend's own data.
fn backend_keys(lab: &Lab) -> Vec<String> {
    let data = || private_data::get_all(&Owner::Backend);
    let entries = lab.taking_over(&sample::share(99, 1), "", data).expect("the lab answers");
    entries.into_iter().map(|entry| entry.key).collect()
}

/// What is written about a pool's sum and changes under way.
fn sums(lab: &Lab, pool: &str) -> String {
    let data = || private_data::get(&Owner::Backend, &format!("pool/{pool}"));
    let entry = lab.taking_over(&sample::share(99, 1), "", data).expect("the lab answers");
    entry.map(|entry| entry.value).unwrap_or_default()
}

fn pool(lab: &Lab, name: &str) -> Pool {
    let pools = lab.stats::<Memory>().expect("statistics").pools;
    pools.into_iter().find(|pool| pool.name == name).expect("the pool")
}

/// What is free in a pool, in whole GiB.
fn free_gib(lab: &Lab, name: &str) -> f64 {
    match pool(lab, name).free {
        Capacity::Gib(gib) => gib,
        Capacity::Unknown => panic!("pool {name} has no limit"),
    }
}

/// A share of 10 GiB that its tenant has filled to a half, and a snapshot of it as the host keeps it.
fn snapshot_lab() -> (Lab, Snapshot) {
    let lab = lab();
    let snapshot = take_snapshot(&lab);
    (lab, snapshot)
}

fn take_snapshot(lab: &Lab) -> Snapshot {
    let share = sample::share(1, 10);
    lab.set_option("fill_percent", Value::Integer(50));
    lab.create_share::<Memory>(&share).expect("room enough");
    lab.set_option("fill_percent", Value::Integer(0));
    let snapshot = sample::snapshot(1, &share);
    let outcome = lab.create_snapshot::<Memory>(&snapshot).expect("the share is there");
    Snapshot { provider_location: outcome.provider_location, ..snapshot }
}
