//! What a driver of this pool runs on, played for its native tests: btrfs on plain directories, and NFS-Ganesha as it answers on its bus.
//! Never part of a component.

mod btrfs;
mod ganesha;

pub use btrfs::{Access, Btrfs, Subvolume, fails};
pub use ganesha::{Ganesha, Served};
