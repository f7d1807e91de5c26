//! The share manager: shares, access rules and snapshots on the backends of this host (design.md 3, 7; contract.md 4).
//!
//! Called by `api`; calls drivers through [`bulkhead_sandbox::Driver`] and keeps everything in the store, through the ledger.
//!
//! ```text
//!   request --policy--> commit (transient status + operation) --runner--> driver call --> commit (status + end of operation)
//!                                                                  ^            |
//!                                                                  +-- waits <--+  busy, unreachable, unknown
//! ```
//!
//! What happens where: one file for each noun holds its verbs (`share`, `snapshot`, `access`, `mountable`,
//! `resize`, `revert`, `manage`, `migration`, `replica`, `group`, `network`, `share_server`, `share_type`); `operation` is the
//! pure policy, [`Denial`] its reasons; `records` holds the rows, their indexes and scopes; `journal` begins and ends operations, `runner`
//! drives them, `call` and `settle` are what goes to a driver and what its answer changes, `metadata` lets backends follow and supply it,
//! `pool` asks for the pool of a share that has none, `pending` asks about what the backend goes on with by itself; `backend` sets drivers
//! up, `scheduler` chooses among them; `recovery` goes on after a crash, `begun` removes what only repeats needed, `kept` the secrets of
//! what is gone, `overrule` and `repair` are for people.
//!
//! The failure path in one sentence: whatever is transient belongs to an operation in the store, and every operation in the store gets
//! a runner, now or at the next start.
#![forbid(unsafe_code)]

mod access;
mod audit;
mod backend;
mod begun;
mod call;
mod context;
mod denial;
mod error;
mod export;
mod failure;
mod first_result;
mod gate;
mod group;
mod journal;
mod kept;
mod manage;
mod manager;
mod metadata;
mod migration;
mod mountable;
mod network;
mod operation;
mod overrule;
mod pending;
mod pool;
mod records;
mod recovery;
mod repair;
mod replica;
mod request;
mod resize;
mod revert;
mod runner;
mod scheduler;
mod settings;
mod settle;
mod share;
mod share_server;
mod share_type;
mod snapshot;
mod snapshot_removal;
mod view;
mod wait;

pub use backend::{
    AddressView, AddressesView, Asked, Candidate, ChangeState, ChangeView, ConfigurationIdentity, Detach,
    DriverLoader, EnsureReport, EnsureView, GenerationState, GenerationView, HookShareView, HookView,
    MOST_ADDRESSES, Needed, NetworkView, Occasion, Offer, PackageSource, Step, UsageView, Wanted, Written,
};
pub use bulkhead_sandbox::GiveBack;
pub use context::RequestContext;
pub use denial::Denial;
pub use error::{ErrorKind, ManagerError};
pub use group::{NewShareGroup, NewShareGroupSnapshot, NewShareGroupType, ShareGroupTypeView};
pub use manage::{ManageShare, ManageSnapshot};
pub use manager::{Event, Manager};
pub use migration::{ConnectionView, MigrationProgress, StartMigration, Started};
pub use network::{
    NetworkChange, NetworkCheck, NetworkUpdates, NewSecurityService, NewShareNetwork, NewSubnet, Password,
    Recheck, SecurityServiceUpdate, ShareNetworkUpdate, WhileInUse,
};
pub use records::Origin;
pub use replica::NewReplica;
pub use request::{
    Force, METADATA_KEY_LETTERS, METADATA_PAIRS, METADATA_VALUE_LETTERS, NewAccessRule, NewShare,
    NewSnapshot, TEXT_LETTERS, Update,
};
pub use scheduler::{ExpressionError, Function, PlacementView, RejectedPlace, WeighedPool};
pub use settings::ManagerSettings;
pub use share_server::ManageServer;
pub use share_type::NewShareType;
pub use view::{
    BackendDescription, BackendFailure, BackendState, BackendView, LoadedDriver, ServerLimits,
    ShareGroupSnapshotView, ShareGroupView, ShareReplicaView, ShareServerView, ShareTypeView, ShareView,
    SnapshotView, StoredAccessRule,
};
