//! What a vendor needs to write a Bulkhead share driver in Rust.
//!
//! A driver is a type with functions and no state: implement [`Driver`] and one trait for each further thing the driver can do, and
//! name them in [`export_driver!`]. Everything else a driver may do goes through [`files`], [`execute`], [`http`], [`service`],
//! [`dbus`], [`job`], [`network_allocation`], [`config`], [`private_data`], [`lock`], [`log`] and [`clock`], and only as `driver.toml` declares
//! and the operator grants.
//!
//! This is a complete driver:
//!
//! ```
#![doc = include_str!("../examples/minimal.rs")]
//! ```
//!
//! On every other target than WebAssembly the same calls reach a double of the host, so a driver's functions are tested like any
//! other: see [`testing`]. Whether the built component keeps the contract, also when host calls fail, time out or are the last one
//! before the host is killed, says `bulkhead driver check`.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod access;
mod bindings;
pub mod capability;
pub mod clock;
pub mod config;
pub mod dbus;
pub mod driver;
pub mod error;
pub mod execute;
mod export;
pub mod files;
mod glue;
pub mod group;
mod host;
pub mod http;
pub mod job;
pub mod lock;
pub mod log;
pub mod manage;
pub mod metadata;
pub mod migration;
pub mod mountable;
pub mod network;
pub mod network_allocation;
mod pairs;
mod panic;
pub mod periodic_hook;
pub mod private_data;
pub mod replication;
mod resource;
pub mod secret;
pub mod server_updates;
pub mod service;
pub mod share;
pub mod share_server;
pub mod share_status;
mod slots;
pub mod snapshot;
pub mod statistics;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod usage;

pub use access::{
    AccessLevel, AccessRule, AccessType, AccessUpdate, RuleOutcome, RuleState, SnapshotAccessRule,
};
pub use capability::{CapabilityCode, CapabilityError, CommandExit, OrAbsent};
pub use driver::{Access, AccessByRule, Driver, Extend, Revert, ShareFromSnapshot, Shrink, Snapshots};
pub use error::{Error, ErrorCode, Result};
pub use group::{
    Consistency, CreatedShare, GroupShareSource, GroupSnapshots, ShareGroup, ShareGroupSnapshot, ShareGroups,
};
pub use manage::{Manage, ManageSnapshots, ManagedShare, ManagedSnapshot};
pub use metadata::MetadataUpdates;
pub use migration::{
    AccessMapping, Connection, FirstPhase, Migration, MigrationCompatibility, MigrationOutcome,
    ShareMigration, SnapshotMapping,
};
pub use mountable::{MountableSnapshots, SnapshotAccessUpdate};
pub use network::{
    AllocationLabel, NetworkAllocation, NetworkType, SecurityService, SecurityServiceType, ShareNetwork,
    ShareNetworkSubnet,
};
pub use periodic_hook::{HookData, PeriodicHook};
pub use replication::{
    AccessRulesStatus, InstanceStatus, Promotion, Replica, ReplicaOutcome, ReplicaSnapshot,
    ReplicaSnapshotPair, ReplicaView, ReplicatedReversion, ReplicatedRevert, ReplicatedSnapshots,
    Replication, ReplicationType, ShareAccessRule, SnapshotProgress, SnapshotUpdate,
};
pub use resource::Resource;
pub use server_updates::{
    AllocationOutcome, AllocationUpdate, ReexportedShare, SecurityServiceUpdate, ServerUpdates,
    ShareRuleOutcomes, ShareRules, SubnetAddition,
};
pub use share::{
    AfterEnsuring, Creation, EnsuredShare, ExportLocation, Health, Protocol, ReplicaState, Share,
};
pub use share_server::{
    ManageServers, NetworkInfo, ServerChoiceForGroup, ServerChoiceForShare, ServerNetwork, ServerOutcome,
    ServerRequest, ShareServer, ShareServers,
};
pub use share_status::{FinishedShare, ShareProgress, ShareStatus};
pub use slots::Slots;
pub use snapshot::{Reversion, Snapshot, SnapshotOutcome};
pub use statistics::{Capacity, IpVersion, Pool, Statistics, Support};
pub use usage::{ShareUsage, Usage};

/// For `export_driver!` alone.
#[doc(hidden)]
pub mod __internal {
    pub use crate::bindings::{
        access, access_by_rule, base, extend, group_snapshots, manage, manage_servers, manage_snapshots,
        metadata_updates, migration, mountable_snapshots, periodic_hook, replicated_revert,
        replicated_snapshots, replication, revert, server_updates, share_from_snapshot, share_groups,
        share_servers, share_status, shrink, snapshots, usage,
    };
    pub use crate::export::names_access;
    pub use crate::glue::Glue;
}
