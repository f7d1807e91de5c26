//! Shares as btrfs subvolumes in a pool, exported by NFS-Ganesha: what the drivers `btrfs-ganesha` and `btrfs-netns` have in common.
//!
//! The two differ in who serves a share: one server of the backend, or one of the share server that the share lives on, in a network
//! namespace of its own. Which one it is says the share itself ([`server::instance_of`]); everything else is the same, and so are the
//! names of templates, roots and patterns that their `driver.toml` declare, but that a share server's files stand in a directory of its own.
//!
//! Nothing here spells a path or an argument: what a driver may do stands in its `driver.toml`.

pub mod access;
pub mod export;
mod fingerprint;
pub mod manage;
mod number;
pub mod options;
pub mod place;
pub mod server;
pub mod share;
pub mod size;
pub mod snapshot;
pub mod statistics;
pub mod subvolume;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
